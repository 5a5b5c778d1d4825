/* pass.c - filter, scan and heap of the pass, and its division between threads. */
#include "index/pass.h"

#include "index/crew.h"
#include "index/region.h"

#include <pthread.h>
#include <stdlib.h>

/* ---- scratch ---------------------------------------------------------------------------------------------------- */

struct scratches {
    pthread_mutex_t lock; /* guards free */
    struct scratch *free;
};

struct scratches *index_scratches_create(void)
{
    struct scratches *scratches = index_region_grow(NULL, 0, sizeof *scratches);
    pthread_mutex_init(&scratches->lock, NULL);
    return scratches;
}

static void scratch_free(struct scratch *scratch)
{
    index_region_free(scratch->cover, scratch->slots * sizeof *scratch->cover);
    index_region_free(scratch->floor, scratch->slots * sizeof *scratch->floor);
    index_region_free(scratch->held, scratch->slots * sizeof *scratch->held);
    index_region_free(scratch->passing, scratch->slots);
    index_region_free(scratch, sizeof *scratch);
}

void index_scratches_destroy(struct scratches *scratches)
{
    while (scratches->free) {
        struct scratch *scratch = scratches->free;
        scratches->free = scratch->next;
        scratch_free(scratch);
    }
    pthread_mutex_destroy(&scratches->lock);
    index_region_free(scratches, sizeof *scratches);
}

struct scratch *index_scratch_take(struct scratches *scratches, size_t slots)
{
    pthread_mutex_lock(&scratches->lock);
    struct scratch *scratch = scratches->free;
    if (scratch) scratches->free = scratch->next;
    pthread_mutex_unlock(&scratches->lock);
    if (!scratch) scratch = index_region_grow(NULL, 0, sizeof *scratch);
    if (slots <= scratch->slots) return scratch;
    size_t had = scratch->slots;
    scratch->cover = index_region_grow(scratch->cover, had * sizeof *scratch->cover, slots * sizeof *scratch->cover);
    scratch->floor = index_region_grow(scratch->floor, had * sizeof *scratch->floor, slots * sizeof *scratch->floor);
    scratch->held = index_region_grow(scratch->held, had * sizeof *scratch->held, slots * sizeof *scratch->held);
    scratch->passing = index_region_grow(scratch->passing, had, slots);
    scratch->slots = slots;
    return scratch;
}

void index_scratch_give(struct scratches *scratches, struct scratch *scratch)
{
    pthread_mutex_lock(&scratches->lock);
    scratch->next = scratches->free;
    scratches->free = scratch;
    pthread_mutex_unlock(&scratches->lock);
}

/* ---- filter ----------------------------------------------------------------------------------------------------- */

struct choice {
    const struct names *names;
    const uint32_t     *column;
    const struct str   *values;
    size_t              count;
};

static void keep_values(uint8_t *passing, size_t slots, struct arena *arena, struct choice choice)
{
    if (!choice.count) return;
    uint8_t *allowed = NEW_ARRAY(arena, uint8_t, choice.names->live.n + 1);
    for (size_t i = 0; i < choice.count; i++) {
        uint32_t number = index_name_number(choice.names, choice.values[i]);
        if (number != UINT32_MAX) allowed[number] = 1;
    }
    for (size_t slot = 0; slot < slots; slot++) passing[slot] &= allowed[choice.column[slot]];
}

static void keep_times(uint8_t *passing, const struct index *index, const struct index_filter *filter)
{
    int64_t start = filter->has_start ? filter->start : INT64_MIN, end = filter->has_end ? filter->end : INT64_MAX;
    if (!filter->has_start && !filter->has_end) return;
    for (size_t slot = 0; slot < index->count; slot++)
        passing[slot] &= (index->time[slot] >= start) & (index->time[slot] <= end);
}

static void mark_ids(uint8_t *passing, const struct index *index, const int64_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t observation = index_slot(index, INDEX_OBSERVATION, ids[i]);
        uint32_t document = index_slot(index, INDEX_DOCUMENT, ids[i]);
        if (observation != UINT32_MAX) passing[observation] = 1;
        if (document != UINT32_MAX) passing[document] = 1;
    }
}

