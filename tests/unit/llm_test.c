/* llm_test.c - calls to language models: requests, replies, failures, the pause after them, budgets, settings. */
#include "llm_service.h"

static const struct llm_message hello = {.text = {"Hello?", 6}};

static struct llm_call hello_call(void)
{
    return (struct llm_call){.task = LLM_SUMMARY,
                             .temperature = 0.2,
                             .instructions = STR("Be brief."),
                             .messages = &hello,
                             .message_count = 1};
}

/* One call to a service with this script; the service is stopped after it. */
struct outcome {
    struct err *err;
    struct llm_reply reply;
    struct llm_usage usage;
};
static struct outcome ask_once(struct arena *arena, struct service *service, const char *provider)
{
    service_start(service);
    struct llm *llm = client_of(arena, config_of(service, provider));
    struct llm_call call = hello_call();
    struct outcome outcome = {0};
    outcome.err = llm_ask(llm, arena, &call, &outcome.reply, &outcome.usage);
    llm_destroy(llm);
    service_stop(service);
    if (service->problem) fail_msg("the request has a wrong %s", service->problem);
    return outcome;
}

/* ---- requests and replies ---------------------------------------------------------------------------------------- */

TEST(client, anthropic_messages_are_asked_and_read)
{
    struct service service = {0};
    say(&service, 200, anthropic_reply(arena, "Hi."));
    struct outcome outcome = ask_once(arena, &service, "anthropic");
    check_ok(outcome.err);
    check_str(outcome.reply.text, "Hi.");
    check_str(outcome.reply.model, "claude-test");
    check(!outcome.reply.cut);
    const json_value *body = service.seen[0].body;
    check_str(json_str(body, "model"), "common");
    check_str(json_str(body, "system"), "Be brief.");
    check_int(json_int(body, "max_tokens", 0), 1024);
    check_near(json_real(body, "temperature", 0), 0.2, 1e-9);
    check_str(json_str(body, "messages.0.role"), "user");
    check_str(json_str(body, "messages.0.content"), "Hello?");
    service_free(&service);
}

TEST(client, openai_chat_is_asked_and_read)
{
    struct service service = {0};
    say(&service, 200, openai_reply(arena, "Hi."));
    struct outcome outcome = ask_once(arena, &service, "openai");
    check_ok(outcome.err);
    check_str(outcome.reply.text, "Hi.");
    check_str(outcome.reply.model, "gpt-test");
    const json_value *body = service.seen[0].body;
    check_str(json_str(body, "messages.0.role"), "system");
    check_str(json_str(body, "messages.0.content"), "Be brief.");
    check_str(json_str(body, "messages.1.role"), "user");
    check_int(json_int(body, "max_tokens", 0), 1024);
    service_free(&service);
}

TEST(client, a_conversation_keeps_its_order)
{
    static const struct llm_message talk[] = {
        {.text = {"Who?", 4}}, {.role = LLM_ASSISTANT, .text = {"Ada.", 4}}, {.text = {"Sure?", 5}}};
    struct service service = {0};
    say(&service, 200, anthropic_reply(arena, "Yes."));
    service_start(&service);
    struct llm *llm = client_of(arena, config_of(&service, "anthropic"));
    struct llm_call call = {.task = LLM_ANSWER, .messages = talk, .message_count = 3, .max_output_tokens = 77};
    struct llm_reply reply;
    struct llm_usage usage = {0};
    check_ok(llm_ask(llm, arena, &call, &reply, &usage));
    llm_destroy(llm);
    service_stop(&service);
    check(service.problem == NULL);
    check_str(json_str(service.seen[0].body, "messages.1.role"), "assistant");
    check_str(json_str(service.seen[0].body, "messages.2.content"), "Sure?");
    check_int(json_int(service.seen[0].body, "max_tokens", 0), 77);
    check(json_get(service.seen[0].body, "system") == NULL);
    service_free(&service);
}

