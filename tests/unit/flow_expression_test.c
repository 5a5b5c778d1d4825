/* Expressions and schedules. */
#include "check.h"

#include "base/time.h"
#include "flow/flow.h"

static struct flow_value value_of(struct arena *arena, const char *text)
{
    static const char *const document =
        "{\"a\":{\"b\":\"x\",\"c d\":[1,2,\"three\"]},\"n\":5,\"empty\":\"\",\"none\":null,\"list\":[\"p\",\"q\"],"
        "\"yes\":true,\"name\":\"deploy_to-prod.now\",\"at\":\"2024-01-01T12:00:00Z\"}";
    const struct flow_expression *parsed;
    const json_value             *json, *other;
    check_ok(json_parse(arena, str_of(document), &json));
    check_ok(json_parse(arena, STR("{\"n\":7}"), &other));
    const struct flow_root roots[] = {
        {"", flow_value_of(json)}, {"event.data", flow_value_of(json)}, {"async.data", flow_value_of(other)}};
    check_ok(flow_expression_parse(arena, str_of(text), &parsed));
    return flow_evaluate(arena, parsed, roots, 3);
}

static void check_values(struct arena *arena, const char *const (*pairs)[2], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct str text = flow_value_text(arena, value_of(arena, pairs[i][0]));
        if (!str_eq(text, str_of(pairs[i][1])) || (text.s == NULL) != (pairs[i][1] == NULL))
            fail_msg("%s is \"" STR_FMT "\", expected \"%s\"", pairs[i][0], STR_ARG(text),
                     pairs[i][1] ? pairs[i][1] : "(null)");
    }
}
#define CHECK_VALUES(...)                                                                                              \
    check_values(arena, (const char *const[][2]){__VA_ARGS__},                                                         \
                 sizeof((const char *const[][2]){__VA_ARGS__}) / sizeof(char *[2]))

TEST(expression, paths_go_through_objects_and_lists)
{
    CHECK_VALUES({"a.b", "x"}, {"event.data.a.b", "x"}, {"a[\"c d\"][1]", "2"}, {"a['c d'][2]", "three"},
                 {"async.data.n", "7"}, {"list[9]", NULL}, {"a.missing.deeper", NULL}, {"event.other", NULL},
                 {"n.x", NULL}, {"a", "{\"b\":\"x\",\"c d\":[1,2,\"three\"]}"});
}

TEST(expression, operators_have_their_usual_order)
{
    CHECK_VALUES({"1 + 2 == 3", "true"}, {"'a' + 1 + 'b'", "a1b"}, {"n > 4 && n < 6 || false", "true"},
                 {"!(n == 5)", "false"}, {"n != 5 || !yes", "false"}, {"'b' > 'a'", "true"},
                 {"n >= 5 && n <= 5", "true"}, {"n > 'a'", "false"}, {"'p' in list", "true"}, {"'z' in list", "false"},
                 {"'b' in a", "true"}, {"'plo' in name", "true"}, {"empty ?? none ?? 'third'", "third"},
                 {"n + none", NULL}, {"none == missing", "true"}, {"-1 < 0", "true"});
}

TEST(expression, functions_do_what_they_say)
{
    CHECK_VALUES({"has(a.b)", "true"}, {"has(none)", "false"}, {"if(n > 1, 'more', 'less')", "more"},
                 {"lower('ABC')", "abc"}, {"slug('  Hello, World! 2')", "hello-world-2"},
                 {"words(name)", "Deploy To Prod Now"}, {"cut('h\xc3\xa9llo', 2)", "h\xc3\xa9"},
                 {"join(list, '-')", "p-q"}, {"join(list)", "p, q"}, {"time(at)", "2024-01-01T12:00:00.000Z"},
                 {"time(1704110400)", "2024-01-01T12:00:00.000Z"}, {"time(1704110400000)", "2024-01-01T12:00:00.000Z"},
                 {"time('soon')", NULL}, {"lower(missing)", NULL});
}

TEST(expression, what_is_wrong_is_refused_with_its_position)
{
    static const char *const bad[] = {"",           "a.",    "a ==",  "(a",   "a[",  "a[x]", "'open", "a b",
                                      "nothere(1)", "if(1)", "has()", "a[\"", "1 +", "&& a", "\\"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct flow_expression *parsed;
        struct err *err = flow_expression_parse(arena, str_of(bad[i]), &parsed);
        if (!err) fail_msg("\"%s\" was accepted", bad[i]);
        check_int(err->code, ERR_INVALID);
        check(mentions(err->message, "position"));
    }
}

