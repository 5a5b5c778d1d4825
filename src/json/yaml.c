/* yaml.c - YAML documents as JSON values, read by libyaml. Anchors, tags and several documents are refused. */
#include "base/utf8.h"
#include "json/json.h"

#include <yaml.h>

struct reader {
    yaml_parser_t   parser;
    struct arena   *arena;
    struct json_out out;
};

static struct err *fail(struct reader *reader, const char *what, yaml_mark_t mark)
{
    return err_new(reader->arena, ERR_INVALID, "YAML line %zu: %s", mark.line + 1, what);
}

static struct err *next_event(struct reader *reader, yaml_event_t *event)
{
    if (yaml_parser_parse(&reader->parser, event)) return NULL;
    const char *problem = reader->parser.problem ? reader->parser.problem : "not readable";
    return fail(reader, problem, reader->parser.problem_mark);
}

/* Plain scalars of YAML's core schema: null, booleans, numbers; everything else and all quoted ones are text. */
static struct str scalar_json(struct reader *reader, const yaml_event_t *event)
{
    struct str      text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    struct json_out quoted = json_out(reader->arena);
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
        static const char *const truths[] = {"true", "True", "TRUE"};
        static const char *const falses[] = {"false", "False", "FALSE"};
        for (size_t i = 0; i < 5; i++)
            if (str_eq(text, str_of(nulls[i]))) return STR("null");
        for (size_t i = 0; i < 3; i++) {
            if (str_eq(text, str_of(truths[i]))) return STR("true");
            if (str_eq(text, str_of(falses[i]))) return STR("false");
        }
        const json_value *number;
        if (text.n && strchr("-0123456789", text.s[0]) && json_parse(reader->arena, text, &number) == NULL) return text;
    }
    json_put_str(&quoted, NULL, text);
    return json_out_text(&quoted);
}

static struct err *read_node(struct reader *reader, const char *key, yaml_event_t *event, int depth);

static struct err *read_children(struct reader *reader, bool mapping, int depth)
{
    for (;;) {
        yaml_event_t event;
        TRY(next_event(reader, &event));
        if (event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return NULL;
        }
        if (mapping) {
            if (event.type != YAML_SCALAR_EVENT) {
                struct err *err = fail(reader, "a key must be plain text", event.start_mark);
                yaml_event_delete(&event);
                return err;
            }
            json_key(&reader->out, (struct str){(const char *)event.data.scalar.value, event.data.scalar.length});
            yaml_event_delete(&event);
            TRY(next_event(reader, &event));
        }
        TRY(read_node(reader, NULL, &event, depth));
    }
}

/* Writes the node that begins with event, and deletes the event. */
static struct err *read_node(struct reader *reader, const char *key, yaml_event_t *event, int depth)
{
    struct err *err = NULL;
    yaml_event_type_t type = event->type;
    if (depth >= JSON_MAX_DEPTH - 1)
        err = fail(reader, "nested too deeply", event->start_mark);
    else if (type == YAML_ALIAS_EVENT)
        err = fail(reader, "aliases are not supported", event->start_mark);
    else if (type == YAML_SCALAR_EVENT)
        json_put_raw(&reader->out, key, scalar_json(reader, event));
    yaml_event_delete(event);
    if (err || type == YAML_SCALAR_EVENT) return err;
    json_begin(&reader->out, key, type == YAML_MAPPING_START_EVENT ? '{' : '[');
    TRY(read_children(reader, type == YAML_MAPPING_START_EVENT, depth + 1));
    json_end(&reader->out);
    return NULL;
}

static struct err *read_document(struct reader *reader)
{
    for (;;) {
        yaml_event_t event;
        TRY(next_event(reader, &event));
        yaml_event_type_t type = event.type;
        if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT) {
            yaml_event_delete(&event);
            continue;
        }
        if (type == YAML_STREAM_END_EVENT) {
            yaml_event_delete(&event);
            json_put_null(&reader->out, NULL);
            return NULL;
        }
        TRY(read_node(reader, NULL, &event, 0));
        TRY(next_event(reader, &event)); /* document end */
        yaml_event_delete(&event);
        TRY(next_event(reader, &event));
        type = event.type;
        yaml_mark_t mark = event.start_mark;
        yaml_event_delete(&event);
        return type == YAML_STREAM_END_EVENT ? NULL : fail(reader, "one document expected", mark);
    }
}

struct err *json_parse_yaml(struct arena *arena, struct str text, const json_value **root)
{
    if (!utf8_valid(text)) return err_new(arena, ERR_INVALID, "YAML is not valid UTF-8");
    struct reader reader = {.arena = arena, .out = json_out(arena)};
    if (!yaml_parser_initialize(&reader.parser)) return err_new(arena, ERR_INTERNAL, "libyaml does not start");
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *)text.s, text.n);
    struct err *err = read_document(&reader);
    yaml_parser_delete(&reader.parser);
    if (err) return err;
    return json_parse(arena, json_out_text(&reader.out), root);
}
