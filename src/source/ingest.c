/* ingest.c - the body of POST /v1/events becomes SourceEvents, each item on its own (spec/connectors-other.md 7). */
#include "source/inside.h"

#include "base/hash.h"
#include "base/utf8.h"

/* ---- forms ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *type;
    enum source_ingest_form form;
    bool cloudevents;
} forms[] = {
    {"application/json", SOURCE_INGEST_JSON, false},
    {"application/x-ndjson", SOURCE_INGEST_LINES, false},
    {"application/jsonl", SOURCE_INGEST_LINES, false},
    {"application/cloudevents+json", SOURCE_INGEST_CLOUDEVENT, true},
    {"application/cloudevents-batch+json", SOURCE_INGEST_CLOUDEVENTS, true},
};

enum source_ingest_form source_ingest_form(struct str content_type, bool ce_headers)
{
    struct str type = str_trim(str_slice(content_type, 0, str_find_char(content_type, ';', 0)));
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (str_eq_nocase(type, str_of(forms[i].type)))
            return ce_headers && !forms[i].cloudevents ? SOURCE_INGEST_UNSUPPORTED : forms[i].form;
    return SOURCE_INGEST_UNSUPPORTED;
}

/* ---- one item ---------------------------------------------------------------------------------------------------- */

bool source_ingest_refuse(struct source_ingest_item *item, const char *error, const char *field, struct str message)
{
    if (item->error) return false;
    item->error = error;
    item->field = str_of(field);
    item->message = message;
    return false;
}

bool source_ingest_event(struct arena *arena, const json_value *value, struct source_ingest_item *item)
{
    struct source_issues issues;
    if (!source_event_read(arena, value, &item->event, &issues)) return true;
    const struct source_issue *first = &issues.at[0];
    item->error = first->code;
    item->field = first->field;
    item->message = first->problem;
    return false;
}

static void put_cloudevent(struct json_out *out, const json_value *cloudevent)
{
    static const char *const elsewhere[] = {"specversion", "time", "data", "data_base64"};
    json_begin(out, "cloudevents", '{');
    for (struct json_iter it = json_iter(cloudevent); json_step(&it);) {
        bool kept = !json_is_null(it.value);
        for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) kept &= !str_eq(it.key, str_of(elsewhere[i]));
        if (!kept) continue;
        json_key(out, it.key);
        json_put_value(out, NULL, it.value);
    }
    json_end(out);
}

/* The event's own metadata with what the server writes; the server's word counts. */
bool source_ingest_metadata(struct arena *arena, struct source_ingest_item *item, const json_value *metadata,
                            struct source_metadata_additions additions)
{
    struct json_out out = json_out(arena);
    if (json_depth(metadata) > SOURCE_MAX_METADATA_DEPTH)
        return source_ingest_refuse(item, "INVALID_FIELD", "metadata", STR("Object is nested too deep"));
    json_begin(&out, NULL, '{');
    for (struct json_iter it = json_iter(metadata); json_step(&it);) {
        if (str_eq(it.key, STR("deliveryId")) || (additions.url.n && str_eq(it.key, STR("url"))) ||
            (additions.cloudevent && str_eq(it.key, STR("cloudevents"))))
            continue;
        json_key(&out, it.key);
        json_put_value(&out, NULL, it.value);
    }
    json_put(&out, "deliveryId", additions.delivery_id);
    if (additions.url.n) json_put(&out, "url", additions.url);
    if (additions.cloudevent) put_cloudevent(&out, additions.cloudevent);
    json_end(&out);
    item->event.metadata = json_out_text(&out);
    if (item->event.metadata.n <= SOURCE_MAX_METADATA) return true;
    return source_ingest_refuse(item, "FIELD_TOO_LONG", "metadata",
                                str_printf(arena, "Object must be at most %d bytes as JSON", SOURCE_MAX_METADATA));
}

static bool read_plain(struct arena *arena, const json_value *value, struct str delivery_id,
                       struct source_ingest_item *item)
{
    if (!source_ingest_event(arena, value, item)) return false;
    return source_ingest_metadata(arena, item, json_member(value, STR("metadata")),
                                  (struct source_metadata_additions){.delivery_id = delivery_id});
}

