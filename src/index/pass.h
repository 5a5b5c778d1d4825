/* pass.h - one exact pass over all items: which pass the filter, how near each is, which are best. */
#pragma once
#include "index/columns.h"

/* ---- memory as long as the index, lent to one search at a time -------------------------------------------------- */

struct scratch {
    struct scratch *next;
    size_t          slots;
    float          *cover;   /* share of the query's idf */
    float          *floor;   /* the least score that an entity gives; only where held > 0 */
    uint16_t       *held;    /* query entities that the item holds */
    uint8_t        *passing; /* 1: passes the filter */
};

struct scratches; /* has its own lock */
struct scratches *index_scratches_create(void);
void              index_scratches_destroy(struct scratches *scratches); /* all given back */
struct scratch   *index_scratch_take(struct scratches *scratches, size_t slots); /* content undefined */
void              index_scratch_give(struct scratches *scratches, struct scratch *scratch);

/* ---- the filter ------------------------------------------------------------------------------------------------- */

/* passing[slot] for every slot, in `room`, or index->live where that says it all; NULL: every slot passes. */
const uint8_t *index_passing(const struct index *index, struct arena *arena, const struct index_filter *filter,
                             uint8_t *room);

/* ---- the scan --------------------------------------------------------------------------------------------------- */

struct pass {
    const struct index *index;
    struct embed_vector query;   /* of index_vectors_query */
    const uint8_t      *passing; /* NULL: every slot */
    float               title_share; /* of the first view beside the best */
};

/* best[i]: how near slot from + i is to the query, within 0..1: the largest cosine of its views, mixed with the first
 * one's by title_share. For slots that do not pass: some value in that range, or what was there before.
 * n <= PASS_SLOTS. */
enum { PASS_SLOTS = 256 };
void index_pass_best(const struct pass *pass, uint32_t from, uint32_t n, float *best);

/* ---- the best --------------------------------------------------------------------------------------------------- */

struct candidate {
    double   score;
    int64_t  time, id;
    uint32_t slot;
    float    vector;
};

/* The k best candidates so far: a heap whose root is the worst of them. */
struct best {
    struct candidate *at;
    size_t            n, k;
};

struct best index_best(struct arena *arena, size_t k);
void        index_best_offer(struct best *best, struct candidate candidate);
void        index_best_sort(struct best *best); /* score descending, newer, larger id, later slot; the heap is over */

/* What scores below this cannot enter, whatever its time. Lowered by what float loses against double. */
static inline float best_threshold(const struct best *best)
{
    return best->k && best->n == best->k ? (float)best->at[0].score - 1e-5f : best->k ? 0 : 2;
}

/* ---- over all slots --------------------------------------------------------------------------------------------- */

/* What one thread has found, or all together. Threads write theirs all the time: no two share a cache line, nor the
 * pair of lines that processors fetch together. */
struct found {
    _Alignas(128) struct best best;
    size_t total;
};

/* Rank slots [from, to) into `found`. Threads call it at once, with a `found` each and other slots. */
typedef void (*pass_fn)(const void *arg, struct found *found, uint32_t from, uint32_t to);

/* Every slot once, by several threads if the index is large: the k best in order, and the sum of the totals. Which
 * thread took which slots cannot be told from the result, for the order of candidates has no equals. */
struct best index_pass_run(const struct index *index, struct arena *arena, size_t k, pass_fn rank, const void *arg,
                           size_t *total);
