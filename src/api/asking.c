/* asking.c - answers under way: how many at once, who reads them, what was told, and when they stop.
 *
 * DESIGN. An answer that is streamed has memory of its own and is made by a worker. What it tells goes to its log and
 * to whoever reads at that moment; a reader that comes later is sent the log first. All of that happens under one
 * lock, which is never held while something waits: writing to a stream does not block. An answer of the event form
 * ends with its last reader; one of the chat form goes on, so that a browser that lost its connection can come back.
 */
#include "api/asking.h"

#include "base/id.h"
#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>

enum { BUSY_SECONDS = 5 }; /* until one who was refused may try again */

struct api_askings {
    pthread_mutex_t lock; /* guards the list, and of each asking what asking.h says */
    struct asking  *first;
    atomic_bool     stopping;
};

struct api_askings *api_askings_create(void)
{
    struct api_askings *askings = calloc(1, sizeof *askings);
    if (!askings) abort();
    pthread_mutex_init(&askings->lock, NULL);
    return askings;
}

void api_askings_destroy(struct api_askings *askings)
{
    pthread_mutex_destroy(&askings->lock);
    free(askings);
}

void api_stop_answers(struct api *api)
{
    atomic_store(&api->askings->stopping, true);
}

struct answer_session asking_session(const struct api_call *call, struct str id)
{
    return (struct answer_session){
        .workspace = call->workspace.id, .id = id, .owner = call->key.id ? call->key.public_id : STR("")};
}

static struct asking *find(struct api_askings *askings, const struct answer_session *session)
{
    struct asking *asking = askings->first;
    while (asking && !(asking->session.workspace == session->workspace && str_eq(asking->session.id, session->id)))
        asking = asking->next;
    return asking;
}

/* ---- begin and end ----------------------------------------------------------------------------------------------- */

static struct err *take_place(struct asking *asking)
{
    struct api_call    *call = asking->call;
    struct api_askings *askings = call->api->askings;
    int64_t             limit = call->app->config->limit_answer_parallel, n = 0;
    for (struct asking *other = askings->first; other; other = other->next)
        n += other->session.workspace == call->workspace.id;
    if (atomic_load(&askings->stopping)) return err_new(call->arena, ERR_UNAVAILABLE, "The server is stopping");
    if (find(askings, &asking->session))
        return err_new(call->arena, ERR_CONFLICT, "An answer of this session is still being made");
    if (limit > 0 && n >= limit) {
        call->retry_after = BUSY_SECONDS;
        return err_new(call->arena, ERR_RATE_LIMITED, "Too many answers at once. Retry after %d seconds.",
                       BUSY_SECONDS);
    }
    asking->next = askings->first;
    askings->first = asking;
    return NULL;
}

/* What the client sent counts before what is remembered: it may have gone back in the conversation. */
static struct err *open_session(struct asking *asking)
{
    struct llm_message *history;
    size_t              n;
    struct api_call    *call = asking->call;
    TRY(answer_session_open(call->app->answer, call->arena, asking->session, &history, &n));
    if (asking->question.history_count) return NULL;
    asking->question.history = history;
    asking->question.history_count = n;
    return NULL;
}

static void leave_place(struct asking *asking)
{
    struct api_askings *askings = asking->call->api->askings;
    struct net_stream  *readers[ASKING_READERS];
    pthread_mutex_lock(&askings->lock);
    struct asking **link = &askings->first;
    while (*link && *link != asking) link = &(*link)->next;
    if (*link) *link = asking->next;
    size_t n = asking->reader_count;
    memcpy(readers, asking->readers, sizeof readers);
    asking->reader_count = 0;
    pthread_mutex_unlock(&askings->lock);
    for (size_t i = 0; i < n; i++) net_stream_close(readers[i]);
}

struct err *asking_begin(struct asking *asking)
{
    struct api_askings *askings = asking->call->api->askings;
    if (!asking->session.id.n) asking->session.id = id_new(asking->call->arena, "");
    pthread_mutex_lock(&askings->lock);
    struct err *refused = take_place(asking);
    pthread_mutex_unlock(&askings->lock);
    if (refused) return refused;
    struct err *failed = open_session(asking);
    if (failed) leave_place(asking);
    return failed;
}

