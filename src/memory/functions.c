/* functions.c - the pipeline as durable functions (spec/pipeline.md 2, 12; workflow-engine.md 9): capture, and the list.
 *
 * DESIGN. Up to 256 captures of a workspace are one entry. Those about which no model is asked are stored at once; then
 * the model is asked about the others, MEMORY_ASKERS at a time, and they are stored. Either is one transaction unless
 * captures are slow, as where each has links to many others: whoever sends meanwhile waits no longer than for
 * TRANSACTION_US of them. Each answer is a step of its run: an entry that is repeated finds it. Whatever fails with the
 * model, the rules' classes stand. Nothing is asked inside a transaction.
 */
#include "memory/announce.h"

#include "base/thread.h"
#include "base/time.h"
#include "source/receive.h"

#include <pthread.h>
#include <stdatomic.h>

enum { CAPTURES_TOGETHER = 256, CAPTURES_CALLING = 10, ASK_WITHIN_MINUTES = 2, TRANSACTION_US = 500000 };

struct capture {
    struct flow_run       *run;
    const json_value      *data;
    struct source_event    event;
    enum source_ingestion  ingestion;
    bool                   allowed;
    struct prepared_event *item; /* of those allowed */
    bool                   asks; /* the model */
    struct str             answer;
    struct err            *stopped; /* the step's error: this entry goes no further with it */
    struct memory_result   result;
};

struct captures {
    struct memory       *memory;
    struct arena        *arena;
    struct capture      *at;
    size_t               n;
    struct model_rules   rules;
    struct memory_batch *batches[SOURCE_API + 1]; /* those allowed, by where they came from */
    struct outbox        outbox;
    int64_t              began;
    bool asked; /* which of them are being stored: those about which the model was asked, or the others */
    size_t first, end; /* of these, those of one transaction */
};

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static struct str input_of(struct arena *arena, const struct source_event *event)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "sourceId", event->source_id);
    json_put(&out, "source", event->source);
    json_put(&out, "sourceType", event->source_type);
    json_put(&out, "title", event->title);
    json_end(&out);
    return json_out_text(&out);
}

static struct err *read_capture(struct arena *arena, struct flow_run *run, struct capture *capture)
{
    *capture = (struct capture){.run = run, .data = flow_data(run), .ingestion = SOURCE_WEBHOOK};
    struct str ingestion = json_str(capture->data, "ingestionSource");
    if (ingestion.s && !source_ingestion_parse(ingestion, &capture->ingestion))
        return err_new(arena, ERR_INVALID, "unknown ingestionSource");
    TRY(source_event_read(arena, json_get(capture->data, "sourceEvent"), &capture->event, NULL));
    TRY(source_event_normalise(arena, &capture->event));
    flow_input(run, input_of(arena, &capture->event));
    return NULL;
}

/* The subscription filter; what a user asked for passes. */
static struct err *filter(struct captures *all)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    int64_t          workspace = all->at[0].run->workspace;
    TRY(db_read_begin(all->memory->db, all->arena, &tx));
    TRY(outbox_open(tx, workspace, all->arena, &all->outbox));
    TRY(models_rules(tx, all->memory, workspace, &all->rules));
    for (size_t i = 0; i < all->n; i++) {
        struct capture *capture = &all->at[i];
        capture->allowed = capture->ingestion == SOURCE_MANUAL || capture->ingestion == SOURCE_API;
        if (!capture->allowed) TRY(source_allows(tx, workspace, &capture->event, &capture->allowed));
    }
    return NULL;
}

static struct err *prepare(struct captures *all, enum source_ingestion ingestion)
{
    struct capture     **selected = NEW_ARRAY(all->arena, struct capture *, all->n);
    struct source_event *events = NEW_ARRAY(all->arena, struct source_event, all->n);
    size_t               n = 0;
    for (size_t i = 0; i < all->n; i++)
        if (all->at[i].allowed && all->at[i].ingestion == ingestion) {
            selected[n] = &all->at[i];
            events[n++] = all->at[i].event;
        }
    if (!n) return NULL;
    struct memory_capture capture = {all->outbox.workspace, ingestion, events, n};
    TRY(memory_prepare(all->memory, all->arena, capture, &all->batches[ingestion]));
    for (size_t i = 0; i < n; i++) selected[i]->item = &all->batches[ingestion]->events[i];
    return NULL;
}

/* ---- the model --------------------------------------------------------------------------------------------------- */