TEST(client, anthropic_base_may_end_in_the_version)
{
    struct service service = {0};
    say(&service, 200, anthropic_reply(arena, "Hi."));
    service_start(&service);
    struct llm_config config = config_of(&service, "anthropic");
    config.base_url = str_printf(arena, "%s/v1/", service.address);
    struct llm *llm = client_of(arena, config);
    struct llm_call call = hello_call();
    struct llm_reply reply;
    struct llm_usage usage = {0};
    check_ok(llm_ask(llm, arena, &call, &reply, &usage));
    llm_destroy(llm);
    service_stop(&service);
    service_free(&service);
}

TEST(client, each_task_has_its_own_model_or_the_default)
{
    struct service service = {0};
    say(&service, 200, openai_reply(arena, "Hi."));
    service_start(&service);
    struct llm_config config = config_of(&service, "openai");
    config.models[LLM_RERANK] = STR("small");
    struct llm *llm = client_of(arena, config);
    struct llm_call call = hello_call();
    struct llm_reply reply;
    struct llm_usage usage = {0};
    check_ok(llm_ask(llm, arena, &call, &reply, &usage));
    call.task = LLM_RERANK;
    check_ok(llm_ask(llm, arena, &call, &reply, &usage));
    check_str(llm_model(llm, LLM_RERANK), "small");
    llm_destroy(llm);
    service_stop(&service);
    check_str(json_str(service.seen[0].body, "model"), "common");
    check_str(json_str(service.seen[1].body, "model"), "small");
    service_free(&service);
}

TEST(client, text_in_parts_is_joined_and_other_parts_are_left_out)
{
    struct service service = {0};
    say(&service, 200,
        STR("{\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\"},{\"type\":\"text\",\"text\":\"a\"},"
            "{\"type\":\"text\",\"text\":\"b\"}],\"stop_reason\":\"max_tokens\"}"));
    struct outcome outcome = ask_once(arena, &service, "anthropic");
    check_ok(outcome.err);
    check_str(outcome.reply.text, "ab");
    check_str(outcome.reply.model, "common");
    check(outcome.reply.cut);
    service_free(&service);
}

TEST(client, thinking_in_front_of_a_reply_is_not_part_of_it)
{
    static const char *const rows[][2] = {{"<think>{\"draft\":1}</think>\n\nHi.", "Hi."},
                                          {"<think>endless", "<think>endless"},
                                          {"Use <think>x</think>", "Use <think>x</think>"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct service service = {0};
        say(&service, 200, openai_reply(arena, rows[i][0]));
        struct outcome outcome = ask_once(arena, &service, "openai");
        check_ok(outcome.err);
        check_str(outcome.reply.text, rows[i][1]);
        service_free(&service);
    }
}

TEST(client, tokens_are_counted_and_priced)
{
    struct service service = {0};
    say(&service, 200, anthropic_reply(arena, "Hi."));
    struct outcome outcome = ask_once(arena, &service, "anthropic");
    check_int(outcome.usage.input_tokens, 120);
    check_int(outcome.usage.output_tokens, 10);
    check_near(outcome.usage.cost, (120 * 3 + 10 * 15) / 1e6, 1e-12);
    service_free(&service);
}

TEST(client, absurd_token_counts_do_not_overflow)
{
    struct service service = {0};
    say(&service, 200,
        STR("{\"content\":[{\"type\":\"text\",\"text\":\"a\"}],\"usage\":{\"input_tokens\":-5,"
            "\"cache_read_input_tokens\":9223372036854775807,\"output_tokens\":\"many\"}}"));
    struct outcome outcome = ask_once(arena, &service, "anthropic");
    check_ok(outcome.err);
    check_int(outcome.usage.input_tokens, 100000000);
    check_int(outcome.usage.output_tokens, 0);
    service_free(&service);
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

TEST(failure, overload_and_server_errors_are_tried_once_more)
{
    static const int statuses[] = {429, 500, 503, 529};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct service service = {0};
        say(&service, statuses[i], STR("{}"));
        say(&service, 200, openai_reply(arena, "Hi."));
        struct outcome outcome = ask_once(arena, &service, "openai");
        check_ok(outcome.err);
        check_str(outcome.reply.text, "Hi.");
        check_int(service.requests, 2);
        service_free(&service);
    }
}

TEST(failure, there_is_no_third_try)
{
    struct service service = {0};
    say(&service, 500, STR("oops"));
    struct outcome outcome = ask_once(arena, &service, "openai");
    check_err(outcome.err, ERR_UNAVAILABLE);
    check(mentions(outcome.err->message, "status 500"));
    check_int(service.requests, 2);
    service_free(&service);
}

TEST(failure, a_refusal_is_final)
{
    static const int statuses[] = {400, 401, 403, 404, 413};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct service service = {0};
        say(&service, statuses[i], STR("{\"error\":{\"type\":\"not_found_error\",\"message\":\"no\"}}"));
        struct outcome outcome = ask_once(arena, &service, "anthropic");
        check_err(outcome.err, ERR_INVALID);
        check(mentions(outcome.err->message, "(not_found_error)"));
        check_int(service.requests, 1);
        service_free(&service);
    }
}

