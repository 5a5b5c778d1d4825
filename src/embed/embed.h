/* embed.h - text to unit vectors.
 *
 * The built-in model is a static table of word pieces (data/model, described in its README): no network, no wait, a
 * few microseconds a text. An OpenAI-compatible HTTP provider may take its place by configuration. Vectors are kept
 * as int8 with one factor: x[i] * factor is the component of the unit vector.
 */
#pragma once
#include "base/err.h"

enum { EMBED_MAX_DIM = 4096, EMBED_MAX_PASSAGES = 8 };

struct embed_vector {
    const int8_t *x;    /* dim components; NULL: the text has no vector (no known piece) */
    float         norm; /* length of x as integers: cosine of two vectors = dot / (norm a * norm b) */
};

struct embed_config {
    struct str provider;                 /* "builtin", "openai", "ollama", "none" */
    struct str base_url, api_key, model; /* HTTP providers */
    int        dim;                      /* 0: as the provider answers first */
};

struct embed;
/* Errors: ERR_INVALID for an unknown provider or missing settings. */
MUST_CHECK struct err *embed_create(struct arena *arena, struct embed_config config, struct embed **embed);
void        embed_destroy(struct embed *embed);
struct str  embed_model(const struct embed *embed);  /* "engineering-256"; stored beside each vector */
int         embed_dim(const struct embed *embed);    /* 0 while an HTTP provider has not answered yet */
bool        embed_enabled(const struct embed *embed); /* false for provider "none" */
bool        embed_inline(const struct embed *embed);  /* true: embed_* never block, may run inside a transaction */

/* Vectors of n texts, written to out[0..n). query: texts are search queries, not documents (some models differ).
 * Errors (HTTP providers): ERR_UNAVAILABLE, ERR_TIMEOUT (10 s), ERR_INVALID (permanent rejection). */
MUST_CHECK struct err *embed_texts(struct embed *embed, struct arena *arena, bool query, const struct str *texts,
                                   size_t n, struct embed_vector *out);

/* The vector of a query whose words do not all count alike. For the built-in table: with a provider (not embed_inline) or
 * none the vector is NULL. Of more than 256 pieces the first ones count. */
struct embed_word { struct str text; float weight; };
struct embed_vector embed_words(const struct embed *embed, struct arena *arena, const struct embed_word *words, size_t n);

/* Late interaction: how much of a query a text says in whatever words. Each word of the query counts with the cosine of the
 * piece of the text (of its first 256) that is nearest to it; the mean by weight, 0 to 1. Of more than 16 words the first
 * ones count. NULL unless the built-in table is served and some word has a vector; one thread, lives in the arena. */
struct embed_maxsim;
struct embed_maxsim *embed_maxsim(const struct embed *embed, struct arena *arena, const struct embed_word *words, size_t n);
double               embed_maxsim_of(struct embed_maxsim *maxsim, struct str text);

/* The views of one item (spec/pipeline.md 8): first the title's, then one for each passage of "title, newline, body"
 * (cut at paragraphs, each after the title, at most EMBED_MAX_PASSAGES). A view equal to another is not repeated.
 * Views without a vector are left out, so there may be none. */
struct embed_views {
    struct embed_vector *at;
    size_t               n;
    size_t               full; /* index of the first passage of the full view; == n if there is none */
    struct embed_vector  mean; /* of the full view: what clusters and findsimilar compare; x == NULL if none */
};
MUST_CHECK struct err *embed_item(struct embed *embed, struct arena *arena, struct str title, struct str body,
                                  struct embed_views *views);

/* ---- arithmetic on vectors ------------------------------------------------------------------------------------- */

/* Round the vector v (any length > 0) to int8, largest component to 127. A zero vector gives x == NULL. */
struct embed_vector embed_quantise(struct arena *arena, const float *v, int dim);
float               embed_cosine(struct embed_vector a, struct embed_vector b, int dim); /* 0 if one has none */

/* Word pieces of a text, for tests and figures: ids in order, at most 256. */
size_t embed_pieces(struct str text, uint32_t ids[256]);
