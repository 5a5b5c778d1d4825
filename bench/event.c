/* event.c - processor time of one webhook, from received bytes to scores, categories and entities, step by step.
 * Usage: bench_event rounds FILE..., where a FILE is a storyline ({"webhooks":[{source, eventType, payload}]}) or the
 * index.json of @octokit/webhooks-examples ([{name, examples}]). */
#include "base/time.h"
#include "crypto/crypto.h"
#include "memory/memory.h"
#include "source/transform.h"
#include "text/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct str secret = {"a secret of 32 characters or more", 33};
static const int64_t received_at = INT64_C(1798761600000); /* after every recorded time */

struct webhook {
    enum source_provider provider;
    struct str event, body;
    char signature[72], timestamp[24];
};
struct webhooks {
    VEC(struct webhook) list;
};

/* ---- reading the files ------------------------------------------------------------------------------------------- */

static void sign(struct webhook *webhook)
{
    unsigned char digest[CRYPTO_MAX_DIGEST];
    bool vercel = webhook->provider == SOURCE_VERCEL;
    size_t n = crypto_hmac(vercel ? CRYPTO_SHA1 : CRYPTO_SHA256, secret, webhook->body, digest);
    for (size_t i = 0; i < n; i++) snprintf(webhook->signature + 2 * i, 3, "%02x", digest[i]);
    snprintf(webhook->timestamp, sizeof webhook->timestamp, "%lld", (long long)received_at);
}

static void add(struct arena *arena, struct webhooks *webhooks, struct str source, struct str event,
                const json_value *payload)
{
    struct webhook *webhook = VEC_PUSH(arena, &webhooks->list);
    if (!source_provider_parse(source, &webhook->provider)) abort();
    webhook->event = event;
    webhook->body = json_text(arena, payload);
    sign(webhook);
}

static bool read_webhooks(struct arena *arena, const char *path, struct webhooks *webhooks)
{
    FILE *file = fopen(path, "rb");
    char piece[1 << 16];
    if (!file) return false;
    struct buf text = buf_in(arena);
    const json_value *root;
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;) buf_bytes(&text, piece, n);
    fclose(file);
    if (json_parse(arena, buf_str(&text), &root)) return false;
    for (struct json_iter it = json_iter(json_get(root, "webhooks")); json_step(&it);)
        add(arena, webhooks, json_str(it.value, "source"), json_str(it.value, "eventType"),
            json_get(it.value, "payload"));
    if (json_is_array(root))
        for (struct json_iter it = json_iter(root); json_step(&it);)
            for (struct json_iter example = json_iter(json_get(it.value, "examples")); json_step(&example);)
                add(arena, webhooks, STR("github"), json_str(it.value, "name"), example.value);
    return true;
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */

enum step { VERIFY, PARSE, TRANSFORM, ANALYSE, STEPS };
static const char *const step_names[] = {"verify", "parse", "transform", "analyse"};

static double cpu_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static struct str header(void *arg, const char *name)
{
    const struct webhook *webhook = arg;
    if (strstr(name, "signature")) return str_of(webhook->signature);
    if (strstr(name, "timestamp")) return str_of(webhook->timestamp);
    if (!strcmp(name, "x-github-delivery") || !strcmp(name, "linear-delivery") || !strcmp(name, "request-id"))
        return STR("0b989ba4-242f-11e5-81e1-c7b6966d2516");
    if (!strcmp(name, "x-github-event") || !strcmp(name, "sentry-hook-resource")) return webhook->event;
    return (struct str){0};
}

/* Payloads were recorded at other times: their age is of no interest here. */
static bool read_delivery(struct arena *arena, const struct source_request *request, struct source_delivery *delivery)
{
    struct source_delivery_options options = {.received_at = received_at, .max_age = DAYS(3650)};
    return source_delivery_read(arena, request, options, delivery) == NULL;
}

/* The steps up to `last`; false if one of them refused or ignored the webhook. */
static bool process(struct arena *arena, struct webhook *webhook, const struct source_context *context, enum step last)
{
    struct source_request request = {
        .provider = webhook->provider, .body = webhook->body, .header = header, .arg = webhook};
    struct source_delivery delivery;
    struct source_event event;
    struct memory_analysis analysis;
    struct str category;
    if (source_signature_check(&request, &secret, 1)) abort();
    if (last == VERIFY) return true;
    if (!read_delivery(arena, &request, &delivery)) abort();
    if (last == PARSE) return true;
    if (source_transform(arena, webhook->provider, delivery.event, delivery.payload, context, &event, &category))
        return false;
    if (last == ANALYSE) memory_analyse(arena, &event, &analysis);
    return true;
}

/* Microseconds an event, the best of `rounds` passes over all of them: what else runs on the machine is not of
 * interest. */
static double measure(struct arena *arena, const struct webhooks *webhooks, const struct source_context *context,
                      enum step last, int rounds)
{
    double best = 1e18;
    for (int round = 0; round < rounds; round++) {
        double started = cpu_us();
        for (size_t i = 0; i < webhooks->list.n; i++) {
            arena_reset(arena);
            process(arena, &webhooks->list.at[i], context, last);
        }
        double took = (cpu_us() - started) / (double)webhooks->list.n;
        best = took < best ? took : best;
    }
    return best;
}

static void report(struct json_out *out, const char *name, const struct webhooks *webhooks,
                   const struct source_context *context, int rounds)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    size_t bytes = 0;
    for (size_t i = 0; i < webhooks->list.n; i++) bytes += webhooks->list.at[i].body.n;
    double steps[STEPS];
    for (int step = 0; step < STEPS; step++) steps[step] = measure(arena, webhooks, context, (enum step)step, rounds);
    json_begin(out, name, '{');
    json_put(out, "events", webhooks->list.n);
    json_put(out, "bytes", bytes / webhooks->list.n);
    json_put(out, "us", steps[ANALYSE]);
    for (int step = ANALYSE; step > VERIFY; step--) steps[step] -= steps[step - 1];
    for (int step = 0; step < STEPS; step++) json_put(out, step_names[step], steps[step]);
    json_end(out);
}

int main(int argc, char **argv)
{
    struct arena *arena ARENA_SCOPE = arena_create();
    struct arena *work ARENA_SCOPE = arena_create();
    struct webhooks all = {0}, captured = {0};
    int rounds = argc > 1 ? atoi(argv[1]) : 0;
    struct source_context context = {.delivery_id = STR("bench"), .received_at = received_at};
    crypto_start();
    text_start();
    for (int i = 2; i < argc; i++)
        if (!read_webhooks(arena, argv[i], &all)) fprintf(stderr, "cannot read %s\n", argv[i]);
    if (rounds < 1 || !all.list.n || json_parse(arena, STR("{\"branches\":[\"**\"]}"), &context.sync)) {
        fprintf(stderr, "usage: bench_event rounds FILE...\n");
        return 2;
    }
    for (size_t i = 0; i < all.list.n; i++)
        if (process(work, &all.list.at[i], &context, ANALYSE)) *VEC_PUSH(arena, &captured.list) = all.list.at[i];
    struct json_out out = json_out(arena);
    json_begin(&out, NULL, '{');
    report(&out, "all", &all, &context, rounds);
    if (captured.list.n) report(&out, "captured", &captured, &context, rounds);
    json_end(&out);
    printf(STR_FMT "\n", STR_ARG(json_out_text(&out)));
    return 0;
}
