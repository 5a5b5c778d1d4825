/* fields.c - validation by tables: every problem of a request at once, in the wordings of search-api.md 1. */
#include "api/call.h"
#include "base/utf8.h"

#include <math.h>

struct reading {
    struct api_call *call;
    struct str       top; /* the name under which problems are reported */
    char            *record;
};

static void problem(struct reading *reading, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add_issue(struct api_call *call, struct str field, struct str text)
{
    for (size_t i = 0; i < call->issues.n; i++)
        if (str_eq(call->issues.at[i].field, field) && str_eq(call->issues.at[i].problem, text)) return;
    if (call->issues.n < 100) *VEC_PUSH(call->arena, &call->issues) = (struct api_issue){field, text};
}

static void problem(struct reading *reading, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_issue(reading->call, reading->top, str_vprintf(reading->call->arena, format, args));
    va_end(args);
}

void api_issue(struct api_call *call, struct str field, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add_issue(call, field, str_vprintf(call->arena, format, args));
    va_end(args);
}

struct err *api_check(struct api_call *call)
{
    return call->issues.n ? err_new(call->arena, ERR_INVALID, "Invalid request") : NULL;
}

/* ---- one kind each --------------------------------------------------------------------------------------------------- */

static bool typed(struct reading *reading, bool right, const char *expected, const json_value *value)
{
    if (!right) problem(reading, "Expected %s, received %s", expected, json_type_name(value));
    return right;
}

static struct str text_of(struct reading *reading, const json_value *value)
{
    struct str text = str_trim(json_str(value, ""));
    return text.n && memchr(text.s, 0, text.n) ? utf8_repair(reading->call->arena, text) : text;
}

static void read_text(struct reading *reading, const struct api_field *field, const json_value *value, struct str *out)
{
    if (!typed(reading, json_is_string(value), "string", value)) return;
    *out = text_of(reading, value);
    double length = (double)utf8_length(*out);
    if (length < field->least) {
        if (field->too_few) problem(reading, "%s", field->too_few);
        else problem(reading, "String must contain at least %.0f character(s)", field->least);
    }
    if (length > field->most) problem(reading, "String must contain at most %.0f character(s)", field->most);
}

static bool is_absolute_url(struct str text)
{
    size_t scheme = str_find(text, STR("://"), 0);
    if (scheme == SIZE_MAX || scheme == 0 || scheme + 3 >= text.n || text.s[scheme + 3] == '/') return false;
    for (size_t i = 0; i < scheme; i++) {
        char c = text.s[i] | 0x20;
        if (!(c >= 'a' && c <= 'z') && !(i && ((c >= '0' && c <= '9') || memchr("+-.", text.s[i], 3)))) return false;
    }
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.s[i] <= ' ') return false;
    return true;
}

static void read_url(struct reading *reading, const struct api_field *field, const json_value *value, struct str *out)
{
    if (!typed(reading, json_is_string(value), "string", value)) return;
    struct str text = text_of(reading, value);
    if (text.n == 0) return;
    if (is_absolute_url(text) && text.n <= field->most)
        *out = text;
    else
        problem(reading, "Invalid url");
}

static bool read_number(struct reading *reading, const struct api_field *field, const json_value *value, double *out)
{
    if (!typed(reading, json_is_number(value), "number", value)) return false;
    double number = json_real(value, "", 0);
    if (field->kind == API_INTEGER && number != floor(number)) {
        problem(reading, "Expected integer, received float");
        return false;
    }
    if (number < field->least) problem(reading, "Number must be greater than or equal to %.15g", field->least);
    if (number > field->most && field->most < API_UNBOUNDED)
        problem(reading, "Number must be less than or equal to %.15g", field->most);
    *out = number > API_UNBOUNDED ? API_UNBOUNDED : number;
    return number >= field->least;
}

static struct str quoted_values(struct arena *arena, const char *const *values)
{
    struct buf list = buf_in(arena);
    for (size_t i = 0; values[i]; i++) buf_printf(&list, i ? " | '%s'" : "'%s'", values[i]);
    return buf_str(&list);
}

