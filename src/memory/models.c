/* models.c - when a workspace's language models are asked: its settings llm.* (spec/pipeline.md 5, console.md 1.3). */
#include "memory/parts.h"

enum { LEAST_SCORE = 30 };

/* The server has the key of one provider: a workspace may choose among its models, or do without. */
static bool is_on(const struct memory *memory, const json_value *settings)
{
    struct str provider = json_str(settings, "llm.provider");
    return !provider.n || str_eq(provider, llm_provider(memory->llm));
}

static void read_models(struct arena *arena, const json_value *settings, struct model_rules *rules)
{
    const json_value *models = json_get(settings, "llm.models");
    for (int task = 0; task < LLM_TASKS; task++) {
        struct str model = json_str(models, llm_task_name((enum llm_task)task));
        rules->models[task] = str_dup(arena, model.n ? model : json_str(models, "default"));
    }
}

struct err *models_rules(struct db_tx *tx, const struct memory *memory, int64_t workspace, struct model_rules *rules)
{
    struct db_rows    rows;
    struct str        text = {NULL, 0};
    const json_value *settings = NULL;
    *rules = (struct model_rules){0};
    if (!llm_enabled(memory->llm)) return NULL;
    TRY(db_query(tx, &rows, "SELECT settings FROM workspace WHERE id = $1", workspace));
    (void)db_next(&rows, &text);
    TRY(db_done(&rows));
    if (text.n && json_parse(tx->arena, text, &settings)) settings = NULL;
    *rules = (struct model_rules){
        .on = is_on(memory, settings),
        .history = json_bool(settings, "llm.backfill", false),
        .least_score = (int)json_int(settings, "llm.minScore", LEAST_SCORE),
        .monthly_tokens = json_int(settings, "llm.monthlyTokens", 0),
    };
    read_models(tx->arena, settings, rules);
    return NULL;
}
