/* index_fuzz.c - rows of the search log: any bytes are read or refused, and what is read is written back the same. */
#include "index/payload.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena       *arena ARENA_SCOPE = arena_create();
    struct bytes        payload = {data, size}, again;
    struct index_item   item;
    struct index_change change;
    if (!index_decode_item(arena, payload, &item)) {
        struct index_item copy;
        item.model = STR("fuzz");
        if (!index_encode_item(arena, &item, &again)) { /* terms out of order are read, never written */
            struct err *err = index_decode_item(arena, again, &copy);
            assert(!err && copy.time == item.time && copy.term_count == item.term_count && copy.views.n == item.views.n);
        }
    }
    if (!index_decode_change(arena, payload, &change)) {
        struct index_change copy;
        struct err         *err = index_encode_change(arena, &change, &again);
        if (!err) err = index_decode_change(arena, again, &copy);
        assert(!err && copy.set_actor == change.set_actor && copy.cluster == change.cluster);
    }
    return 0;
}
