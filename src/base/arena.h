/* arena.h - memory that is freed all at once.
 *
 * An arena belongs to one unit of work (a request, an import batch, a test) and to one thread at a time. Whatever
 * allocates takes it as its first argument; nothing that came out of an arena is freed singly. Out of memory ends the
 * process with a message.
 */
#pragma once
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

struct arena *arena_create(void);
void arena_destroy(struct arena *arena); /* NULL is fine */

/* Forget everything, keep one block for the next use. */
void arena_reset(struct arena *arena);

/* Zeroed memory, aligned for every type up to 64 bytes wide. n = 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t n);

/* The same without zeroing, for memory that is overwritten at once. */
void *arena_alloc_raw(struct arena *arena, size_t n);

/* Make `p` (n bytes, from this arena) at least `wanted` bytes; in place if it was the last allocation. */
void *arena_grow(struct arena *arena, void *p, size_t n, size_t wanted);

/* Bytes handed out since creation or reset. */
size_t arena_used(const struct arena *arena);

/* A point to return to: everything allocated after the mark is forgotten by arena_rewind. For loops over many rows. */
struct arena_mark {
    void  *block;
    size_t used;
    size_t total;
};
struct arena_mark arena_mark(struct arena *arena);
void arena_rewind(struct arena *arena, struct arena_mark mark);

#define NEW(arena, type) ((type *)arena_alloc((arena), sizeof(type)))
#define NEW_ARRAY(arena, type, n) ((type *)arena_alloc((arena), sizeof(type) * (size_t)(n)))

/* struct arena *work ARENA_SCOPE = arena_create(); destroys it when the block is left. */
void arena_scope_end(struct arena **arena);
#define ARENA_SCOPE __attribute__((cleanup(arena_scope_end)))
