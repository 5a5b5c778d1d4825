/* cloudevents.c - a CloudEvents 1.0 event in JSON becomes a SourceEvent (spec/connectors-other.md 7.3). */
#include "source/inside.h"

#include "base/time.h"
#include "base/utf8.h"
#include "crypto/crypto.h"

enum { MAX_SOURCE = 50, MAX_TYPE = 100 };

/* ---- attributes -------------------------------------------------------------------------------------------------- */

// clang-format off
static const struct {
    const char *name;
    bool        required, text; /* text: a string where it is present */
} attributes[] = {
    {"specversion",     true,  false},
    {"id",              true,  true},
    {"source",          true,  true},
    {"type",            true,  true},
    {"subject",         false, true},
    {"time",            false, true},
    {"dataschema",      false, true},
    {"datacontenttype", false, true},
    {"data_base64",     false, true},
    {"data",            false, false},
};
// clang-format on
enum { ATTRIBUTES = sizeof attributes / sizeof *attributes };

static bool refuse_type(struct arena *arena, struct source_ingest_item *item, struct str field, const char *expected,
                        const json_value *value)
{
    source_ingest_refuse(item, "INVALID_FIELD", NULL,
                         str_printf(arena, "Expected %s, received %s", expected, json_type_name(value)));
    item->field = field;
    return false;
}

static bool check_known(struct arena *arena, const json_value *event, struct source_ingest_item *item)
{
    for (int i = 0; i < ATTRIBUTES; i++) {
        const char *name = attributes[i].name;
        const json_value *value = json_member(event, str_of(name));
        if (json_is_null(value)) {
            if (attributes[i].required) return source_ingest_refuse(item, "MISSING_FIELD", name, STR("Required"));
            continue;
        }
        if (!attributes[i].text) continue;
        if (!json_is_string(value)) return refuse_type(arena, item, str_of(name), "string", value);
        if (attributes[i].required && !str_trim(json_str(value, "")).n)
            return source_ingest_refuse(item, "INVALID_FIELD", name,
                                        STR("String must contain at least 1 character(s)"));
    }
    return true;
}

static bool is_known(struct str name)
{
    for (int i = 0; i < ATTRIBUTES; i++)
        if (str_eq(name, str_of(attributes[i].name))) return true;
    return false;
}

/* Names of extension attributes are lower-case letters and digits, so a misspelt "Data" shows. */
static bool extension_name(struct str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!((name.s[i] >= 'a' && name.s[i] <= 'z') || (name.s[i] >= '0' && name.s[i] <= '9'))) return false;
    return name.n > 0;
}

static bool check_extensions(struct arena *arena, const json_value *event, struct source_ingest_item *item)
{
    for (struct json_iter it = json_iter(event); json_step(&it);) {
        if (is_known(it.key)) continue;
        struct str name = utf8_head(it.key, 100);
        if (!extension_name(it.key)) {
            source_ingest_refuse(item, "UNKNOWN_FIELD", NULL, STR("Unknown field"));
            item->field = name;
            return false;
        }
        if (json_is_object(it.value) || json_is_array(it.value))
            return refuse_type(arena, item, name, "string, number or boolean", it.value);
    }
    return true;
}

static bool check_attributes(struct arena *arena, const json_value *event, struct source_ingest_item *item)
{
    const json_value *version = json_member(event, STR("specversion"));
    if (!json_is_null(version) && !str_eq(json_str(version, ""), STR("1.0")))
        return source_ingest_refuse(item, "UNSUPPORTED_SPECVERSION", "specversion",
                                    STR("Only CloudEvents 1.0 is supported"));
    return check_known(arena, event, item) && check_extensions(arena, event, item);
}

/* ---- data -------------------------------------------------------------------------------------------------------- */

struct cloudevent {
    struct str id, source, type, subject, time;
    const json_value *data; /* NULL: none, or text */
    struct str text;        /* data that is text */
};

enum content { TEXT, JSON, BINARY };

/* Absent means JSON (CloudEvents JSON format 3.1). */
static enum content content_of(struct str datacontenttype)
{
    struct str type = str_trim(str_slice(datacontenttype, 0, str_find_char(datacontenttype, ';', 0)));
    if (!type.n || str_eq_nocase(type, STR("application/json")) || str_eq_nocase(type, STR("text/json"))) return JSON;
    if (type.n > 5 && str_eq_nocase(str_slice(type, type.n - 5, type.n), STR("+json"))) return JSON;
    return str_starts_nocase(type, STR("text/")) ? TEXT : BINARY;
}

static void set_data(struct cloudevent *cloudevent, const json_value *data)
{
    if (json_is_string(data))
        cloudevent->text = json_str(data, "");
    else if (!json_is_null(data))
        cloudevent->data = data;
}

