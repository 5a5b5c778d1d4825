/* usage.c - what each workspace uses of the models in a month, and the limit on it (spec/pipeline.md 10). */
#include "llm/inside.h"

#include "base/time.h"

static struct str this_month(struct arena *arena)
{
    return str_slice(time_format(arena, time_now()), 0, strlen("2026-11"));
}

struct recording {
    int64_t                 workspace;
    enum llm_task           task;
    const struct llm_usage *usage;
};

static struct err *record(struct db_tx *tx, void *arg)
{
    const struct recording *r = arg;
    return db_exec(tx,
                   "INSERT INTO llm_usage (workspace_id, month, task, calls, input_tokens, output_tokens, cost) "
                   "VALUES ($1, $2, $3, 1, $4, $5, $6) ON CONFLICT (workspace_id, month, task) DO UPDATE SET "
                   "calls = llm_usage.calls + 1, input_tokens = llm_usage.input_tokens + excluded.input_tokens, "
                   "output_tokens = llm_usage.output_tokens + excluded.output_tokens, "
                   "cost = llm_usage.cost + excluded.cost",
                   r->workspace, this_month(tx->arena), llm_task_name(r->task), r->usage->input_tokens,
                   r->usage->output_tokens, r->usage->cost);
}

struct err *llm_usage_record(struct db *db, struct arena *arena, int64_t workspace, enum llm_task task,
                             const struct llm_usage *usage)
{
    struct recording recording = {workspace, task, usage};
    if (!usage->input_tokens && !usage->output_tokens) return NULL;
    return db_write(db, arena, record, &recording);
}

struct err *llm_usage_month(struct db_tx *tx, int64_t workspace, struct llm_usage *usage)
{
    struct db_rows rows;
    *usage = (struct llm_usage){0};
    TRY(db_query(
        tx, &rows,
        "SELECT CAST(SUM(input_tokens) AS BIGINT), CAST(SUM(output_tokens) AS BIGINT), SUM(cost) FROM llm_usage "
        "WHERE workspace_id = $1 AND month = $2",
        workspace, this_month(tx->arena)));
    (void)db_next(&rows, &usage->input_tokens, &usage->output_tokens, &usage->cost);
    return db_done(&rows);
}

static struct err *check_month(void *arg, struct arena *arena, int64_t tokens)
{
    const struct llm_allowance *allowance = arg;
    struct db_tx *tx            DB_READ_SCOPE = NULL;
    struct llm_usage            used;
    TRY(db_read_begin(allowance->db, arena, &tx));
    TRY(llm_usage_month(tx, allowance->workspace, &used));
    if (used.input_tokens + used.output_tokens + tokens <= allowance->monthly_tokens) return NULL;
    return err_new(arena, ERR_RATE_LIMITED, "the workspace's %lld tokens of the month are used up",
                   (long long)allowance->monthly_tokens);
}

struct llm_budget llm_budget_of(struct llm_allowance *allowance)
{
    return allowance->monthly_tokens > 0 ? (struct llm_budget){check_month, allowance} : (struct llm_budget){0};
}

struct llm_choice llm_choice_of(const struct llm *llm, const json_value *settings, enum llm_task task)
{
    const json_value *models = json_get(settings, "llm.models");
    struct str provider = json_str(settings, "llm.provider"), model = json_str(models, llm_task_name(task));
    return (struct llm_choice){
        .on = llm_enabled(llm) && (!provider.n || str_eq(provider, llm_provider(llm))),
        .model = model.n ? model : json_str(models, "default"),
        .monthly_tokens = json_int(settings, "llm.monthlyTokens", 0),
    };
}
