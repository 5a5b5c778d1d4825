/* scan_neon.c - 64-bit ARM: products of bytes in 16 bits, added in pairs to 32 before they could overflow. */
#include "index/scan.h"

#ifdef __aarch64__
#include <arm_neon.h>

static inline int32x4_t add_products(int32x4_t sum, int8x16_t a, int8x16_t b)
{
    sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    return vpadalq_s16(sum, vmull_high_s8(a, b));
}

void index_scan_neon(const int8_t *query, const int8_t *block, size_t n, int dim, int32_t *dots)
{
    for (size_t i = 0; i < n; i++, block += dim) {
        int32x4_t even = vdupq_n_s32(0), odd = even;
        for (int d = 0; d < dim; d += 32) {
            even = add_products(even, vld1q_s8(query + d), vld1q_s8(block + d));
            odd = add_products(odd, vld1q_s8(query + d + 16), vld1q_s8(block + d + 16));
        }
        dots[i] = vaddvq_s32(vaddq_s32(even, odd));
    }
}
#endif