static bool decode_data(struct arena *arena, const json_value *event, struct cloudevent *cloudevent,
                        struct source_ingest_item *item)
{
    struct str bytes;
    const json_value *data;
    enum content content = content_of(json_str(event, "datacontenttype"));
    if (content == BINARY)
        return source_ingest_refuse(item, "UNSUPPORTED_DATA", "data_base64", STR("Only text and JSON are supported"));
    if (!crypto_base64_decode(arena, json_str(event, "data_base64"), &bytes))
        return source_ingest_refuse(item, "INVALID_FIELD", "data_base64", STR("Invalid base64"));
    if (content == TEXT) {
        cloudevent->text = utf8_repair(arena, bytes);
        return true;
    }
    if (json_parse(arena, bytes, &data))
        return source_ingest_refuse(item, "INVALID_FIELD", "data_base64", STR("Invalid JSON"));
    set_data(cloudevent, data);
    return true;
}

static bool read_data(struct arena *arena, const json_value *event, struct cloudevent *cloudevent,
                      struct source_ingest_item *item)
{
    const json_value *data = json_member(event, STR("data"));
    if (json_is_null(json_member(event, STR("data_base64")))) {
        set_data(cloudevent, data);
        return true;
    }
    if (!json_is_null(data))
        return source_ingest_refuse(item, "INVALID_FIELD", "data_base64", STR("data is given as well"));
    return decode_data(arena, event, cloudevent, item);
}

/* ---- parts of the SourceEvent ------------------------------------------------------------------------------------ */

/* The host of a URL without user and port, else the whole text. */
static struct str origin(struct str source)
{
    size_t scheme = str_find(source, STR("://"), 0);
    if (scheme == SIZE_MAX || scheme == 0) return source;
    struct str host = str_skip(source, scheme + 3);
    size_t end = 0;
    while (end < host.n && !strchr("/?#", host.s[end])) end++;
    host = str_slice(host, 0, end);
    size_t user = str_find_char(host, '@', 0);
    if (user != SIZE_MAX) host = str_skip(host, user + 1);
    size_t bracket = str_starts(host, STR("[")) ? str_find_char(host, ']', 0) : SIZE_MAX;
    size_t port = str_find_char(host, ':', bracket == SIZE_MAX ? 0 : bracket);
    return str_slice(host, 0, port);
}

static struct str slug(struct arena *arena, struct str source)
{
    struct str text = str_lower(arena, origin(source));
    struct buf name = buf_in(arena);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.s[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (word && !name.n && c <= '9') buf_lit(&name, "x-");
        if (word)
            buf_char(&name, c);
        else if (name.n && name.s[name.n - 1] != '-')
            buf_char(&name, '-');
    }
    struct str cut = str_slice(buf_str(&name), 0, MAX_SOURCE);
    while (str_ends(cut, STR("-"))) cut.n--;
    return cut.n ? cut : STR("cloudevents");
}

static bool read_type(struct arena *arena, const struct cloudevent *cloudevent, struct source_ingest_item *item)
{
    struct str type = str_lower(arena, str_trim(cloudevent->type));
    char *s = (char *)type.s;
    for (size_t i = 0; i < type.n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9') || (s[i] && strchr("._-", s[i]))))
            s[i] = '-';
    item->event.source_type = type;
    if (type.n > MAX_TYPE)
        return source_ingest_refuse(item, "FIELD_TOO_LONG", "type",
                                    str_printf(arena, "String must contain at most %d character(s)", MAX_TYPE));
    return source_type_valid(type) || source_ingest_refuse(item, "INVALID_FIELD", "type", STR("Invalid"));
}

static bool read_time(const struct cloudevent *cloudevent, struct source_ingest_item *item)
{
    item->event.occurred_at = time_now();
    if (!cloudevent->time.s) return true;
    const char *problem = source_time_problem(cloudevent->time, &item->event.occurred_at);
    return !problem || source_ingest_refuse(item, "INVALID_FIELD", "time", str_of(problem));
}

static struct str title_of(struct arena *arena, const struct cloudevent *cloudevent)
{
    struct str title = str_trim(json_str(cloudevent->data, "title"));
    if (!title.n) title = str_trim(cloudevent->subject);
    return title.n ? title : str_printf(arena, STR_FMT " " STR_FMT, STR_ARG(cloudevent->type), STR_ARG(cloudevent->id));
}

static struct str body_of(struct arena *arena, const struct cloudevent *cloudevent)
{
    static const char *const members[] = {"body", "message", "description"};
    if (!cloudevent->data) return cloudevent->text;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        struct str text = json_str(cloudevent->data, members[i]);
        if (str_trim(text).n) return text;
    }
    return json_text_indented(arena, cloudevent->data);
}

