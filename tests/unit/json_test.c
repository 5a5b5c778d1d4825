#include "check.h"

#include "json/json.h"

static const json_value *parse(struct arena *arena, const char *text)
{
    const json_value *root;
    check_ok(json_parse(arena, str_of(text), &root));
    return root;
}

TEST(json, values_are_found_by_path)
{
    const json_value *root = parse(arena, "{\"a\":{\"b\":[1,{\"c\":\"x\"}]},\"t\":true,\"f\":2.5}");
    check_str(json_str(root, "a.b.1.c"), "x");
    check_int(json_int(root, "a.b.0", -1), 1);
    check_int(json_int(root, "a.b.7", -1), -1);
    check(json_bool(root, "t", false));
    check_near(json_real(root, "f", 0), 2.5, 0);
    check(json_get(root, "a.x.y") == NULL);
    check(json_str(root, "t").s == NULL);
}

TEST(json, iteration_meets_every_member)
{
    const json_value *root = parse(arena, "{\"a\":1,\"b\":[10,20],\"c\":null}");
    struct buf seen = buf_in(arena);
    for (struct json_iter it = json_iter(root); json_step(&it);) {
        buf_str_add(&seen, it.key);
        for (struct json_iter inner = json_iter(it.value); json_step(&inner);)
            buf_printf(&seen, "%lld", (long long)json_int(inner.value, "", 0));
    }
    check_str(buf_str(&seen), "ab1020c");
}

TEST(json, malformed_text_is_refused)
{
    static const char *const wrong[] = {"", "{", "{\"a\":}", "[1,]", "nul", "\"\xff\"", "{} x", "'a'", "01"};
    const json_value *root;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check_err(json_parse(arena, str_of(wrong[i]), &root), ERR_INVALID);
}

TEST(json, nul_is_left_out)
{
    const json_value *root;
    check_ok(json_parse(arena, STR("{\"a\\u0000b\":\"\\u0000x\\\\u0000\\\\\\u0000u0000y\\u0000\\n\"}"), &root));
    check_str(json_str(root, "ab"), "x\\u0000\\u0000y\n");
    check_err(json_parse(arena, STR("\"\\u00\\u000000\""), &root), ERR_INVALID);
}

TEST(json, deep_nesting_is_refused)
{
    struct buf deep = buf_in(arena);
    for (int i = 0; i < 100000; i++) buf_char(&deep, '[');
    const json_value *root;
    for (int i = 0; i < 100000; i++) buf_char(&deep, ']');
    check_err(json_parse(arena, buf_str(&deep), &root), ERR_INVALID);
    check_err(json_parse(arena, STR("[[[[[[[[[["), &root), ERR_INVALID);
    struct buf legal = buf_in(arena), wide = buf_in(arena), over = buf_in(arena);
    for (int i = 0; i < JSON_MAX_DEPTH; i++) buf_char(&legal, '[');
    for (int i = 0; i < JSON_MAX_DEPTH; i++) buf_char(&legal, ']');
    check_ok(json_parse(arena, buf_str(&legal), &root));
    for (int i = 0; i < 10000; i++) buf_printf(&wide, "%s", i ? ",[1,{\"a\":[]}]" : "[[]"); /* many, not deep */
    buf_char(&wide, ']');
    check_ok(json_parse(arena, buf_str(&wide), &root));
    buf_printf(&over, "[1,");
    buf_bytes(&over, buf_str(&legal).s, buf_str(&legal).n);
    buf_printf(&over, ",2]");
    check_err(json_parse(arena, buf_str(&over), &root), ERR_INVALID);
}

TEST(json, writing_separates_and_escapes)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    json_put(&out, "n", (int64_t)-3);
    json_put(&out, "r", 0.12345678);
    json_put(&out, "whole", 2.0);
    json_put(&out, "s", STR("a\"\\\n\x01\xff"));
    json_put(&out, "z", (const char *)NULL);
    json_begin(&out, "l", '[');
    json_put_bool(&out, NULL, true);
    json_put(&out, NULL, STR(""));
    json_end(&out);
    json_begin(&out, "e", '{');
    json_end(&out);
    json_put_time(&out, "at", 1);
    json_end(&out);
    check_str(json_out_text(&out),
              "{\"n\":-3,\"r\":0.1235,\"whole\":2,\"s\":\"a\\\"\\\\\\n\\u0001\xef\xbf\xbd\",\"z\":null,\"l\":[true,\"\"],\"e\":{},"
              "\"at\":\"1970-01-01T00:00:00.001Z\"}");
}

TEST(json, a_text_that_is_missing_can_be_written_as_null_or_as_empty)
{
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '[');
    json_put_or_null(&out, NULL, STR(""));
    json_put_or_null(&out, NULL, (struct str){0});
    json_put_or_null(&out, NULL, STR("a"));
    json_put_or_empty(&out, NULL, (struct str){0});
    json_put_or_empty(&out, NULL, STR("a"));
    json_end(&out);
    check_str(json_out_text(&out), "[null,null,\"a\",\"\",\"a\"]");
}

TEST(json, texts_are_written_as_an_array)
{
    struct json_out  out = json_out(arena);
    const struct str texts[] = {STR("a"), STR("\""), STR("")};
    json_begin(&out, NULL, '{');
    json_put_texts(&out, "some", texts, 3);
    json_put_texts(&out, "none", NULL, 0);
    json_end(&out);
    check_str(json_out_text(&out), "{\"some\":[\"a\",\"\\\"\",\"\"],\"none\":[]}");
}

TEST(json, a_written_value_reads_back_equal)
{
    const char *text = "{\"a\":[1,-2,3.5,\"\\u00fc\\ud83d\\ude00\"],\"b\":{\"c\":false}}";
    struct str once = json_text(arena, parse(arena, text));
    check(str_eq(json_text(arena, parse(arena, once.s)), once));
    check(str_eq(json_text(arena, parse(arena, json_text_indented(arena, parse(arena, text)).s)), once));
}

TEST(yaml, becomes_the_same_values)
{
    const json_value *root;
    check_ok(json_parse_yaml(arena, STR("a: 1\nb: [x, 'true', true, ~]\nc:\n  d: |\n    two\n    lines\n  e: \"1\"\n"), &root));
    check_str(json_text(arena, root), "{\"a\":1,\"b\":[\"x\",\"true\",true,null],\"c\":{\"d\":\"two\\nlines\\n\",\"e\":\"1\"}}");
}

TEST(yaml, of_nothing_is_null)
{
    const json_value *root;
    check_ok(json_parse_yaml(arena, STR("# only a comment\n"), &root));
    check(json_is_null(root));
}

TEST(yaml, refuses_aliases_second_documents_and_errors)
{
    static const char *const wrong[] = {"a: &x 1\nb: *x\n", "a: 1\n---\nb: 2\n", "a: [1\n", "? [a]\n: 1\n", "\xff", "a: 1\n b: 2\n"};
    const json_value *root;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        check_err(json_parse_yaml(arena, str_of(wrong[i]), &root), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(json, values_are_found_by_path),
        RUN(json, iteration_meets_every_member),
        RUN(json, malformed_text_is_refused),
        RUN(json, nul_is_left_out),
        RUN(json, deep_nesting_is_refused),
        RUN(json, writing_separates_and_escapes),
        RUN(json, a_text_that_is_missing_can_be_written_as_null_or_as_empty),
        RUN(json, texts_are_written_as_an_array),
        RUN(json, a_written_value_reads_back_equal),
        RUN(yaml, becomes_the_same_values),
        RUN(yaml, of_nothing_is_null),
        RUN(yaml, refuses_aliases_second_documents_and_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
