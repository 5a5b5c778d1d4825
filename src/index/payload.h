/* payload.h - the bytes of a row of search_log (format: payload.c). */
#pragma once
#include "index/index.h"

enum index_row_kind { INDEX_ROW_ADD = 1, INDEX_ROW_ATTRIBUTES = 2, INDEX_ROW_REMOVE = 3 };

/* Errors: ERR_TOO_LARGE, ERR_INVALID as index_add. */
MUST_CHECK struct err *index_encode_item(struct arena *arena, const struct index_item *item, struct bytes *payload);
MUST_CHECK struct err *index_encode_change(struct arena *arena, const struct index_change *change, struct bytes *payload);

/* Everything but id, kind and model. Names and vectors point into the payload, numbers into the arena.
 * Errors: ERR_INTERNAL, for any bytes that the functions above cannot have written. */
MUST_CHECK struct err *index_decode_item(struct arena *arena, struct bytes payload, struct index_item *item);
MUST_CHECK struct err *index_decode_change(struct arena *arena, struct bytes payload, struct index_change *change);
