/* region.c - mmap and mremap; sizes are rounded to pages here, so callers may forget about them. */
#include "index/region.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { PAGE = 4096, HUGE_FROM = 4 << 20 };

static size_t pages(size_t bytes)
{
    return (bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
}

void *index_region_grow(void *p, size_t old_bytes, size_t new_bytes)
{
    size_t had = p ? pages(old_bytes) : 0, wanted = pages(new_bytes);
    if (wanted <= had) return p;
    void *grown = p ? mremap(p, had, wanted, MREMAP_MAYMOVE)
                    : mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (grown == MAP_FAILED) {
        fprintf(stderr, "lightfast: out of memory (%zu bytes wanted for an index)\n", wanted);
        abort();
    }
    if (wanted >= HUGE_FROM) madvise(grown, wanted, MADV_HUGEPAGE); /* a hint: failure is fine */
    return grown;
}

void index_region_free(void *p, size_t bytes)
{
    if (p && bytes) munmap(p, pages(bytes));
}
