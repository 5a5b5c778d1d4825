/* index_world.h - the index against the same thing computed plainly from what was written: for thousands of random
 * writes, searches must give what a loop over all items gives. Part of index_test.c. */
#pragma once

enum { WORLD_IDS = 300, WORLD_CLUSTERS = 12, WORLD_TERMS = 60, WORLD_ENTITIES = 25, WORLD_DIM = 100, OTHER_DIM = 64 };

struct world {
    struct fixture   *f;
    struct arena     *arena;
    uint64_t          random;
    struct index_item items[WORLD_IDS]; /* id i + 1; kind == 0: not there */
    struct index_item centroids[WORLD_CLUSTERS];
};

static const char *const source_names[] = {"github", "linear", "sentry", ""};
static const char *const type_names[] = {"pull_request_merged", "push", "issue_created", "file"};
static const char *const actor_names[] = {"ada", "bob", "eve", "mallory", ""};
static const char *const store_names[] = {"", "", "handbook"};
#define PICK(world, names) str_of((names)[below(&(world)->random, sizeof(names) / sizeof *(names))])

static size_t draw_set(struct world *world, uint64_t *out, size_t most, uint64_t from, size_t range) /* ascending */
{
    size_t n = 0, wanted = below(&world->random, most + 1);
    for (uint64_t value = 0; value < range && n < wanted; value++)
        if (below(&world->random, range) < wanted) out[n++] = from + value * 1000003;
    return n;
}

static struct index_item draw_item(struct world *world, int64_t id)
{
    struct arena     *arena = world->arena;
    bool              other = below(&world->random, 6) == 0;
    struct index_item item = {.id = id, .kind = id % 5 ? INDEX_OBSERVATION : INDEX_DOCUMENT};
    item.time = (int64_t)below(&world->random, 30) * 1000 - 5000; /* many equal times */
    item.source = PICK(world, source_names);
    item.type = PICK(world, type_names);
    item.actor = PICK(world, actor_names);
    item.store = PICK(world, store_names);
    item.cluster = (int64_t)below(&world->random, WORLD_CLUSTERS);
    item.significance = (int)below(&world->random, 101);
    item.terms = NEW_ARRAY(arena, uint64_t, 20);
    item.term_count = draw_set(world, item.terms, 20, 1, WORLD_TERMS);
    item.entities = NEW_ARRAY(arena, uint64_t, 6);
    item.entity_count = draw_set(world, item.entities, 6, (uint64_t)1 << 60, WORLD_ENTITIES);
    size_t views = below(&world->random, 50) == 0 ? 700 : below(&world->random, 5); /* none, usual, very many */
    item.model = views ? (other ? STR("other") : STR("usual")) : STR("");
    item.dim = views ? (other ? OTHER_DIM : WORLD_DIM) : 0;
    item.views = (struct embed_views){.at = NEW_ARRAY(arena, struct embed_vector, views), .n = views, .full = views > 1};
    for (size_t i = 0; i < views; i++) item.views.at[i] = draw_vector(arena, &world->random, item.dim);
    return item;
}

static struct step draw_step(struct world *world)
{
    struct arena *arena = world->arena;
    int64_t       id = (int64_t)below(&world->random, WORLD_IDS) + 1;
    size_t        dice = below(&world->random, 100);
    if (dice < 55) return (struct step){.kind = ADD, .item = draw_item(world, id)};
    enum index_kind kind = id % 5 ? INDEX_OBSERVATION : INDEX_DOCUMENT;
    if (dice < 75)
        return (struct step){.kind = CHANGE, .change = {.id = id, .kind = kind, .set_actor = dice & 1, .set_cluster = dice & 2,
                             .actor = PICK(world, actor_names), .cluster = (int64_t)below(&world->random, WORLD_CLUSTERS)}};
    if (dice < 90) return (struct step){.kind = REMOVE, .item = {.id = id, .kind = kind}};
    if (dice < 91) return (struct step){.kind = FOLD};
    struct index_item cluster = {.id = (int64_t)below(&world->random, WORLD_CLUSTERS) + 1, .kind = INDEX_CLUSTER};
    if (dice < 93) return (struct step){.kind = REMOVE, .item = cluster};
    cluster.model = STR("usual");
    cluster.dim = WORLD_DIM;
    cluster.views = (struct embed_views){.at = NEW(arena, struct embed_vector), .n = 1};
    cluster.views.at[0] = draw_vector(arena, &world->random, WORLD_DIM);
    return (struct step){.kind = CENTROID, .item = cluster};
}

