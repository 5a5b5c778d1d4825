/* vectors.c - the index's scan against sqlite-vec: vectors VEC0_LIBRARY. Same vectors, same processor, one thread, both
 * in memory, the 10 nearest by cosine; both must name the same neighbours. */
#include "base/time.h"
#include "index/index.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

enum { VECTORS = 100000, DIM = 256, NEAREST = 10, QUERIES = 15 };

struct vectors {
    int8_t  *block; /* VECTORS rows */
    float   *norms;
    int8_t  *queries;
    int32_t *dots;
};

struct near {
    int64_t row;
    float   cosine;
};

static uint64_t state = 88172645463325252u;

static uint32_t random_number(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

/* Components as sums of uniform numbers: bell-shaped, as those of real vectors. */
static struct embed_vector random_vector(struct arena *arena)
{
    float v[DIM];
    for (int i = 0; i < DIM; i++) {
        v[i] = 0;
        for (int k = 0; k < 4; k++) v[i] += (float)(random_number() % 2001) - 1000;
    }
    return embed_quantise(arena, v, DIM);
}

static void fill(struct vectors *vectors, struct arena *arena)
{
    struct arena *work ARENA_SCOPE = arena_create();
    vectors->block = arena_alloc_raw(arena, (size_t)VECTORS * DIM);
    vectors->norms = NEW_ARRAY(arena, float, VECTORS);
    vectors->queries = arena_alloc_raw(arena, QUERIES * DIM);
    vectors->dots = NEW_ARRAY(arena, int32_t, VECTORS);
    for (size_t i = 0; i < VECTORS + QUERIES; i++) {
        struct embed_vector v = random_vector(work);
        memcpy(i < VECTORS ? vectors->block + i * DIM : vectors->queries + (i - VECTORS) * DIM, v.x, DIM);
        if (i < VECTORS) vectors->norms[i] = v.norm;
        arena_reset(work);
    }
}

static void ours(struct vectors *vectors, const int8_t *query, struct near nearest[NEAREST])
{
    index_scan()(query, vectors->block, VECTORS, DIM, vectors->dots);
    size_t n = 0;
    for (int64_t row = 0; row < VECTORS; row++) {
        float cosine = (float)vectors->dots[row] / vectors->norms[row];
        if (n == NEAREST && cosine <= nearest[n - 1].cosine) continue;
        size_t at = n < NEAREST ? n++ : n - 1;
        for (; at > 0 && nearest[at - 1].cosine < cosine; at--) nearest[at] = nearest[at - 1];
        nearest[at] = (struct near){row, cosine};
    }
}

static void must(sqlite3 *db, int code)
{
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) return;
    fprintf(stderr, "vectors: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static sqlite3 *peer_open(const char *library, const struct vectors *vectors)
{
    sqlite3      *db;
    sqlite3_stmt *insert;
    must(NULL, sqlite3_open(":memory:", &db));
    must(db, sqlite3_enable_load_extension(db, 1));
    must(db, sqlite3_load_extension(db, library, "sqlite3_vec_init", NULL));
    must(db, sqlite3_exec(db, "CREATE VIRTUAL TABLE v USING vec0(e int8[256] distance_metric=cosine); BEGIN", 0, 0, 0));
    must(db, sqlite3_prepare_v2(db, "INSERT INTO v (rowid, e) VALUES (?, vec_int8(?))", -1, &insert, NULL));
    for (int64_t row = 0; row < VECTORS; row++) {
        sqlite3_bind_int64(insert, 1, row + 1);
        sqlite3_bind_blob(insert, 2, vectors->block + row * DIM, DIM, SQLITE_STATIC);
        must(db, sqlite3_step(insert));
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    must(db, sqlite3_exec(db, "COMMIT", 0, 0, 0));
    return db;
}

static void peer(sqlite3 *db, sqlite3_stmt *select, const int8_t *query, int64_t rows[NEAREST])
{
    int n = 0, code;
    sqlite3_bind_blob(select, 1, query, DIM, SQLITE_STATIC);
    while ((code = sqlite3_step(select)) == SQLITE_ROW) rows[n++] = sqlite3_column_int64(select, 0) - 1;
    must(db, code);
    sqlite3_reset(select);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: vectors VEC0_LIBRARY\n");
        return 2;
    }
    struct arena  *arena = arena_create();
    struct vectors vectors;
    fill(&vectors, arena);
    sqlite3      *db = peer_open(argv[1], &vectors);
    sqlite3_stmt *select;
    must(db, sqlite3_prepare_v2(db, "SELECT rowid FROM v WHERE e MATCH vec_int8(?) AND k = 10 ORDER BY distance", -1,
                                &select, NULL));
    int64_t our_us[QUERIES], peer_us[QUERIES];
    int     agreed = 0;
    for (int q = 0; q < QUERIES; q++) {
        struct near   nearest[NEAREST];
        int64_t       rows[NEAREST] = {0};
        const int8_t *query = vectors.queries + q * DIM;
        int64_t       begin = time_monotonic_us();
        ours(&vectors, query, nearest);
        our_us[q] = time_monotonic_us() - begin;
        begin = time_monotonic_us();
        peer(db, select, query, rows);
        peer_us[q] = time_monotonic_us() - begin;
        for (int i = 0; i < NEAREST; i++)
            for (int k = 0; k < NEAREST; k++) agreed += nearest[i].row == rows[k];
    }
    sqlite3_finalize(select);
    sqlite3_close(db);
    qsort(our_us, QUERIES, sizeof *our_us, compare);
    qsort(peer_us, QUERIES, sizeof *peer_us, compare);
    printf("{\"vectors\": %d, \"ms\": %.3f, \"peerMs\": %.3f, \"agreement\": %.3f}\n", VECTORS,
           (double)our_us[QUERIES / 2] / 1e3, (double)peer_us[QUERIES / 2] / 1e3, (double)agreed / (QUERIES * NEAREST));
    return 0;
}
