/* passages.c - an item's views: a long body cut into passages, and what is kept of their vectors. */
#include "embed/parts.h"

#include <assert.h>

/* Where the last paragraph that begins at or before `limit` begins: behind the last blank line there; 0 if none does. */
static size_t last_paragraph(struct str text, size_t limit)
{
    size_t found = 0, line = 0;
    bool   after_blank = false;
    while (line <= limit && line < text.n) {
        size_t newline = str_find_char(text, '\n', line);
        size_t next = newline == SIZE_MAX ? text.n : newline + 1;
        bool   blank = str_trim(str_slice(text, line, next)).n == 0;
        if (after_blank && !blank) found = line;
        after_blank = blank;
        line = next;
    }
    return found;
}

struct str embed_next_passage(struct str *rest, embed_fits fits, void *arg)
{
    size_t end = fits(arg, *rest);
    if (end < rest->n) {
        size_t paragraph = last_paragraph(*rest, end);
        if (paragraph) end = paragraph;
    }
    if (end == 0) end = rest->n; /* nothing fits: nothing more is read */
    struct str passage = str_slice(*rest, 0, end);
    *rest = str_skip(*rest, end);
    return passage;
}

static bool same(struct embed_vector a, struct embed_vector b, int dim)
{
    return a.norm == b.norm && memcmp(a.x, b.x, (size_t)dim) == 0;
}

/* The view's position, as a new one unless it is there already. */
static size_t keep(struct embed_views *views, struct embed_vector vector, int dim)
{
    for (size_t i = 0; i < views->n; i++)
        if (same(views->at[i], vector, dim)) return i;
    views->at[views->n] = vector;
    return views->n++;
}

static struct embed_vector mean(struct arena *arena, const struct embed_vector *vectors, size_t n, int dim)
{
    float *sum = NEW_ARRAY(arena, float, dim);
    for (size_t i = 0; i < n; i++) {
        float factor = 1 / vectors[i].norm;
        for (int d = 0; d < dim; d++) sum[d] += (float)vectors[i].x[d] * factor;
    }
    return embed_quantise(arena, sum, dim);
}

void embed_views_collect(struct arena *arena, const struct embed_vector *vectors, size_t n, int dim,
                         struct embed_views *views)
{
    assert(n >= 1 && n <= 1 + EMBED_MAX_PASSAGES);
    *views = (struct embed_views){.at = NEW_ARRAY(arena, struct embed_vector, n)};
    if (vectors[0].x) keep(views, vectors[0], dim);
    struct embed_vector passages[EMBED_MAX_PASSAGES];
    size_t              passage_count = 0, first = SIZE_MAX;
    for (size_t i = 1; i < n; i++) {
        if (!vectors[i].x) continue;
        size_t at = keep(views, vectors[i], dim);
        first = at < first ? at : first;
        passages[passage_count++] = vectors[i];
    }
    views->full = passage_count ? first : views->n;
    if (passage_count == 1) views->mean = passages[0];
    else if (passage_count) views->mean = mean(arena, passages, passage_count, dim);
}
