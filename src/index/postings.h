/* postings.h - for each term (or entity) the slots of the items that hold it.
 *
 * A list is the differences between ascending slots as LEB128 varints: about 1.3 bytes a posting. The first value is
 * slot + 1, so a difference is never 0. Lists of up to 8 bytes, which are most, stand in the dictionary itself. The
 * dictionary is open addressing by the key's own bits, for the keys are hashes already. Slots of dead items stay in
 * the lists until index_postings_compact.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { POSTING_INLINE = 8 };

struct posting_list {
    uint64_t key;
    uint32_t count, last; /* postings; the largest slot. count == 0: a free place */
    uint32_t length, capacity; /* bytes; capacity == 0: inside */
    union {
        uint8_t  inside[POSTING_INLINE];
        uint8_t *outside;
    };
};

struct postings {
    struct posting_list *lists;
    size_t               places; /* a power of two, or 0 */
    size_t               used;
    size_t               bytes; /* of the lists that stand outside */
};

/* Slots must come in ascending order; the same one twice counts once. */
void index_postings_add(struct postings *postings, uint64_t key, uint32_t slot);
/* Ask for what adding these keys will touch: a load is waiting for memory more than anything else. */
void index_postings_prefetch(const struct postings *postings, const uint64_t *keys, size_t n);
const struct posting_list *index_postings_find(const struct postings *postings, uint64_t key); /* or NULL */

/* Renumber slots: new_slot[old], UINT32_MAX for those that are gone; the order is kept. Empty lists disappear. */
void   index_postings_compact(struct postings *postings, const uint32_t *new_slot);
size_t index_postings_memory(const struct postings *postings);
void   index_postings_free(struct postings *postings);

/* for (struct posting_cursor at = posting_cursor(list); posting_next(&at);) at.slot */
struct posting_cursor {
    const uint8_t *next, *end;
    uint32_t       slot;
};

static inline struct posting_cursor posting_cursor(const struct posting_list *list)
{
    const uint8_t *bytes = list->capacity ? list->outside : list->inside;
    return (struct posting_cursor){.next = bytes, .end = bytes + list->length, .slot = UINT32_MAX};
}

static inline bool posting_next(struct posting_cursor *at)
{
    if (at->next == at->end) return false;
    uint32_t byte = *at->next++, difference = byte & 127;
    for (int shift = 7; byte & 128; shift += 7) {
        byte = *at->next++;
        difference |= (byte & 127) << shift;
    }
    at->slot += difference;
    return true;
}
