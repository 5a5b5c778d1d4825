/* search.c - the merged score of spec/search-api.md 3.1, for every item. */
#include "index/pass.h"

#define ENTITY_BOOST 0.20
#define FURTHER_ENTITY_BOOST 0.05
#define LARGEST_ENTITY_BOOST 0.30
#define ENTITY_FLOOR 0.85 /* x confidence: the least score of an item that holds a query entity */
#define CLUSTER_BOOST 0.05
#define ACTOR_BOOST 0.10
#define LEADER_DECAY 0.75f /* each leader tells as much of what the one before it does */

struct search {
    const struct index_query *query;
    const struct index       *index;
    struct scratch           *scratch;
    struct pass               pass;
    bool                      has_cover, has_entities, has_boosts;
    const uint8_t            *mentioned; /* by actor number; NULL: none */
    float                     most_boost; /* that an item without entities of the query can have */
};

/* ---- before the pass: terms and entities from the postings ------------------------------------------------------ */

/* Lists that matter here are long and so dense that eight differences in a row are single bytes: no branch for each. */
static void add_share(float *cover, const struct posting_list *list, float share)
{
    enum { ROW = 8 };
    struct posting_cursor at = posting_cursor(list);
    while (at.end - at.next >= ROW) {
        uint64_t row;
        memcpy(&row, at.next, ROW);
        if (row & 0x8080808080808080u) {
            posting_next(&at);
            cover[at.slot] += share;
            continue;
        }
        for (int i = 0; i < ROW; i++) cover[at.slot += at.next[i]] += share;
        at.next += ROW;
    }
    while (posting_next(&at)) cover[at.slot] += share;
}

static void add_cover(struct search *search, struct arena *arena, struct index_hits *hits)
{
    const struct index_query *query = search->query;
    const struct index       *index = search->index;
    double                   *idf = NEW_ARRAY(arena, double, query->term_count), sum = 0;
    const struct posting_list **lists = NEW_ARRAY(arena, const struct posting_list *, query->term_count);
    for (size_t i = 0; i < query->term_count; i++) {
        lists[i] = index_postings_find(&index->postings, query->terms[i]);
        size_t df = index_live_postings(index, lists[i]);
        if (df) search->has_cover = true;
        sum += idf[i] = index_idf_of(index, df);
    }
    hits->keyword_found = search->has_cover;
    if (!search->has_cover) return;
    float *cover = search->scratch->cover;
    memset(cover, 0, index->count * sizeof *cover);
    for (size_t i = 0; i < query->term_count; i++) {
        if (lists[i]) add_share(cover, lists[i], (float)(idf[i] / sum));
    }
}

static bool seen_before(const struct index_query *query, size_t entity)
{
    for (size_t i = 0; i < entity; i++)
        if (query->entities[i].hash == query->entities[entity].hash) return true;
    return false;
}

static void add_entities(struct search *search, struct index_hits *hits)
{
    const struct index_query *query = search->query;
    struct scratch           *scratch = search->scratch;
    for (size_t i = 0; i < query->entity_count; i++) {
        const struct posting_list *list = index_postings_find(&search->index->postings, query->entities[i].hash);
        if (!index_live_postings(search->index, list) || seen_before(query, i)) continue;
        if (!search->has_entities) memset(scratch->held, 0, search->index->count * sizeof *scratch->held);
        search->has_entities = hits->entity_found = true;
        float least = (float)(ENTITY_FLOOR * query->entities[i].confidence);
        for (struct posting_cursor at = posting_cursor(list); posting_next(&at);) {
            bool first = !scratch->held[at.slot]++;
            if (first || least > scratch->floor[at.slot]) scratch->floor[at.slot] = least;
        }
    }
}

static void mark_mentioned(struct search *search, struct arena *arena)
{
    const struct names *actors = &search->index->actors;
    if (!search->query->mentioned_count) return;
    uint8_t *mentioned = NEW_ARRAY(arena, uint8_t, actors->live.n + 1);
    for (size_t i = 0; i < search->query->mentioned_count; i++) {
        uint32_t number = index_name_number(actors, search->query->mentioned_actors[i]);
        if (number != UINT32_MAX && number != 0) mentioned[number] = 1;
    }
    search->mentioned = mentioned;
}

/* ---- the pass --------------------------------------------------------------------------------------------------- */

static bool in_cluster(const struct index_query *query, int64_t cluster)
{
    if (!cluster) return false;
    for (size_t i = 0; i < query->cluster_count; i++)
        if (query->clusters[i] == cluster) return true;
    return false;
}