static void read_enum(struct reading *reading, const struct api_field *field, const json_value *value, int *out)
{
    struct str expected = quoted_values(reading->call->arena, field->values), text = json_str(value, "");
    if (!typed(reading, json_is_string(value), str_z(reading->call->arena, expected), value)) return;
    for (int i = 0; field->values[i]; i++)
        if (str_eq(text, str_of(field->values[i])) ||
            (!field->values[i + 1] && field->synonym && str_eq(text, str_of(field->synonym)))) {
            *out = i;
            return;
        }
    problem(reading, "Invalid enum value. Expected " STR_FMT ", received '" STR_FMT "'", STR_ARG(expected),
            STR_ARG(utf8_head(text, 100)));
}

static void check_count(struct reading *reading, const struct api_field *field, size_t n)
{
    if ((double)n < field->least) {
        if (field->too_few) problem(reading, "%s", field->too_few);
        else problem(reading, "Array must contain at least %.0f element(s)", field->least);
    }
    if ((double)n > field->most) {
        if (field->too_many) problem(reading, "%s", field->too_many);
        else problem(reading, "Array must contain at most %.0f element(s)", field->most);
    }
}

static void read_texts(struct reading *reading, const struct api_field *field, const json_value *value,
                       struct api_texts *out)
{
    if (!typed(reading, json_is_array(value), "array", value)) return;
    size_t n = json_count(value);
    check_count(reading, field, n);
    if ((double)n > field->most) return;
    *out = (struct api_texts){NEW_ARRAY(reading->call->arena, struct str, n), 0, true};
    for (struct json_iter it = json_iter(value); json_step(&it);) {
        if (!typed(reading, json_is_string(it.value), "string", it.value)) continue;
        struct str text = text_of(reading, it.value);
        struct str expected = field->values ? quoted_values(reading->call->arena, field->values) : STR("");
        bool       known = !field->values;
        for (size_t i = 0; !known && field->values[i]; i++) known = str_eq(text, str_of(field->values[i]));
        if (!known)
            problem(reading, "Invalid enum value. Expected " STR_FMT ", received '" STR_FMT "'", STR_ARG(expected),
                    STR_ARG(utf8_head(text, 100)));
        out->at[out->n++] = text;
    }
}

static bool read_time(struct reading *reading, const json_value *value, int64_t *out)
{
    if (!typed(reading, json_is_string(value), "string", value)) return false;
    if (time_parse(str_trim(json_str(value, "")), out)) return true;
    problem(reading, "Invalid datetime");
    return false;
}

/* "24h", "7d": back from now */
static bool read_span(struct str text, int64_t *ms)
{
    static const struct { char unit; int64_t ms; } units[] = {
        {'m', MINUTES(1)}, {'h', HOURS(1)}, {'d', DAYS(1)}, {'w', DAYS(7)}, {'y', DAYS(365)}};
    int64_t number;
    if (text.n < 2 || !str_to_int(str_slice(text, 0, text.n - 1), &number) || number < 1 || number > 100000)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (text.s[text.n - 1] == units[i].unit) {
            *ms = number * units[i].ms;
            return true;
        }
    return false;
}

static void read_range(struct reading *reading, const json_value *value, struct api_range *range)
{
    int64_t span;
    if (json_is_string(value)) {
        if (read_span(json_str(value, ""), &span))
            *range = (struct api_range){.has_start = true, .start = time_now() - span};
        else
            problem(reading, "Invalid date range");
        return;
    }
    if (!typed(reading, json_is_object(value), "object", value)) return;
    const json_value *start = json_get(value, "start"), *end = json_get(value, "end");
    if (!json_is_null(start)) range->has_start = read_time(reading, start, &range->start);
    if (!json_is_null(end)) range->has_end = read_time(reading, end, &range->end);
    if (range->has_end && str_trim(json_str(end, "")).n == strlen("YYYY-MM-DD"))
        range->end += DAYS(1) - 1; /* both ends are inclusive, so a date means its whole day */
    if (range->has_start && range->has_end && range->start > range->end)
        problem(reading, "dateRange.start must not be after dateRange.end");
}

/* ---- a table --------------------------------------------------------------------------------------------------------- */

static void read_fields(struct reading *reading, const json_value *value, const struct api_field *fields, bool nested);