/* What only shows in the stored form: a title of nothing but control characters. */
static bool normalise(struct arena *arena, struct source_ingest_item *item)
{
    item->truncated |= item->event.body.n > SOURCE_MAX_BODY && utf8_length(item->event.body) > SOURCE_MAX_BODY;
    struct err *err = source_event_normalise(arena, &item->event);
    if (!err) return true;
    struct str rest = err->message, field;
    str_cut(&rest, ' ', &field);
    source_ingest_refuse(item, "INVALID_FIELD", NULL, err->message);
    item->field = field;
    return false;
}

struct reading {
    struct arena *arena;
    struct source_ingest_request request;
    struct map *seen; /* sourceIds */
    VEC(struct source_ingest_item) items;
};

static void read_item(struct reading *reading, const json_value *value)
{
    struct arena *arena = reading->arena;
    struct source_ingest_item *item = VEC_PUSH(arena, &reading->items);
    struct str delivery_id =
        str_printf(arena, "api-" STR_FMT "-%zu", STR_ARG(reading->request.request_id), reading->items.n - 1);
    bool cloudevents = reading->request.form >= SOURCE_INGEST_CLOUDEVENT;
    if (!json_is_object(value)) {
        source_ingest_refuse(item, "NOT_AN_OBJECT", NULL,
                             str_printf(arena, "Expected object, received %s", json_type_name(value)));
        return;
    }
    bool read = cloudevents ? source_cloudevent_read(arena, value, delivery_id, item)
                            : read_plain(arena, value, delivery_id, item);
    if (!read || !normalise(arena, item)) return;
    int64_t *times = map_at(reading->seen, item->event.source_id);
    item->repeated = (*times)++ > 0;
}

/* ---- the whole body ---------------------------------------------------------------------------------------------- */

static struct err *too_many(struct arena *arena)
{
    return err_new(arena, ERR_TOO_LARGE, "A request holds at most %d events", SOURCE_INGEST_MAX_ITEMS);
}

static struct err *read_lines(struct reading *reading)
{
    for (struct str rest = reading->request.body, line; str_cut(&rest, '\n', &line);) {
        const json_value *value;
        line = str_trim(line);
        if (!line.n) continue;
        if (reading->items.n == SOURCE_INGEST_MAX_ITEMS) return too_many(reading->arena);
        struct err *err = json_parse(reading->arena, line, &value);
        if (err)
            source_ingest_refuse(VEC_PUSH(reading->arena, &reading->items), "INVALID_JSON", NULL, err->message);
        else
            read_item(reading, value);
    }
    return NULL;
}

static struct err *read_document(struct reading *reading)
{
    const json_value *root;
    enum source_ingest_form form = reading->request.form;
    if (json_parse(reading->arena, reading->request.body, &root))
        return err_new(reading->arena, ERR_INVALID, "Invalid JSON body");
    if (form == SOURCE_INGEST_CLOUDEVENTS && !json_is_array(root))
        return err_new(reading->arena, ERR_INVALID, "Expected array, received %s", json_type_name(root));
    if (!json_is_array(root) || form == SOURCE_INGEST_CLOUDEVENT) {
        read_item(reading, root);
        return NULL;
    }
    if (json_count(root) > SOURCE_INGEST_MAX_ITEMS) return too_many(reading->arena);
    for (struct json_iter it = json_iter(root); json_step(&it);) read_item(reading, it.value);
    return NULL;
}

struct err *source_ingest_read(struct arena *arena, struct source_ingest_request request, struct source_ingest *ingest)
{
    struct reading reading = {.arena = arena, .request = request, .seen = map_create(arena)};
    if (request.form == SOURCE_INGEST_LINES)
        TRY(read_lines(&reading));
    else
        TRY(read_document(&reading));
    if (!reading.items.n) return err_new(arena, ERR_INVALID, "The request holds no events");
    *ingest = (struct source_ingest){reading.items.at, reading.items.n};
    return NULL;
}
