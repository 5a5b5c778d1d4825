/* arena.c - blocks that double in size up to 1 MiB, chained newest first. */
#include "base/arena.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define POISONING 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISONING 1
#endif
#endif
#ifdef POISONING
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#define GAP 16 /* unusable bytes between allocations, so that overruns are seen */
#else
#define POISON(p, n) ((void)(p))
#define UNPOISON(p, n) ((void)(p))
#define GAP 0
#endif

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20, ALIGNMENT = 16, WIDE = 64 };

struct block {
    struct block *older;
    size_t        size, used; /* of data */
    _Alignas(WIDE) char data[];
};

struct arena {
    struct block *newest;
    size_t        total;
};

static void out_of_memory(size_t n)
{
    fprintf(stderr, "lightfast: out of memory (%zu bytes wanted)\n", n);
    abort();
}

static struct block *block_create(struct block *older, size_t size)
{
    void *memory = NULL;
    if (posix_memalign(&memory, WIDE, sizeof(struct block) + size) != 0) out_of_memory(size);
    struct block *block = memory;
    *block = (struct block){.older = older, .size = size};
    POISON(block->data, size);
    return block;
}

static void block_destroy(struct block *block)
{
    UNPOISON(block->data, block->size);
    free(block);
}

struct arena *arena_create(void)
{
    struct arena *arena = malloc(sizeof *arena);
    if (!arena) out_of_memory(sizeof *arena);
    *arena = (struct arena){.newest = block_create(NULL, FIRST_BLOCK)};
    return arena;
}

void arena_destroy(struct arena *arena)
{
    if (!arena) return;
    for (struct block *block = arena->newest; block;) {
        struct block *older = block->older;
        block_destroy(block);
        block = older;
    }
    free(arena);
}

void arena_reset(struct arena *arena)
{
    while (arena->newest->older) {
        struct block *older = arena->newest->older;
        arena->newest->older = older->older;
        block_destroy(older);
    }
    if (arena->newest->size > LARGEST_BLOCK) {
        block_destroy(arena->newest);
        arena->newest = block_create(NULL, FIRST_BLOCK);
    }
    arena->newest->used = 0;
    arena->total = 0;
    POISON(arena->newest->data, arena->newest->size);
}

void *arena_alloc_raw(struct arena *arena, size_t n)
{
    size_t        align = n >= WIDE ? WIDE : ALIGNMENT;
    struct block *block = arena->newest;
    size_t        at = (block->used + align - 1) & ~(align - 1);
    if (n > SIZE_MAX / 2) out_of_memory(n);
    if (at + n + GAP > block->size) {
        size_t size = block->size * 2 > LARGEST_BLOCK ? LARGEST_BLOCK : block->size * 2;
        if (size < n + GAP) size = n + GAP;
        arena->newest = block = block_create(block, size);
        at = 0;
    }
    block->used = at + n + GAP;
    arena->total += n;
    UNPOISON(block->data + at, n);
    return block->data + at;
}

void *arena_alloc(struct arena *arena, size_t n)
{
    return memset(arena_alloc_raw(arena, n), 0, n);
}

void *arena_grow(struct arena *arena, void *p, size_t n, size_t wanted)
{
    if (wanted <= n) return p;
    struct block *block = arena->newest;
    char         *start = p;
    if (p && start >= block->data && start + n + GAP == block->data + block->used &&
        (size_t)(start - block->data) + wanted + GAP <= block->size) {
        block->used = (size_t)(start - block->data) + wanted + GAP;
        arena->total += wanted - n;
        UNPOISON(start, wanted);
        return p;
    }
    void *grown = arena_alloc_raw(arena, wanted);
    if (n) memcpy(grown, p, n);
    return grown;
}

size_t arena_used(const struct arena *arena)
{
    return arena->total;
}

struct arena_mark arena_mark(struct arena *arena)
{
    return (struct arena_mark){.block = arena->newest, .used = arena->newest->used, .total = arena->total};
}

void arena_rewind(struct arena *arena, struct arena_mark mark)
{
    while (arena->newest != mark.block) {
        struct block *older = arena->newest->older;
        assert(older);
        block_destroy(arena->newest);
        arena->newest = older;
    }
    POISON(arena->newest->data + mark.used, arena->newest->size - mark.used);
    arena->newest->used = mark.used;
    arena->total = mark.total;
}

void arena_scope_end(struct arena **arena)
{
    arena_destroy(*arena);
}