static void remember(struct world *world, const struct step *step)
{
    if (step->kind == CENTROID) world->centroids[step->item.id - 1] = step->item;
    if (step->kind == REMOVE && step->item.kind == INDEX_CLUSTER) world->centroids[step->item.id - 1].id = 0;
    if (step->kind == ADD) world->items[step->item.id - 1] = step->item;
    if (step->kind == REMOVE && step->item.kind != INDEX_CLUSTER) world->items[step->item.id - 1].kind = 0;
    if (step->kind == CHANGE && step->change.set_actor) world->items[step->change.id - 1].actor = step->change.actor;
    if (step->kind == CHANGE && step->change.set_cluster) world->items[step->change.id - 1].cluster = step->change.cluster;
}

static void live_on(struct world *world)
{
    struct step steps[40];
    size_t      n = 1 + below(&world->random, 40);
    for (size_t i = 0; i < n; i++) {
        steps[i] = draw_step(world);
        remember(world, &steps[i]);
    }
    write_all(world->f, steps, n);
}

/* ---- the plain computation --------------------------------------------------------------------------------------- */

static bool holds(const uint64_t *set, size_t n, uint64_t value)
{
    for (size_t i = 0; i < n; i++)
        if (set[i] == value) return true;
    return false;
}

static bool among(const struct str *list, size_t n, struct str value)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(list[i], value)) return true;
    return n == 0;
}

static bool passes(const struct index_filter *filter, const struct index_item *item)
{
    if (!item->kind || filter->no_match) return false;
    if (filter->has_start && item->time < filter->start) return false;
    if (filter->has_end && item->time > filter->end) return false;
    if (filter->only && !holds((const uint64_t *)filter->only, filter->only_count, (uint64_t)item->id)) return false;
    return among(filter->sources, filter->source_count, item->source) && among(filter->types, filter->type_count, item->type) &&
           among(filter->actors, filter->actor_count, item->actor) && among(filter->stores, filter->store_count, item->store);
}

static struct str served_model(const struct world *world)
{
    int usual = 0, other = 0;
    for (size_t i = 0; i < WORLD_IDS; i++)
        if (world->items[i].kind && world->items[i].views.n) {
            if (str_eq(world->items[i].model, STR("usual"))) usual++;
            else other++;
        }
    return other >= usual && other ? STR("other") : usual ? STR("usual") : STR("");
}

static double plain_vector(const struct world *world, const struct index_item *item, struct embed_vector query, double title_share)
{
    double best = 0, first = 0;
    if (!query.x || !str_eq(item->model, served_model(world))) return 0;
    for (size_t i = 0; i < item->views.n; i++) {
        double dot = 0;
        for (int d = 0; d < item->dim; d++) dot += item->views.at[i].x[d] * query.x[d];
        dot /= (double)item->views.at[i].norm * (double)query.norm;
        if (dot > best) best = dot;
        if (i == 0 && dot > 0) first = dot;
    }
    return fmin((1 - title_share) * best + title_share * first, 1);
}

static double plain_cover(const struct world *world, const struct index_item *item, const struct index_query *query)
{
    double here = 0, all = 0, items = 0;
    for (size_t i = 0; i < WORLD_IDS; i++) items += world->items[i].kind != 0;
    for (size_t t = 0; t < query->term_count; t++) {
        double df = 0;
        for (size_t i = 0; i < WORLD_IDS; i++)
            df += world->items[i].kind && holds(world->items[i].terms, world->items[i].term_count, query->terms[t]);
        double idf = log(1 + (items - df + 0.5) / (df + 0.5));
        all += idf;
        if (holds(item->terms, item->term_count, query->terms[t])) here += idf;
    }
    return all > 0 ? here / all : 0;
}

