/* search.c - one request: what the query means, the pass over the index, the rows of the page. */
#include "search/parts.h"

#include "base/log.h"
#include "base/time.h"
#include "base/utf8.h"

#include <stdlib.h>

enum {
    CACHED_ANSWERS = 512,
    CACHED_VECTORS = 1024,
    LARGEST_CACHED = 64 * 1024, /* bytes of an answer that is worth keeping */
};
static const int64_t  answer_lifetime = SECONDS(60), vector_lifetime = HOURS(1);
static const double   near_cluster = 0.5;   /* cosine from which a cluster's members are raised */

struct search *search_create(struct db *db, struct embed *embed, struct search_config config)
{
    struct search *search = calloc(1, sizeof *search);
    if (!search) abort();
    search->db = db;
    search->embed = embed;
    search->weights = &search_weights;
    search->index = index_cache_create(db, config.memory_limit);
    search->answers = config.result_cache ? cache_create(CACHED_ANSWERS, answer_lifetime) : NULL;
    search->hosts = config.hosts;
    search->host_count = config.host_count;
    search->vectors = cache_create(CACHED_VECTORS, vector_lifetime);
    return search;
}

void search_destroy(struct search *search)
{
    if (!search) return;
    cache_destroy(search->answers);
    cache_destroy(search->vectors);
    index_cache_destroy(search->index);
    free(search);
}

size_t search_memory(struct search *search)
{
    return index_cache_memory(search->index);
}

bool vectors_fit(const struct search *search, const struct index *index)
{
    return index_model(index).n == 0 || (str_eq(index_model(index), embed_model(search->embed)) &&
                                         index_dim(index) == embed_dim(search->embed));
}

/* ---- the query's vector -------------------------------------------------------------------------------------------- */

struct sized_vector {
    struct embed_vector vector;
    int                 dim;
};

static void *copy_vector(struct arena *arena, const void *value, const void *context)
{
    (void)context;
    const struct sized_vector *from = value;
    struct sized_vector       *to = NEW(arena, struct sized_vector);
    *to = *from;
    if (from->vector.x) {
        int8_t *x = arena_alloc_raw(arena, (size_t)from->dim);
        memcpy(x, from->vector.x, (size_t)from->dim);
        to->vector.x = x;
    }
    return to;
}

static struct err *ask_provider(struct search *search, struct arena *arena, struct str plain, struct embed_vector *vector,
                                int64_t *took)
{
    struct str           model = embed_model(search->embed);
    struct str           key = str_two_lines(arena, model, plain);
    struct sized_vector *known = cache_get(search->vectors, arena, key, 0, copy_vector, NULL);
    *vector = (struct embed_vector){0};
    *took = 0;
    if (!known) {
        int64_t             started = time_monotonic_us();
        struct sized_vector made = {0};
        TRY(embed_texts(search->embed, arena, true, &plain, 1, &made.vector));
        made.dim = embed_dim(search->embed);
        *took = time_monotonic_us() - started;
        cache_put(search->vectors, key, 0, &made, copy_vector, NULL);
        *vector = made.vector;
        return NULL;
    }
    *vector = known->vector;
    return NULL;
}

/* ---- one search ---------------------------------------------------------------------------------------------------- */

struct run {
    struct search               *search;
    struct arena                *arena;
    const struct search_request *request;
    struct search_answer        *answer;
    struct query                 query;
    struct embed_vector          vector; /* x == NULL: without */
    bool                         vector_failed;
    struct index_filter          filter;
    double                      *weights; /* idf of the query's terms */
    struct index_near_cluster    near[SEARCH_NEAR_CLUSTERS];
    size_t                       near_count;
    struct index_hits            hits;
    int64_t                      version;
};

/* A feature that failed is left out: say so in the log, and go on. */
static bool worked(struct run *run, struct err *err, const char *feature)
{
    if (err) log_warn("search", "%s left out: " STR_FMT, feature, STR_ARG(err_text(run->arena, err)));
    return err == NULL;
}

static struct err *understand(struct run *run)
{
    const struct search_request *request = run->request;
    struct search_timing        *timing = &run->answer->timing;
    query_read(run->arena, str_trim(utf8_repair(run->arena, request->query)), &run->query);
    query_leave_out_people(run->arena, request->filters.actors, request->filters.actor_count, &run->query);
    if (embed_enabled(run->search->embed) && !embed_inline(run->search->embed))
        run->vector_failed = !worked(run, ask_provider(run->search, run->arena, query_plain(run->arena, &run->query),
                                                       &run->vector, &timing->embedding), "vector");

    struct db_tx *tx DB_READ_SCOPE = NULL;
    TRY(db_read_begin(run->search->db, run->arena, &tx));
    int64_t started = time_monotonic_us();
    run->answer->entity = worked(run, query_find_entities(tx, request->workspace, &run->query), "entities");
    if (!run->answer->entity) run->query.entity_count = 0;
    timing->entity = time_monotonic_us() - started;

