/* api_memory_test.c - what the API tells of the memory: imports, what is found then, answers. */
#include "api_world.h"

#include "crypto/crypto.h"

/* ---- imports and what is found then ------------------------------------------------------------------------------ */

static const char story[] =
    "{\"events\":["
    "{\"source\":\"github\",\"sourceType\":\"pull-request.merged\",\"sourceId\":\"pr:acme/api#87:merged\","
    "\"title\":\"[PR Merged] Raise session timeout to 30 minutes\",\"body\":\"Users were signed out after 5 minutes; the session timeout is now configurable. Fixes #42\","
    "\"actor\":{\"id\":\"ada\",\"name\":\"ada\"},\"occurredAt\":\"2026-02-03T10:30:00Z\","
    "\"references\":[{\"type\":\"pr\",\"id\":\"#87\",\"url\":\"https://github.com/acme/api/pull/87\"},"
    "{\"type\":\"issue\",\"id\":\"#42\",\"url\":\"https://github.com/acme/api/issues/42\",\"label\":\"fixes\"}],"
    "\"metadata\":{\"repoFullName\":\"acme/api\",\"prNumber\":87}},"
    "{\"source\":\"github\",\"sourceType\":\"issue.opened\",\"sourceId\":\"issue:acme/api#42:opened\","
    "\"title\":\"[Issue Opened] Signed out too soon\",\"body\":\"The session ends while I type.\","
    "\"actor\":{\"id\":\"bob\",\"name\":\"bob\"},\"occurredAt\":\"2026-02-01T09:00:00Z\","
    "\"references\":[{\"type\":\"issue\",\"id\":\"#42\",\"url\":\"https://github.com/acme/api/issues/42\"}],"
    "\"metadata\":{\"repoFullName\":\"acme/api\"}},"
    "{\"source\":\"github\",\"title\":\"no type\"}]}";

static struct str begin_import(struct fixture *f, struct answer *answer)
{
    *answer = ask(f, "POST", W "/imports", "{\"repoFullName\":\"acme/api\",\"branch\":\"main\",\"github\":true}");
    check_int(answer->status, 201);
    return json_str(answer->body, "jobId");
}

static struct answer ask_import(struct fixture *f, struct str job, const char *what, const char *body)
{
    return ask(f, "POST", TARGET(f, W "/imports/" STR_FMT "/%s", STR_ARG(job), what), body);
}

static struct answer store_story(struct fixture *f)
{
    struct answer begun;
    struct str    job = begin_import(f, &begun);
    return ask_import(f, job, "events", story);
}

TEST(api, an_import_stores_events_and_reports_those_it_cannot)
{
    FIXTURE(f);
    struct answer begun;
    struct str    job = begin_import(&f, &begun);
    check(json_is_null(json_get(begun.body, "lastSha")));
    check_int(json_count(json_get(begun.body, "pullRequests")), 0);
    struct answer answer = ask_import(&f, job, "events", story);
    check_int(answer.status, 200);
    check_int(json_int(answer.body, "stored", -1), 2);
    check_int(json_int(answer.body, "failed", -1), 1);
    check_int(json_int(answer.body, "errors.0.index", -1), 2);
    check(json_str(answer.body, "errors.0.message").n > 0);
    answer = ask_import(&f, job, "events", story);
    check_int(json_int(answer.body, "duplicates", -1), 2);

    answer = ask_import(&f, job, "finish", "{\"tip\":\"3f2c1aa\",\"tags\":{\"v1\":\"3f2c1aa\"}}");
    check_int(answer.status, 200);
    check_str(json_str(answer.body, "status"), "completed");
    check_int(json_int(answer.body, "scanned", -1), 6);
    check_int(json_int(answer.body, "stored", -1), 2);
    check_int(json_int(answer.body, "failed", -1), 2);
    answer = ask_import(&f, job, "events", story);
    check_error(&answer, 409, "CONFLICT", "The import is no longer running");

    begin_import(&f, &begun);
    check_str(json_str(begun.body, "lastSha"), "3f2c1aa");
    check_str(json_str(begun.body, "lastTags.v1"), "3f2c1aa");
    check_int(json_count(json_get(begun.body, "pullRequests")), 1);
    check(json_is_null(json_get(begun.body, "pullRequests.87"))); /* no commit is said to have merged it */
    answer = GET(&f, W "/imports");
    check_int(json_count(json_get(answer.body, "data")), 2);
    check_str(json_str(answer.body, "data.0.status"), "running");
}

TEST(api, an_unknown_import_is_not_found)
{
    FIXTURE(f);
    check_int(GET(&f, W "/imports/job_nothing").status, 404);
    check_int(ask_import(&f, STR("job_nothing"), "events", "{\"events\":[]}").status, 404);
}

