/* answer.c - one question from its engine to its answer. */
#include "answer/parts.h"

#include "base/log.h"

#include <stdlib.h>

enum { DEFAULT_SOURCES = 8 };
#define DEFAULT_TIME SECONDS(60)

struct answer *answer_create(struct answer_config config)
{
    struct answer *answer = calloc(1, sizeof *answer);
    if (!answer) abort();
    *answer = (struct answer){config.db, config.search, config.embed, config.llm};
    return answer;
}

void answer_destroy(struct answer *answer)
{
    free(answer);
}

static struct llm_choice choose(const struct answer *answer, struct arena *arena, struct str settings)
{
    const json_value *root;
    if (!settings.n || json_parse(arena, settings, &root)) root = NULL;
    return llm_choice_of(answer->llm, root, LLM_ANSWER);
}

const char *answer_engine(const struct answer *answer, struct arena *arena, struct str settings, struct str *model)
{
    struct llm_choice choice = choose(answer, arena, settings);
    *model = !choice.on ? STR("") : choice.model.n ? choice.model : llm_model(answer->llm, LLM_ANSWER);
    return choice.on ? "llm" : "extractive";
}

/* Quoting, after a model that failed or without one. */
static struct err *quote(struct answer *answer, struct arena *arena, const struct answer_question *question,
                         struct answer_result *result)
{
    TRY(answer_extract(answer, arena, question, result));
    const struct answer_listener *listener = &question->listener;
    if (listener->sources && result->citation_count)
        listener->sources(listener->arg, result->citations, result->citation_count);
    if (listener->text) listener->text(listener->arg, result->content);
    return NULL;
}

/* Tokens count also when the answer failed. */
static void record_usage(struct answer *answer, struct arena *arena, const struct answer_question *question,
                         const struct answer_result *result)
{
    struct err *failed = llm_usage_record(answer->db, arena, question->workspace, LLM_ANSWER, &result->usage);
    if (failed) log_warn("answer", "tokens were not counted: " STR_FMT, STR_ARG(err_text(arena, failed)));
}

struct err *answer_ask(struct answer *answer, struct arena *arena, const struct answer_question *asked,
                       struct answer_result *result)
{
    struct answer_question question = *asked;
    bool                   heard = false;
    *result = (struct answer_result){0};
    if (question.most_sources <= 0) question.most_sources = DEFAULT_SOURCES;
    if (question.time_ms <= 0) question.time_ms = DEFAULT_TIME;
    struct llm_choice choice = choose(answer, arena, question.settings);
    if (!choice.on) return quote(answer, arena, &question, result);
    struct err *failed = model_answer(answer, arena, &question, choice, result, &heard);
    record_usage(answer, arena, &question, result);
    if (!failed) return NULL;
    if (answer_stopped(&question)) return err_new(arena, ERR_CANCELLED, "The answer was stopped");
    log_warn("answer", "the model's answer failed: " STR_FMT, STR_ARG(err_text(arena, failed)));
    if (heard) return err_new(arena, ERR_UNAVAILABLE, "The language model broke off in the middle of its answer");
    result->warnings.n = 0;
    answer_warn(arena, result, "The language model gave no answer, so passages are quoted");
    return quote(answer, arena, &question, result);
}