TEST(failure, a_pause_longer_than_the_timeout_is_not_waited_for)
{
    struct service service = {0};
    say(&service, 429, STR("{}"));
    service.script[0].headers = "Retry-After: 3600\r\n";
    struct outcome outcome = ask_once(arena, &service, "anthropic");
    check_err(outcome.err, ERR_UNAVAILABLE);
    check_int(service.requests, 1);
    service_free(&service);
}

TEST(failure, a_service_that_says_nothing_is_a_timeout)
{
    struct service service = {0};
    say(&service, 0, STR(""));
    service_start(&service);
    struct llm_config config = config_of(&service, "anthropic");
    config.timeout_ms = 100;
    struct llm *llm = client_of(arena, config);
    struct llm_call call = hello_call();
    struct llm_reply reply;
    struct llm_usage usage = {0};
    check_err(llm_ask(llm, arena, &call, &reply, &usage), ERR_TIMEOUT);
    llm_destroy(llm);
    service_stop(&service);
    check(service.requests <= 1); /* on a busy machine none has come by then */
    service_free(&service);
}

TEST(failure, an_answer_of_another_shape_is_tried_again_then_an_error)
{
    static const char *const bodies[] = {"<html>",
                                         "[]",
                                         "{}",
                                         "{\"content\":null}",
                                         "{\"choices\":[]}",
                                         "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"no\"}}]}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        for (int openai = 0; openai < 2; openai++) {
            struct service service = {0};
            say(&service, 200, str_of(bodies[i]));
            struct outcome outcome = ask_once(arena, &service, openai ? "openai" : "anthropic");
            check_err(outcome.err, ERR_UNAVAILABLE);
            check_int(service.requests, 2);
            service_free(&service);
        }
}

TEST(failure, the_key_is_in_no_error)
{
    static const char *const bodies[] = {
        "{\"error\":{\"message\":\"Incorrect API key provided: " KEY "\",\"type\":\"" KEY "\"}}", "\"" KEY "\"", KEY};
    static const int statuses[] = {401, 500, 200};
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        struct service service = {0};
        say(&service, statuses[i], str_of(bodies[i]));
        struct outcome outcome = ask_once(arena, &service, "openai");
        check(outcome.err != NULL);
        check(!mentions(err_text(arena, outcome.err), "sk-"));
        service_free(&service);
    }
}

TEST(failure, a_word_of_the_key_is_not_taken_for_the_name_of_an_error)
{
    struct service service = {0};
    say(&service, 401, STR("{\"error\":{\"type\":\"abcdef\"}}")); /* the key ends in it */
    struct outcome outcome = ask_once(arena, &service, "openai");
    check_err(outcome.err, ERR_INVALID);
    check(!mentions(outcome.err->message, "abcdef"));
    service_free(&service);
}

