/* transform_fuzz.c - webhooks of one provider, PROVIDER: the first byte says how, the second which event; the rest is
 * the body. Whatever is made of it must be within the limits of a stored event, and be made of it again. */
#include "crypto/crypto.h"
#include "source/transform.h"
#include "text/text.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const events[] = {
    "push",
    "pull_request",
    "issues",
    "release",
    "discussion",
    "pull_request_review",
    "pull_request_review_comment",
    "issue_comment",
    "installation",
    "repository",
    "issue",
    "error",
    "event_alert",
    "metric_alert",
    "comment",
    "installation_target",
    "installation_repositories",
    "github_app_authorization",
};
enum { EVENTS = sizeof events / sizeof *events };

static struct str header(void *arg, const char *name)
{
    const char *event = arg;
    if (!strcmp(name, "x-github-event") || !strcmp(name, "sentry-hook-resource")) return str_of(event);
    if (!strcmp(name, "sentry-hook-timestamp")) return STR("1767434400");
    if (!strcmp(name, "content-type") && event[0] == 'd') return STR("application/x-www-form-urlencoded");
    return (struct str){0};
}

static void check_event(struct arena *arena, const struct source_event *event)
{
    struct source_event again = *event;
    struct err *err = source_event_normalise(arena, &again);
    assert(!err && str_eq(again.title, event->title) && str_eq(again.source_id, event->source_id));
    assert(event->metadata.n <= SOURCE_MAX_METADATA && event->reference_count <= SOURCE_MAX_REFERENCES);
    assert(again.reference_count == event->reference_count);
}

static void transform(struct arena *arena, const struct source_delivery *delivery, const struct source_context *context)
{
    struct source_event event, second;
    struct str category;
    struct source_github_item item;
    enum source_reason reason =
        source_transform(arena, delivery->provider, delivery->event, delivery->payload, context, &event, &category);
    assert(reason != SOURCE_CAPTURED || category.n);
    if (delivery->provider == SOURCE_GITHUB)
        (void)source_github_item_read(arena, delivery->event, delivery->payload, context, &item);
    if (reason) return;
    check_event(arena, &event);
    reason =
        source_transform(arena, delivery->provider, delivery->event, delivery->payload, context, &second, &category);
    assert(reason == SOURCE_CAPTURED && str_eq(event.source_id, second.source_id) &&
           str_eq(event.metadata, second.metadata));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool started;
    if (!started) {
        crypto_start();
        text_start();
        started = true;
    }
    if (size < 2) return 0;
    struct arena *arena ARENA_SCOPE = arena_create();
    struct source_request request = {.provider = PROVIDER,
                                     .body = {(const char *)data + 2, size - 2},
                                     .header = header,
                                     .arg = (void *)events[data[1] % EVENTS]};
    struct source_delivery delivery;
    struct source_delivery_options options = {.received_at = INT64_C(1767434400000), .max_age = INT64_MAX / 4};
    struct source_context context = {.delivery_id = STR("d"), .received_at = options.received_at};
    struct source_route route;
    struct source_state_change change;
    struct str secret = STR("secret");
    (void)source_signature_check(&request, &secret, 1);
    if (source_delivery_read(arena, &request, options, &delivery)) return 0;
    source_route_find(arena, &delivery, &route);
    source_state_change_find(arena, &delivery, &change);
    if (data[0] & 128) context.sync = json_get(delivery.payload, "sync"); /* a configuration nobody checked either */
    transform(arena, &delivery, &context);
    return 0;
}
