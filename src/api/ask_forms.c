/* ask_forms.c - an answer as one JSON object, as events, and as the message stream of browser chat clients. */
#include "api/asking.h"

static void put_citation(struct json_out *out, const struct answer_citation *citation)
{
    json_begin(out, NULL, '{');
    json_put(out, "index", citation->index);
    json_put(out, "id", citation->id);
    json_put(out, "title", citation->title);
    json_put_or_empty(out, "url", citation->url);
    json_put_or_empty(out, "snippet", citation->snippet);
    if (citation->score >= 0) json_put(out, "relevance_score", citation->score);
    if (citation->occurred_at) json_put_time(out, "timestamp", citation->occurred_at);
    json_put(out, "source", citation->source);
    json_put(out, "type", citation->type);
    json_end(out);
}

static void put_citations(struct json_out *out, const struct answer_result *result)
{
    json_begin(out, "citations", '[');
    for (size_t i = 0; i < result->citation_count; i++) put_citation(out, &result->citations[i]);
    json_end(out);
}

static void put_meta(struct json_out *out, const struct api_call *call, const struct answer_result *result)
{
    json_begin(out, "meta", '{');
    json_put(out, "engine", result->engine);
    if (result->model.n) json_put(out, "model", result->model);
    json_put(out, "steps", result->steps);
    json_put(out, "sourcesConsidered", result->considered);
    json_put(out, "took", api_took(call));
    json_begin(out, "usage", '{');
    json_put(out, "inputTokens", result->usage.input_tokens);
    json_put(out, "outputTokens", result->usage.output_tokens);
    json_end(out);
    json_put_texts(out, "warnings", result->warnings.at, result->warnings.n);
    json_end(out);
}

static void put_result(struct json_out *out, const struct api_call *call, const struct answer_result *result)
{
    json_begin(out, "answer", '{');
    json_put(out, "content", result->content);
    put_citations(out, result);
    if (result->rationale.n) json_put(out, "rationale", result->rationale);
    json_end(out);
    put_meta(out, call, result);
}

void ask_reply(struct asking *asking, const struct answer_result *result)
{
    struct json_out out = api_answer(asking->call);
    put_result(&out, asking->call, result);
    json_put(&out, "sessionId", asking->session.id);
    api_send_with_id(asking->call, &out);
}

/* The error body of this call, as text. */
static struct str error_body(struct asking *asking, const struct err *err)
{
    api_send_error(asking->call, err);
    return asking->call->reply->body;
}

