/* stream.c - GET W/stream: Server-Sent Events of a workspace.
 *
 * DESIGN. A workspace that somebody listens to has a channel: its listeners and the last events that were told, so that
 * who comes back with Last-Event-ID misses nothing. One thread looks for news of all channels and tells them; a channel
 * without listeners is looked at seldom, for the sake of those who come back within a day. The engine's watcher only notes
 * which jobs changed. Nobody holds the lock while reading the database; channels, listeners and news are freed by the
 * thread alone, so it may use them without the lock.
 */
#include "api/stream.h"
#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    KEPT = 1000, KEPT_HOURS = 24, CHANGED = 500, CHANNELS = 1000, MAX_PROGRESS = 4096, STREAMS_OF_A_KEY = 10,
    ROUND_MS = 250, IDLE_ROUND_MS = 5000, RIGHTS_MS = 3000, PING_MS = 20000, BUSY_SECONDS = 5
};

const char *const stream_topics[] = {"activity", "job", "source", "health", NULL};

struct listener {
    struct listener   *next;
    struct net_stream *stream;
    unsigned           topics; /* bits by enum stream_topic */
    int64_t            key;    /* row id; 0: local */
    char               key_id[40];
};

struct kept { int64_t id, at; enum stream_topic topic; char *text; size_t n; };

struct channel {
    struct channel  *next;
    struct news     *news;
    struct listener *listeners;
    struct kept      kept[KEPT];
    size_t           first, count;
    int64_t          floor;  /* who has seen less than this id has missed something */
    int64_t          idle_since, looked_us;
    struct stream_job changed[CHANGED]; /* the progress is malloc'd */
    size_t           changed_count;
    bool             overflow;
};

struct api_stream {
    struct app      *app;
    pthread_mutex_t  lock; /* guards what follows */
    pthread_cond_t   wanted;
    pthread_t        thread;
    bool             started, stopping;
    struct channel  *channels;
    atomic_size_t    channel_count;
    int64_t          last_id, rights_us;
};

struct api_stream *api_stream_create(struct app *app)
{
    struct api_stream *streams = calloc(1, sizeof *streams);
    if (!streams) abort();
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&streams->wanted, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&streams->lock, NULL);
    streams->app = app;
    streams->last_id = time_now() * 1000; /* ids of an earlier process are smaller */
    return streams;
}

/* ---- telling, with the lock held ------------------------------------------------------------------------------------------ */

static struct str number(char *out, size_t size, int64_t value)
{
    return (struct str){out, (size_t)snprintf(out, size, "%lld", (long long)value)};
}

static void send_kept(const struct listener *listener, const struct kept *kept)
{
    char       id[24];
    bool       reset = kept->topic == STREAM_TOPICS;
    if (!reset && !(listener->topics & 1u << kept->topic)) return;
    net_stream_event(listener->stream, (struct net_event){.id = number(id, sizeof id, kept->id),
                                                          .name = reset ? STR("reset") : str_of(stream_topics[kept->topic]),
                                                          .data = {kept->text, kept->n}});
}

static void drop_oldest(struct channel *channel)
{
    struct kept *oldest = &channel->kept[channel->first];
    channel->floor = oldest->id;
    free(oldest->text);
    channel->first = (channel->first + 1) % KEPT;
    channel->count--;
}

static void publish(struct api_stream *streams, struct channel *channel, const struct stream_item *item)
{
    if (channel->count == KEPT) drop_oldest(channel);
    struct kept *kept = &channel->kept[(channel->first + channel->count++) % KEPT];
    *kept = (struct kept){++streams->last_id, time_now(), item->topic, malloc(item->text.n), item->text.n};
    if (!kept->text) abort();
    memcpy(kept->text, item->text.s, item->text.n);
    for (struct listener *listener = channel->listeners; listener; listener = listener->next) send_kept(listener, kept);
}

