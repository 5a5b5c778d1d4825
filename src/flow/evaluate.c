/* evaluate.c - the value of an expression. There are no errors: what makes no sense is null. */
#include "flow/expression.h"

#include "base/time.h"

#include <math.h>
#include <stdio.h>

struct evaluation {
    struct arena           *arena;
    const struct flow_root *roots;
    size_t                  root_count;
    int                     steps;
};

static const struct flow_value null_value = {.kind = FLOW_NULL};

static struct flow_value evaluate(struct evaluation *e, const struct flow_expression *x);

static struct flow_value text_value(struct str text)
{
    return (struct flow_value){.kind = text.s ? FLOW_TEXT : FLOW_NULL, .text = text};
}

static struct flow_value truth_value(bool truth)
{
    return (struct flow_value){.kind = FLOW_BOOL, .truth = truth};
}

struct flow_value flow_value_of(const json_value *json)
{
    if (json_is_null(json)) return null_value;
    if (json_is_string(json)) return text_value(json_str(json, ""));
    if (json_is_bool(json)) return truth_value(json_bool(json, "", false));
    if (json_is_number(json)) return (struct flow_value){.kind = FLOW_NUMBER, .number = json_real(json, "", 0)};
    return (struct flow_value){.kind = FLOW_JSON, .json = json};
}

static struct str number_text(struct arena *arena, double number)
{
    if (number == floor(number) && fabs(number) < 9e15) return str_printf(arena, "%lld", (long long)number);
    return str_printf(arena, "%.10g", number);
}

struct str flow_value_text(struct arena *arena, struct flow_value value)
{
    switch (value.kind) {
    case FLOW_NULL: return (struct str){0};
    case FLOW_BOOL: return value.truth ? STR("true") : STR("false");
    case FLOW_NUMBER: return number_text(arena, value.number);
    case FLOW_TEXT: return value.text;
    case FLOW_JSON: return json_text(arena, value.json);
    case FLOW_TIME: return time_format(arena, (int64_t)value.number);
    }
    return (struct str){0};
}

bool flow_value_true(struct flow_value value)
{
    switch (value.kind) {
    case FLOW_NULL: return false;
    case FLOW_BOOL: return value.truth;
    case FLOW_NUMBER: return value.number != 0;
    case FLOW_TEXT: return value.text.n > 0;
    case FLOW_JSON: return json_count(value.json) > 0;
    case FLOW_TIME: return true;
    }
    return false;
}

static bool is_empty(struct flow_value value)
{
    return value.kind == FLOW_NULL || (value.kind == FLOW_TEXT && value.text.n == 0) ||
           (value.kind == FLOW_JSON && json_count(value.json) == 0);
}

/* ---- paths ------------------------------------------------------------------------------------------------------- */

/* The number of parts that the root's dotted name covers, or -1. */
static int covers(const char *name, const struct flow_expression *path)
{
    struct str rest = str_of(name), part;
    int        n = 0;
    if (!rest.n) return 0;
    for (; str_cut(&rest, '.', &part); n++)
        if ((size_t)n >= path->part_count || !path->parts[n].key.s || !str_eq(path->parts[n].key, part)) return -1;
    return n;
}

static const json_value *element(const json_value *array, size_t position)
{
    if (!json_is_array(array) || position >= json_count(array)) return NULL;
    char digits[24];
    snprintf(digits, sizeof digits, "%zu", position);
    return json_get(array, digits);
}

static struct flow_value follow(struct flow_value value, const struct path_part *parts, size_t n)
{
    if (n == 0) return value;
    const json_value *json = value.kind == FLOW_JSON ? value.json : NULL;
    for (size_t i = 0; i < n && json; i++) {
        if (parts[i].key.s)
            json = json_is_object(json) ? json_member(json, parts[i].key) : NULL;
        else
            json = element(json, parts[i].position);
    }
    return flow_value_of(json);
}

static struct flow_value evaluate_path(struct evaluation *e, const struct flow_expression *path)
{
    int best = -1, root = -1;
    for (size_t i = 0; i < e->root_count; i++) {
        int n = covers(e->roots[i].name, path);
        if (n <= best) continue;
        best = n;
        root = (int)i;
    }
    if (root < 0) return null_value;
    return follow(e->roots[root].value, path->parts + best, path->part_count - (size_t)best);
}

