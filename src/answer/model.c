/* model.c - a language model answers: it asks for tools, gets their results, and in the end writes text.
 *
 * DESIGN. Bounds: ANSWER_STEPS questions to the model, MOST_TOKENS, MOST_READ bytes of results, the question's time.
 * When one is near, the model is told to conclude: the tools stay named but may not be used. Text that comes beside a
 * use of a tool is a thought, not the answer; which one it is shows only later, so the first HELD bytes wait. Text
 * that was heard stays: an error after it is the answer's end, an error before it leaves quoting as the way out.
 */
#include "answer/parts.h"

#include "base/id.h"
#include "base/log.h"

enum {
    MOST_TOKENS = 150000,
    MOST_READ = 160 * 1024,
    USES_AT_ONCE = 6,        /* of one reply; the others are told to come again */
    MOST_HISTORY = 20,       /* messages */
    LONGEST_HISTORY = 40000, /* bytes */
    HELD = 240,
    RESERVE = 500, /* ms, for quoting when the model does not come back */
};
#define TEMPERATURE 0.2

/* An answer in the making. */
struct making {
    struct answer                *answer;
    struct arena                 *arena;
    const struct answer_question *question;
    struct answer_result         *result;
    struct llm_choice             choice;
    struct llm_allowance          allowance; /* of the workspace, a month */
    struct sources                sources;
    struct toolbox                box;
    struct citer                  citer;
    struct str                    instructions;
    struct {
        struct llm_message *at;
        size_t              n, capacity;
    } messages;
    struct buf held;
    bool       committed; /* this step's text is the answer's */
    size_t     read;      /* bytes of results */
    int64_t    begun_us;
};

bool answer_stopped(const struct answer_question *question)
{
    return question->listener.stopped && question->listener.stopped(question->listener.arg);
}

static int64_t time_left(const struct making *making)
{
    return making->question->time_ms - RESERVE - (time_monotonic_us() - making->begun_us) / 1000;
}

