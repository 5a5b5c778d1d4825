#include "unit/org_world.h"
#include "sql.h"

#include "index/columns.h"
#include "index/crew.h"
#include "index/payload.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- numbers that are the same in every run ---------------------------------------------------------------------- */

static uint64_t draw(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static size_t below(uint64_t *state, size_t n)
{
    return (size_t)(draw(state) % n);
}

static struct embed_vector draw_vector(struct arena *arena, uint64_t *state, int dim)
{
    int8_t *x = arena_alloc(arena, (size_t)dim);
    double  squares = 0;
    for (int d = 0; d < dim; d++) {
        x[d] = (int8_t)((int)below(state, 255) - 127);
        squares += x[d] * x[d];
    }
    return (struct embed_vector){.x = x, .norm = (float)sqrt(squares)};
}

/* ---- a database and what is written ------------------------------------------------------------------------------- */

struct fixture {
    struct arena       *arena;
    struct db          *db;
    struct index_cache *cache;
    char                dir[DIRECTORY_PATH];
};

static struct fixture fixture_create(struct arena *arena)
{
    struct fixture f = {.arena = arena};
    f.db = org_database(arena, f.dir);
    f.cache = index_cache_create(f.db, (size_t)1 << 30);
    return f;
}

static void fixture_destroy(struct fixture *f)
{
    index_cache_destroy(f->cache);
    database_remove(f->db, f->dir);
}
#define FIXTURE struct fixture f __attribute__((cleanup(fixture_destroy))) = fixture_create(arena)

/* Write steps of one transaction: each is one call of the writer. */
struct step {
    enum { ADD, CHANGE, REMOVE, CENTROID, FOLD } kind;
    struct index_item   item; /* ADD, REMOVE, CENTROID (views.at[0]) */
    struct index_change change;
};
struct steps {
    int64_t            workspace;
    const struct step *at;
    size_t             n;
    int64_t            folded;
};

static struct err *write_steps(struct db_tx *tx, void *arg)
{
    struct steps       *steps = arg;
    struct index_writer writer;
    TRY(index_writer_open(tx, steps->workspace, &writer));
    for (size_t i = 0; i < steps->n; i++) {
        const struct step *step = &steps->at[i];
        if (step->kind == ADD) TRY(index_add(&writer, &step->item));
        if (step->kind == CHANGE) TRY(index_change(&writer, step->change));
        if (step->kind == REMOVE) TRY(index_remove(&writer, step->item.kind, step->item.id));
        if (step->kind == FOLD) TRY(index_fold(&writer, &steps->folded));
        if (step->kind == CENTROID)
            TRY(index_put_cluster(&writer, step->item.id, step->item.views.at[0], step->item.dim, step->item.model));
    }
    return index_writer_close(&writer);
}

static int64_t write_all(struct fixture *f, const struct step *at, size_t n)
{
    struct steps steps = {.workspace = 1, .at = at, .n = n};
    check_ok(db_write(f->db, f->arena, write_steps, &steps));
    return steps.folded;
}

static struct index *acquire(struct fixture *f)
{
    struct index *index;
    check_ok(index_acquire(f->cache, f->arena, 1, &index));
    return index;
}

/* ---- the payload ------------------------------------------------------------------------------------------------- */

static struct index_item sample_item(struct arena *arena, uint64_t *state)
{
    static uint64_t     terms[] = {3, 77, UINT64_MAX}, entities[] = {900, 12};
    struct index_item   item = {.id = 5, .kind = INDEX_DOCUMENT, .time = -17, .cluster = 1234567, .significance = 100,
                                .source = STR("github"), .type = STR("file"), .store = STR(""), .actor = STR("ada"),
                                .terms = terms, .term_count = 3, .entities = entities, .entity_count = 2,
                                .model = STR("m"), .dim = 100};
    struct embed_vector *views = NEW_ARRAY(arena, struct embed_vector, 3);
    for (int i = 0; i < 3; i++) views[i] = draw_vector(arena, state, 100);
    item.views = (struct embed_views){.at = views, .n = 3, .full = 1};
    return item;
}

TEST(payload, item_is_read_as_it_was_written)
{
    uint64_t          state = 1;
    struct index_item item = sample_item(arena, &state), read;
    struct bytes      payload;
    check_ok(index_encode_item(arena, &item, &payload));
    check_ok(index_decode_item(arena, payload, &read));
    check_int(read.time, -17);
    check_int(read.cluster, 1234567);
    check_int(read.significance, 100);
    check_str(read.source, "github");
    check_str(read.type, "file");
    check_str(read.store, "");
    check_str(read.actor, "ada");
    check_int(read.term_count, 3);
    check(read.terms[2] == UINT64_MAX);
    check_int(read.entity_count, 2);
    check_int(read.entities[1], 12);
    check_int(read.dim, 100);
    check_int(read.views.n, 3);
    check_int(read.views.full, 1);
    for (int i = 0; i < 3; i++) {
        check(memcmp(read.views.at[i].x, item.views.at[i].x, 100) == 0);
        check(read.views.at[i].norm == item.views.at[i].norm);
    }
}

TEST(payload, change_is_read_as_it_was_written)
{
    struct index_change change = {.set_actor = true, .actor = STR("ada"), .set_cluster = true, .cluster = -3}, read;
    struct bytes        payload;
    check_ok(index_encode_change(arena, &change, &payload));
    check_ok(index_decode_change(arena, payload, &read));
    check(read.set_actor && read.set_cluster);
    check_str(read.actor, "ada");
    check_int(read.cluster, -3);
}

TEST(payload, every_truncation_is_refused)
{
    uint64_t          state = 2;
    struct index_item item = sample_item(arena, &state), read;
    struct bytes      payload;
    check_ok(index_encode_item(arena, &item, &payload));
    for (size_t n = 0; n < payload.n; n++) check_err(index_decode_item(arena, (struct bytes){payload.p, n}, &read), ERR_INTERNAL);
    check_err(index_decode_item(arena, (struct bytes){NULL, 0}, &read), ERR_INTERNAL);
}

TEST(payload, damaged_bytes_never_read_out_of_bounds)
{
    uint64_t          state = 3;
    struct index_item item = sample_item(arena, &state), read;
    struct bytes      payload;
    size_t            refused = 0;
    check_ok(index_encode_item(arena, &item, &payload));
    for (int round = 0; round < 20000; round++) {
        struct arena_mark mark = arena_mark(arena);
        uint8_t          *damaged = arena_alloc_raw(arena, payload.n);
        memcpy(damaged, payload.p, payload.n);
        damaged[below(&state, 64)] ^= (uint8_t)(1 + below(&state, 255));
        refused += index_decode_item(arena, (struct bytes){damaged, payload.n}, &read) != NULL;
        arena_rewind(arena, mark);
    }
    check(refused > 1000);
}

TEST(payload, vector_without_length_is_refused)
{
    uint64_t          state = 9;
    struct index_item item = sample_item(arena, &state), read;
    struct bytes      payload;
    check_ok(index_encode_item(arena, &item, &payload));
    uint8_t *damaged = arena_alloc_raw(arena, payload.n);
    memcpy(damaged, payload.p, payload.n);
    memset(damaged + payload.n - 3 * (4 + 100), 0, 4); /* the first of three */
    check_err(index_decode_item(arena, (struct bytes){damaged, payload.n}, &read), ERR_INTERNAL);
}

TEST(payload, what_exceeds_the_bounds_is_not_written)
{
    struct bytes      payload;
    uint64_t          unsorted[] = {2, 1};
    struct index_item item = {.id = 1, .kind = INDEX_OBSERVATION, .terms = unsorted, .term_count = 2};
    check_err(index_encode_item(arena, &item, &payload), ERR_INVALID);
    item = (struct index_item){.source = {NEW_ARRAY(arena, char, INDEX_MAX_NAME + 1), INDEX_MAX_NAME + 1}};
    check_err(index_encode_item(arena, &item, &payload), ERR_TOO_LARGE);
    item = (struct index_item){.significance = 101};
    check_err(index_encode_item(arena, &item, &payload), ERR_INVALID);
}

/* ---- the parts --------------------------------------------------------------------------------------------------- */

TEST(entity, hash_folds_case_and_separates_its_parts)
{
    uint64_t hash = index_entity_hash(STR("project"), STR("#12"), STR("acme/api"));
    check(hash == index_entity_hash(STR("project"), STR("#12"), STR("Acme/API")));
    check(hash != index_entity_hash(STR("project"), STR("#12"), STR("acme/web")));
    check(hash != index_entity_hash(STR("project"), STR("#12"), STR("")));
    check(hash != index_entity_hash(STR("project"), STR("#1"), STR("2acme/api")));
    check(hash != index_entity_hash(STR("reference"), STR("#12"), STR("acme/api")));
}

static void check_scan(const int8_t *query, const int8_t *block, size_t n, int dim)
{
    int32_t expected[9], dots[9];
    for (size_t i = 0; i < n; i++) {
        expected[i] = 0;
        for (int d = 0; d < dim; d++) expected[i] += query[d] * block[i * (size_t)dim + (size_t)d];
    }
    for (const struct index_scan_version *version = index_scan_versions; version->name; version++) {
        if (!version->supported()) continue;
        version->scan(query, block, n, dim, dots);
        for (size_t i = 0; i < n; i++)
            if (dots[i] != expected[i]) fail_msg("%s: row %zu is %d, expected %d", version->name, i, dots[i], expected[i]);
    }
}

TEST(scan, all_versions_give_the_same_integers)
{
    uint64_t state = 4;
    for (int dim = 64; dim <= EMBED_MAX_DIM; dim += dim < 512 ? 64 : 512) {
        int8_t *query = arena_alloc(arena, (size_t)dim), *block = arena_alloc(arena, 9 * (size_t)dim);
        for (size_t n = 0; n <= 9; n++) {
            for (int d = 0; d < dim; d++) query[d] = (int8_t)((int)below(&state, 255) - 127);
            for (size_t i = 0; i < n * (size_t)dim; i++) block[i] = (int8_t)((int)below(&state, 255) - 127);
            check_scan(query, block, n, dim);
            memset(query, n & 1 ? 127 : -127, (size_t)dim); /* the largest sums of both signs */
            memset(block, n & 2 ? 127 : -127, n * (size_t)dim);
            check_scan(query, block, n, dim);
            memset(block, 0, n * (size_t)dim);
            check_scan(query, block, n, dim);
        }
    }
}

TEST(postings, list_gives_back_its_slots)
{
    static const uint32_t slots[] = {0, 1, 2, 127, 128, 255, 20000, 2000000, 2000001, 500000000, UINT32_MAX - 1};
    struct postings       postings = {0};
    for (uint64_t key = 0; key < 1000; key++) index_postings_add(&postings, key, 7);
    for (size_t i = 0; i < 11; i++)
        for (int twice = 0; twice < 2; twice++) index_postings_add(&postings, 5000, slots[i]);
    const struct posting_list *list = index_postings_find(&postings, 5000);
    check_int(list->count, 11);
    size_t n = 0;
    for (struct posting_cursor at = posting_cursor(list); posting_next(&at); n++) check_int(at.slot, slots[n]);
    check_int(n, 11);
    check_int(index_postings_find(&postings, 999)->count, 1);
    check(index_postings_find(&postings, 1000) == NULL);
    index_postings_free(&postings);
}

TEST(postings, compaction_renumbers_and_forgets_empty_lists)
{
    struct postings postings = {0};
    uint32_t        new_slot[3000];
    for (uint32_t slot = 0, kept = 0; slot < 3000; slot++) {
        new_slot[slot] = slot % 3 == 0 ? UINT32_MAX : kept++;
        index_postings_add(&postings, 1, slot);
        index_postings_add(&postings, slot % 3 == 0 ? 2 : 3, slot);
    }
    index_postings_compact(&postings, new_slot);
    check(index_postings_find(&postings, 2) == NULL);
    const struct posting_list *list = index_postings_find(&postings, 1);
    check_int(list->count, 2000);
    uint32_t expected = 0;
    for (struct posting_cursor at = posting_cursor(list); posting_next(&at);) check_int(at.slot, expected++);
    check_int(expected, 2000);
    index_postings_add(&postings, 3, 2000);
    check_int(index_postings_find(&postings, 3)->count, 2001);
    index_postings_free(&postings);
}

/* ---- the log and the cache --------------------------------------------------------------------------------------- */

static struct step add_step(int64_t id, uint64_t *terms, size_t n)
{
    return (struct step){.kind = ADD, .item = {.id = id, .kind = INDEX_OBSERVATION, .time = id, .source = STR("git"),
                                               .type = STR("commit"), .terms = terms, .term_count = n}};
}

#include "unit/index_world.h"

TEST(log, writer_hands_out_ids_and_gapless_numbers)
{
    FIXTURE;
    uint64_t    term = 1;
    struct step steps[] = {add_step(1, &term, 1), add_step(2, &term, 1)};
    write_all(&f, steps, 2);
    write_all(&f, steps, 1);
    struct index *index INDEX_SCOPE = acquire(&f);
    check_int(index_version(index), 3);
    check_int(index_count(index), 2);
    check_int(index_df(index, 1), 2);
}

static struct err *damage_row_two(struct db_tx *tx, void *arg)
{
    (void)arg;
    struct bytes damaged = {"\1\2\3", 3};
    return db_exec(tx, "UPDATE search_log SET payload = $1 WHERE workspace_id = 1 AND seq = 2", damaged);
}

TEST(log, damaged_row_is_a_clear_error)
{
    FIXTURE;
    uint64_t    term = 1;
    struct step steps[] = {add_step(1, &term, 1), add_step(2, &term, 1)};
    write_all(&f, steps, 2);
    check_ok(db_write(f.db, arena, damage_row_two, NULL));
    struct index *index;
    struct err   *err = index_acquire(f.cache, arena, 1, &index);
    check(err && err->code == ERR_INTERNAL && index == NULL);
    check(mentions(err_text(arena, err), "row 2"));
}

TEST(log, a_missing_last_row_is_noticed)
{
    FIXTURE;
    uint64_t    term = 1;
    struct step steps[] = {add_step(1, &term, 1), add_step(2, &term, 1)};
    write_all(&f, steps, 2);
    write_sql(&f, "DELETE FROM search_log WHERE workspace_id = 1 AND seq = 2");
    struct index *index;
    check_err(index_acquire(f.cache, arena, 1, &index), ERR_INTERNAL);
}

TEST(log, folding_keeps_what_decides)
{
    FIXTURE;
    uint64_t    term = 1;
    struct step steps[] = {add_step(1, &term, 1),
                           {.kind = CHANGE, .change = {.id = 1, .kind = INDEX_OBSERVATION, .set_cluster = true, .cluster = 4}},
                           add_step(1, &term, 1),
                           {.kind = CHANGE, .change = {.id = 1, .kind = INDEX_OBSERVATION, .set_cluster = true, .cluster = 9}},
                           add_step(2, &term, 1),
                           {.kind = REMOVE, .item = {.id = 2, .kind = INDEX_OBSERVATION}},
                           add_step(3, &term, 1)};
    write_all(&f, steps, 7);
    struct step fold = {.kind = FOLD};
    check_int(write_all(&f, &fold, 1), 3);
    check_int(write_all(&f, &fold, 1), 0);
    struct index     *index INDEX_SCOPE = acquire(&f);
    struct index_hits hits;
    check_int(index_version(index), 7);
    check_int(index_count(index), 2);
    check_ok(index_search(index, arena, &(struct index_query){.terms = &term, .term_count = 1, .k = 10, .cover_weight = 0.8}, &hits));
    check_int(hits.n, 2);
    check_int(hits.at[0].id, 3);
    check_int(hits.at[1].cluster, 9);
}

TEST(cache, log_of_another_database_is_loaded_anew)
{
    FIXTURE;
    uint64_t    term = 1;
    struct step steps[] = {add_step(1, &term, 1), add_step(2, &term, 1)};
    write_all(&f, steps, 2);
    struct index *index INDEX_SCOPE = acquire(&f);
    index_release(&index);
    write_sql(&f, "DELETE FROM search_log WHERE workspace_id = 1");
    write_sql(&f, "UPDATE workspace_counter SET seq = 0 WHERE workspace_id = 1");
    write_all(&f, &(struct step){.kind = ADD, .item = {.id = 8, .kind = INDEX_DOCUMENT}}, 1);
    index = acquire(&f);
    check_int(index_version(index), 1);
    check_int(index_count(index), 1);
}

TEST(cache, least_recently_used_workspace_is_dropped)
{
    FIXTURE;
    uint64_t term = 1;
    struct step step = add_step(1, &term, 1);
    index_cache_destroy(f.cache);
    f.cache = index_cache_create(f.db, 1);
    const int64_t workspaces[] = {1, add_workspace(f.db, arena, "second"), add_workspace(f.db, arena, "third")};
    for (size_t i = 0; i < 3; i++) {
        struct steps steps = {.workspace = workspaces[i], .at = &step, .n = 1};
        check_ok(db_write(f.db, arena, write_steps, &steps));
        struct index *index INDEX_SCOPE = NULL;
        check_ok(index_acquire(f.cache, arena, workspaces[i], &index));
        size_t alone = index_memory(index);
        check_int(index_cache_memory(f.cache), alone);
    }
}

TEST(cache, empty_workspace_has_nothing)
{
    FIXTURE;
    struct index             *index INDEX_SCOPE = acquire(&f);
    struct index_hits         hits;
    struct index_similar_hits similar;
    struct index_near_cluster near[3];
    uint64_t                  term = 1, state = 5, *entities;
    size_t                    count;
    struct embed_vector       vector = draw_vector(arena, &state, 256), none;
    struct index_boost_entity entity = {.hash = 1, .confidence = 1};
    check_ok(index_search(index, arena, &(struct index_query){.vector = vector, .terms = &term, .term_count = 1, .k = 10,
                                                              .entities = &entity, .entity_count = 1, .cover_weight = 0.8}, &hits));
    check_int(hits.n, 0);
    check_int(hits.total, 0);
    check(!hits.keyword_found && !hits.vector_used && !hits.entity_found);
    check_ok(index_similar(index, arena, &(struct index_similar_query){.vector = vector, .entities = &term, .entity_count = 1}, &similar));
    check_int(similar.n, 0);
    check_int(index_near_clusters(index, vector, near, 3), 0);
    check_str(index_model(index), "");
    check_int(index_dim(index), 0);
    check(!index_item_vector(index, arena, INDEX_OBSERVATION, 1, &none));
    check(!index_item_entities(index, arena, INDEX_OBSERVATION, 1, &entities, &count));
}

TEST(item, vector_is_the_mean_of_the_full_view)
{
    FIXTURE;
    uint64_t             state = 6;
    struct embed_vector  views[3], found;
    struct step          step = {.kind = ADD, .item = {.id = 1, .kind = INDEX_OBSERVATION, .model = STR("m"), .dim = 100}};
    float                sum[100] = {0};
    for (int i = 0; i < 3; i++) views[i] = draw_vector(arena, &state, 100);
    for (int i = 1; i < 3; i++)
        for (int d = 0; d < 100; d++) sum[d] += (float)views[i].x[d] / views[i].norm;
    step.item.views = (struct embed_views){.at = views, .n = 3, .full = 1};
    write_all(&f, &step, 1);
    struct index *index INDEX_SCOPE = acquire(&f);
    check(index_item_vector(index, arena, INDEX_OBSERVATION, 1, &found));
    check_near(embed_cosine(found, embed_quantise(arena, sum, 100), 100), 1, 1e-6);
    index_release(&index);
    step.item.views = (struct embed_views){.at = views, .n = 1, .full = 1}; /* only a title */
    write_all(&f, &step, 1);
    index = acquire(&f);
    check(index_item_vector(index, arena, INDEX_OBSERVATION, 1, &found));
    check(memcmp(found.x, views[0].x, 100) == 0 && found.norm == views[0].norm);
}

TEST(model, most_items_decide_whose_vectors_serve)
{
    FIXTURE;
    uint64_t            state = 7;
    struct embed_vector wide = draw_vector(arena, &state, 128), narrow = draw_vector(arena, &state, 64);
    struct step         steps[3];
    for (int i = 0; i < 3; i++)
        steps[i] = (struct step){.kind = ADD, .item = {.id = i + 1, .kind = INDEX_OBSERVATION, .model = STR("old"), .dim = 128,
                                                       .views = {.at = &wide, .n = 1, .full = 1}}};
    write_all(&f, steps, 3);
    struct index *index INDEX_SCOPE = acquire(&f);
    check_str(index_model(index), "old");
    index_release(&index);
    for (int i = 0; i < 2; i++) {
        steps[i].item.model = STR("renewed");
        steps[i].item.dim = 64;
        steps[i].item.views.at = &narrow;
    }
    write_all(&f, steps, 1);
    index = acquire(&f);
    check_str(index_model(index), "old");
    index_release(&index);
    write_all(&f, steps + 1, 1);
    index = acquire(&f);
    check_str(index_model(index), "renewed");
    check_int(index_dim(index), 64);
    struct index_hits hits;
    check_ok(index_search(index, arena, &(struct index_query){.vector = narrow, .k = 10, .cover_weight = 0}, &hits));
    check_int(hits.n, 2);
    check_near(hits.at[0].score, 1, 1e-6);
}

static void collect_type(void *arg, struct str type)
{
    struct str *types = arg;
    *types = str_eq(*types, STR("")) ? type : STR("several");
}

TEST(item, type_without_live_items_is_not_listed)
{
    FIXTURE;
    uint64_t    term = 1;
    struct step steps[] = {add_step(1, &term, 1), add_step(2, &term, 1), {.kind = REMOVE, .item = {.id = 2, .kind = INDEX_OBSERVATION}}};
    struct str  types = STR("");
    steps[1].item.type = STR("tag");
    write_all(&f, steps, 3);
    struct index *index INDEX_SCOPE = acquire(&f);
    index_types(index, collect_type, &types);
    check_str(types, "commit");
}

TEST(entity, repeated_in_a_query_counts_once)
{
    FIXTURE;
    uint64_t    term = 1, twice[] = {70, 70};
    struct step step = add_step(1, &term, 1);
    step.item.entities = twice;
    step.item.entity_count = 2;
    write_all(&f, &step, 1);
    struct index             *index INDEX_SCOPE = acquire(&f);
    struct index_boost_entity entities[] = {{70, 0.2}, {70, 0.2}};
    struct index_hits         hits;
    struct index_similar_hits similar;
    check_ok(index_search(index, arena, &(struct index_query){.entities = entities, .entity_count = 2, .k = 1, .cover_weight = 0.8}, &hits));
    check(hits.entity_found && hits.n == 1);
    check_int(hits.at[0].entities, 1);
    check_near(hits.at[0].score, 0.20, 1e-6);
    check_ok(index_similar(index, arena, &(struct index_similar_query){.entities = twice, .entity_count = 2}, &similar));
    check_near(similar.at[0].overlap, 1, 1e-9);
}

/* ---- several threads --------------------------------------------------------------------------------------------- */

struct searching {
    struct fixture *f;
    int             rounds;
    bool            failed;
};

static void *search_again_and_again(void *arg)
{
    struct searching *searching = arg;
    int64_t           version = 0;
    for (int round = 0; round < searching->rounds; round++) {
        struct arena     *arena ARENA_SCOPE = arena_create();
        struct index     *index INDEX_SCOPE = NULL;
        struct index_hits hits = {0};
        uint64_t          term = 1;
        struct index_query query = {.terms = &term, .term_count = 1, .k = 5, .cover_weight = 0.8};
        if (index_acquire(searching->f->cache, arena, 1, &index) || index_search(index, arena, &query, &hits) ||
            index_version(index) < version || hits.total != index_count(index))
            searching->failed = true;
        if (index) version = index_version(index);
        if (round % 50 == 49) index_cache_drop(searching->f->cache, 1);
    }
    return NULL;
}

TEST(cache, searches_go_on_while_others_commit)
{
    FIXTURE;
    struct searching searching[2] = {{.f = &f, .rounds = 400}, {.f = &f, .rounds = 400}};
    pthread_t        threads[2];
    uint64_t         terms[] = {1, 2};
    for (int i = 0; i < 2; i++) check_int(pthread_create(&threads[i], NULL, search_again_and_again, &searching[i]), 0);
    for (int64_t id = 1; id <= 150; id++) {
        struct step steps[] = {add_step(id % 40 + 1, terms, 2), add_step(1000 + id, terms, 2)};
        write_all(&f, steps, 2);
    }
    for (int i = 0; i < 2; i++) check_int(pthread_join(threads[i], NULL), 0);
    check(!searching[0].failed && !searching[1].failed);
    struct index *index INDEX_SCOPE = acquire(&f);
    check_int(index_version(index), 300);
    check_int(index_count(index), 190);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(payload, item_is_read_as_it_was_written),
        RUN(payload, change_is_read_as_it_was_written),
        RUN(payload, every_truncation_is_refused),
        RUN(payload, damaged_bytes_never_read_out_of_bounds),
        RUN(payload, vector_without_length_is_refused),
        RUN(payload, what_exceeds_the_bounds_is_not_written),
        RUN(entity, hash_folds_case_and_separates_its_parts),
        RUN(scan, all_versions_give_the_same_integers),
        RUN(postings, list_gives_back_its_slots),
        RUN(postings, compaction_renumbers_and_forgets_empty_lists),
        RUN(log, writer_hands_out_ids_and_gapless_numbers),
        RUN(log, damaged_row_is_a_clear_error),
        RUN(log, a_missing_last_row_is_noticed),
        RUN(log, folding_keeps_what_decides),
        RUN(cache, log_of_another_database_is_loaded_anew),
        RUN(cache, least_recently_used_workspace_is_dropped),
        RUN(cache, empty_workspace_has_nothing),
        RUN(cache, searches_go_on_while_others_commit),
        RUN(item, vector_is_the_mean_of_the_full_view),
        RUN(item, type_without_live_items_is_not_listed),
        RUN(entity, repeated_in_a_query_counts_once),
        RUN(model, most_items_decide_whose_vectors_serve),
        RUN(world, index_equals_a_plain_computation),
        RUN(world, nearest_clusters_equal_a_plain_computation),
        RUN(world, cover_is_that_of_dense_and_of_scattered_terms),
        RUN(world, split_passes_find_what_one_thread_finds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
