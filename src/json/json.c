/* json.c - yyjson behind the door. */
#include "json/json.h"

#include "base/time.h"
#include "base/utf8.h"

#include <assert.h>
#include <math.h>
#include <yyjson.h>

/* ---- memory: yyjson allocates from the arena --------------------------------------------------------------------- */

static void *from_arena(void *arena, size_t n)
{
    return arena_alloc_raw(arena, n);
}

static void *grow_in_arena(void *arena, void *p, size_t n, size_t wanted)
{
    return arena_grow(arena, p, n, wanted);
}

static void leave_to_arena(void *arena, void *p)
{
    (void)arena;
    (void)p;
}

static yyjson_alc allocator(struct arena *arena)
{
    return (yyjson_alc){from_arena, grow_in_arena, leave_to_arena, arena};
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

/* Values lie in the order of the text, and a container knows where its own end. (Reading does not recurse; what comes
 * after it may.) */
static bool too_deep(const yyjson_doc *doc)
{
    const yyjson_val *ends[JSON_MAX_DEPTH], *value = doc->root, *end = value + yyjson_doc_get_val_count((yyjson_doc *)doc);
    size_t            depth = 0;
    for (; value < end; value++) {
        while (depth && value >= ends[depth - 1]) depth--;
        if (!unsafe_yyjson_is_ctn((void *)value)) continue;
        if (depth == JSON_MAX_DEPTH) return true;
        ends[depth++] = unsafe_yyjson_get_next((yyjson_val *)value);
    }
    return false;
}

static struct err *read_document(struct arena *arena, struct str text, yyjson_doc **doc)
{
    yyjson_alc      alc = allocator(arena);
    yyjson_read_err failure;
    *doc = yyjson_read_opts((char *)(text.s ? text.s : ""), text.n, 0, &alc, &failure);
    return *doc ? NULL : err_new(arena, ERR_INVALID, "%s at byte %zu", failure.msg, failure.pos);
}

#define NUL_ESCAPE "\\u0000"
enum { NUL_ESCAPE_BYTES = sizeof NUL_ESCAPE - 1 };

/* By its backslash, of which texts have few: memchr reads many times as fast as memmem. */
static bool may_hold_nul(struct str text)
{
    for (size_t at = 0; (at = str_find_char(text, '\\', at)) != SIZE_MAX; at++)
        if (str_starts(str_skip(text, at), STR(NUL_ESCAPE))) return true;
    return false;
}

/* Of a text that is JSON: every escape in it is whole. */
static struct str without_nul(struct arena *arena, struct str text)
{
    char  *out = arena_alloc_raw(arena, text.n);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.s[i] == '\\' && text.n - i >= NUL_ESCAPE_BYTES && !memcmp(text.s + i, NUL_ESCAPE, NUL_ESCAPE_BYTES)) {
            i += NUL_ESCAPE_BYTES - 1;
            continue;
        }
        out[n++] = text.s[i];
        if (text.s[i] == '\\' && i + 1 < text.n) out[n++] = text.s[++i];
    }
    return (struct str){out, n};
}

struct err *json_parse(struct arena *arena, struct str text, const json_value **root)
{
    yyjson_doc *doc;
    TRY(read_document(arena, text, &doc));
    if (may_hold_nul(text)) TRY(read_document(arena, without_nul(arena, text), &doc));
    if (too_deep(doc)) return err_new(arena, ERR_INVALID, "JSON nested deeper than %d", JSON_MAX_DEPTH);
    *root = yyjson_doc_get_root(doc);
    return NULL;
}

const json_value *json_member(const json_value *object, struct str key)
{
    return yyjson_obj_getn((yyjson_val *)object, key.s, key.n);
}

const json_value *json_get(const json_value *value, const char *path)
{
    for (struct str rest = str_of(path), key; value && rest.n && str_cut(&rest, '.', &key);) {
        int64_t at;
        if (yyjson_is_arr((yyjson_val *)value))
            value = str_to_int(key, &at) && at >= 0 ? yyjson_arr_get((yyjson_val *)value, (size_t)at) : NULL;
        else
            value = json_member(value, key);
    }
    return value;
}

bool json_is_object(const json_value *value) { return yyjson_is_obj((yyjson_val *)value); }
bool json_is_array(const json_value *value) { return yyjson_is_arr((yyjson_val *)value); }
bool json_is_string(const json_value *value) { return yyjson_is_str((yyjson_val *)value); }
bool json_is_number(const json_value *value) { return yyjson_is_num((yyjson_val *)value); }
bool json_is_bool(const json_value *value) { return yyjson_is_bool((yyjson_val *)value); }
bool json_is_null(const json_value *value) { return !value || yyjson_is_null((yyjson_val *)value); }

bool json_is_integer(const json_value *value)
{
    return yyjson_is_sint((yyjson_val *)value) ||
           (yyjson_is_uint((yyjson_val *)value) && yyjson_get_uint((yyjson_val *)value) <= INT64_MAX);
}

