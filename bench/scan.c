/* scan.c - every version of the scan this processor has: nanoseconds a vector, in cache and from memory.
 * Usage: bench_scan [vectors] [dim]; defaults 2000000 and 256, the views of a million items. */
#include "base/time.h"
#include "index/index.h"
#include "index/region.h"

#include <stdio.h>
#include <stdlib.h>

static double best_of(const struct index_scan_version *version, const int8_t *query, const int8_t *block, size_t n, int dim,
                      int32_t *dots)
{
    double best = 1e18;
    for (int round = 0; round < 7; round++) {
        int64_t started = time_monotonic_us();
        for (size_t from = 0; from < n; from += 512)
            version->scan(query, block + from * (size_t)dim, n - from < 512 ? n - from : 512, dim, dots);
        double took = (double)(time_monotonic_us() - started);
        best = took < best ? took : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    size_t  n = argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000;
    int     dim = argc > 2 ? atoi(argv[2]) : 256;
    int8_t  query[EMBED_MAX_DIM];
    int32_t dots[512];
    if (!n || dim < 64 || dim > EMBED_MAX_DIM || dim % 64) {
        fprintf(stderr, "usage: bench_scan [vectors] [dim, a multiple of 64]\n");
        return 2;
    }
    int8_t  *block = index_region_grow(NULL, 0, n * (size_t)dim); /* as the index keeps them */
    uint64_t random = 1;
    for (size_t i = 0; i < n * (size_t)dim; i++) block[i] = (int8_t)((random = random * 6364136223846793005u + 1) >> 57) - 64;
    for (int d = 0; d < dim; d++) query[d] = (int8_t)(d % 255 - 127);
    printf("%-12s %12s %16s\n", "version", "ms in all", "ns a vector");
    for (const struct index_scan_version *version = index_scan_versions; version->name; version++) {
        if (!version->supported()) continue;
        double us = best_of(version, query, block, n, dim, dots);
        printf("%-12s %12.2f %16.2f\n", version->name, us / 1000, us * 1000 / (double)n);
    }
    index_region_free(block, n * (size_t)dim);
    return 0;
}