/* ---- operators --------------------------------------------------------------------------------------------------- */

static bool is_numeric(struct flow_value v) { return v.kind == FLOW_NUMBER || v.kind == FLOW_TIME; }

static bool values_equal(struct evaluation *e, struct flow_value a, struct flow_value b)
{
    if (is_numeric(a) && is_numeric(b)) return a.number == b.number;
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case FLOW_NULL: return true;
    case FLOW_BOOL: return a.truth == b.truth;
    case FLOW_TEXT: return str_eq(a.text, b.text);
    default: return str_eq(json_text(e->arena, a.json), json_text(e->arena, b.json));
    }
}

/* -1, 0, 1; 2: not comparable */
static int compare(struct flow_value a, struct flow_value b)
{
    if (is_numeric(a) && is_numeric(b)) return (a.number > b.number) - (a.number < b.number);
    if (a.kind != FLOW_TEXT || b.kind != FLOW_TEXT) return 2;
    int order = str_cmp(a.text, b.text);
    return (order > 0) - (order < 0);
}

static bool contains(struct evaluation *e, struct flow_value container, struct flow_value value)
{
    if (container.kind == FLOW_TEXT)
        return value.kind == FLOW_TEXT && str_find(container.text, value.text, 0) != SIZE_MAX;
    if (container.kind != FLOW_JSON) return false;
    if (json_is_object(container.json)) return value.kind == FLOW_TEXT && json_member(container.json, value.text);
    for (struct json_iter it = json_iter(container.json); json_step(&it);) {
        if (++e->steps > EXPRESSION_STEPS) return false;
        if (values_equal(e, flow_value_of(it.value), value)) return true;
    }
    return false;
}

static struct flow_value add(struct evaluation *e, struct flow_value a, struct flow_value b)
{
    if (a.kind == FLOW_NUMBER && b.kind == FLOW_NUMBER)
        return (struct flow_value){.kind = FLOW_NUMBER, .number = a.number + b.number};
    if (a.kind == FLOW_NULL || b.kind == FLOW_NULL) return null_value;
    struct str parts[] = {flow_value_text(e->arena, a), flow_value_text(e->arena, b)};
    return text_value(str_join(e->arena, parts, 2, STR("")));
}

/* ---- functions --------------------------------------------------------------------------------------------------- */

static struct str slug(struct arena *arena, struct str text)
{
    struct buf out = buf_in(arena);
    text = str_lower(arena, text);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.s[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (plain)
            buf_char(&out, c);
        else if (out.n && out.s[out.n - 1] != '-')
            buf_char(&out, '-');
    }
    while (out.n && out.s[out.n - 1] == '-') out.n--;
    return buf_str(&out);
}

static struct str words(struct arena *arena, struct str text)
{
    struct buf out = buf_in(arena);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.s[i];
        if (c == '_' || c == '-' || c == '.') c = ' ';
        bool first = i == 0 || out.s[i - 1] == ' ';
        buf_char(&out, first && c >= 'a' && c <= 'z' ? (char)(c - 32) : c);
    }
    return buf_str(&out);
}

/* The first n characters, never half of one. */
static struct str cut(struct str text, double n)
{
    size_t at = 0;
    for (double characters = 0; at < text.n; at++) {
        bool starts = ((unsigned char)text.s[at] & 0xc0) != 0x80;
        if (starts && ++characters > n) break;
    }
    return str_slice(text, 0, at);
}

static struct str join(struct evaluation *e, struct flow_value list, struct str separator)
{
    struct buf out = buf_in(e->arena);
    bool       first = true;
    if (list.kind != FLOW_JSON || !json_is_array(list.json)) return flow_value_text(e->arena, list);
    for (struct json_iter it = json_iter(list.json); json_step(&it) && ++e->steps < EXPRESSION_STEPS; first = false) {
        if (!first) buf_str_add(&out, separator);
        buf_str_add(&out, flow_value_text(e->arena, flow_value_of(it.value)));
    }
    return buf_str(&out);
}