static bool has_filter(const struct index_filter *filter)
{
    return filter->no_match || filter->source_count || filter->type_count || filter->actor_count || filter->store_count ||
           filter->has_start || filter->has_end || filter->only;
}

const uint8_t *index_passing(const struct index *index, struct arena *arena, const struct index_filter *filter,
                             uint8_t *room)
{
    if (!has_filter(filter)) return index->dead ? index->live : NULL;
    if (!index->count) return NULL;
    if (filter->only || filter->no_match) memset(room, 0, index->count);
    else memcpy(room, index->live, index->count);
    if (filter->no_match) return room;
    if (filter->only) mark_ids(room, index, filter->only, filter->only_count);
    const struct choice choices[] = {
        {&index->sources, index->source, filter->sources, filter->source_count},
        {&index->types, index->type, filter->types, filter->type_count},
        {&index->actors, index->actor, filter->actors, filter->actor_count},
        {&index->stores, index->store, filter->stores, filter->store_count},
    };
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) keep_values(room, index->count, arena, choices[i]);
    keep_times(room, index, filter);
    return room;
}

/* ---- scan ------------------------------------------------------------------------------------------------------- */

/* Most items have one or two views: both are compared without a branch that the processor could guess wrong. */
static inline float largest(const float *cosines, uint32_t n)
{
    float best = cosines[0], last = cosines[n - 1];
    best = last > best ? last : best;
    for (uint32_t i = 1; i + 1 < n; i++) best = cosines[i] > best ? cosines[i] : best;
    return best;
}

static void clamp(float *values, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        float value = values[i] > 0 ? values[i] : 0;
        values[i] = value < 1 ? value : 1;
    }
}

/* The first view is the title's. */
static inline float mixed(const struct pass *pass, float best, float first)
{
    return best + pass->title_share * ((first > 0 ? first : 0) - best);
}

/* An item that alone has more views than fit. */
static float best_of_many(const struct pass *pass, uint32_t from, uint32_t end)
{
    float cosines[VECTORS_AT_ONCE], best = 0, first = 0;
    for (uint32_t view = from, n; view < end; view += n) {
        n = end - view < VECTORS_AT_ONCE ? end - view : VECTORS_AT_ONCE;
        index_vectors_cosines(&pass->index->views, pass->query, view, n, cosines);
        float here = largest(cosines, n);
        if (view == from) first = cosines[0];
        best = here > best ? here : best;
    }
    best = mixed(pass, best, first);
    return best < 1 ? best : 1;
}

/* A run of slots that all pass: their views are contiguous. Returns how many slots were done. */
static uint32_t best_of_run(const struct pass *pass, uint32_t from, uint32_t n, float *best)
{
    float           cosines[VECTORS_AT_ONCE];
    const uint32_t *first = pass->index->first_view + from;
    uint32_t        done = n;
    while (done && first[done] - first[0] > VECTORS_AT_ONCE) done--;
    if (!done) {
        best[0] = best_of_many(pass, first[0], first[1]);
        return 1;
    }
    index_vectors_cosines(&pass->index->views, pass->query, first[0], first[done] - first[0], cosines);
    for (uint32_t i = 0; i < done; i++) {
        uint32_t views = first[i + 1] - first[i];
        float   *own = cosines + (first[i] - first[0]);
        best[i] = views ? mixed(pass, largest(own, views), own[0]) : 0;
    }
    clamp(best, done);
    return done;
}

static void best_of_slots(const struct pass *pass, uint32_t from, uint32_t n, float *best)
{
    for (uint32_t i = 0; i < n;) i += best_of_run(pass, from + i, n - i, best + i);
}

/* Scattered slots: their rows are asked for together, so that one wait covers all. */
static void prefetch_passing(const struct pass *pass, uint32_t from, uint32_t n, const uint8_t *passing)
{
    const struct vectors *views = &pass->index->views;
    const uint32_t       *first = pass->index->first_view + from;
    size_t                most = 2 * (size_t)views->stride; /* two views; of more the processor notices the pattern */
    for (uint32_t i = 0; i < n; i++) {
        if (!passing[i]) continue;
        size_t bytes = (first[i + 1] - first[i]) * (size_t)views->stride;
        for (size_t at = 0; at < (bytes < most ? bytes : most); at += 64)
            __builtin_prefetch(vectors_row(views, first[i]) + at);
    }
}

