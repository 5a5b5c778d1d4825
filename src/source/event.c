/* event.c - the SourceEvent's stored form and its JSON (spec/connector-github.md 1). Reading it: read.c. */
#include "source/inside.h"

#include "base/time.h"
#include "base/utf8.h"
#include "crypto/crypto.h"

enum { MAX_SOURCE = 50, MAX_TYPE = 100, MAX_SOURCE_ID = 255, SOURCE_ID_HEAD = 190, MAX_NAME = 200, MAX_EMAIL = 320,
       MAX_URL = 2048, MAX_REFERENCE_ID = 500 };

static const int64_t first_day = -62135596800000, last_day = 253402214400000; /* 0001-01-01, 9999-12-31 */

static const char *const ingestion_names[] = {"webhook", "backfill", "manual", "api"};
enum { INGESTIONS = sizeof ingestion_names / sizeof *ingestion_names };

static const char *const reference_types[] = {"commit", "branch",   "pr",       "issue", "deployment", "project",
                                              "cycle",  "assignee", "reviewer", "team",  "label"};
enum { REFERENCE_TYPES = sizeof reference_types / sizeof *reference_types };

const char *source_ingestion_name(enum source_ingestion ingestion)
{
    return ingestion_names[ingestion];
}

bool source_ingestion_parse(struct str name, enum source_ingestion *ingestion)
{
    for (int i = 0; i < INGESTIONS; i++)
        if (str_eq(name, str_of(ingestion_names[i]))) {
            *ingestion = (enum source_ingestion)i;
            return true;
        }
    return false;
}

struct str source_observation_type(struct arena *arena, struct str source_type)
{
    char *out = arena_alloc_raw(arena, source_type.n);
    for (size_t i = 0; i < source_type.n; i++) {
        char c = source_type.s[i];
        out[i] = c == '.' || c == '-' ? '_' : c;
    }
    return (struct str){out, source_type.n};
}

bool source_name_valid(struct str source)
{
    if (source.n < 1 || source.n > MAX_SOURCE || source.s[0] < 'a' || source.s[0] > 'z') return false;
    for (size_t i = 1; i < source.n; i++) {
        char c = source.s[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
    }
    return true;
}

bool source_reference_type_valid(struct str type)
{
    for (int i = 0; i < REFERENCE_TYPES; i++)
        if (str_eq(type, str_of(reference_types[i]))) return true;
    return false;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static void put_optional(struct json_out *out, const char *key, struct str value)
{
    if (value.n) json_put(out, key, value);
}

static void put_actor(struct json_out *out, const struct source_actor *actor)
{
    if (!actor->id.s) return;
    json_begin(out, "actor", '{');
    json_put(out, "id", actor->id);
    json_put(out, "name", actor->name);
    put_optional(out, "email", actor->email);
    put_optional(out, "avatarUrl", actor->avatar_url);
    json_end(out);
}

static void put_references(struct json_out *out, const struct source_event *event)
{
    json_begin(out, "references", '[');
    for (size_t i = 0; i < event->reference_count; i++) {
        const struct source_reference *reference = &event->references[i];
        json_begin(out, NULL, '{');
        json_put(out, "type", reference->type);
        json_put(out, "id", reference->id);
        put_optional(out, "url", reference->url);
        put_optional(out, "label", reference->label);
        json_end(out);
    }
    json_end(out);
}

void source_event_write(struct json_out *out, const char *key, const struct source_event *event)
{
    json_begin(out, key, '{');
    json_put(out, "source", event->source);
    json_put(out, "sourceType", event->source_type);
    json_put(out, "sourceId", event->source_id);
    json_put(out, "title", event->title);
    json_put_or_empty(out, "body", event->body);
    put_actor(out, &event->actor);
    json_put(out, "occurredAt", time_format(out->buf.arena, event->occurred_at));
    put_references(out, event);
    json_put_raw(out, "metadata", event->metadata.n ? event->metadata : STR("{}"));
    json_end(out);
}

/* ---- the stored form --------------------------------------------------------------------------------------------- */

/* One line: every run of white space and control characters becomes one space. */
static struct str one_line(struct arena *arena, struct str text)
{
    bool clean = true;
    for (size_t i = 0; i < text.n && clean; i++)
        clean = (unsigned char)text.s[i] > ' ' || (text.s[i] == ' ' && i > 0 && text.s[i - 1] != ' ');
    if (clean) return str_trim(text);
    char  *out = arena_alloc_raw(arena, text.n);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.s[i];
        if (c > ' ' && c != 0x7f)
            out[n++] = (char)c;
        else if (n && out[n - 1] != ' ')
            out[n++] = ' ';
    }
    return str_trim((struct str){out, n});
}

static struct str cut_line(struct arena *arena, struct str text, size_t limit)
{
    return utf8_shorten(arena, one_line(arena, utf8_repair(arena, text)), limit);
}

static bool is_plain(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.s[i] <= ' ' || text.s[i] == 0x7f || text.s[i] == '<' || text.s[i] == '>' ||
            text.s[i] == '"')
            return false;
    return utf8_valid(text);
}