TEST(failure, a_key_with_a_line_break_is_refused_without_showing_it)
{
    struct llm_config config = {.provider = STR("anthropic"),
                                .base_url = STR("http://127.0.0.1:9"),
                                .api_key = STR("secret\r\nX: y"),
                                .model = STR("m")};
    struct llm *llm = client_of(arena, config);
    struct llm_call call = hello_call();
    struct llm_reply reply;
    struct llm_usage usage = {0};
    struct err *err = llm_ask(llm, arena, &call, &reply, &usage);
    check(err != NULL);
    check(!mentions(err_text(arena, err), "secret"));
    llm_destroy(llm);
}

TEST(failure, an_option_that_a_model_refuses_is_left_out_from_then_on)
{
    struct service service = {0};
    say(&service, 400,
        STR("{\"error\":{\"message\":\"Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.\",\"type\":\"invalid_request_error\"}}"));
    say(&service, 400,
        STR("{\"error\":{\"message\":\"Unsupported value: 'temperature' does not support 0.2 with this "
            "model.\",\"type\":\"invalid_request_error\"}}"));
    say(&service, 200, openai_reply(arena, "Hi."));
    service_start(&service);
    struct llm *llm = client_of(arena, config_of(&service, "openai"));
    struct llm_call call = hello_call();
    struct llm_reply reply;
    struct llm_usage usage = {0};
    check_ok(llm_ask(llm, arena, &call, &reply, &usage));
    check_ok(llm_ask(llm, arena, &call, &reply, &usage));
    llm_destroy(llm);
    service_stop(&service);
    check(service.problem == NULL);
    check_int(service.requests, 4);
    check_int(json_int(service.seen[3].body, "max_completion_tokens", 0), 1024);
    check(json_get(service.seen[3].body, "max_tokens") == NULL);
    check(json_get(service.seen[3].body, "temperature") == NULL);
    service_free(&service);
}

TEST(failure, a_refusal_of_an_option_that_was_left_out_is_final)
{
    struct service service = {0};
    say(&service, 400, STR("{\"error\":{\"message\":\"temperature\",\"type\":\"invalid_request_error\"}}"));
    struct outcome outcome = ask_once(arena, &service, "anthropic");
    check_err(outcome.err, ERR_INVALID);
    check_int(service.requests, 2);
    service_free(&service);
}

/* ---- the pause after failures in a row --------------------------------------------------------------------------- */

static struct err *call_again(struct llm *llm, struct arena *arena)
{
    struct llm_call call = hello_call();
    struct llm_reply reply;
    struct llm_usage usage = {0};
    return llm_ask(llm, arena, &call, &reply, &usage);
}

TEST(pause, five_failures_in_a_row_leave_the_service_alone_for_a_minute)
{
    struct service service = {0};
    say(&service, 401, STR("{}"));
    service_start(&service);
    struct llm *llm = client_of(arena, config_of(&service, "anthropic"));
    time_set(1000000);
    for (int i = 0; i < 5; i++) {
        check(llm_available(llm));
        check_err(call_again(llm, arena), ERR_INVALID);
    }
    check(!llm_available(llm));
    check_err(call_again(llm, arena), ERR_UNAVAILABLE);
    check_int(service.requests, 5);
    time_set(1000000 + SECONDS(60) - 1);
    check_err(call_again(llm, arena), ERR_UNAVAILABLE);
    check_int(service.requests, 5);
    time_set(1000000 + SECONDS(60));
    check(llm_available(llm));
    check_err(call_again(llm, arena), ERR_INVALID); /* it tries, fails, and the pause begins again */
    check_int(service.requests, 6);
    check_err(call_again(llm, arena), ERR_UNAVAILABLE);
    time_set(0);
    llm_destroy(llm);
    service_stop(&service);
    service_free(&service);
}