void index_pass_best(const struct pass *pass, uint32_t from, uint32_t n, float *best)
{
    enum { DENSE = 6 }; /* from one slot in so many on, reading all rows in order is faster than picking (measured) */
    const uint8_t *passing = pass->passing ? pass->passing + from : NULL;
    uint32_t       count = 0;
    for (uint32_t i = 0; passing && i < n; i++) count += passing[i];
    if (!passing || count * DENSE >= n) {
        best_of_slots(pass, from, n, best);
        return;
    }
    if (!count) return;
    prefetch_passing(pass, from, n, passing);
    for (uint32_t i = 0, end; i < n; i = end) {
        for (end = i + 1; passing[i] && end < n && passing[end];) end++;
        if (passing[i]) best_of_slots(pass, from + i, end - i, best + i);
    }
}

/* ---- best ------------------------------------------------------------------------------------------------------- */

static bool better(const struct candidate *a, const struct candidate *b)
{
    if (a->score != b->score) return a->score > b->score;
    if (a->time != b->time) return a->time > b->time;
    if (a->id != b->id) return a->id > b->id;
    return a->slot > b->slot;
}

struct best index_best(struct arena *arena, size_t k)
{
    return (struct best){.at = NEW_ARRAY(arena, struct candidate, k), .k = k};
}

static void sink(struct best *best)
{
    struct candidate moving = best->at[0];
    size_t           i = 0;
    for (size_t child; (child = 2 * i + 1) < best->n; i = child) {
        if (child + 1 < best->n && better(&best->at[child], &best->at[child + 1])) child++;
        if (!better(&moving, &best->at[child])) break;
        best->at[i] = best->at[child];
    }
    best->at[i] = moving;
}

void index_best_offer(struct best *best, struct candidate candidate)
{
    if (best->n == best->k) {
        if (!best->k || !better(&candidate, &best->at[0])) return;
        best->at[0] = candidate;
        sink(best);
        return;
    }
    size_t i = best->n++;
    for (; i && better(&best->at[(i - 1) / 2], &candidate); i = (i - 1) / 2) best->at[i] = best->at[(i - 1) / 2];
    best->at[i] = candidate;
}

static int by_rank(const void *a, const void *b)
{
    return better(b, a) - better(a, b);
}

void index_best_sort(struct best *best)
{
    qsort(best->at, best->n, sizeof *best->at, by_rank);
    best->k = best->n;
}

/* ---- over all slots --------------------------------------------------------------------------------------------- */

struct division {
    uint32_t      count, range;
    pass_fn       rank;
    const void   *arg;
    struct found *found; /* by member of the crew */
};

static void rank_range(void *arg, size_t member, size_t range)
{
    const struct division *division = arg;
    uint32_t               from = (uint32_t)range * division->range, left = division->count - from;
    division->rank(division->arg, &division->found[member], from, from + (left < division->range ? left : division->range));
}

static void merge(struct found *all, const struct found *part)
{
    all->total += part->total;
    for (size_t i = 0; i < part->best.n; i++) index_best_offer(&all->best, part->best.at[i]);
}

struct best index_pass_run(const struct index *index, struct arena *arena, size_t k, pass_fn rank, const void *arg,
                           size_t *total)
{
    struct crew_options options = index_crew_options(index->common.crew);
    struct found        found[CREW_MOST] = {{.best = index_best(arena, k)}};
    uint32_t            count = (uint32_t)index->count;
    if (index->views.count < options.least_views || options.members == 1) {
        rank(arg, &found[0], 0, count);
    } else {
        struct division division = {count, (uint32_t)options.range, rank, arg, found};
        for (size_t i = 1; i < options.members; i++) found[i].best = index_best(arena, k);
        index_crew_run(index->common.crew, (index->count + options.range - 1) / options.range, rank_range, &division);
        for (size_t i = 1; i < options.members; i++) merge(&found[0], &found[i]);
    }
    index_best_sort(&found[0].best);
    *total = found[0].total;
    return found[0].best;
}