/* Of a batch those that will be stored and are worth a question: nothing is paid for what is dropped. */
static struct err *select_asked(struct captures *all, struct db_tx *tx, const struct memory_batch *batch)
{
    if (!batch || (batch->history && !all->rules.history)) return NULL;
    enum memory_outcome *outcomes = NEW_ARRAY(all->arena, enum memory_outcome, batch->count);
    TRY(memory_expect(tx, batch, outcomes));
    for (size_t i = 0; i < all->n; i++) {
        struct capture *capture = &all->at[i];
        if (!capture->item || capture->ingestion != batch->ingestion) continue;
        enum memory_outcome outcome = outcomes[capture->item - batch->events];
        capture->asks = (outcome == MEMORY_STORED || outcome == MEMORY_REPLACED) &&
                        capture->item->analysis.score >= all->rules.least_score;
    }
    return NULL;
}

static struct err *select_all_asked(struct captures *all)
{
    struct db_tx *tx DB_READ_SCOPE = NULL;
    if (!all->rules.on || !llm_available(all->memory->llm)) return NULL;
    TRY(db_read_begin(all->memory->db, all->arena, &tx));
    for (enum source_ingestion i = SOURCE_WEBHOOK; i <= SOURCE_API; i++) TRY(select_asked(all, tx, all->batches[i]));
    return NULL;
}

/* The questions of one entry; whoever answers the last one wakes it. */
struct questions {
    struct captures *all;
    pthread_mutex_t  lock;
    pthread_cond_t   answered;
    size_t           left;
};
struct question {
    struct questions *of;
    struct capture   *capture;
};

/* The step: there is always an answer, for a failure is remembered as well. */
static struct err *ask_model(struct flow_run *run, void *arg, struct str *answer)
{
    const struct question     *question = arg;
    struct captures           *all = question->of->all;
    const struct source_event *event = &question->capture->item->event;
    struct llm_event about = {event->source, event->source_type, text_without_label(event->title), event->body};
    struct llm_classification classification;
    struct llm_usage          usage = {0};
    struct json_out           out = json_out(run->arena);
    struct err               *err =
        llm_classify(all->memory->llm, run->arena, &about,
                     models_terms(run, all->memory, &all->rules, LLM_CLASSIFICATION), &classification, &usage);
    models_used(run, all->memory, &all->rules, LLM_CLASSIFICATION, &usage);
    if (err && err->code == ERR_CANCELLED) return err; /* the run is stopped: it will ask again */
    if (err) {
        json_begin(&out, NULL, '{');
        json_put(&out, "error", err_text(run->arena, err));
        json_end(&out);
    } else {
        llm_classification_write(&out, &classification);
    }
    *answer = json_out_text(&out);
    return NULL;
}

static void answer_question(void *arg)
{
    struct question  *question = arg;
    struct questions *of = question->of;
    struct capture   *capture = question->capture;
    /* where the model cannot keep up, a capture must not run out of its own time */
    if (time_now() - of->all->began > MINUTES(ASK_WITHIN_MINUTES))
        capture->answer = STR("{}");
    else
        capture->stopped = flow_step(capture->run, "classify", ask_model, question, &capture->answer);
    pthread_mutex_lock(&of->lock);
    if (--of->left == 0) pthread_cond_signal(&of->answered);
    pthread_mutex_unlock(&of->lock);
}

static void ask_all(struct captures *all)
{
    struct questions questions = {all, PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 1};
    struct question *list = NEW_ARRAY(all->arena, struct question, all->n);
    for (size_t i = 0; i < all->n; i++) questions.left += all->at[i].asks;
    for (size_t i = 0; i < all->n; i++) {
        if (!all->at[i].asks) continue;
        list[i] = (struct question){&questions, &all->at[i]};
        if (all->memory->askers)
            workers_submit(all->memory->askers, answer_question, &list[i]);
        else
            answer_question(&list[i]);
    }
    pthread_mutex_lock(&questions.lock);
    questions.left--;
    while (questions.left) pthread_cond_wait(&questions.answered, &questions.lock);
    pthread_mutex_unlock(&questions.lock);
}

/* A remembered failure reads as an answer without a class: the rules stand. */
static void take_answers(struct captures *all)
{
    for (size_t i = 0; i < all->n; i++) {
        struct capture           *capture = &all->at[i];
        const json_value         *answer;
        struct llm_classification classification;
        if (!capture->asks || capture->stopped || json_parse(all->arena, capture->answer, &answer)) continue;
        if (llm_classification_read(all->arena, answer, &classification)) continue;
        prepared_classify(all->arena, capture->item, &classification);
    }
}

/* ---- what became of it ------------------------------------------------------------------------------------------- */