static double plain_score(const struct world *world, const struct index_item *item, const struct index_query *query)
{
    double score = (plain_vector(world, item, query->vector, query->title_share) + query->cover_weight * plain_cover(world, item, query)) /
                   (1 + query->cover_weight), least = 0;
    int    entities = 0;
    for (size_t i = 0; i < query->entity_count; i++)
        if (holds(item->entities, item->entity_count, query->entities[i].hash)) {
            entities++;
            least = fmax(least, 0.85 * query->entities[i].confidence);
        }
    if (entities) score = fmax(score + fmin(0.30, 0.20 + 0.05 * (entities - 1)), least);
    if (item->cluster && holds((const uint64_t *)query->clusters, query->cluster_count, (uint64_t)item->cluster)) score += 0.05;
    if (item->actor.n && query->mentioned_count && among(query->mentioned_actors, query->mentioned_count, item->actor)) score += 0.10;
    if (query->has_period && item->time >= query->period_start && item->time <= query->period_end) score += query->period_boost;
    return fmin(score, 1);
}

static double plain_overlap(const struct index_item *item, const struct index_similar_query *query)
{
    double shared = 0;
    if (!item->entity_count || !query->entity_count) return -1;
    for (size_t i = 0; i < query->entity_count; i++) shared += holds(item->entities, item->entity_count, query->entities[i]);
    return shared / ((double)item->entity_count + (double)query->entity_count - shared);
}

static double plain_similar(const struct world *world, const struct index_item *item, const struct index_similar_query *query)
{
    double v = plain_vector(world, item, query->vector, 0);
    return v + (1 - v) * (0.20 * fmax(0, plain_overlap(item, query)) +
                          (query->cluster && item->cluster == query->cluster ? 0.10 : 0));
}

static int larger_first(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left < right) - (left > right);
}

/* ---- queries ----------------------------------------------------------------------------------------------------- */

static struct index_filter draw_filter(struct world *world)
{
    static struct str   sources[2], types[2], actors[2], stores[1];
    static int64_t      ids[40];
    struct index_filter filter = {.sources = sources, .types = types, .actors = actors, .stores = stores};
    if (below(&world->random, 3) == 0) return filter;
    for (int i = 0; i < 2; i++) {
        sources[i] = PICK(world, source_names);
        types[i] = below(&world->random, 9) ? PICK(world, type_names) : STR("never_seen");
        actors[i] = PICK(world, actor_names);
    }
    stores[0] = PICK(world, store_names);
    if (below(&world->random, 3) == 0) filter.source_count = 1 + below(&world->random, 2);
    if (below(&world->random, 3) == 0) filter.type_count = 1 + below(&world->random, 2);
    if (below(&world->random, 3) == 0) filter.actor_count = 1 + below(&world->random, 2);
    if (below(&world->random, 6) == 0) filter.store_count = 1;
    filter.no_match = below(&world->random, 40) == 0;
    filter.has_start = below(&world->random, 4) == 0;
    filter.has_end = below(&world->random, 4) == 0;
    filter.start = (int64_t)below(&world->random, 20) * 1000 - 5000;
    filter.end = filter.start + (int64_t)below(&world->random, 20) * 1000;
    if (below(&world->random, 6) == 0) {
        for (int i = 0; i < 40; i++) ids[i] = (int64_t)below(&world->random, WORLD_IDS + 20) + 1;
        filter.only = ids;
        filter.only_count = below(&world->random, 41);
    }
    return filter;
}

static struct embed_vector draw_query_vector(struct world *world, const struct index *index)
{
    const struct index_item *item = &world->items[below(&world->random, WORLD_IDS)];
    if (!index_dim(index) || below(&world->random, 5) == 0) return (struct embed_vector){0};
    if (item->kind && item->views.n && str_eq(item->model, index_model(index))) return item->views.at[0];
    return draw_vector(world->arena, &world->random, index_dim(index));
}

