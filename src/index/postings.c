/* postings.c - building and renumbering the lists; reading them is in postings.h, for speed. */
#include "index/postings.h"

#include "index/region.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_PLACES = 256, VARINT_MAX = 5 };

static struct posting_list *place_of(const struct postings *postings, uint64_t key)
{
    size_t mask = postings->places - 1, i = key & mask;
    while (postings->lists[i].count && postings->lists[i].key != key) i = (i + 1) & mask;
    return &postings->lists[i];
}

static void resize(struct postings *postings, size_t places)
{
    struct postings old = *postings;
    postings->lists = index_region_grow(NULL, 0, places * sizeof *postings->lists);
    postings->places = places;
    for (size_t i = 0; i < old.places; i++)
        if (old.lists[i].count) *place_of(postings, old.lists[i].key) = old.lists[i];
    index_region_free(old.lists, old.places * sizeof *old.lists);
}

static uint8_t *bytes_of(struct posting_list *list)
{
    return list->capacity ? list->outside : list->inside;
}

static void make_room(struct postings *postings, struct posting_list *list)
{
    uint32_t room = list->capacity ? list->capacity : POSTING_INLINE;
    if (list->length + VARINT_MAX <= room) return;
    uint32_t capacity = room + room / 2 + 12;
    uint8_t *grown = realloc(list->capacity ? list->outside : NULL, capacity);
    if (!grown) {
        fprintf(stderr, "lightfast: out of memory (%u bytes wanted for postings)\n", capacity);
        abort();
    }
    if (!list->capacity) memcpy(grown, list->inside, list->length);
    postings->bytes += capacity - list->capacity;
    list->outside = grown;
    list->capacity = capacity;
}

static uint32_t put_varint(uint8_t *out, uint32_t value)
{
    uint32_t n = 0;
    for (; value >= 128; value >>= 7) out[n++] = (uint8_t)(value | 128);
    out[n++] = (uint8_t)value;
    return n;
}

void index_postings_add(struct postings *postings, uint64_t key, uint32_t slot)
{
    if (postings->used * 8 >= postings->places * 5) resize(postings, postings->places ? postings->places * 2 : FIRST_PLACES);
    struct posting_list *list = place_of(postings, key);
    if (!list->count) {
        *list = (struct posting_list){.key = key, .last = UINT32_MAX};
        postings->used++;
    } else if (list->last == slot) {
        return;
    }
    assert(!list->count || slot > list->last);
    make_room(postings, list);
    list->length += put_varint(bytes_of(list) + list->length, slot - list->last);
    list->last = slot;
    list->count++;
}

void index_postings_prefetch(const struct postings *postings, const uint64_t *keys, size_t n)
{
    if (!postings->places) return;
    for (size_t i = 0; i < n; i++) __builtin_prefetch(&postings->lists[keys[i] & (postings->places - 1)], 1);
    for (size_t i = 0; i < n; i++) {
        const struct posting_list *list = &postings->lists[keys[i] & (postings->places - 1)];
        if (list->capacity) __builtin_prefetch(list->outside + list->length, 1);
    }
}

const struct posting_list *index_postings_find(const struct postings *postings, uint64_t key)
{
    if (!postings->places) return NULL;
    const struct posting_list *list = place_of(postings, key);
    return list->count ? list : NULL;
}

/* In place: a difference that spans dropped slots is never longer than the differences it replaces. */
static void renumber(struct postings *postings, struct posting_list *list, const uint32_t *new_slot)
{
    struct posting_cursor at = posting_cursor(list);
    uint8_t              *out = bytes_of(list);
    uint32_t              length = 0, count = 0, last = UINT32_MAX;
    while (posting_next(&at)) {
        uint32_t slot = new_slot[at.slot];
        if (slot == UINT32_MAX) continue;
        length += put_varint(out + length, slot - last);
        last = slot;
        count++;
    }
    list->length = length;
    list->count = count;
    list->last = last;
    if (count || !list->capacity) return;
    postings->bytes -= list->capacity;
    free(list->outside);
    list->capacity = 0;
}

void index_postings_compact(struct postings *postings, const uint32_t *new_slot)
{
    postings->used = 0;
    for (size_t i = 0; i < postings->places; i++) {
        if (!postings->lists[i].count) continue;
        renumber(postings, &postings->lists[i], new_slot);
        if (postings->lists[i].count) postings->used++;
    }
    if (postings->places) resize(postings, postings->places); /* emptied places would break the probing */
}

size_t index_postings_memory(const struct postings *postings)
{
    return postings->places * sizeof *postings->lists + postings->bytes;
}

void index_postings_free(struct postings *postings)
{
    for (size_t i = 0; i < postings->places; i++)
        if (postings->lists[i].count && postings->lists[i].capacity) free(postings->lists[i].outside);
    index_region_free(postings->lists, postings->places * sizeof *postings->lists);
    *postings = (struct postings){0};
}
