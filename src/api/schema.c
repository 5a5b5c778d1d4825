/* schema.c - the tables that requests are validated by, as JSON Schema (2020-12). */
#include "api/call.h"

/* clang-format off */
static const struct { const char *operation; const struct api_field *fields; } operations[] = {
    {"search",      api_search_fields},
    {"contents",    api_contents_fields},
    {"findSimilar", api_similar_fields},
    {"graph",       api_graph_fields},
    {"related",     api_related_fields},
    {"answer",      api_ask_fields},
};
/* clang-format on */

static void put_number(struct json_out *out, const char *key, double number)
{
    if (number == (double)(int64_t)number) json_put(out, key, (int64_t)number);
    else json_put(out, key, number);
}

static void put_text(struct json_out *out, const struct api_field *field)
{
    json_put(out, "type", "string");
    if (field->kind == API_URL) json_put(out, "format", "uri");
    if (field->least > 0) put_number(out, "minLength", field->least);
    if (field->most > 0) put_number(out, "maxLength", field->most);
}

static void put_bounded(struct json_out *out, const struct api_field *field)
{
    json_put(out, "type", field->kind == API_INTEGER ? "integer" : "number");
    put_number(out, "minimum", field->least);
    if (field->most < API_UNBOUNDED) put_number(out, "maximum", field->most);
    put_number(out, "default", field->otherwise);
}

static void put_enum(struct json_out *out, const struct api_field *field)
{
    json_put(out, "type", "string");
    json_begin(out, "enum", '[');
    for (size_t i = 0; field->values[i]; i++) json_put(out, NULL, field->values[i]);
    json_end(out);
    json_put(out, "default", field->values[(int)field->otherwise]);
}

static void put_texts(struct json_out *out, const struct api_field *field)
{
    json_put(out, "type", "array");
    json_begin(out, "items", '{');
    json_put(out, "type", "string");
    json_end(out);
    if (field->least > 0) put_number(out, "minItems", field->least);
    if (field->most > 0) put_number(out, "maxItems", field->most);
}

static void put_range(struct json_out *out)
{
    static const char *const ends[] = {"start", "end"};
    json_put(out, "type", "object");
    json_begin(out, "properties", '{');
    for (size_t i = 0; i < 2; i++) {
        json_begin(out, ends[i], '{');
        json_put(out, "type", "string");
        json_put(out, "format", "date-time");
        json_end(out);
    }
    json_end(out);
    json_put_bool(out, "additionalProperties", false);
}

static void put_object(struct json_out *out, const struct api_field *fields, const char *parent,
                       const struct api_property *properties);

static void put_field(struct json_out *out, const struct api_field *field, const char *description,
                      const struct api_property *properties)
{
    json_begin(out, field->name, '{');
    switch (field->kind) {
    case API_TEXT:
    case API_URL: put_text(out, field); break;
    case API_INTEGER:
    case API_NUMBER: put_bounded(out, field); break;
    case API_BOOLEAN:
        json_put(out, "type", "boolean");
        json_put_bool(out, "default", field->otherwise != 0);
        break;
    case API_ENUM: put_enum(out, field); break;
    case API_TEXTS: put_texts(out, field); break;
    case API_TIME:
        json_put(out, "type", "string");
        json_put(out, "format", "date-time");
        break;
    case API_RANGE: put_range(out); break;
    case API_OBJECT: put_object(out, field->fields, field->name, properties); break;
    case API_LIST: json_put(out, "type", "array"); break;
    case API_MAP: json_put(out, "type", "object"); break;
    }
    json_put(out, "description", description);
    json_end(out);
}

static const struct api_field *field_named(const struct api_field *fields, const char *name)
{
    while (fields->name && strcmp(fields->name, name) != 0) fields++;
    return fields->name ? fields : NULL;
}

static bool within(const struct api_property *property, const char *parent)
{
    return property->parent == parent || (property->parent && parent && strcmp(property->parent, parent) == 0);
}

/* The members of an object, without the braces. */
static void put_object(struct json_out *out, const struct api_field *fields, const char *parent,
                       const struct api_property *properties)
{
    json_put(out, "type", "object");
    json_begin(out, "properties", '{');
    for (const struct api_property *property = properties; property->name; property++) {
        const struct api_field *field = within(property, parent) ? field_named(fields, property->name) : NULL;
        if (field) put_field(out, field, property->description, properties);
    }
    json_end(out);
    bool any = false;
    for (const struct api_property *property = properties; property->name; property++) {
        const struct api_field *field = within(property, parent) ? field_named(fields, property->name) : NULL;
        if (!field || !(field->required || property->required)) continue;
        if (!any) json_begin(out, "required", '[');
        any = true;
        json_put(out, NULL, field->name);
    }
    if (any) json_end(out);
    json_put_bool(out, "additionalProperties", false);
}

void api_put_schema(struct json_out *out, const char *key, const char *operation, const struct api_property *properties)
{
    json_begin(out, key, '{');
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (strcmp(operations[i].operation, operation) == 0) put_object(out, operations[i].fields, NULL, properties);
    json_end(out);
}