/* What the first hits have in common, by their scores. */
static struct embed_vector plain_common(struct world *world, const struct index *index, const struct index_hits *hits, size_t leaders)
{
    float sum[WORLD_DIM > OTHER_DIM ? WORLD_DIM : OTHER_DIM] = {0};
    int   dim = index_dim(index);
    float place = 1;
    for (size_t i = 0; i < leaders && i < hits->n && hits->vector_used; i++, place *= 0.75f) {
        struct embed_vector vector;
        if (!index_item_vector(index, world->arena, hits->at[i].kind, hits->at[i].id, &vector)) continue;
        float length = place * (float)hits->at[i].score / vector.norm; /* as exactly as int8 rounds */
        for (int d = 0; d < dim; d++) sum[d] += length * (float)vector.x[d];
    }
    return dim ? embed_quantise(world->arena, sum, dim) : (struct embed_vector){0};
}

static void check_search(struct world *world, struct index *index)
{
    uint64_t                  terms[8];
    struct index_boost_entity entities[4];
    int64_t                   clusters[3];
    struct str                actors[2] = {PICK(world, actor_names), STR("nobody")};
    double                    scores[WORLD_IDS];
    size_t                    total = 0;
    struct index_query        query = {.filter = draw_filter(world), .vector = draw_query_vector(world, index), .terms = terms,
                                       .entities = entities, .clusters = clusters, .mentioned_actors = actors, .cover_weight = 0.8};
    query.term_count = draw_set(world, terms, 8, 1, WORLD_TERMS + 3);
    query.k = below(&world->random, 60);
    query.title_share = (double)below(&world->random, 3) / 4;
    query.leaders = below(&world->random, 4);
    bool plain = below(&world->random, 2);
    if (!plain) query.entity_count = below(&world->random, 5);
    for (uint64_t i = 0; i < 4; i++)
        entities[i] = (struct index_boost_entity){((uint64_t)1 << 60) + (i * 7 + 1) * 1000003, 0.5 + 0.1 * (double)i};
    if (!plain) query.cluster_count = below(&world->random, 4);
    for (int i = 0; i < 3; i++) clusters[i] = (int64_t)below(&world->random, WORLD_CLUSTERS);
    if (!plain && below(&world->random, 2)) query.mentioned_count = 2;
    query.has_period = !plain && below(&world->random, 2);
    query.period_start = (int64_t)below(&world->random, 20) * 1000 - 5000;
    query.period_end = query.period_start + 6000;
    query.period_boost = 0.2;
    for (size_t i = 0; i < WORLD_IDS; i++) {
        double score = passes(&query.filter, &world->items[i]) ? plain_score(world, &world->items[i], &query) : 0;
        if (score > 0) scores[total++] = score;
    }
    qsort(scores, total, sizeof *scores, larger_first);
    struct index_hits hits;
    check_ok(index_search(index, world->arena, &query, &hits));
    struct embed_vector common = plain_common(world, index, &hits, query.leaders);
    check_int(hits.total, total);
    check_int(hits.n, total < query.k ? total : query.k);
    for (size_t i = 0; i < hits.n; i++) {
        const struct index_hit  *hit = &hits.at[i];
        const struct index_item *item = &world->items[hit->id - 1];
        check(passes(&query.filter, item) && hit->kind == item->kind);
        check_near(hit->score, scores[i], 1e-6);
        check_near(hit->score, plain_score(world, item, &query), 1e-6);
        check_near(hit->vector, plain_vector(world, item, query.vector, query.title_share), 1e-6);
        check_near(hit->feedback, plain_vector(world, item, common, 0), 1e-6);
        check_near(hit->cover, plain_cover(world, item, &query), 1e-6);
        check(str_eq(hit->type, item->type));
        check(hit->time == item->time && hit->cluster == item->cluster && hit->significance == item->significance);
        if (!i) continue;
        check(hit[-1].score > hit->score ||
              (hit[-1].score == hit->score && (hit[-1].time > hit->time || (hit[-1].time == hit->time && hit[-1].id > hit->id))));
    }
}

