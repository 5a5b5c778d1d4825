/* dispatch.c - what becomes of an event at each function: one recorded outcome, in the transaction of the event. */
#include "flow/parts.h"

#include "base/id.h"
#include "base/time.h"
#include "base/utf8.h"

enum { TITLE_CHARS = 200, BATCH_BYTES = 10 << 20 };

void flow_wake(void *arg)
{
    struct flow *flow = arg;
    pthread_mutex_lock(&flow->lock);
    flow->wanted = true;
    pthread_cond_signal(&flow->turn_wanted);
    pthread_mutex_unlock(&flow->lock);
}

struct str flow_key_text(struct arena *arena, struct flow_value value)
{
    struct str text = flow_value_text(arena, value);
    if (!text.n) return (struct str){0};
    text = utf8_repair(arena, text);
    if (text.n <= KEY_BYTES) return text;
    return str_printf(arena, "%016llx%016llx", (unsigned long long)hash_str(text),
                      (unsigned long long)hash_str_seeded(text, 1));
}

size_t flow_event_roots(struct arena *arena, const struct flow_event *event, const json_value *data,
                        struct flow_root roots[8])
{
    struct flow_value body = flow_value_of(data);
    size_t            n = 0;
    roots[n++] = (struct flow_root){"", body};
    roots[n++] = (struct flow_root){"event.data", body};
    roots[n++] = (struct flow_root){"event.name", {.kind = FLOW_TEXT, .text = event->name}};
    roots[n++] = (struct flow_root){"event.id", {.kind = FLOW_TEXT, .text = event->id}};
    roots[n++] = (struct flow_root){"event.ts", {.kind = FLOW_TIME, .number = (double)event->ts}};
    roots[n++] = (struct flow_root){"workspace", {.kind = FLOW_NUMBER, .number = (double)event->workspace}};
    (void)arena;
    return n;
}

/* ---- a new run --------------------------------------------------------------------------------------------------- */

struct derived {
    struct str lane[2], title, source;
    int64_t    advantage;
};

static struct derived derive(struct db_tx *tx, const struct new_run *run)
{
    struct function *f = run->function;
    struct derived   d = {.lane = {STR("")}};
    struct flow_root roots[8];
    size_t           n = flow_event_roots(tx->arena, &run->event, run->json, roots);
    for (int i = 0; i < 2; i++) {
        if (f->table->concurrency[i].limit == 0) continue;
        d.lane[i] = STR("");
        if (!f->lane[i]) continue;
        struct str lane = flow_key_text(tx->arena, flow_evaluate(tx->arena, f->lane[i], roots, n));
        if (lane.s) d.lane[i] = lane;
    }
    if (f->title) {
        struct str title = flow_value_text(tx->arena, flow_evaluate(tx->arena, f->title, roots, n));
        if (title.n) d.title = utf8_head(utf8_repair(tx->arena, title), TITLE_CHARS);
    }
    if (f->source) d.source = flow_key_text(tx->arena, flow_evaluate(tx->arena, f->source, roots, n));
    if (f->priority) {
        double seconds = flow_evaluate(tx->arena, f->priority, roots, n).number;
        d.advantage = (int64_t)(seconds < -600 ? -600 : seconds > 600 ? 600 : seconds) * 1000;
    }
    return d;
}

#define INSERT_RUN                                                                                                     \
    "INSERT INTO flow_run (xid, workspace_id, function, status, title, source, cause, caused_by, event_seq, "          \
    "event_name, "                                                                                                     \
    "data, replay_of, parent_run, parent_step, queued, ready, advantage, wake_at, lane, second_lane, gather_key, "     \
    "gather_until, gather_bytes, idempotency_key, input, armed, created_at, updated_at) "                              \
    "VALUES ($1, $2, $3, 'queued', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, "    \
    "$21, $22, $23, $24, $25, $26, $26)"

struct err *flow_run_insert(struct db_tx *tx, struct flow *flow, const struct new_run *run, int64_t *id)
{
    struct derived d = derive(tx, run);
    int64_t        now = time_now(), due = run->due_at > now ? run->due_at : now;
    bool           later = run->holds_back || due > now, cancels = run->function->table->cancel_on[0].event;
    struct str     xid = id_new(tx->arena, "");
    const struct db_value values[] = {
        db_of_str(xid),
        db_of_int(run->workspace),
        db_of_z(run->function->name),
        db_of_str(d.title),
        db_of_str(d.source),
        db_of_int((int)run->cause),
        db_of_str(run->caused_by),
        null_if_zero(run->event_seq),
        db_of_str(run->event_name),
        db_of_str(run->data),
        null_if_zero(run->replay_of),
        null_if_zero(run->parent_run),
        db_of_str(run->parent_step),
        db_of_int(!later),
        db_of_int(due - d.advantage),
        db_of_int(d.advantage),
        null_if_zero(later ? due : 0),
        db_of_str(d.lane[0]),
        db_of_str(d.lane[1]),
        db_of_str(run->gather_key),
        null_if_zero(run->gather_until),
        db_of_int(run->gather_bytes),
        db_of_str(run->idempotency_key),
        db_of_str(run->input),
        db_of_int(cancels),
        db_of_int(now),
    };
    size_t n = sizeof values / sizeof *values;
    db_wake_when_committed(tx, flow_wake, flow);
    flow_announce(tx, flow, (struct flow_change){.workspace = run->workspace, .public_id = xid,
                                                 .system = run->function->table->system, .status = "queued"});
    TRY(db_exec_values(tx, INSERT_RUN, values, n));
    int64_t made = db_inserted(tx);
    if (id) *id = made;
    return cancels ? flow_arm_cancel(tx, run->function, made, run->workspace, run->json) : NULL;
}

