/* expression.c - the text of an expression becomes a tree; what it means is in evaluate.c. */
#include "flow/expression.h"

#include <stdlib.h>

struct reader {
    struct arena *arena;
    struct str    text;
    size_t        at;
    int           depth;
};

typedef const struct flow_expression node;

static struct err *read_choice(struct reader *r, node **out);

static struct err *fail(struct reader *r, const char *what)
{
    return err_new(r->arena, ERR_INVALID, "%s at position %zu of the expression", what, r->at + 1);
}

static char peek(const struct reader *r, size_t ahead)
{
    return r->at + ahead < r->text.n ? r->text.s[r->at + ahead] : 0;
}

static void skip_space(struct reader *r)
{
    while (peek(r, 0) == ' ' || peek(r, 0) == '\t' || peek(r, 0) == '\n' || peek(r, 0) == '\r') r->at++;
}

static bool accept(struct reader *r, const char *sign)
{
    skip_space(r);
    if (!str_starts(str_skip(r->text, r->at), str_of(sign))) return false;
    r->at += strlen(sign);
    return true;
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static struct str read_name(struct reader *r)
{
    size_t from = r->at;
    while (is_letter(peek(r, 0)) || is_digit(peek(r, 0))) r->at++;
    return str_slice(r->text, from, r->at);
}

static struct err *read_string(struct reader *r, struct str *value)
{
    char       quote = peek(r, 0);
    struct buf out = buf_in(r->arena);
    for (r->at++; peek(r, 0) != quote; r->at++) {
        if (r->at >= r->text.n) return fail(r, "missing quote");
        if (peek(r, 0) == '\\') r->at++;
        if (r->at >= r->text.n) return fail(r, "missing quote");
        buf_char(&out, peek(r, 0) == 'n' && r->text.s[r->at - 1] == '\\' ? '\n' : peek(r, 0));
    }
    r->at++;
    *value = buf_str(&out);
    return NULL;
}

static struct flow_expression *new_node(struct reader *r, enum node_kind kind)
{
    struct flow_expression *made = NEW(r->arena, struct flow_expression);
    made->kind = kind;
    return made;
}

static node *join_nodes(struct reader *r, enum node_kind kind, node *left, node *right)
{
    struct flow_expression *made = new_node(r, kind);
    made->operands[made->operand_count++] = left;
    if (right) made->operands[made->operand_count++] = right;
    return made;
}

static node *literal(struct reader *r, struct flow_value value)
{
    struct flow_expression *made = new_node(r, NODE_LITERAL);
    made->literal = value;
    return made;
}

static struct err *read_number(struct reader *r, node **out)
{
    const char *start = str_z(r->arena, str_skip(r->text, r->at));
    char       *end;
    double      value = strtod(start, &end);
    if (end == start) return fail(r, "a number is expected");
    r->at += (size_t)(end - start);
    *out = literal(r, (struct flow_value){.kind = FLOW_NUMBER, .number = value});
    return NULL;
}

static struct err *read_position(struct reader *r, struct path_part *part)
{
    skip_space(r);
    if (peek(r, 0) == '"' || peek(r, 0) == '\'') {
        TRY(read_string(r, &part->key));
    } else {
        int64_t position;
        size_t  from = r->at;
        while (is_digit(peek(r, 0))) r->at++;
        if (!str_to_int(str_slice(r->text, from, r->at), &position)) return fail(r, "a position or text is expected");
        part->position = (size_t)position;
    }
    return accept(r, "]") ? NULL : fail(r, "] is expected");
}

static struct err *read_path(struct reader *r, struct str first, node **out)
{
    VEC(struct path_part) parts = {0};
    VEC_PUSH(r->arena, &parts)->key = first;
    for (;;) {
        if (peek(r, 0) == '.') {
            r->at++;
            struct str name = read_name(r);
            if (!name.n) return fail(r, "a name is expected");
            VEC_PUSH(r->arena, &parts)->key = name;
        } else if (peek(r, 0) == '[') {
            r->at++;
            TRY(read_position(r, VEC_PUSH(r->arena, &parts)));
        } else {
            break;
        }
    }
    struct flow_expression *path = new_node(r, NODE_PATH);
    path->parts = parts.at;
    path->part_count = parts.n;
    *out = path;
    return NULL;
}

// clang-format off
static const struct { const char *name; size_t at_least, at_most; } calls[CALL_COUNT] = {
    [CALL_HAS]   = {"has",   1, 1},
    [CALL_IF]    = {"if",    3, 3},
    [CALL_LOWER] = {"lower", 1, 1},
    [CALL_SLUG]  = {"slug",  1, 1},
    [CALL_WORDS] = {"words", 1, 1},
    [CALL_CUT]   = {"cut",   2, 2},
    [CALL_JOIN]  = {"join",  1, 2},
    [CALL_TIME]  = {"time",  1, 1},
};
// clang-format on

static struct err *read_call(struct reader *r, struct str name, node **out)
{
    struct flow_expression *made = new_node(r, NODE_CALL);
    while (made->call < CALL_COUNT && !str_eq(name, str_of(calls[made->call].name))) made->call++;
    if (made->call == CALL_COUNT) return fail(r, "an unknown function is called");
    if (!accept(r, ")")) {
        do {
            if (made->operand_count == 3) return fail(r, "too many arguments");
            TRY(read_choice(r, &made->operands[made->operand_count++]));
        } while (accept(r, ","));
        if (!accept(r, ")")) return fail(r, ") is expected");
    }
    if (made->operand_count < calls[made->call].at_least || made->operand_count > calls[made->call].at_most)
        return fail(r, "wrong number of arguments");
    *out = made;
    return NULL;
}

static struct err *read_named(struct reader *r, node **out)
{
    struct str name = read_name(r);
    if (peek(r, 0) == '(') {
        r->at++;
        return read_call(r, name, out);
    }
    struct flow_value constant = {.kind = FLOW_BOOL, .truth = str_eq(name, STR("true"))};
    if (str_eq(name, STR("null"))) constant.kind = FLOW_NULL;
    if (constant.truth || constant.kind == FLOW_NULL || str_eq(name, STR("false"))) {
        *out = literal(r, constant);
        return NULL;
    }
    return read_path(r, name, out);
}

static struct err *read_plain(struct reader *r, node **out)
{
    skip_space(r);
    char c = peek(r, 0);
    if (c == '(') {
        r->at++;
        TRY(read_choice(r, out));
        return accept(r, ")") ? NULL : fail(r, ") is expected");
    }
    if (c == '"' || c == '\'') {
        struct flow_value value = {.kind = FLOW_TEXT};
        TRY(read_string(r, &value.text));
        *out = literal(r, value);
        return NULL;
    }
    if (is_digit(c) || (c == '-' && is_digit(peek(r, 1)))) return read_number(r, out);
    if (is_letter(c)) return read_named(r, out);
    return fail(r, "a value is expected");
}

static struct err *read_not(struct reader *r, node **out)
{
    skip_space(r);
    if (peek(r, 0) != '!' || peek(r, 1) == '=') return read_plain(r, out);
    if (++r->depth > EXPRESSION_DEPTH) return fail(r, "too deep");
    r->at++;
    TRY(read_not(r, out));
    r->depth--;
    *out = join_nodes(r, NODE_NOT, *out, NULL);
    return NULL;
}

static struct err *read_sum(struct reader *r, node **out)
{
    TRY(read_not(r, out));
    while (accept(r, "+")) {
        node *right;
        TRY(read_not(r, &right));
        *out = join_nodes(r, NODE_ADD, *out, right);
    }
    return NULL;
}

static bool accept_in(struct reader *r)
{
    size_t before = r->at;
    if (!accept(r, "in")) return false;
    if (!is_letter(peek(r, 0)) && !is_digit(peek(r, 0))) return true;
    r->at = before;
    return false;
}

static bool accept_comparison(struct reader *r, enum node_kind *kind)
{
    static const struct { const char *sign; enum node_kind kind; } signs[] = {
        {"==", NODE_EQUAL}, {"!=", NODE_UNEQUAL}, {"<=", NODE_AT_MOST}, {">=", NODE_AT_LEAST},
        {"<", NODE_LESS},   {">", NODE_GREATER},
    };
    *kind = NODE_IN;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (!accept(r, signs[i].sign)) continue;
        *kind = signs[i].kind;
        return true;
    }
    return accept_in(r);
}

