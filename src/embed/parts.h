/* parts.h - what the files of embed/ know of each other: words, word pieces, rows of the table, HTTP providers. */
#pragma once
#include "embed/embed.h"

/* ---- words.c: lightfast-words-1, steps 1 to 3 --------------------------------------------------------------------- */

enum {
    EMBED_WORD_CHARS = 40,                   /* a longer word is dropped */
    EMBED_WORD_BYTES = EMBED_WORD_CHARS * 4,
    EMBED_WINDOW = 256,                      /* pieces of one text */
};

/* struct embed_words words = {.text = text}; while (embed_next_word(&words)) use words.word, words.n; */
struct embed_words {
    struct str text;
    size_t     at;                     /* next byte to look at */
    size_t     split_to;               /* end of the mixed-case word that is being taken apart */
    size_t     n;                      /* bytes of word */
    char       word[EMBED_WORD_BYTES]; /* lower case */
};
bool embed_next_word(struct embed_words *words);

/* ---- vocabulary.c: step 4 ----------------------------------------------------------------------------------------- */

/* Pieces of the text's words, at most limit. rest: where to go on reading, text.n when all was read; may be NULL. A text
 * is only ever left between two words, unless a single word has more than limit pieces. */
size_t embed_pieces_of(struct str text, uint32_t *ids, size_t limit, size_t *rest);

/* ---- table.c: rows -------------------------------------------------------------------------------------------------- */

enum { EMBED_TABLE_DIM = 256 };

struct embed_table {
    const int8_t *rows;   /* EMBED_TABLE_DIM each */
    const float  *scales;
    size_t        count;
    struct str    name;
};
/* The built-in table; its rows are not copied, `own` lives as long as the table. arena: for the error.
 * Errors: ERR_INTERNAL if the file in the program is not what this code reads. */
MUST_CHECK struct err *embed_table_open(struct arena *arena, struct arena *own, struct embed_table *table);

/* sum += rows of ids. */
void embed_table_add(const struct embed_table *table, const uint32_t *ids, size_t n, float sum[EMBED_TABLE_DIM]);

/* ---- maxsim.c ----------------------------------------------------------------------------------------------------------- */

struct embed_maxsim *embed_maxsim_create(const struct embed_table *table, struct arena *arena,
                                         const struct embed_word *words, size_t n); /* NULL: no word has a vector */

/* ---- passages.c: the views of an item -------------------------------------------------------------------------------- */

/* The next passage of a body, taken off it: as many whole paragraphs as fit; a paragraph that alone does not is cut.
 * `fits` tells for how many bytes of a text there is room (text.n: for all). */
typedef size_t (*embed_fits)(void *arg, struct str text);
struct str embed_next_passage(struct str *rest, embed_fits fits, void *arg);

/* Drops views without a vector and views equal to an earlier one, finds where the full view begins, takes its mean.
 * vectors[0] is the title's, the others are passages. */
void embed_views_collect(struct arena *arena, const struct embed_vector *vectors, size_t n, int dim,
                         struct embed_views *views);

/* ---- provider.c: vectors over HTTP ------------------------------------------------------------------------------------ */

struct embed_provider;
MUST_CHECK struct err *embed_provider_create(struct arena *arena, struct arena *own, struct embed_config config,
                                             struct embed_provider **provider); /* lives in own; arena: for the error */
struct str embed_provider_model(const struct embed_provider *provider);
int        embed_provider_dim(const struct embed_provider *provider);
MUST_CHECK struct err *embed_provider_texts(struct embed_provider *provider, struct arena *arena,
                                            const struct str *texts, size_t n, struct embed_vector *out);