static struct json_out begin(struct asking *asking)
{
    struct json_out out = json_out(asking->call->arena);
    json_begin(&out, NULL, '{');
    return out;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

static void tell_event(struct asking *asking, const char *name, struct str data)
{
    asking_tell(asking, str_printf(asking->call->arena, "id: %lld\nevent: %s\ndata: " STR_FMT "\n\n",
                                   (long long)++asking->events, name, STR_ARG(data)));
}

static void end_event(struct asking *asking, const char *name, struct json_out *out)
{
    json_end(out);
    tell_event(asking, name, json_out_text(out));
}

static void event_start(struct asking *asking)
{
    struct str             model;
    const struct api_call *call = asking->call;
    const char            *engine = answer_engine(call->app->answer, call->arena, call->workspace.settings, &model);
    struct json_out        out = begin(asking);
    json_put(&out, "requestId", asking->call->id);
    json_put(&out, "sessionId", asking->session.id);
    json_put(&out, "engine", engine);
    if (model.n) json_put(&out, "model", model);
    end_event(asking, "start", &out);
}

static void event_step(struct asking *asking, const struct answer_step *step)
{
    static const char *const states[] = {"running", "done", "error"};
    struct json_out          out = begin(asking);
    json_put(&out, "toolCallId", step->id);
    json_put(&out, "tool", step->tool);
    json_put(&out, "state", states[step->state]);
    json_put_raw(&out, "input", step->input);
    if (step->state != ANSWER_RUNNING) {
        json_put(&out, "summary", step->summary);
        json_put(&out, "ms", step->ms);
    }
    end_event(asking, "step", &out);
}

static void event_sources(struct asking *asking, const struct answer_citation *citations, size_t n)
{
    struct json_out out = begin(asking);
    json_begin(&out, "citations", '[');
    for (size_t i = 0; i < n; i++) put_citation(&out, &citations[i]);
    json_end(&out);
    end_event(asking, "sources", &out);
}

static void event_text(struct asking *asking, struct str piece)
{
    struct json_out out = begin(asking);
    json_put(&out, "text", piece);
    end_event(asking, "delta", &out);
}

static void event_done(struct asking *asking, const struct answer_result *result)
{
    ask_reply(asking, result);
    tell_event(asking, "done", asking->call->reply->body);
}

static void event_failed(struct asking *asking, const struct err *err)
{
    tell_event(asking, "error", error_body(asking, err));
}

const struct ask_form ask_events = {.start = event_start,
                                    .step = event_step,
                                    .sources = event_sources,
                                    .text = event_text,
                                    .done = event_done,
                                    .failed = event_failed};

/* ---- chat: the UI message stream, version 1 ---------------------------------------------------------------------- */

static struct json_out begin_part(struct asking *asking, const char *type)
{
    struct json_out out = begin(asking);
    json_put(&out, "type", type);
    return out;
}

static void end_part(struct asking *asking, struct json_out *out)
{
    json_end(out);
    asking_tell(asking, str_printf(asking->call->arena, "data: " STR_FMT "\n\n", STR_ARG(json_out_text(out))));
}

static void part(struct asking *asking, const char *type)
{
    struct json_out out = begin_part(asking, type);
    end_part(asking, &out);
}

static void part_of(struct asking *asking, const char *type, struct str id, const char *key, struct str value)
{
    struct json_out out = begin_part(asking, type);
    json_put(&out, "id", id);
    if (key) json_put(&out, key, value);
    end_part(asking, &out);
}

static const struct str text_id = STR("text-1");

static void close_text(struct asking *asking)
{
    if (asking->text_open) part_of(asking, "text-end", text_id, NULL, STR(""));
    asking->text_open = false;
}

/* What comes after the results of tools is the model's next step. */
static void next_step(struct asking *asking)
{
    if (!asking->step_over) return;
    part(asking, "finish-step");
    part(asking, "start-step");
    asking->step_over = false;
}

static void chat_start(struct asking *asking)
{
    part(asking, "start");
    part(asking, "start-step");
}

static void tool_part(struct asking *asking, const char *type, const struct answer_step *step, const char *key,
                      struct str json)
{
    struct json_out out = begin_part(asking, type);
    json_put(&out, "toolCallId", step->id);
    if (step->state == ANSWER_RUNNING) json_put(&out, "toolName", step->tool);
    if (key && step->state == ANSWER_FAILED)
        json_put(&out, key, json);
    else if (key)
        json_put_raw(&out, key, json);
    end_part(asking, &out);
}

static void chat_step(struct asking *asking, const struct answer_step *step)
{
    if (step->state == ANSWER_RUNNING) {
        close_text(asking);
        tool_part(asking, "tool-input-start", step, NULL, STR(""));
        tool_part(asking, "tool-input-available", step, "input", step->input);
    } else if (step->state == ANSWER_DONE)
        tool_part(asking, "tool-output-available", step, "output", step->output);
    else
        tool_part(asking, "tool-output-error", step, "errorText", step->summary);
    asking->step_over = step->state != ANSWER_RUNNING;
}

static void chat_thought(struct asking *asking, struct str text)
{
    struct str id = str_printf(asking->call->arena, "reasoning-%lld", (long long)++asking->thoughts);
    next_step(asking);
    part_of(asking, "reasoning-start", id, NULL, STR(""));
    part_of(asking, "reasoning-delta", id, "delta", text);
    part_of(asking, "reasoning-end", id, NULL, STR(""));
}

static void source_part(struct asking *asking, const struct answer_citation *citation)
{
    struct json_out out = begin_part(asking, "source-url");
    json_put(&out, "sourceId", citation->id);
    json_put_or_empty(&out, "url", citation->url);
    json_put(&out, "title", citation->title);
    end_part(asking, &out);
}

static void chat_text(struct asking *asking, struct str piece)
{
    next_step(asking);
    if (!asking->text_open) part_of(asking, "text-start", text_id, NULL, STR(""));
    asking->text_open = true;
    part_of(asking, "text-delta", text_id, "delta", piece);
}

static void chat_done(struct asking *asking, const struct answer_result *result)
{
    close_text(asking);
    for (size_t i = 0; i < result->citation_count; i++) source_part(asking, &result->citations[i]);
    part(asking, "finish-step");
    part(asking, "finish");
    asking_tell(asking, STR("data: [DONE]\n\n"));
}

static void chat_failed(struct asking *asking, const struct err *err)
{
    close_text(asking);
    struct json_out out = begin_part(asking, "error");
    json_put(&out, "errorText", error_body(asking, err));
    end_part(asking, &out);
    asking_tell(asking, STR("data: [DONE]\n\n"));
}

const struct ask_form ask_chat = {.start = chat_start,
                                  .step = chat_step,
                                  .thought = chat_thought,
                                  .text = chat_text,
                                  .done = chat_done,
                                  .failed = chat_failed};
