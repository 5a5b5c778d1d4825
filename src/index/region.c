/* region.c - mmap and mremap; sizes are rounded to pages here, so callers may forget about them. */
#include "index/region.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { PAGE = 4096, HUGE_PAGE = 2 << 20, HUGE_FROM = 2 * HUGE_PAGE };

static size_t pages(size_t bytes)
{
    return (bytes + PAGE - 1) & ~(size_t)(PAGE - 1);
}

/* Pages move whole, and huge pages stay huge, only between addresses that are both multiples of a huge page. */
static void *aligned_space(size_t bytes)
{
    char *space = mmap(NULL, bytes + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) return MAP_FAILED;
    size_t before = -(uintptr_t)space & (HUGE_PAGE - 1);
    if (before) munmap(space, before);
    munmap(space + before + bytes, HUGE_PAGE - before);
    return space + before;
}

static void *grow_large(void *p, size_t had, size_t wanted)
{
    void *grown = p && ((uintptr_t)p & (HUGE_PAGE - 1)) == 0 ? mremap(p, had, wanted, 0) : MAP_FAILED;
    if (grown == MAP_FAILED) {
        void *space = aligned_space(wanted);
        if (space == MAP_FAILED) return MAP_FAILED;
        grown = p ? mremap(p, had, wanted, MREMAP_MAYMOVE | MREMAP_FIXED, space)
                  : mmap(space, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    }
    if (grown != MAP_FAILED) madvise(grown, wanted, MADV_HUGEPAGE); /* a hint: failure is fine */
    return grown;
}

static void *grow_small(void *p, size_t had, size_t wanted)
{
    return p ? mremap(p, had, wanted, MREMAP_MAYMOVE)
             : mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

void *index_region_grow(void *p, size_t old_bytes, size_t new_bytes)
{
    size_t had = p ? pages(old_bytes) : 0, wanted = pages(new_bytes);
    if (wanted <= had) return p;
    void *grown = wanted >= HUGE_FROM ? grow_large(p, had, wanted) : grow_small(p, had, wanted);
    if (grown == MAP_FAILED) {
        fprintf(stderr, "lightfast: out of memory (%zu bytes wanted for an index)\n", wanted);
        abort();
    }
    return grown;
}

void index_region_free(void *p, size_t bytes)
{
    if (p && bytes) munmap(p, pages(bytes));
}
