/* llm_tools_test.c - language models that use tools, and answers that come in pieces, against services of both shapes. */
#include "llm_service.h"

static const struct llm_tool tools[] = {
    {"find", "Find things", STR("{\"type\":\"object\",\"properties\":{\"query\":{\"type\":\"string\"}}}")}};

struct heard {
    struct buf  text;
    int         pieces;
    atomic_bool stop;
};

static void hear(void *arg, struct str piece)
{
    struct heard *heard = arg;
    buf_str_add(&heard->text, piece);
    heard->pieces++;
}

static bool is_stopped(void *arg)
{
    return atomic_load(&((struct heard *)arg)->stop);
}

static struct err *ask_with(struct llm *llm, struct arena *arena, struct llm_call call, struct llm_reply *reply,
                            struct llm_usage *usage)
{
    static const struct llm_message question = {.role = LLM_USER, .text = STR("What is there?")};
    call.task = LLM_ANSWER;
    if (!call.messages) call.messages = &question, call.message_count = 1;
    return llm_ask(llm, arena, &call, reply, usage);
}

/* One answer of a service: what it said last, read by a call with these. */
struct outcome {
    struct llm_reply reply;
    struct llm_usage usage;
    struct err      *failed;
    struct heard     heard;
    int              requests;
};

static struct outcome outcome_of(struct arena *arena, struct service *service, const char *provider,
                                 struct llm_call call)
{
    struct outcome outcome = {.heard = {.text = buf_in(arena)}};
    service_start(service);
    struct llm *llm = client_of(arena, config_of(service, provider));
    if (call.listener.text) call.listener.arg = &outcome.heard;
    outcome.failed = ask_with(llm, arena, call, &outcome.reply, &outcome.usage);
    service_stop(service);
    check(service->problem == NULL);
    outcome.requests = service->requests;
    llm_destroy(llm);
    return outcome;
}
#define SERVICE(name) struct service name __attribute__((cleanup(service_free))) = {0}

TEST(tools, are_offered_in_the_shape_of_each_service_and_uses_read)
{
    SERVICE(anthropic);
    say(&anthropic, 200, anthropic_use(arena, "Let me look.", "toolu_1", "find", "{\"query\":\"x\"}"));
    struct outcome one = outcome_of(arena, &anthropic, "anthropic", (struct llm_call){.tools = tools, .tool_count = 1});
    check_ok(one.failed);
    check_int(one.reply.use_count, 1);
    check_str(one.reply.uses[0].id, "toolu_1");
    check_str(one.reply.uses[0].name, "find");
    check_str(one.reply.uses[0].input, "{\"query\":\"x\"}");
    check_str(one.reply.text, "Let me look.");
    check_str(json_str(anthropic.seen[0].body, "tools.0.name"), "find");

    SERVICE(openai);
    say(&openai, 200, openai_use(arena, "call_1", "find", "{\"query\":\"x\"}"));
    struct outcome two = outcome_of(arena, &openai, "openai", (struct llm_call){.tools = tools, .tool_count = 1});
    check_ok(two.failed);
    check_str(two.reply.uses[0].id, "call_1");
    check_str(two.reply.uses[0].input, "{\"query\":\"x\"}");
    check_str(json_str(openai.seen[0].body, "tools.0.function.name"), "find");
}

TEST(tools, results_go_back_to_both_services_beside_their_uses)
{
    static const struct llm_use     use = {STR("u1"), STR("find"), STR("{\"query\":\"x\"}")};
    static const struct llm_result  result = {STR("u1"), STR("nothing"), true};
    static const struct llm_message messages[] = {
        {.role = LLM_USER, .text = STR("What is there?")},
        {.role = LLM_ASSISTANT, .text = STR("I look."), .uses = &use, .use_count = 1},
        {.role = LLM_USER, .results = &result, .result_count = 1}};
    struct llm_call call = {
        .tools = tools, .tool_count = 1, .conclude = true, .messages = messages, .message_count = 3};
    SERVICE(anthropic);
    say(&anthropic, 200, anthropic_reply(arena, "Nothing."));
    check_str(outcome_of(arena, &anthropic, "anthropic", call).reply.text, "Nothing.");
    const json_value *body = anthropic.seen[0].body;
    check_str(json_str(body, "messages.1.content.1.type"), "tool_use");
    check_str(json_str(body, "messages.2.content.0.tool_use_id"), "u1");
    check(json_bool(body, "messages.2.content.0.is_error", false));
    check_str(json_str(body, "tool_choice.type"), "none");

    SERVICE(openai);
    say(&openai, 200, openai_reply(arena, "Nothing."));
    check_str(outcome_of(arena, &openai, "openai", call).reply.text, "Nothing.");
    body = openai.seen[0].body;
    check_str(json_str(body, "messages.1.tool_calls.0.function.arguments"), "{\"query\":\"x\"}");
    check_str(json_str(body, "messages.2.role"), "tool");
    check_str(json_str(body, "tool_choice"), "none");
}

