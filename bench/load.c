/* load.c - asks a server over HTTP and measures: load HOST PORT KEY CONNECTIONS QUERIES_FILE [FIRST COUNT].
 *
 * Each connection asks its next question when the answer to the last is complete. Prints JSON: milliseconds from the
 * request's first byte to the answer's last, and the rate. Any answer but 200 ends it with status 1.
 */
#include "base/time.h"
#include "json/json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 256, ANSWER_BYTES = 4 << 20 };

struct connection {
    int     fd;
    int64_t sent_at;
    char   *answer;
    size_t  n, wanted; /* wanted: 0 until the head is complete */
};

struct load {
    struct str *requests;
    size_t      count, next, done;
    int64_t    *latencies; /* us */
    int         epoll;
};

__attribute__((noreturn)) static void fail(const char *what)
{
    fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static void prepare(struct load *load, struct arena *arena, char **argv, size_t first, size_t count)
{
    FILE *file = fopen(argv[5], "r");
    if (!file) fail(argv[5]);
    load->requests = NEW_ARRAY(arena, struct str, count);
    load->latencies = NEW_ARRAY(arena, int64_t, count);
    char  *line = NULL;
    size_t capacity = 0, row = 0;
    for (ssize_t n; load->count < count && (n = getline(&line, &capacity, file)) > 0; row++) {
        if (row < first) continue;
        struct json_out body = json_out(arena);
        json_begin(&body, NULL, '{');
        json_put(&body, "query", str_trim((struct str){line, (size_t)n}));
        json_put(&body, "mode", "balanced");
        json_end(&body);
        struct str text = json_out_text(&body);
        load->requests[load->count++] =
            str_printf(arena, "POST /v1/search HTTP/1.1\r\nHost: %s:%s\r\nAuthorization: Bearer %s\r\n"
                              "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n" STR_FMT,
                       argv[1], argv[2], argv[3], text.n, STR_ARG(text));
    }
    free(line);
    fclose(file);
    if (!load->count) fail("no queries");
}

static void ask(struct load *load, struct connection *connection)
{
    if (load->next == load->count) return;
    struct str request = load->requests[load->next++];
    connection->n = connection->wanted = 0;
    connection->sent_at = time_monotonic_us();
    if (write(connection->fd, request.s, request.n) != (ssize_t)request.n) fail("write");
}

static void open_connection(struct load *load, struct connection *connection, const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) fail("HOST must be an IPv4 address");
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, connection->fd, &event)) fail("epoll");
    connection->answer = malloc(ANSWER_BYTES);
    if (!connection->answer) fail("memory");
}

static void read_head(struct connection *connection)
{
    const char *end = memmem(connection->answer, connection->n, "\r\n\r\n", 4);
    if (!end) return;
    if (connection->n < 12 || memcmp(connection->answer + 9, "200", 3) != 0) {
        errno = 0;
        fprintf(stderr, "%.*s\n", (int)connection->n, connection->answer);
        fail("the answer is not 200");
    }
    connection->answer[connection->n] = 0;
    const char *length = strcasestr(connection->answer, "\r\ncontent-length:");
    if (!length || length > end) fail("an answer without length");
    connection->wanted = (size_t)(end + 4 - connection->answer) + (size_t)atoll(length + 17);
    if (connection->wanted > ANSWER_BYTES) fail("a longer answer than expected");
}

static void receive(struct load *load, struct connection *connection)
{
    ssize_t got = read(connection->fd, connection->answer + connection->n, ANSWER_BYTES - 1 - connection->n);
    if (got <= 0) fail("the server closed a connection");
    connection->n += (size_t)got;
    if (!connection->wanted) read_head(connection);
    if (!connection->wanted || connection->n < connection->wanted) return;
    load->latencies[load->done++] = time_monotonic_us() - connection->sent_at;
    ask(load, connection);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 8) {
        fprintf(stderr, "usage: load HOST PORT KEY CONNECTIONS QUERIES_FILE [FIRST COUNT]\n");
        return 2;
    }
    struct arena *arena = arena_create();
    struct load   load = {.epoll = epoll_create1(0)};
    prepare(&load, arena, argv, argc == 8 ? (size_t)atoll(argv[6]) : 0, argc == 8 ? (size_t)atoll(argv[7]) : 100000);
    int count = atoi(argv[4]);
    if (count < 1 || count > MAX_CONNECTIONS) fail("CONNECTIONS must be between 1 and 256");
    static struct connection connections[MAX_CONNECTIONS];
    for (int i = 0; i < count; i++) open_connection(&load, &connections[i], argv[1], atoi(argv[2]));

    int64_t begin = time_monotonic_us();
    for (int i = 0; i < count; i++) ask(&load, &connections[i]);
    while (load.done < load.count) {
        struct epoll_event events[MAX_CONNECTIONS];
        int                n = epoll_wait(load.epoll, events, MAX_CONNECTIONS, -1);
        for (int i = 0; i < n; i++) receive(&load, events[i].data.ptr);
    }
    double seconds = (double)(time_monotonic_us() - begin) / 1e6;
    qsort(load.latencies, load.count, sizeof *load.latencies, compare);
    printf("{\"requests\": %zu, \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f, \"perSecond\": %.0f}\n", load.count,
           (double)load.latencies[load.count / 2] / 1e3, (double)load.latencies[load.count * 99 / 100] / 1e3,
           (double)load.latencies[load.count - 1] / 1e3, (double)load.count / seconds);
    return 0;
}
