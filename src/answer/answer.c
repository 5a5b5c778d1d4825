/* answer.c - one question from its engine to its answer. */
#include "answer/parts.h"

#include <stdlib.h>

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

const char *answer_engine(const struct answer *answer)
{
    return llm_enabled(answer->llm) ? "llm" : "extractive";
}

struct str answer_model(const struct answer *answer)
{
    return llm_enabled(answer->llm) ? llm_model(answer->llm, LLM_ANSWER) : STR("");
}

struct err *answer_ask(struct answer *answer, struct arena *arena, const struct answer_question *question,
                       struct answer_result *result)
{
    *result = (struct answer_result){0};
    TRY(extract(answer, arena, question, result));
    if (question->listener.text) question->listener.text(question->listener.arg, result->content);
    return NULL;
}
