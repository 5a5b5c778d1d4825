/* http.c - the load of http.h: one thread, edge-triggered epoll. */
#include "http.h"

#include "base/time.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { MAX_CONNECTIONS = 256, ANSWER_BYTES = 4 << 20 };

struct connection {
    int        fd;
    int64_t    sent_at;
    struct str unsent;
    bool       waiting; /* for the rest of an answer */
    char      *answer;
    size_t     n, wanted; /* wanted: 0 until the head is complete */
};

struct run {
    struct http_load load;
    size_t           next, done;
    int64_t         *latencies; /* us */
};

void http_fail(const char *what)
{
    fprintf(stderr, "load: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(1);
}

static void send_rest(struct connection *connection)
{
    while (connection->unsent.n) {
        ssize_t n = write(connection->fd, connection->unsent.s, connection->unsent.n);
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) http_fail("write");
        connection->unsent = str_skip(connection->unsent, (size_t)n);
    }
}

static void ask(struct run *run, struct connection *connection)
{
    connection->n = connection->wanted = 0;
    connection->waiting = run->next < run->load.count;
    if (!connection->waiting) return;
    connection->unsent = run->load.requests[run->next++];
    connection->sent_at = time_monotonic_us();
    send_rest(connection);
}

static void open_connection(const struct http_load *load, int epoll, struct connection *connection)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(load->port))};
    if (inet_pton(AF_INET, load->host, &address.sin_addr) != 1) http_fail("HOST must be an IPv4 address");
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof address)) http_fail("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event)) http_fail("epoll");
    connection->answer = malloc(ANSWER_BYTES);
    if (!connection->answer) http_fail("memory");
}

static void read_head(const struct http_load *load, struct connection *connection)
{
    const char *end = memmem(connection->answer, connection->n, "\r\n\r\n", 4);
    if (!end) return;
    if (connection->n < 12 || memcmp(connection->answer + 9, load->status, 3) != 0) {
        errno = 0;
        fprintf(stderr, "%.*s\n", (int)connection->n, connection->answer);
        http_fail("an answer of another status");
    }
    connection->answer[connection->n] = 0;
    const char *length = strcasestr(connection->answer, "\r\ncontent-length:");
    if (!length || length > end) http_fail("an answer without length");
    connection->wanted = (size_t)(end + 4 - connection->answer) + (size_t)atoll(length + 17);
    if (connection->wanted > ANSWER_BYTES) http_fail("a longer answer than expected");
}

/* Whatever there is to read; an answer that is complete is followed by the next request. */
static void receive(struct run *run, struct connection *connection)
{
    while (connection->waiting) {
        ssize_t got = read(connection->fd, connection->answer + connection->n, ANSWER_BYTES - 1 - connection->n);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) http_fail("the server closed a connection");
        connection->n += (size_t)got;
        if (!connection->wanted) read_head(&run->load, connection);
        if (!connection->wanted || connection->n < connection->wanted) continue;
        run->latencies[run->done++] = time_monotonic_us() - connection->sent_at;
        ask(run, connection);
    }
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double at_percent(const struct run *run, size_t percent)
{
    return (double)run->latencies[(run->load.count - 1) * percent / 100] / 1e3;
}

void http_measure(struct arena *arena, struct http_load load)
{
    static struct connection connections[MAX_CONNECTIONS];
    struct run               run = {.load = load, .latencies = NEW_ARRAY(arena, int64_t, load.count)};
    int                      epoll = epoll_create1(0);
    errno = 0;
    if (load.connections < 1 || load.connections > MAX_CONNECTIONS) http_fail("CONNECTIONS must be between 1 and 256");
    for (int i = 0; i < load.connections; i++) open_connection(&load, epoll, &connections[i]);
    int64_t begin = time_monotonic_us();
    for (int i = 0; i < load.connections; i++) ask(&run, &connections[i]);
    while (run.done < load.count) {
        struct epoll_event events[MAX_CONNECTIONS];
        int                n = epoll_wait(epoll, events, MAX_CONNECTIONS, -1);
        for (int i = 0; i < n; i++) {
            send_rest(events[i].data.ptr);
            receive(&run, events[i].data.ptr);
        }
    }
    double seconds = (double)(time_monotonic_us() - begin) / 1e6;
    qsort(run.latencies, load.count, sizeof *run.latencies, compare);
    printf("{\"requests\": %zu, \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f, \"perSecond\": %.1f, \"seconds\": %.4f}\n",
           load.count, at_percent(&run, 50), at_percent(&run, 99), at_percent(&run, 100), (double)load.count / seconds,
           seconds);
}