static double cover_of(const struct search *search, uint32_t slot)
{
    float cover = search->has_cover ? search->scratch->cover[slot] : 0;
    return cover < 1 ? cover : 1;
}

static double score_of(const struct search *search, uint32_t slot, double vector)
{
    const struct index_query *query = search->query;
    const struct index       *index = search->index;
    double score = (vector + query->cover_weight * cover_of(search, slot)) / (1 + query->cover_weight);
    if (search->has_entities && search->scratch->held[slot]) {
        double boost = ENTITY_BOOST + FURTHER_ENTITY_BOOST * (search->scratch->held[slot] - 1);
        score += boost < LARGEST_ENTITY_BOOST ? boost : LARGEST_ENTITY_BOOST;
        if (score < search->scratch->floor[slot]) score = search->scratch->floor[slot];
    }
    if (in_cluster(query, index->cluster[slot])) score += CLUSTER_BOOST;
    if (search->mentioned && search->mentioned[index->actor[slot]]) score += ACTOR_BOOST;
    if (query->has_period && index->time[slot] >= query->period_start && index->time[slot] <= query->period_end)
        score += query->period_boost;
    return score < 1 ? score : 1;
}

static void offer(const struct search *search, struct best *best, uint32_t slot, float vector, double score)
{
    const struct index *index = search->index;
    index_best_offer(best, (struct candidate){.score = score,
                                              .time = index->time[slot],
                                              .id = index->id[slot],
                                              .slot = slot,
                                              .vector = vector});
}

/* What v and c give each slot, in floats and without boosts; 0 for those that do not pass. Returns the most. */
static float merge(const struct search *search, uint32_t from, uint32_t n, const float *vector, float *merged)
{
    float          weight = (float)search->query->cover_weight, scale = 1 / (1 + weight), most = 0;
    const uint8_t *passing = search->pass.passing ? search->pass.passing + from : NULL;
    const float   *cover = search->has_cover ? search->scratch->cover + from : NULL;
    for (uint32_t i = 0; i < n; i++) merged[i] = scale * vector[i];
    for (uint32_t i = 0; cover && i < n; i++) merged[i] += scale * weight * (cover[i] < 1 ? cover[i] : 1);
    for (uint32_t i = 0; passing && i < n; i++) merged[i] = passing[i] ? merged[i] : 0;
    for (uint32_t i = 0; i < n; i++) most = merged[i] > most ? merged[i] : most;
    return most;
}

/* Only slots that may enter the heap are scored exactly. A slot without v and c may still have a boost. */
static void rank_boosted(const struct search *search, struct found *found, uint32_t from, uint32_t n, const float *vector)
{
    float           merged[PASS_SLOTS];
    float           most = search->most_boost;
    const uint16_t *held = search->has_entities ? search->scratch->held + from : NULL;
    merge(search, from, n, vector, merged);
    for (uint32_t i = 0; i < n; i++) {
        float least = best_threshold(&found->best);
        bool  open = !merged[i] || (held && held[i]) || merged[i] + most >= least;
        if (!open) {
            found->total++;
            continue;
        }
        if (search->pass.passing && !search->pass.passing[from + i]) continue;
        double score = score_of(search, from + i, vector[i]);
        if (score <= 0) continue;
        found->total++;
        if (score >= least) offer(search, &found->best, from + i, vector[i], score);
    }
}

static void rank_plain(const struct search *search, struct found *found, uint32_t from, uint32_t n, const float *vector)
{
    float    merged[PASS_SLOTS], most = merge(search, from, n, vector, merged);
    uint32_t positive = 0;
    for (uint32_t i = 0; i < n; i++) positive += merged[i] > 0;
    found->total += positive;
    if (most <= 0 || most < best_threshold(&found->best)) return;
    for (uint32_t i = 0; i < n; i++)
        if (merged[i] > 0 && merged[i] >= best_threshold(&found->best))
            offer(search, &found->best, from + i, vector[i], score_of(search, from + i, vector[i]));
}

static void rank(const void *arg, struct found *found, uint32_t from, uint32_t to)
{
    const struct search *search = arg;
    float                vector[PASS_SLOTS] = {0};
    for (uint32_t n; from < to; from += n) {
        n = to - from < PASS_SLOTS ? to - from : PASS_SLOTS;
        if (search->pass.query.x) index_pass_best(&search->pass, from, n, vector);
        if (search->has_boosts) rank_boosted(search, found, from, n, vector);
        else rank_plain(search, found, from, n, vector);
    }
}