static void check_similar(struct world *world, struct index *index)
{
    uint64_t                   entities[6];
    int64_t                    exclude[5];
    double                     scores[WORLD_IDS];
    size_t                     n = 0;
    struct index_similar_query query = {.filter = draw_filter(world), .vector = draw_query_vector(world, index),
                                        .entities = entities, .exclude = exclude};
    query.entity_count = draw_set(world, entities, 6, (uint64_t)1 << 60, WORLD_ENTITIES);
    query.cluster = (int64_t)below(&world->random, WORLD_CLUSTERS);
    query.exclude_count = below(&world->random, 6);
    for (int i = 0; i < 5; i++) exclude[i] = (int64_t)below(&world->random, WORLD_IDS + 5) + 1;
    query.threshold = (double)below(&world->random, 50) / 100 + 1e-4;
    for (size_t i = 0; i < WORLD_IDS; i++) {
        const struct index_item *item = &world->items[i];
        if (!passes(&query.filter, item) || holds((uint64_t *)exclude, query.exclude_count, (uint64_t)item->id)) continue;
        double score = plain_similar(world, item, &query);
        if (score >= query.threshold) scores[n++] = score;
    }
    qsort(scores, n, sizeof *scores, larger_first);
    struct index_similar_hits hits;
    check_ok(index_similar(index, world->arena, &query, &hits));
    check_int(hits.n, n);
    for (size_t i = 0; i < n; i++) {
        const struct index_similar_hit *hit = &hits.at[i];
        const struct index_item        *item = &world->items[hit->id - 1];
        check(passes(&query.filter, item) && !holds((uint64_t *)exclude, query.exclude_count, (uint64_t)hit->id));
        check_near(hit->score, scores[i], 1e-6);
        check_near(hit->score, plain_similar(world, item, &query), 1e-6);
        check_near(hit->overlap, plain_overlap(item, &query), 1e-9);
        check(hit->same_cluster == (query.cluster && item->cluster == query.cluster));
        if (i) check(hit[-1].score > hit->score || hit[-1].time > hit->time || (hit[-1].time == hit->time && hit[-1].id > hit->id));
    }
}

static void count_type(void *arg, struct str type)
{
    *map_at(arg, type) += 1;
}

/* Counts, names, models, entities: what can be asked without a query. */
static void check_facts(struct world *world, struct index *index)
{
    struct map *expected = map_create(world->arena), *found = map_create(world->arena);
    size_t      live = 0;
    for (size_t i = 0; i < WORLD_IDS; i++) {
        const struct index_item *item = &world->items[i];
        uint64_t                *entities;
        size_t                   count;
        live += item->kind != 0;
        if (item->kind && item->type.n) *map_at(expected, item->type) = 1;
        enum index_kind kind = item->kind ? item->kind : INDEX_OBSERVATION;
        check_int(index_item_entities(index, world->arena, kind, (int64_t)i + 1, &entities, &count), item->kind != 0);
        if (!item->kind) continue;
        check_int(count, item->entity_count);
        check(!count || memcmp(entities, item->entities, count * sizeof *entities) == 0);
    }
    index_types(index, count_type, found);
    check_int(index_count(index), live);
    check_int(map_count(found), map_count(expected));
    check(str_eq(index_model(index), served_model(world)));
}

/* Few slots a range, so that even this small world is split into many; more threads than this machine may have. */
static const struct crew_options split_finely = {.members = 4, .range = 16};

TEST(world, index_equals_a_plain_computation)
{
    FIXTURE;
    struct world       *world = NEW(arena, struct world);
    struct index_cache *kept = f.cache, *second = index_cache_create_splitting(f.db, (size_t)1 << 30, split_finely);
    *world = (struct world){.f = &f, .random = 20260101};
    for (int round = 0; round < 120; round++) {
        world->arena = arena; /* items live as long as the world */
        for (int i = 0; i < 3; i++) live_on(world);
        world->arena = arena_create();
        f.cache = round & 1 ? second : kept; /* one is never dropped, the other reads different stretches of the log and
                                                splits each pass between threads */
        if (round % 10 == 5) index_cache_drop(second, 1);
        struct index *index INDEX_SCOPE = acquire(&f);
        check_facts(world, index);
        for (int i = 0; i < 20; i++) check_search(world, index);
        for (int i = 0; i < 10; i++) check_similar(world, index);
        arena_destroy(world->arena);
    }
    f.cache = kept;
    index_cache_destroy(second);
}