void asking_end(struct asking *asking)
{
    leave_place(asking);
}

/* ---- telling ----------------------------------------------------------------------------------------------------- */

void asking_tell(struct asking *asking, struct str text)
{
    struct api_askings *askings = asking->call->api->askings;
    struct net_stream  *gone[ASKING_READERS];
    size_t              kept = 0, lost = 0;
    pthread_mutex_lock(&askings->lock);
    if (asking->log.n + text.n > ASKING_LOG) asking->too_long = true;
    if (!asking->too_long) buf_str_add(&asking->log, text);
    for (size_t i = 0; i < asking->reader_count; i++)
        if (net_stream_write(asking->readers[i], text))
            asking->readers[kept++] = asking->readers[i];
        else
            gone[lost++] = asking->readers[i];
    asking->reader_count = kept;
    pthread_mutex_unlock(&askings->lock);
    for (size_t i = 0; i < lost; i++) net_stream_close(gone[i]);
    const struct net_request *request = asking->call->request;
    if (request->piece && !request->piece(request->listener, text)) atomic_store(&asking->stop, true);
    if (lost && !kept && !asking->detached) atomic_store(&asking->stop, true);
}

static bool has_reader(struct asking *asking)
{
    struct api_askings *askings = asking->call->api->askings;
    bool                alive = false;
    pthread_mutex_lock(&askings->lock);
    for (size_t i = 0; i < asking->reader_count; i++) alive |= net_stream_alive(asking->readers[i]);
    pthread_mutex_unlock(&askings->lock);
    return alive;
}

/* ---- the listener ------------------------------------------------------------------------------------------------ */

static void on_step(void *arg, const struct answer_step *step)
{
    struct asking *asking = arg;
    asking->form->step(asking, step);
}

static void on_thought(void *arg, struct str text)
{
    struct asking *asking = arg;
    if (asking->form->thought) asking->form->thought(asking, text);
}

static void on_sources(void *arg, const struct answer_citation *citations, size_t n)
{
    struct asking *asking = arg;
    if (asking->form->sources) asking->form->sources(asking, citations, n);
}

static void on_text(void *arg, struct str piece)
{
    struct asking *asking = arg;
    asking->form->text(asking, piece);
}

