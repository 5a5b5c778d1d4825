/* models.c - when a workspace's language models are asked: its settings llm.* (spec/pipeline.md 5, console.md 1.3). */
#include "memory/parts.h"

enum { LEAST_SCORE = 30 };

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
        .history = json_bool(settings, "llm.backfill", false),
        .least_score = (int)json_int(settings, "llm.minScore", LEAST_SCORE),
    };
    for (int task = 0; task < LLM_TASKS; task++) {
        struct llm_choice choice = llm_choice_of(memory->llm, settings, (enum llm_task)task);
        rules->on = choice.on;
        rules->monthly_tokens = choice.monthly_tokens;
        rules->models[task] = str_dup(tx->arena, choice.model);
    }
    return NULL;
}
