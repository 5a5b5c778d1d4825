/* inside.h - what the files of source/ share among themselves. */
#pragma once
#include "source/source.h"

bool source_name_valid(struct str source); /* ^[a-z][a-z0-9-]{0,49}$ */
bool source_reference_type_valid(struct str type);
bool source_type_valid(struct str type);           /* ^[a-z0-9][a-z0-9._-]{0,99}$ but for the length; true if empty */

/* When something occurred, from text: what is wrong with it, or NULL. */
const char *source_time_problem(struct str text, int64_t *ms);

/* ---- items of POST /v1/events ------------------------------------------------------------------------------------ */

/* Remember why an item is refused, unless it is already; false. */
bool source_ingest_refuse(struct source_ingest_item *item, const char *error, const char *field, struct str message);

/* What is written into an event's metadata besides its own. */
struct source_metadata_additions {
    struct str        delivery_id;
    const json_value *cloudevent; /* NULL: none */
    struct str        url;        /* replaces metadata's own; empty: none */
};
bool source_ingest_metadata(struct arena *arena, struct source_ingest_item *item, const json_value *metadata,
                            struct source_metadata_additions additions);

/* Read a JSON value as a SourceEvent; what is wrong with it first is the item's refusal. */
bool source_ingest_event(struct arena *arena, const json_value *value, struct source_ingest_item *item);

/* The mapping of connectors-other.md 7.3; leaves the event to be normalised. */
bool source_cloudevent_read(struct arena *arena, const json_value *value, struct str delivery_id,
                            struct source_ingest_item *item);
/* source_event_normalise for metadata that is known to be an object within the limit. */
MUST_CHECK struct err *source_event_normalise_parts(struct arena *arena, struct source_event *event);
