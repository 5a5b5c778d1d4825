/* read.c - a SourceEvent from JSON, every problem reported at once (spec/connectors-other.md 7.1, search-api.md 1). */
#include "source/inside.h"

#include "base/time.h"
#include "base/utf8.h"

enum { MAX_SOURCE_ID = 255, MAX_ISSUES = 100 };

struct reading {
    struct arena     *arena;
    const json_value *from;
    VEC(struct source_issue) issues;
};

static void complain_as(struct reading *reading, const char *code, const char *field, struct str problem)
{
    for (size_t i = 0; i < reading->issues.n; i++)
        if (str_eq(reading->issues.at[i].field, str_of(field)) && str_eq(reading->issues.at[i].problem, problem))
            return;
    if (reading->issues.n < MAX_ISSUES)
        *VEC_PUSH(reading->arena, &reading->issues) = (struct source_issue){str_of(field), problem, code};
}

static void complain(struct reading *reading, const char *field, struct str problem)
{
    complain_as(reading, "INVALID_FIELD", field, problem);
}

static void missing(struct reading *reading, const char *field)
{
    complain_as(reading, "MISSING_FIELD", field, STR("Required"));
}

static void too_long(struct reading *reading, const char *field, const char *what, size_t most, const char *unit)
{
    complain_as(reading, "FIELD_TOO_LONG", field, str_printf(reading->arena, "%s at most %zu %s", what, most, unit));
}

static void expected(struct reading *reading, const char *field, const char *type, const json_value *value)
{
    complain(reading, field, str_printf(reading->arena, "Expected %s, received %s", type, json_type_name(value)));
}

/* The text at `key` of `object`; a problem with it is one of `field`. Absent and null: {NULL, 0}. */
static struct str text_of(struct reading *reading, const json_value *object, const char *key, const char *field)
{
    const json_value *value = json_member(object, str_of(key));
    if (json_is_null(value)) return (struct str){0};
    if (!json_is_string(value)) {
        expected(reading, field, "string", value);
        return (struct str){0};
    }
    return json_str(value, "");
}

struct limit {
    const char *field;
    size_t      least, most; /* code points after trimming */
};

static struct str limited_text(struct reading *reading, struct limit limit)
{
    size_t     before = reading->issues.n;
    struct str text = str_trim(text_of(reading, reading->from, limit.field, limit.field));
    if (reading->issues.n > before) return text;
    size_t length = utf8_length(text);
    if (!text.s && limit.least)
        missing(reading, limit.field);
    else if (length < limit.least)
        complain(reading, limit.field,
                 str_printf(reading->arena, "String must contain at least %zu character(s)", limit.least));
    else if (length > limit.most)
        too_long(reading, limit.field, "String must contain", limit.most, "character(s)");
    return text;
}

bool source_type_valid(struct str type)
{
    for (size_t i = 0; i < type.n; i++) {
        char c = type.s[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!word && (i == 0 || !c || !strchr("._-", c))) return false;
    }
    return true;
}

static void read_names(struct reading *reading, struct source_event *event)
{
    event->source = limited_text(reading, (struct limit){"source", 1, 50});
    if (event->source.n && event->source.n <= 50 && !source_name_valid(event->source))
        complain(reading, "source", STR("Invalid"));
    event->source_type = limited_text(reading, (struct limit){"sourceType", 1, 100});
    struct str prefix = str_printf(reading->arena, STR_FMT ":", STR_ARG(event->source));
    if (prefix.n > 1 && str_starts(event->source_type, prefix))
        event->source_type = str_skip(event->source_type, prefix.n);
    if (!source_type_valid(event->source_type)) complain(reading, "sourceType", STR("Invalid"));
    event->source_id = limited_text(reading, (struct limit){"sourceId", 1, MAX_SOURCE_ID});
    if (event->source_id.n > MAX_SOURCE_ID && utf8_length(event->source_id) <= MAX_SOURCE_ID)
        too_long(reading, "sourceId", "String must contain", MAX_SOURCE_ID, "byte(s)");
}

/* More than a day ahead is a wrong clock or a wrong unit. */
const char *source_time_problem(struct str text, int64_t *ms)
{
    if (!time_parse(str_trim(text), ms)) return "Invalid datetime";
    return *ms > time_now() + DAYS(1) ? "Invalid datetime: more than 24 hours ahead" : NULL;
}

/* Absent: the moment of receipt. */
static void read_time(struct reading *reading, struct source_event *event)
{
    size_t     before = reading->issues.n;
    struct str text = text_of(reading, reading->from, "occurredAt", "occurredAt");
    event->occurred_at = time_now();
    if (!text.s || reading->issues.n > before) return;
    const char *problem = source_time_problem(text, &event->occurred_at);
    if (problem) complain(reading, "occurredAt", str_of(problem));
}

