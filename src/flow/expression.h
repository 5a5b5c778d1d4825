/* expression.h - inside of flow/: the tree that expression.c makes and evaluate.c walks. */
#pragma once
#include "flow/flow.h"

enum node_kind {
    NODE_LITERAL, NODE_PATH, NODE_ADD, NODE_EQUAL, NODE_UNEQUAL, NODE_LESS, NODE_GREATER, NODE_AT_MOST, NODE_AT_LEAST,
    NODE_AND, NODE_OR, NODE_NOT, NODE_IN, NODE_FIRST, NODE_CALL,
};
enum call { CALL_HAS, CALL_IF, CALL_LOWER, CALL_SLUG, CALL_WORDS, CALL_CUT, CALL_JOIN, CALL_TIME, CALL_COUNT };

enum { EXPRESSION_CHARS = 1000, EXPRESSION_STEPS = 10000, EXPRESSION_DEPTH = 64 };

struct path_part {
    struct str key; /* key.s == NULL: position */
    size_t     position;
};

struct flow_expression {
    enum node_kind    kind;
    enum call         call;
    struct flow_value literal;
    struct path_part *parts; /* of a path */
    size_t            part_count;
    const struct flow_expression *operands[3];
    size_t            operand_count;
};
