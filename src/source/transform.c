/* transform.c - the door's functions that choose by provider: transforms, categories, routes, state changes, answers.
 */
#include "source/outline.h"

#include <assert.h>

static const struct provider_row {
    const char *name;
    source_transform_function transform;
    void (*route)(struct arena *arena, const struct source_delivery *delivery, struct source_route *route);
    bool (*state)(struct arena *arena, const struct source_delivery *delivery, struct source_state_change *change);
} providers[SOURCE_PROVIDERS] = {
    [SOURCE_GITHUB] = {"github", github_transform, github_route, github_state},
    [SOURCE_VERCEL] = {"vercel", vercel_transform, vercel_route, vercel_state},
    [SOURCE_LINEAR] = {"linear", linear_transform, linear_route, linear_state},
    [SOURCE_SENTRY] = {"sentry", sentry_transform, sentry_route, sentry_state},
};

static const struct provider_row *row_of(enum source_provider provider)
{
    assert((unsigned)provider < SOURCE_PROVIDERS);
    return &providers[provider];
}

const char *source_provider_name(enum source_provider provider)
{
    return row_of(provider)->name;
}

bool source_provider_parse(struct str name, enum source_provider *provider)
{
    for (int i = 0; i < SOURCE_PROVIDERS; i++)
        if (str_eq(name, str_of(providers[i].name))) {
            *provider = (enum source_provider)i;
            return true;
        }
    return false;
}

/* ---- transforms -------------------------------------------------------------------------------------------------- */

enum source_reason source_transform(struct arena *arena, enum source_provider provider, struct str event,
                                    const json_value *payload, const struct source_context *context,
                                    struct source_event *result, struct str *category)
{
    *result = (struct source_event){0};
    *category = (struct str){0};
    if (!json_is_object(payload)) return SOURCE_INVALID_EVENT;
    struct source_transform_call call = {arena, event, payload, context, result, category};
    return row_of(provider)->transform(&call);
}

struct str source_category_find(struct str source, struct str source_type)
{
    const struct source_type_row *row = source_type_find(source, source_type);
    if (row) return str_of(row->category);
    bool github = str_eq(source, STR("github")) || str_eq(source, STR("git"));
    return github ? github_category(source_type) : (struct str){0};
}

bool source_category_wanted(const json_value *sync, struct str category)
{
    const json_value *events = json_get(sync, "events");
    if (!json_is_array(events) || !category.n) return false;
    for (struct json_iter it = json_iter(events); json_step(&it);)
        if (str_eq(json_str(it.value, ""), category)) return true;
    return false;
}

void source_route_find(struct arena *arena, const struct source_delivery *delivery, struct source_route *route)
{
    *route = (struct source_route){0};
    row_of(delivery->provider)->route(arena, delivery, route);
}

bool source_state_change_find(struct arena *arena, const struct source_delivery *delivery,
                              struct source_state_change *change)
{
    *change = (struct source_state_change){0};
    return row_of(delivery->provider)->state(arena, delivery, change);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static const char *const reasons[SOURCE_REASONS] = {
    [SOURCE_CAPTURED] = "captured",
    [SOURCE_UNHANDLED_EVENT] = "unhandled_event",
    [SOURCE_ACTION_NOT_CAPTURED] = "action_not_captured",
    [SOURCE_NOT_CONNECTED] = "not_connected",
    [SOURCE_BRANCH_NOT_TRACKED] = "branch_not_tracked",
    [SOURCE_BOT] = "bot",
    [SOURCE_REPOSITORY_MISMATCH] = "repository_mismatch",
    [SOURCE_INVALID_EVENT] = "invalid_event",
};

const char *source_reason_name(enum source_reason reason)
{
    assert((unsigned)reason < SOURCE_REASONS);
    return reasons[reason];
}

struct str source_answer(struct arena *arena, enum source_reason reason)
{
    if (reason == SOURCE_CAPTURED || reason == SOURCE_INVALID_EVENT) return STR("{\"received\":true}");
    return str_printf(arena, "{\"received\":true,\"ignored\":\"%s\"}", source_reason_name(reason));
}

struct str source_answer_ping(void)
{
    return STR("{\"received\":true,\"event\":\"ping\"}");
}

struct str source_answer_duplicate(void)
{
    return STR("{\"received\":true,\"duplicate\":true}");
}
