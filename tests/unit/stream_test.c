/* stream_test.c - replies in pieces: who writes them, who reads them slowly or not at all, and how the server stops. */
#include "unit/net_world.h"

#include "base/time.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* Streams that the handler of "/stream" has opened, in order of opening; the tests write them. */
static pthread_mutex_t    opened_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t     opened_changed = PTHREAD_COND_INITIALIZER;
static struct net_stream *opened[8];
static size_t             opened_count;

static void open_stream(void *arg, struct net_request *request, struct net_reply *reply)
{
    reply->status = 200;
    if (!str_eq(request->path, STR("/stream"))) {
        reply->body = STR("short");
        return;
    }
    if (net_query_get(request, "plain").s) reply->content_type = "text/csv";
    struct net_stream *stream = net_stream_open(request, reply, *(struct net_stream_config *)arg);
    pthread_mutex_lock(&opened_lock);
    opened[opened_count++] = stream;
    pthread_cond_broadcast(&opened_changed);
    pthread_mutex_unlock(&opened_lock);
}

static struct net_stream *wait_for_stream(size_t i)
{
    pthread_mutex_lock(&opened_lock);
    while (opened_count <= i) pthread_cond_wait(&opened_changed, &opened_lock);
    struct net_stream *stream = opened[i];
    pthread_mutex_unlock(&opened_lock);
    return stream;
}

struct world {
    struct net_stream_config config;
    struct workers          *workers;
    struct net_server       *server;
};

static void serve(struct arena *arena, struct world *world, int max_streams)
{
    struct str any = STR("127.0.0.1:0");
    opened_count = 0;
    world->workers = workers_start(1, "test");
    check_ok(net_server_start(arena,
                              (struct net_server_config){.listen = &any, .listen_count = 1, .handler = open_stream,
                                                         .arg = &world->config, .workers = world->workers,
                                                         .max_streams = max_streams},
                              &world->server));
}

static void finish(struct world *world)
{
    net_server_stop(world->server, 30000);
    workers_stop(world->workers);
}

static int ask(struct world *world, const char *target, const char *version)
{
    char text[200];
    int  fd = dial(net_server_address(world->server, 0));
    snprintf(text, sizeof text, "GET %s %s\r\nHost: h\r\n\r\n", target, version);
    say(fd, text);
    return fd;
}

static void wait_until_over(struct net_stream *stream)
{
    while (net_stream_alive(stream)) usleep(1000);
}

