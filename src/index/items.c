/* items.c - questions about one index that are no search: counts, names, single items, nearest clusters. */
#include "index/columns.h"

#include <math.h>

int64_t index_version(const struct index *index)
{
    return index->version;
}

size_t index_count(const struct index *index)
{
    return index->count - index->dead;
}

struct str index_model(const struct index *index)
{
    const struct model *model = index_due_model(index);
    return model && index_serves(index, model) ? model->name : STR("");
}

int index_dim(const struct index *index)
{
    const struct model *model = index_due_model(index);
    return model && index_serves(index, model) ? model->dim : 0;
}

static void each_name(const struct names *names, void (*each)(void *arg, struct str name), void *arg)
{
    for (size_t i = 0; i < names->live.n; i++) {
        struct str name;
        map_entry(names->numbers, i, &name);
        if (names->live.at[i]) each(arg, name);
    }
}

void index_types(const struct index *index, void (*each)(void *arg, struct str type), void *arg)
{
    each_name(&index->types, each, arg);
}

void index_sources(const struct index *index, void (*each)(void *arg, struct str source), void *arg)
{
    each_name(&index->sources, each, arg);
}

size_t index_count_of_source(const struct index *index, struct str source)
{
    const int64_t *number = map_find(index->sources.numbers, source);
    return number ? index->sources.live.at[*number - 1] : 0;
}

/* ---- terms ------------------------------------------------------------------------------------------------------ */

size_t index_live_postings(const struct index *index, const struct posting_list *list)
{
    if (!list || !index->dead) return list ? list->count : 0;
    size_t live = 0;
    for (struct posting_cursor at = posting_cursor(list); posting_next(&at);) live += index->live[at.slot];
    return live;
}

size_t index_df(const struct index *index, uint64_t term)
{
    return index_live_postings(index, index_postings_find(&index->postings, term));
}

double index_idf_of(const struct index *index, size_t df)
{
    return log(1 + ((double)index_count(index) - (double)df + 0.5) / ((double)df + 0.5));
}

double index_idf(const struct index *index, uint64_t term)
{
    return index_idf_of(index, index_df(index, term));
}

/* ---- items ------------------------------------------------------------------------------------------------------ */

static struct embed_vector mean_of(struct arena *arena, const struct vectors *views, size_t from, size_t to)
{
    size_t dim = (size_t)views->dim;
    if (to - from == 1) {
        int8_t *copy = arena_alloc_raw(arena, dim);
        memcpy(copy, vectors_row(views, from), dim);
        return (struct embed_vector){.x = copy, .norm = views->norm[from]};
    }
    float *sum = NEW_ARRAY(arena, float, dim);
    for (size_t view = from; view < to; view++)
        for (size_t d = 0; d < dim; d++) sum[d] += (float)vectors_row(views, view)[d] / views->norm[view];
    return embed_quantise(arena, sum, views->dim);
}

bool index_item_vector(const struct index *index, struct arena *arena, enum index_kind kind, int64_t id,
                       struct embed_vector *vector)
{
    uint32_t slot = index_slot(index, kind, id);
    if (slot == UINT32_MAX || index->first_view[slot] == index->first_view[slot + 1]) return false;
    size_t from = index->first_view[slot], end = index->first_view[slot + 1], full = from + index->full[slot];
    *vector = full < end ? mean_of(arena, &index->views, full, end) : mean_of(arena, &index->views, from, from + 1);
    return vector->x != NULL;
}

bool index_item_entities(const struct index *index, struct arena *arena, enum index_kind kind, int64_t id,
                         uint64_t **entities, size_t *count)
{
    uint32_t slot = index_slot(index, kind, id);
    if (slot == UINT32_MAX) return false;
    *count = index->first_entity[slot + 1] - index->first_entity[slot];
    *entities = NEW_ARRAY(arena, uint64_t, *count);
    if (*count) memcpy(*entities, index->entities + index->first_entity[slot], *count * sizeof **entities);
    return true;
}

/* ---- clusters --------------------------------------------------------------------------------------------------- */

static size_t insert(struct index_near_cluster *out, size_t n, size_t k, struct index_near_cluster near)
{
    size_t at = n;
    while (at && (out[at - 1].cosine < near.cosine || (out[at - 1].cosine == near.cosine && out[at - 1].cluster > near.cluster)))
        at--;
    if (at == k) return n;
    if (n < k) n++;
    memmove(out + at + 1, out + at, (n - at - 1) * sizeof *out);
    out[at] = near;
    return n;
}

size_t index_near_clusters(const struct index *index, struct embed_vector vector, struct index_near_cluster *out, size_t k)
{
    int8_t padded[EMBED_MAX_DIM] = {0};
    float  cosines[VECTORS_AT_ONCE];
    size_t n = 0, count = index->centroids.count;
    if (!vector.x || !(vector.norm > 0) || !k) return 0;
    memcpy(padded, vector.x, (size_t)index->centroids.dim);
    vector.x = padded;
    for (size_t from = 0; from < count; from += VECTORS_AT_ONCE) {
        size_t here = count - from < VECTORS_AT_ONCE ? count - from : VECTORS_AT_ONCE;
        index_vectors_cosines(&index->centroids, vector, from, here, cosines);
        for (size_t i = 0; i < here; i++) {
            int64_t cluster = index->centroid_cluster.at[from + i];
            if (cluster) n = insert(out, n, k, (struct index_near_cluster){cluster, cosines[i]});
        }
    }
    return n;
}