static void read_actor(struct reading *reading, struct source_event *event)
{
    const json_value *actor = json_member(reading->from, STR("actor"));
    if (json_is_null(actor)) return;
    if (!json_is_object(actor)) {
        expected(reading, "actor", "object", actor);
        return;
    }
    event->actor = (struct source_actor){
        .id = str_trim(text_of(reading, actor, "id", "actor")),
        .name = str_trim(text_of(reading, actor, "name", "actor")),
        .email = text_of(reading, actor, "email", "actor"),
        .avatar_url = text_of(reading, actor, "avatarUrl", "actor"),
    };
    if (json_is_null(json_get(actor, "id")) || json_is_null(json_get(actor, "name")))
        missing(reading, "actor");
    else if (json_is_string(json_get(actor, "id")) && !event->actor.id.n)
        complain(reading, "actor", STR("String must contain at least 1 character(s)"));
}

static void read_reference(struct reading *reading, const json_value *value, struct source_reference *reference)
{
    if (!json_is_object(value)) {
        expected(reading, "references", "object", value);
        return;
    }
    *reference = (struct source_reference){
        .type = text_of(reading, value, "type", "references"),
        .id = text_of(reading, value, "id", "references"),
        .url = text_of(reading, value, "url", "references"),
        .label = text_of(reading, value, "label", "references"),
    };
    if (json_is_null(json_get(value, "type")) || json_is_null(json_get(value, "id")))
        missing(reading, "references");
    else if (reference->type.s && !source_reference_type_valid(reference->type))
        complain(
            reading, "references",
            str_printf(reading->arena,
                       "Invalid enum value. Expected 'commit' | 'branch' | 'pr' | 'issue' | 'deployment' | 'project' | "
                       "'cycle' | 'assignee' | 'reviewer' | 'team' | 'label', received '" STR_FMT "'",
                       STR_ARG(utf8_head(reference->type, 50))));
}

static void read_references(struct reading *reading, struct source_event *event)
{
    const json_value *list = json_member(reading->from, STR("references"));
    if (json_is_null(list)) return;
    if (!json_is_array(list)) {
        expected(reading, "references", "array", list);
        return;
    }
    if (json_count(list) > SOURCE_MAX_REFERENCES) {
        too_long(reading, "references", "Array must contain", SOURCE_MAX_REFERENCES, "element(s)");
        return;
    }
    event->references = NEW_ARRAY(reading->arena, struct source_reference, json_count(list));
    for (struct json_iter it = json_iter(list); json_step(&it);)
        read_reference(reading, it.value, &event->references[event->reference_count++]);
}

static void read_metadata(struct reading *reading, struct source_event *event)
{
    const json_value *metadata = json_member(reading->from, STR("metadata"));
    event->metadata = STR("{}");
    if (json_is_null(metadata)) return;
    if (!json_is_object(metadata)) {
        expected(reading, "metadata", "object", metadata);
        return;
    }
    if (json_depth(metadata) > SOURCE_MAX_METADATA_DEPTH) {
        complain(reading, "metadata", STR("Object is nested too deep"));
        return;
    }
    event->metadata = json_text(reading->arena, metadata);
    if (event->metadata.n > SOURCE_MAX_METADATA)
        too_long(reading, "metadata", "Object must be", SOURCE_MAX_METADATA, "bytes as JSON");
}

/* So that typing errors show. */
static void refuse_unknown_fields(struct reading *reading)
{
    static const char *const known[] = {"source", "sourceType", "sourceId",   "title",   "body",
                                        "actor",  "occurredAt", "references", "metadata"};
    for (struct json_iter it = json_iter(reading->from); json_step(&it);) {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) found |= str_eq(it.key, str_of(known[i]));
        if (!found && reading->issues.n < MAX_ISSUES)
            *VEC_PUSH(reading->arena, &reading->issues) =
                (struct source_issue){str_dup(reading->arena, utf8_head(it.key, 100)), STR("Unknown field"),
                                      "UNKNOWN_FIELD"};
    }
}

static struct err *refusal(struct reading *reading, struct source_issues *issues)
{
    if (issues) *issues = (struct source_issues){reading->issues.at, reading->issues.n};
    if (!reading->issues.n) return NULL;
    struct buf text = buf_in(reading->arena);
    for (size_t i = 0; i < reading->issues.n; i++)
        buf_printf(&text, "%s" STR_FMT ": " STR_FMT, i ? "; " : "", STR_ARG(reading->issues.at[i].field),
                   STR_ARG(reading->issues.at[i].problem));
    return err_new(reading->arena, ERR_INVALID, "Invalid event: " STR_FMT, STR_ARG(buf_str(&text)));
}

struct err *source_event_read(struct arena *arena, const json_value *value, struct source_event *event,
                              struct source_issues *issues)
{
    struct reading reading = {.arena = arena, .from = value};
    *event = (struct source_event){0};
    if (!json_is_object(value)) {
        expected(&reading, "body", "object", value);
        return refusal(&reading, issues);
    }
    refuse_unknown_fields(&reading);
    read_names(&reading, event);
    event->title = limited_text(&reading, (struct limit){"title", 1, SOURCE_MAX_TITLE});
    event->body = limited_text(&reading, (struct limit){"body", 0, SOURCE_MAX_INPUT_BODY});
    read_time(&reading, event);
    read_actor(&reading, event);
    read_references(&reading, event);
    read_metadata(&reading, event);
    return refusal(&reading, issues);
}