TEST(world, nearest_clusters_equal_a_plain_computation)
{
    FIXTURE;
    struct world             *world = NEW(arena, struct world);
    struct index_near_cluster near[5];
    *world = (struct world){.f = &f, .random = 8, .arena = arena};
    for (int round = 0; round < 30; round++) {
        live_on(world);
        struct index       *index INDEX_SCOPE = acquire(&f);
        struct embed_vector query = draw_vector(arena, &world->random, WORLD_DIM);
        double              cosines[WORLD_CLUSTERS];
        size_t              n = 0, found = index_near_clusters(index, query, near, 5);
        check_str(index_model(index), "usual");
        for (size_t i = 0; i < WORLD_CLUSTERS; i++)
            if (world->centroids[i].id) cosines[n++] = (double)embed_cosine(world->centroids[i].views.at[0], query, WORLD_DIM);
        qsort(cosines, n, sizeof *cosines, larger_first);
        check_int(found, n < 5 ? n : 5);
        for (size_t i = 0; i < found; i++) {
            check_near(near[i].cosine, cosines[i], 1e-6);
            check_near(near[i].cosine, (double)embed_cosine(world->centroids[near[i].cluster - 1].views.at[0], query, WORLD_DIM), 1e-6);
        }
    }
}

/* Rare terms have postings far apart, frequent ones have many in a row, and a term may be both by turns. */
static bool holds_term(uint64_t term, size_t item)
{
    if (term == 1) return item % 3 != 0;
    if (term == 2) return item % 131 == 0;
    return item % 1000 < 400 ? item % 5 < 3 : item % 290 == 7;
}

TEST(world, cover_is_that_of_dense_and_of_scattered_terms)
{
    FIXTURE;
    enum { ITEMS = 4000, TERMS = 3 };
    const uint64_t terms[TERMS] = {1, 2, 3};
    struct step   *steps = NEW_ARRAY(arena, struct step, ITEMS);
    double         sum = 0;
    size_t         covered = 0;
    for (size_t i = 0; i < ITEMS; i++) {
        uint64_t *held = NEW_ARRAY(arena, uint64_t, TERMS);
        size_t    n = 0;
        for (size_t t = 0; t < TERMS; t++)
            if (holds_term(terms[t], i)) held[n++] = terms[t];
        covered += n > 0;
        steps[i] = add_step((int64_t)i + 1, held, n);
    }
    write_all(&f, steps, ITEMS);
    struct index     *index INDEX_SCOPE = acquire(&f);
    struct index_hits hits;
    struct index_query query = {.terms = terms, .term_count = TERMS, .k = ITEMS, .cover_weight = 0.8};
    for (size_t t = 0; t < TERMS; t++) sum += index_idf(index, terms[t]);
    check_ok(index_search(index, arena, &query, &hits));
    check_int(hits.n, covered);
    for (size_t i = 0; i < hits.n; i++) {
        double expected = 0;
        for (size_t t = 0; t < TERMS; t++)
            if (holds_term(terms[t], (size_t)hits.at[i].id - 1)) expected += index_idf(index, terms[t]);
        check_near(hits.at[i].cover, expected / sum, 1e-6);
    }
}

/* ---- one thread and several -------------------------------------------------------------------------------------- */

enum { TWIN_QUERIES = 60 };

struct twins {
    struct index            *alone, *split;
    const struct index_query *queries;
    bool                     differ;
};

