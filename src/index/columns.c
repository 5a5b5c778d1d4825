/* columns.c - applying the log's rows to the columns. */
#include "index/columns.h"

#include "index/region.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 128 };

static struct names names_in(struct arena *arena)
{
    return (struct names){.numbers = map_create(arena)};
}

struct index *index_create(struct index_common common, struct str served, int dim)
{
    struct arena *arena = arena_create();
    struct index *index = NEW(arena, struct index);
    index->arena = arena;
    index->common = common;
    index->sources = names_in(arena);
    index->types = names_in(arena);
    index->actors = names_in(arena);
    index->stores = names_in(arena);
    if (served.n) {
        *VEC_PUSH(arena, &index->models) = (struct model){.name = str_dup(arena, served), .dim = dim};
        index->served = 1;
    }
    return index;
}

void index_destroy(struct index *index)
{
    if (!index) return;
#define COLUMN(type, name) index_region_free(index->name, index->capacity * sizeof(type));
    INDEX_COLUMNS(COLUMN)
#undef COLUMN
    index_region_free(index->entities, index->entity_capacity * sizeof *index->entities);
    index_ids_free(&index->slots);
    index_ids_free(&index->centroid_rows);
    index_postings_free(&index->postings);
    index_vectors_free(&index->views);
    index_vectors_free(&index->centroids);
    arena_destroy(index->arena);
}

