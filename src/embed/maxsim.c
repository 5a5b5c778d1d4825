/* maxsim.c - late interaction: each word of a query with the piece of a text that is nearest to it (ColBERT's MaxSim,
 * over the pieces of the table instead of contextual vectors).
 */
#include "embed/parts.h"

#include <math.h>
#include <pthread.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

enum { MOST_WORDS = 16 };

struct near {
    float cosine[MOST_WORDS];
}; /* of one piece with each word, 0 where they point apart */

struct embed_maxsim {
    struct arena             *arena;
    const struct embed_table *table;
    size_t                    n;
    int16_t                   words[MOST_WORDS][EMBED_TABLE_DIM];
    float                     norm[MOST_WORDS], share[MOST_WORDS]; /* shares add up to 1 */
    uint16_t                 *known; /* of each piece: its place in `near`, from 1; texts of one search repeat pieces */
    VEC(struct near) near;
};

static void add_word(struct embed_maxsim *maxsim, struct embed_word word)
{
    uint32_t ids[EMBED_WINDOW];
    float    sum[EMBED_TABLE_DIM] = {0};
    embed_table_add(maxsim->table, ids, embed_pieces(word.text, ids), sum);
    struct embed_vector vector = embed_quantise(maxsim->arena, sum, EMBED_TABLE_DIM);
    if (!vector.x || !(word.weight > 0)) return;
    for (int d = 0; d < EMBED_TABLE_DIM; d++) maxsim->words[maxsim->n][d] = (int16_t)vector.x[d];
    maxsim->norm[maxsim->n] = vector.norm;
    maxsim->share[maxsim->n++] = word.weight;
}

struct embed_maxsim *embed_maxsim_create(const struct embed_table *table, struct arena *arena,
                                         const struct embed_word *words, size_t n)
{
    struct embed_maxsim *maxsim = NEW(arena, struct embed_maxsim);
    float                all = 0;
    maxsim->arena = arena;
    maxsim->table = table;
    for (size_t i = 0; i < n && maxsim->n < MOST_WORDS; i++) add_word(maxsim, words[i]);
    for (size_t i = 0; i < maxsim->n; i++) all += maxsim->share[i];
    for (size_t i = 0; i < maxsim->n; i++) maxsim->share[i] /= all;
    maxsim->known = NEW_ARRAY(arena, uint16_t, table->count);
    return maxsim->n && table->count < UINT16_MAX ? maxsim : NULL;
}

/* ---- one piece ----------------------------------------------------------------------------------------------------- */

/* dots[i] = row times word i; returns the row times itself. */
typedef int32_t (*dots_fn)(const int8_t *row, const int16_t (*words)[EMBED_TABLE_DIM], size_t n, int32_t *dots);

static int32_t dots_portable(const int8_t *row, const int16_t (*words)[EMBED_TABLE_DIM], size_t n, int32_t *dots)
{
    int32_t square = 0;
    for (int d = 0; d < EMBED_TABLE_DIM; d++) square += row[d] * row[d];
    for (size_t i = 0; i < n; i++) {
        dots[i] = 0;
        for (int d = 0; d < EMBED_TABLE_DIM; d++) dots[i] += row[d] * words[i][d];
    }
    return square;
}

#ifdef __x86_64__
enum { LANES = 16 };

__attribute__((target("avx2"))) static int32_t dot_avx2(const __m256i *wide, const int16_t *word)
{
    __m256i sums = _mm256_setzero_si256();
    for (int d = 0; d < EMBED_TABLE_DIM / LANES; d++)
        sums =
            _mm256_add_epi32(sums, _mm256_madd_epi16(wide[d], _mm256_loadu_si256((const __m256i *)(word + d * LANES))));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

__attribute__((target("avx2"))) static int32_t dots_avx2(const int8_t *row, const int16_t (*words)[EMBED_TABLE_DIM],
                                                         size_t n, int32_t *dots)
{
    __m256i wide[EMBED_TABLE_DIM / LANES];
    for (int d = 0; d < EMBED_TABLE_DIM / LANES; d++)
        wide[d] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(row + d * LANES)));
    for (size_t i = 0; i < n; i++) dots[i] = dot_avx2(wide, words[i]);
    return dot_avx2(wide, (const int16_t *)wide);
}
#endif

static dots_fn dots_of; /* cache: chosen once, by the processor */

static void choose(void)
{
    dots_of = dots_portable;
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2")) dots_of = dots_avx2;
#endif
}

static void compare(const struct embed_maxsim *maxsim, uint32_t piece, struct near *near)
{
    const int8_t *row = maxsim->table->rows + (size_t)piece * EMBED_TABLE_DIM;
    int32_t       dots[MOST_WORDS];
    float         norm = sqrtf((float)dots_of(row, maxsim->words, maxsim->n, dots));
    *near = (struct near){0};
    for (size_t i = 0; i < maxsim->n && norm > 0; i++)
        near->cosine[i] = dots[i] > 0 ? (float)dots[i] / (norm * maxsim->norm[i]) : 0;
}

static const struct near *near_of(struct embed_maxsim *maxsim, uint32_t piece)
{
    if (!maxsim->known[piece]) {
        compare(maxsim, piece, VEC_PUSH(maxsim->arena, &maxsim->near));
        maxsim->known[piece] = (uint16_t)maxsim->near.n;
    }
    return &maxsim->near.at[maxsim->known[piece] - 1];
}

/* ---- a text -------------------------------------------------------------------------------------------------------- */

double embed_maxsim_of(struct embed_maxsim *maxsim, struct str text)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    uint32_t              ids[EMBED_WINDOW];
    size_t                count = embed_pieces(text, ids);
    float                 best[MOST_WORDS] = {0};
    double                sum = 0;
    pthread_once(&once, choose);
    for (size_t i = 0; i < count; i++) {
        const struct near *near = near_of(maxsim, ids[i]);
        for (size_t w = 0; w < MOST_WORDS; w++) best[w] = near->cosine[w] > best[w] ? near->cosine[w] : best[w];
    }
    for (size_t w = 0; w < maxsim->n; w++) sum += maxsim->share[w] * best[w];
    return sum;
}
