/* event.c - accepting events: checks, duplicates, the stored row; then dispatch, in the same transaction. */
#include "flow/parts.h"

#include "base/id.h"
#include "base/log.h"
#include "base/time.h"
#include "base/utf8.h"

enum { NAME_BYTES = 128, ID_BYTES = 191 };

static struct err *check_name(struct arena *arena, struct str *name)
{
    static const struct str older = {"apps-console/", 13};
    if (str_starts(*name, older)) *name = str_skip(*name, older.n);
    bool good = name->n > 0 && name->n <= NAME_BYTES;
    for (size_t i = 0; i < name->n && good; i++) {
        char c = name->s[i];
        good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '/' || c == '-';
    }
    return good ? NULL : err_new(arena, ERR_INVALID, "an event's name has 1 to %d characters of a-z0-9./-", NAME_BYTES);
}

static struct err *read_data(struct arena *arena, struct accepted *accepted)
{
    TRY(json_parse(arena, accepted->event.data, &accepted->json));
    return json_is_object(accepted->json) ? NULL : err_new(arena, ERR_INVALID, "an event's data is a JSON object");
}

static struct err *read_message(struct arena *arena, const struct flow_message *message, struct accepted *accepted)
{
    int64_t now = time_now();
    *accepted = (struct accepted){
        .event = {.workspace = message->workspace, .id = message->id, .name = message->name,
                  .data = message->data.n ? message->data : STR("{}"), .ts = message->ts ? message->ts : now,
                  .received_at = now},
        .cause = message->cause,
        .caused_by = message->caused_by.n ? utf8_repair(arena, message->caused_by) : (struct str){0},
        .parent_run = message->parent_run,
    };
    struct flow_event *event = &accepted->event;
    TRY(check_name(arena, &event->name));
    if (event->id.n > ID_BYTES || !utf8_valid(event->id))
        return err_new(arena, ERR_INVALID, "an event's id has at most %d bytes of UTF-8", ID_BYTES);
    if (event->data.n > FLOW_MAX_EVENT_BYTES)
        return err_new(arena, ERR_TOO_LARGE, "an event's data has at most %d bytes", FLOW_MAX_EVENT_BYTES);
    if (!event->id.n) event->id = id_new(arena, "evt_");
    return message->later ? NULL : read_data(arena, accepted);
}

struct err *flow_check_message(struct arena *arena, const struct flow_message *message)
{
    struct accepted accepted;
    return read_message(arena, message, &accepted);
}

/* *stored is false if an event with this name and id is there already. */
static struct err *store(struct db_tx *tx, struct accepted *accepted, bool awaited, bool pending, bool *stored)
{
    struct flow_event *e = &accepted->event;
    TRY(db_exec(tx,
                "INSERT INTO flow_event (workspace_id, id, name, data, ts, received_at, cause, caused_by, parent_run, "
                "awaited) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (workspace_id, id, name) DO NOTHING",
                e->workspace, e->id, e->name, e->data, e->ts, e->received_at, (int)accepted->cause, accepted->caused_by,
                accepted->parent_run, awaited));
    *stored = db_changes(tx) > 0;
    if (*stored) e->seq = db_inserted(tx);
    return *stored && pending ? db_exec(tx, "INSERT INTO flow_pending (event_seq) VALUES ($1)", e->seq) : NULL;
}

static struct err *accept(struct db_tx *tx, struct flow *flow, const struct flow_message *message,
                          enum flow_accepted *result)
{
    struct accepted accepted;
    bool            stored;
    TRY(read_message(tx->arena, message, &accepted));
    *result = FLOW_IGNORED;
    if (flow) {
        accepted.interest = flow_interest(flow, tx->arena, accepted.event.name);
        if (!accepted.interest) return NULL;
    }
    /* Without an engine nobody knows who waits: the event may be needed, and the engine that dispatches it knows. */
    bool awaited = !flow || accepted.interest->awaited;
    bool pending = !flow || message->later;
    TRY(store(tx, &accepted, awaited, pending, &stored));
    *result = stored ? FLOW_ACCEPTED : FLOW_DUPLICATE;
    if (!stored || !flow) return NULL;
    if (!pending) return flow_dispatch(tx, flow, &accepted);
    db_wake_when_committed(tx, flow_wake, flow);
    return NULL;
}