TEST(pause, a_success_in_between_starts_the_count_again)
{
    struct service service = {0};
    for (int i = 0; i < 4; i++) say(&service, 401, STR("{}"));
    say(&service, 200, anthropic_reply(arena, "Hi."));
    for (int i = 0; i < 4; i++) say(&service, 401, STR("{}"));
    service_start(&service);
    struct llm *llm = client_of(arena, config_of(&service, "anthropic"));
    for (int i = 0; i < 9; i++) {
        struct err *err = call_again(llm, arena);
        check(i == 4 ? err == NULL : err != NULL);
    }
    check(llm_available(llm));
    llm_destroy(llm);
    service_stop(&service);
    check_int(service.requests, 9);
    service_free(&service);
}

static void *call_in_a_thread(void *arg)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    return call_again(arg, arena) ? "failed" : NULL;
}

TEST(pause, after_it_one_call_tries_and_the_others_wait_for_its_outcome)
{
    struct service service = {0};
    pthread_t thread;
    void *outcome;
    for (int i = 0; i < 5; i++) say(&service, 401, STR("{}"));
    say(&service, 0, STR("")); /* the sixth waits */
    say(&service, 401, STR("{}"));
    service_start(&service);
    struct llm *llm = client_of(arena, config_of(&service, "anthropic"));
    time_set(1000000);
    for (int i = 0; i < 5; i++) check_err(call_again(llm, arena), ERR_INVALID);
    time_set(1000000 + SECONDS(60));
    check(pthread_create(&thread, NULL, call_in_a_thread, llm) == 0);
    while (service.requests < 6) usleep(1000);
    check(!llm_available(llm));
    check_err(call_again(llm, arena), ERR_UNAVAILABLE);
    service_release(&service);
    pthread_join(thread, &outcome);
    check(outcome != NULL);
    check_int(service.requests, 6);
    time_set(0);
    llm_destroy(llm);
    service_stop(&service);
    service_free(&service);
}

TEST(pause, a_clock_that_is_set_back_does_not_make_it_longer)
{
    struct service service = {0};
    say(&service, 401, STR("{}"));
    service_start(&service);
    struct llm *llm = client_of(arena, config_of(&service, "anthropic"));
    time_set(DAYS(1000));
    for (int i = 0; i < 5; i++) check_err(call_again(llm, arena), ERR_INVALID);
    time_set(DAYS(900));
    check(llm_available(llm));
    time_set(0);
    llm_destroy(llm);
    service_stop(&service);
    service_free(&service);
}

/* ---- budgets ----------------------------------------------------------------------------------------------------- */

struct purse {
    int64_t left, asked[4];
    int times;
};

static struct err *spend(void *arg, struct arena *arena, int64_t tokens)
{
    struct purse *purse = arg;
    purse->asked[purse->times++] = tokens;
    return tokens <= purse->left ? NULL : err_new(arena, ERR_RATE_LIMITED, "the month's tokens are used up");
}

static struct err *ask_with(struct arena *arena, struct service *service, struct purse *purse, struct llm_usage *usage)
{
    service_start(service);
    struct llm *llm = client_of(arena, config_of(service, "anthropic"));
    struct llm_call call = hello_call();
    const json_value *object;
    call.budget = (struct llm_budget){spend, purse};
    struct err *err = llm_ask_json(llm, arena, &call, &object, usage);
    check(llm_available(llm));
    llm_destroy(llm);
    service_stop(service);
    return err;
}

TEST(budget, is_asked_for_the_most_that_a_request_can_use)
{
    struct service service = {0};
    struct purse purse = {.left = 100000};
    struct llm_usage usage = {0};
    say(&service, 200, anthropic_reply(arena, "{}"));
    check_ok(ask_with(arena, &service, &purse, &usage));
    check_int(purse.times, 1);
    check(purse.asked[0] > 1024 && purse.asked[0] < 1200);
    service_free(&service);
}

