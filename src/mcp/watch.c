/* watch.c - listeners over HTTP. One thread looks for all of them, with their own credentials: a key that was revoked
 * hears nothing more. */
#include "base/time.h"
#include "mcp/parts.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { ROUND_MS = 1000, MOST = 256 };

struct watched {
    struct watched     *next;
    struct arena       *arena; /* owns this */
    struct mcp_caller  *caller;
    struct mcp_listener listener;
    struct net_stream  *stream;
};

struct mcp_watch {
    struct app     *app;
    pthread_mutex_t lock; /* guards what follows; what is watched belongs to the thread once it is listed */
    pthread_cond_t  wake;
    pthread_t       thread;
    bool            started, stopping;
    struct watched *first;
    size_t          count;
};

struct mcp_watch *mcp_watch_create(struct app *app)
{
    struct mcp_watch *watch = calloc(1, sizeof *watch);
    if (!watch) abort();
    watch->app = app;
    pthread_mutex_init(&watch->lock, NULL);
    pthread_cond_init(&watch->wake, NULL);
    return watch;
}

/* ---- the thread -------------------------------------------------------------------------------------------------------- */

static bool send(const struct watched *watched, struct str text)
{
    return net_stream_event(watched->stream, (struct net_event){.name = STR("message"), .data = text});
}

/* False: it is over. */
static bool look(struct watched *watched)
{
    struct arena  *arena ARENA_SCOPE = arena_create();
    struct mcp_api api = {.arg = watched->caller, .ask = mcp_caller_ask};
    struct str     news;
    if (!net_stream_alive(watched->stream)) return false;
    if (mcp_listener_look(&watched->listener, &api, arena, &news)) return false;
    return !news.n || send(watched, news);
}

static void forget(struct mcp_watch *watch, struct watched *watched)
{
    pthread_mutex_lock(&watch->lock);
    struct watched **at = &watch->first;
    while (*at != watched) at = &(*at)->next;
    *at = watched->next;
    watch->count--;
    pthread_mutex_unlock(&watch->lock);
    net_stream_close(watched->stream);
    arena_destroy(watched->arena);
}

static struct watched *first_of(struct mcp_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    struct watched *first = watch->first;
    pthread_mutex_unlock(&watch->lock);
    return first;
}

/* Wait for the next round; false: the server stops. */
static bool wait_a_round(struct mcp_watch *watch)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ROUND_MS / 1000;
    pthread_mutex_lock(&watch->lock);
    int expired = 0;
    while (!watch->stopping && (!expired || !watch->first))
        if (watch->first) expired = pthread_cond_timedwait(&watch->wake, &watch->lock, &until);
        else {
            pthread_cond_wait(&watch->wake, &watch->lock);
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_sec += ROUND_MS / 1000;
        }
    bool goes_on = !watch->stopping;
    pthread_mutex_unlock(&watch->lock);
    return goes_on;
}

static void *run(void *arg)
{
    struct mcp_watch *watch = arg;
    while (wait_a_round(watch))
        for (struct watched *watched = first_of(watch), *next; watched; watched = next) {
            next = watched->next; /* only this thread takes one out; new ones come first */
            if (!look(watched)) forget(watch, watched);
        }
    for (struct watched *watched; (watched = first_of(watch));) {
        struct arena *arena ARENA_SCOPE = arena_create();
        send(watched, mcp_listener_goodbye(arena, &watched->listener));
        forget(watch, watched);
    }
    return NULL;
}

/* ---- from outside ------------------------------------------------------------------------------------------------------ */

bool mcp_watch_full(struct mcp_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    bool full = watch->stopping || watch->count >= MOST;
    pthread_mutex_unlock(&watch->lock);
    return full;
}

bool mcp_watch_add(struct mcp_watch *watch, struct arena *arena, struct mcp_caller *caller, struct mcp_listener listener,
                   struct net_stream *stream)
{
    struct watched *watched = NEW(arena, struct watched);
    *watched = (struct watched){.arena = arena, .caller = caller, .listener = listener, .stream = stream};
    watched->listener.id = str_dup(arena, listener.id);
    send(watched, mcp_listener_greeting(arena, &watched->listener));
    pthread_mutex_lock(&watch->lock);
    bool taken = !watch->stopping && watch->count < MOST;
    if (taken && !watch->started) watch->started = pthread_create(&watch->thread, NULL, run, watch) == 0;
    taken = taken && watch->started;
    if (taken) {
        watched->next = watch->first;
        watch->first = watched;
        watch->count++;
        pthread_cond_signal(&watch->wake);
    }
    pthread_mutex_unlock(&watch->lock);
    return taken;
}

void mcp_watch_stop(struct mcp_watch *watch)
{
    pthread_mutex_lock(&watch->lock);
    bool joins = watch->started && !watch->stopping;
    watch->stopping = true;
    pthread_cond_signal(&watch->wake);
    pthread_mutex_unlock(&watch->lock);
    if (joins) pthread_join(watch->thread, NULL);
}

void mcp_watch_destroy(struct mcp_watch *watch)
{
    mcp_watch_stop(watch);
    pthread_cond_destroy(&watch->wake);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}
