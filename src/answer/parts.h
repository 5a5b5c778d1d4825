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

/* ---- sources.c: what was found, numbered once ------------------------------------------------------------------------ */

struct sources {
    struct arena *arena;
    struct map   *numbers; /* id -> number */
    struct { struct answer_citation *at; size_t n, capacity; } list; /* number n is at[n - 1] */
};
struct sources sources_in(struct arena *arena);
/* The number of an item, a new one if its id is new. What was not known of it before is added. */
int  sources_add(struct sources *sources, const struct answer_citation *item);
/* 0: unknown. */
int  sources_find(const struct sources *sources, struct str id);
/* The cited ones by number, into the result. */
void sources_cited(const struct sources *sources, const bool *cited, struct answer_result *result);

/* ---- sentences.c ------------------------------------------------------------------------------------------------------ */

/* A sentence of prose in one line; `unit` numbers paragraphs and list items, whose sentences belong together. */
struct sentence { struct str text; size_t unit; };
struct sentences { struct sentence *at; size_t n, capacity; };
/* Code blocks, tables, trailers and comments of markup are no prose. At most `most` sentences. */
struct sentences sentences_of(struct arena *arena, struct str text, size_t most);

/* ---- extract.c -------------------------------------------------------------------------------------------------------- */

/* Answer by quoting; the result's engine, content, citations and considered are set. */
MUST_CHECK struct err *extract(struct answer *answer, struct arena *arena, const struct answer_question *question,
                               struct answer_result *result);
void warn(struct arena *arena, struct answer_result *result, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