static bool same_hits(const struct index_hits *a, const struct index_hits *b)
{
    bool same = a->n == b->n && a->total == b->total;
    for (size_t i = 0; same && i < a->n; i++)
        same = a->at[i].id == b->at[i].id && a->at[i].kind == b->at[i].kind && a->at[i].score == b->at[i].score &&
               a->at[i].vector == b->at[i].vector && a->at[i].cover == b->at[i].cover;
    return same;
}

static bool same_similar(const struct index_similar_hits *a, const struct index_similar_hits *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++)
        same = a->at[i].id == b->at[i].id && a->at[i].kind == b->at[i].kind && a->at[i].score == b->at[i].score;
    return same;
}

static void *compare_twins(void *arg)
{
    struct twins *twins = arg;
    for (int i = 0; i < TWIN_QUERIES; i++) {
        struct arena             *arena ARENA_SCOPE = arena_create();
        struct index_hits         alone, split;
        struct index_similar_hits similar_alone, similar_split;
        const struct index_query *query = &twins->queries[i];
        struct index_similar_query similar = {.vector = query->vector, .entities = query->terms, .cluster = i % WORLD_CLUSTERS};
        if (index_search(twins->alone, arena, query, &alone) || index_search(twins->split, arena, query, &split) ||
            index_similar(twins->alone, arena, &similar, &similar_alone) ||
            index_similar(twins->split, arena, &similar, &similar_split) || !same_hits(&alone, &split) ||
            !same_similar(&similar_alone, &similar_split))
            twins->differ = true;
    }
    return NULL;
}

static struct index_query draw_twin_query(struct world *world)
{
    struct arena     *arena = world->arena;
    struct index_query query = {.cover_weight = 0.8, .k = 1 + below(&world->random, 90)};
    uint64_t          *terms = NEW_ARRAY(arena, uint64_t, 8);
    if (below(&world->random, 4)) query.vector = draw_vector(arena, &world->random, WORLD_DIM);
    query.terms = terms;
    query.term_count = draw_set(world, terms, 8, 1, WORLD_TERMS);
    query.filter.has_start = below(&world->random, 2);
    if (below(&world->random, 2)) return query;
    int64_t *clusters = NEW_ARRAY(arena, int64_t, 1);
    clusters[0] = (int64_t)below(&world->random, WORLD_CLUSTERS);
    query.clusters = clusters;
    query.cluster_count = 1;
    return query;
}

/* Searches of many threads over one index, each split between the threads of one crew. Views repeat, so that scores
 * are equal and time and id decide. */
TEST(world, split_passes_find_what_one_thread_finds)
{
    FIXTURE;
    struct world       *world = NEW(arena, struct world);
    struct index_cache *second = index_cache_create_splitting(f.db, (size_t)1 << 30, split_finely);
    struct index_query  queries[TWIN_QUERIES];
    struct step         steps[500];
    pthread_t           threads[4];
    struct twins        twins[4];
    *world = (struct world){.f = &f, .random = 77, .arena = arena};
    for (int i = 0; i < 500; i++) {
        steps[i] = (struct step){.kind = ADD, .item = draw_item(world, i + 1)};
        if (i % 3 == 2) steps[i].item.views = steps[i - 1].item.views;
        if (i % 3 == 2) steps[i].item.model = steps[i - 1].item.model;
        if (i % 3 == 2) steps[i].item.dim = steps[i - 1].item.dim;
    }
    write_all(&f, steps, 500);
    for (int i = 0; i < TWIN_QUERIES; i++) queries[i] = draw_twin_query(world);
    struct index *alone INDEX_SCOPE = acquire(&f);
    struct index *split INDEX_SCOPE = NULL;
    check_ok(index_acquire(second, arena, 1, &split));
    check_str(index_model(split), "usual");
    for (int i = 0; i < 4; i++) {
        twins[i] = (struct twins){.alone = alone, .split = split, .queries = queries};
        check_int(pthread_create(&threads[i], NULL, compare_twins, &twins[i]), 0);
    }
    for (int i = 0; i < 4; i++) check_int(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 4; i++) check(!twins[i].differ);
    index_release(&split);
    index_cache_destroy(second);
}