TEST(budget, without_it_nothing_is_sent)
{
    struct service service = {0};
    struct purse purse = {.left = 1000};
    struct llm_usage usage = {0};
    say(&service, 200, anthropic_reply(arena, "{}"));
    check_err(ask_with(arena, &service, &purse, &usage), ERR_RATE_LIMITED);
    check_int(service.requests, 0);
    check_int(usage.input_tokens, 0);
    service_free(&service);
}

TEST(budget, a_retry_counts_what_the_first_try_used)
{
    struct service service = {0};
    struct purse purse = {.left = 100000};
    struct llm_usage usage = {0};
    say(&service, 200, anthropic_reply(arena, "I cannot say."));
    say(&service, 200, anthropic_reply(arena, "{\"a\":1}"));
    check_ok(ask_with(arena, &service, &purse, &usage));
    check_int(purse.times, 2);
    check_int(purse.asked[1] - purse.asked[0], 130);
    check_int(usage.input_tokens + usage.output_tokens, 260);
    service_free(&service);
}

TEST(budget, a_retry_that_it_does_not_allow_is_not_made)
{
    struct service service = {0};
    struct purse purse = {.left = 1150};
    struct llm_usage usage = {0};
    say(&service, 200, anthropic_reply(arena, "I cannot say."));
    check_err(ask_with(arena, &service, &purse, &usage), ERR_UNAVAILABLE);
    check_int(service.requests, 1);
    check_int(usage.input_tokens + usage.output_tokens, 130);
    service_free(&service);
}

/* ---- settings ---------------------------------------------------------------------------------------------------- */

TEST(settings, without_a_provider_nothing_is_asked)
{
    struct llm *llm = client_of(arena, (struct llm_config){.provider = STR("none")});
    struct llm_call call = hello_call();
    struct llm_reply reply;
    struct llm_usage usage = {0};
    check(!llm_enabled(llm) && !llm_available(llm));
    check_err(llm_ask(llm, arena, &call, &reply, &usage), ERR_UNAVAILABLE);
    llm_destroy(llm);
}

TEST(settings, what_is_missing_is_named)
{
    static const struct {
        struct llm_config config;
        const char *named;
    } wrong[] = {
        {{.provider = {"gemini", 6}}, "llm.provider"},
        {{.provider = {"openai", 6}, .api_key = {"k", 1}}, "llm.models.default"},
        {{.provider = {"openai", 6}, .model = {"m", 1}}, "llm.api_key"},
        {{.provider = {"anthropic", 9}, .model = {"m", 1}, .base_url = {"file:///etc", 11}}, "llm.base_url"},
        {{.provider = {"anthropic", 9}, .model = {"m", 1}, .api_key = {"k", 1}, .price_input = -1}, "llm.prices"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct llm *llm;
        struct err *err = llm_create(arena, wrong[i].config, &llm);
        check_err(err, ERR_INVALID);
        check(mentions(err->message, wrong[i].named));
    }
}

/* ---- the JSON object of a reply ---------------------------------------------------------------------------------- */

static const json_value *object_of(struct arena *arena, const char *text, struct err **err)
{
    struct service service = {0};
    say(&service, 200, anthropic_reply(arena, text));
    service_start(&service);
    struct llm *llm = client_of(arena, config_of(&service, "anthropic"));
    struct llm_call call = hello_call();
    struct llm_usage usage = {0};
    const json_value *object;
    *err = llm_ask_json(llm, arena, &call, &object, &usage);
    llm_destroy(llm);
    service_stop(&service);
    service_free(&service);
    return object;
}

TEST(object, the_first_balanced_one_of_a_reply_is_used)
{
    static const char *const replies[] = {
        "{\"a\":{\"b\":7}}",
        "```json\n{\"a\":{\"b\":7}}\n```",
        "Here you are: {\"a\":{\"b\":7}} and {\"a\":{\"b\":8}}",
        "In {braces} and {a: b}: {\"a\":{\"b\":7,\"c\":\"} \\\" {\"}} done}",
        "{ unfinished {\"a\":{\"b\":7}}",
    };
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        struct err *err;
        const json_value *object = object_of(arena, replies[i], &err);
        check_ok(err);
        check_int(json_int(object, "a.b", 0), 7);
    }
}