size_t index_memory(const struct index *index)
{
    size_t per_slot = 0;
#define COLUMN(type, name) per_slot += sizeof(type);
    INDEX_COLUMNS(COLUMN)
#undef COLUMN
    return per_slot * index->capacity + index->entity_capacity * sizeof *index->entities + index_ids_memory(&index->slots) +
           index_ids_memory(&index->centroid_rows) + index_postings_memory(&index->postings) +
           index_vectors_memory(&index->views) + index_vectors_memory(&index->centroids) + arena_used(index->arena);
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

static uint32_t number_of(struct index *index, struct names *names, struct str name)
{
    if (!name.n) return 0;
    int64_t *number = map_at(names->numbers, name);
    if (!*number) {
        *VEC_PUSH(index->arena, &names->live) = 0;
        *number = (int64_t)names->live.n;
    }
    names->live.at[*number - 1]++;
    return (uint32_t)*number;
}

static void name_leaves(struct names *names, uint32_t number)
{
    if (number) names->live.at[number - 1]--;
}

uint32_t index_name_number(const struct names *names, struct str name)
{
    if (!name.n) return 0;
    const int64_t *number = map_find(names->numbers, name);
    return number ? (uint32_t)*number : UINT32_MAX;
}

/* ---- models ----------------------------------------------------------------------------------------------------- */

static uint32_t model_number(struct index *index, struct str name, int dim)
{
    for (size_t i = 0; i < index->models.n; i++)
        if (index->models.at[i].dim == dim && str_eq(index->models.at[i].name, name)) return (uint32_t)i + 1;
    *VEC_PUSH(index->arena, &index->models) = (struct model){.name = str_dup(index->arena, name), .dim = dim};
    if (!index->served) index->served = (uint32_t)index->models.n;
    return (uint32_t)index->models.n;
}

static bool goes_before(const struct model *a, const struct model *b)
{
    if (a->live != b->live) return a->live > b->live;
    int order = str_cmp(a->name, b->name);
    return order ? order < 0 : a->dim < b->dim;
}

const struct model *index_due_model(const struct index *index)
{
    const struct model *best = NULL;
    for (size_t i = 0; i < index->models.n; i++)
        if (index->models.at[i].live && (!best || goes_before(&index->models.at[i], best))) best = &index->models.at[i];
    return best;
}

bool index_serves(const struct index *index, const struct model *model)
{
    return index->served && model == &index->models.at[index->served - 1];
}

/* ---- clusters --------------------------------------------------------------------------------------------------- */

static void remove_centroid(struct index *index, int64_t cluster)
{
    const uint32_t *row = index_ids_find(&index->centroid_rows, (uint64_t)cluster);
    if (row) index->centroid_cluster.at[*row] = 0;
}

static void put_centroid(struct index *index, const struct index_item *item)
{
    /* A centroid alone decides no model: it waits for its members' (index_due_model counts items). */
    if (!item->views.n || model_number(index, item->model, item->dim) != index->served) {
        remove_centroid(index, item->id);
        return;
    }
    const uint32_t *known = index_ids_find(&index->centroid_rows, (uint64_t)item->id);
    if (known) {
        index_vectors_put(&index->centroids, *known, item->views.at[0]);
        index->centroid_cluster.at[*known] = item->id;
        return;
    }
    index_ids_put(&index->centroid_rows, (uint64_t)item->id, (uint32_t)index->centroids.count);
    index_vectors_add(&index->centroids, item->views.at[0], item->dim);
    *VEC_PUSH(index->arena, &index->centroid_cluster) = item->id;
}

/* ---- items ------------------------------------------------------------------------------------------------------ */

static uint64_t item_key(enum index_kind kind, int64_t id)
{
    return (uint64_t)id << 2 | (uint64_t)kind;
}

uint32_t index_slot(const struct index *index, enum index_kind kind, int64_t id)
{
    const uint32_t *slot = index_ids_find(&index->slots, item_key(kind, id));
    return slot && index->live[*slot] ? *slot : UINT32_MAX;
}

static void widen(struct index *index)
{
    size_t capacity = index->capacity ? index->capacity + index->capacity / 2 : FIRST_CAPACITY;
#define COLUMN(type, name) \
    index->name = index_region_grow(index->name, index->capacity * sizeof(type), capacity * sizeof(type));
    INDEX_COLUMNS(COLUMN)
#undef COLUMN
    index->capacity = capacity;
}

static int by_value(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void add_entities(struct index *index, uint32_t slot, const struct index_item *item)
{
    size_t wanted = index->entity_count + item->entity_count, capacity = index->entity_capacity;
    if (wanted > capacity) {
        capacity = wanted + wanted / 2 + FIRST_CAPACITY;
        index->entities = index_region_grow(index->entities, index->entity_capacity * sizeof *index->entities,
                                            capacity * sizeof *index->entities);
        index->entity_capacity = capacity;
    }
    if (!item->entity_count) return;
    uint64_t *first = index->entities + index->entity_count;
    memcpy(first, item->entities, item->entity_count * sizeof *first);
    qsort(first, item->entity_count, sizeof *first, by_value);
    size_t n = 0;
    for (size_t i = 0; i < item->entity_count; i++)
        if (!n || first[n - 1] != first[i]) first[n++] = first[i];
    for (size_t i = 0; i < n; i++) index_postings_add(&index->postings, first[i], slot);
    index->entity_count += n;
}

static void add_views(struct index *index, uint32_t slot, const struct index_item *item)
{
    index->full[slot] = 0;
    index->model[slot] = 0;
    if (!item->views.n) return;
    uint32_t number = model_number(index, item->model, item->dim);
    index->model[slot] = number;
    index->models.at[number - 1].live++;
    if (number != index->served) return;
    index->full[slot] = (uint16_t)item->views.full;
    for (size_t i = 0; i < item->views.n; i++) index_vectors_add(&index->views, item->views.at[i], item->dim);
}

static void bury(struct index *index, uint32_t slot)
{
    index->live[slot] = 0;
    index->dead++;
    name_leaves(&index->sources, index->source[slot]);
    name_leaves(&index->types, index->type[slot]);
    name_leaves(&index->actors, index->actor[slot]);
    name_leaves(&index->stores, index->store[slot]);
    if (index->model[slot]) index->models.at[index->model[slot] - 1].live--;
}

void index_apply_add(struct index *index, const struct index_item *item)
{
    if (item->kind == INDEX_CLUSTER) {
        put_centroid(index, item);
        return;
    }
    index_postings_prefetch(&index->postings, item->terms, item->term_count);
    uint32_t old = index_slot(index, item->kind, item->id);
    if (old != UINT32_MAX) bury(index, old);
    if (index->count + 1 >= index->capacity) widen(index);
    uint32_t slot = (uint32_t)index->count++;
    index->id[slot] = item->id;
    index->kind[slot] = (uint8_t)item->kind;
    index->time[slot] = item->time;
    index->cluster[slot] = item->cluster;
    index->significance[slot] = (uint8_t)item->significance;
    index->source[slot] = number_of(index, &index->sources, item->source);
    index->type[slot] = number_of(index, &index->types, item->type);
    index->actor[slot] = number_of(index, &index->actors, item->actor);
    index->store[slot] = number_of(index, &index->stores, item->store);
    index->live[slot] = 1;
    add_views(index, slot, item);
    add_entities(index, slot, item);
    for (size_t i = 0; i < item->term_count; i++) index_postings_add(&index->postings, item->terms[i], slot);
    index->first_view[slot + 1] = (uint32_t)index->views.count;
    index->first_entity[slot + 1] = (uint32_t)index->entity_count;
    index_ids_put(&index->slots, item_key(item->kind, item->id), slot);
}

void index_apply_change(struct index *index, const struct index_change *change)
{
    uint32_t slot = change->kind == INDEX_CLUSTER ? UINT32_MAX : index_slot(index, change->kind, change->id);
    if (slot == UINT32_MAX) return; /* removed before; the change is without effect */
    if (change->set_cluster) index->cluster[slot] = change->cluster;
    if (!change->set_actor) return;
    name_leaves(&index->actors, index->actor[slot]);
    index->actor[slot] = number_of(index, &index->actors, change->actor);
}

void index_apply_remove(struct index *index, enum index_kind kind, int64_t id)
{
    if (kind == INDEX_CLUSTER) {
        remove_centroid(index, id);
        return;
    }
    uint32_t slot = index_slot(index, kind, id);
    if (slot != UINT32_MAX) bury(index, slot);
}

/* ---- compaction ------------------------------------------------------------------------------------------------- */

/* Slots move to the front only, so nothing is overwritten before it was read. */
static void move_slot(struct index *index, uint32_t to, uint32_t from)
{
    uint32_t view = index->first_view[from], views = index->first_view[from + 1] - view;
    uint32_t entity = index->first_entity[from], entities = index->first_entity[from + 1] - entity;
#define COLUMN(type, name) index->name[to] = index->name[from];
    INDEX_COLUMNS(COLUMN)
#undef COLUMN
    index->first_view[to] = (uint32_t)index->views.count;
    index->first_entity[to] = (uint32_t)index->entity_count;
    index_vectors_move(&index->views, index->views.count, view, views);
    if (entities) memmove(index->entities + index->entity_count, index->entities + entity, entities * sizeof *index->entities);
    index->views.count += views;
    index->entity_count += entities;
}

void index_compact(struct index *index)
{
    if (index->dead * 4 <= index->count) return;
    uint32_t *new_slot = index_region_grow(NULL, 0, index->count * sizeof *new_slot), kept = 0;
    index->views.count = index->entity_count = 0;
    for (uint32_t slot = 0; slot < index->count; slot++) {
        new_slot[slot] = index->live[slot] ? kept : UINT32_MAX;
        if (index->live[slot]) move_slot(index, kept++, slot);
    }
    index->first_view[kept] = (uint32_t)index->views.count;
    index->first_entity[kept] = (uint32_t)index->entity_count;
    index_postings_compact(&index->postings, new_slot);
    index_region_free(new_slot, index->count * sizeof *new_slot);
    index->count = kept;
    index->dead = 0;
    index_ids_clear(&index->slots);
    for (uint32_t slot = 0; slot < kept; slot++)
        index_ids_put(&index->slots, item_key((enum index_kind)index->kind[slot], index->id[slot]), slot);
}
