/* vectors.h - int8 vectors of one dimension in one block, with their lengths. */
#pragma once
#include "index/index.h"

struct vectors {
    int8_t *block;  /* rows of `stride` bytes: dim components, then zeros, for the scan takes 64 at a time */
    float  *norm;   /* of each row, as integers */
    size_t  count, capacity;
    int     dim, stride; /* 0 until the first vector */
};

/* Vectors of another dimension than the first one's must not be added. */
void   index_vectors_add(struct vectors *vectors, struct embed_vector vector, int dim);
void   index_vectors_put(struct vectors *vectors, size_t row, struct embed_vector vector);
void   index_vectors_move(struct vectors *vectors, size_t to, size_t from, size_t n); /* to <= from */
size_t index_vectors_memory(const struct vectors *vectors);
void   index_vectors_free(struct vectors *vectors);

static inline const int8_t *vectors_row(const struct vectors *vectors, size_t row)
{
    return vectors->block + row * (size_t)vectors->stride;
}

/* A query made as long as the rows. x == NULL if it has no vector or there is nothing to compare it with. */
struct embed_vector index_vectors_query(struct arena *arena, const struct vectors *vectors, struct embed_vector query);

/* cosines[i] of rows [from, from + n) with a query of index_vectors_query; n <= VECTORS_AT_ONCE. */
enum { VECTORS_AT_ONCE = 512 };
void index_vectors_cosines(const struct vectors *vectors, struct embed_vector query, size_t from, size_t n, float *cosines);