static int64_t tokens(const struct making *making)
{
    return making->result->usage.input_tokens + making->result->usage.output_tokens;
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static void commit(struct making *making)
{
    if (!making->committed && making->citer.out.n) citer_add(&making->citer, STR("\n\n"));
    making->committed = true;
    citer_add(&making->citer, buf_str(&making->held));
    making->held.n = 0;
}

static void hear(void *arg, struct str piece)
{
    struct making *making = arg;
    buf_str_add(&making->held, piece);
    if (making->committed || making->held.n > HELD) commit(making);
}

static bool is_stopped(void *arg)
{
    return answer_stopped(((struct making *)arg)->question);
}

static void think(struct making *making)
{
    const struct answer_listener *listener = &making->question->listener;
    if (making->held.n && listener->thought) listener->thought(listener->arg, buf_str(&making->held));
    making->held.n = 0;
}

/* ---- a question to the model ------------------------------------------------------------------------------------- */

static struct err *check_tokens(void *arg, struct arena *arena, int64_t wanted)
{
    struct making    *making = arg;
    struct llm_budget month = llm_budget_of(&making->allowance);
    wanted += tokens(making);
    if (wanted > MOST_TOKENS) return err_new(arena, ERR_RATE_LIMITED, "the answer needs too many tokens");
    return month.check ? month.check(month.arg, arena, wanted) : NULL;
}

static struct err *ask(struct making *making, bool with_tools, bool conclude, struct llm_reply *reply)
{
    bool            streaming = making->question->listener.text != NULL;
    int64_t         left = time_left(making);
    struct llm_call call = {
        .task = LLM_ANSWER,
        .model = making->choice.model,
        .temperature = TEMPERATURE,
        .instructions = making->instructions,
        .messages = making->messages.at,
        .message_count = making->messages.n,
        .timeout_ms = left > 1 ? left : 1,
        .tools = answer_tools,
        .tool_count = with_tools ? TOOLS : 0,
        .conclude = conclude,
        .budget = {check_tokens, making},
        .listener = {.arg = making, .text = streaming ? hear : NULL, .stopped = is_stopped},
    };
    making->committed = false;
    making->held.n = 0;
    making->result->steps++;
    TRY(llm_ask(making->answer->llm, making->arena, &call, reply, &making->result->usage));
    making->result->model = reply->model;
    if (!streaming) buf_str_add(&making->held, reply->text);
    return NULL;
}

static bool must_conclude(const struct making *making)
{
    return making->result->steps + 1 >= ANSWER_STEPS || tokens(making) > MOST_TOKENS / 2 || making->read > MOST_READ ||
           time_left(making) < making->question->time_ms / 3;
}

/* ---- uses of tools ----------------------------------------------------------------------------------------------- */

static struct llm_result run_use(struct making *making, const struct llm_use *use, size_t i)
{
    struct llm_result result = {.use = use->id, .failed = true};
    if (i >= USES_AT_ONCE) {
        result.output = STR("{\"error\":\"RATE_LIMITED\",\"message\":\"Too many uses at once; ask again\"}");
        return result;
    }
    result.output = tool_run(&making->box, use, &result.failed).output;
    making->read += result.output.n;
    return result;
}

static struct err *run_uses(struct making *making, const struct llm_reply *reply)
{
    struct arena      *arena = making->arena;
    struct llm_use    *uses = NEW_ARRAY(arena, struct llm_use, reply->use_count);
    struct llm_result *results = NEW_ARRAY(arena, struct llm_result, reply->use_count);
    memcpy(uses, reply->uses, sizeof *uses * reply->use_count);
    *VEC_PUSH(arena, &making->messages) =
        (struct llm_message){.role = LLM_ASSISTANT, .text = reply->text, .uses = uses, .use_count = reply->use_count};
    for (size_t i = 0; i < reply->use_count; i++) {
        if (answer_stopped(making->question)) return err_new(arena, ERR_CANCELLED, "the answer was stopped");
        results[i] = run_use(making, &uses[i], i);
    }
    *VEC_PUSH(arena, &making->messages) =
        (struct llm_message){.role = LLM_USER, .results = results, .result_count = reply->use_count};
    return NULL;
}

/* ---- the two ways to an answer ----------------------------------------------------------------------------------- */

static struct err *nothing_said(struct making *making)
{
    return err_new(making->arena, ERR_UNAVAILABLE, "the language model came to no answer in %d steps",
                   making->result->steps);
}

static struct err *finish(struct making *making, const struct llm_reply *reply)
{
    if (!str_trim(buf_str(&making->held)).n && !making->citer.out.n && !making->citer.waiting.n)
        return nothing_said(making);
    commit(making);
    citer_end(&making->citer, making->result);
    if (!making->result->content.n) return nothing_said(making);
    if (reply->cut) answer_warn(making->arena, making->result, "The answer was cut at the model's output limit");
    making->result->engine = "llm";
    return NULL;
}

static struct err *with_tools(struct making *making)
{
    for (;;) {
        struct llm_reply reply;
        bool             last = must_conclude(making);
        TRY(ask(making, true, last, &reply));
        if (!reply.use_count || last) return finish(making, &reply);
        if (!making->committed) think(making);
        TRY(run_uses(making, &reply));
    }
}

/* Services without tools: one search, its results beside the question, between marks that stored text cannot know. */
static struct err *without_tools(struct making *making)
{
    struct arena       *arena = making->arena;
    struct llm_message *last = &making->messages.at[making->messages.n - 1];
    struct json_out     input = json_out(arena);
    char                mark[16] = "";
    bool                failed;
    struct llm_reply    reply;
    id_random_chars(mark, sizeof mark - 1);
    json_begin(&input, NULL, '{');
    json_put(&input, "query", making->question->query);
    json_end(&input);
    struct llm_use     use = {STR("search"), STR("workspaceSearch"), json_out_text(&input)};
    struct answer_step step = tool_run(&making->box, &use, &failed);
    if (failed) return err_new(arena, ERR_UNAVAILABLE, STR_FMT, STR_ARG(step.summary));
    TRY(answer_instructions(making->answer, arena, making->question, false, &making->instructions));
    last->text = str_printf(
        arena, "Results of a search for the question:\n<data %s>\n" STR_FMT "\n</data %s>\n\nQuestion: " STR_FMT, mark,
        STR_ARG(step.output), mark, STR_ARG(making->question->query));
    TRY(ask(making, false, false, &reply));
    return finish(making, &reply);
}

/* ---- together ---------------------------------------------------------------------------------------------------- */

/* Numbers begin anew with each answer: a marker of an earlier one would name another source now. */
static struct str without_markers(struct arena *arena, struct str text)
{
    struct sources       none = sources_in(arena);
    struct answer_result stripped = {0};
    struct citer         citer = citer_in(arena, &none, 0);
    citer_add(&citer, text);
    citer_end(&citer, &stripped);
    return stripped.content;
}

static void put_message(struct making *making, struct llm_message message)
{
    if (message.role == LLM_ASSISTANT) message.text = without_markers(making->arena, message.text);
    if (message.text.n) *VEC_PUSH(making->arena, &making->messages) = message;
}

/* The newest part of what was said before; the first message must be the user's. */
static void put_history(struct making *making)
{
    const struct answer_question *question = making->question;
    size_t                        from = question->history_count, bytes = 0;
    while (from && question->history_count - from < MOST_HISTORY) {
        bytes += question->history[from - 1].text.n;
        if (bytes > LONGEST_HISTORY) break;
        from--;
    }
    while (from < question->history_count && question->history[from].role != LLM_USER) from++;
    for (; from < question->history_count; from++) put_message(making, question->history[from]);
    *VEC_PUSH(making->arena, &making->messages) = (struct llm_message){.role = LLM_USER, .text = question->query};
}

/* Items that were only seen in a graph have no snippet yet. */
static struct err *add_snippets(struct making *making)
{
    struct answer_result *result = making->result;
    for (size_t i = 0; i < result->citation_count; i++) {
        struct answer_citation *citation = &result->citations[i];
        struct search_content   content;
        if (citation->snippet.n) continue;
        TRY(search_contents(making->answer->search, making->arena, making->question->workspace, &citation->id, 1,
                            &content));
        if (content.found) citation->snippet = content.snippet;
    }
    return NULL;
}

static struct err *make(struct making *making)
{
    struct llm *llm = making->answer->llm;
    TRY(answer_instructions(making->answer, making->arena, making->question, true, &making->instructions));
    put_history(making);
    struct err *failed = NULL;
    bool        tried = llm_takes_tools(llm, LLM_ANSWER);
    if (tried) failed = with_tools(making);
    if (!tried || (failed && !llm_takes_tools(llm, LLM_ANSWER) && making->result->steps == 1))
        failed = without_tools(making);
    return failed ? failed : add_snippets(making);
}

struct err *model_answer(struct answer *answer, struct arena *arena, const struct answer_question *question,
                         struct llm_choice choice, struct answer_result *result, bool *heard)
{
    struct making *making = NEW(arena, struct making);
    *making = (struct making){.answer = answer,
                              .arena = arena,
                              .question = question,
                              .result = result,
                              .choice = choice,
                              .allowance = {answer->db, question->workspace, choice.monthly_tokens},
                              .sources = sources_in(arena),
                              .held = buf_in(arena),
                              .begun_us = time_monotonic_us()};
    making->box = (struct toolbox){answer, arena, question, &making->sources};
    making->citer = citer_in(arena, &making->sources, question->most_sources);
    making->citer.listener = &question->listener;
    struct err *failed = make(making);
    *heard = making->citer.told > 0;
    return failed;
}
