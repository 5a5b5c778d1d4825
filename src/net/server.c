/* server.c - life of a server: start, the thread that keeps the deadlines, stop. */
#include "net/server.h"

#include "base/time.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { WATCH_MS = 200, LOOK_ROUNDS = 5, FLUSH_MS = 200, PRESSED_IDLE_US = 1000000, PRESSED_HEAD_US = 5000000 };

/* ---- deadlines --------------------------------------------------------------------------------------------------------- */

/* Close to the limit of connections those that do nothing give way early. */
static bool gives_way(const struct net_server *server, const struct connection *connection, int64_t now)
{
    size_t limit = (size_t)server->config.max_connections;
    if (server->connection_count < limit - limit / 8) return false;
    int64_t patience = connection->phase == PHASE_IDLE   ? PRESSED_IDLE_US
                       : connection->phase == PHASE_HEAD ? PRESSED_HEAD_US
                                                         : INT64_MAX;
    return now - connection->since > patience;
}

static void cut_off(struct connection *connection)
{
    connection->deadline = 0;
    if (connection->phase == PHASE_HANDLER) {
        connection_abandon(connection, 504);
        return;
    }
    if (connection->phase == PHASE_BODY) connection_refuse_body(connection);
    shutdown(connection->fd, SHUT_RDWR);
}

bool socket_left(int fd)
{
    struct pollfd look = {.fd = fd, .events = POLLRDHUP};
    return poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static void tend(struct connection *connection, int64_t now, bool look)
{
    if (look && socket_left(connection->fd)) stream_cut(connection->stream);
    if (!stream_tend(connection->stream, now)) shutdown(connection->fd, SHUT_RDWR);
}

static void *watch(void *arg)
{
    struct net_server *server = arg;
    unsigned           round = 0;
    pthread_mutex_lock(&server->lock);
    while (!server->closing) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += WATCH_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&server->changed, &server->lock, &until);
        int64_t now = time_monotonic_us();
        round++;
        for (struct connection *connection = server->connections; connection; connection = connection->next) {
            if (connection->stream)
                tend(connection, now, round % LOOK_ROUNDS == 0);
            else if ((connection->deadline && now >= connection->deadline) || gives_way(server, connection, now))
                cut_off(connection);
        }
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/* ---- start ------------------------------------------------------------------------------------------------------------- */

static void set_defaults(struct net_server_config *config)
{
    if (config->max_connections <= 0) config->max_connections = 1024;
    if (config->max_streams <= 0) config->max_streams = (config->max_connections + 1) / 2;
    if (config->body_deadline_ms <= 0) config->body_deadline_ms = SECONDS(30);
    if (config->head_deadline_ms <= 0) config->head_deadline_ms = SECONDS(30);
    if (config->idle_deadline_ms <= 0) config->idle_deadline_ms = SECONDS(60);
    if (config->body_memory == 0) config->body_memory = (size_t)256 << 20;
}

static struct net_server *create(struct net_server_config config)
{
    struct arena      *arena = arena_create();
    struct net_server *server = NEW(arena, struct net_server);
    server->arena = arena;
    server->config = config;
    server->config.socket_path = str_dup(arena, config.socket_path);
    set_defaults(&server->config);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &clock);
    pthread_condattr_destroy(&clock);
    pthread_mutex_init(&server->lock, NULL);
    return server;
}

static void destroy(struct net_server *server)
{
    for (size_t i = 0; i < server->pooled; i++) arena_destroy(server->pool[i]);
    pthread_cond_destroy(&server->changed);
    pthread_mutex_destroy(&server->lock);
    arena_destroy(server->arena);
}

static struct err *start(struct arena *arena, struct net_server *server)
{
    TRY(listen_all(arena, server));
    for (size_t i = 0; i < server->listener_count; i++) {
        server->listeners[i].daemon = exchange_daemon(&server->listeners[i]);
        if (!server->listeners[i].daemon)
            return err_new(arena, ERR_UNAVAILABLE, "cannot start the HTTP server: %s", strerror(errno));
    }
    return NULL;
}

/* What a failed start leaves. */
static void undo(struct net_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        struct listener *listener = &server->listeners[i];
        if (listener->daemon) MHD_stop_daemon(listener->daemon); /* closes fd */
        else close(listener->fd);
        if (listener->local) listen_remove_socket(server->config.socket_path);
    }
    destroy(server);
}

struct err *net_server_start(struct arena *arena, struct net_server_config config, struct net_server **server)
{
    struct net_server *created = create(config);
    *server = NULL;
    struct err *err = start(arena, created);
    if (!err && pthread_create(&created->watcher, NULL, watch, created) != 0)
        err = err_new(arena, ERR_UNAVAILABLE, "cannot start a thread");
    if (err) {
        undo(created);
        return err;
    }
    *server = created;
    return NULL;
}

size_t net_server_address_count(const struct net_server *server)
{
    size_t count = 0;
    for (size_t i = 0; i < server->listener_count; i++) count += server->listeners[i].address.n > 0;
    return count;
}

struct str net_server_address(const struct net_server *server, size_t i)
{
    for (size_t at = 0; at < server->listener_count; at++)
        if (server->listeners[at].address.n && i-- == 0) return server->listeners[at].address;
    return (struct str){0};
}

/* ---- stop -------------------------------------------------------------------------------------------------------------- */

static void wait_for_requests(struct net_server *server, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (server->in_flight && pthread_cond_timedwait(&server->changed, &server->lock, &until) != ETIMEDOUT) continue;
}

/* The descriptors are closed when the loops have ended: until then a loop may still name them to epoll, and a number
 * that is free already may be another file's. */
static void stop_accepting(struct net_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        struct listener *listener = &server->listeners[i];
        if (listener->local) listen_remove_socket(server->config.socket_path);
        listener->fd = MHD_quiesce_daemon(listener->daemon);
        if (!listener->passed) shutdown(listener->fd, SHUT_RDWR);
    }
}

static void stop_loops(struct net_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        struct listener *listener = &server->listeners[i];
        MHD_stop_daemon(listener->daemon); /* closes what could not be quiesced */
        if (listener->fd != MHD_INVALID_SOCKET) close(listener->fd);
    }
}

void net_server_stop(struct net_server *server, int64_t grace_ms)
{
    stop_accepting(server);
    pthread_mutex_lock(&server->lock);
    server->stopping = true;
    for (struct connection *connection = server->connections; connection; connection = connection->next) {
        if (connection->phase == PHASE_IDLE) shutdown(connection->fd, SHUT_RDWR);
        if (connection->stream) stream_end(connection->stream);
    }
    wait_for_requests(server, grace_ms);
    server->closing = true; /* from here on nothing is suspended any more, as MHD_stop_daemon demands */
    pthread_cond_broadcast(&server->changed);
    for (struct connection *connection = server->connections; connection; connection = connection->next)
        if (connection->phase == PHASE_HANDLER) connection_abandon(connection, 503);
    wait_for_requests(server, FLUSH_MS);
    pthread_mutex_unlock(&server->lock);
    pthread_join(server->watcher, NULL);
    while (atomic_load(&server->running)) nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    stop_loops(server);
    destroy(server);
}