static struct str filtered_output(struct arena *arena, const struct capture *capture)
{
    struct json_out out = json_out(arena);
    bool            below = capture->result.outcome == MEMORY_BELOW_THRESHOLD;
    json_begin(&out, NULL, '{');
    json_put(&out, "status", "filtered");
    json_put(&out, "reason", capture->allowed ? memory_outcome_name(capture->result.outcome) : "event_not_allowed");
    json_put(&out, "sourceId", capture->event.source_id);
    if (capture->allowed && below) json_put(&out, "significanceScore", capture->result.score);
    if (capture->result.public_id.n) json_put(&out, "observationId", capture->result.public_id);
    json_end(&out);
    return json_out_text(&out);
}

static struct str success_output(struct arena *arena, const struct capture *capture, const struct news *news)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "status", "success");
    json_put(&out, "observationId", capture->result.public_id);
    json_put(&out, "observationType", news->type);
    json_put(&out, "significanceScore", capture->result.score);
    json_put(&out, "entitiesExtracted", news->entities);
    put_public(&out, "clusterId", "clu_", news->cluster);
    json_put_bool(&out, "clusterIsNew", news->cluster_is_new);
    if (capture->result.outcome == MEMORY_REPLACED) json_put_bool(&out, "replaced", true);
    json_end(&out);
    return json_out_text(&out);
}

/* Events under which nobody has a function cost nothing more than this. A replacement is no news. */
static void send_news(struct captures *all, const struct capture *capture, const struct news *news)
{
    bool history = capture->ingestion == SOURCE_BACKFILL || capture->ingestion == SOURCE_MANUAL;
    all->outbox.parent_run = capture->run->id;
    if (capture->result.outcome == MEMORY_STORED) news_captured(&all->outbox, news);
    news_profile(&all->outbox, news);
    news_cluster(&all->outbox, news, all->began);
    if (news->embedding_due) news_embed(&all->outbox, news->xid, 0, news->embedding_due);
    if (all->rules.on && (!history || all->rules.history)) news_entities(&all->outbox, news);
}

/* ---- one transaction --------------------------------------------------------------------------------------------- */

static bool is_stored_now(const struct captures *all, const struct capture *capture)
{
    size_t place = (size_t)(capture - all->at);
    return capture->asks == all->asked && !capture->stopped && place >= all->first && place < all->end;
}

static struct err *store_batch(struct captures *all, struct db_tx *tx, const struct memory_batch *batch)
{
    if (!batch) return NULL;
    struct memory_batch   part = *batch;
    struct capture      **selected = NEW_ARRAY(tx->arena, struct capture *, batch->count);
    struct memory_result *results = NEW_ARRAY(tx->arena, struct memory_result, batch->count);
    part.events = NEW_ARRAY(tx->arena, struct prepared_event, batch->count);
    part.count = 0;
    for (size_t i = 0; i < all->n; i++) {
        struct capture *capture = &all->at[i];
        if (!capture->item || capture->ingestion != batch->ingestion || !is_stored_now(all, capture)) continue;
        selected[part.count] = capture;
        part.events[part.count++] = *capture->item;
    }
    if (!part.count) return NULL;
    TRY(memory_store(all->memory, tx, &part, results));
    for (size_t i = 0; i < part.count; i++) selected[i]->result = results[i];
    return NULL;
}

static struct err *complete(struct captures *all, struct db_tx *tx, struct capture *capture)
{
    enum memory_outcome outcome = capture->result.outcome;
    bool                stored = capture->allowed && (outcome == MEMORY_STORED || outcome == MEMORY_REPLACED);
    if (capture->allowed && outcome == MEMORY_REFUSED)
        return err_new(tx->arena, ERR_INVALID, STR_FMT, STR_ARG(capture->result.error));
    if (stored) {
        struct news news = news_of(capture->item, &capture->result, capture->ingestion);
        flow_output(capture->run, success_output(all->arena, capture, &news));
        send_news(all, capture, &news);
    } else {
        flow_output(capture->run, filtered_output(all->arena, capture));
    }
    return flow_complete_in(capture->run, tx);
}

/* Slow ones count at once, quick ones little by little: there may be both. Only transactions write it, one at a time. */
static void note_time(struct memory *memory, int64_t each)
{
    int64_t lately = atomic_load(&memory->capture_us);
    atomic_store(&memory->capture_us, each > lately ? each : (7 * lately + each) / 8);
}

/* From first on, as many as fit into a transaction if they are as quick as others lately. */
static size_t end_of_slice(const struct captures *all)
{
    int64_t each = atomic_load(&all->memory->capture_us), most = each ? TRANSACTION_US / each : CAPTURES_TOGETHER;
    size_t  rest = all->n - all->first;
    return all->first + (most < 1 ? 1 : (size_t)most < rest ? (size_t)most : rest);
}