/* ---- outcomes ---------------------------------------------------------------------------------------------------- */

static struct err *note_outcome(struct db_tx *tx, int64_t seq, struct function *function, const char *outcome,
                                int64_t run)
{
    return db_exec(tx, "INSERT INTO flow_outcome (event_seq, function, outcome, run_id) VALUES ($1, $2, $3, $4)", seq,
                   function->name, outcome, run);
}

/* The run that holds this key, or 0. A key is free again after a day. */
static struct err *find_idempotent(struct db_tx *tx, struct function *function, int64_t workspace, struct str key,
                                   int64_t *run)
{
    struct db_rows rows;
    int64_t        id = 0, created_at = 0;
    *run = 0;
    TRY(db_query(
        tx, &rows,
        "SELECT id, created_at FROM flow_run WHERE workspace_id = $1 AND function = $2 AND idempotency_key = $3",
        workspace, function->name, key));
    bool found = db_next(&rows, &id, &created_at);
    TRY(db_done(&rows));
    if (found && created_at > time_now() - IDEMPOTENCY_MS) *run = id;
    if (!found || *run) return NULL;
    return db_exec(tx, "UPDATE flow_run SET idempotency_key = NULL WHERE id = $1", id);
}

struct open_run {
    int64_t    id, event_seq, count, bytes, until, wake_at;
    struct str data;
};

static struct err *find_open(struct db_tx *tx, struct function *function, int64_t workspace, struct str key,
                             struct open_run *open)
{
    struct db_rows rows;
    *open = (struct open_run){0};
    TRY(db_query(tx, &rows,
                 "SELECT id, event_seq, event_count, gather_bytes, gather_until, wake_at, data FROM flow_run "
                 "WHERE workspace_id = $1 AND function = $2 AND gather_key = $3", workspace, function->name, key));
    (void)db_next(&rows, &open->id, &open->event_seq, &open->count, &open->bytes, &open->until, &open->wake_at,
                  &open->data);
    return db_done(&rows);
}

static struct err *close_batch(struct db_tx *tx, int64_t run)
{
    return db_exec(
        tx, "UPDATE flow_run SET gather_key = NULL, queued = 1, wake_at = NULL, ready = $2 - advantage WHERE id = $1",
        run, time_now());
}

static struct err *add_to_batch(struct db_tx *tx, struct flow *flow, struct function *function,
                                const struct accepted *accepted, const struct open_run *open)
{
    const struct flow_event *event = &accepted->event;
    TRY(db_exec(tx, "INSERT INTO flow_run_event (run_id, event_seq) VALUES ($1, $2), ($1, $3) ON CONFLICT DO NOTHING",
                open->id, open->event_seq, event->seq));
    TRY(db_exec(tx,
                "UPDATE flow_run SET event_count = event_count + 1, gather_bytes = gather_bytes + $2, updated_at = $3 "
                "WHERE id = $1",
                open->id, (int64_t)event->data.n, time_now()));
    TRY(note_outcome(tx, event->seq, function, "batched", open->id));
    db_wake_when_committed(tx, flow_wake, flow);
    return open->count + 1 >= function->table->batch.max ? close_batch(tx, open->id) : NULL;
}

static struct err *postpone(struct db_tx *tx, struct function *function, const struct accepted *accepted,
                            const struct open_run *open)
{
    int64_t wake_at = time_now() + function->table->debounce.period;
    if (wake_at > open->until) wake_at = open->until;
    /* The run becomes the last event's; what the earlier one became is noted for it. */
    TRY(db_exec(tx, "UPDATE flow_run SET event_seq = $2, wake_at = $3, ready = $3 - advantage, "
                    "event_count = event_count + 1, updated_at = $4 WHERE id = $1",
                open->id, accepted->event.seq, wake_at, time_now()));
    return note_outcome(tx, open->event_seq, function, "debounced", open->id);
}

