/* ask.c - POST /v1/answer, and the chat form /v1/answer/{name}/{session} (search-api.md 8). */
#include "api/asking.h"

/* JSON routes have 25 s: what is left is for the last search and the way back. */
#define JSON_TIME   SECONDS(20)
#define STREAM_TIME SECONDS(120)

static bool accepts_events(const struct api_call *call)
{
    return str_find(net_header_get(call->request, "Accept"), STR("text/event-stream"), 0) != SIZE_MAX;
}

static struct err *answer_in_one(struct asking *asking)
{
    struct answer_result result;
    asking->question.time_ms = JSON_TIME;
    TRY(asking_begin(asking));
    struct err *failed = asking_answer(asking, &result);
    if (!failed) ask_reply(asking, &result);
    asking_end(asking);
    return failed;
}

static struct err *answer_in_pieces(struct asking *asking, const struct ask_form *form)
{
    bool             follows = false;
    struct api_call *call = asking->call;
    asking->question.time_ms = STREAM_TIME;
    struct asking *kept;
    TRY(asking_keep(asking, form, &kept));
    struct err *refused = asking_begin(kept);
    if (!refused && call->request->job) refused = asking_follow(call, kept->session, &follows);
    if (refused) {
        refused = err_new(call->arena, refused->code, STR_FMT, STR_ARG(refused->message));
        call->retry_after = kept->call->retry_after;
        arena_destroy(kept->call->arena);
        return refused;
    }
    call->reply->status = 200;
    if (form == &ask_chat) net_reply_header(call->reply, "x-vercel-ai-ui-message-stream", STR("v1"));
    if (call->request->job) {
        workers_submit(call->app->answerers, asking_run, kept);
        return NULL;
    }
    kept->heard_at_once = call; /* no socket brought the request: it reads the whole stream as one text */
    asking_run(kept);
    return NULL;
}

struct err *api_ask(struct api_call *call)
{
    struct asking asking = {.call = call};
    TRY(asking_read(call, &asking));
    if (asking.wants_stream || accepts_events(call)) return answer_in_pieces(&asking, &ask_events);
    return answer_in_one(&asking);
}

struct err *api_chat(struct api_call *call)
{
    struct asking asking = {.call = call};
    TRY(asking_read(call, &asking));
    return answer_in_pieces(&asking, &ask_chat);
}

struct err *api_chat_resume(struct api_call *call)
{
    bool                  follows;
    struct answer_session session = asking_session(call, api_parameter(call, "session"));
    TRY(asking_follow(call, session, &follows));
    if (!follows) TRY(answer_session_check(call->app->answer, call->arena, session));
    call->reply->status = follows ? 200 : 204;
    if (follows) net_reply_header(call->reply, "x-vercel-ai-ui-message-stream", STR("v1"));
    return NULL;
}

struct err *api_chat_forget(struct api_call *call)
{
    struct answer_session session = asking_session(call, api_parameter(call, "session"));
    TRY(answer_session_forget(call->app->answer, call->arena, session));
    asking_stop(call, session);
    struct json_out out = api_answer(call);
    json_put_bool(&out, "success", true);
    api_send_with_id(call, &out);
    return NULL;
}