static void set_default(const struct api_field *field, void *at)
{
    if (field->kind == API_INTEGER) *(int64_t *)at = (int64_t)field->otherwise;
    if (field->kind == API_NUMBER) *(double *)at = field->otherwise;
    if (field->kind == API_BOOLEAN) *(bool *)at = field->otherwise != 0;
    if (field->kind == API_ENUM) *(int *)at = (int)field->otherwise;
}

static void read_container(struct reading *reading, const struct api_field *field, const json_value *value, void *at)
{
    bool list = field->kind == API_LIST;
    if (!typed(reading, list ? json_is_array(value) : json_is_object(value), list ? "array" : "object", value)) return;
    if (list) check_count(reading, field, json_count(value));
    *(const json_value **)at = value;
}

static void read_field(struct reading *reading, const struct api_field *field, const json_value *value)
{
    void  *at = reading->record + field->at;
    double number;
    switch (field->kind) {
    case API_TEXT: read_text(reading, field, value, at); break;
    case API_URL: read_url(reading, field, value, at); break;
    case API_INTEGER:
        if (read_number(reading, field, value, &number)) *(int64_t *)at = (int64_t)number;
        break;
    case API_NUMBER:
        if (read_number(reading, field, value, &number)) *(double *)at = number;
        break;
    case API_BOOLEAN:
        if (typed(reading, json_is_bool(value), "boolean", value)) *(bool *)at = json_bool(value, "", false);
        break;
    case API_ENUM: read_enum(reading, field, value, at); break;
    case API_TEXTS: read_texts(reading, field, value, at); break;
    case API_TIME: read_time(reading, value, at); break;
    case API_RANGE: read_range(reading, value, at); break;
    case API_OBJECT:
        if (typed(reading, json_is_object(value), "object", value)) read_fields(reading, value, field->fields, true);
        break;
    case API_LIST:
    case API_MAP: read_container(reading, field, value, at); break;
    }
}

static void read_fields(struct reading *reading, const json_value *value, const struct api_field *fields, bool nested)
{
    for (const struct api_field *field = fields; field->name; field++) {
        const json_value *given = json_get(value, field->name);
        if (json_is_null(given) && field->alias) given = json_get(value, field->alias);
        if (!nested) reading->top = str_of(field->name);
        set_default(field, reading->record + field->at);
        if (!json_is_null(given))
            read_field(reading, field, given);
        else if (field->required)
            problem(reading, "Required");
    }
}

void api_fields(struct api_call *call, const json_value *value, const struct api_field *fields, void *record)
{
    struct reading reading = {.call = call, .top = STR("body"), .record = record};
    if (value && !typed(&reading, json_is_object(value), "object", value)) return;
    read_fields(&reading, value, fields, false);
}

/* ---- query strings ----------------------------------------------------------------------------------------------------- */

static void put_parameter(struct arena *arena, struct json_out *out, const struct api_field *field, struct str text)
{
    const json_value *number;
    if (field->kind == API_INTEGER && json_parse(arena, text, &number) == NULL && json_is_number(number))
        json_put_value(out, field->name, number);
    else if (field->kind == API_TEXTS) {
        json_begin(out, field->name, '[');
        for (struct str part; str_cut(&text, ',', &part);)
            if (str_trim(part).n) json_put(out, NULL, str_trim(part));
        json_end(out);
    } else
        json_put(out, field->name, text);
}

struct err *api_query_object(struct api_call *call, const struct api_field *fields, struct str id,
                             const json_value **value)
{
    struct json_out out = json_out(call->arena);
    json_begin(&out, NULL, '{');
    if (id.s) json_put(&out, "id", id);
    for (const struct api_field *field = fields; field->name; field++) {
        struct str text = net_query_get(call->request, field->name);
        if (text.n && !(id.s && strcmp(field->name, "id") == 0)) put_parameter(call->arena, &out, field, text);
    }
    json_end(&out);
    return json_parse(call->arena, json_out_text(&out), value);
}

struct err *api_query_fields(struct api_call *call, const struct api_field *fields, void *record)
{
    const json_value *given;
    TRY(api_query_object(call, fields, (struct str){0}, &given));
    api_fields(call, given, fields, record);
    return NULL;
}
