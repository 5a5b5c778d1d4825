/* net.h - HTTP: a server on libmicrohttpd, a client on libcurl.
 *
 * Server: the loop threads only read and write sockets. When a request is complete its connection is suspended and the
 * handler runs on a worker, where it may block; the reply resumes the connection. Limits on headers, body, time and
 * number of connections are the server's; what a request means is the handler's.
 */
#pragma once
#include "base/err.h"
#include "base/thread.h"

struct job;
struct net_stream;

struct net_header { struct str name, value; };

struct net_request {
    struct arena *arena;      /* lives until the reply is sent */
    struct str    method, path, query; /* path percent-decoded and without query; query as received; HEAD reads as GET */
    struct str    body;
    struct str    remote;     /* peer address "127.0.0.1", "unix" for a Unix socket */
    bool          local;      /* came through socket_path, or was made in this process */
    int64_t       received_us; /* time_monotonic_us() when its head was there */
    enum { NET_BODY_OK, NET_BODY_TOO_LARGE, NET_BODY_REFUSED } body_state; /* refused: no memory left for bodies */
    struct { struct net_header *at; size_t n, capacity; } headers;
    struct job   *job;        /* the server's; NULL: no socket brought it, so its reply cannot stream */
    /* Of a request that no socket brought, both may be NULL: hears the body of a reply in pieces as it is made (false: no
     * more is wanted); tells whether nobody waits any more. On the thread that handles it. */
    bool        (*piece)(void *arg, struct str text);
    bool        (*stopped)(void *arg);
    void         *listener;   /* arg of both */
};
struct str net_header_get(const struct net_request *request, const char *name); /* any case; {NULL, 0} if absent */
struct str net_query_get(const struct net_request *request, const char *name);  /* decoded; {NULL, 0} if absent */

/* A request that no socket brought: target is "/v1/graph/obs_...?depth=2". It is local. */
struct net_request *net_request_local(struct arena *arena, const char *method, struct str target, struct str body);
void net_request_header(struct net_request *request, const char *name, struct str value);

/* Percent-decoded; a "%" that no two digits follow stands for itself. plus: as in queries, where "+" is a space; else as
 * in paths, where an escaped slash separates nothing and stays "%2F". */
struct str net_decode(struct arena *arena, struct str text, bool plus);
struct str net_encode(struct arena *arena, struct str text); /* for a segment of a path or a value of a query */

/* The text of a gzip body, in the arena. Errors: ERR_INVALID, ERR_TOO_LARGE once it would have more than limit bytes: no
 * more than that is ever unpacked. */
MUST_CHECK struct err *net_gunzip(struct arena *arena, struct str packed, size_t limit, struct str *text);

enum { NET_REPLY_HEADERS = 24 };
struct net_reply {
    int               status;
    struct str        body;           /* must live in the request's arena */
    const char       *content_type;   /* default application/json */
    struct net_header headers[NET_REPLY_HEADERS];
    size_t            header_count;
    struct net_stream *stream;        /* the body, in place of `body`; net_stream_open sets it */
};
void net_reply_header(struct net_reply *reply, const char *name, struct str value);

typedef void (*net_handler)(void *arg, struct net_request *request, struct net_reply *reply);
/* A handler that leaves its reply to another thread says so before it tells that thread, and does not touch request and
 * reply after that; whoever has filled the reply calls net_reply_send, once. Only of a request that a socket brought. */
bool net_may_reply_later(const struct net_request *request);
void net_reply_later(struct net_request *request);
void net_reply_send(struct net_request *request);
/* Does nobody wait for the reply any more: the client has closed the connection or its half of it, or was answered by a
 * deadline or the stop? For handlers that take long, any number of times; each is a system call. Not after the reply. */
bool net_client_left(const struct net_request *request);

/* What a request may have; asked once its headers are there. */
struct net_terms {
    size_t          body_bytes; /* default 1 MiB */
    int64_t         handler_ms; /* waiting for a worker included; 0 = no limit. Past it the client gets 504 while the
                                 * handler runs on to its end. */
    struct workers *workers;    /* NULL: those of the server; to be stopped after it too */
};
typedef struct net_terms (*net_terms_of)(void *arg, struct str method, struct str path);

/* ---- replies in pieces -------------------------------------------------------------------------------------------------- */

/* A reply whose body is written after the handler has returned, by any thread, in pieces: Server-Sent Events, or any other
 * content (HTTP/1.1: chunked; HTTP/1.0: until the connection closes). No worker and no thread belongs to it while nothing
 * is written. Nothing of it leaves before the handler has returned.
 *
 * The handler sets status and headers, opens the stream as its last step, hands it to whoever will write (a worker with
 * memory of its own: the request and its arena are gone once the handler has returned) and returns. The pointer belongs
 * to that writer until it calls net_stream_close, exactly once; it stays valid until then, whatever becomes of client and
 * server.
 *
 * A stream is over, and every writing function says so by false, when
 *  - the client is gone: noticed within a second or two, also while nothing is written;
 *  - the client reads too slowly: more than queue_bytes would wait for it, or something has waited for stall_ms. It is
 *    cut off without the end of the body, so that it can tell, and may come back (Last-Event-ID);
 *  - the server stops (what is queued is still sent, and the body ended properly), or had more than max_streams already
 *    (then the client got 503).
 * Whoever learns this closes; nothing more can be sent. */