TEST(expression, length_depth_and_work_are_bounded)
{
    const struct flow_expression *parsed;
    char text[1200];
    memset(text, '(', sizeof text);
    check_err(flow_expression_parse(arena, (struct str){text, 1001}, &parsed), ERR_INVALID);
    check_err(flow_expression_parse(arena, (struct str){text, 900}, &parsed), ERR_INVALID);
    memset(text, '!', sizeof text);
    check_err(flow_expression_parse(arena, (struct str){text, 900}, &parsed), ERR_INVALID);
    struct buf list = buf_in(arena);
    const json_value *json;
    buf_lit(&list, "{\"list\":[0");
    for (int i = 0; i < 20000; i++) buf_lit(&list, ",0");
    buf_lit(&list, "]}");
    check_ok(json_parse(arena, buf_str(&list), &json));
    check_ok(flow_expression_parse(arena, STR("!(1 in list)"), &parsed));
    check_int(flow_evaluate(arena, parsed, &(struct flow_root){"", flow_value_of(json)}, 1).kind, FLOW_NULL);
}

/* ---- schedules --------------------------------------------------------------------------------------------------- */

static void check_schedule(struct arena *arena, const char *schedule, const char *now, const char *last,
                           const char *next)
{
    int64_t at, before, after;
    check(time_parse(str_of(now), &at));
    check_ok(flow_cron_times(arena, str_of(schedule), at, &before, &after));
    check_str(str_slice(time_format(arena, before), 0, 16), last);
    check_str(str_slice(time_format(arena, after), 0, 16), next);
}

TEST(cron, last_and_next_tick_of_a_schedule)
{
    static const char *const rows[][4] = {
        {"@hourly", "2024-03-10T10:20:00Z", "2024-03-10T10:00", "2024-03-10T11:00"},
        {"@daily", "2024-03-10T00:00:00Z", "2024-03-10T00:00", "2024-03-11T00:00"},
        {"*/10 * * * *", "2024-03-10T10:59:59Z", "2024-03-10T10:50", "2024-03-10T11:00"},
        {"7/9223372036854775807 * * * *", "2024-03-10T10:20:00Z", "2024-03-10T10:07", "2024-03-10T11:07"},
        {"5/20 1-3 * * *", "2024-03-10T02:30:00Z", "2024-03-10T02:25", "2024-03-10T02:45"},
        {"0 9 * * 1-5", "2024-03-09T12:00:00Z", "2024-03-08T09:00", "2024-03-11T09:00"},
        {"0 0 * * 7", "2024-03-09T12:00:00Z", "2024-03-03T00:00", "2024-03-10T00:00"},
        {"0 0 29 2 *", "2023-03-09T12:00:00Z", "2020-02-29T00:00", "2024-02-29T00:00"},
        {"0 0 13 * 5", "2024-03-09T12:00:00Z", "2024-03-08T00:00", "2024-03-13T00:00"},
        {"0 0 */31 5 5", "2037-04-30T12:00:00Z", "2026-05-01T00:00", "2037-05-01T00:00"}, /* a first of May on a Friday */
        {"59 23 31 12 *", "2024-03-09T12:00:00Z", "2023-12-31T23:59", "2024-12-31T23:59"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_schedule(arena, rows[i][0], rows[i][1], rows[i][2], rows[i][3]);
}

TEST(cron, a_wrong_schedule_is_refused)
{
    static const char *const bad[] = {"",          "* * * *",    "* * * * * *", "60 * * * *",  "* 24 * * *",
                                      "* * 0 * *", "* * * 13 *", "* * * * 8",   "*/0 * * * *", "5-1 * * * *",
                                      "a * * * *", "1- * * * *", "@weekly",     "1,,2 * * * *"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t     last, next;
        struct err *err = flow_cron_times(arena, str_of(bad[i]), 0, &last, &next);
        if (!err || err->code != ERR_INVALID) fail_msg("\"%s\" was accepted", bad[i]);
    }
    check_err(flow_cron_times(arena, STR("0 0 31 2 *"), 0, &(int64_t){0}, &(int64_t){0}), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(expression, paths_go_through_objects_and_lists),
        RUN(expression, operators_have_their_usual_order),
        RUN(expression, functions_do_what_they_say),
        RUN(expression, what_is_wrong_is_refused_with_its_position),
        RUN(expression, length_depth_and_work_are_bounded),
        RUN(cron, last_and_next_tick_of_a_schedule),
        RUN(cron, a_wrong_schedule_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