static struct err *write_captures(struct db_tx *tx, void *arg)
{
    struct captures *all = arg;
    int64_t          began = time_monotonic_us();
    outbox_empty(&all->outbox);
    all->end = end_of_slice(all);
    for (enum source_ingestion i = SOURCE_WEBHOOK; i <= SOURCE_API; i++) TRY(store_batch(all, tx, all->batches[i]));
    for (size_t i = all->first; i < all->end; i++)
        if (is_stored_now(all, &all->at[i])) TRY(complete(all, tx, &all->at[i]));
    TRY(outbox_send(tx, &all->outbox));
    note_time(all->memory, (time_monotonic_us() - began) / (int64_t)(all->end - all->first));
    return NULL;
}

static struct err *store(struct captures *all, bool asked)
{
    all->asked = asked;
    for (all->first = 0; all->first < all->n; all->first = all->end) {
        size_t n = 0;
        all->end = all->n;
        for (size_t i = all->first; i < all->n; i++) n += is_stored_now(all, &all->at[i]);
        if (!n) return NULL;
        TRY(db_write(all->memory->db, all->arena, write_captures, all));
    }
    return NULL;
}

static struct err *capture_all(struct captures *all)
{
    TRY(filter(all));
    for (enum source_ingestion i = SOURCE_WEBHOOK; i <= SOURCE_API; i++) TRY(prepare(all, i));
    TRY(select_all_asked(all));
    TRY(store(all, false));
    ask_all(all);
    if (all->n == 1) TRY(all->at[0].stopped); /* of several each is given again alone */
    take_answers(all);
    return store(all, true);
}

/* One that cannot be read is left out; the engine gives it again alone, and then its error is the run's. */
static struct err *capture_many(struct flow_run **runs, size_t n)
{
    struct captures all = {.memory = runs[0]->context, .arena = runs[0]->arena, .began = time_now()};
    struct err     *err = NULL;
    all.at = NEW_ARRAY(all.arena, struct capture, n);
    for (size_t i = 0; i < n; i++) {
        err = read_capture(all.arena, runs[i], &all.at[all.n]);
        if (!err) all.n++;
    }
    if (all.n) err = capture_all(&all);
    if (!err || n > 1) return all.n ? err : NULL;
    return job_failed(runs[0], "sourceId", json_str(flow_data(runs[0]), "sourceEvent.sourceId"), err);
}

/* ---- a capture that failed for good ------------------------------------------------------------------------------ */

static struct err *mark_delivery(struct db_tx *tx, void *arg)
{
    struct flow_run  *run = arg;
    const json_value *data = flow_data(run);
    struct str        delivery = json_str(data, "event.id");
    TRY(source_delivery_failed(tx, run->workspace, delivery, json_str(data, "error")));
    return flow_complete_in(run, tx);
}

/* The delivery was answered with 200 and is on disk: its log must not say that all went well. */
static struct err *capture_failed(struct flow_run *run)
{
    return db_write(run->db, run->arena, mark_delivery, run);
}

#define CAPTURE                                                                                                        \
    .name = "neural.observation.capture", .on = "neural/observation.capture", .run_many = capture_many,                \
    .together = CAPTURES_TOGETHER, .retries = 3,                                                                       \
    .title = "'Capture ' + sourceEvent.source + '/' + sourceEvent.sourceType", .source = "sourceId",                   \
    .idempotency = "if(has(replay), '', sourceEvent.sourceId + if(ingestionSource == 'manual', '-manual', ''))",       \
    .priority = "if(ingestionSource == 'manual' || ingestionSource == 'backfill', -300, 0)", .start_within = 60000,    \
    .finish_within = 5 * 60000, .on_failure = capture_failed

static const struct flow_function observation_capture = {CAPTURE};
/* Where a model or a provider far away is called: what cannot be asked about yet waits in the queue, not in a run. */
static const struct flow_function observation_capture_calling = {CAPTURE,
                                                                 .concurrency = {{CAPTURES_CALLING, "workspace"}}};

#define OTHERS                                                                                                         \
    &memory_profile_update, &memory_cluster_close, &memory_cluster_summary, &memory_entity_extraction,                 \
        &memory_observation_embed, &memory_pipeline_sweep, &memory_references_settle, &memory_source_cleanup

static const struct flow_function *const functions[] = {&observation_capture, OTHERS};
static const struct flow_function *const functions_calling[] = {&observation_capture_calling, OTHERS};
const size_t                             memory_function_count = sizeof functions / sizeof *functions;

const struct flow_function *const *memory_functions(const struct memory *memory)
{
    bool calling = llm_enabled(memory->llm) || !embed_inline(memory->embed);
    return calling ? functions_calling : functions;
}