const char *json_type_name(const json_value *value)
{
    if (!value) return "undefined";
    if (json_is_object(value)) return "object";
    if (json_is_array(value)) return "array";
    if (json_is_string(value)) return "string";
    if (json_is_number(value)) return "number";
    if (json_is_bool(value)) return "boolean";
    return "null";
}

static struct str string_of(const json_value *value)
{
    if (!json_is_string(value)) return (struct str){0};
    return (struct str){yyjson_get_str((yyjson_val *)value), yyjson_get_len((yyjson_val *)value)};
}

struct str json_str(const json_value *value, const char *path)
{
    return string_of(json_get(value, path));
}

int64_t json_int(const json_value *value, const char *path, int64_t otherwise)
{
    const json_value *found = json_get(value, path);
    return json_is_integer(found) ? yyjson_get_sint((yyjson_val *)found) : otherwise;
}

double json_real(const json_value *value, const char *path, double otherwise)
{
    const json_value *found = json_get(value, path);
    return json_is_number(found) ? yyjson_get_num((yyjson_val *)found) : otherwise;
}

bool json_bool(const json_value *value, const char *path, bool otherwise)
{
    const json_value *found = json_get(value, path);
    return json_is_bool(found) ? yyjson_get_bool((yyjson_val *)found) : otherwise;
}

int json_depth(const json_value *value)
{
    int deepest = 0;
    if (!json_is_object(value) && !json_is_array(value)) return 0;
    for (struct json_iter it = json_iter(value); json_step(&it);) {
        int depth = json_depth(it.value); /* as deep as json_parse lets it be */
        if (depth > deepest) deepest = depth;
    }
    return deepest + 1;
}

size_t json_count(const json_value *value)
{
    if (json_is_object(value)) return yyjson_obj_size((yyjson_val *)value);
    return yyjson_arr_size((yyjson_val *)value);
}

struct json_iter json_iter(const json_value *container)
{
    struct json_iter it = {.of = container, .left = json_count(container)};
    if (it.left) it.next = unsafe_yyjson_get_first((yyjson_val *)container);
    return it;
}

bool json_step(struct json_iter *it)
{
    if (it->left == 0) return false;
    it->left--;
    it->value = it->next;
    if (json_is_object(it->of)) {
        it->key = string_of(it->next);
        it->value = it->next + 1;
    }
    it->next = unsafe_yyjson_get_next((yyjson_val *)it->value);
    return true;
}

static struct str text_as(struct arena *arena, const json_value *value, yyjson_write_flag flags)
{
    if (!value) return STR("null");
    yyjson_alc alc = allocator(arena);
    size_t     n = 0;
    char      *text = yyjson_val_write_opts((yyjson_val *)value, flags | YYJSON_WRITE_ALLOW_INF_AND_NAN, &alc, &n, NULL);
    assert(text);
    return (struct str){text, n};
}

struct str json_text(struct arena *arena, const json_value *value)
{
    return text_as(arena, value, YYJSON_WRITE_NOFLAG);
}

