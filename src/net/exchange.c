/* exchange.c - one request on its way through libmicrohttpd: head, body, handler on a worker, reply. */
#include "base/id.h"
#include "base/time.h"
#include "net/server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    HEAD_MEMORY = 32 * 1024,  /* request line and headers, and libmicrohttpd's own buffers */
    RECYCLED = 256 * 1024,    /* arenas that grew beyond this are not kept */
    DRAIN = 32 * 1024 * 1024, /* read so much of a too large body, so that the client gets to see the answer */
    LOOP_IDLE_SECONDS = 120   /* libmicrohttpd's own timer, behind ours */
};

static struct connection *connection_of(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* ---- deadlines ----------------------------------------------------------------------------------------------------- */

void connection_enter(struct connection *connection, enum phase phase)
{
    const struct net_server_config *config = &connection->listener->server->config;
    int64_t limit = phase == PHASE_HEAD   ? config->head_deadline_ms
                    : phase == PHASE_BODY ? config->body_deadline_ms
                    : phase == PHASE_STREAM ? 0 /* stream_tend has its own */
                    : phase == PHASE_IDLE || phase == PHASE_REPLY ? config->idle_deadline_ms
                                                                  : connection->job->terms.handler_ms;
    connection->phase = phase;
    connection->since = time_monotonic_us();
    connection->deadline = limit ? connection->since + limit * 1000 : 0;
}

/* ---- jobs ------------------------------------------------------------------------------------------------------------ */

static struct job *job_create(struct net_server *server, struct MHD_Connection *mhd)
{
    pthread_mutex_lock(&server->lock);
    struct arena *arena = server->pooled ? server->pool[--server->pooled] : NULL;
    pthread_mutex_unlock(&server->lock);
    if (!arena) arena = arena_create();
    struct job *job = NEW(arena, struct job);
    job->request.arena = arena;
    job->request.job = job;
    job->server = server;
    job->mhd = mhd;
    return job;
}

/* With the lock held. */
static void job_recycle(struct net_server *server, struct job *job)
{
    struct arena *arena = job->request.arena;
    if (job->reply.stream) stream_leave(job->reply.stream);
    if (arena_used(arena) <= RECYCLED && server->pooled < SERVER_POOL) {
        arena_reset(arena);
        server->pool[server->pooled++] = arena;
    } else
        arena_destroy(arena);
}

/* With the lock held. */
static void forget_job(struct connection *connection)
{
    struct net_server *server = connection->listener->server;
    if (connection->job) job_recycle(server, connection->job);
    connection->job = NULL;
    atomic_fetch_sub(&server->body_memory, connection->body_memory);
    connection->body_memory = 0;
}

/* With the lock held. */
static void forget_stream(struct connection *connection)
{
    if (!connection->stream) return;
    stream_leave(connection->stream);
    connection->stream = NULL;
    connection->listener->server->stream_count--;
}

/* Before the exchange the job is ours; after it, if it was not abandoned, the connection's. */
static void finish_job(struct job *job)
{
    struct net_server *server = job->server;
    int                expected = JOB_RUNNING;
    struct MHD_Connection *mhd = job->mhd;
    if (!atomic_compare_exchange_strong(&job->state, &expected, JOB_DONE)) {
        if (job->reply.stream) stream_leave(job->reply.stream);
        arena_destroy(job->request.arena);
        return;
    }
    MHD_resume_connection(mhd);
    atomic_fetch_sub(&server->running, 1);
}

/* Of the request that this thread handles: somebody else has it by now, who may have sent its reply already. */
static _Thread_local bool left_to_another;

bool net_may_reply_later(const struct net_request *request)
{
    return request->job != NULL;
}

void net_reply_later(struct net_request *request)
{
    assert(request->job);
    left_to_another = true;
}

void net_reply_send(struct net_request *request)
{
    finish_job(request->job);
}

/* The descriptor may be another's once the job is abandoned: then the answer is the same whatever it says. */
bool net_client_left(const struct net_request *request)
{
    const struct job *job = request->job;
    return job && (atomic_load(&job->state) == JOB_ABANDONED || socket_left(job->fd));
}

/* On a worker. */
static void run_handler(void *arg)
{
    struct job *job = arg;
    left_to_another = false;
    if (atomic_load(&job->state) == JOB_RUNNING)
        job->server->config.handler(job->server->config.arg, &job->request, &job->reply);
    if (!left_to_another) finish_job(job);
}

void connection_abandon(struct connection *connection, int status)
{
    struct job *job = connection->job;
    int         expected = JOB_RUNNING;
    if (!job || !atomic_compare_exchange_strong(&job->state, &expected, JOB_ABANDONED)) return;
    connection->job = NULL;
    connection->own_status = status;
    connection->deadline = 0;
    MHD_resume_connection(connection->mhd);
    atomic_fetch_sub(&connection->listener->server->running, 1);
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

static enum MHD_Result copy_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    struct net_request *request = cls;
    *VEC_PUSH(request->arena, &request->headers) =
        (struct net_header){str_dup(request->arena, str_of(name)), str_dup(request->arena, str_of(value ? value : ""))};
    return MHD_YES;
}

/* The request line is there: the earliest that we hear of a request. */
static void *on_request_line(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    struct listener   *listener = cls;
    struct connection *connection = connection_of(mhd);
    struct job        *job = job_create(listener->server, mhd);
    job->fd = connection->fd;
    struct str         path = {0}, query = str_dup(job->request.arena, str_of(uri));
    str_cut(&query, '?', &path);
    job->request.path = net_decode(job->request.arena, path, false);
    job->request.query = query;
    job->request.local = listener->local;
    pthread_mutex_lock(&listener->server->lock);
    connection->job = job;
    pthread_mutex_unlock(&listener->server->lock);
    return job;
}

static void reserve_body(struct connection *connection, struct job *job, size_t more)
{
    struct net_server *server = connection->listener->server;
    struct str        *body = &job->request.body;
    size_t             wanted = body->n + more;
    if (wanted <= job->body_capacity) return;
    struct str length = net_header_get(&job->request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    int64_t    announced;
    if (job->body_capacity == 0 && str_to_int(length, &announced) && announced > 0 && (size_t)announced > wanted)
        wanted = (size_t)announced; /* untouched pages cost nothing */
    else if (wanted < job->body_capacity * 2)
        wanted = job->body_capacity * 2;
    if (wanted > job->terms.body_bytes) wanted = job->terms.body_bytes;
    size_t grown = wanted - job->body_capacity;
    if (atomic_fetch_add(&server->body_memory, grown) + grown > server->config.body_memory) {
        atomic_fetch_sub(&server->body_memory, grown);
        job->request.body_state = NET_BODY_REFUSED;
        return;
    }
    connection->body_memory += grown;
    body->s = arena_grow(job->request.arena, (char *)body->s, job->body_capacity, wanted);
    job->body_capacity = wanted;
}

static enum MHD_Result receive(struct connection *connection, struct job *job, const char *data, size_t *size)
{
    struct net_request *request = &job->request;
    size_t              n = *size;
    *size = 0;
    job->received += n;
    if (job->received > job->terms.body_bytes) request->body_state = NET_BODY_TOO_LARGE;
    if (request->body_state == NET_BODY_OK) reserve_body(connection, job, n);
    if (request->body_state != NET_BODY_OK) {
        request->body = (struct str){0};
        return job->received > job->terms.body_bytes + (uint64_t)DRAIN ? MHD_NO : MHD_YES;
    }
    memcpy((char *)request->body.s + request->body.n, data, n);
    request->body.n += n;
    return MHD_YES;
}

/* ---- replying ------------------------------------------------------------------------------------------------------------ */

static enum MHD_Result send_reply(struct connection *connection, enum phase phase, int status,
                                  struct MHD_Response *response)
{
    struct net_server *server = connection->listener->server;
    if (!response) return MHD_NO;
    pthread_mutex_lock(&server->lock);
    connection_enter(connection, phase);
    bool last = server->stopping;
    pthread_mutex_unlock(&server->lock);
    if (last) MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result queued = MHD_queue_response(connection->mhd, (unsigned)status, response);
    MHD_destroy_response(response);
    return queued;
}

static size_t own_body(char *out, size_t size, int status)
{
    static const struct { int status; const char *code, *message; } texts[] = {
        {400, "BAD_REQUEST", "The request does not say clearly where its body ends"},
        {408, "REQUEST_TIMEOUT", "The request body was not complete in time"},
        {503, "SERVICE_UNAVAILABLE", "The server is stopping, or too many streams are open"},
        {504, "TIMEOUT", "The request took too long"},
    };
    struct arena *arena ARENA_SCOPE = arena_create();
    struct str    id = id_uuid(arena);
    size_t        i = 0;
    while (texts[i].status != status) i++;
    return (size_t)snprintf(out, size, "{\"error\":\"%s\",\"message\":\"%s\",\"requestId\":\"" STR_FMT "\"}",
                            texts[i].code, texts[i].message, STR_ARG(id));
}

/* What the server says when no handler did. */
static enum MHD_Result reply_of_ours(struct connection *connection, int status)
{
    char                 body[256];
    size_t               n = own_body(body, sizeof body, status);
    struct MHD_Response *response = MHD_create_response_from_buffer(n, body, MHD_RESPMEM_MUST_COPY);
    if (response) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
    return send_reply(connection, PHASE_REPLY, status, response);
}

static void add_headers(struct MHD_Response *response, struct arena *arena, const struct net_reply *reply)
{
    if (reply->body.n || reply->content_type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
                                reply->content_type ? reply->content_type : "application/json");
    for (size_t i = 0; i < reply->header_count; i++)
        MHD_add_response_header(response, str_z(arena, reply->headers[i].name), str_z(arena, reply->headers[i].value));
}

/* The connection takes its half of the stream over; the request's memory is not needed any more. */
static bool take_stream(struct connection *connection, struct job *job)
{
    struct net_server *server = connection->listener->server;
    pthread_mutex_lock(&server->lock);
    bool taken = server->stream_count < (size_t)server->config.max_streams;
    if (taken) {
        connection->stream = job->reply.stream;
        job->reply.stream = NULL;
        server->stream_count++;
        if (server->stopping) stream_end(connection->stream);
    }
    pthread_mutex_unlock(&server->lock);
    return taken;
}

static enum MHD_Result reply_in_pieces(struct connection *connection, struct job *job)
{
    struct net_server *server = connection->listener->server;
    if (!take_stream(connection, job)) return reply_of_ours(connection, 503);
    struct MHD_Response *response = stream_response(connection);
    if (!response) return MHD_NO;
    add_headers(response, job->request.arena, &job->reply);
    enum MHD_Result queued = send_reply(connection, PHASE_STREAM, job->reply.status, response);
    pthread_mutex_lock(&server->lock);
    forget_job(connection);
    pthread_mutex_unlock(&server->lock);
    return queued;
}

static enum MHD_Result reply_of_handler(struct connection *connection, struct job *job)
{
    struct net_reply *reply = &job->reply;
    assert(reply->status >= 200 && reply->status < 600);
    if (reply->stream) return reply_in_pieces(connection, job);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(reply->body.n, (void *)reply->body.s, MHD_RESPMEM_PERSISTENT);
    if (!response) return MHD_NO;
    add_headers(response, job->request.arena, reply);
    return send_reply(connection, PHASE_REPLY, reply->status, response);
}

void connection_refuse_body(struct connection *connection)
{
    char   body[256], head[512];
    size_t n = own_body(body, sizeof body, 408);
    int    m = snprintf(head, sizeof head,
                        "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nConnection: close\r\n"
                           "Content-Length: %zu\r\n\r\n%s", n, body);
    /* libmicrohttpd cannot answer in the middle of a body, and writes nothing then: so this is all that is sent */
    (void)!send(connection->fd, head, (size_t)m, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- the callbacks ----------------------------------------------------------------------------------------------------- */

static struct net_terms terms_of(const struct net_server *server, const struct net_request *request)
{
    const struct net_server_config *config = &server->config;
    struct net_terms terms = {0};
    if (config->terms) terms = config->terms(config->arg, request->method, request->path);
    if (!terms.body_bytes) terms.body_bytes = 1 << 20;
    if (!terms.workers) terms.workers = config->workers;
    return terms;
}

/* Headers are there. */
static enum MHD_Result begin(struct connection *connection, struct job *job, const char *method)
{
    struct net_server  *server = connection->listener->server;
    struct net_request *request = &job->request;
    job->started = true;
    request->received_us = time_monotonic_us();
    request->method = strcmp(method, "HEAD") == 0 ? STR("GET") : str_dup(request->arena, str_of(method));
    request->remote = str_dup(request->arena, str_of(connection->remote));
    MHD_get_connection_values(connection->mhd, MHD_HEADER_KIND, copy_header, request);
    job->terms = terms_of(server, request);
    pthread_mutex_lock(&server->lock);
    connection_enter(connection, PHASE_BODY);
    connection->in_flight = true;
    server->in_flight++;
    pthread_mutex_unlock(&server->lock);
    return MHD_YES;
}

/* A body that announces far too much is not read at all: answered at once, then the connection is closed. */
static bool announces_too_much(const struct job *job)
{
    int64_t announced;
    return str_to_int(net_header_get(&job->request, MHD_HTTP_HEADER_CONTENT_LENGTH), &announced) && announced > 0 &&
           (uint64_t)announced > job->terms.body_bytes + (uint64_t)DRAIN;
}

/* RFC 9112, 6.3: what a proxy before us may have read differently is refused, lest the rest count as a request of its
 * own. */
static bool ends_unclear(const struct job *job)
{
    size_t lengths = 0, codings = 0;
    for (size_t i = 0; i < job->request.headers.n; i++) {
        const struct net_header *header = &job->request.headers.at[i];
        if (str_eq_nocase(header->name, STR(MHD_HTTP_HEADER_CONTENT_LENGTH))) lengths++;
        if (!str_eq_nocase(header->name, STR(MHD_HTTP_HEADER_TRANSFER_ENCODING))) continue;
        codings++;
        if (!str_eq_nocase(str_trim(header->value), STR("chunked"))) return true;
    }
    return lengths + codings > 1;
}

static enum MHD_Result dispatch(struct connection *connection, struct job *job)
{
    struct net_server *server = connection->listener->server;
    pthread_mutex_lock(&server->lock);
    if (server->closing) {
        pthread_mutex_unlock(&server->lock);
        return reply_of_ours(connection, 503);
    }
    connection_enter(connection, PHASE_HANDLER);
    atomic_store(&job->state, JOB_RUNNING);
    atomic_fetch_add(&server->running, 1);
    MHD_suspend_connection(connection->mhd);
    pthread_mutex_unlock(&server->lock);
    workers_submit(job->terms.workers, run_handler, job);
    return MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **context)
{
    (void)cls;
    (void)url;
    (void)version;
    (void)context; /* the job may be gone by now: the connection knows */
    struct connection *connection = connection_of(mhd);
    struct job        *job = connection->job;
    if (connection->own_status) return reply_of_ours(connection, connection->own_status);
    if (!job->started) {
        begin(connection, job, method);
        if (ends_unclear(job)) return reply_of_ours(connection, 400);
        if (!announces_too_much(job)) return MHD_YES;
        job->request.body_state = NET_BODY_TOO_LARGE;
        return dispatch(connection, job);
    }
    if (*size) return receive(connection, job, data, size);
    return atomic_load(&job->state) == JOB_DONE ? reply_of_handler(connection, job) : dispatch(connection, job);
}

/* Reply sent, or connection lost; the job is not running here, or it is abandoned. */
static void on_completed(void *cls, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code)
{
    (void)code;
    struct net_server *server = ((struct listener *)cls)->server;
    struct connection *connection = connection_of(mhd);
    *context = NULL;
    pthread_mutex_lock(&server->lock);
    forget_job(connection);
    forget_stream(connection);
    connection->own_status = 0;
    if (connection->in_flight) server->in_flight--;
    connection->in_flight = false;
    connection_enter(connection, PHASE_IDLE);
    if (server->stopping) pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

static void describe_peer(struct connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *peer = info ? info->client_addr : NULL;
    const void            *address = NULL;
    if (peer && peer->sa_family == AF_INET) address = &((const struct sockaddr_in *)peer)->sin_addr;
    if (peer && peer->sa_family == AF_INET6) address = &((const struct sockaddr_in6 *)peer)->sin6_addr;
    if (!address || !inet_ntop(peer->sa_family, address, connection->remote, sizeof connection->remote))
        snprintf(connection->remote, sizeof connection->remote, "unix");
}

static void connection_open(struct listener *listener, struct MHD_Connection *mhd, void **context)
{
    struct net_server *server = listener->server;
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection) abort();
    connection->listener = listener;
    connection->mhd = mhd;
    connection->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    describe_peer(connection);
    pthread_mutex_lock(&server->lock);
    connection_enter(connection, PHASE_HEAD);
    connection->next = server->connections;
    connection->link = &server->connections;
    if (connection->next) connection->next->link = &connection->next;
    server->connections = connection;
    server->connection_count++;
    pthread_mutex_unlock(&server->lock);
    *context = connection;
}

static void connection_close(struct net_server *server, struct connection *connection)
{
    pthread_mutex_lock(&server->lock);
    *connection->link = connection->next;
    if (connection->next) connection->next->link = connection->link;
    server->connection_count--;
    forget_job(connection);
    forget_stream(connection);
    pthread_mutex_unlock(&server->lock);
    free(connection);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct listener *listener = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        connection_open(listener, mhd, context);
    else if (*context)
        connection_close(listener->server, *context);
}

static size_t keep_escapes(void *cls, struct MHD_Connection *mhd, char *text)
{
    (void)cls;
    (void)mhd;
    return strlen(text); /* decoded by us, with its length: a decoded NUL must not end it */
}

static void say_nothing(void *cls, const char *format, va_list args)
{
    (void)cls;
    (void)format;
    (void)args; /* its texts are about clients' mistakes */
}

struct MHD_Daemon *exchange_daemon(struct listener *listener)
{
    const struct net_server_config *config = &listener->server->config;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    unsigned threads = config->loop_threads > 1 && !listener->local ? (unsigned)config->loop_threads : 0;
    /* clang-format off */
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, listener,
        MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL,
        MHD_OPTION_LISTEN_SOCKET, listener->fd,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)config->max_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)LOOP_IDLE_SECONDS,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, listener,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener,
        MHD_OPTION_URI_LOG_CALLBACK, on_request_line, listener,
        MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_THREAD_POOL_SIZE, threads,
        MHD_OPTION_END);
    /* clang-format on */
}
