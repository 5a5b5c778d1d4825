/* net_client_test.c - the HTTP client: connections, limits, timeouts, what it refuses. */
#include "directory.h"
#include "http_script.h"

#include "net/net.h"

#include <sys/un.h>

/* ---- the client -------------------------------------------------------------------------------------------------- */

static struct err *get(struct arena *arena, const char *url, struct net_answer *answer)
{
    return net_http(arena, &(struct net_call){.method = "GET", .url = str_of(url), .timeout_ms = 5000}, answer);
}

TEST(client, connections_are_used_again)
{
    static struct script script = {.replies = {OK_JSON("2") "{}"}};
    script_start(&script);
    for (int i = 0; i < 3; i++) {
        struct net_answer answer;
        check_ok(get(arena, script.address, &answer));
        check_str(answer.body, "{}");
    }
    check_int(script.requests, 3);
    check_int(script.connections, 1);
    script_stop(&script);
}

TEST(client, redirects_are_answers)
{
    static struct script script = {
        .replies = {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"}};
    script_start(&script);
    struct net_answer answer;
    check_ok(get(arena, script.address, &answer));
    check_int(answer.status, 302);
    script_stop(&script);
}

TEST(client, retry_after_is_reported)
{
    static struct script script = {.replies = {"HTTP/1.1 429 No\r\nretry-after: 7\r\nContent-Length: 0\r\n\r\n"}};
    script_start(&script);
    struct net_answer answer;
    check_ok(get(arena, script.address, &answer));
    check_int(answer.status, 429);
    check_str(answer.retry_after, "7");
    script_stop(&script);
}

TEST(client, longer_answers_than_allowed_are_refused)
{
    static struct script script = {.replies = {OK_JSON("10") "0123456789"}};
    script_start(&script);
    struct net_answer answer;
    struct net_call   call = {.method = "GET", .url = str_of(script.address), .max_reply = 9};
    check_err(net_http(arena, &call, &answer), ERR_TOO_LARGE);
    call.max_reply = 10;
    check_ok(net_http(arena, &call, &answer));
    script_stop(&script);
}

TEST(client, a_cut_answer_is_an_error)
{
    static struct script script = {.replies = {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\nhalf"}};
    script_start(&script);
    struct net_answer answer;
    check_err(get(arena, script.address, &answer), ERR_UNAVAILABLE);
    script_stop(&script);
}

TEST(client, silence_ends_in_a_timeout)
{
    static struct script script = {.replies = {NULL}};
    script_start(&script);
    struct net_answer answer;
    struct net_call   call = {.method = "GET", .url = str_of(script.address), .timeout_ms = 100};
    check_err(net_http(arena, &call, &answer), ERR_TIMEOUT);
    script_stop(&script);
}

TEST(client, nobody_listening_is_unavailable)
{
    struct net_answer answer;
    check_err(get(arena, "http://127.0.0.1:1/", &answer), ERR_UNAVAILABLE);
}

TEST(client, only_http_is_spoken)
{
    struct net_answer answer;
    check_err(get(arena, "file:///etc/passwd", &answer), ERR_INVALID);
    check_err(get(arena, "gopher://127.0.0.1/", &answer), ERR_INVALID);
    check_err(get(arena, "", &answer), ERR_INVALID);
}

TEST(client, headers_cannot_be_smuggled)
{
    struct net_answer answer;
    struct net_call   call = {.method = "GET", .url = STR("http://127.0.0.1:1/"),
                              .headers = {{STR("X-Name"), STR("a\r\nX-Other: b")}}, .header_count = 1};
    check_err(net_http(arena, &call, &answer), ERR_INVALID);
}

TEST(client, proxies_of_the_environment_are_not_used_on_this_machine)
{
    static struct script script = {.replies = {OK_JSON("2") "{}"}};
    script_start(&script);
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    struct net_answer answer;
    struct err       *failed = get(arena, script.address, &answer);
    unsetenv("http_proxy");
    check_ok(failed);
    script_stop(&script);
}

TEST(client, speaks_through_a_unix_socket)
{
    static struct script script = {.replies = {OK_JSON("2") "{}"}};
    char               directory[DIRECTORY_PATH];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    directory_make(directory);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", directory);
    script.listener = socket(AF_UNIX, SOCK_STREAM, 0);
    listen_on(&script, (struct sockaddr *)&address, sizeof address);

    struct net_answer answer;
    struct net_call   call = {.method = "POST", .url = STR("http://localhost/v1/search"), .body = STR("{\"q\":1}"),
                              .socket_path = str_of(address.sun_path)};
    struct err *failed = net_http(arena, &call, &answer);
    directory_remove(directory);
    check_ok(failed);
    check_int(answer.status, 200);
    check(strstr(script.last, "POST /v1/search HTTP/1.1\r\n"));
    check(strstr(script.last, "\r\n\r\n{\"q\":1}"));
    script_stop(&script);
}

struct parallel {
    const char *url;
    int         good;
};

static void *get_many(void *arg)
{
    struct parallel *parallel = arg;
    for (int i = 0; i < 20; i++) {
        struct arena     *work ARENA_SCOPE = arena_create();
        struct net_answer answer;
        if (!get(work, parallel->url, &answer) && str_eq(answer.body, STR("{}"))) parallel->good++;
    }
    return NULL;
}

TEST(client, serves_many_threads)
{
    static struct script script = {.replies = {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"}};
    script_start(&script);
    pthread_t       threads[4];
    struct parallel parallel[4];
    for (int i = 0; i < 4; i++) {
        parallel[i] = (struct parallel){.url = script.address};
        pthread_create(&threads[i], NULL, get_many, &parallel[i]);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) check_int(parallel[i].good, 20);
    script_stop(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(client, connections_are_used_again),
        RUN(client, redirects_are_answers),
        RUN(client, retry_after_is_reported),
        RUN(client, longer_answers_than_allowed_are_refused),
        RUN(client, a_cut_answer_is_an_error),
        RUN(client, silence_ends_in_a_timeout),
        RUN(client, nobody_listening_is_unavailable),
        RUN(client, only_http_is_spoken),
        RUN(client, headers_cannot_be_smuggled),
        RUN(client, proxies_of_the_environment_are_not_used_on_this_machine),
        RUN(client, speaks_through_a_unix_socket),
        RUN(client, serves_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
