/* stream.c - replies whose body comes in pieces: the queue between whoever writes and the loop that sends.
 *
 * DESIGN. A stream has two holders, the writer and the connection, and is freed when both have let go; so neither waits
 * for the other. The loop asks for bytes (stream_read). When there are none it parks: it suspends the connection under
 * the stream's lock, and whoever changes something that it should see (bytes, the end, a cut) resumes it under the same
 * lock. So no wake-up is lost, and an idle stream costs a socket and this struct.
 *
 * The watching thread of server.c comes by (stream_tend): it sends the keep-alive comments and finds who is gone or too
 * slow, for a suspended connection is not looked at by libmicrohttpd.
 */
#include "base/time.h"
#include "net/server.h"

#include <assert.h>
#include <stdlib.h>

enum { QUEUE_BYTES = 256 * 1024, BEAT_MS = 15000, STALL_MS = 30000, FIRST_CAPACITY = 1024 };

struct net_stream {
    struct net_stream_config config;
    pthread_mutex_t lock; /* guards what follows */
    int     holders;
    bool    ended; /* nothing more is written; what is queued still goes out */
    bool    cut;   /* nothing more is sent either */
    bool    beats; /* an event stream: comments keep it alive */
    struct MHD_Connection *parked; /* suspended, waiting for us; or NULL */
    char   *bytes;
    size_t  from, to, capacity; /* queued: bytes[from, to) */
    int64_t moved_us;           /* when the loop last took bytes, or found the queue no longer empty */
    int64_t written_us;         /* when something was last put into the queue */
};

struct net_stream *net_stream_open(const struct net_request *request, struct net_reply *reply,
                                   struct net_stream_config config)
{
    if (!request->job) return NULL;
    struct net_stream *stream = calloc(1, sizeof *stream);
    if (!stream) abort();
    if (config.queue_bytes == 0) config.queue_bytes = QUEUE_BYTES;
    if (config.beat_ms <= 0) config.beat_ms = BEAT_MS;
    if (config.stall_ms <= 0) config.stall_ms = STALL_MS;
    stream->config = config;
    stream->holders = 2;
    stream->moved_us = stream->written_us = time_monotonic_us();
    stream->beats = !reply->content_type;
    pthread_mutex_init(&stream->lock, NULL);
    if (stream->beats) {
        reply->content_type = "text/event-stream";
        net_reply_header(reply, "Cache-Control", STR("no-cache"));
        net_reply_header(reply, "X-Accel-Buffering", STR("no"));
    }
    assert(!reply->stream);
    reply->stream = stream;
    return stream;
}

/* ---- with the lock held -------------------------------------------------------------------------------------------------- */

static void wake(struct net_stream *stream)
{
    if (stream->parked) MHD_resume_connection(stream->parked);
    stream->parked = NULL;
}

static void drop(struct net_stream *stream)
{
    free(stream->bytes);
    stream->bytes = NULL;
    stream->from = stream->to = stream->capacity = 0;
}

static void cut(struct net_stream *stream)
{
    stream->cut = true;
    drop(stream);
    wake(stream);
}

static void make_room(struct net_stream *stream, size_t more)
{
    size_t queued = stream->to - stream->from, wanted = queued + more;
    if (stream->capacity - stream->to >= more) return;
    if (stream->from) memmove(stream->bytes, stream->bytes + stream->from, queued);
    stream->from = 0;
    stream->to = queued;
    if (wanted <= stream->capacity) return;
    size_t capacity = stream->capacity ? stream->capacity : FIRST_CAPACITY;
    while (capacity < wanted) capacity *= 2;
    stream->bytes = realloc(stream->bytes, capacity);
    if (!stream->bytes) abort();
    stream->capacity = capacity;
}

static void append(struct net_stream *stream, struct str text)
{
    int64_t now = time_monotonic_us();
    if (stream->from == stream->to) stream->moved_us = now;
    make_room(stream, text.n);
    memcpy(stream->bytes + stream->to, text.s, text.n);
    stream->to += text.n;
    stream->written_us = now;
    wake(stream);
}