static struct err *merge(struct db_tx *tx, struct function *function, const struct accepted *accepted,
                         const struct open_run *open)
{
    struct str        merged = {0};
    struct flow_event first;
    if (function->table->coalesce.merge) {
        const json_value *queued;
        TRY(flow_load_event(tx, open->event_seq, &first));
        TRY(json_parse(tx->arena, open->data.s ? open->data : first.data, &queued));
        /* Data that cannot be merged must not refuse the sender's transaction: the newest counts. */
        if (function->table->coalesce.merge(tx->arena, queued, accepted->json, &merged)) merged = (struct str){0};
    }
    if (!merged.s) merged = accepted->event.data;
    TRY(db_exec(tx, "UPDATE flow_run SET data = $2, event_name = $3, event_count = event_count + 1, updated_at = $4 "
                    "WHERE id = $1", open->id, merged, accepted->event.name, time_now()));
    return note_outcome(tx, accepted->event.seq, function, "coalesced", open->id);
}

static struct err *create(struct db_tx *tx, struct flow *flow, struct function *function,
                          const struct accepted *accepted, struct new_run run)
{
    const struct flow_event *event = &accepted->event;
    const struct flow_function *table = function->table;
    int64_t now = time_now();
    run.function = function;
    run.workspace = event->workspace;
    run.event_seq = event->seq;
    run.event = *event;
    run.json = accepted->json;
    run.cause = accepted->cause;
    run.caused_by = accepted->caused_by;
    run.due_at = event->ts > event->received_at ? event->ts : 0;
    run.parent_run = accepted->parent_run;
    if (function->gather == GATHER_BATCH) {
        run.holds_back = table->batch.max > 1;
        run.due_at = now + table->batch.timeout;
        run.gather_bytes = (int64_t)event->data.n;
        if (table->batch.max == 1) run.due_at = 0, run.gather_key = (struct str){0};
    } else if (function->gather == GATHER_DEBOUNCE) {
        int64_t at_most = table->debounce.at_most ? table->debounce.at_most : 6 * table->debounce.period;
        run.holds_back = true;
        run.due_at = now + (table->debounce.period < at_most ? table->debounce.period : at_most);
        run.gather_until = now + at_most;
    }
    return flow_run_insert(tx, flow, &run, NULL);
}

static struct err *gather(struct db_tx *tx, struct flow *flow, struct function *function,
                          const struct accepted *accepted, struct new_run run)
{
    struct open_run open;
    TRY(find_open(tx, function, accepted->event.workspace, run.gather_key, &open));
    if (open.id && function->gather == GATHER_BATCH && open.bytes + (int64_t)accepted->event.data.n > BATCH_BYTES) {
        TRY(close_batch(tx, open.id));
        open.id = 0;
    }
    if (!open.id) return create(tx, flow, function, accepted, run);
    switch (function->gather) {
    case GATHER_BATCH: return add_to_batch(tx, flow, function, accepted, &open);
    case GATHER_DEBOUNCE: return postpone(tx, function, accepted, &open);
    case GATHER_COALESCE: return merge(tx, function, accepted, &open);
    case GATHER_NOTHING: break;
    }
    return NULL;
}

static struct err *dispatch_to(struct db_tx *tx, struct flow *flow, struct function *function,
                               const struct accepted *accepted)
{
    const struct flow_event *event = &accepted->event;
    struct new_run           run = {0};
    struct flow_root         roots[8];
    size_t                   n = flow_event_roots(tx->arena, event, accepted->json, roots);
    if (function->when && !flow_value_true(flow_evaluate(tx->arena, function->when, roots, n)))
        return note_outcome(tx, event->seq, function, "filtered", 0);
    if (function->idempotency) {
        int64_t holder = 0;
        run.idempotency_key = flow_key_text(tx->arena, flow_evaluate(tx->arena, function->idempotency, roots, n));
        if (run.idempotency_key.s) TRY(find_idempotent(tx, function, event->workspace, run.idempotency_key, &holder));
        if (holder) return note_outcome(tx, event->seq, function, "idempotent", holder);
    }
    if (function->gather == GATHER_NOTHING) return create(tx, flow, function, accepted, run);
    run.gather_key = STR("");
    if (function->gather_key) {
        struct str key = flow_key_text(tx->arena, flow_evaluate(tx->arena, function->gather_key, roots, n));
        if (key.s) run.gather_key = key;
    }
    return gather(tx, flow, function, accepted, run);
}

struct err *flow_dispatch(struct db_tx *tx, struct flow *flow, const struct accepted *accepted)
{
    struct interest *interest = accepted->interest;
    for (size_t i = 0; i < interest->functions.n; i++)
        TRY(dispatch_to(tx, flow, interest->functions.at[i], accepted));
    if (interest->awaited || interest->cancels) TRY(flow_match_event(tx, flow, accepted));
    return NULL;
}