static bool is_stopped(void *arg)
{
    struct asking *asking = arg;
    if (atomic_load(&asking->call->api->askings->stopping) || atomic_load(&asking->stop)) return true;
    const struct net_request *request = asking->call->request;
    if (request->stopped && request->stopped(request->listener)) return true;
    if (!asking->form && net_client_left(request)) return true; /* the answer in one piece: its request is still there */
    bool read_by_sockets = asking->form && !asking->detached && asking->call->request->job;
    return read_by_sockets && !has_reader(asking);
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

static void note(struct asking *asking, const struct answer_result *result)
{
    struct json_out metadata = api_telling(asking->call);
    json_put(&metadata, "query", asking->question.query);
    json_put(&metadata, "engine", result->engine);
    json_put(&metadata, "steps", result->steps);
    json_put(&metadata, "inputTokens", result->usage.input_tokens);
    json_put(&metadata, "outputTokens", result->usage.output_tokens);
    json_put(&metadata, "citationCount", result->citation_count);
    api_tell_question(asking->call, "search.answer", &metadata);
}

struct err *asking_answer(struct asking *asking, struct answer_result *result)
{
    struct api_call        *call = asking->call;
    struct answer_question *question = &asking->question;
    question->listener = (struct answer_listener){.arg = asking, .stopped = is_stopped};
    if (asking->form) {
        question->listener.step = on_step;
        question->listener.thought = on_thought;
        question->listener.sources = on_sources;
        question->listener.text = on_text;
    }
    TRY(answer_ask(call->app->answer, call->arena, question, result));
    struct answer_exchange exchange = {question->history, question->history_count, question->query, result->content};
    struct err            *failed = answer_session_add(call->app->answer, call->arena, asking->session, exchange);
    if (failed) log_warn("api", "an answer was not remembered: " STR_FMT, STR_ARG(err_text(call->arena, failed)));
    note(asking, result);
    return NULL;
}

/* ---- answers that outlive their request -------------------------------------------------------------------------- */

/* A call with memory of its own that says the same of who asks. */
static struct api_call *keep_call(struct arena *arena, const struct api_call *call)
{
    struct api_call          *kept = NEW(arena, struct api_call);
    const struct net_request *request = call->request;
    *kept = (struct api_call){.app = call->app,
                              .api = call->api,
                              .arena = arena,
                              .match = call->match,
                              .id = str_dup(arena, call->id),
                              .client = str_dup(arena, call->client),
                              .handler_at_us = call->handler_at_us,
                              .search_mode = -1,
                              .key = api_copy_key(arena, &call->key),
                              .workspace = api_copy_workspace(arena, &call->workspace),
                              .reply = NEW(arena, struct net_reply)};
    for (size_t i = 0; i < kept->match.parameter_count; i++)
        kept->match.parameters[i].value = str_dup(arena, call->match.parameters[i].value);
    kept->request = net_request_local(arena, "POST", str_dup(arena, request->path), str_dup(arena, request->body));
    kept->request->local = request->local;
    kept->request->job = request->job; /* only to be compared with NULL */
    kept->request->piece = request->piece;
    kept->request->stopped = request->stopped;
    kept->request->listener = request->listener;
    net_request_header(kept->request, "User-Agent", str_dup(arena, net_header_get(request, "User-Agent")));
    return kept;
}

struct err *asking_keep(struct asking *asking, const struct ask_form *form, struct asking **copy)
{
    struct arena  *arena = arena_create();
    struct asking *kept = NEW(arena, struct asking);
    kept->call = keep_call(arena, asking->call);
    kept->form = form;
    kept->detached = form == &ask_chat;
    kept->log = buf_in(arena);
    struct err *wrong = json_parse(arena, kept->call->request->body, &kept->call->body);
    if (!wrong) wrong = asking_read(kept->call, kept);
    if (wrong) {
        arena_destroy(arena);
        return err_new(asking->call->arena, ERR_INTERNAL, "a question that was read cannot be read again");
    }
    kept->question.time_ms = asking->question.time_ms;
    *copy = kept;
    return NULL;
}

void asking_run(void *arg)
{
    struct asking       *asking = arg;
    struct answer_result result;
    asking->form->start(asking);
    struct err *failed = asking_answer(asking, &result);
    if (failed)
        asking->form->failed(asking, failed);
    else
        asking->form->done(asking, &result);
    asking_end(asking);
    struct api_call *call = asking->heard_at_once;
    if (call) {
        call->reply->body = str_dup(call->arena, buf_str(&asking->log));
        call->reply->content_type = "text/event-stream";
    }
    arena_destroy(asking->call->arena);
}

/* ---- reading, stopping ------------------------------------------------------------------------------------------- */

static bool attach(struct api_call *call, struct asking *asking)
{
    if (asking->too_long || asking->reader_count == ASKING_READERS) return false;
    struct net_stream *stream =
        net_stream_open(call->request, call->reply, (struct net_stream_config){.queue_bytes = 2 * ASKING_LOG});
    if (!stream) return false;
    if (asking->log.n) net_stream_write(stream, buf_str(&asking->log));
    asking->readers[asking->reader_count++] = stream;
    return true;
}

struct err *asking_follow(struct api_call *call, struct answer_session session, bool *follows)
{
    struct api_askings *askings = call->api->askings;
    struct err         *refused = NULL;
    pthread_mutex_lock(&askings->lock);
    struct asking *asking = find(askings, &session);
    if (asking && !str_eq(asking->session.owner, session.owner))
        refused = err_new(call->arena, ERR_FORBIDDEN, "This answer session belongs to someone else");
    *follows = asking && !refused && asking->form && attach(call, asking);
    pthread_mutex_unlock(&askings->lock);
    return refused;
}

void asking_stop(struct api_call *call, struct answer_session session)
{
    struct api_askings *askings = call->api->askings;
    pthread_mutex_lock(&askings->lock);
    struct asking *asking = find(askings, &session);
    if (asking && str_eq(asking->session.owner, session.owner)) atomic_store(&asking->stop, true);
    pthread_mutex_unlock(&askings->lock);
}