static bool email_valid(struct str email)
{
    size_t at = str_find_char(email, '@', 0);
    return email.n <= MAX_EMAIL && at != SIZE_MAX && at > 0 && at + 1 < email.n &&
           str_find_char(email, '@', at + 1) == SIZE_MAX && is_plain(email);
}

static bool url_valid(struct str url)
{
    size_t scheme = str_starts_nocase(url, STR("https://")) ? 8 : str_starts_nocase(url, STR("http://")) ? 7 : 0;
    return scheme && url.n > scheme && url.n <= MAX_URL && url.s[scheme] != '/' && is_plain(url);
}

static struct str kept_if(bool keep, struct str text)
{
    return keep ? text : (struct str){0};
}

static void normalise_actor(struct arena *arena, struct source_actor *actor)
{
    actor->id = utf8_head(one_line(arena, utf8_repair(arena, actor->id)), MAX_NAME);
    actor->name = cut_line(arena, actor->name, MAX_NAME);
    if (!actor->id.n) {
        *actor = (struct source_actor){0};
        return;
    }
    if (!actor->name.n) actor->name = actor->id;
    actor->email = kept_if(email_valid(str_trim(actor->email)), str_trim(actor->email));
    actor->avatar_url = kept_if(url_valid(actor->avatar_url), actor->avatar_url);
}

static bool same_reference(const struct source_reference *a, const struct source_reference *b)
{
    return str_eq(a->id, b->id) && str_eq(a->type, b->type) && str_eq(a->label, b->label);
}

static void normalise_references(struct arena *arena, struct source_event *event)
{
    size_t                   wanted = event->reference_count < SOURCE_MAX_REFERENCES ? event->reference_count
                                                                                     : SOURCE_MAX_REFERENCES;
    struct source_reference *kept = NEW_ARRAY(arena, struct source_reference, wanted);
    size_t                   n = 0;
    for (size_t i = 0; i < event->reference_count && n < SOURCE_MAX_REFERENCES; i++) {
        struct source_reference reference = event->references[i];
        reference.id = utf8_head(one_line(arena, utf8_repair(arena, reference.id)), MAX_REFERENCE_ID);
        reference.label = cut_line(arena, reference.label, MAX_NAME);
        reference.url = kept_if(url_valid(reference.url), reference.url);
        bool keep = reference.id.n && source_reference_type_valid(reference.type);
        for (size_t j = 0; j < n && keep; j++) keep = !same_reference(&kept[j], &reference);
        if (keep) kept[n++] = reference;
    }
    event->references = kept;
    event->reference_count = n;
}