TEST(api, search_answers_in_the_published_shape)
{
    FIXTURE(f);
    store_story(&f);
    struct answer answer = ask(&f, "POST", "/v1/search", "{\"query\":\"session timeout\"}");
    check_int(answer.status, 200);
    check_str(json_str(answer.body, "data.0.title"), "[PR Merged] Raise session timeout to 30 minutes");
    check_str(json_str(answer.body, "data.0.type"), "pull_request_merged");
    check_str(json_str(answer.body, "data.0.occurredAt"), "2026-02-03T10:30:00.000Z");
    check(mentions(json_str(answer.body, "data.0.highlights.title"), "<mark>"));
    static const char *const order[] = {"data", "context", "meta", "latency", "requestId"};
    size_t                   i = 0;
    for (struct json_iter it = json_iter(answer.body); json_step(&it); i++) check_str(it.key, order[i]);
    check_int(i, 5);
    answer = ask(&f, "POST", "/v1/search",
                 "{\"query\":\"session\",\"includeContext\":false,\"includeHighlights\":false}");
    check(!json_get(answer.body, "context"));
    check(!json_get(answer.body, "data.0.highlights"));
}

TEST(api, an_empty_workspace_answers_with_nothing_found)
{
    FIXTURE(f);
    struct answer answer = ask(&f, "POST", "/v1/search", "{\"query\":\"anything\"}");
    check_int(answer.status, 200);
    check_int(json_count(json_get(answer.body, "data")), 0);
    check_int(json_int(answer.body, "meta.total", -1), 0);
}

TEST(api, contents_keep_the_order_and_form_of_the_ids)
{
    FIXTURE(f);
    store_story(&f);
    struct answer found = ask(&f, "POST", "/v1/search", "{\"query\":\"session timeout\"}");
    struct str    id = json_str(found.body, "data.0.id"), bare = str_skip(id, 4);
    struct str    body = str_printf(arena, "{\"ids\":[\"obs_doesNotExist000000000\",\"" STR_FMT "\",\"" STR_FMT "\",\"" STR_FMT
                                           "\"]}", STR_ARG(bare), STR_ARG(id), STR_ARG(bare));
    struct answer answer = ask(&f, "POST", "/v1/contents", str_z(arena, body));
    check_int(answer.status, 200);
    check_int(json_count(json_get(answer.body, "items")), 2);
    check(str_eq(json_str(answer.body, "items.0.id"), bare));
    check(str_eq(json_str(answer.body, "items.1.id"), id));
    check_int(json_int(answer.body, "items.0.metadata.prNumber", 0), 87);
    check_str(json_str(answer.body, "missing.0"), "obs_doesNotExist000000000");
}

TEST(api, graph_and_related_answer_by_post_and_by_path)
{
    FIXTURE(f);
    store_story(&f);
    struct answer found = ask(&f, "POST", "/v1/search", "{\"query\":\"session timeout\"}");
    struct str    id = json_str(found.body, "data.0.id");
    struct answer answer = GET(&f, TARGET(&f, "/v1/graph/" STR_FMT "?depth=1&types=fixes", STR_ARG(id)));
    check_int(answer.status, 200);
    check_int(json_int(answer.body, "meta.depth", 0), 1);
    check_int(json_int(answer.body, "meta.edgeCount", 0), 1);
    check_str(json_str(answer.body, "data.edges.0.type"), "fixes");
    check(json_bool(answer.body, "data.nodes.0.isRoot", false));
    answer = GET(&f, TARGET(&f, "/v1/related/" STR_FMT, STR_ARG(id)));
    check_int(answer.status, 200);
    check_int(json_int(answer.body, "meta.total", 0), 1);
    check_str(json_str(answer.body, "data.related.0.relationshipType"), "fixes");
    check_str(json_str(answer.body, "data.related.0.direction"), "outgoing");
    check_int(json_count(json_get(answer.body, "data.bySource.github")), 1);
    answer = GET(&f, "/v1/graph/obs_doesNotExist000000000?depth=1.5");
    check_str(problem(&answer, "depth"), "Expected integer, received float");
    answer = GET(&f, "/v1/graph/obs_doesNotExist000000000?depth=99999999999999999999");
    check_str(problem(&answer, "depth"), "Number must be less than or equal to 3");
    answer = GET(&f, "/v1/graph/obs_doesNotExist000000000?depth=9");
    check_str(problem(&answer, "depth"), "Number must be less than or equal to 3");
    answer = ask(&f, "POST", "/v1/related", "{\"id\":\"obs_doesNotExist000000000\"}");
    check_error(&answer, 404, "NOT_FOUND", "Observation not found: obs_doesNotExist000000000");
}

