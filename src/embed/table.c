/* table.c - the built-in table (safetensors: length, JSON header, data) and the sum of its rows.
 *
 * The rows stay where the program is mapped; of the 8 MB only the pages that texts use come into memory. All versions of
 * the sum add in the same order and without fused operations (-ffp-contract=off), so they give the same bits.
 */
#include "embed/parts.h"
#include "json/json.h"

#include <pthread.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

extern const char file_model_safetensors[], file_model_safetensors_end[];

/* The data of one tensor of the header, if it has this type and shape. */
static const void *tensor(const json_value *header, struct str data, const char *name, const char *type, int64_t rows,
                          int64_t columns, size_t bytes)
{
    const json_value *entry = json_get(header, name);
    int64_t from = json_int(entry, "data_offsets.0", -1), to = json_int(entry, "data_offsets.1", -1);
    bool    shaped = json_int(entry, "shape.0", -1) == rows &&
                  (columns ? json_int(entry, "shape.1", -1) == columns : json_count(json_get(entry, "shape")) == 1);
    if (!shaped || !str_eq(json_str(entry, "dtype"), str_of(type))) return NULL;
    if (from < 0 || to < from || (uint64_t)to > data.n || (size_t)(to - from) != bytes) return NULL;
    return data.s + from;
}

struct err *embed_table_open(struct arena *arena, struct arena *own, struct embed_table *table)
{
    struct str file = {file_model_safetensors, (size_t)(file_model_safetensors_end - file_model_safetensors)};
    uint64_t   length = 0; /* little-endian, as all processors that this program is built for */
    if (file.n > sizeof length) memcpy(&length, file.s, sizeof length);
    if (!length || length > file.n - sizeof length)
        return err_new(arena, ERR_INTERNAL, "the built-in embedding table has no header");
    const json_value *header;
    TRY(json_parse(own, str_slice(file, sizeof length, sizeof length + length), &header));
    struct str data = str_skip(file, sizeof length + length);
    int64_t    rows = json_int(header, "embeddings.shape.0", 0);
    if (rows < 1 || rows > INT32_MAX) rows = 0;
    *table = (struct embed_table){.count = (size_t)rows, .name = json_str(header, "__metadata__.name")};
    table->rows = tensor(header, data, "embeddings", "I8", rows, EMBED_TABLE_DIM, (size_t)rows * EMBED_TABLE_DIM);
    table->scales = tensor(header, data, "scales", "F32", rows, 0, (size_t)rows * sizeof(float));
    if (!table->rows || !table->scales || (uintptr_t)table->scales % sizeof(float) || !table->name.n)
        return err_new(arena, ERR_INTERNAL, "the built-in embedding table has another shape than this program reads");
    return NULL;
}

typedef void (*add_fn)(const struct embed_table *table, const uint32_t *ids, size_t n, float *sum);

static void add_portable(const struct embed_table *table, const uint32_t *ids, size_t n, float *sum)
{
    for (size_t i = 0; i < n; i++) {
        const int8_t *row = table->rows + (size_t)ids[i] * EMBED_TABLE_DIM;
        float         scale = table->scales[ids[i]];
        for (int d = 0; d < EMBED_TABLE_DIM; d++) sum[d] += (float)row[d] * scale;
    }
}

#ifdef __x86_64__
/* One cache line of every row, then the next line: eight sums stay in registers. */
__attribute__((target("avx2"))) static void add_avx2(const struct embed_table *table, const uint32_t *ids, size_t n,
                                                     float *sum)
{
    enum { LINE = 64, LANES = 8, SUMS = LINE / LANES };
    for (int d = 0; d < EMBED_TABLE_DIM; d += LINE) {
        __m256 sums[SUMS];
        for (int k = 0; k < SUMS; k++) sums[k] = _mm256_loadu_ps(sum + d + k * LANES);
        for (size_t i = 0; i < n; i++) {
            const int8_t *row = table->rows + (size_t)ids[i] * EMBED_TABLE_DIM + d;
            __m256        scale = _mm256_set1_ps(table->scales[ids[i]]);
            for (int k = 0; k < SUMS; k++) {
                __m128i bytes = _mm_loadl_epi64((const __m128i *)(row + k * LANES));
                __m256  values = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
                sums[k] = _mm256_add_ps(sums[k], _mm256_mul_ps(values, scale));
            }
        }
        for (int k = 0; k < SUMS; k++) _mm256_storeu_ps(sum + d + k * LANES, sums[k]);
    }
}
#endif

static add_fn add_rows; /* cache: chosen once, by the processor */

static void choose(void)
{
    add_rows = add_portable;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) add_rows = add_avx2;
#endif
}

void embed_table_add(const struct embed_table *table, const uint32_t *ids, size_t n, float sum[EMBED_TABLE_DIM])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose);
    add_rows(table, ids, n, sum);
}