    started = time_monotonic_us();
    if (!worked(run, query_find_actors(tx, request->workspace, &run->query), "actors")) run->query.actor_count = 0;
    run->answer->actor = run->query.actor_count > 0;
    timing->actor = time_monotonic_us() - started;
    return filter_read(tx, request->workspace, &request->filters, &run->filter);
}

static size_t ranked(const struct run *run)
{
    const struct search_request *request = run->request;
    if (run->query.phrase_count || request->collapse) return SEARCH_LAST; /* both drop items afterwards */
    int64_t wanted = 2 * ((int64_t)request->limit + request->offset);
    return wanted < SEARCH_FEWEST ? SEARCH_FEWEST : wanted > SEARCH_LAST ? SEARCH_LAST : (size_t)wanted;
}

static void find_clusters(struct run *run, const struct index *index)
{
    int64_t started = time_monotonic_us();
    if (run->vector.x)
        run->near_count = index_near_clusters(index, run->vector, run->near, SEARCH_NEAR_CLUSTERS);
    while (run->near_count && run->near[run->near_count - 1].cosine <= 0) run->near_count--;
    run->answer->cluster = run->near_count > 0;
    run->answer->timing.cluster = time_monotonic_us() - started;
}

static struct err *pass(struct run *run, struct index *index)
{
    const struct query        *query = &run->query;
    struct index_boost_entity *entities = NEW_ARRAY(run->arena, struct index_boost_entity, query->entity_count);
    int64_t                    raised[SEARCH_NEAR_CLUSTERS];
    struct str                 mentioned[SEARCH_ACTOR_IDS];
    struct index_query         wanted = {
        .filter = run->filter, .vector = run->vector, .terms = query->terms, .term_count = query->term_count,
        .entities = entities, .entity_count = query->entity_count, .clusters = raised, .mentioned_actors = mentioned,
        .k = ranked(run), .cover_weight = run->search->weights->cover, .title_share = run->search->weights->title,
        .has_period = query->has_period && !run->filter.has_start && !run->filter.has_end,
        .period_start = query->period.start, .period_end = query->period.end, .period_boost = run->search->weights->period,
        .leaders = run->request->mode == SEARCH_FAST ? 0 : run->search->weights->leaders,
    };
    for (size_t i = 0; i < query->entity_count; i++) {
        const struct query_entity *e = &query->entities[i];
        entities[i] = (struct index_boost_entity){index_entity_hash(e->category, e->key, e->scope), e->confidence};
    }
    for (size_t i = 0; i < run->near_count; i++)
        if (run->near[i].cosine >= near_cluster) raised[wanted.cluster_count++] = run->near[i].cluster;
    for (size_t i = 0; i < query->actor_count; i++)
        if (query->actors[i].mentioned) mentioned[wanted.mentioned_count++] = query->actors[i].id;
    return index_search(index, run->arena, &wanted, &run->hits);
}

/* Rare words say more than frequent ones. How rare they are the index knows, so this vector is made beside it. */
static void embed_words_of_query(struct run *run)
{
    int64_t            started = time_monotonic_us();
    struct query_words words = query_weigh(run->arena, &run->query, run->weights, run->search->weights->word);
    run->vector = embed_words(run->search->embed, run->arena, words.at, words.n);
    run->answer->timing.embedding = time_monotonic_us() - started;
}

static struct err *retrieve(struct run *run)
{
    struct search_timing *timing = &run->answer->timing;
    struct index *index   INDEX_SCOPE = NULL;
    int64_t               started = time_monotonic_us();
    TRY(index_acquire(run->search->index, run->arena, run->request->workspace, &index));
    run->version = index_version(index);
    filter_add_types(run->arena, index, &run->request->filters, &run->filter);
    run->weights = NEW_ARRAY(run->arena, double, run->query.term_count);
    for (size_t i = 0; i < run->query.term_count; i++) run->weights[i] = index_idf(index, run->query.terms[i]);
    if (embed_enabled(run->search->embed) && embed_inline(run->search->embed)) embed_words_of_query(run);
    if (!vectors_fit(run->search, index)) run->vector = (struct embed_vector){0};
    find_clusters(run, index);
    TRY(pass(run, index));
    run->answer->vector = run->hits.vector_used || (run->vector.x && index_count(index) == 0);
    run->answer->keyword = run->hits.keyword_found;
    run->answer->total = run->hits.total;
    timing->retrieval = timing->vector = timing->keyword = time_monotonic_us() - started;
    return NULL;
}

/* ---- the best hits become a page ----------------------------------------------------------------------------------- */

static struct err *has_phrases(struct run *run, struct db_tx *tx, int64_t id, bool *all)
{
    struct row row;
    *all = false;
    TRY(row_find(tx, run->request->workspace, id, &row));
    if (!row.id) return NULL;
    struct str text = str_two_lines(run->arena, row.title, row.content);
    *all = phrases_found(run->arena, run->query.phrases, run->query.phrase_count, text);
    return NULL;
}