TEST(tools, input_that_is_no_object_is_told_apart)
{
    SERVICE(service);
    say(&service, 200, openai_use(arena, "call_1", "find", "{\"query\":"));
    struct outcome outcome = outcome_of(arena, &service, "openai", (struct llm_call){.tools = tools, .tool_count = 1});
    check_ok(outcome.failed);
    check_int(outcome.reply.use_count, 1);
    check(outcome.reply.uses[0].input.s == NULL);
}

TEST(tools, more_uses_than_the_bound_are_left_out)
{
    struct buf body = buf_in(arena);
    SERVICE(service);
    buf_lit(&body, "{\"model\":\"m\",\"stop_reason\":\"tool_use\",\"content\":[");
    for (int i = 0; i < 100; i++)
        buf_printf(&body, "%s{\"type\":\"tool_use\",\"id\":\"u%d\",\"name\":\"find\",\"input\":{}}", i ? "," : "", i);
    buf_lit(&body, "]}");
    say(&service, 200, buf_str(&body));
    check_int(
        outcome_of(arena, &service, "anthropic", (struct llm_call){.tools = tools, .tool_count = 1}).reply.use_count,
        LLM_MAX_USES);
}

TEST(tools, a_service_that_takes_none_is_remembered_and_works_without)
{
    SERVICE(service);
    struct llm_reply reply;
    struct llm_usage usage = {0};
    say(&service, 400, STR("{\"error\":{\"message\":\"this model does not support tools\"}}"));
    say(&service, 200, openai_reply(arena, "Fine."));
    service_start(&service);
    struct llm *llm = client_of(arena, config_of(&service, "openai"));
    check(llm_takes_tools(llm, LLM_ANSWER));
    check_err(ask_with(llm, arena, (struct llm_call){.tools = tools, .tool_count = 1}, &reply, &usage), ERR_INVALID);
    check(!llm_takes_tools(llm, LLM_ANSWER));
    check(llm_takes_tools(llm, LLM_SUMMARY));
    check_ok(ask_with(llm, arena, (struct llm_call){0}, &reply, &usage));
    service_stop(&service);
    llm_destroy(llm);
    check_int(service.requests, 2);
}

/* ---- pieces ----------------------------------------------------------------------------------------------------------- */

static const char anthropic_stream[] =
    "event: message_start\n"
    "data: "
    "{\"type\":\"message_start\",\"message\":{\"model\":\"claude-test\",\"usage\":{\"input_tokens\":90,\"output_"
    "tokens\":1}}}\n\n"
    "event: content_block_start\r\n"
    "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\r\n\r\n"
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello \"}}\n\n"
    ": ping\n\n"
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"world\"}}\n\n"
    "data: "
    "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"u1\",\"name\":"
    "\"find\",\"input\":{}}}\n\n"
    "data: "
    "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{"
    "\\\"query\\\":\"}}\n\n"
    "data: "
    "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":"
    "\"\\\"x\\\"}\"}}\n\n"
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":12}}\n\n";
static const char anthropic_end[] = "data: {\"type\":\"message_stop\"}\n\n";

static const char openai_stream[] =
    "data: {\"model\":\"gpt-test\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"<thi\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"nk>a draft</think>\\nHello \"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"world\"}}]}\n\n"
    "data: "
    "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"find\","
    "\"arguments\":\"{\\\"que\"}}]}}]}\n\n"
    "data: "
    "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"ry\\\":\\\"x\\\"}\"}}]}}]}"
    "\n\n"
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":70,\"completion_tokens\":9}}\n\n"
    "data: [DONE]\n\n";

static const struct llm_call in_pieces = {
    .tools = tools, .tool_count = 1, .listener = {.text = hear, .stopped = is_stopped}};

static void check_streamed(const struct outcome *outcome, const char *id, int64_t input, int64_t output)
{
    check_ok(outcome->failed);
    check_str(outcome->reply.text, "Hello world");
    check_str(buf_str(&outcome->heard.text), "Hello world");
    check_int(outcome->heard.pieces, 2);
    check_int(outcome->reply.use_count, 1);
    check_str(outcome->reply.uses[0].id, id);
    check_str(outcome->reply.uses[0].input, "{\"query\":\"x\"}");
    check_int(outcome->usage.input_tokens, input);
    check_int(outcome->usage.output_tokens, output);
}

TEST(pieces, of_both_services_are_put_together)
{
    SERVICE(anthropic);
    say(&anthropic, 200, str_printf(arena, "%s%s", anthropic_stream, anthropic_end));
    struct outcome one = outcome_of(arena, &anthropic, "anthropic", in_pieces);
    check_streamed(&one, "u1", 90, 12);
    check_str(one.reply.model, "claude-test");
    check(json_bool(anthropic.seen[0].body, "stream", false));

    SERVICE(openai);
    say(&openai, 200, str_of(openai_stream));
    struct outcome two = outcome_of(arena, &openai, "openai", in_pieces);
    check_streamed(&two, "c1", 70, 9);
    check_str(two.reply.model, "gpt-test");
}