struct str json_text_indented(struct arena *arena, const json_value *value)
{
    return text_as(arena, value, YYJSON_WRITE_PRETTY_TWO_SPACES);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

struct json_out json_out(struct arena *arena)
{
    return (struct json_out){.buf = buf_in(arena), .decimals = 4};
}

static void new_line(struct json_out *out)
{
    if (!out->indent) return;
    buf_char(&out->buf, '\n');
    for (int i = 0; i < out->depth * out->indent; i++) buf_char(&out->buf, ' ');
}

static bool needs_escape(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

/* Append the bytes from `at` to the first that needs an escape, whose place is returned: a block at a time, which the
 * compiler turns into a few instructions. */
static size_t put_plain_run(struct buf *b, struct str text, size_t at)
{
    enum { BLOCK = 16 };
    buf_reserve(b, text.n - at);
    for (; at + BLOCK <= text.n; at += BLOCK) {
        unsigned char special = 0;
        for (size_t k = 0; k < BLOCK; k++) special |= needs_escape((unsigned char)text.s[at + k]);
        if (special) break;
        memcpy(b->s + b->n, text.s + at, BLOCK);
        b->n += BLOCK;
    }
    while (at < text.n && !needs_escape((unsigned char)text.s[at])) b->s[b->n++] = text.s[at++];
    return at;
}

static void put_escaped(struct buf *b, struct str text)
{
    static const char hex[] = "0123456789abcdef";
    if (!utf8_valid(text)) {
        struct buf escaped = buf_in(b->arena); /* NUL is valid JSON as \u0000, broken sequences are not */
        for (struct str rest = text, part; str_cut(&rest, '\0', &part);) {
            buf_str_add(&escaped, utf8_repair(b->arena, part));
            if (rest.s) buf_char(&escaped, '\0');
        }
        text = buf_str(&escaped);
    }
    buf_reserve(b, text.n + 2);
    buf_char(b, '"');
    for (size_t i = 0; (i = put_plain_run(b, text, i)) < text.n; i++) {
        unsigned char c = (unsigned char)text.s[i];
        switch (c) {
        case '"': buf_lit(b, "\\\""); break;
        case '\\': buf_lit(b, "\\\\"); break;
        case '\n': buf_lit(b, "\\n"); break;
        case '\r': buf_lit(b, "\\r"); break;
        case '\t': buf_lit(b, "\\t"); break;
        default: buf_lit(b, "\\u00"); buf_char(b, hex[c >> 4]); buf_char(b, hex[c & 15]);
        }
    }
    buf_char(b, '"');
}

static void before_key(struct json_out *out)
{
    if (out->comma) buf_char(&out->buf, ',');
    new_line(out);
}

static void after_key(struct json_out *out)
{
    buf_char(&out->buf, ':');
    if (out->indent) buf_char(&out->buf, ' ');
    out->comma = false;
}

void json_key(struct json_out *out, struct str key)
{
    before_key(out);
    put_escaped(&out->buf, key);
    after_key(out);
}

/* What stands before a value: comma, key, indentation. A key of the program's own needs no escape. */
static void before_value(struct json_out *out, const char *key)
{
    if (key) {
        before_key(out);
        buf_char(&out->buf, '"');
        buf_bytes(&out->buf, key, strlen(key));
        buf_char(&out->buf, '"');
        after_key(out);
        return;
    }
    if (out->comma) buf_char(&out->buf, ',');
    if (out->depth && out->closing[out->depth - 1] == ']') new_line(out);
}

void json_begin(struct json_out *out, const char *key, char open)
{
    assert(out->depth < JSON_MAX_DEPTH && (open == '{' || open == '['));
    before_value(out, key);
    buf_char(&out->buf, open);
    out->closing[out->depth++] = open == '{' ? '}' : ']';
    out->comma = false;
}

void json_end(struct json_out *out)
{
    assert(out->depth > 0);
    char closing = out->closing[--out->depth];
    if (out->comma) new_line(out);
    buf_char(&out->buf, closing);
    out->comma = true;
}

void json_put_raw(struct json_out *out, const char *key, struct str json)
{
    before_value(out, key);
    buf_str_add(&out->buf, json);
    out->comma = true;
}

void json_put_int(struct json_out *out, const char *key, int64_t value)
{
    char digits[24];
    int  n = snprintf(digits, sizeof digits, "%lld", (long long)value);
    json_put_raw(out, key, (struct str){digits, (size_t)n});
}

void json_put_real(struct json_out *out, const char *key, double value)
{
    char digits[64];
    if (!isfinite(value)) value = 0;
    int n = fabs(value) < 1e15 ? snprintf(digits, sizeof digits, "%.*f", out->decimals, value)
                               : snprintf(digits, sizeof digits, "%.17g", value);
    if (memchr(digits, '.', (size_t)n) && !memchr(digits, 'e', (size_t)n)) {
        while (digits[n - 1] == '0') n--;
        if (digits[n - 1] == '.') n--;
    }
    if (n == 2 && digits[0] == '-' && digits[1] == '0') {
        digits[0] = '0';
        n = 1;
    }
    json_put_raw(out, key, (struct str){digits, (size_t)n});
}

void json_put_bool(struct json_out *out, const char *key, bool value)
{
    json_put_raw(out, key, value ? STR("true") : STR("false"));
}

void json_put_null(struct json_out *out, const char *key)
{
    json_put_raw(out, key, STR("null"));
}

void json_put_str(struct json_out *out, const char *key, struct str value)
{
    if (!value.s) {
        json_put_null(out, key);
        return;
    }
    before_value(out, key);
    put_escaped(&out->buf, value);
    out->comma = true;
}

void json_put_or_null(struct json_out *out, const char *key, struct str value)
{
    json_put_str(out, key, value.n ? value : (struct str){0});
}

void json_put_or_empty(struct json_out *out, const char *key, struct str value)
{
    json_put_str(out, key, value.s ? value : STR(""));
}

void json_put_texts(struct json_out *out, const char *key, const struct str *texts, size_t n)
{
    json_begin(out, key, '[');
    for (size_t i = 0; i < n; i++) json_put_str(out, NULL, texts[i]);
    json_end(out);
}

void json_put_z(struct json_out *out, const char *key, const char *value)
{
    json_put_str(out, key, str_of(value));
}

void json_put_time(struct json_out *out, const char *key, int64_t ms)
{
    json_put_str(out, key, ms ? time_format(out->buf.arena, ms) : (struct str){0});
}

void json_put_value(struct json_out *out, const char *key, const json_value *value)
{
    json_put_raw(out, key, json_text(out->buf.arena, value));
}

struct str json_out_text(struct json_out *out)
{
    assert(out->depth == 0);
    return buf_str(&out->buf);
}
