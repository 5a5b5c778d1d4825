/* vector.c - arithmetic on int8 vectors. */
#include "embed/embed.h"

#include <math.h>

enum { LARGEST = 127 };

struct embed_vector embed_quantise(struct arena *arena, const float *v, int dim)
{
    float largest = 0;
    for (int i = 0; i < dim; i++) {
        float size = fabsf(v[i]);
        largest = size > largest ? size : largest;
    }
    if (!(largest > 0) || isinf(largest)) return (struct embed_vector){0};
    int8_t *x = arena_alloc_raw(arena, (size_t)dim);
    int32_t squares = 0;
    for (int i = 0; i < dim; i++) {
        float   scaled = v[i] / largest * LARGEST; /* divided first: 127 / largest overflows for tiny vectors */
        int32_t rounded = (int32_t)(scaled + copysignf(0.5f, scaled));
        x[i] = (int8_t)rounded;
        squares += rounded * rounded;
    }
    return (struct embed_vector){.x = x, .norm = sqrtf((float)squares)};
}

float embed_cosine(struct embed_vector a, struct embed_vector b, int dim)
{
    if (!a.x || !b.x || !(a.norm > 0) || !(b.norm > 0)) return 0;
    int32_t dot = 0;
    for (int i = 0; i < dim; i++) dot += a.x[i] * b.x[i];
    return (float)dot / (a.norm * b.norm);
}