/* Tell where the stream stands, and what was missed since the event that the client saw last. */
static void greet(struct api_stream *streams, struct channel *channel, const struct listener *listener, struct str last)
{
    int64_t seen = 0;
    char    hello[64];
    bool    resumes = last.n > 0, known = resumes && str_to_int(last, &seen) && seen >= channel->floor && seen <= streams->last_id;
    int64_t stands_at = known ? seen : streams->last_id;
    int     n = snprintf(hello, sizeof hello, "retry: 3000\nid: %lld\n\n", (long long)stands_at);
    net_stream_write(listener->stream, (struct str){hello, (size_t)n});
    if (resumes && !known)
        send_kept(listener, &(struct kept){.id = stands_at, .topic = STREAM_TOPICS, .text = "{}", .n = 2});
    for (size_t i = 0; known && i < channel->count; i++) {
        const struct kept *kept = &channel->kept[(channel->first + i) % KEPT];
        if (kept->id > seen) send_kept(listener, kept);
    }
}

/* ---- coming -------------------------------------------------------------------------------------------------------------- */

static struct channel *find_channel(struct api_stream *streams, int64_t workspace)
{
    struct channel *channel = streams->channels;
    while (channel && news_workspace(channel->news) != workspace) channel = channel->next;
    return channel;
}

static size_t streams_of(const struct api_stream *streams, int64_t key)
{
    size_t n = 0;
    for (struct channel *channel = streams->channels; channel; channel = channel->next)
        for (struct listener *listener = channel->listeners; listener; listener = listener->next)
            n += listener->key == key && net_stream_alive(listener->stream);
    return n;
}

static struct channel *add_channel(struct api_stream *streams, struct news *news)
{
    struct channel *channel = calloc(1, sizeof *channel);
    if (!channel) abort();
    channel->news = news;
    channel->floor = streams->last_id;
    channel->next = streams->channels;
    streams->channels = channel;
    atomic_fetch_add(&streams->channel_count, 1);
    return channel;
}

static void add_listener(struct api_stream *streams, struct channel *channel, struct api_call *call, unsigned topics)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (!listener) abort();
    call->reply->status = 200;
    listener->stream = net_stream_open(call->request, call->reply, (struct net_stream_config){.beat_ms = PING_MS});
    listener->topics = topics;
    listener->key = call->key.id;
    snprintf(listener->key_id, sizeof listener->key_id, STR_FMT, STR_ARG(call->key.public_id));
    greet(streams, channel, listener, str_trim(net_header_get(call->request, "Last-Event-ID")));
    listener->next = channel->listeners;
    channel->listeners = listener;
}

static void *look_for_news(void *arg);

static struct err *start_thread(struct api_stream *streams, struct arena *arena)
{
    if (streams->started) return NULL;
    if (pthread_create(&streams->thread, NULL, look_for_news, streams) != 0)
        return err_new(arena, ERR_UNAVAILABLE, "cannot start a thread");
    pthread_setname_np(streams->thread, "news");
    streams->started = true;
    return NULL;
}

/* With the lock held. *news becomes NULL when a channel has taken it. */
static struct err *join(struct api_stream *streams, struct api_call *call, unsigned topics, struct news **news)
{
    if (call->key.id && streams_of(streams, call->key.id) >= STREAMS_OF_A_KEY) {
        call->retry_after = BUSY_SECONDS;
        return err_new(call->arena, ERR_RATE_LIMITED, "This API key has %d streams open already", STREAMS_OF_A_KEY);
    }
    struct channel *channel = find_channel(streams, call->workspace.id);
    if (!channel && atomic_load(&streams->channel_count) >= CHANNELS)
        return err_new(call->arena, ERR_UNAVAILABLE, "Too many workspaces are listened to");
    TRY(start_thread(streams, call->arena));
    if (!channel) {
        channel = add_channel(streams, *news);
        *news = NULL;
    }
    add_listener(streams, channel, call, topics);
    pthread_cond_signal(&streams->wanted);
    return NULL;
}

static const struct api_field stream_fields[] = {
    {"topics", NULL, API_TEXTS, 0, .most = STREAM_TOPICS, .values = stream_topics},
    {0},
};

struct err *api_stream_open(struct api_call *call)
{
    struct api_stream *streams = call->api->streams;
    struct api_texts   names = {0};
    struct news       *news;
    unsigned           topics = 0;
    TRY(api_query_fields(call, stream_fields, &names));
    TRY(api_check(call));
    if (!call->request->job) return err_new(call->arena, ERR_UNAVAILABLE, "No server runs here that could tell any news");
    for (size_t i = 0; i < names.n; i++)
        for (unsigned topic = 0; topic < STREAM_TOPICS; topic++)
            if (str_eq(names.at[i], str_of(stream_topics[topic]))) topics |= 1u << topic;
    TRY(news_begin(call->arena, call->app, &call->workspace, &news));
    pthread_mutex_lock(&streams->lock);
    struct err *err = join(streams, call, topics ? topics : (1u << STREAM_TOPICS) - 1, &news);
    pthread_mutex_unlock(&streams->lock);
    if (news) news_end(news);
    return err;
}