TEST(api, similar_takes_an_url_and_says_when_it_is_unknown)
{
    FIXTURE(f);
    store_story(&f);
    struct answer answer =
        ask(&f, "POST", "/v1/findsimilar", "{\"url\":\"https://github.com/acme/api/pull/87\",\"threshold\":0}");
    check_int(answer.status, 200);
    check_str(json_str(answer.body, "source.type"), "pull_request_merged");
    check(json_bool(answer.body, "meta.inputEmbedding.found", false));
    answer = ask(&f, "POST", "/v1/similar", "{\"url\":\"https://github.com/acme/api/pull/88\"}");
    check_error(&answer, 404, "NOT_FOUND", "URL not found in workspace: https://github.com/acme/api/pull/88");
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

TEST(api, messages_are_checked_beside_a_query_too)
{
    FIXTURE(f);
    static const char *const wrong[] = {
        "{\"query\":\"anything\",\"messages\":[{\"role\":\"user\",\"content\":\"x\",\"parts\":{}}]}",
        "{\"query\":\"anything\",\"messages\":[{\"role\":\"user\",\"content\":7,\"parts\":[]}]}",
        "{\"query\":\"anything\",\"messages\":[{\"role\":\"system\",\"content\":\"x\"}]}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct answer answer = ask(&f, "POST", "/v1/answer", wrong[i]);
        check_error(&answer, 400, "VALIDATION_ERROR", NULL);
        check_int(json_count(json_get(answer.body, "details.messages")), 1);
    }
    struct answer answer = ask(&f, "POST", "/v1/answer", "{\"query\":\"anything\",\"messages\":[]}");
    check_int(answer.status, 200);
}

TEST(api, a_question_without_a_socket_gets_its_events_as_one_text)
{
    FIXTURE(f);
    struct answer events = ask(&f, "POST", "/v1/answer", "{\"query\":\"anything\",\"stream\":true,\"sessionId\":\"s-1\"}");
    check_int(events.status, 200);
    check_str(str_of(events.reply.content_type), "text/event-stream");
    check(str_starts(events.text, STR("id: 1\nevent: start\ndata: {\"requestId\":")));
    check(mentions(events.text, "\nevent: done\ndata: {\"answer\":{"));
    struct answer chat = ask(&f, "POST", "/v1/answer/answer-v1/s-1", "{\"messages\":[{\"role\":\"user\",\"content\":\"anything\"}]}");
    check(str_ends(chat.text, STR("data: [DONE]\n\n")));
    check_int(GET(&f, "/v1/answer/answer-v1/s-1").status, 204);
    check_int(ask(&f, "DELETE", "/v1/answer/answer-v1/s-1", "").status, 200);
    struct answer gone = GET(&f, "/v1/answer/answer-v1/s-1");
    check_error(&gone, 404, "NOT_FOUND", "Answer session not found");
}

TEST(api, the_session_of_one_key_is_closed_to_another)
{
    FIXTURE(f);
    struct str mine = new_secret(&f, "\"answer\""), theirs = new_secret(&f, "\"answer\""), weak = new_secret(&f, "\"read\"");
    const char *question = "{\"query\":\"anything\",\"sessionId\":\"s-1\"}";
    check_int(ask_as(&f, mine, "POST", "/v1/answer", question).status, 200);
    struct answer foreign = ask_as(&f, theirs, "POST", "/v1/answer", question);
    check_error(&foreign, 403, "FORBIDDEN", "This answer session belongs to someone else");
    check_int(ask_as(&f, theirs, "DELETE", "/v1/answer/x/s-1", "").status, 403);
    check_int(ask_as(&f, mine, "GET", "/v1/answer/x/s-1", "").status, 204);
    struct answer refused = ask_as(&f, weak, "POST", "/v1/answer", question);
    check_error(&refused, 403, "FORBIDDEN", "This API key lacks the scope 'answer'");
}

int main(void)
{
    crypto_start();
    const struct CMUnitTest tests[] = {
        RUN(api, an_import_stores_events_and_reports_those_it_cannot),
        RUN(api, an_unknown_import_is_not_found),
        RUN(api, search_answers_in_the_published_shape),
        RUN(api, an_empty_workspace_answers_with_nothing_found),
        RUN(api, contents_keep_the_order_and_form_of_the_ids),
        RUN(api, graph_and_related_answer_by_post_and_by_path),
        RUN(api, similar_takes_an_url_and_says_when_it_is_unknown),
        RUN(api, messages_are_checked_beside_a_query_too),
        RUN(api, a_question_without_a_socket_gets_its_events_as_one_text),
        RUN(api, the_session_of_one_key_is_closed_to_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