TEST(stream, pieces_arrive_while_the_reply_goes_on)
{
    struct world world = {0};
    serve(arena, &world, 0);
    int                fd = ask(&world, "/stream", "HTTP/1.1");
    struct net_stream *stream = wait_for_stream(0);
    struct str         head = hear_until(arena, fd, "\r\n\r\n");
    check(mentions(head, "HTTP/1.1 200 "));
    check(mentions(head, "Content-Type: text/event-stream\r\n"));
    check(mentions(head, "Cache-Control: no-cache\r\n"));
    check(mentions(head, "X-Accel-Buffering: no\r\n"));
    check(mentions(head, "Transfer-Encoding: chunked\r\n"));
    check(net_stream_write(stream, STR("first")));
    hear_until(arena, fd, "first\r\n");
    check(net_stream_write(stream, STR("second")));
    hear_until(arena, fd, "second\r\n");
    net_stream_close(stream);
    check_str(hear_until(arena, fd, "0\r\n\r\n"), "0\r\n\r\n");
    say(fd, "GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); /* the connection is good for more */
    check(str_ends(hear_all(arena, fd), STR("short")));
    finish(&world);
}

TEST(stream, an_event_has_its_fields_on_lines_and_no_value_begins_another_field)
{
    struct world world = {0};
    serve(arena, &world, 0);
    int                fd = ask(&world, "/stream", "HTTP/1.0");
    struct net_stream *stream = wait_for_stream(0);
    check(net_stream_event(stream, (struct net_event){STR("7"), STR("activity"), STR("{\"a\":1}")}));
    check(net_stream_event(stream, (struct net_event){.id = STR("8\nevent: forged"), .data = STR("one\r\ntwo")}));
    check(net_stream_event(stream, (struct net_event){.name = STR("reset")}));
    net_stream_close(stream);
    hear_until(arena, fd, "\r\n\r\n");
    check_str(hear_all(arena, fd), "id: 7\nevent: activity\ndata: {\"a\":1}\n\n"
                                   "id: 8event: forged\ndata: one\ndata: two\n\n"
                                   "event: reset\ndata: \n\n");
    finish(&world);
}

TEST(stream, a_request_that_no_socket_brought_has_none)
{
    struct net_reply    reply = {0};
    struct net_request *request = net_request_local(arena, "GET", STR("/stream"), STR(""));
    check(net_stream_open(request, &reply, (struct net_stream_config){0}) == NULL); /* no socket, no stream */
    check(reply.stream == NULL && reply.content_type == NULL);
}

TEST(stream, a_long_body_arrives_whole)
{
    enum { PIECES = 2000, PIECE = 1000 };
    struct world world = {.config = {.queue_bytes = PIECES * PIECE}};
    serve(arena, &world, 0);
    int                fd = ask(&world, "/stream?plain", "HTTP/1.0");
    struct net_stream *stream = wait_for_stream(0);
    char               piece[PIECE];
    for (int i = 0; i < PIECES; i++) {
        memset(piece, 'a' + i % 26, sizeof piece);
        check(net_stream_write(stream, (struct str){piece, sizeof piece}));
    }
    net_stream_close(stream);
    check(mentions(hear_until(arena, fd, "\r\n\r\n"), "Content-Type: text/csv\r\n"));
    struct str body = hear_all(arena, fd);
    check_int(body.n, PIECES * PIECE);
    for (size_t i = 0; i < body.n; i++)
        if (body.s[i] != (char)('a' + i / PIECE % 26)) fail_msg("wrong byte at %zu", i);
    finish(&world);
}

TEST(stream, a_client_that_leaves_is_noticed_while_nothing_is_written)
{
    struct world world = {0};
    serve(arena, &world, 0);
    int                fd = ask(&world, "/stream", "HTTP/1.1");
    struct net_stream *stream = wait_for_stream(0);
    hear_until(arena, fd, "\r\n\r\n");
    check(net_stream_alive(stream));
    close(fd);
    wait_until_over(stream);
    check(!net_stream_write(stream, STR("too late")));
    net_stream_close(stream);
    finish(&world);
}

TEST(stream, a_client_that_leaves_while_it_is_written_to_is_noticed)
{
    struct world world = {0};
    serve(arena, &world, 0);
    int                fd = ask(&world, "/stream", "HTTP/1.1");
    struct net_stream *stream = wait_for_stream(0);
    hear_until(arena, fd, "\r\n\r\n");
    for (int i = 0; net_stream_write(stream, STR("piece")); i++) {
        if (i == 50) close(fd);
        usleep(100);
    }
    check(!net_stream_alive(stream));
    net_stream_close(stream);
    finish(&world);
}

TEST(stream, the_stream_outlives_the_server_for_its_writer)
{
    struct world world = {0};
    serve(arena, &world, 0);
    int                fd = ask(&world, "/stream", "HTTP/1.1");
    struct net_stream *stream = wait_for_stream(0);
    finish(&world);
    check(!net_stream_write(stream, STR("nobody hears")));
    net_stream_close(stream);
    close(fd);
}

TEST(stream, stop_sends_what_is_queued_and_ends_the_body)
{
    struct world world = {0};
    serve(arena, &world, 0);
    int                fd = ask(&world, "/stream", "HTTP/1.1"), idle = ask(&world, "/stream", "HTTP/1.1");
    struct net_stream *first = wait_for_stream(0), *second = wait_for_stream(1);
    hear_until(arena, fd, "\r\n\r\n");
    hear_until(arena, idle, "\r\n\r\n");
    check(net_stream_write(first, STR("last words")) && net_stream_write(second, STR("last words")));
    finish(&world);
    check(str_ends(hear_all(arena, fd), STR("last words\r\n0\r\n\r\n")));
    check(str_ends(hear_all(arena, idle), STR("last words\r\n0\r\n\r\n")));
    net_stream_close(first);
    net_stream_close(second);
}

TEST(stream, a_reader_for_whom_too_much_waits_is_cut_off_without_the_end)
{
    struct world world = {.config = {.queue_bytes = 10000}};
    serve(arena, &world, 0);
    int                fd = ask(&world, "/stream", "HTTP/1.1");
    struct net_stream *stream = wait_for_stream(0);
    hear_until(arena, fd, "\r\n\r\n");
    char piece[5000];
    memset(piece, 'x', sizeof piece);
    while (net_stream_write(stream, (struct str){piece, sizeof piece})) continue;
    check(!net_stream_alive(stream));
    net_stream_close(stream);
    check(!str_ends(hear_all(arena, fd), STR("0\r\n\r\n")));
    finish(&world);
}

TEST(stream, a_reader_for_whom_something_waits_too_long_is_cut_off)
{
    struct world world = {.config = {.queue_bytes = 64 << 20, .stall_ms = 50}};
    serve(arena, &world, 0);
    int                fd = ask(&world, "/stream", "HTTP/1.1");
    struct net_stream *stream = wait_for_stream(0);
    size_t             n = 32 << 20; /* more than the sockets hold */
    char              *much = arena_alloc(arena, n);
    memset(much, 'x', n);
    net_stream_write(stream, (struct str){much, n});
    wait_until_over(stream);
    net_stream_close(stream);
    check(!str_ends(hear_all(arena, fd), STR("0\r\n\r\n")));
    finish(&world);
}

TEST(stream, a_piece_larger_than_the_queue_ends_the_stream)
{
    struct world world = {.config = {.queue_bytes = 10}};
    serve(arena, &world, 0);
    int                fd = ask(&world, "/stream", "HTTP/1.1");
    struct net_stream *stream = wait_for_stream(0);
    check(!net_stream_write(stream, STR("eleven byte")));
    net_stream_close(stream);
    hear_all(arena, fd);
    finish(&world);
}

TEST(stream, comments_keep_a_silent_event_stream_alive)
{
    struct world world = {.config = {.beat_ms = 1}};
    serve(arena, &world, 0);
    int                fd = ask(&world, "/stream", "HTTP/1.1");
    struct net_stream *stream = wait_for_stream(0);
    hear_until(arena, fd, ": ping\n\n");
    hear_until(arena, fd, ": ping\n\n");
    net_stream_close(stream);
    check(str_ends(hear_until(arena, fd, "0\r\n\r\n"), STR("0\r\n\r\n")));
    close(fd);
    finish(&world);
}

TEST(stream, streams_above_their_number_are_refused_and_their_writers_told)
{
    struct world world = {0};
    serve(arena, &world, 1);
    int                fd = ask(&world, "/stream", "HTTP/1.1"), refused;
    struct net_stream *stream = wait_for_stream(0);
    hear_until(arena, fd, "\r\n\r\n");
    refused = ask(&world, "/stream", "HTTP/1.1");
    check(mentions(hear_until(arena, refused, "}"), "HTTP/1.1 503 "));
    wait_until_over(wait_for_stream(1));
    net_stream_close(wait_for_stream(1));
    net_stream_close(stream);
    hear_until(arena, fd, "0\r\n\r\n");
    say(fd, "GET /stream HTTP/1.1\r\nHost: h\r\n\r\n"); /* the place is free again */
    check(mentions(hear_until(arena, fd, "\r\n\r\n"), "HTTP/1.1 200 "));
    net_stream_close(wait_for_stream(2));
    close(refused);
    close(fd);
    finish(&world);
}

TEST(stream, head_of_a_stream_ends_at_once)
{
    struct world world = {0};
    serve(arena, &world, 0);
    int fd = dial(net_server_address(world.server, 0));
    say(fd, "HEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    check(mentions(hear_until(arena, fd, "\r\n\r\n"), "HTTP/1.1 200 "));
    wait_until_over(wait_for_stream(0));
    net_stream_close(wait_for_stream(0));
    close(fd);
    finish(&world);
}

struct writing { struct net_stream *stream; int from; };

static void *write_hundred(void *arg)
{
    struct writing *writing = arg;
    char            line[32];
    for (int i = 0; i < 100; i++) {
        int n = snprintf(line, sizeof line, "%d\n", writing->from + i);
        if (!net_stream_write(writing->stream, (struct str){line, (size_t)n})) return NULL;
    }
    return NULL;
}

TEST(stream, several_threads_write_whole_pieces)
{
    struct world world = {0};
    serve(arena, &world, 0);
    int                fd = ask(&world, "/stream?plain", "HTTP/1.0");
    struct net_stream *stream = wait_for_stream(0);
    pthread_t          threads[4];
    struct writing     writing[4];
    for (int i = 0; i < 4; i++) {
        writing[i] = (struct writing){stream, i * 100};
        pthread_create(&threads[i], NULL, write_hundred, &writing[i]);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    net_stream_close(stream);
    hear_until(arena, fd, "\r\n\r\n");
    int64_t sum = 0, count = 0, number;
    for (struct str rest = str_trim(hear_all(arena, fd)), line; str_cut(&rest, '\n', &line); count++) {
        check(str_to_int(line, &number));
        sum += number;
    }
    check_int(count, 400);
    check_int(sum, 399 * 400 / 2);
    finish(&world);
}

TEST(stream, clients_that_come_and_go_while_the_server_stops_harm_nothing)
{
    struct world world = {0};
    serve(arena, &world, 0);
    struct net_stream *streams[6];
    int                fds[6];
    pthread_t          threads[6];
    struct writing     writing[6];
    for (size_t i = 0; i < 6; i++) {
        fds[i] = ask(&world, "/stream", "HTTP/1.1");
        streams[i] = wait_for_stream(i);
        writing[i] = (struct writing){streams[i], 0};
        pthread_create(&threads[i], NULL, write_hundred, &writing[i]);
        if (i % 2) close(fds[i]);
    }
    finish(&world);
    for (size_t i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
        check(!net_stream_alive(streams[i]));
        net_stream_close(streams[i]);
        if (i % 2 == 0) close(fds[i]);
    }
}

/* ---- the client's side --------------------------------------------------------------------------------------------------- */

struct reader {
    struct buf          heard;
    const char         *stop_at; /* NULL: never */
    atomic_bool         stop;
    struct net_call     call;
    struct net_answer   answer;
    struct err         *failed;
    struct arena       *arena;
    pthread_t           thread;
};

static bool hear(void *arg, struct str text)
{
    struct reader *reader = arg;
    buf_str_add(&reader->heard, text);
    return !reader->stop_at || !mentions(buf_str(&reader->heard), reader->stop_at);
}

static bool is_stopped(void *arg) { return atomic_load(&((struct reader *)arg)->stop); }

static void *read_stream(void *arg)
{
    struct reader *reader = arg;
    reader->failed = net_http(reader->arena, &reader->call, &reader->answer);
    return NULL;
}

static void begin_reading(struct reader *reader, struct world *world, struct arena *arena, const char *path)
{
    reader->arena = arena;
    reader->heard = buf_in(arena);
    reader->call.method = "GET";
    reader->call.url = str_printf(arena, "http://" STR_FMT "%s", STR_ARG(net_server_address(world->server, 0)), path);
    reader->call.arg = reader;
    check(pthread_create(&reader->thread, NULL, read_stream, reader) == 0);
}

TEST(stream, a_client_gets_the_pieces_and_no_body)
{
    struct world world = {0};
    struct arena *other ARENA_SCOPE = arena_create();
    struct reader reader = {.call = {.piece = hear}};
    serve(arena, &world, 0);
    begin_reading(&reader, &world, other, "/stream?plain=1");
    struct net_stream *stream = wait_for_stream(0);
    check(net_stream_write(stream, STR("one,")));
    check(net_stream_write(stream, STR("two")));
    net_stream_close(stream);
    pthread_join(reader.thread, NULL);
    check_ok(reader.failed);
    check_str(buf_str(&reader.heard), "one,two");
    check_int(reader.answer.body.n, 0);
    finish(&world);
}

TEST(stream, a_client_ends_the_call_by_what_it_hears)
{
    struct world world = {0};
    struct arena *other ARENA_SCOPE = arena_create();
    struct reader reader = {.call = {.piece = hear}, .stop_at = "two"};
    serve(arena, &world, 0);
    begin_reading(&reader, &world, other, "/stream?plain=1");
    struct net_stream *stream = wait_for_stream(0);
    check(net_stream_write(stream, STR("one,two")));
    pthread_join(reader.thread, NULL);
    check_err(reader.failed, ERR_CANCELLED);
    wait_until_over(stream);
    net_stream_close(stream);
    finish(&world);
}

TEST(stream, a_client_that_hears_nothing_can_stop_too)
{
    struct world world = {0};
    struct arena *other ARENA_SCOPE = arena_create();
    struct reader reader = {.call = {.stopped = is_stopped}};
    serve(arena, &world, 0);
    begin_reading(&reader, &world, other, "/stream");
    struct net_stream *stream = wait_for_stream(0);
    atomic_store(&reader.stop, true);
    pthread_join(reader.thread, NULL);
    check_err(reader.failed, ERR_CANCELLED);
    wait_until_over(stream);
    net_stream_close(stream);
    finish(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUN(stream, pieces_arrive_while_the_reply_goes_on),
        RUN(stream, an_event_has_its_fields_on_lines_and_no_value_begins_another_field),
        RUN(stream, a_request_that_no_socket_brought_has_none),
        RUN(stream, a_long_body_arrives_whole),
        RUN(stream, a_client_that_leaves_is_noticed_while_nothing_is_written),
        RUN(stream, a_client_that_leaves_while_it_is_written_to_is_noticed),
        RUN(stream, the_stream_outlives_the_server_for_its_writer),
        RUN(stream, stop_sends_what_is_queued_and_ends_the_body),
        RUN(stream, a_reader_for_whom_too_much_waits_is_cut_off_without_the_end),
        RUN(stream, a_reader_for_whom_something_waits_too_long_is_cut_off),
        RUN(stream, a_piece_larger_than_the_queue_ends_the_stream),
        RUN(stream, comments_keep_a_silent_event_stream_alive),
        RUN(stream, streams_above_their_number_are_refused_and_their_writers_told),
        RUN(stream, head_of_a_stream_ends_at_once),
        RUN(stream, several_threads_write_whole_pieces),
        RUN(stream, clients_that_come_and_go_while_the_server_stops_harm_nothing),
        RUN(stream, a_client_gets_the_pieces_and_no_body),
        RUN(stream, a_client_ends_the_call_by_what_it_hears),
        RUN(stream, a_client_that_hears_nothing_can_stop_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
