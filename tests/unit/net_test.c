/* net_test.c - the HTTP server on real sockets: what clients may do to it, and how it stops. */
#include "child.h"
#include "directory.h"
#include "unit/net_world.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  gate_changed = PTHREAD_COND_INITIALIZER;
static bool            gate_open;   /* guarded by gate_lock: "/gate" returns when it is set */
static int             gate_inside; /* guarded by gate_lock: handlers of "/gate" that run */

static void gate_set(bool open)
{
    pthread_mutex_lock(&gate_lock);
    gate_open = open;
    pthread_cond_broadcast(&gate_changed);
    pthread_mutex_unlock(&gate_lock);
}

static void gate_wait_inside(int wanted)
{
    pthread_mutex_lock(&gate_lock);
    while (gate_inside != wanted) pthread_cond_wait(&gate_changed, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
}

static void gate_pass(void)
{
    pthread_mutex_lock(&gate_lock);
    gate_inside++;
    pthread_cond_broadcast(&gate_changed);
    while (!gate_open) pthread_cond_wait(&gate_changed, &gate_lock);
    gate_inside--;
    pthread_cond_broadcast(&gate_changed);
    pthread_mutex_unlock(&gate_lock);
}

static _Atomic int looked; /* how often "/left" has found its client still there */

static void gate_count(int change)
{
    pthread_mutex_lock(&gate_lock);
    gate_inside += change;
    pthread_cond_broadcast(&gate_changed);
    pthread_mutex_unlock(&gate_lock);
}

static void stay_until_the_client_leaves(const struct net_request *request)
{
    gate_count(1);
    for (; !net_client_left(request); looked++) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    gate_count(-1);
}

/* Says what it was asked: "METHOD PATH?QUERY BODY-BYTES STATE LOCAL". */
static void describe(void *arg, struct net_request *request, struct net_reply *reply)
{
    static const char *const states[] = {"ok", "too-large", "refused"};
    if (str_eq(request->path, STR("/gate"))) gate_pass();
    if (str_eq(request->path, STR("/left"))) stay_until_the_client_leaves(request);
    reply->status = request->body_state == NET_BODY_OK ? 200 : request->body_state == NET_BODY_REFUSED ? 503 : 413;
    struct buf said = buf_in(request->arena);
    buf_printf(&said, STR_FMT " ", STR_ARG(request->method));
    buf_str_add(&said, request->path); /* may hold a NUL */
    buf_printf(&said, "?" STR_FMT " %zu %s %s", STR_ARG(request->query), request->body.n, states[request->body_state],
               request->local ? "local" : "remote");
    reply->body = buf_str(&said);
    net_reply_header(reply, "X-Echo", net_header_get(request, "x-test"));
}

static struct net_terms thousand_bytes(void *arg, struct str method, struct str path)
{
    return (struct net_terms){.body_bytes = 1000};
}

static struct net_terms short_gate(void *arg, struct str method, struct str path)
{
    bool gate = str_eq(path, STR("/gate")) || str_eq(path, STR("/left"));
    return (struct net_terms){.body_bytes = 1000, .handler_ms = gate ? 100 : 0};
}

struct running {
    struct workers    *workers;
    struct net_server *server;
};

static struct running serve(struct arena *arena, struct net_server_config config)
{
    struct running running = {.workers = workers_start(2, "test")};
    struct str     any = STR("127.0.0.1:0");
    if (!config.listen_count && !config.socket_path.n) {
        config.listen = &any;
        config.listen_count = 1;
    }
    config.workers = running.workers;
    config.handler = describe;
    if (!config.terms) config.terms = thousand_bytes;
    gate_set(false);
    check_ok(net_server_start(arena, config, &running.server));
    return running;
}

static void finish(struct running running)
{
    gate_set(true);
    net_server_stop(running.server, 30000);
    workers_stop(running.workers);
}

static int dial_server(struct running running)
{
    return dial(net_server_address(running.server, 0));
}

TEST(net, answers_and_keeps_the_connection)
{
    struct running running = serve(arena, (struct net_server_config){0});
    int            fd = dial_server(running);
    say(fd, "GET /a%20b/c?x=1 HTTP/1.1\r\nHost: h\r\nX-Test: hello\r\n\r\n");
    struct str first = hear_until(arena, fd, "remote");
    check(str_starts(first, STR("HTTP/1.1 200 ")));
    check(mentions(first, "X-Echo: hello\r\n"));
    check(mentions(first, "Content-Type: application/json\r\n"));
    check(mentions(first, "\r\n\r\nGET /a b/c?x=1 0 ok remote"));
    say(fd, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
    check(mentions(hear_until(arena, fd, "remote"), "POST /p? 5 ok remote"));
    close(fd);
    finish(running);
}

TEST(net, pipelined_requests_are_answered_in_order)
{
    struct running running = serve(arena, (struct net_server_config){0});
    int            fd = dial_server(running);
    say(fd, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
            "GET /3 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    struct str all = hear_all(arena, fd);
    size_t     one = str_find(all, STR("GET /1? 0 ok"), 0), two = str_find(all, STR("POST /2? 3 ok"), 0),
               three = str_find(all, STR("GET /3? 0 ok"), 0);
    check(one < two && two < three && three != SIZE_MAX);
    finish(running);
}

TEST(net, head_has_the_length_but_no_body)
{
    struct running running = serve(arena, (struct net_server_config){0});
    int            fd = dial_server(running);
    say(fd, "HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    struct str all = hear_all(arena, fd);
    check(mentions(all, "Content-Length: 19\r\n"));
    check(str_ends(all, STR("\r\n\r\n")));
    finish(running);
}

TEST(net, a_body_above_the_limit_is_drained_and_reaches_the_handler_as_too_large)
{
    struct running running = serve(arena, (struct net_server_config){0});
    int            fd = dial_server(running);
    char           big[3001];
    memset(big, 'x', sizeof big);
    big[3000] = 0;
    say(fd, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3000\r\n\r\n");
    say(fd, big);
    say(fd, "GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    struct str all = hear_all(arena, fd);
    check(str_starts(all, STR("HTTP/1.1 413 ")));
    check(mentions(all, "POST /p? 0 too-large"));
    check(mentions(all, "GET /next? 0 ok")); /* the connection stayed usable */
    finish(running);
}

TEST(net, a_chunked_body_above_the_limit_is_too_large)
{
    struct running running = serve(arena, (struct net_server_config){0});
    int            fd = dial_server(running);
    say(fd, "POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        char chunk[401];
        memset(chunk, 'x', sizeof chunk);
        chunk[400] = 0;
        say(fd, "190\r\n");
        say(fd, chunk);
        say(fd, "\r\n");
    }
    say(fd, "0\r\n\r\n");
    check(str_starts(hear_all(arena, fd), STR("HTTP/1.1 413 ")));
    finish(running);
}

TEST(net, a_body_that_announces_far_too_much_is_refused_unread)
{
    struct running running = serve(arena, (struct net_server_config){0});
    int            fd = dial_server(running);
    say(fd, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n");
    check(str_starts(hear_all(arena, fd), STR("HTTP/1.1 413 ")));
    finish(running);
}

TEST(net, bodies_of_all_connections_share_a_bounded_memory)
{
    struct running running = serve(arena, (struct net_server_config){.body_memory = 600});
    int            fd = dial_server(running);
    char           big[701];
    memset(big, 'x', sizeof big);
    big[700] = 0;
    say(fd, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 700\r\n\r\n");
    say(fd, big);
    check(mentions(hear_until(arena, fd, "remote"), "POST /p? 0 refused"));
    for (int i = 0; i < 3; i++) { /* memory is given back */
        say(fd, "POST /q HTTP/1.1\r\nHost: h\r\nContent-Length: 400\r\n\r\n");
        say(fd, big + 300);
        check(mentions(hear_until(arena, fd, "remote"), "POST /q? 400 ok"));
    }
    close(fd);
    finish(running);
}

TEST(net, a_trickling_body_is_cut_off_at_its_deadline)
{
    struct running running = serve(arena, (struct net_server_config){.body_deadline_ms = 300});
    int            fd = dial_server(running);
    say(fd, "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 900\r\n\r\n");
    struct pollfd heard = {.fd = fd, .events = POLLIN};
    int           sent = 0;
    while (sent < 899 && poll(&heard, 1, 20) == 0 && send(fd, "x", 1, MSG_NOSIGNAL) == 1) sent++;
    check(sent < 899); /* it did not wait for the end */
    struct str all = hear_all(arena, fd);
    check(str_starts(all, STR("HTTP/1.1 408 ")));
    check(mentions(all, "\"error\":\"REQUEST_TIMEOUT\""));
    finish(running);
}

TEST(net, a_head_that_never_ends_is_closed)
{
    struct running running = serve(arena, (struct net_server_config){.head_deadline_ms = 100});
    int            silent = dial_server(running), half = dial_server(running);
    say(half, "GET / HTTP/1.1\r\nHost: h\r\nX-");
    check_int(hear_all(arena, silent).n, 0);
    check_int(hear_all(arena, half).n, 0);
    finish(running);
}

TEST(net, an_idle_connection_is_closed)
{
    struct running running = serve(arena, (struct net_server_config){.idle_deadline_ms = 500});
    int            fd = dial_server(running);
    say(fd, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    check(mentions(hear_all(arena, fd), "GET /? 0 ok"));
    finish(running);
}

TEST(net, connections_above_the_limit_are_served_when_idle_ones_give_way)
{
    struct running running = serve(arena, (struct net_server_config){.max_connections = 4});
    int            idle[4];
    for (int i = 0; i < 4; i++) {
        idle[i] = dial_server(running);
        say(idle[i], "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        hear_until(arena, idle[i], "remote");
    }
    int fd = dial_server(running);
    say(fd, "GET /late HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    check(mentions(hear_all(arena, fd), "GET /late? 0 ok"));
    for (int i = 0; i < 4; i++) close(idle[i]);
    finish(running);
}

TEST(net, what_is_not_http_is_refused)
{
    static const char *const broken[] = {
        "\x16\x03\x01\x02\x01\x01\xfc\x03\x03 hello\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5x\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    };
    struct running running = serve(arena, (struct net_server_config){.head_deadline_ms = 2000, .body_deadline_ms = 2000});
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        int fd = dial_server(running);
        say(fd, broken[i]);
        check(!mentions(hear_all(arena, fd), " 200 "));
    }
    int fd = dial_server(running); /* and the server lives */
    say(fd, "GET /after HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    check(mentions(hear_all(arena, fd), "GET /after? 0 ok"));
    finish(running);
}

TEST(net, headers_are_bounded)
{
    struct running running = serve(arena, (struct net_server_config){0});
    struct buf     request = buf_in(arena);
    buf_lit(&request, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < 5000; i++) buf_printf(&request, "X-Header-%d: some value\r\n", i);
    buf_lit(&request, "\r\n");
    int fd = dial_server(running);
    (void)!send(fd, request.s, request.n, MSG_NOSIGNAL);
    check(!mentions(hear_all(arena, fd), " 200 "));
    finish(running);
}

TEST(net, a_body_that_may_end_in_two_places_is_refused_and_the_connection_closed)
{
    static const char *const framings[] = {"Content-Length: 2\r\nContent-Length: 20\r\n",
                                           "Content-Length: 30\r\nTransfer-Encoding: chunked\r\n",
                                           "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                                           "Transfer-Encoding: gzip\r\n"};
    struct running running = serve(arena, (struct net_server_config){0});
    for (size_t i = 0; i < sizeof framings / sizeof *framings; i++) {
        int fd = dial_server(running);
        say(fd, str_z(arena, str_printf(arena, "POST /p HTTP/1.1\r\nHost: h\r\n%s\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
                                        framings[i])));
        struct str heard = hear_all(arena, fd);
        check(str_starts(heard, STR("HTTP/1.1 400 ")));
        /* libmicrohttpd 1.0.0 refuses some of these itself, with a page of its own */
        check(mentions(heard, "\"error\":\"BAD_REQUEST\"") || mentions(heard, "<html>"));
        check(!mentions(heard, "smuggled"));
    }
    finish(running);
}

TEST(net, a_decoded_nul_does_not_end_the_path)
{
    struct running running = serve(arena, (struct net_server_config){0});
    int            fd = dial_server(running);
    say(fd, "GET /a%00b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    struct str all = hear_all(arena, fd);
    check(str_find(all, STR("GET /a\0b? 0 ok"), 0) != SIZE_MAX);
    finish(running);
}

TEST(net, a_client_that_leaves_early_harms_nothing)
{
    struct running running = serve(arena, (struct net_server_config){0});
    int            fd = dial_server(running);
    say(fd, "GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    gate_wait_inside(1);
    close(fd);
    gate_set(true);
    gate_wait_inside(0);
    fd = dial_server(running);
    say(fd, "GET /after HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    check(mentions(hear_all(arena, fd), "GET /after? 0 ok"));
    finish(running);
}

TEST(net, a_handler_learns_that_its_client_has_left)
{
    struct running running = serve(arena, (struct net_server_config){0});
    int            fd = dial_server(running);
    looked = 0;
    say(fd, "GET /left HTTP/1.1\r\nHost: h\r\n\r\n");
    while (looked < 5) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    gate_wait_inside(1);
    close(fd);
    gate_wait_inside(0);
    finish(running);
}

TEST(net, a_handler_learns_that_its_client_was_answered_for)
{
    struct running running = serve(arena, (struct net_server_config){.terms = short_gate});
    int            fd = dial_server(running), after = dial_server(running);
    say(fd, "GET /left HTTP/1.1\r\nHost: h\r\n\r\n");
    check(mentions(hear_until(arena, fd, "}"), "HTTP/1.1 504 "));
    gate_wait_inside(0); /* the client is still there */
    close(fd);
    say(after, "GET /after HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    check(mentions(hear_all(arena, after), "GET /after? 0 ok"));
    finish(running);
}

/* Leaves the reply to a thread that passes the gate first. */
static void *answer_at_the_gate(void *arg)
{
    void **both = arg;
    struct net_request *request = both[0];
    struct net_reply   *reply = both[1];
    gate_pass();
    reply->status = 200;
    reply->body = STR("later");
    net_reply_send(request);
    return NULL;
}

static void leave_to_another(void *arg, struct net_request *request, struct net_reply *reply)
{
    void    **both = NEW_ARRAY(request->arena, void *, 2);
    pthread_t thread;
    both[0] = request;
    both[1] = reply;
    check(net_may_reply_later(request));
    net_reply_later(request);
    check(pthread_create(&thread, NULL, answer_at_the_gate, both) == 0);
    pthread_detach(thread);
}

static struct net_terms short_path(void *arg, struct str method, struct str path)
{
    return (struct net_terms){.handler_ms = str_eq(path, STR("/short")) ? 100 : 0};
}

TEST(net, a_reply_may_come_from_another_thread_after_the_handler)
{
    struct workers    *one = workers_start(1, "one"); /* more requests wait than there are workers */
    struct str         any = STR("127.0.0.1:0");
    struct running     running = {.workers = one};
    gate_set(false);
    check_ok(net_server_start(arena,
                              (struct net_server_config){.listen = &any, .listen_count = 1, .workers = one,
                                                         .handler = leave_to_another, .terms = short_path},
                              &running.server));
    int fd[4];
    for (int i = 0; i < 4; i++) {
        fd[i] = dial_server(running);
        say(fd[i], i == 3 ? "GET /short HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
                          : "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    }
    gate_wait_inside(4);
    close(fd[0]);                                                                   /* this client has gone */
    check(str_starts(hear_all(arena, fd[3]), STR("HTTP/1.1 504 ")));                /* and this one was answered for */
    gate_set(true);
    for (int i = 1; i < 3; i++) check(mentions(hear_all(arena, fd[i]), "later"));
    gate_wait_inside(0);
    finish(running);
}

TEST(net, a_handler_past_its_time_limit_is_answered_for)
{
    struct running running = serve(arena, (struct net_server_config){.terms = short_gate});
    int            fd = dial_server(running);
    say(fd, "GET /gate HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    struct str all = hear_all(arena, fd); /* while the gate is still closed */
    check(str_starts(all, STR("HTTP/1.1 504 ")));
    check(mentions(all, "\"error\":\"TIMEOUT\""));
    finish(running);
}

TEST(net, the_unix_socket_is_private_and_local)
{
    char directory[DIRECTORY_PATH];
    directory_make(directory);
    struct str     path = str_printf(arena, "%s/s.sock", directory);
    struct running running = serve(arena, (struct net_server_config){.socket_path = path});
    struct stat    seen;
    check(stat(str_z(arena, path), &seen) == 0);
    check_int(seen.st_mode & 0777, 0600);
    check_int(net_server_address_count(running.server), 0);

    struct sockaddr_un to = {.sun_family = AF_UNIX};
    memcpy(to.sun_path, path.s, path.n);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    check(connect(fd, (struct sockaddr *)&to, sizeof to) == 0);
    say(fd, "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    check(mentions(hear_all(arena, fd), "GET /x? 0 ok local"));
    finish(running);
    check(access(str_z(arena, path), F_OK) != 0); /* gone with the server */
    directory_remove(directory);
}

TEST(net, a_stale_socket_file_is_replaced_a_live_one_is_not)
{
    char directory[DIRECTORY_PATH];
    directory_make(directory);
    struct str         path = str_printf(arena, "%s/s.sock", directory);
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    memcpy(at.sun_path, path.s, path.n);
    int left = socket(AF_UNIX, SOCK_STREAM, 0);
    check(bind(left, (struct sockaddr *)&at, sizeof at) == 0);
    close(left); /* the file stays, nobody listens */
    struct running     running = serve(arena, (struct net_server_config){.socket_path = path});
    struct net_server *second;
    check_err(net_server_start(arena,
                               (struct net_server_config){.socket_path = path, .handler = describe,
                                                          .workers = running.workers},
                               &second),
              ERR_UNAVAILABLE);
    check(access(str_z(arena, path), F_OK) == 0);
    finish(running);
    directory_remove(directory);
}

TEST(net, a_taken_address_is_named)
{
    struct running     running = serve(arena, (struct net_server_config){0});
    struct str         taken = net_server_address(running.server, 0);
    struct net_server *second;
    struct err        *err = net_server_start(arena,
                                              (struct net_server_config){.listen = &taken, .listen_count = 1,
                                                                         .handler = describe, .workers = running.workers},
                                              &second);
    check(err && err->code == ERR_UNAVAILABLE);
    check(str_find(err->message, taken, 0) != SIZE_MAX);
    finish(running);
}

static bool has_ipv6(void)
{
    struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int                 fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool                bound = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0;
    if (fd >= 0) close(fd);
    return bound;
}

TEST(net, ipv6_and_ipv4_listen_side_by_side)
{
    if (!has_ipv6()) LEAVE("this machine has no IPv6");
    struct str     listen[] = {STR("127.0.0.1:0"), STR("[::1]:0")};
    struct running running = serve(arena, (struct net_server_config){.listen = listen, .listen_count = 2});
    check_int(net_server_address_count(running.server), 2);
    check(str_starts(net_server_address(running.server, 1), STR("[::1]:")));
    finish(running);
}

static void *stop_server(void *arg)
{
    net_server_stop(arg, 60000);
    return NULL;
}

TEST(net, stop_lets_a_running_handler_finish)
{
    struct running running = serve(arena, (struct net_server_config){0});
    int            fd = dial_server(running);
    pthread_t      stopping;
    say(fd, "GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    gate_wait_inside(1);
    pthread_create(&stopping, NULL, stop_server, running.server);
    gate_set(true);
    struct str all = hear_all(arena, fd);
    check(mentions(all, "GET /gate? 0 ok"));
    pthread_join(stopping, NULL);
    workers_stop(running.workers);
}

TEST(net, stop_answers_for_a_handler_that_outlives_the_grace)
{
    struct running running = serve(arena, (struct net_server_config){0});
    int            fd = dial_server(running);
    say(fd, "GET /gate HTTP/1.1\r\nHost: h\r\n\r\n");
    gate_wait_inside(1);
    net_server_stop(running.server, 50);
    struct str all = hear_all(arena, fd);
    check(str_starts(all, STR("HTTP/1.1 503 ")));
    check(mentions(all, "\"error\":\"SERVICE_UNAVAILABLE\""));
    gate_set(true);
    workers_stop(running.workers);
}

/* Arguments: the socket, the pipe that ends when it shall stop. */
static void serve_passed_socket(char *const arguments[CHILD_ARGUMENTS])
{
    struct arena *arena ARENA_SCOPE = arena_create();
    int           kept = fcntl(atoi(arguments[1]), F_DUPFD, 10), passed = fcntl(atoi(arguments[0]), F_DUPFD, 10);
    dup2(passed, 3);
    setenv("LISTEN_PID", str_z(arena, str_printf(arena, "%d", (int)getpid())), 1);
    setenv("LISTEN_FDS", "1", 1);
    struct running running = serve(arena, (struct net_server_config){.inherit = true});
    char           c;
    (void)!read(kept, &c, 1);
    finish(running);
}

TEST(net, a_passed_socket_takes_the_place_of_the_addresses)
{
    int                passed = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t          n = sizeof at;
    check(bind(passed, (struct sockaddr *)&at, n) == 0 && listen(passed, 5) == 0);
    check(getsockname(passed, (struct sockaddr *)&at, &n) == 0);
    int stop[2];
    check(pipe(stop) == 0 && fcntl(stop[1], F_SETFD, FD_CLOEXEC) == 0);
    pid_t child = CHILD("serve_passed_socket", str_z(arena, str_printf(arena, "%d", passed)),
                        str_z(arena, str_printf(arena, "%d", stop[0])));
    close(stop[0]);
    int fd = dial(str_printf(arena, "127.0.0.1:%d", ntohs(at.sin_port)));
    say(fd, "GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    check(mentions(hear_until(arena, fd, "remote"), "GET /x? 0 ok remote"));
    close(stop[1]);
    close(passed);
    int status;
    check(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST(net, a_request_made_by_hand_has_query_and_headers)
{
    struct net_request *request =
        net_request_local(arena, "GET", STR("/v1/graph/obs%5F1?depth=2&types=a%2Cb+c&flag"), (struct str){0});
    net_request_header(request, "X-Workspace-ID", STR("main"));
    check_str(request->path, "/v1/graph/obs_1");
    check_str(net_query_get(request, "depth"), "2");
    check_str(net_query_get(request, "types"), "a,b c");
    check(net_query_get(request, "flag").s && net_query_get(request, "flag").n == 0);
    check(!net_query_get(request, "none").s);
    check_str(net_header_get(request, "x-workspace-id"), "main");
    check(!net_header_get(request, "authorization").s);
    check(request->local);
}

TEST(net, a_percent_sign_without_digits_stands_for_itself)
{
    check_str(net_decode(arena, STR("100%zz%4"), false), "100%zz%4");
    check_str(net_decode(arena, STR("a+b%2B"), true), "a b+");
    check_str(net_decode(arena, STR("a+b"), false), "a+b");
    check_str(net_decode(arena, STR("a%2Fb%2f/c%20d"), false), "a%2Fb%2f/c d");
    check_str(net_decode(arena, STR("a%2Fb"), true), "a/b");
}

int main(int argc, char **argv)
{
    static const struct child_part parts[] = {{"serve_passed_socket", serve_passed_socket}};
    child_play(parts, 1, argc, argv);
    const struct CMUnitTest tests[] = {
        RUN(net, answers_and_keeps_the_connection),
        RUN(net, pipelined_requests_are_answered_in_order),
        RUN(net, head_has_the_length_but_no_body),
        RUN(net, a_body_above_the_limit_is_drained_and_reaches_the_handler_as_too_large),
        RUN(net, a_chunked_body_above_the_limit_is_too_large),
        RUN(net, a_body_that_announces_far_too_much_is_refused_unread),
        RUN(net, bodies_of_all_connections_share_a_bounded_memory),
        RUN(net, a_trickling_body_is_cut_off_at_its_deadline),
        RUN(net, a_head_that_never_ends_is_closed),
        RUN(net, an_idle_connection_is_closed),
        RUN(net, connections_above_the_limit_are_served_when_idle_ones_give_way),
        RUN(net, what_is_not_http_is_refused),
        RUN(net, headers_are_bounded),
        RUN(net, a_body_that_may_end_in_two_places_is_refused_and_the_connection_closed),
        RUN(net, a_decoded_nul_does_not_end_the_path),
        RUN(net, a_client_that_leaves_early_harms_nothing),
        RUN(net, a_handler_learns_that_its_client_has_left),
        RUN(net, a_handler_learns_that_its_client_was_answered_for),
        RUN(net, a_reply_may_come_from_another_thread_after_the_handler),
        RUN(net, a_handler_past_its_time_limit_is_answered_for),
        RUN(net, the_unix_socket_is_private_and_local),
        RUN(net, a_stale_socket_file_is_replaced_a_live_one_is_not),
        RUN(net, a_taken_address_is_named),
        RUN(net, ipv6_and_ipv4_listen_side_by_side),
        RUN(net, stop_lets_a_running_handler_finish),
        RUN(net, stop_answers_for_a_handler_that_outlives_the_grace),
        RUN(net, a_passed_socket_takes_the_place_of_the_addresses),
        RUN(net, a_request_made_by_hand_has_query_and_headers),
        RUN(net, a_percent_sign_without_digits_stands_for_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