static struct source_actor actor_of(const json_value *actor)
{
    struct str id = str_trim(json_str(actor, "id")), name = str_trim(json_str(actor, "name"));
    if (!id.n || !name.n) return (struct source_actor){0};
    return (struct source_actor){id, name, json_str(actor, "email"), json_str(actor, "avatarUrl")};
}

/* A member of that name may be anything: what is no reference is left out. */
static void read_references(struct arena *arena, const json_value *list, struct source_event *event)
{
    if (!json_is_array(list)) return;
    event->references = NEW_ARRAY(arena, struct source_reference, SOURCE_MAX_REFERENCES);
    for (struct json_iter it = json_iter(list); event->reference_count < SOURCE_MAX_REFERENCES && json_step(&it);) {
        struct source_reference reference = {json_str(it.value, "type"), json_str(it.value, "id"),
                                             json_str(it.value, "url"), json_str(it.value, "label")};
        if (reference.id.n && source_reference_type_valid(reference.type))
            event->references[event->reference_count++] = reference;
    }
}

static struct str url_of(const json_value *data)
{
    struct str url = str_trim(json_str(data, "url"));
    bool web = str_starts_nocase(url, STR("https://")) || str_starts_nocase(url, STR("http://"));
    return web ? url : (struct str){0};
}

/* ---- data that is a SourceEvent ---------------------------------------------------------------------------------- */

static bool is_source_event(const json_value *data)
{
    return json_str(data, "sourceType").n && json_str(data, "sourceId").n && json_str(data, "title").n;
}

/* data with the source and the time of the CloudEvent where it has none, to be read like any other item. */
static bool read_source_event(struct arena *arena, const struct cloudevent *cloudevent, struct source_ingest_item *item)
{
    const json_value *completed;
    struct json_out out = json_out(arena);
    if (json_is_null(json_member(cloudevent->data, STR("occurredAt"))) && !read_time(cloudevent, item)) return false;
    json_begin(&out, NULL, '{');
    for (struct json_iter it = json_iter(cloudevent->data); json_step(&it);) {
        if (json_is_null(it.value)) continue;
        json_key(&out, it.key);
        json_put_value(&out, NULL, it.value);
    }
    if (json_is_null(json_member(cloudevent->data, STR("source"))))
        json_put(&out, "source", slug(arena, cloudevent->source));
    if (json_is_null(json_member(cloudevent->data, STR("occurredAt"))))
        json_put(&out, "occurredAt", time_format(arena, item->event.occurred_at));
    json_end(&out);
    struct err *err = json_parse(arena, json_out_text(&out), &completed);
    if (err) return source_ingest_refuse(item, "INVALID_FIELD", "data", err->message);
    return source_ingest_event(arena, completed, item);
}

/* ---- all of it --------------------------------------------------------------------------------------------------- */

/* Cut here already: no text that comes from data is too long to be taken. */
static struct str cut_body(struct arena *arena, struct str body, struct source_ingest_item *item)
{
    body = str_trim(utf8_repair(arena, body));
    item->truncated = utf8_length(body) > SOURCE_MAX_BODY;
    return utf8_shorten(arena, body, SOURCE_MAX_BODY);
}

static bool map_event(struct arena *arena, const struct cloudevent *cloudevent, struct source_ingest_item *item)
{
    struct source_event *event = &item->event;
    if (!read_type(arena, cloudevent, item) || !read_time(cloudevent, item)) return false;
    event->source = slug(arena, cloudevent->source);
    event->source_id =
        str_printf(arena, "ce:" STR_FMT ":" STR_FMT, STR_ARG(cloudevent->source), STR_ARG(cloudevent->id));
    event->title = title_of(arena, cloudevent);
    event->body = cut_body(arena, body_of(arena, cloudevent), item);
    event->actor = actor_of(json_get(cloudevent->data, "actor"));
    read_references(arena, json_get(cloudevent->data, "references"), event);
    return true;
}

bool source_cloudevent_read(struct arena *arena, const json_value *value, struct str delivery_id,
                            struct source_ingest_item *item)
{
    if (!check_attributes(arena, value, item)) return false;
    struct cloudevent cloudevent = {
        .id = json_str(value, "id"),
        .source = json_str(value, "source"),
        .type = json_str(value, "type"),
        .subject = json_str(value, "subject"),
        .time = json_str(value, "time"),
    };
    if (!read_data(arena, value, &cloudevent, item)) return false;
    bool whole = is_source_event(cloudevent.data);
    if (whole ? !read_source_event(arena, &cloudevent, item) : !map_event(arena, &cloudevent, item)) return false;
    struct source_metadata_additions additions = {
        .delivery_id = delivery_id,
        .cloudevent = value,
        .url = whole ? (struct str){0} : url_of(cloudevent.data),
    };
    return source_ingest_metadata(arena, item, json_get(cloudevent.data, "metadata"), additions);
}