/* ---- jobs ---------------------------------------------------------------------------------------------------------------- */

static void note_progress(struct stream_job *job, struct str progress)
{
    if (!progress.s || progress.n > MAX_PROGRESS) return;
    char *copy = malloc(progress.n + 1);
    if (!copy) abort();
    memcpy(copy, progress.s, progress.n);
    free((char *)job->progress.s);
    job->progress = (struct str){copy, progress.n};
}

static void note_job(struct channel *channel, const struct flow_change *change)
{
    size_t at = channel->changed_count;
    while (at > 0 && memcmp(channel->changed[at - 1].id, change->public_id.s, STREAM_ID_CHARS) != 0) at--;
    if (at == 0 && channel->changed_count == CHANGED) {
        channel->overflow = true;
        return;
    }
    struct stream_job *job = at ? &channel->changed[at - 1] : &channel->changed[channel->changed_count++];
    if (!at) memcpy(job->id, change->public_id.s, STREAM_ID_CHARS);
    note_progress(job, change->progress);
}

void api_job_changed(void *arg, const struct flow_change *change)
{
    struct api_stream *streams = ((struct api *)arg)->streams;
    if (atomic_load_explicit(&streams->channel_count, memory_order_relaxed) == 0 || change->system ||
        change->public_id.n != STREAM_ID_CHARS)
        return;
    pthread_mutex_lock(&streams->lock);
    struct channel *channel = find_channel(streams, change->workspace);
    if (channel) note_job(channel, change);
    pthread_mutex_unlock(&streams->lock);
}

/* ---- the thread ------------------------------------------------------------------------------------------------------------ */

static void forget_changed(struct channel *channel)
{
    for (size_t i = 0; i < channel->changed_count; i++) free((char *)channel->changed[i].progress.s);
    memset(channel->changed, 0, channel->changed_count * sizeof *channel->changed);
    channel->changed_count = 0;
    channel->overflow = false;
}

static struct stream_jobs take_changed(struct arena *arena, struct channel *channel)
{
    struct stream_jobs jobs = {NEW_ARRAY(arena, struct stream_job, channel->changed_count + 1), channel->changed_count,
                               channel->overflow};
    for (size_t i = 0; i < jobs.n; i++) {
        jobs.at[i] = channel->changed[i];
        if (jobs.at[i].progress.s) jobs.at[i].progress = str_dup(arena, jobs.at[i].progress);
    }
    forget_changed(channel);
    return jobs;
}

static void look_at(struct api_stream *streams, struct channel *channel)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    struct stream_items items = {0};
    pthread_mutex_lock(&streams->lock);
    struct stream_jobs changed = take_changed(arena, channel);
    pthread_mutex_unlock(&streams->lock);
    struct err *err = news_gather(channel->news, arena, &changed, &items);
    if (err) {
        log_warn("api", "cannot read the news of a workspace: " STR_FMT, STR_ARG(err_text(arena, err)));
        *VEC_PUSH(arena, &items) = (struct stream_item){STREAM_TOPICS, STR("{}")};
    }
    pthread_mutex_lock(&streams->lock);
    for (size_t i = 0; i < items.n; i++) publish(streams, channel, &items.at[i]);
    pthread_mutex_unlock(&streams->lock);
}

static bool key_is_good(struct db_tx *tx, int64_t workspace, const struct listener *listener)
{
    struct org_workspace found;
    struct org_key       key;
    struct err          *err = org_workspace_by_id(tx, workspace, &found);
    if (!err && listener->key) err = org_key_get(tx, workspace, str_of(listener->key_id), &key);
    if (err) return err->code != ERR_NOT_FOUND; /* of a failing disk the key is not guilty */
    return !listener->key || (key.active && (!key.expires_at || key.expires_at > time_now()));
}

