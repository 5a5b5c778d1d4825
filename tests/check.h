/* check.h - what every unit test includes: cmocka, an arena per test, checks that print values. */
#pragma once
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka wants the four above first */
#include <cmocka.h>

/* TEST(room, one_behaviour) { ... arena ... } and RUN(room, one_behaviour) in main's list. */
#define TEST(room, name)                                      \
    static void room##_##name##_body(struct arena *arena);    \
    static void room##_##name(void **state)                   \
    {                                                         \
        (void)state;                                          \
        struct arena *arena ARENA_SCOPE = arena_create();     \
        room##_##name##_body(arena);                          \
    }                                                         \
    static void room##_##name##_body(__attribute__((unused)) struct arena *arena)
#define RUN(room, name) cmocka_unit_test(room##_##name)

/* End a test whose data is not on this machine. (cmocka's skip() jumps out and leaves the arena behind.) */
#define LEAVE(why)                            \
    do {                                      \
        print_message("left out: %s\n", why); \
        return;                               \
    } while (0)

#define check(condition) assert_true(condition)
#define check_int(actual, expected) assert_int_equal((actual), (expected))
#define check_near(actual, expected, tolerance)                                                            \
    do {                                                                                                   \
        double check_a_ = (actual), check_b_ = (expected);                                                 \
        if (!(check_a_ - check_b_ <= (tolerance) && check_b_ - check_a_ <= (tolerance)))                   \
            fail_msg("%s is %.6f, expected %.6f", #actual, check_a_, check_b_);                            \
    } while (0)
#define check_str(actual, expected)                                                                        \
    do {                                                                                                   \
        struct str check_a_ = (actual), check_b_ = str_of(expected);                                       \
        if (!str_eq(check_a_, check_b_))                                                                   \
            fail_msg("%s is \"" STR_FMT "\", expected \"" STR_FMT "\"", #actual, STR_ARG(check_a_), STR_ARG(check_b_)); \
    } while (0)
/* A call that must succeed; one that must fail with a code. */
#define check_ok(call)                                                                                     \
    do {                                                                                                   \
        struct err *check_e_ = (call);                                                                     \
        if (check_e_) {                                                                                    \
            struct arena *check_x_ = arena_create();                                                       \
            struct str check_t_ = err_text(check_x_, check_e_);                                            \
            fail_msg("%s failed: " STR_FMT, #call, STR_ARG(check_t_));                                     \
        }                                                                                                  \
    } while (0)
#define check_err(call, expected_code)                                                                     \
    do {                                                                                                   \
        struct err *check_e_ = (call);                                                                     \
        if (!check_e_) fail_msg("%s succeeded", #call);                                                    \
        check_int(check_e_->code, (expected_code));                                                        \
    } while (0)

/* ---- texts to give, and to find in others ------------------------------------------------------------------------ */

static inline struct str repeated(struct arena *arena, const char *what, size_t n)
{
    struct buf text = buf_in(arena);
    for (size_t i = 0; i < n; i++) buf_str_add(&text, str_of(what));
    return buf_str(&text);
}

static inline bool mentions(struct str text, const char *what)
{
    return str_find(text, str_of(what), 0) != SIZE_MAX;
}