struct net_stream_config {
    size_t  queue_bytes; /* default 256 KiB; one piece cannot be larger */
    int64_t beat_ms;     /* default 15,000: ": ping" after so long a silence; event streams only */
    int64_t stall_ms;    /* default 30,000 */
};
/* With no content_type set it becomes an event stream: text/event-stream, Cache-Control: no-cache, X-Accel-Buffering: no,
 * and keep-alive comments. NULL if no socket brought the request (request->job is NULL): answer in one piece then. */
struct net_stream *net_stream_open(const struct net_request *request, struct net_reply *reply,
                                   struct net_stream_config config);

/* The next piece, copied; pieces go out in order and are never torn apart by a keep-alive. Never blocks. Any thread;
 * several may write one stream, as long as one of them closes it when all are done. */
bool net_stream_write(struct net_stream *stream, struct str text);

/* One Server-Sent Event. Empty id or name: left out. Line breaks in data become several "data:" lines. */
struct net_event { struct str id, name, data; };
bool net_stream_event(struct net_stream *stream, struct net_event event);

bool net_stream_alive(struct net_stream *stream); /* for writers that wait long between pieces */

/* The end: what is queued is sent, then the body ends properly. The stream is not the caller's any more. */
void net_stream_close(struct net_stream *stream);

/* ---- server -------------------------------------------------------------------------------------------------------------- */

struct net_server;
struct net_server_config {
    struct str       *listen;  size_t listen_count; /* "127.0.0.1:8080", "[::1]:8080"; port 0 = any */
    struct str        socket_path;                   /* Unix socket, mode 0600; empty = none */
    struct workers   *workers;                       /* must be stopped after the server */
    net_handler       handler;
    net_terms_of      terms;             /* NULL: the defaults */
    void             *arg;
    int               loop_threads;      /* default 1 */
    int               max_connections;   /* of one listener; default 1024. More wait in the kernel's queue. */
    int               max_streams;       /* of the server; default half of max_connections */
    int64_t           body_deadline_ms;  /* default 30,000; from the end of the headers, whatever trickles in */
    int64_t           head_deadline_ms;  /* default 30,000; from the connection's begin to the end of the headers */
    int64_t           idle_deadline_ms;  /* default 60,000; from a reply to the end of the next headers */
    size_t            body_memory;       /* bytes of all bodies at once; default 256 MiB */
    bool              inherit;           /* take the sockets that systemd passed (LISTEN_FDS) in the place of listen */
};
/* Errors: ERR_UNAVAILABLE naming the address. */
MUST_CHECK struct err *net_server_start(struct arena *arena, struct net_server_config config, struct net_server **server);
size_t     net_server_address_count(const struct net_server *server);
struct str net_server_address(const struct net_server *server, size_t i); /* "127.0.0.1:43210" as bound */
/* Stop accepting, end the streams, let running handlers finish for at most grace_ms, close. A handler that is still running then goes on
 * alone (its client got 503), so stop the workers before freeing what handlers use. */
void net_server_stop(struct net_server *server, int64_t grace_ms);

/* ---- client ------------------------------------------------------------------------------------------------------ */

struct net_call {
    const char *method;            /* "GET", "POST" */
    struct str  url;
    struct str  socket_path;       /* connect through this Unix socket, or empty */
    struct net_header headers[8];
    size_t      header_count;
    struct str  body;
    int64_t     timeout_ms;        /* whole call; default 30,000; below 0: no limit */
    size_t      max_reply;         /* bytes; default 16 MiB */
    /* The body of a 2xx answer in pieces as they come, in the place of net_answer.body: called by the client's thread while
     * the caller waits, so it must be quick. False ends the call. NULL: in one. */
    bool      (*piece)(void *arg, struct str text);
    bool      (*stopped)(void *arg); /* asked several times a second; true ends the call. NULL: never */
    void       *arg;               /* of both */
};
struct net_answer { int status; struct str body; struct str retry_after; };
/* One request and its answer, whatever its status. Connections are reused. Blocks; call from workers or the CLI.
 * Redirects are not followed. Errors: ERR_UNAVAILABLE (cannot connect, cut off), ERR_TIMEOUT, ERR_TOO_LARGE,
 * ERR_CANCELLED (by piece or stopped). */
MUST_CHECK struct err *net_http(struct arena *arena, const struct net_call *call, struct net_answer *answer);
