/* scan_avx2.c - 32 components at a time, widened to 16 bits: products and their pair sums cannot overflow. */
#include "index/scan.h"

#ifdef __x86_64__
#include <immintrin.h>

bool index_scan_avx2_supported(void)
{
    return __builtin_cpu_supports("avx2");
}

__attribute__((target("avx2"))) static int32_t sum_of(__m256i lanes)
{
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
    sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
    return _mm_cvtsi128_si32(sum);
}

__attribute__((target("avx2"))) static inline __m256i widened(const int8_t *at)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)at));
}

__attribute__((target("avx2"))) void index_scan_avx2(const int8_t *query, const int8_t *block, size_t n, int dim,
                                                     int32_t *dots)
{
    __m256i wide[EMBED_MAX_DIM / 16];
    for (int d = 0; d < dim; d += 16) wide[d / 16] = widened(query + d);
    for (size_t i = 0; i < n; i++, block += dim) {
        __m256i even = _mm256_setzero_si256(), odd = even;
        for (int d = 0; d < dim; d += 64) {
            even = _mm256_add_epi32(even, _mm256_madd_epi16(widened(block + d), wide[d / 16]));
            odd = _mm256_add_epi32(odd, _mm256_madd_epi16(widened(block + d + 16), wide[d / 16 + 1]));
            even = _mm256_add_epi32(even, _mm256_madd_epi16(widened(block + d + 32), wide[d / 16 + 2]));
            odd = _mm256_add_epi32(odd, _mm256_madd_epi16(widened(block + d + 48), wide[d / 16 + 3]));
        }
        dots[i] = sum_of(_mm256_add_epi32(even, odd));
    }
}
#endif
