/* synth.c - a made-up workspace of n items, written through the real log and searched through the real cache.
 * Usage: bench_synth [items ...]; default 12676 100000 1000000. Two views of 256 dims and 40 terms (Zipf) an item. */
#include "base/time.h"
#include "index/index.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DIM = 256, TERMS = 40, VOCABULARY = 200000, BATCH = 2000, QUERY_TERMS = 8, SEARCHES = 200 };

static uint64_t random_state = 7; /* one thread */

static uint64_t draw(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t draw_term(void) /* word of rank r comes with a share of about 1 / r */
{
    double rank = exp((double)(draw() >> 11) / 9007199254740992.0 * log(VOCABULARY));
    return (uint64_t)rank * 0x9e3779b97f4a7c15u ^ 0x5bd1e995;
}

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static size_t draw_terms(uint64_t *terms, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) terms[i] = draw_term();
    qsort(terms, n, sizeof *terms, by_value);
    for (size_t i = 0; i < n; i++)
        if (!kept || terms[kept - 1] != terms[i]) terms[kept++] = terms[i];
    return kept;
}

static struct embed_vector draw_vector(int8_t *x)
{
    double squares = 0;
    for (int d = 0; d < DIM; d += 8) {
        uint64_t bits = draw();
        memcpy(x + d, &bits, 8);
    }
    for (int d = 0; d < DIM; d++) {
        if (x[d] == -128) x[d] = -127;
        squares += x[d] * x[d];
    }
    return (struct embed_vector){x, (float)sqrt(squares)};
}

struct batch {
    int64_t first, n;
};

static struct err *write_batch(struct db_tx *tx, void *arg)
{
    static const char *const types[] = {"push", "pull_request_merged", "issue_created", "release_published"};
    struct batch            *batch = arg;
    struct index_writer      writer;
    random_state = (uint64_t)batch->first; /* the same when run again */
    TRY(index_writer_open(tx, 1, &writer));
    for (int64_t id = batch->first; id < batch->first + batch->n; id++) {
        struct arena_mark   mark = arena_mark(tx->arena);
        int8_t              x[2][DIM];
        struct embed_vector views[] = {draw_vector(x[0]), draw_vector(x[1])};
        uint64_t            terms[TERMS], entity = draw() % 5000;
        size_t              term_count = draw_terms(terms, TERMS);
        struct index_item   item = {.id = id, .kind = INDEX_OBSERVATION, .time = id * 1000, .source = STR("github"),
                                    .type = str_of(types[draw() % 4]), .actor = str_printf(tx->arena, "actor:%d", (int)(draw() % 500)),
                                    .cluster = id / 20 + 1, .significance = 50, .terms = terms, .term_count = term_count,
                                    .entities = &entity, .entity_count = 1, .model = STR("synthetic"), .dim = DIM,
                                    .views = {.at = views, .n = 2, .full = 1}};
        TRY(index_add(&writer, &item));
        arena_rewind(tx->arena, mark);
    }
    return index_writer_close(&writer);
}

static struct err *make_workspace(struct db_tx *tx, void *arg)
{
    (void)arg;
    TRY(db_exec(tx, "INSERT INTO organization (id, public_id, slug, created_at) VALUES (1, 'org_1', 'bench', 0)"));
    return db_exec(tx, "INSERT INTO workspace (id, org_id, public_id, name, name_norm, slug, created_at) "
                       "VALUES (1, 1, 'w', 'w', 'w', 'w', 0)");
}

