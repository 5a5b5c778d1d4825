/* limits.c - token buckets in a table of fixed size.
 *
 * A bucket holds at most one minute's worth and refills steadily. Buckets live in sets of eight; when a set is full the
 * one least recently used makes room, which at worst forgets that someone was busy.
 */
#include "api/call.h"
#include "base/hash.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

enum { SETS = 1024, WAYS = 8 };

struct bucket { uint64_t who; double tokens; int64_t at; }; /* who 0: free */

struct api_limits {
    pthread_mutex_t lock; /* guards buckets */
    struct bucket   buckets[SETS][WAYS];
};

struct api_limits *api_limits_create(void)
{
    struct api_limits *limits = calloc(1, sizeof *limits);
    if (!limits) abort();
    pthread_mutex_init(&limits->lock, NULL);
    return limits;
}

void api_limits_destroy(struct api_limits *limits)
{
    pthread_mutex_destroy(&limits->lock);
    free(limits);
}

static struct bucket *find(struct bucket *set, uint64_t who, int64_t per_minute, int64_t now)
{
    struct bucket *oldest = set;
    for (int i = 0; i < WAYS; i++) {
        if (set[i].who == who) return &set[i];
        if (set[i].at < oldest->at) oldest = &set[i];
    }
    *oldest = (struct bucket){who, (double)per_minute, now};
    return oldest;
}

struct api_allowance api_limits_take(struct api_limits *limits, uint64_t who, int64_t per_minute, int cost)
{
    double  rate = (double)per_minute / 60000.0, size = (double)per_minute; /* tokens a millisecond */
    int64_t now = time_now();
    if (who == 0) who = 1;
    pthread_mutex_lock(&limits->lock);
    struct bucket *bucket = find(limits->buckets[who % SETS], who, per_minute, now);
    int64_t        passed = now > bucket->at ? now - bucket->at : 0; /* the clock may have been set back */
    double         tokens = fmin(size, bucket->tokens + (double)passed * rate);
    bool           allowed = tokens >= cost;
    if (allowed) tokens -= cost;
    bucket->tokens = tokens;
    bucket->at = now;
    pthread_mutex_unlock(&limits->lock);
    struct api_allowance allowance = {.allowed = allowed, .limit = per_minute, .remaining = (int64_t)tokens};
    allowance.reset = (now + (int64_t)ceil((size - tokens) / rate) + 999) / 1000;
    if (!allowed) allowance.retry_after = (int64_t)ceil((cost - tokens) / rate / 1000.0);
    return allowance;
}

static struct err *refuse(struct api_call *call, struct api_allowance allowance)
{
    call->retry_after = allowance.retry_after < 1 ? 1 : allowance.retry_after;
    return err_new(call->arena, ERR_RATE_LIMITED, "Rate limit exceeded. Retry after %lld seconds.",
                   (long long)call->retry_after);
}

static void put_headers(struct api_call *call, struct api_allowance allowance)
{
    const struct { const char *name; int64_t value; } headers[] = {
        {"X-RateLimit-Limit", allowance.limit},
        {"X-RateLimit-Remaining", allowance.remaining},
        {"X-RateLimit-Reset", allowance.reset},
    };
    for (size_t i = 0; i < 3; i++)
        net_reply_header(call->reply, headers[i].name,
                         str_printf(call->arena, "%lld", (long long)headers[i].value));
}

/* History is sent as fast as it can be stored; whether that import runs is checked by the route. */
static int costs(const struct api_call *call, enum api_rate rate)
{
    bool history = rate == API_RATE_EVENTS && net_query_get(call->request, "import").n;
    return rate != API_RATE_NONE && !history;
}

struct err *api_rate_limit(struct api_call *call)
{
    enum api_rate rate = call->match.route->rate;
    const struct config *config = call->app->config;
    /* routes without a limit of their own show the reading one, untouched */
    const int64_t limits[] = {[API_RATE_NONE] = config->limit_read,
                              [API_RATE_SEARCH] = config->limit_search,
                              [API_RATE_READ] = config->limit_read,
                              [API_RATE_ANSWER] = config->limit_answer,
                              [API_RATE_EVENTS] = config->limit_events};
    int64_t per_minute = limits[rate];
    if (call->key.id == 0 || per_minute <= 0) return NULL;
    int64_t parts[2] = {call->key.id, rate == API_RATE_NONE ? API_RATE_READ : rate};
    uint64_t who = hash_str((struct str){(const char *)parts, sizeof parts});
    struct api_allowance allowance = api_limits_take(call->api->limits, who, per_minute, costs(call, rate));
    put_headers(call, allowance);
    return allowance.allowed ? NULL : refuse(call, allowance);
}

struct err *api_rate_failure(struct api_call *call)
{
    int64_t per_minute = call->app->config->limit_auth_failures;
    if (per_minute <= 0) return NULL;
    uint64_t who = hash_str_seeded(api_address_group(call->arena, call->client), 1);
    struct api_allowance allowance = api_limits_take(call->api->limits, who, per_minute, 1);
    return allowance.allowed ? NULL : refuse(call, allowance);
}
