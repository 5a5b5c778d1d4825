/* client.c - the HTTP client: one thread owns libcurl's multi handle, callers wait for it.
 *
 * DESIGN. A caller prepares its transfer, puts it in a queue and waits on the transfer's condition. The thread takes what
 * is queued into the multi handle, which keeps connections open for the next call, and wakes the caller when its transfer
 * is done. While it waits, the caller's arena belongs to the thread. The first call loads libcurl and starts the thread, so
 * that a program that never calls out has neither.
 */
#include "base/library.h"
#include "net/net.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { DEFAULT_TIMEOUT_MS = 30000, CONNECT_TIMEOUT_MS = 10000, DEFAULT_MAX_REPLY = 16 << 20, POLL_MS = 60000, IDLE_CONNECTIONS = 16,
       WATCH_MS = 200 /* between two questions whether a call is to be stopped */ };

struct transfer {
    struct transfer *next;
    CURL            *easy;
    struct buf       body;
    size_t           max_reply, received;
    const struct net_call *call;
    bool             too_large, cancelled, done;
    CURLcode         result;
    pthread_cond_t   finished;
};

// clang-format off
#define LIBCURL(FUNCTION) \
    FUNCTION(curl_, global_init) FUNCTION(curl_, free) \
    FUNCTION(curl_, easy_init) FUNCTION(curl_, easy_setopt) FUNCTION(curl_, easy_getinfo) FUNCTION(curl_, easy_header) \
    FUNCTION(curl_, easy_strerror) FUNCTION(curl_, easy_cleanup) \
    FUNCTION(curl_, multi_init) FUNCTION(curl_, multi_setopt) FUNCTION(curl_, multi_add_handle) \
    FUNCTION(curl_, multi_remove_handle) FUNCTION(curl_, multi_perform) FUNCTION(curl_, multi_poll) \
    FUNCTION(curl_, multi_wakeup) FUNCTION(curl_, multi_info_read) \
    FUNCTION(curl_, slist_append) FUNCTION(curl_, slist_free_all) \
    FUNCTION(curl_, url) FUNCTION(curl_, url_set) FUNCTION(curl_, url_get) FUNCTION(curl_, url_cleanup)
// clang-format on
static struct {
    LIBCURL(LIBRARY_POINTER)
} libcurl;

/* The process's client; lock guards its start, the queue and every transfer's `done`. */
static struct {
    pthread_mutex_t  lock;
    struct transfer *first, **last;
    CURLM           *multi; /* NULL: not started */
} client = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void die(const char *what)
{
    fprintf(stderr, "lightfast: %s\n", what);
    abort();
}

/* ---- the thread ------------------------------------------------------------------------------------------------- */

static struct transfer *take_queue(void)
{
    pthread_mutex_lock(&client.lock);
    struct transfer *first = client.first;
    client.first = NULL;
    client.last = &client.first;
    pthread_mutex_unlock(&client.lock);
    return first;
}

static void finish(struct transfer *transfer, CURLcode result)
{
    pthread_mutex_lock(&client.lock);
    transfer->result = result;
    transfer->done = true;
    pthread_cond_signal(&transfer->finished);
    pthread_mutex_unlock(&client.lock);
}

static void *run(void *arg)
{
    size_t watched = 0; /* transfers that may be stopped: libcurl asks them only when it is called */
    (void)arg;
    for (;;) {
        for (struct transfer *next, *transfer = take_queue(); transfer; transfer = next) {
            next = transfer->next; /* a finished transfer is gone at once */
            bool watch = transfer->call->stopped != NULL;
            if (libcurl.multi_add_handle(client.multi, transfer->easy) == CURLM_OK)
                watched += watch;
            else finish(transfer, CURLE_FAILED_INIT);
        }
        int running, left;
        libcurl.multi_perform(client.multi, &running);
        for (CURLMsg *message; (message = libcurl.multi_info_read(client.multi, &left));) {
            if (message->msg != CURLMSG_DONE) continue;
            struct transfer *transfer;
            CURLcode         result = message->data.result; /* read before removal, which frees the message */
            libcurl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
            libcurl.multi_remove_handle(client.multi, message->easy_handle);
            watched -= transfer->call->stopped != NULL;
            finish(transfer, result);
        }
        libcurl.multi_poll(client.multi, NULL, 0, watched ? WATCH_MS : POLL_MS, NULL);
    }
    return NULL;
}

