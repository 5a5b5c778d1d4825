/* similar.c - items near to a given one (spec/search-api.md 5): v + (1 - v)(0.20 e + 0.10 c). */
#include "index/pass.h"

#define ENTITY_SHARE 0.20
#define CLUSTER_SHARE 0.10

struct comparison {
    const struct index_similar_query *query;
    const struct index               *index;
    struct pass                       pass;
    const uint16_t                   *shared; /* entities in common, by slot; NULL: the source has none */
    size_t                            entity_count; /* distinct ones of the source */
};

/* Jaccard index of the entity sets, -1 if one of them is empty. */
static double overlap_of(const struct comparison *comparison, uint32_t slot)
{
    const uint32_t *first = comparison->index->first_entity + slot;
    size_t          own = first[1] - first[0];
    if (!own || !comparison->entity_count) return -1;
    double shared = comparison->shared[slot];
    return shared / ((double)own + (double)comparison->entity_count - shared);
}

static bool same_cluster(const struct comparison *comparison, uint32_t slot)
{
    return comparison->query->cluster && comparison->index->cluster[slot] == comparison->query->cluster;
}

static double score_of(const struct comparison *comparison, uint32_t slot, double vector)
{
    double overlap = overlap_of(comparison, slot);
    return vector + (1 - vector) * (ENTITY_SHARE * (overlap > 0 ? overlap : 0) +
                                    CLUSTER_SHARE * (same_cluster(comparison, slot) ? 1 : 0));
}

static void count_shared(struct comparison *comparison, uint16_t *shared)
{
    const struct index_similar_query *query = comparison->query;
    if (!query->entity_count || !comparison->index->count) return;
    memset(shared, 0, comparison->index->count * sizeof *shared);
    comparison->shared = shared;
    for (size_t i = 0; i < query->entity_count; i++) {
        bool repeated = false;
        for (size_t before = 0; before < i && !repeated; before++) repeated = query->entities[before] == query->entities[i];
        if (repeated) continue;
        comparison->entity_count++;
        const struct posting_list *list = index_postings_find(&comparison->index->postings, query->entities[i]);
        if (!list) continue;
        for (struct posting_cursor at = posting_cursor(list); posting_next(&at);) shared[at.slot]++;
    }
}

/* What the query leaves out does not pass. */
static const uint8_t *leave_out(const struct index *index, const struct index_similar_query *query,
                                const uint8_t *passing, uint8_t *room)
{
    if (!query->exclude_count || !index->count) return passing;
    if (passing != room) memcpy(room, index->live, index->count);
    for (size_t i = 0; i < query->exclude_count; i++) {
        uint32_t observation = index_slot(index, INDEX_OBSERVATION, query->exclude[i]);
        uint32_t document = index_slot(index, INDEX_DOCUMENT, query->exclude[i]);
        if (observation != UINT32_MAX) room[observation] = 0;
        if (document != UINT32_MAX) room[document] = 0;
    }
    return room;
}

static void rank(const void *arg, struct found *found, uint32_t from, uint32_t to)
{
    const struct comparison *comparison = arg;
    const struct index      *index = comparison->index;
    const struct pass       *pass = &comparison->pass;
    float                    vector[PASS_SLOTS] = {0};
    for (uint32_t n; from < to; from += n) {
        n = to - from < PASS_SLOTS ? to - from : PASS_SLOTS;
        if (pass->query.x) index_pass_best(pass, from, n, vector);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t slot = from + i;
            if (pass->passing && !pass->passing[slot]) continue;
            double score = score_of(comparison, slot, vector[i]);
            if (score < comparison->query->threshold || score < best_threshold(&found->best)) continue;
            index_best_offer(&found->best, (struct candidate){score, index->time[slot], index->id[slot], slot, vector[i]});
        }
    }
}

struct err *index_similar(struct index *index, struct arena *arena, const struct index_similar_query *query,
                          struct index_similar_hits *hits)
{
    if (query->entity_count > UINT16_MAX) return err_new(arena, ERR_TOO_LARGE, "too many entities to compare");
    struct scratch   *scratch = index_scratch_take(index->common.scratches, index->count);
    struct comparison comparison = {.query = query, .index = index};
    const uint8_t    *passing = index_passing(index, arena, &query->filter, scratch->passing);
    size_t            most = index_count(index) < INDEX_MAX_SIMILAR ? index_count(index) : INDEX_MAX_SIMILAR;
    comparison.pass = (struct pass){.index = index,
                                    .query = index_vectors_query(arena, &index->views, query->vector),
                                    .passing = leave_out(index, query, passing, scratch->passing)};
    count_shared(&comparison, scratch->held);
    struct best best = index_pass_run(index, arena, most, rank, &comparison).best;
    *hits = (struct index_similar_hits){.at = NEW_ARRAY(arena, struct index_similar_hit, best.n), .n = best.n};
    for (size_t i = 0; i < best.n; i++) {
        const struct candidate *found = &best.at[i];
        hits->at[i] = (struct index_similar_hit){
            .id = found->id,
            .kind = (enum index_kind)index->kind[found->slot],
            .score = found->score,
            .vector = found->vector,
            .overlap = overlap_of(&comparison, found->slot),
            .same_cluster = same_cluster(&comparison, found->slot),
            .time = found->time,
        };
    }
    index_scratch_give(index->common.scratches, scratch);
    return NULL;
}