TEST(object, a_reply_without_one_is_an_error)
{
    static const char *const replies[] = {"", "No.", "[1,2]", "{\"cut off\":", "{not json}", "}{"};
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        struct err *err;
        object_of(arena, replies[i], &err);
        check_err(err, ERR_UNAVAILABLE);
    }
}

TEST(object, a_reply_full_of_braces_ends)
{
    char *braces = arena_alloc(arena, 500001);
    memset(braces, '{', 500000);
    struct err *err;
    object_of(arena, braces, &err);
    check_err(err, ERR_UNAVAILABLE);
}

TEST(object, a_reply_without_one_is_asked_for_once_more)
{
    struct service service = {0};
    say(&service, 200, openai_reply(arena, "Sorry, I forgot the form."));
    say(&service, 200, openai_reply(arena, "{\"a\":1}"));
    service_start(&service);
    struct llm *llm = client_of(arena, config_of(&service, "openai"));
    struct llm_call call = hello_call();
    struct llm_usage usage = {0};
    const json_value *object;
    check_ok(llm_ask_json(llm, arena, &call, &object, &usage));
    check_int(json_int(object, "a", 0), 1);
    check_int(usage.input_tokens, 100);
    llm_destroy(llm);
    service_stop(&service);
    check_int(service.requests, 2);
    service_free(&service);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(client, anthropic_messages_are_asked_and_read),
        RUN(client, openai_chat_is_asked_and_read),
        RUN(client, a_conversation_keeps_its_order),
        RUN(client, anthropic_base_may_end_in_the_version),
        RUN(client, each_task_has_its_own_model_or_the_default),
        RUN(client, text_in_parts_is_joined_and_other_parts_are_left_out),
        RUN(client, thinking_in_front_of_a_reply_is_not_part_of_it),
        RUN(client, tokens_are_counted_and_priced),
        RUN(client, absurd_token_counts_do_not_overflow),
        RUN(failure, overload_and_server_errors_are_tried_once_more),
        RUN(failure, there_is_no_third_try),
        RUN(failure, a_refusal_is_final),
        RUN(failure, a_pause_longer_than_the_timeout_is_not_waited_for),
        RUN(failure, a_service_that_says_nothing_is_a_timeout),
        RUN(failure, an_answer_of_another_shape_is_tried_again_then_an_error),
        RUN(failure, the_key_is_in_no_error),
        RUN(failure, a_word_of_the_key_is_not_taken_for_the_name_of_an_error),
        RUN(failure, a_key_with_a_line_break_is_refused_without_showing_it),
        RUN(failure, an_option_that_a_model_refuses_is_left_out_from_then_on),
        RUN(failure, a_refusal_of_an_option_that_was_left_out_is_final),
        RUN(pause, five_failures_in_a_row_leave_the_service_alone_for_a_minute),
        RUN(pause, a_success_in_between_starts_the_count_again),
        RUN(pause, after_it_one_call_tries_and_the_others_wait_for_its_outcome),
        RUN(pause, a_clock_that_is_set_back_does_not_make_it_longer),
        RUN(budget, is_asked_for_the_most_that_a_request_can_use),
        RUN(budget, without_it_nothing_is_sent),
        RUN(budget, a_retry_counts_what_the_first_try_used),
        RUN(budget, a_retry_that_it_does_not_allow_is_not_made),
        RUN(settings, without_a_provider_nothing_is_asked),
        RUN(settings, what_is_missing_is_named),
        RUN(object, the_first_balanced_one_of_a_reply_is_used),
        RUN(object, a_reply_without_one_is_an_error),
        RUN(object, a_reply_full_of_braces_ends),
        RUN(object, a_reply_without_one_is_asked_for_once_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
