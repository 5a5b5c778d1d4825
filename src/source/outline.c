/* outline.c - an event while a transform makes it. */
#include "source/outline.h"
#include "source/inside.h"

#include "base/time.h"
#include "base/utf8.h"

#include <assert.h>

enum { METADATA_TEXT = 2000, METADATA_LIST = 100, CLOSING_ROOM = 16, MAX_DRAFT_REFERENCES = 400, BODY_ROOM = 64000 };

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct str payload_text(struct arena *arena, const json_value *value, const char *path)
{
    const json_value *found = json_get(value, path);
    if (json_is_string(found)) {
        struct str text = json_str(found, "");
        return text.n ? text : (struct str){0};
    }
    return json_is_number(found) ? json_text(arena, found) : (struct str){0};
}

struct str payload_first(struct arena *arena, const json_value *value, const char *const *paths)
{
    for (; *paths; paths++) {
        struct str text = payload_text(arena, value, *paths);
        if (text.n) return text;
    }
    return (struct str){0};
}

bool payload_int(const json_value *value, const char *path, int64_t *number)
{
    const json_value *found = json_get(value, path);
    if (json_is_integer(found)) {
        *number = json_int(found, "", 0);
        return true;
    }
    return json_is_string(found) && str_to_int(json_str(found, ""), number);
}

enum { MILLISECONDS_FROM = 1000 }; /* times 1e9: numbers from 1e12 on are milliseconds */

static bool time_of_number(double number, int64_t *ms)
{
    if (!(number > 0) || number >= 1e15) return false;
    *ms = (int64_t)(number >= MILLISECONDS_FROM * 1e9 ? number : number * 1000);
    return true;
}

bool payload_time_text(struct str text, int64_t *ms)
{
    int64_t whole;
    if (time_parse(text, ms)) return true;
    return str_to_int(text, &whole) && time_of_number((double)whole, ms);
}

bool payload_time(const json_value *value, const char *path, int64_t *ms)
{
    const json_value *found = json_get(value, path);
    if (json_is_string(found)) return payload_time_text(json_str(found, ""), ms);
    return json_is_number(found) && time_of_number(json_real(found, "", 0), ms);
}

int64_t payload_first_time(const json_value *value, const struct source_context *context, const char *const *paths)
{
    int64_t ms;
    for (; *paths; paths++)
        if (payload_time(value, *paths, &ms)) return ms;
    return context->provider_time ? context->provider_time : context->received_at;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

void outline_begin(struct outline *outline)
{
    outline->metadata = json_out(outline->arena);
    outline->body = buf_in(outline->arena);
    json_begin(&outline->metadata, NULL, '{');
    outline_put(outline, "deliveryId", outline->context->delivery_id);
}

enum source_reason outline_finish(struct outline *outline)
{
    json_end(&outline->metadata);
    outline->event->metadata = json_out_text(&outline->metadata);
    assert(outline->event->metadata.n <= SOURCE_MAX_METADATA);
    outline->event->references = outline->references.at;
    outline->event->reference_count = outline->references.n;
    if (outline->body.n) outline->event->body = buf_str(&outline->body);
    return source_event_normalise_parts(outline->arena, outline->event) ? SOURCE_INVALID_EVENT : SOURCE_CAPTURED;
}

void outline_refer(struct outline *outline, const char *type, struct str id, struct str url, const char *label)
{
    if (!id.n || outline->references.n >= MAX_DRAFT_REFERENCES) return;
    *VEC_PUSH(outline->arena, &outline->references) =
        (struct source_reference){.type = str_of(type), .id = id, .url = url, .label = str_of(label)};
}

static bool stays_in_url(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '/') return true;
    return c > ' ' && c < 0x7f && !strchr("\"<>#?%\\^`{|}", c);
}

void outline_escape(struct buf *url, struct str text)
{
    buf_reserve(url, text.n);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.s[i];
        if (stays_in_url(c))
            buf_char(url, (char)c);
        else
            buf_printf(url, "%%%02X", c);
    }
}

struct str outline_url(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    struct str plain = str_vprintf(arena, format, args);
    va_end(args);
    struct buf url = buf_in(arena);
    outline_escape(&url, plain);
    return buf_str(&url);
}

struct outline_point outline_mark(const struct outline *outline)
{
    return (struct outline_point){outline->metadata.buf.n, outline->metadata.comma};
}

