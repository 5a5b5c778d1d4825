/* columns.h - one workspace in memory: an array per attribute, addressed by slot.
 *
 * A slot is an item's place, in order of arrival. A removed or replaced item leaves a dead slot behind; when more than
 * a quarter are dead, index_compact closes the gaps. Views and entities of a slot lie together and in slot order, so
 * that a pass reads everything from front to back. Nothing here locks: see cache.c.
 */
#pragma once
#include "base/hash.h"
#include "index/ids.h"
#include "index/index.h"
#include "index/postings.h"
#include "index/vectors.h"

/* Texts that repeat, numbered from 1; the empty text is 0. */
struct names {
    struct map *numbers;
    VEC(uint32_t) live; /* live.at[number - 1]: live items that have it */
};

struct model {
    struct str name;
    int        dim;
    size_t     live; /* items with vectors of this model */
};

/* first_view and first_entity have one more value: where the next slot's begin. */
#define INDEX_COLUMNS(COLUMN)     \
    COLUMN(int64_t, id)           \
    COLUMN(int64_t, time)         \
    COLUMN(int64_t, cluster)      \
    COLUMN(uint32_t, source)      \
    COLUMN(uint32_t, type)        \
    COLUMN(uint32_t, actor)       \
    COLUMN(uint32_t, store)       \
    COLUMN(uint32_t, first_view)  \
    COLUMN(uint32_t, first_entity) \
    COLUMN(uint32_t, model)       \
    COLUMN(uint16_t, full)        \
    COLUMN(uint8_t, kind)         \
    COLUMN(uint8_t, significance) \
    COLUMN(uint8_t, live)

struct index_entry; /* cache.c: who holds this index */
struct scratches;   /* pass.h: memory that searches share */
struct crew;        /* crew.h: threads that searches share */

/* What the indexes of a cache have in common. */
struct index_common {
    struct scratches *scratches;
    struct crew      *crew;
};

struct index {
    struct index_entry *entry;
    struct index_common common;
    struct arena       *arena; /* names */
    int64_t             version;

    size_t count, dead, capacity; /* slots */
#define COLUMN(type, name) type *name;
    INDEX_COLUMNS(COLUMN)
#undef COLUMN
    struct names sources, types, actors, stores;
    struct ids   slots; /* of item_key */

    struct postings postings; /* terms and entities */
    uint64_t       *entities; /* of all slots, each slot's ascending */
    size_t          entity_count, entity_capacity;

    struct vectors views;
    VEC(struct model) models;
    uint32_t served; /* number of the model in `views`, from 1; 0: none yet */

    struct vectors centroids;
    struct ids     centroid_rows; /* of cluster ids */
    VEC(int64_t) centroid_cluster; /* by row; 0: removed, or of another model */
};

/* served: name of the model to serve, empty = that of the first item with vectors. */
struct index *index_create(struct index_common common, struct str served, int dim);
void          index_destroy(struct index *index);
size_t        index_memory(const struct index *index);

void index_apply_add(struct index *index, const struct index_item *item);
void index_apply_change(struct index *index, const struct index_change *change);
void index_apply_remove(struct index *index, enum index_kind kind, int64_t id);
void index_compact(struct index *index); /* does nothing below a quarter of dead slots */

/* The model that index.h says is to be served; NULL if no item has vectors. If it is not the served one, the index
 * has to be loaded again. */
const struct model *index_due_model(const struct index *index);
bool                index_serves(const struct index *index, const struct model *model);

/* Slot of a live item, or UINT32_MAX. */
uint32_t index_slot(const struct index *index, enum index_kind kind, int64_t id);
uint32_t index_name_number(const struct names *names, struct str name); /* UINT32_MAX: no item ever had it */

/* Live items in a list. */
size_t index_live_postings(const struct index *index, const struct posting_list *list);
double index_idf_of(const struct index *index, size_t df);
