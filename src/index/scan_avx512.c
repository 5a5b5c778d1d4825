/* scan_avx512.c - VNNI multiplies unsigned by signed bytes: the rows are shifted by 128 (one exclusive or), and
 * 128 times the sum of the query's components is taken off again, once for all rows. Prefetching by hand is left out
 * on purpose: the processor follows the rows by itself, and faster. */
#include "index/scan.h"

#ifdef __x86_64__
#include <immintrin.h>

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))

bool index_scan_avx512_supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}

static int32_t shift_of(const int8_t *query, int dim)
{
    int32_t sum = 0;
    for (int d = 0; d < dim; d++) sum += query[d];
    return 128 * sum;
}

VNNI static inline __m128i folded(__m512i lanes) /* 16 lanes to 4 */
{
    __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

VNNI static inline __m512i row_lanes(const int8_t *query, const int8_t *row, int dim)
{
    const __m512i flip = _mm512_set1_epi8((char)0x80);
    __m512i       lanes = _mm512_setzero_si512();
    for (int d = 0; d < dim; d += 64) {
        lanes = _mm512_dpbusd_epi32(lanes, _mm512_xor_si512(_mm512_loadu_si512(row + d), flip),
                                    _mm512_loadu_si512(query + d));
    }
    return lanes;
}

VNNI void index_scan_avx512(const int8_t *query, const int8_t *block, size_t n, int dim, int32_t *dots)
{
    int32_t shift = shift_of(query, dim);
    size_t  i = 0;
    for (; i + 4 <= n; i += 4, block += 4 * (size_t)dim) {
        __m128i a = folded(row_lanes(query, block, dim)), b = folded(row_lanes(query, block + dim, dim));
        __m128i c = folded(row_lanes(query, block + 2 * dim, dim)), d = folded(row_lanes(query, block + 3 * dim, dim));
        __m128i ab = _mm_hadd_epi32(a, b), cd = _mm_hadd_epi32(c, d);
        _mm_storeu_si128((__m128i *)(dots + i), _mm_sub_epi32(_mm_hadd_epi32(ab, cd), _mm_set1_epi32(shift)));
    }
    for (; i < n; i++, block += dim) dots[i] = _mm512_reduce_add_epi32(row_lanes(query, block, dim)) - shift;
}
#endif
