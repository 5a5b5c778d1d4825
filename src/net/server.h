/* server.h - what the files of the HTTP server share; not for other rooms.
 *
 * DESIGN. A connection belongs to the loop thread of its listener. It passes through phases; each has a deadline, kept
 * by one thread (server.c, watch) that shuts the socket down when it has passed, whereupon the loop closes it. So a
 * client that trickles bytes is cut off like one that is silent.
 *
 * A request's memory is a job: arena, request, reply. While its handler runs the job belongs to a worker, the connection
 * is suspended, and the job's state says who may go on: the worker turns RUNNING into DONE and resumes the
 * connection; a deadline or the server's stop turns RUNNING into ABANDONED and resumes it instead, then the loop
 * answers for itself and the worker, when it comes back, frees the job and touches nothing else.
 */
#pragma once
#include "net/net.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

enum { SERVER_MAX_LISTENERS = 16, SERVER_POOL = 64 };

enum phase { PHASE_HEAD, PHASE_IDLE, PHASE_BODY, PHASE_HANDLER, PHASE_REPLY, PHASE_STREAM };
enum job_state { JOB_READING, JOB_RUNNING, JOB_DONE, JOB_ABANDONED };

struct job {
    struct net_request request;
    struct net_reply   reply;
    struct net_server *server;
    struct MHD_Connection *mhd;
    int                fd;      /* of the connection, which is open until the job is done or abandoned */
    _Atomic int        state;
    struct net_terms   terms;
    size_t             body_capacity;
    uint64_t           received;
    bool               started; /* headers seen */
};

struct connection {
    struct connection *next, **link; /* list of the server */
    struct listener   *listener;
    struct MHD_Connection *mhd;
    struct job        *job;     /* NULL between requests and after abandonment */
    int                fd;
    enum phase         phase;
    struct net_stream *stream;  /* in PHASE_STREAM; else NULL */
    int64_t            since, deadline; /* us; deadline 0 = none */
    size_t             body_memory;
    int                own_status; /* abandoned: what the loop answers */
    bool               in_flight;
    char               remote[48];
};

struct listener {
    struct net_server *server;
    struct MHD_Daemon *daemon;
    int                fd;
    bool               local, passed; /* passed: made by another process, which goes on using it */
    struct str         address; /* empty for Unix sockets */
};

struct net_server {
    struct arena   *arena; /* owns this and the addresses */
    struct net_server_config config;
    struct listener listeners[SERVER_MAX_LISTENERS];
    size_t          listener_count;

    pthread_mutex_t lock; /* guards everything below, and phase, deadline, job and stream of every connection */
    pthread_cond_t  changed;
    struct connection *connections;
    size_t          connection_count, in_flight, stream_count;
    bool            stopping, closing; /* closing: no handler starts any more */
    struct arena   *pool[SERVER_POOL];
    size_t          pooled;
    pthread_t       watcher;

    atomic_size_t   running;     /* handlers that may still touch the server */
    atomic_size_t   body_memory;
};

/* stream.c; the connection's half of a stream */
struct MHD_Response *stream_response(struct connection *connection); /* of connection->stream */
/* Now and then, by the watching thread: false if the client is to be cut off. */
bool stream_tend(struct net_stream *stream, int64_t now_us);
void stream_end(struct net_stream *stream);   /* the server stops: send what is queued, take nothing more */
void stream_cut(struct net_stream *stream);   /* the client is gone or too slow */
void stream_leave(struct net_stream *stream); /* the connection is done with it */

/* listen.c */
MUST_CHECK struct err *listen_all(struct arena *arena, struct net_server *server);
void listen_remove_socket(struct str path);

/* A suspended connection is not in the loop's epoll set: its end is seen here. A client that has closed its half has no
 * use for a reply that may take long. */
bool socket_left(int fd);

/* exchange.c: the callbacks of one listener, cls is its struct listener */
struct MHD_Daemon *exchange_daemon(struct listener *listener);
void connection_enter(struct connection *connection, enum phase phase); /* with the lock held */
/* Take the connection's request from its worker; the loop will answer with status. With the lock held. */
void connection_abandon(struct connection *connection, int status);
/* Write 408 to the socket; the caller shuts it down. With the lock held, in PHASE_BODY. */
void connection_refuse_body(struct connection *connection);