static struct err *load(struct arena *arena)
{
    static const char *const names[] = {LIBCURL(LIBRARY_NAME)};
    TRY(library_load(arena, "libcurl.so.4", names, sizeof names / sizeof *names, &libcurl)); /* so named since 2006 */
    if (libcurl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_new(arena, ERR_UNAVAILABLE, "libcurl does not start");
    return NULL;
}

static void start_thread(void)
{
    client.last = &client.first;
    client.multi = libcurl.multi_init();
    if (!client.multi) die("out of memory (HTTP client)");
    libcurl.multi_setopt(client.multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS);
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, NULL) != 0) die("cannot start a thread (HTTP client)");
    pthread_setname_np(thread, "http-client");
    pthread_detach(thread);
}

static struct err *start(struct arena *arena)
{
    pthread_mutex_lock(&client.lock);
    struct err *failed = client.multi ? NULL : load(arena);
    if (!failed && !client.multi) start_thread();
    pthread_mutex_unlock(&client.lock);
    return failed;
}

/* ---- callers ------------------------------------------------------------------------------------------------------ */

static size_t receive(char *data, size_t size, size_t count, void *arg)
{
    struct transfer       *transfer = arg;
    const struct net_call *call = transfer->call;
    size_t                 n = size * count;
    long                   status = 0;
    if (n > transfer->max_reply - transfer->received) {
        transfer->too_large = true;
        return 0;
    }
    transfer->received += n;
    libcurl.easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (!call->piece || status < 200 || status > 299)
        buf_bytes(&transfer->body, data, n);
    else if (!call->piece(call->arg, (struct str){data, n})) {
        transfer->cancelled = true;
        return 0;
    }
    return n;
}

static int watch(void *arg, curl_off_t total, curl_off_t now, curl_off_t up, curl_off_t upped)
{
    struct transfer *transfer = arg;
    (void)total, (void)now, (void)up, (void)upped;
    transfer->cancelled = transfer->cancelled || transfer->call->stopped(transfer->call->arg);
    return transfer->cancelled;
}

static bool one_line(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.s[i] < ' ' || text.s[i] == 0x7f) return false;
    return true;
}

static bool is_loopback(struct str host)
{
    return str_eq_nocase(host, STR("localhost")) || str_eq_nocase(host, STR("[::1]")) || str_starts(host, STR("127."));
}

/* The URL's host, for messages and for telling loopback. Errors: ERR_INVALID for what is not http or https. */
static struct err *read_host(struct arena *arena, const char *url, struct str *host)
{
    CURLU      *parts = libcurl.url();
    char       *scheme = NULL, *name = NULL;
    bool        read = parts && !libcurl.url_set(parts, CURLUPART_URL, url, 0) &&
                !libcurl.url_get(parts, CURLUPART_SCHEME, &scheme, 0) &&
                !libcurl.url_get(parts, CURLUPART_HOST, &name, 0);
    bool        http = read && (str_eq(str_of(scheme), STR("http")) || str_eq(str_of(scheme), STR("https")));
    struct err *failed = http ? NULL : err_new(arena, ERR_INVALID, "not an http or https address");
    if (http) *host = str_dup(arena, str_of(name));
    libcurl.free(scheme);
    libcurl.free(name);
    libcurl.url_cleanup(parts);
    return failed;
}

static struct err *make_headers(struct arena *arena, const struct net_call *call, struct curl_slist **list)
{
    *list = libcurl.slist_append(NULL, "Expect:"); /* no waiting for "100 Continue" */
    for (size_t i = 0; i < call->header_count; i++) {
        const struct net_header *header = &call->headers[i];
        if (!one_line(header->name) || !one_line(header->value))
            return err_new(arena, ERR_INVALID, "a header of the request has a line break");
        struct str line = header->value.n ? str_printf(arena, STR_FMT ": " STR_FMT, STR_ARG(header->name), STR_ARG(header->value))
                                          : str_printf(arena, STR_FMT ";", STR_ARG(header->name)); /* curl's way */
        *list = libcurl.slist_append(*list, line.s);
    }
    return NULL;
}