/* Unlocks. */
static void let_go(struct net_stream *stream)
{
    bool last = --stream->holders == 0;
    pthread_mutex_unlock(&stream->lock);
    if (!last) return;
    drop(stream);
    pthread_mutex_destroy(&stream->lock);
    free(stream);
}

/* ---- the writer's side --------------------------------------------------------------------------------------------------- */

bool net_stream_write(struct net_stream *stream, struct str text)
{
    pthread_mutex_lock(&stream->lock);
    bool alive = !stream->ended && !stream->cut;
    if (alive && text.n > stream->config.queue_bytes - (stream->to - stream->from)) {
        cut(stream);
        alive = false;
    }
    if (alive && text.n) append(stream, text);
    pthread_mutex_unlock(&stream->lock);
    return alive;
}

static void put_field(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, "%s: ", name);
    for (size_t i = 0; i < value.n; i++) /* either would begin another field */
        if (value.s[i] != '\n' && value.s[i] != '\r') buf_char(out, value.s[i]);
    buf_char(out, '\n');
}

bool net_stream_event(struct net_stream *stream, struct net_event event)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    struct buf    out = buf_in(arena);
    if (event.id.n) put_field(&out, "id", event.id);
    if (event.name.n) put_field(&out, "event", event.name);
    if (!event.data.n) put_field(&out, "data", event.data);
    for (struct str rest = event.data, line; str_cut(&rest, '\n', &line);) put_field(&out, "data", line);
    buf_char(&out, '\n');
    return net_stream_write(stream, buf_str(&out));
}

bool net_stream_alive(struct net_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    bool alive = !stream->ended && !stream->cut;
    pthread_mutex_unlock(&stream->lock);
    return alive;
}

void net_stream_close(struct net_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->ended = true;
    wake(stream);
    let_go(stream);
}

/* ---- the server's side ----------------------------------------------------------------------------------------------------- */

/* libmicrohttpd's ContentReaderCallback, on the loop. */
static ssize_t stream_read(void *arg, uint64_t position, char *out, size_t size)
{
    (void)position;
    struct connection *connection = arg;
    struct net_stream *stream = connection->stream;
    pthread_mutex_lock(&stream->lock);
    size_t  queued = stream->to - stream->from, n = queued < size ? queued : size;
    ssize_t answer = (ssize_t)n;
    if (stream->cut)
        answer = MHD_CONTENT_READER_END_WITH_ERROR;
    else if (n) {
        memcpy(out, stream->bytes + stream->from, n);
        stream->from += n;
        stream->moved_us = time_monotonic_us();
        if (stream->from == stream->to) stream->from = stream->to = 0;
    } else if (stream->ended)
        answer = MHD_CONTENT_READER_END_OF_STREAM;
    else {
        stream->parked = connection->mhd;
        MHD_suspend_connection(connection->mhd);
    }
    pthread_mutex_unlock(&stream->lock);
    return answer;
}

struct MHD_Response *stream_response(struct connection *connection)
{
    enum { PIECE = 16 * 1024 };
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, stream_read, connection, NULL);
}

bool stream_tend(struct net_stream *stream, int64_t now_us)
{
    pthread_mutex_lock(&stream->lock);
    bool waiting = stream->from != stream->to;
    if (waiting && now_us - stream->moved_us > stream->config.stall_ms * 1000) cut(stream);
    bool idle = !waiting && !stream->ended && !stream->cut;
    if (idle && stream->beats && now_us - stream->written_us >= stream->config.beat_ms * 1000)
        append(stream, STR(": ping\n\n"));
    bool goes_on = !stream->cut;
    pthread_mutex_unlock(&stream->lock);
    return goes_on;
}

void stream_end(struct net_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->ended = true;
    wake(stream);
    pthread_mutex_unlock(&stream->lock);
}

void stream_cut(struct net_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    cut(stream);
    pthread_mutex_unlock(&stream->lock);
}

void stream_leave(struct net_stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    stream->parked = NULL; /* it is the connection that goes */
    stream->cut = true;
    drop(stream);
    let_go(stream);
}
