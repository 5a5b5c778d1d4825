/* embed_http_test.c - vectors that a service gives over HTTP. */
#include "http_script.h"

#include "base/time.h"
#include "embed/parts.h"
#include "net/net.h"

/* {"data":[{"index":1,...},{"index":0,...}]}: out of order, as the API allows */
#define TWO_VECTORS OK_JSON("77") "{\"data\":[{\"index\":1,\"embedding\":[0,1,0]},{\"index\":0,\"embedding\":[1,0,0.5]}]} "

static struct embed *remote(struct arena *arena, const char *base, int dim)
{
    struct embed *embed;
    struct embed_config config = {.provider = STR("openai"), .base_url = str_of(base), .api_key = STR("sk-secret-key"),
                                  .model = STR("small"), .dim = dim};
    check_ok(embed_create(arena, config, &embed));
    return embed;
}

static const struct str two_texts[] = {{"first", 5}, {"second \"quoted\"", 15}};

TEST(http, vectors_are_asked_for_and_read)
{
    static struct script script = {.replies = {TWO_VECTORS}};
    script_start(&script);
    struct embed       *embed = remote(arena, script.address, 0);
    struct embed_vector v[2];
    check(!embed_inline(embed));
    check_int(embed_dim(embed), 0);
    check_ok(embed_texts(embed, arena, false, two_texts, 2, v));
    check_int(embed_dim(embed), 3);
    check_int(v[0].x[0], 127);
    check_int(v[0].x[2], 64);
    check_int(v[1].x[1], 127);
    check(strstr(script.last, "POST /v1/embeddings HTTP/1.1\r\n"));
    check(strstr(script.last, "Authorization: Bearer sk-secret-key\r\n"));
    check(strstr(script.last, "{\"model\":\"small\",\"input\":[\"first\",\"second \\\"quoted\\\"\"]}"));
    embed_destroy(embed);
    script_stop(&script);
}

TEST(http, base_address_may_end_in_v1)
{
    static struct script script = {.replies = {TWO_VECTORS}};
    script_start(&script);
    struct embed       *embed = remote(arena, str_printf(arena, "%s/v1/", script.address).s, 0);
    struct embed_vector v[2];
    check_ok(embed_texts(embed, arena, false, two_texts, 2, v));
    check(strstr(script.last, "POST /v1/embeddings HTTP/1.1\r\n"));
    embed_destroy(embed);
    script_stop(&script);
}

TEST(http, a_wanted_dimension_is_asked_for_and_is_part_of_the_name)
{
    static struct script script = {.replies = {TWO_VECTORS}};
    script_start(&script);
    struct embed       *embed = remote(arena, script.address, 3);
    struct embed_vector v[2];
    check_str(embed_model(embed), "small@3");
    check_ok(embed_texts(embed, arena, false, two_texts, 2, v));
    check(strstr(script.last, "\"dimensions\":3"));
    embed_destroy(embed);
    script_stop(&script);
}

TEST(http, an_item_is_one_call)
{
    static struct script script = {.replies = {TWO_VECTORS}};
    script_start(&script);
    struct embed      *embed = remote(arena, script.address, 0);
    struct embed_views views;
    check_ok(embed_item(embed, arena, STR("Title"), STR("Body"), &views));
    check_int(script.requests, 1);
    check(strstr(script.last, "\"input\":[\"Title\",\"Title\\nBody\"]"));
    check_int(views.n, 2);
    check_int(views.full, 1);
    embed_destroy(embed);
    script_stop(&script);
}

TEST(http, empty_texts_are_not_sent)
{
    static struct script script = {.replies = {STATUS("500 Oops")}};
    script_start(&script);
    struct embed       *embed = remote(arena, script.address, 0);
    struct embed_vector v[2];
    check_ok(embed_texts(embed, arena, false, (struct str[]){STR(""), STR(" \n")}, 2, v));
    check(v[0].x == NULL && v[1].x == NULL);
    check_int(script.requests, 0);
    embed_destroy(embed);
    script_stop(&script);
}