static struct err *read_comparison(struct reader *r, node **out)
{
    enum node_kind kind;
    TRY(read_sum(r, out));
    if (!accept_comparison(r, &kind)) return NULL;
    node *right;
    TRY(read_sum(r, &right));
    *out = join_nodes(r, kind, *out, right);
    return NULL;
}

static struct err *read_row(struct reader *r, const char *sign, enum node_kind kind,
                            struct err *(*operand)(struct reader *, node **), node **out)
{
    TRY(operand(r, out));
    while (accept(r, sign)) {
        node *right;
        TRY(operand(r, &right));
        *out = join_nodes(r, kind, *out, right);
    }
    return NULL;
}

static struct err *read_and(struct reader *r, node **out)
{
    return read_row(r, "&&", NODE_AND, read_comparison, out);
}

static struct err *read_or(struct reader *r, node **out)
{
    return read_row(r, "||", NODE_OR, read_and, out);
}

static struct err *read_choice(struct reader *r, node **out)
{
    if (++r->depth > EXPRESSION_DEPTH) return fail(r, "too deep");
    TRY(read_row(r, "??", NODE_FIRST, read_or, out));
    r->depth--;
    return NULL;
}

struct err *flow_expression_parse(struct arena *arena, struct str text, const struct flow_expression **parsed)
{
    struct reader r = {.arena = arena, .text = text};
    if (text.n > EXPRESSION_CHARS)
        return err_new(arena, ERR_INVALID, "an expression has at most %d characters", EXPRESSION_CHARS);
    TRY(read_choice(&r, parsed));
    skip_space(&r);
    return r.at == text.n ? NULL : fail(&r, "the end is expected");
}