static void count(struct flow *flow, enum flow_accepted result)
{
    _Atomic uint64_t *const numbers[] = {&flow->accepted, &flow->duplicates, &flow->ignored};
    atomic_fetch_add_explicit(numbers[result], 1, memory_order_relaxed);
}

struct err *flow_send_many(struct db_tx *tx, const struct flow_message *messages, size_t n, enum flow_accepted *results)
{
    struct flow *flow = db_attached(tx->db);
    size_t       bytes = 0;
    if (n > FLOW_MAX_SEND)
        return err_new(tx->arena, ERR_TOO_LARGE, "at most %d events are sent at once", FLOW_MAX_SEND);
    for (size_t i = 0; i < n; i++) bytes += messages[i].data.n;
    if (bytes > FLOW_MAX_SEND_BYTES)
        return err_new(tx->arena, ERR_TOO_LARGE, "at most %d bytes of events are sent at once", FLOW_MAX_SEND_BYTES);
    for (size_t i = 0; i < n; i++) {
        enum flow_accepted result;
        TRY(accept(tx, flow, &messages[i], &result));
        if (results) results[i] = result;
        if (flow) count(flow, result);
    }
    return NULL;
}

struct err *flow_load_event(struct db_tx *tx, int64_t seq, struct flow_event *event)
{
    struct db_rows rows;
    *event = (struct flow_event){.seq = seq};
    TRY(db_query(tx, &rows, "SELECT workspace_id, id, name, data, ts, received_at FROM flow_event WHERE seq = $1",
                 seq));
    if (!db_next(&rows, &event->workspace, &event->id, &event->name, &event->data, &event->ts, &event->received_at))
        event->data = STR("{}"); /* swept: only runs that have ended lose theirs */
    return db_done(&rows);
}

static struct err *dispatch_stored(struct db_tx *tx, struct flow *flow, struct accepted *accepted, bool awaited)
{
    int64_t seq = accepted->event.seq;
    TRY(db_exec(tx, "DELETE FROM flow_pending WHERE event_seq = $1", seq));
    if (db_changes(tx) == 0) return NULL; /* another process was first */
    accepted->interest = flow_interest(flow, tx->arena, accepted->event.name);
    if (!accepted->interest) return db_exec(tx, "DELETE FROM flow_event WHERE seq = $1", seq);
    if (awaited != accepted->interest->awaited)
        TRY(db_exec(tx, "UPDATE flow_event SET awaited = $2 WHERE seq = $1", seq, accepted->interest->awaited));
    struct err *err = read_data(tx->arena, accepted);
    if (!err) return flow_dispatch(tx, flow, accepted);
    log_error("flow", "event " STR_FMT " has no runs: " STR_FMT, STR_ARG(accepted->event.id), STR_ARG(err->message));
    return NULL;
}

/* Events that were sent where no engine ran, or for later: their seq may be lower than that of dispatched ones. */
struct err *flow_dispatch_pending(struct db_tx *tx, struct flow *flow, int limit, bool *more)
{
    struct pending { struct accepted accepted; bool awaited; } row = {0};
    struct accepted *one = &row.accepted;
    VEC(struct pending) found = {0};
    struct db_rows  rows;
    int             cause;
    TRY(db_query(tx, &rows,
                 "SELECT seq, workspace_id, id, name, data, ts, received_at, cause, caused_by, parent_run, awaited "
                 "FROM flow_pending JOIN flow_event ON seq = event_seq ORDER BY event_seq LIMIT $1", limit));
    while (db_next(&rows, &one->event.seq, &one->event.workspace, &one->event.id, &one->event.name, &one->event.data,
                   &one->event.ts, &one->event.received_at, &cause, &one->caused_by, &one->parent_run, &row.awaited)) {
        one->cause = (enum flow_cause)cause;
        *VEC_PUSH(tx->arena, &found) = row;
    }
    TRY(db_done(&rows));
    for (size_t i = 0; i < found.n; i++)
        TRY(dispatch_stored(tx, flow, &found.at[i].accepted, found.at[i].awaited));
    *more = found.n == (size_t)limit;
    return NULL;
}