/* Lives in the arena, for the index may be dropped before the hits are. */
static struct str type_of(const struct index *index, struct arena *arena, uint32_t slot)
{
    struct str name = {NULL, 0};
    if (index->type[slot]) map_entry(index->types.numbers, index->type[slot] - 1, &name);
    return str_dup(arena, name);
}

static void report(const struct search *search, const struct best *best, struct arena *arena, struct index_hits *hits)
{
    const struct index *index = search->index;
    hits->n = best->n;
    hits->at = NEW_ARRAY(arena, struct index_hit, hits->n);
    for (size_t i = 0; i < hits->n; i++) {
        const struct candidate *candidate = &best->at[i];
        uint32_t                slot = candidate->slot;
        hits->at[i] = (struct index_hit){
            .id = candidate->id,
            .kind = (enum index_kind)index->kind[slot],
            .type = type_of(index, arena, slot),
            .score = candidate->score,
            .vector = candidate->vector,
            .cover = cover_of(search, slot),
            .time = candidate->time,
            .cluster = index->cluster[slot],
            .significance = index->significance[slot],
            .entities = search->has_entities ? search->scratch->held[slot] : 0,
        };
    }
}

/* ---- feedback --------------------------------------------------------------------------------------------------- */

/* What the leaders have in common: the sum of their vectors, each as long as its score and its place are worth. */
static struct embed_vector common_vector(const struct index *index, struct arena *arena, const struct index_hits *hits,
                                         size_t leaders)
{
    int    dim = index->views.dim;
    float *sum = NEW_ARRAY(arena, float, dim), place = 1;
    for (size_t i = 0; i < leaders && i < hits->n; i++, place *= LEADER_DECAY) {
        struct embed_vector vector;
        if (!index_item_vector(index, arena, hits->at[i].kind, hits->at[i].id, &vector)) continue;
        float length = place * (float)hits->at[i].score / vector.norm;
        for (int d = 0; d < dim; d++) sum[d] += length * (float)vector.x[d];
    }
    return dim ? embed_quantise(arena, sum, dim) : (struct embed_vector){0};
}

static void add_feedback(const struct index *index, struct arena *arena, const struct best *best, size_t leaders,
                         struct index_hits *hits)
{
    struct embed_vector common = common_vector(index, arena, hits, leaders);
    struct pass         pass = {.index = index, .query = index_vectors_query(arena, &index->views, common)};
    if (!pass.query.x) return;
    for (size_t i = 0; i < hits->n; i++) {
        float nearest;
        index_pass_best(&pass, best->at[i].slot, 1, &nearest);
        hits->at[i].feedback = nearest;
    }
}

struct err *index_search(struct index *index, struct arena *arena, const struct index_query *query,
                         struct index_hits *hits)
{
    *hits = (struct index_hits){0};
    if (!(query->cover_weight >= 0)) return err_new(arena, ERR_INVALID, "the weight of the cover is negative");
    if (!(query->title_share >= 0 && query->title_share <= 1))
        return err_new(arena, ERR_INVALID, "the share of the title is not within 0 and 1");
    if (!(query->period_boost >= 0 && query->period_boost <= 1))
        return err_new(arena, ERR_INVALID, "the boost of the period is not within 0 and 1");
    if (query->entity_count > UINT16_MAX) return err_new(arena, ERR_TOO_LARGE, "too many entities in a query");
    struct scratch *scratch = index_scratch_take(index->common.scratches, index->count);
    struct search   search = {.query = query, .index = index, .scratch = scratch};
    search.pass = (struct pass){.index = index,
                                .query = index_vectors_query(arena, &index->views, query->vector),
                                .passing = index_passing(index, arena, &query->filter, scratch->passing),
                                .title_share = (float)query->title_share};
    hits->vector_used = search.pass.query.x != NULL;
    add_cover(&search, arena, hits);
    add_entities(&search, hits);
    mark_mentioned(&search, arena);
    search.has_boosts = search.has_entities || search.mentioned || query->cluster_count || query->has_period;
    search.most_boost = (float)((search.mentioned ? ACTOR_BOOST : 0) + (query->cluster_count ? CLUSTER_BOOST : 0) +
                                (query->has_period ? query->period_boost : 0));
    size_t k = query->k < index_count(index) ? query->k : index_count(index);
    struct best best = index_pass_run(index, arena, k, rank, &search, &hits->total);
    report(&search, &best, arena, hits);
    if (query->leaders && hits->vector_used) add_feedback(index, arena, &best, query->leaders, hits);
    index_scratch_give(index->common.scratches, scratch);
    return NULL;
}