static struct err *keep_phrases(struct run *run, struct db_tx *tx)
{
    size_t kept = 0;
    if (run->query.phrase_count == 0) return NULL;
    for (size_t i = 0; i < run->hits.n; i++) {
        struct arena_mark mark = arena_mark(run->arena);
        bool              all;
        TRY(has_phrases(run, tx, run->hits.at[i].id, &all));
        arena_rewind(run->arena, mark);
        if (all) run->hits.at[kept++] = run->hits.at[i];
    }
    run->hits.n = kept;
    run->answer->total = kept;
    return NULL;
}

static struct err *keep_best_of_objects(struct run *run, struct db_tx *tx)
{
    struct map *seen = map_create(run->arena);
    size_t      kept = 0;
    if (!run->request->collapse) return NULL;
    for (size_t i = 0; i < run->hits.n; i++) {
        struct str object;
        TRY(object_of(tx, run->request->workspace, run->hits.at[i].id, &object));
        if (object.s && (*map_at(seen, object))++ == 0) run->hits.at[kept++] = run->hits.at[i];
    }
    run->answer->total -= run->hits.n - kept;
    run->hits.n = kept;
    return NULL;
}

static struct err *fill_page(struct run *run, struct db_tx *tx)
{
    const struct search_request *request = run->request;
    struct matcher              *matcher = matcher_create(run->arena, &run->query, run->weights);
    size_t                       from = (size_t)request->offset, to = from + (size_t)request->limit;
    size_t                       last = run->hits.n < SEARCH_LAST ? run->hits.n : SEARCH_LAST;
    if (to > last) to = last;
    run->answer->items = NEW_ARRAY(run->arena, struct search_item, from < to ? to - from : 0);
    for (size_t i = from; i < to; i++) {
        struct search_item *item = &run->answer->items[run->answer->count];
        struct row          row;
        TRY(row_find(tx, request->workspace, run->hits.at[i].id, &row));
        if (!row.id) continue; /* deleted since the pass over the index */
        TRY(row_hydrate(tx, request->workspace, &row, matcher, request->highlights, item));
        item->score = run->hits.at[i].score;
        run->answer->count++;
    }
    return NULL;
}

static struct err *present(struct run *run)
{
    const struct search_request *request = run->request;
    struct search_timing        *timing = &run->answer->timing;
    struct db_tx *tx             DB_READ_SCOPE = NULL;
    int64_t                      started = time_monotonic_us();
    TRY(db_read_begin(run->search->db, run->arena, &tx));
    TRY(keep_phrases(run, tx));
    struct rerank rules = {.mode = request->mode, .now = time_now(), .weights = run->search->weights,
                           .releases = request->filters.type_count || query_asks_for_releases(&run->query)};
    rerank(rules, run->hits.at, run->hits.n);
    if (request->mode != SEARCH_FAST && run->vector.x)
        TRY(reread(run->search, tx, request->workspace, &run->query, run->weights, &run->hits));
    TRY(keep_best_of_objects(run, tx));
    timing->rerank = time_monotonic_us() - started;

    started = time_monotonic_us();
    TRY(fill_page(run, tx));
    if (request->context)
        TRY(context_read(tx, request->workspace, run->near, run->near_count, &run->query, run->answer));
    timing->enrich = time_monotonic_us() - started;
    run->answer->reranker = request->mode == SEARCH_FAST ? "none" : "builtin";
    return NULL;
}

/* ---- the cache of results ------------------------------------------------------------------------------------------- */

static struct err *cached(struct search *search, struct arena *arena, int64_t workspace, struct str key,
                          struct search_answer *answer, bool *found)
{
    int64_t version;
    *found = false;
    if (!search->answers || !cache_version(search->answers, key, &version)) return NULL;
    struct index *index INDEX_SCOPE = NULL;
    TRY(index_acquire(search->index, arena, workspace, &index));
    if (index_version(index) != version) return NULL;
    const struct search_answer *known = cache_get(search->answers, arena, key, version, answer_copy, NULL);
    if (!known) return NULL;
    *answer = *known;
    answer->timing = (struct search_timing){0};
    *found = true;
    return NULL;
}

static struct err *unavailable(struct arena *arena, struct err *cause)
{
    if (!cause) return NULL;
    struct err *err = err_new(arena, ERR_UNAVAILABLE, "The workspace cannot be searched at the moment");
    err->cause = cause;
    return err;
}

struct err *search_run(struct search *search, struct arena *arena, const struct search_request *request,
                       struct search_answer *answer)
{
    struct run run = {.search = search, .arena = arena, .request = request, .answer = answer};
    int64_t    started = time_monotonic_us();
    struct str key = search->answers ? request_key(arena, request) : (struct str){0};
    bool       found;
    *answer = (struct search_answer){0};
    TRY(unavailable(arena, cached(search, arena, request->workspace, key, answer, &found)));
    if (!found) {
        TRY(unavailable(arena, understand(&run)));
        TRY(unavailable(arena, retrieve(&run)));
        TRY(unavailable(arena, present(&run)));
        if (search->answers && !run.vector_failed && answer_size(answer) <= LARGEST_CACHED)
            cache_put(search->answers, key, run.version, answer, answer_copy, NULL);
    }
    answer->timing.search = time_monotonic_us() - started;
    return NULL;
}
