/* vectors.c - the block and its comparison with a query. */
#include "index/vectors.h"

#include "index/region.h"

#include <assert.h>

enum { FIRST_CAPACITY = 64, LANES = 64 };

static void widen(struct vectors *vectors)
{
    size_t capacity = vectors->capacity ? vectors->capacity + vectors->capacity / 2 : FIRST_CAPACITY;
    size_t stride = (size_t)vectors->stride;
    vectors->block = index_region_grow(vectors->block, vectors->capacity * stride, capacity * stride);
    vectors->norm = index_region_grow(vectors->norm, vectors->capacity * sizeof(float), capacity * sizeof(float));
    vectors->capacity = capacity;
}

void index_vectors_add(struct vectors *vectors, struct embed_vector vector, int dim)
{
    if (!vectors->dim) {
        vectors->dim = dim;
        vectors->stride = (dim + LANES - 1) / LANES * LANES;
    }
    assert(dim == vectors->dim);
    if (vectors->count == vectors->capacity) widen(vectors);
    index_vectors_put(vectors, vectors->count++, vector);
}

void index_vectors_put(struct vectors *vectors, size_t row, struct embed_vector vector)
{
    size_t  dim = (size_t)vectors->dim, stride = (size_t)vectors->stride;
    int8_t *to = vectors->block + row * stride;
    memcpy(to, vector.x, dim);
    memset(to + dim, 0, stride - dim);
    vectors->norm[row] = vector.norm;
}

void index_vectors_move(struct vectors *vectors, size_t to, size_t from, size_t n)
{
    size_t stride = (size_t)vectors->stride;
    if (to == from || !n) return;
    memmove(vectors->block + to * stride, vectors->block + from * stride, n * stride);
    memmove(vectors->norm + to, vectors->norm + from, n * sizeof(float));
}

size_t index_vectors_memory(const struct vectors *vectors)
{
    return vectors->capacity * ((size_t)vectors->stride + sizeof(float));
}

void index_vectors_free(struct vectors *vectors)
{
    index_region_free(vectors->block, vectors->capacity * (size_t)vectors->stride);
    index_region_free(vectors->norm, vectors->capacity * sizeof(float));
    *vectors = (struct vectors){0};
}

struct embed_vector index_vectors_query(struct arena *arena, const struct vectors *vectors, struct embed_vector query)
{
    if (!query.x || !(query.norm > 0) || !vectors->count) return (struct embed_vector){0};
    int8_t *x = arena_alloc(arena, (size_t)vectors->stride);
    memcpy(x, query.x, (size_t)vectors->dim);
    return (struct embed_vector){.x = x, .norm = query.norm};
}

void index_vectors_cosines(const struct vectors *vectors, struct embed_vector query, size_t from, size_t n, float *cosines)
{
    int32_t      dots[VECTORS_AT_ONCE];
    const float *norm = vectors->norm + from;
    assert(n <= VECTORS_AT_ONCE);
    index_scan()(query.x, vectors_row(vectors, from), n, vectors->stride, dots);
    for (size_t i = 0; i < n; i++) cosines[i] = (float)dots[i] / (norm[i] * query.norm);
}
