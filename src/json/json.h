/* json.h - reading by path and writing, on yyjson.
 *
 * Parsed values live in the arena and are immutable. Paths are "a.b.0.c": object members and array positions.
 */
#pragma once
#include "base/err.h"

typedef struct yyjson_val json_value;

enum { JSON_MAX_DEPTH = 128 };

/* Errors: ERR_INVALID (with line-free position) for malformed text, invalid UTF-8, nesting above JSON_MAX_DEPTH.
 * NUL in strings and keys (\u0000) is left out: no text in the program holds one. */
MUST_CHECK struct err *json_parse(struct arena *arena, struct str text, const json_value **root);

/* YAML (the subset that maps to JSON: no anchors, no tags) into the same values. Errors: ERR_INVALID with line. */
MUST_CHECK struct err *json_parse_yaml(struct arena *arena, struct str text, const json_value **root);

/* The value at path, or NULL; value may be NULL; "" is value itself. */
const json_value *json_get(const json_value *value, const char *path);
const json_value *json_member(const json_value *object, struct str key); /* a key that may hold dots */

bool json_is_object(const json_value *value); /* these accept NULL and answer false */
bool json_is_array(const json_value *value);
bool json_is_string(const json_value *value);
bool json_is_number(const json_value *value);
bool json_is_integer(const json_value *value); /* fits int64_t, written without fraction */
bool json_is_bool(const json_value *value);
bool json_is_null(const json_value *value);    /* null or absent */
const char *json_type_name(const json_value *value); /* "string", "number", "object" ... "undefined" if NULL */

/* With defaults: the value itself if it has the type, else the default. */
struct str json_str(const json_value *value, const char *path);      /* {NULL, 0} unless a string */
int64_t    json_int(const json_value *value, const char *path, int64_t otherwise);
double     json_real(const json_value *value, const char *path, double otherwise);
bool       json_bool(const json_value *value, const char *path, bool otherwise);

int    json_depth(const json_value *value); /* levels of arrays and objects, 0 for everything else */
size_t json_count(const json_value *value); /* members or elements, 0 for everything else */

/* Iterate: for (struct json_iter it = json_iter(array); json_step(&it);) use it.key (objects), it.value */
struct json_iter {
    struct str        key; /* {NULL, 0} in arrays */
    const json_value *value;
    const json_value *of;
    size_t            left;
    const json_value *next;
};
struct json_iter json_iter(const json_value *container); /* empty for NULL and scalars */
bool             json_step(struct json_iter *it);

/* The text of a value again (compact). */
struct str json_text(struct arena *arena, const json_value *value);
struct str json_text_indented(struct arena *arena, const json_value *value); /* by 2 spaces */

/* ---- writing ---------------------------------------------------------------------------------------------------
 *
 *     struct json_out out = json_out(arena);
 *     json_begin(&out, NULL, '{');
 *     json_put(&out, "id", id);                 // int64_t, int, bool, double, struct str (s == NULL: null), const char *;
 *                                               // the constants true and false are ints in C17: json_put_bool
 *     json_begin(&out, "tags", '[');
 *     json_put(&out, NULL, STR("a"));
 *     json_end(&out); json_end(&out);
 *     struct str text = json_out_text(&out);
 *
 * A key given beside a value is one of the program's own and needs no escape; others go through json_key.
 *
 * A stream: commas and escapes are its work, balanced begin and end are the caller's (checked by assertion). Invalid
 * UTF-8 in a string is written as U+FFFD. Doubles are written with at most `decimals` decimals.
 */
struct json_out {
    struct buf buf;
    bool       comma;
    int        depth;
    char       closing[JSON_MAX_DEPTH];
    int        indent;   /* 0 = compact, else spaces a level */
    int        decimals; /* default 4 */
};
struct json_out json_out(struct arena *arena);
void json_begin(struct json_out *out, const char *key, char open); /* '{' or '[' */
void json_end(struct json_out *out);
void json_put_int(struct json_out *out, const char *key, int64_t value);
void json_put_real(struct json_out *out, const char *key, double value);
void json_put_bool(struct json_out *out, const char *key, bool value);
void json_put_str(struct json_out *out, const char *key, struct str value);
void json_put_z(struct json_out *out, const char *key, const char *value);
void json_put_null(struct json_out *out, const char *key);
void json_put_or_null(struct json_out *out, const char *key, struct str value);  /* the empty text is null, too */
void json_put_or_empty(struct json_out *out, const char *key, struct str value); /* a missing text is empty */
void json_put_texts(struct json_out *out, const char *key, const struct str *texts, size_t n); /* an array */
void json_put_time(struct json_out *out, const char *key, int64_t ms);       /* RFC 3339; 0 = null */
void json_put_value(struct json_out *out, const char *key, const json_value *value); /* NULL = null */
void json_put_raw(struct json_out *out, const char *key, struct str json);   /* text that is JSON already */
void json_key(struct json_out *out, struct str key); /* a key that is data; the value follows with key NULL */
struct str json_out_text(struct json_out *out); /* asserts that everything is closed */

#define json_put(out, key, value)                                                                                 \
    _Generic((value), bool: json_put_bool, int: json_put_int, unsigned: json_put_int, long: json_put_int,          \
             long long: json_put_int, unsigned long: json_put_int, unsigned long long: json_put_int,               \
             double: json_put_real, float: json_put_real, struct str: json_put_str, char *: json_put_z,            \
             const char *: json_put_z)((out), (key), (value))