bool outline_fits(struct outline *outline, struct outline_point before)
{
    if (outline->metadata.buf.n + CLOSING_ROOM <= SOURCE_MAX_METADATA) return true;
    outline->metadata.buf.n = before.n;
    outline->metadata.comma = before.comma;
    return false;
}

void outline_put(struct outline *outline, const char *key, struct str text)
{
    if (!text.n) return;
    struct outline_point before = outline_mark(outline);
    json_put(&outline->metadata, key, utf8_head(text, METADATA_TEXT));
    outline_fits(outline, before);
}

void outline_put_number(struct outline *outline, const char *key, int64_t value)
{
    struct outline_point before = outline_mark(outline);
    json_put(&outline->metadata, key, value);
    outline_fits(outline, before);
}

void outline_put_int(struct outline *outline, const char *key, const json_value *value, const char *path)
{
    int64_t number;
    if (payload_int(value, path, &number)) outline_put_number(outline, key, number);
}

void outline_put_bool(struct outline *outline, const char *key, bool value)
{
    struct outline_point before = outline_mark(outline);
    json_put_bool(&outline->metadata, key, value);
    outline_fits(outline, before);
}

void outline_put_value(struct outline *outline, const char *key, const json_value *value)
{
    if (json_is_null(value) || json_depth(value) >= SOURCE_MAX_METADATA_DEPTH) return;
    if (json_is_string(value)) {
        outline_put(outline, key, json_str(value, ""));
        return;
    }
    struct outline_point before = outline_mark(outline);
    json_put_value(&outline->metadata, key, value);
    outline_fits(outline, before);
}

void outline_put_texts(struct outline *outline, const char *key, const json_value *list, const char *path)
{
    size_t n = 0;
    struct outline_point before = outline_mark(outline);
    if (!json_is_array(list)) return;
    json_begin(&outline->metadata, key, '[');
    for (struct json_iter it = json_iter(list); n < METADATA_LIST && json_step(&it);) {
        struct str text = payload_text(outline->arena, it.value, path);
        if (text.n) outline_put(outline, NULL, text), n++;
    }
    json_end(&outline->metadata);
    outline_fits(outline, before);
}

void outline_put_fields(struct outline *outline, const json_value *value, const struct outline_field *fields)
{
    for (; fields->key; fields++) {
        const json_value *found = json_get(value, fields->path);
        if (json_is_null(found) && fields->otherwise) found = json_get(value, fields->otherwise);
        if (outline->ids_are_text && json_is_number(found) && str_ends(str_of(fields->key), STR("Id")))
            outline_put(outline, fields->key, json_text(outline->arena, found));
        else if (!json_is_object(found) && !json_is_array(found))
            outline_put_value(outline, fields->key, found);
    }
}

void outline_line(struct outline *outline, const char *prefix, struct str text, const char *suffix)
{
    text = str_trim(text);
    if (!text.n || outline->body.n > BODY_ROOM) return;
    if (outline->body.n) buf_char(&outline->body, '\n');
    buf_str_add(&outline->body, str_of(prefix));
    buf_str_add(&outline->body, text.n > BODY_ROOM ? utf8_head(text, SOURCE_MAX_BODY + 1) : text);
    buf_str_add(&outline->body, str_of(suffix));
}

struct str outline_cut(struct arena *arena, struct str text, size_t n)
{
    struct str head = utf8_head(text, n);
    return head.n == text.n ? text : str_printf(arena, STR_FMT "...", STR_ARG(head));
}

struct str outline_joined(struct arena *arena, const json_value *list, const char *path)
{
    struct buf joined = buf_in(arena);
    size_t n = 0;
    if (!json_is_array(list)) return (struct str){0};
    for (struct json_iter it = json_iter(list); n < METADATA_LIST && json_step(&it);) {
        struct str text = payload_text(arena, it.value, path);
        if (!text.n) continue;
        buf_printf(&joined, "%s" STR_FMT, n++ ? ", " : "", STR_ARG(utf8_head(text, METADATA_TEXT)));
    }
    return buf_str(&joined);
}

struct str outline_part(struct str text)
{
    return text.n ? text : STR("-");
}

void texts_add(struct arena *arena, struct source_texts *texts, struct str text)
{
    enum { MOST = 100 };
    if (!text.n || texts->n >= MOST) return;
    for (size_t i = 0; i < texts->n; i++)
        if (str_eq(texts->at[i], text)) return;
    if (!texts->at) texts->at = NEW_ARRAY(arena, struct str, MOST);
    texts->at[texts->n++] = text;
}