/* The paths list is the one part of metadata that grows with a commit: as many of its entries as fit are kept. */
static struct str with_fewer_paths(struct arena *arena, const json_value *metadata, size_t room)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    for (struct json_iter it = json_iter(metadata); json_step(&it);) {
        json_key(&out, it.key);
        if (!str_eq(it.key, STR("paths")) || !json_is_array(it.value)) {
            json_put_value(&out, NULL, it.value);
            continue;
        }
        json_begin(&out, NULL, '[');
        for (struct json_iter path = json_iter(it.value); json_step(&path);) {
            struct str text = json_text(arena, path.value);
            if (text.n + 1 > room) break;
            room -= text.n + 1;
            json_put_raw(&out, NULL, text);
        }
        json_end(&out);
    }
    json_end(&out);
    return json_out_text(&out);
}

static struct err *normalise_metadata(struct arena *arena, struct source_event *event)
{
    if (!event->metadata.n) {
        event->metadata = STR("{}");
        return NULL;
    }
    const json_value *metadata;
    TRY(json_parse(arena, event->metadata, &metadata));
    if (!json_is_object(metadata)) return err_new(arena, ERR_INVALID, "metadata is not an object");
    if (event->metadata.n <= SOURCE_MAX_METADATA) return NULL;
    size_t paths = json_text(arena, json_member(metadata, STR("paths"))).n;
    size_t rest = json_text(arena, metadata).n - paths + sizeof "[]";
    if (paths && rest <= SOURCE_MAX_METADATA)
        event->metadata = with_fewer_paths(arena, metadata, SOURCE_MAX_METADATA - rest);
    if (event->metadata.n > SOURCE_MAX_METADATA)
        return err_new(arena, ERR_INVALID, "metadata is larger than %d bytes", SOURCE_MAX_METADATA);
    return NULL;
}

/* A cut id must stay an identity: the digest of the whole stands for what was cut. */
static struct str stored_source_id(struct arena *arena, struct str id)
{
    id = one_line(arena, utf8_repair(arena, id));
    if (id.n <= MAX_SOURCE_ID) return id;
    size_t head = SOURCE_ID_HEAD;
    while (head > 0 && ((unsigned char)id.s[head] & 0xc0) == 0x80) head--;
    struct str digest = crypto_sha256_hex(arena, id);
    return str_printf(arena, STR_FMT ":" STR_FMT, STR_ARG(str_slice(id, 0, head)), STR_ARG(digest));
}

static struct str without_source_prefix(struct str type, struct str source)
{
    return str_starts(type, source) && type.n > source.n && type.s[source.n] == ':' ? str_skip(type, source.n + 1)
                                                                                    : type;
}

struct err *source_event_normalise_parts(struct arena *arena, struct source_event *event)
{
    event->source = str_trim(event->source);
    if (!source_name_valid(event->source)) return err_new(arena, ERR_INVALID, "source is missing or not a source name");
    event->source_type = without_source_prefix(one_line(arena, utf8_repair(arena, event->source_type)), event->source);
    if (!event->source_type.n) return err_new(arena, ERR_INVALID, "sourceType is missing");
    if (event->source_type.n > MAX_TYPE) return err_new(arena, ERR_INVALID, "sourceType is longer than %d", MAX_TYPE);
    event->source_id = stored_source_id(arena, event->source_id);
    if (!event->source_id.n) return err_new(arena, ERR_INVALID, "sourceId is missing");
    event->title = cut_line(arena, event->title, SOURCE_MAX_TITLE);
    if (!event->title.n) return err_new(arena, ERR_INVALID, "title is missing");
    event->body = utf8_shorten(arena, utf8_repair(arena, event->body), SOURCE_MAX_BODY);
    if (event->occurred_at < first_day || event->occurred_at > last_day)
        return err_new(arena, ERR_INVALID, "occurredAt is not a usable time");
    normalise_actor(arena, &event->actor);
    normalise_references(arena, event);
    return NULL;
}

struct err *source_event_normalise(struct arena *arena, struct source_event *event)
{
    TRY(source_event_normalise_parts(arena, event));
    return normalise_metadata(arena, event);
}