static int by_time(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

/* Best, median and 99th of whole searches, index_acquire included. */
static struct err *measure(struct index_cache *cache, const char *what, struct index_query query, bool vectors)
{
    double took[SEARCHES];
    for (int i = 0; i < SEARCHES; i++) {
        struct arena     *arena ARENA_SCOPE = arena_create();
        struct index     *index INDEX_SCOPE = NULL;
        struct index_hits hits;
        uint64_t          terms[QUERY_TERMS];
        int8_t            x[DIM];
        query.vector = vectors ? draw_vector(x) : (struct embed_vector){0};
        if (query.term_count) query.term_count = draw_terms(terms, QUERY_TERMS);
        query.terms = terms;
        int64_t started = time_monotonic_us();
        TRY(index_acquire(cache, arena, 1, &index));
        TRY(index_search(index, arena, &query, &hits));
        took[i] = (double)(time_monotonic_us() - started) / 1000;
    }
    qsort(took, SEARCHES, sizeof *took, by_time);
    printf("  %-28s best %8.3f   median %8.3f   p99 %8.3f ms\n", what, took[0], took[SEARCHES / 2], took[SEARCHES * 99 / 100]);
    return NULL;
}

static struct err *measure_all(struct index_cache *cache)
{
    const struct str                type = STR("push");
    const struct index_boost_entity entity = {.hash = 17, .confidence = 0.8};
    const int64_t                   clusters[] = {3, 4, 5};
    struct index_query              query = {.k = 50, .cover_weight = 0.8};
    random_state = 99;
    TRY(measure(cache, "vector alone", query, true));
    query.term_count = 1;
    TRY(measure(cache, "terms alone", query, false));
    TRY(measure(cache, "vector, terms", query, true));
    query.entities = &entity;
    query.entity_count = 1;
    query.clusters = clusters;
    query.cluster_count = 3;
    TRY(measure(cache, "vector, terms, boosts", query, true));
    query.filter = (struct index_filter){.types = &type, .type_count = 1};
    return measure(cache, "the same, one type of four", query, true);
}

static struct err *run(struct arena *arena, const char *dir, int64_t items)
{
    struct db *db;
    TRY(db_open(arena, (struct db_config){.data_dir = str_of(dir)}, &db));
    TRY(db_write(db, arena, make_workspace, NULL));
    int64_t started = time_monotonic_us();
    for (int64_t first = 1; first <= items; first += BATCH) {
        struct batch batch = {first, items - first + 1 < BATCH ? items - first + 1 : BATCH};
        TRY(db_write(db, arena, write_batch, &batch));
    }
    printf("%lld items: log written in %.1f s, ", (long long)items, (double)(time_monotonic_us() - started) / 1e6);
    struct index_cache *cache = index_cache_create(db, SIZE_MAX);
    for (int round = 0; round < 2; round++) {
        struct index *index INDEX_SCOPE = NULL;
        index_cache_drop(cache, 1);
        started = time_monotonic_us();
        TRY(index_acquire(cache, arena, 1, &index));
        printf("%s %.1f ms%s", round ? "warm" : "loaded cold in", (double)(time_monotonic_us() - started) / 1e3, round ? "" : ", ");
    }
    printf(", %.1f MB in memory\n", (double)index_cache_memory(cache) / 1e6);
    struct err *err = measure_all(cache);
    index_cache_destroy(cache);
    db_close(db);
    return err;
}

static void remove_directory(struct arena *arena, const char *dir)
{
    DIR *directory = opendir(dir);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        unlink(str_z(arena, str_printf(arena, "%s/%s", dir, entry->d_name)));
    if (directory) closedir(directory);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    const char *const  usual[] = {"12676", "100000", "1000000"};
    const char *const *sizes = argc > 1 ? (const char *const *)argv + 1 : usual;
    size_t             n = argc > 1 ? (size_t)argc - 1 : 3;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < n; i++) {
        struct arena *arena ARENA_SCOPE = arena_create();
        char          dir[] = "/tmp/lightfast-synth-XXXXXX";
        int64_t       items;
        if (!str_to_int(str_of(sizes[i]), &items) || items < 1 || !mkdtemp(dir)) {
            fprintf(stderr, "usage: bench_synth [items ...]\n");
            return 2;
        }
        struct err *err = run(arena, dir, items);
        remove_directory(arena, dir);
        if (err) {
            struct str text = err_text(arena, err);
            fprintf(stderr, STR_FMT "\n", STR_ARG(text));
            return 1;
        }
    }
    return 0;
}