static struct flow_value to_time(struct flow_value value)
{
    enum { SECONDS_BELOW = 100000000000 / 1000 }; /* a number under 1e11 counts seconds until the year 5138 */
    int64_t ms, number;
    if (value.kind == FLOW_TIME) return value;
    if (value.kind == FLOW_TEXT && time_parse(value.text, &ms))
        return (struct flow_value){.kind = FLOW_TIME, .number = (double)ms};
    if (value.kind == FLOW_TEXT && str_to_int(value.text, &number))
        value = (struct flow_value){.kind = FLOW_NUMBER, .number = (double)number};
    if (value.kind != FLOW_NUMBER || !(fabs(value.number) < 2.5e14)) return null_value;
    bool seconds = fabs(value.number) < (double)SECONDS_BELOW * 1000;
    return (struct flow_value){.kind = FLOW_TIME, .number = floor(value.number * (seconds ? 1000 : 1))};
}

static struct flow_value on_text(struct evaluation *e, struct flow_value value,
                                 struct str (*fn)(struct arena *, struct str))
{
    return value.kind == FLOW_NULL ? null_value : text_value(fn(e->arena, flow_value_text(e->arena, value)));
}

static struct flow_value call(struct evaluation *e, const struct flow_expression *x)
{
    struct flow_value first = evaluate(e, x->operands[0]), second;
    switch (x->call) {
    case CALL_HAS: return truth_value(first.kind != FLOW_NULL);
    case CALL_IF: return evaluate(e, x->operands[flow_value_true(first) ? 1 : 2]);
    case CALL_LOWER: return on_text(e, first, str_lower);
    case CALL_SLUG: return on_text(e, first, slug);
    case CALL_WORDS: return on_text(e, first, words);
    case CALL_CUT:
        second = evaluate(e, x->operands[1]);
        if (first.kind == FLOW_NULL || second.kind != FLOW_NUMBER) return null_value;
        return text_value(cut(flow_value_text(e->arena, first), second.number));
    case CALL_JOIN:
        second = x->operand_count == 2 ? evaluate(e, x->operands[1]) : text_value(STR(", "));
        return first.kind == FLOW_NULL ? null_value : text_value(join(e, first, flow_value_text(e->arena, second)));
    case CALL_TIME: return to_time(first);
    case CALL_COUNT: break;
    }
    return null_value;
}

static struct flow_value evaluate_two(struct evaluation *e, const struct flow_expression *x)
{
    struct flow_value a = evaluate(e, x->operands[0]);
    if (x->kind == NODE_AND && !flow_value_true(a)) return truth_value(false);
    if (x->kind == NODE_OR && flow_value_true(a)) return truth_value(true);
    if (x->kind == NODE_FIRST && !is_empty(a)) return a;
    struct flow_value b = evaluate(e, x->operands[1]);
    int               order = compare(a, b);
    switch (x->kind) {
    case NODE_AND:
    case NODE_OR: return truth_value(flow_value_true(b));
    case NODE_FIRST: return b;
    case NODE_ADD: return add(e, a, b);
    case NODE_EQUAL: return truth_value(values_equal(e, a, b));
    case NODE_UNEQUAL: return truth_value(!values_equal(e, a, b));
    case NODE_LESS: return truth_value(order == -1);
    case NODE_GREATER: return truth_value(order == 1);
    case NODE_AT_MOST: return truth_value(order == -1 || order == 0);
    case NODE_AT_LEAST: return truth_value(order == 1 || order == 0);
    case NODE_IN: return truth_value(contains(e, b, a));
    default: return null_value;
    }
}

static struct flow_value evaluate(struct evaluation *e, const struct flow_expression *x)
{
    if (++e->steps > EXPRESSION_STEPS) return null_value;
    switch (x->kind) {
    case NODE_LITERAL: return x->literal;
    case NODE_PATH: return evaluate_path(e, x);
    case NODE_NOT: return truth_value(!flow_value_true(evaluate(e, x->operands[0])));
    case NODE_CALL: return call(e, x);
    default: return evaluate_two(e, x);
    }
}

struct flow_value flow_evaluate(struct arena *arena, const struct flow_expression *expression,
                                const struct flow_root *roots, size_t n)
{
    struct evaluation e = {.arena = arena, .roots = roots, .root_count = n};
    struct flow_value value = evaluate(&e, expression);
    return e.steps > EXPRESSION_STEPS ? null_value : value;
}
