/* sentry.c - which transform an event of Sentry goes through, its routing and the installation's control events
 * (spec/connectors-other.md 1.2 to 1.4, 2.4). */
#include "source/sentry/inside.h"

#include "base/utf8.h"

// clang-format off
static const struct sentry_row rows[] = {
    /* event key,        sourceType,         label,               category,       suffix,       made by */
    {"issue.created",    "issue.created",    "Issue Created",     "issue",        "created",    sentry_issue},
    {"issue.resolved",   "issue.resolved",   "Issue Resolved",    "issue",        "resolved",   sentry_issue},
    {"issue.assigned",   "issue.assigned",   "Issue Assigned",    "issue",        "assigned",   sentry_issue},
    {"issue.ignored",    "issue.ignored",    "Issue Ignored",     "issue",        "ignored",    sentry_issue},
    {"issue.archived",   "issue.ignored",    "Issue Ignored",     "issue",        "ignored",    sentry_issue},
    {"issue.unresolved", "issue.unresolved", "Issue Reopened",    "issue",        "unresolved", sentry_issue},
    {"error",            "error",            "Error",             "error",        NULL,         sentry_error},
    {"event_alert",      "event-alert",      "Alert Triggered",   "event_alert",  NULL,         sentry_event_alert},
    {"metric_alert",     "metric-alert",     "Metric Alert",      "metric_alert", NULL,         sentry_metric_alert},
    {"comment.created",  "comment.created",  "Comment Added",     "comment",      "created",    sentry_comment},
    {"comment.updated",  "comment.updated",  "Comment Updated",   "comment",      "updated",    sentry_comment},
    {"comment.deleted",  "comment.deleted",  "Comment Deleted",   "comment",      "deleted",    sentry_comment},
};
// clang-format on

struct str sentry_text(struct sentry_draft *draft, const char *path)
{
    return payload_text(draft->arena, draft->item, path);
}

void sentry_line(struct sentry_draft *draft, const char *prefix, const char *path)
{
    outline_line(&draft->outline, prefix, sentry_text(draft, path), "");
}

struct str sentry_error_type(struct sentry_draft *draft)
{
    struct str type = sentry_text(draft, "metadata.type");
    return type.n ? type : STR("Error");
}

struct str sentry_headline(struct sentry_draft *draft)
{
    struct str type = sentry_error_type(draft),
               value = PAYLOAD_FIRST(draft->arena, draft->item, "metadata.value", "title");
    if (!value.n) return type;
    return str_printf(draft->arena, STR_FMT ": " STR_FMT, STR_ARG(type), STR_ARG(outline_cut(draft->arena, value, 80)));
}

int64_t sentry_action_time(struct sentry_draft *draft)
{
    const struct source_context *context = draft->outline.context;
    return context->provider_time ? context->provider_time : context->received_at;
}

void sentry_refer_project(struct sentry_draft *draft, struct str slug)
{
    outline_refer(&draft->outline, "project", slug,
                  outline_url(draft->arena, STR_FMT "/organizations/" STR_FMT "/projects/" STR_FMT "/",
                              STR_ARG(draft->web), STR_ARG(draft->organization), STR_ARG(slug)),
                  NULL);
}

void sentry_put_common(struct sentry_draft *draft, struct str resource, struct str url)
{
    static const struct outline_field fields[] = {{"installationId", "installation.uuid"}, {"action", "action"}, {0}};
    struct outline *outline = &draft->outline;
    outline_put(outline, "resourceId", outline->context->resource_id.n ? outline->context->resource_id : resource);
    outline_put(outline, "url", url);
    outline_put_fields(outline, outline->payload, fields);
}

/* Who did it: only where Sentry's envelope names a person. An event's user is a customer, not one of the team. */
static void set_actor(struct sentry_draft *draft, const struct sentry_row *row)
{
    const json_value *actor = json_get(draft->outline.payload, "actor");
    if (!row->suffix) return;
    draft->outline.event->actor = (struct source_actor){.id = payload_text(draft->arena, actor, "id"),
                                                        .name = payload_text(draft->arena, actor, "name"),
                                                        .email = payload_text(draft->arena, actor, "email")};
}

enum source_reason sentry_transform(const struct source_transform_call *call)
{
    struct sentry_draft draft = {.arena = call->arena,
                                 .data = json_get(call->payload, "data"),
                                 .action = json_str(call->payload, "action"),
                                 .web = call->context->web_url.n ? call->context->web_url : STR("https://sentry.io"),
                                 .organization =
                                     call->context->organization.n ? call->context->organization : STR("_")};
    while (str_ends(draft.web, STR("/"))) draft.web.n--;
    draft.outline = (struct outline){.arena = call->arena,
                                     .payload = call->payload,
                                     .context = call->context,
                                     .event = call->result,
                                     .ids_are_text = true};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!str_eq(call->event, str_of(rows[i].event))) continue;
        *call->category = str_of(rows[i].category);
        call->result->source = STR("sentry");
        call->result->source_type = str_of(rows[i].type);
        outline_begin(&draft.outline);
        set_actor(&draft, &rows[i]);
        return rows[i].make(&draft, &rows[i]);
    }
    return SOURCE_UNHANDLED_EVENT;
}

/* ---- routing and control events ---------------------------------------------------------------------------------- */

static void add_slugs(struct arena *arena, struct source_texts *texts, const json_value *projects)
{
    if (!json_is_array(projects)) return;
    for (struct json_iter it = json_iter(projects); json_step(&it);)
        texts_add(arena, texts,
                  json_is_object(it.value) ? payload_text(arena, it.value, "slug") : payload_text(arena, it.value, ""));
}

void sentry_route(struct arena *arena, const struct source_delivery *delivery, struct source_route *route)
{
    const json_value *data = json_get(delivery->payload, "data");
    route->installation_id = payload_text(arena, delivery->payload, "installation.uuid");
    if (str_eq(delivery->event, STR("metric_alert"))) {
        add_slugs(arena, &route->resource_names, json_get(data, "metric_alert.projects"));
        if (!route->resource_names.n)
            add_slugs(arena, &route->resource_names, json_get(data, "metric_alert.alert_rule.projects"));
        route->fallback = true;
    } else if (str_starts(delivery->event, STR("comment."))) {
        texts_add(arena, &route->resource_names, payload_text(arena, data, "project_slug"));
        route->fallback = true;
    } else {
        texts_add(arena, &route->resource_ids,
                  PAYLOAD_FIRST(arena, data, "issue.project.id", "event.project", "error.project"));
    }
}

bool sentry_state(struct arena *arena, const struct source_delivery *delivery, struct source_state_change *change)
{
    const json_value *installation = json_get(delivery->payload, "data.installation");
    if (!str_eq(delivery->event, STR("installation"))) return false;
    change->target = SOURCE_OF_INSTALLATION;
    change->installation_id = PAYLOAD_FIRST(arena, delivery->payload, "data.installation.uuid", "installation.uuid");
    if (!change->installation_id.n) return true;
    if (str_eq(delivery->action, STR("created"))) {
        change->effect = SOURCE_STATE_PENDING_INSTALL;
        change->code = payload_text(arena, installation, "code");
        change->organization_slug = payload_text(arena, installation, "organization.slug");
    } else if (str_eq(delivery->action, STR("deleted"))) {
        change->effect = SOURCE_STATE_DEACTIVATE;
        change->reason = "uninstalled";
        change->activity = "integration.disconnected";
    }
    return true;
}
