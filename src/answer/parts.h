/* parts.h - what the files of answer/ share. Not for other rooms. */
#pragma once
#include "answer/answer.h"
#include "base/hash.h"
#include "base/time.h"
#include "json/json.h"

struct answer {
    struct db     *db;
    struct search *search;
    struct embed  *embed;
    struct llm    *llm;
};

/* ---- sources.c: what was found, numbered once -------------------------------------------------------------------- */

struct sources {
    struct arena *arena;
    struct map   *numbers; /* id -> number */
    struct {
        struct answer_citation *at;
        size_t                  n, capacity;
    } list; /* number n is at[n - 1] */
};
/* The members that results of all kinds have under the same names; a score < 0: it was reached otherwise. */
#define CITATION_OF(item, found_score)                                                                                \
    ((struct answer_citation){.id = (item)->id,                                                                       \
                              .title = (item)->title,                                                                 \
                              .url = (item)->url,                                                                     \
                              .snippet = (item)->snippet,                                                             \
                              .source = (item)->source,                                                               \
                              .type = (item)->type,                                                                   \
                              .score = (found_score),                                                                 \
                              .occurred_at = (item)->occurred_at})
struct sources sources_in(struct arena *arena);
/* The number of an item, a new one if its id is new. What was not known of it before is added. */
int sources_add(struct sources *sources, const struct answer_citation *item);
/* 0: unknown. */
int sources_find(const struct sources *sources, struct str id);
/* The cited ones by number, into the result. */
void sources_cited(const struct sources *sources, const bool *cited, struct answer_result *result);

/* ---- sentences.c ------------------------------------------------------------------------------------------------- */

/* A sentence of prose in one line; `unit` numbers paragraphs and list items, whose sentences belong together. */
struct sentence {
    struct str text;
    size_t     unit;
};
struct sentences {
    struct sentence *at;
    size_t           n, capacity;
};
/* Code blocks, tables, trailers and comments of markup are no prose. At most `most` sentences. */
struct sentences sentences_of(struct arena *arena, struct str text, size_t most);

/* ---- extract.c --------------------------------------------------------------------------------------------------- */

/* Answer by quoting; the result's engine, content, citations and considered are set. */
MUST_CHECK struct err *answer_extract(struct answer *answer, struct arena *arena,
                                      const struct answer_question *question, struct answer_result *result);
void                   answer_warn(struct arena *arena, struct answer_result *result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- tools.c: what a model may do -------------------------------------------------------------------------------- */

enum { TOOLS = 5, TOOL_OUTPUT = 24 * 1024 /* bytes of one result */ };
extern const struct llm_tool answer_tools[TOOLS];

struct toolbox {
    struct answer                *answer;
    struct arena                 *arena;
    const struct answer_question *question;
    struct sources               *sources;
    int                           uses; /* run so far */
};
/* Run one use. Never fails: what went wrong is said in the output, for the model to do better. */
struct answer_step tool_run(struct toolbox *box, const struct llm_use *use, bool *failed);

/* ---- filters.c --------------------------------------------------------------------------------------------------- */

/* The filters a model gives, within those of the question: it may narrow what is searched, never widen it. Errors:
 * ERR_INVALID naming the member. */
MUST_CHECK struct err *filters_read(struct arena *arena, const json_value *value, const struct search_filters *within,
                                    struct search_filters *filters);

/* ---- cite.c: markers that have a source -------------------------------------------------------------------------- */

/* Text of a model on its way to the reader, as it comes. Markers [n] of known sources pass, in one form; others are
 * taken out and counted. A last paragraph "Rationale: ..." is kept apart. */
struct citer {
    struct arena         *arena;
    const struct sources *sources;
    int                   most;    /* different sources that may be cited */
    struct buf            waiting; /* not yet decided */
    struct buf            out, rationale;
    struct {
        bool  *at;
        size_t n, capacity;
    } cited; /* by number - 1 */
    int                           cited_count;
    size_t                        removed, told; /* told: bytes of out that the reader has */
    bool                          begun, at_line, fence, code, in_rationale;
    const struct answer_listener *listener; /* NULL: nobody */
};
struct citer citer_in(struct arena *arena, const struct sources *sources, int most);
void         citer_add(struct citer *citer, struct str text);
void         citer_end(struct citer *citer, struct answer_result *result);

/* ---- instructions.c ---------------------------------------------------------------------------------------------- */

MUST_CHECK struct err *answer_instructions(struct answer *answer, struct arena *arena,
                                           const struct answer_question *question, bool with_tools, struct str *text);

/* ---- model.c ----------------------------------------------------------------------------------------------------- */

/* Let the model answer. After an error of which no text was heard, quoting can still take its place. */
MUST_CHECK struct err *model_answer(struct answer *answer, struct arena *arena, const struct answer_question *question,
                                    struct llm_choice choice, struct answer_result *result, bool *heard);
bool                   answer_stopped(const struct answer_question *question);