TEST(pieces, a_service_that_answers_in_one_is_understood)
{
    SERVICE(service);
    say(&service, 200, openai_reply(arena, "All at once."));
    struct outcome outcome = outcome_of(arena, &service, "openai", in_pieces);
    check_ok(outcome.failed);
    check_str(outcome.reply.text, "All at once.");
    check_str(buf_str(&outcome.heard.text), "All at once.");
    check_int(outcome.usage.input_tokens, 50);
}

TEST(pieces, an_answer_that_breaks_off_is_no_answer_and_not_asked_for_again_once_heard)
{
    SERVICE(service);
    say(&service, 200, str_of(anthropic_stream));
    struct outcome outcome = outcome_of(arena, &service, "anthropic", in_pieces);
    check_err(outcome.failed, ERR_UNAVAILABLE);
    check_int(outcome.requests, 1);
    check_int(outcome.usage.input_tokens, 90); /* paid all the same */
}

TEST(pieces, an_error_in_the_midst_is_retried_while_nothing_was_heard)
{
    SERVICE(service);
    say(&service, 200, STR("data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n"));
    say(&service, 200, str_printf(arena, "%s%s", anthropic_stream, anthropic_end));
    struct outcome outcome = outcome_of(arena, &service, "anthropic", in_pieces);
    check_ok(outcome.failed);
    check_str(outcome.reply.text, "Hello world");
    check_int(outcome.requests, 2);
}

TEST(pieces, nonsense_is_an_error)
{
    SERVICE(service);
    say(&service, 200, STR("data: {\"choices\":[{\"delta\":\n\ndata: more\n\n"));
    check_err(outcome_of(arena, &service, "openai", in_pieces).failed, ERR_UNAVAILABLE);
}

TEST(pieces, refused_stream_options_are_left_out_from_then_on)
{
    SERVICE(service);
    say(&service, 400, STR("{\"error\":{\"message\":\"Unknown field: stream_options\"}}"));
    say(&service, 200, str_of(openai_stream));
    check_ok(outcome_of(arena, &service, "openai", in_pieces).failed);
    check_int(service.requests, 2);
    check(json_get(service.seen[0].body, "stream_options") != NULL);
    check(json_get(service.seen[1].body, "stream_options") == NULL);
}

struct caller {
    struct llm   *llm;
    struct arena *arena;
    struct heard *heard;
    struct err   *failed;
};

static void *call_model(void *arg)
{
    struct caller   *caller = arg;
    struct llm_reply reply;
    struct llm_usage usage = {0};
    struct llm_call  call = in_pieces;
    call.listener.arg = caller->heard;
    caller->failed = ask_with(caller->llm, caller->arena, call, &reply, &usage);
    return NULL;
}

TEST(pieces, a_call_is_stopped_while_the_model_is_silent)
{
    SERVICE(service);
    struct arena *other ARENA_SCOPE = arena_create();
    struct heard        heard = {.text = buf_in(other)};
    say(&service, 0, STR(""));
    service_start(&service);
    struct caller caller = {client_of(arena, config_of(&service, "anthropic")), other, &heard, NULL};
    pthread_t     thread;
    check(pthread_create(&thread, NULL, call_model, &caller) == 0);
    while (!atomic_load(&service.requests)) usleep(1000);
    atomic_store(&heard.stop, true);
    pthread_join(thread, NULL);
    check_err(caller.failed, ERR_CANCELLED);
    check(llm_available(caller.llm));
    service_stop(&service);
    llm_destroy(caller.llm);
}

TEST(pieces, a_call_has_no_more_time_than_it_asks_for)
{
    SERVICE(service);
    say(&service, 0, STR(""));
    struct llm_call call = in_pieces;
    call.timeout_ms = 50;
    check_err(outcome_of(arena, &service, "anthropic", call).failed, ERR_TIMEOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(tools, are_offered_in_the_shape_of_each_service_and_uses_read),
        RUN(tools, results_go_back_to_both_services_beside_their_uses),
        RUN(tools, input_that_is_no_object_is_told_apart),
        RUN(tools, more_uses_than_the_bound_are_left_out),
        RUN(tools, a_service_that_takes_none_is_remembered_and_works_without),
        RUN(pieces, of_both_services_are_put_together),
        RUN(pieces, a_service_that_answers_in_one_is_understood),
        RUN(pieces, an_answer_that_breaks_off_is_no_answer_and_not_asked_for_again_once_heard),
        RUN(pieces, an_error_in_the_midst_is_retried_while_nothing_was_heard),
        RUN(pieces, nonsense_is_an_error),
        RUN(pieces, refused_stream_options_are_left_out_from_then_on),
        RUN(pieces, a_call_is_stopped_while_the_model_is_silent),
        RUN(pieces, a_call_has_no_more_time_than_it_asks_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