static struct err *ask_twice(struct arena *arena, struct script *script, struct embed_vector *v)
{
    script_start(script);
    struct embed *embed = remote(arena, script->address, 0);
    struct err   *failed = embed_texts(embed, arena, false, two_texts, 2, v);
    embed_destroy(embed);
    script_stop(script);
    return failed;
}

TEST(http, a_busy_service_is_asked_once_more)
{
    static struct script script = {.replies = {STATUS("503 Busy"), TWO_VECTORS}};
    struct embed_vector v[2];
    check_ok(ask_twice(arena, &script, v));
    check_int(script.requests, 2);
}

TEST(http, a_service_that_stays_busy_is_unavailable)
{
    static struct script script = {.replies = {STATUS("429 Slow down")}};
    struct embed_vector v[2];
    check_err(ask_twice(arena, &script, v), ERR_UNAVAILABLE);
    check_int(script.requests, 2);
}

TEST(http, a_wait_longer_than_the_budget_is_not_waited)
{
    static struct script script = {.replies = {"HTTP/1.1 429 Slow down\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n"}};
    struct embed_vector v[2];
    check_err(ask_twice(arena, &script, v), ERR_UNAVAILABLE);
    check_int(script.requests, 1);
}

TEST(http, a_refusal_is_permanent_and_never_shows_the_key)
{
    static struct script script = {
        .replies = {"HTTP/1.1 401 Unauthorized\r\nContent-Length: 28\r\n\r\nIncorrect key: sk-secret-key"}};
    struct embed_vector v[2];
    struct err *failed = ask_twice(arena, &script, v);
    check_err(failed, ERR_INVALID);
    check_int(script.requests, 1);
    check(!mentions(err_text(arena, failed), "secret"));
}

TEST(http, answers_are_checked)
{
    static struct script scripts[] = {
        {.replies = {OK_JSON("9") "not json!"}},
        {.replies = {OK_JSON("11") "{\"data\":[]}"}},
        {.replies = {OK_JSON("54") "{\"data\":[{\"embedding\":[1]},{\"embedding\":[\"x\"]}],\"a\":1}"}},
        {.replies = {OK_JSON("69") "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":0,\"embedding\":[1]}]}   "}},
        {.replies = {OK_JSON("45") "{\"data\":[{\"embedding\":[]},{\"embedding\":[1]}]}"}},
    };
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct embed_vector v[2];
        check_err(ask_twice(arena, &scripts[i], v), ERR_UNAVAILABLE);
    }
}

TEST(http, another_dimension_than_before_is_refused)
{
    static struct script script = {.replies = {TWO_VECTORS, OK_JSON("46") "{\"data\":[{\"embedding\":[1]},{\"embedding\":[1]}]}"}};
    script_start(&script);
    struct embed       *embed = remote(arena, script.address, 0);
    struct embed_vector v[2];
    check_ok(embed_texts(embed, arena, false, two_texts, 2, v));
    check_err(embed_texts(embed, arena, false, two_texts, 2, v), ERR_INVALID);
    embed_destroy(embed);
    script_stop(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(http, vectors_are_asked_for_and_read),
        RUN(http, base_address_may_end_in_v1),
        RUN(http, a_wanted_dimension_is_asked_for_and_is_part_of_the_name),
        RUN(http, an_item_is_one_call),
        RUN(http, empty_texts_are_not_sent),
        RUN(http, a_busy_service_is_asked_once_more),
        RUN(http, a_service_that_stays_busy_is_unavailable),
        RUN(http, a_wait_longer_than_the_budget_is_not_waited),
        RUN(http, a_refusal_is_permanent_and_never_shows_the_key),
        RUN(http, answers_are_checked),
        RUN(http, another_dimension_than_before_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