static void set_options(CURL *easy, struct arena *arena, const struct net_call *call, const char *url, struct str host,
                        struct curl_slist *headers, struct transfer *transfer)
{
    int64_t timeout = call->timeout_ms ? call->timeout_ms : DEFAULT_TIMEOUT_MS;
    libcurl.easy_setopt(easy, CURLOPT_URL, url);
    libcurl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    libcurl.easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    libcurl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    libcurl.easy_setopt(easy, CURLOPT_USERAGENT, "lightfast/" LIGHTFAST_VERSION);
    libcurl.easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    libcurl.easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout > 0 ? (long)timeout : 0L);
    libcurl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                        timeout > 0 && timeout < CONNECT_TIMEOUT_MS ? (long)timeout : (long)CONNECT_TIMEOUT_MS);
    libcurl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, receive);
    libcurl.easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    libcurl.easy_setopt(easy, CURLOPT_PRIVATE, transfer);
    if (call->stopped) {
        libcurl.easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
        libcurl.easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, watch);
        libcurl.easy_setopt(easy, CURLOPT_XFERINFODATA, transfer);
    }
    if (call->socket_path.n) libcurl.easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, str_z(arena, call->socket_path));
    if (call->socket_path.n || is_loopback(host)) libcurl.easy_setopt(easy, CURLOPT_PROXY, "");

    bool posts = strcmp(call->method, "POST") == 0;
    if (posts || call->body.n) {
        libcurl.easy_setopt(easy, CURLOPT_POST, 1L);
        libcurl.easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
        libcurl.easy_setopt(easy, CURLOPT_POSTFIELDS, call->body.n ? call->body.s : "");
    }
    if (strcmp(call->method, "HEAD") == 0)
        libcurl.easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (!posts)
        libcurl.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
}

static void wait_for(struct transfer *transfer)
{
    pthread_mutex_lock(&client.lock);
    *client.last = transfer;
    client.last = &transfer->next;
    libcurl.multi_wakeup(client.multi);
    while (!transfer->done) pthread_cond_wait(&transfer->finished, &client.lock);
    pthread_mutex_unlock(&client.lock);
}

static struct err *outcome(struct arena *arena, const struct transfer *transfer, struct str host)
{
    if (transfer->too_large)
        return err_new(arena, ERR_TOO_LARGE, STR_FMT " answers with more than %zu bytes", STR_ARG(host), transfer->max_reply);
    if (transfer->cancelled) return err_new(arena, ERR_CANCELLED, "the call to " STR_FMT " was stopped", STR_ARG(host));
    if (transfer->result == CURLE_OPERATION_TIMEDOUT)
        return err_new(arena, ERR_TIMEOUT, STR_FMT " does not answer in time", STR_ARG(host));
    if (transfer->result != CURLE_OK)
        return err_new(arena, ERR_UNAVAILABLE, "no answer from " STR_FMT ": %s", STR_ARG(host),
                       libcurl.easy_strerror(transfer->result));
    return NULL;
}

static void read_answer(struct arena *arena, const struct transfer *transfer, struct net_answer *answer)
{
    long               status = 0;
    struct curl_header *header;
    libcurl.easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    *answer = (struct net_answer){.status = (int)status, .body = buf_str(&transfer->body)};
    if (libcurl.easy_header(transfer->easy, "Retry-After", 0, CURLH_HEADER, -1, &header) == CURLHE_OK)
        answer->retry_after = str_dup(arena, str_of(header->value));
}

static struct err *perform(struct arena *arena, const struct net_call *call, CURL *easy, struct curl_slist **headers,
                           struct net_answer *answer)
{
    struct str host;
    if (!one_line(call->url)) return err_new(arena, ERR_INVALID, "the address has a line break");
    const char *url = str_z(arena, call->url);
    TRY(read_host(arena, url, &host));
    TRY(make_headers(arena, call, headers));
    struct transfer transfer = {.easy = easy,
                                .call = call,
                                .body = buf_in(arena),
                                .max_reply = call->max_reply ? call->max_reply : DEFAULT_MAX_REPLY,
                                .finished = PTHREAD_COND_INITIALIZER};
    set_options(easy, arena, call, url, host, *headers, &transfer);
    wait_for(&transfer);
    pthread_cond_destroy(&transfer.finished);
    TRY(outcome(arena, &transfer, host));
    read_answer(arena, &transfer, answer);
    return NULL;
}

struct err *net_http(struct arena *arena, const struct net_call *call, struct net_answer *answer)
{
    TRY(start(arena));
    struct curl_slist *headers = NULL;
    CURL              *easy = libcurl.easy_init();
    if (!easy) die("out of memory (HTTP client)");
    struct err *failed = perform(arena, call, easy, &headers, answer);
    libcurl.easy_cleanup(easy);
    libcurl.slist_free_all(headers);
    return failed;
}
