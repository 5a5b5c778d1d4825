/* scan.h - the versions of the scan; which of them exist depends on the processor the program is built for. */
#pragma once
#include "index/index.h"

void index_scan_portable(const int8_t *query, const int8_t *block, size_t n, int dim, int32_t *dots);
#ifdef __x86_64__
void index_scan_avx2(const int8_t *query, const int8_t *block, size_t n, int dim, int32_t *dots);
bool index_scan_avx2_supported(void);
void index_scan_avx512(const int8_t *query, const int8_t *block, size_t n, int dim, int32_t *dots);
bool index_scan_avx512_supported(void);
#endif
#ifdef __aarch64__
void index_scan_neon(const int8_t *query, const int8_t *block, size_t n, int dim, int32_t *dots);
#endif
