/* scan.c - which version of the scan serves, and the one that every processor can run. */
#include "index/scan.h"

#include <pthread.h>

void index_scan_portable(const int8_t *query, const int8_t *block, size_t n, int dim, int32_t *dots)
{
    for (size_t i = 0; i < n; i++, block += dim) {
        int32_t dot = 0;
        for (int d = 0; d < dim; d++) dot += query[d] * block[d];
        dots[i] = dot;
    }
}

static bool always(void)
{
    return true;
}

/* Fastest first. */
const struct index_scan_version index_scan_versions[] = {
#ifdef __x86_64__
    {"avx512-vnni", index_scan_avx512, index_scan_avx512_supported},
    {"avx2", index_scan_avx2, index_scan_avx2_supported},
#endif
#ifdef __aarch64__
    {"neon", index_scan_neon, always}, /* part of every 64-bit ARM */
#endif
    {"portable", index_scan_portable, always},
    {NULL, NULL, NULL},
};

static index_scan_fn  chosen; /* set once by choose(), read-only afterwards */
static pthread_once_t choice = PTHREAD_ONCE_INIT;

static void choose(void)
{
    const struct index_scan_version *version = index_scan_versions;
    while (!version->supported()) version++;
    chosen = version->scan;
}

index_scan_fn index_scan(void)
{
    pthread_once(&choice, choose);
    return chosen;
}
