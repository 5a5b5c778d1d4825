/* control.c - what people do to runs: cancel, restart, resume, pause. */
#include "flow/parts.h"

#include "base/time.h"
#include "base/utf8.h"

#include <stdlib.h>

struct target {
    int64_t    workspace, event_seq;
    struct str status, function, event_name, data, input;
};

static struct err *read_target(struct db_tx *tx, int64_t run, struct target *target)
{
    struct db_rows rows;
    *target = (struct target){0};
    TRY(db_query(
        tx, &rows,
        "SELECT workspace_id, event_seq, status, function, event_name, data, input FROM flow_run WHERE id = $1", run));
    bool found = db_next(&rows, &target->workspace, &target->event_seq, &target->status, &target->function,
                         &target->event_name, &target->data, &target->input);
    TRY(db_done(&rows));
    return found ? NULL : err_new(tx->arena, ERR_NOT_FOUND, "there is no such job");
}

static bool is_finished(const struct target *target)
{
    static const struct str finished[] = {{"completed", 9}, {"failed", 6}, {"cancelled", 9}};
    for (size_t i = 0; i < 3; i++)
        if (str_eq(target->status, finished[i])) return true;
    return false;
}

struct err *flow_cancel(struct db_tx *tx, int64_t run, struct str reason)
{
    bool done;
    TRY(flow_cancel_run(tx, db_attached(tx->db), run, reason.n ? reason : STR("cancelled"), &done));
    return done ? NULL : err_new(tx->arena, ERR_CONFLICT, "the job has ended already");
}

struct err *flow_restart(struct db_tx *tx, int64_t run, struct str by, struct flow_job *fresh)
{
    struct flow  *flow = db_attached(tx->db);
    struct target t;
    TRY(read_target(tx, run, &t));
    if (!is_finished(&t)) return err_new(tx->arena, ERR_CONFLICT, "the job has not ended");
    struct new_run again = {.function = flow ? flow_function_named(flow, t.function) : NULL, .workspace = t.workspace,
                            .event_seq = t.event_seq, .replay_of = run, .event_name = t.event_name, .data = t.data,
                            .cause = FLOW_MANUAL, .caused_by = by, .input = t.input};
    if (!again.function) return err_new(tx->arena, ERR_CONFLICT, "no function of this program runs such a job");
    if (t.event_seq) TRY(flow_load_event(tx, t.event_seq, &again.event));
    if (t.event_seq && !again.event.id.s) { /* swept: the job's input stands for it */
        again.event_seq = 0;
        if (!again.data.s) again.data = t.input.s ? t.input : STR("{}");
    }
    TRY(json_parse(tx->arena,
                   again.data.s         ? again.data
                   : again.event.data.s ? again.event.data
                                        : STR("{}"),
                   &again.json));
    struct db_rows rows;
    int64_t        id;
    struct str     xid = {0};
    TRY(flow_run_insert(tx, flow, &again, &id));
    TRY(db_exec(
        tx, "INSERT INTO flow_run_event (run_id, event_seq) SELECT $1, event_seq FROM flow_run_event WHERE run_id = $2",
        id, run));
    TRY(db_exec(tx, "UPDATE flow_run SET event_count = (SELECT event_count FROM flow_run WHERE id = $2) WHERE id = $1",
                id, run));
    TRY(db_query(tx, &rows, "SELECT xid FROM flow_run WHERE id = $1", id));
    (void)db_next(&rows, &xid);
    TRY(db_done(&rows));
    return flow_job_get(tx, t.workspace, xid, fresh);
}

struct err *flow_resume(struct db_tx *tx, int64_t run)
{
    struct flow  *flow = db_attached(tx->db);
    struct target t;
    TRY(read_target(tx, run, &t));
    if (!is_finished(&t) || str_eq(t.status, STR("completed")))
        return err_new(tx->arena, ERR_CONFLICT, "only a failed or cancelled job is resumed");
    TRY(db_exec(tx, "DELETE FROM flow_step WHERE run_id = $1 AND status <> 'completed'", run));
    TRY(db_exec(
        tx,
        "UPDATE flow_run SET status = 'queued', queued = 1, wake_at = NULL, ready = $2 - advantage, failures = 0, "
        "crashes = 0, cancel_reason = NULL, error = NULL, completed_at = NULL, finish_at = NULL, updated_at = $2, "
        "steps = (SELECT count(*) FROM flow_step WHERE run_id = $1) WHERE id = $1",
        run, time_now()));
    if (flow) db_wake_when_committed(tx, flow_wake, flow);
    return NULL;
}

struct err *flow_pause(struct db_tx *tx, struct str function, bool paused)
{
    struct flow *flow = db_attached(tx->db);
    if (flow && !flow_function_named(flow, function))
        return err_new(tx->arena, ERR_NOT_FOUND, "there is no function " STR_FMT,
                       STR_ARG(utf8_repair(tx->arena, function)));
    if (flow) db_wake_when_committed(tx, flow_wake, flow);
    if (!paused) return db_exec(tx, "DELETE FROM flow_pause WHERE function = $1", function);
    return db_exec(tx, "INSERT INTO flow_pause (function, paused_at) VALUES ($1, $2) ON CONFLICT (function) DO NOTHING",
                   function, time_now());
}

/* ---- what there is to pause -------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct flow_function_record *one = a, *other = b;
    return strcmp(one->name, other->name);
}

static struct flow_function_record *record_of(struct flow_function_record *functions, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(name, str_of(functions[i].name))) return &functions[i];
    return NULL; /* queued by a program that had one more */
}

static struct err *read_paused(struct db_tx *tx, struct flow_function_record *functions, size_t n)
{
    struct db_rows rows;
    struct str     name;
    TRY(db_query(tx, &rows, "SELECT function FROM flow_pause"));
    while (db_next(&rows, &name)) {
        struct flow_function_record *found = record_of(functions, n, name);
        if (found) found->paused = true;
    }
    return db_done(&rows);
}

struct err *flow_function_list(struct db_tx *tx, struct flow_function_record **functions, size_t *n)
{
    struct flow                 *flow = db_attached(tx->db);
    struct flow_function_record *list = flow ? NEW_ARRAY(tx->arena, struct flow_function_record, flow->functions.n) : NULL;
    struct flow_queue_record    *queues;
    size_t                       queue_count;
    *n = 0;
    *functions = list;
    for (size_t i = 0; flow && i < flow->functions.n; i++) {
        const struct function *function = flow->functions.at[i];
        if (!function->follow_up)
            list[(*n)++] = (struct flow_function_record){.name = function->name, .system = function->table->system};
    }
    if (*n) qsort(list, *n, sizeof *list, by_name);
    TRY(read_paused(tx, list, *n));
    TRY(flow_queues(tx, &queues, &queue_count));
    for (size_t i = 0; i < queue_count; i++) {
        struct flow_function_record *found = record_of(list, *n, queues[i].function);
        if (found) found->queued = queues[i].queued;
    }
    return NULL;
}