/* Close the streams of those who may no longer listen. */
static void check_rights(struct api_stream *streams, struct channel *channel)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    struct db_tx *tx DB_READ_SCOPE = NULL;
    VEC(struct listener *) listeners = {0};
    pthread_mutex_lock(&streams->lock);
    for (struct listener *listener = channel->listeners; listener; listener = listener->next)
        *VEC_PUSH(arena, &listeners) = listener;
    pthread_mutex_unlock(&streams->lock);
    if (!listeners.n || db_read_begin(streams->app->db, arena, &tx)) return;
    for (size_t i = 0; i < listeners.n; i++)
        if (!key_is_good(tx, news_workspace(channel->news), listeners.at[i])) listeners.at[i]->topics = 0;
}

static void sweep_listeners(struct channel *channel)
{
    for (struct listener **link = &channel->listeners; *link;) {
        struct listener *listener = *link;
        if (listener->topics && net_stream_alive(listener->stream)) {
            link = &listener->next;
            continue;
        }
        *link = listener->next;
        net_stream_close(listener->stream);
        free(listener);
    }
}

static void free_channel(struct channel *channel)
{
    for (struct listener *listener = channel->listeners; listener; listener = listener->next) listener->topics = 0;
    sweep_listeners(channel);
    while (channel->count) drop_oldest(channel);
    forget_changed(channel);
    news_end(channel->news);
    free(channel);
}

/* With the lock held. */
static void sweep(struct api_stream *streams)
{
    int64_t now = time_now(), oldest = now - HOURS(KEPT_HOURS);
    for (struct channel **link = &streams->channels; *link;) {
        struct channel *channel = *link;
        sweep_listeners(channel);
        while (channel->count && channel->kept[channel->first].at < oldest) drop_oldest(channel);
        if (channel->listeners) channel->idle_since = 0;
        else if (!channel->idle_since) channel->idle_since = now;
        if (!channel->idle_since || channel->idle_since > oldest) {
            link = &channel->next;
            continue;
        }
        *link = channel->next;
        atomic_fetch_sub(&streams->channel_count, 1);
        free_channel(channel);
    }
}

/* With the lock held: the channels whose turn it is, at most *n. Returns how long to wait for the next; 0: no end. */
static int64_t pick(struct api_stream *streams, struct channel **due, size_t *n)
{
    int64_t now = time_monotonic_us(), wait = streams->channels ? IDLE_ROUND_MS : 0;
    *n = 0;
    for (struct channel *channel = streams->channels; channel; channel = channel->next) {
        int64_t every = channel->listeners ? ROUND_MS : IDLE_ROUND_MS;
        if (channel->listeners) wait = ROUND_MS;
        if (now - channel->looked_us < every * 1000 || *n == CHANNELS) continue;
        channel->looked_us = now;
        due[(*n)++] = channel;
    }
    return wait;
}

static void wait_for_round(struct api_stream *streams, int64_t ms)
{
    struct timespec until;
    if (!ms) {
        pthread_cond_wait(&streams->wanted, &streams->lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&streams->wanted, &streams->lock, &until);
}

static void *look_for_news(void *arg)
{
    struct api_stream *streams = arg;
    struct channel    *due[CHANNELS];
    size_t             n;
    pthread_mutex_lock(&streams->lock);
    while (!streams->stopping) {
        sweep(streams);
        int64_t wait = pick(streams, due, &n);
        int64_t now = time_monotonic_us();
        bool    rights = now - streams->rights_us >= RIGHTS_MS * 1000;
        if (rights) streams->rights_us = now;
        pthread_mutex_unlock(&streams->lock);
        for (size_t i = 0; i < n; i++) {
            if (rights) check_rights(streams, due[i]);
            look_at(streams, due[i]);
        }
        pthread_mutex_lock(&streams->lock);
        if (!streams->stopping) wait_for_round(streams, wait);
    }
    pthread_mutex_unlock(&streams->lock);
    return NULL;
}

void api_stream_destroy(struct api_stream *streams)
{
    pthread_mutex_lock(&streams->lock);
    streams->stopping = true;
    pthread_cond_signal(&streams->wanted);
    pthread_mutex_unlock(&streams->lock);
    if (streams->started) pthread_join(streams->thread, NULL);
    for (struct channel *next, *channel = streams->channels; channel; channel = next) {
        next = channel->next;
        free_channel(channel);
    }
    pthread_cond_destroy(&streams->wanted);
    pthread_mutex_destroy(&streams->lock);
    free(streams);
}
