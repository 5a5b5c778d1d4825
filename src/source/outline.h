/* outline.h - an event while a transform makes it: lenient reading of the payload, references, metadata, body lines.
 *
 * Null counts as absent; numbers given as strings and ids given as numbers are taken as what they are meant to be.
 */
#pragma once
#include "source/transform.h"

struct outline {
    struct arena                *arena;
    const json_value            *payload;
    const struct source_context *context;
    struct source_event         *event;
    VEC(struct source_reference) references;
    struct json_out metadata;
    struct buf      body;
    bool            ids_are_text; /* numbers under metadata keys in "Id" become text; GitHub's stay */
};
void outline_begin(struct outline *outline);
enum source_reason outline_finish(struct outline *outline);

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* A string, or a number as text; {NULL, 0} if absent, null, empty or of another type. */
struct str payload_text(struct arena *arena, const json_value *value, const char *path);
/* The first of `paths` (NULL ends) that is present and not empty. */
struct str payload_first(struct arena *arena, const json_value *value, const char *const *paths);
#define PAYLOAD_FIRST(arena, value, ...) payload_first((arena), (value), (const char *const[]){__VA_ARGS__, NULL})
/* A whole number, or a string that is one. */
bool payload_int(const json_value *value, const char *path, int64_t *number);
/* RFC 3339, or a number: seconds, from 1e12 on milliseconds. */
bool payload_time(const json_value *value, const char *path, int64_t *ms);
/* The same of a text that stands by itself, such as a header. */
bool payload_time_text(struct str text, int64_t *ms);
/* The first of `paths` that is a time, else what the delivery's own time is. */
int64_t payload_first_time(const json_value *value, const struct source_context *context, const char *const *paths);
#define PAYLOAD_FIRST_TIME(value, context, ...) \
    payload_first_time((value), (context), (const char *const[]){__VA_ARGS__, NULL})

/* ---- writing ----------------------------------------------------------------------------------------------------- */

/* id empty: nothing. */
void outline_refer(struct outline *outline, const char *type, struct str id, struct str url, const char *label);
/* A url of parts that may hold anything: bytes that no path has are escaped. */
void       outline_escape(struct buf *url, struct str text);
struct str outline_url(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Metadata that would pass the limit is left out, key by key, so that no payload makes an event too large. Empty texts
 * are left out too. */
void outline_put(struct outline *outline, const char *key, struct str text);
void outline_put_int(struct outline *outline, const char *key, const json_value *value, const char *path);
void outline_put_value(struct outline *outline, const char *key, const json_value *value); /* null: left out */
void outline_put_bool(struct outline *outline, const char *key, bool value);
void outline_put_number(struct outline *outline, const char *key, int64_t value);

/* A list of objects or texts: elements are written between outline_list_begin and _end, each object kept only if it
 * fits. */
struct outline_point { size_t n; bool comma; };
struct outline_point outline_mark(const struct outline *outline);
bool outline_fits(struct outline *outline, struct outline_point before); /* false: taken back */
/* The texts at `path` of each element ("" for the element itself). */
void outline_put_texts(struct outline *outline, const char *key, const json_value *list, const char *path);

/* Rows "metadata key, path in value, path that stands in": copied as they are (texts, numbers, booleans). */
struct outline_field { const char *key, *path, *otherwise; };
/* key NULL ends */
void outline_put_fields(struct outline *outline, const json_value *value, const struct outline_field *fields);

/* One line of the body: prefix and text; nothing if the text is empty. */
void outline_line(struct outline *outline, const char *prefix, struct str text, const char *suffix);

/* First n characters, "..." appended if something was cut. */
struct str outline_cut(struct arena *arena, struct str text, size_t n);
/* "a, b" of the texts at `path` of each element. */
struct str outline_joined(struct arena *arena, const json_value *list, const char *path);
/* The text, or "-" where an id has a gap. */
struct str outline_part(struct str text);

/* ---- the providers ----------------------------------------------------------------------------------------------- */

struct source_transform_call {
    struct arena                *arena;
    struct str                   event;
    const json_value            *payload;
    const struct source_context *context;
    struct source_event         *result;
    struct str                  *category;
};
typedef enum source_reason (*source_transform_function)(const struct source_transform_call *call);
enum source_reason github_transform(const struct source_transform_call *call);
enum source_reason vercel_transform(const struct source_transform_call *call);
enum source_reason linear_transform(const struct source_transform_call *call);
enum source_reason sentry_transform(const struct source_transform_call *call);

/* Category of an opt-in type that the registry does not list. */
struct str github_category(struct str source_type);

void github_route(struct arena *arena, const struct source_delivery *delivery, struct source_route *route);
void vercel_route(struct arena *arena, const struct source_delivery *delivery, struct source_route *route);
void linear_route(struct arena *arena, const struct source_delivery *delivery, struct source_route *route);
void sentry_route(struct arena *arena, const struct source_delivery *delivery, struct source_route *route);
/* Add a text that is not empty and not there yet. */
void texts_add(struct arena *arena, struct source_texts *texts, struct str text);

bool github_state(struct arena *arena, const struct source_delivery *delivery, struct source_state_change *change);
bool vercel_state(struct arena *arena, const struct source_delivery *delivery, struct source_state_change *change);
bool linear_state(struct arena *arena, const struct source_delivery *delivery, struct source_state_change *change);
bool sentry_state(struct arena *arena, const struct source_delivery *delivery, struct source_state_change *change);
