/* events.c - issues, errors, alerts and comments of Sentry (spec/connectors-other.md 2.4). Nothing of a customer of the
 * monitored application is taken over: no user, no address, no request. */
#include "source/sentry/inside.h"

#include "base/utf8.h"

static struct str titled(struct sentry_draft *draft, const char *label, struct str text)
{
    return str_printf(draft->arena, "[%s] " STR_FMT, label, STR_ARG(text));
}

static long long seconds(int64_t ms)
{
    return (long long)(ms >= 0 ? ms / 1000 : (ms - 999) / 1000);
}

/* ---- issues ------------------------------------------------------------------------------------------------------ */

static struct str issue_suffix(struct sentry_draft *draft, const char *suffix)
{
    int64_t last;
    if (!strcmp(suffix, "created")) return STR("created");
    if (!payload_time(draft->item, "lastSeen", &last)) last = sentry_action_time(draft);
    if (strcmp(suffix, "assigned") != 0) return str_printf(draft->arena, "%s@%lld", suffix, seconds(last));
    return str_printf(draft->arena, "assigned:" STR_FMT "@%lld",
                      STR_ARG(outline_part(sentry_text(draft, "assignedTo.id"))), seconds(last));
}

static bool is_repository(struct str name)
{
    size_t slash = str_find_char(name, '/', 0);
    return slash != SIZE_MAX && slash > 0 && slash + 1 < name.n && str_find_char(name, '/', slash + 1) == SIZE_MAX;
}

static void refer_resolution(struct sentry_draft *draft)
{
    const json_value *commit = json_get(draft->item, "statusDetails.inCommit");
    struct str sha = PAYLOAD_FIRST(draft->arena, commit, "commit", "id"), url = {0};
    struct str repository = PAYLOAD_FIRST(draft->arena, commit, "repository", "repository.name");
    if (is_repository(repository))
        url = outline_url(draft->arena, "https://github.com/" STR_FMT "/commit/" STR_FMT, STR_ARG(repository),
                          STR_ARG(sha));
    outline_refer(&draft->outline, "commit", sha, url, "resolved_by");
}

static void issue_body(struct sentry_draft *draft)
{
    struct outline *outline = &draft->outline;
    sentry_line(draft, "", "title");
    sentry_line(draft, "", "metadata.value");
    outline_line(outline, "Location: in ", PAYLOAD_FIRST(draft->arena, draft->item, "metadata.filename", "culprit"),
                 "");
    sentry_line(draft, "Function: ", "metadata.function");
    sentry_line(draft, "Level: ", "level");
    sentry_line(draft, "Platform: ", "platform");
    sentry_line(draft, "Occurrences: ", "count");
    sentry_line(draft, "Users affected: ", "userCount");
}

enum source_reason sentry_issue(struct sentry_draft *draft, const struct sentry_row *row)
{
    static const struct outline_field fields[] = {{"issueId", "id"},
                                                  {"shortId", "shortId"},
                                                  {"projectId", "project.id"},
                                                  {"projectSlug", "project.slug"},
                                                  {"projectName", "project.name"},
                                                  {"level", "level"},
                                                  {"platform", "platform"},
                                                  {"filename", "metadata.filename"},
                                                  {"function", "metadata.function"},
                                                  {"culprit", "culprit"},
                                                  {"count", "count"},
                                                  {"userCount", "userCount"},
                                                  {"firstSeen", "firstSeen"},
                                                  {"lastSeen", "lastSeen"},
                                                  {"status", "status"},
                                                  {"substatus", "substatus"},
                                                  {"resolvedInRelease", "statusDetails.inRelease"},
                                                  {0}};
    struct source_event *event = draft->outline.event;
    struct outline *outline = &draft->outline;
    draft->item = json_get(draft->data, "issue");
    struct str id = PAYLOAD_FIRST(draft->arena, draft->item, "shortId", "id"),
               slug = sentry_text(draft, "project.slug");
    struct str page = sentry_text(draft, "permalink");
    if (!id.n) return SOURCE_INVALID_EVENT;
    event->source_id = str_printf(draft->arena, "sentry-issue:" STR_FMT ":" STR_FMT ":" STR_FMT,
                                  STR_ARG(outline_part(slug)), STR_ARG(id), STR_ARG(issue_suffix(draft, row->suffix)));
    event->title = titled(draft, row->label, sentry_headline(draft));
    event->occurred_at = strcmp(row->suffix, "created")
                             ? sentry_action_time(draft)
                             : PAYLOAD_FIRST_TIME(draft->item, outline->context, "firstSeen");
    sentry_put_common(draft, sentry_text(draft, "project.id"), page);
    outline_put_fields(outline, draft->item, fields);
    outline_put(outline, "errorType", sentry_error_type(draft));
    outline_put(outline, "errorValue", PAYLOAD_FIRST(draft->arena, draft->item, "metadata.value", "title"));
    issue_body(draft);
    outline_refer(outline, "issue", id, page, NULL);
    sentry_refer_project(draft, slug);
    outline_refer(outline, "assignee", PAYLOAD_FIRST(draft->arena, draft->item, "assignedTo.email", "assignedTo.name"),
                  (struct str){0}, NULL);
    refer_resolution(draft);
    return outline_finish(outline);
}

/* ---- errors and alerts on events --------------------------------------------------------------------------------- */

static bool find_event(struct sentry_draft *draft)
{
    draft->item = json_get(draft->data, "event");
    if (!json_is_object(draft->item)) draft->item = json_get(draft->data, "error");
    return sentry_text(draft, "event_id").n > 0;
}

/* Tags that describe the customer whose session failed stay out. */
static bool is_personal(struct str key)
{
    return str_eq(key, STR("user")) || str_starts(key, STR("user.")) || str_starts(key, STR("ip_")) ||
           str_eq(key, STR("ip"));
}

static void put_tag(struct sentry_draft *draft, const json_value *tag)
{
    struct outline *outline = &draft->outline;
    bool two = json_is_array(tag);
    struct str key = payload_text(draft->arena, tag, two ? "0" : "key");
    if (!key.n || is_personal(key)) return;
    struct outline_point before = outline_mark(outline);
    json_begin(&outline->metadata, NULL, '{');
    outline_put(outline, "key", key);
    outline_put(outline, "value", payload_text(draft->arena, tag, two ? "1" : "value"));
    json_end(&outline->metadata);
    outline_fits(outline, before);
}

static void put_tags(struct sentry_draft *draft)
{
    enum { MOST = 100 };
    const json_value *tags = json_get(draft->item, "tags");
    size_t n = 0;
    if (!json_is_array(tags)) return;
    json_begin(&draft->outline.metadata, "tags", '[');
    for (struct json_iter it = json_iter(tags); n++ < MOST && json_step(&it);) put_tag(draft, it.value);
    json_end(&draft->outline.metadata);
}

static struct str tag_value(struct sentry_draft *draft, struct str wanted)
{
    const json_value *tags = json_get(draft->item, "tags");
    if (!json_is_array(tags)) return (struct str){0};
    for (struct json_iter it = json_iter(tags); json_step(&it);) {
        bool two = json_is_array(it.value);
        if (str_eq(json_str(it.value, two ? "0" : "key"), wanted))
            return payload_text(draft->arena, it.value, two ? "1" : "value");
    }
    return (struct str){0};
}

static struct str or_tag(struct sentry_draft *draft, const char *key)
{
    struct str text = sentry_text(draft, key);
    return text.n ? text : tag_value(draft, str_of(key));
}

static void exception_line(struct sentry_draft *draft, const json_value *exception)
{
    struct arena *arena = draft->arena;
    const json_value *frames = json_get(exception, "stacktrace.frames"), *last = NULL;
    struct str type = payload_text(arena, exception, "type"), value = payload_text(arena, exception, "value");
    if (json_is_array(frames))
        for (struct json_iter it = json_iter(frames); json_step(&it);) last = it.value;
    struct str file = payload_text(arena, last, "filename"), number = payload_text(arena, last, "lineno"),
               function = payload_text(arena, last, "function");
    struct buf text = buf_in(arena);
    buf_str_add(&text, type.n ? type : STR("Error"));
    if (file.n) buf_printf(&text, " at " STR_FMT, STR_ARG(file));
    if (file.n && number.n) buf_printf(&text, ":" STR_FMT, STR_ARG(number));
    if (last && function.n) buf_printf(&text, " in " STR_FMT, STR_ARG(function));
    if (!last && value.n) buf_printf(&text, ": " STR_FMT, STR_ARG(utf8_head(value, SOURCE_MAX_BODY)));
    outline_line(&draft->outline, "", buf_str(&text), "");
}

static void exception_lines(struct sentry_draft *draft)
{
    enum { MOST = 20 };
    const json_value *exceptions = json_get(draft->item, "exception.values");
    size_t n = 0;
    if (!json_is_array(exceptions)) return;
    for (struct json_iter it = json_iter(exceptions); n++ < MOST && json_step(&it);)
        if (json_is_object(it.value)) exception_line(draft, it.value);
}

static struct str issue_of_event(struct sentry_draft *draft)
{
    return PAYLOAD_FIRST(draft->arena, draft->item, "issue_id", "issue.id", "groupID");
}

static void refer_event(struct sentry_draft *draft)
{
    struct str page = PAYLOAD_FIRST(draft->arena, draft->item, "issue_url", "web_url");
    outline_refer(&draft->outline, "project", sentry_text(draft, "project"), (struct str){0}, NULL);
    outline_refer(&draft->outline, "issue", issue_of_event(draft), page, NULL);
}

static void put_event(struct sentry_draft *draft)
{
    static const struct outline_field fields[] = {
        {"eventId", "event_id"}, {"projectId", "project"}, {"platform", "platform"}, {"webUrl", "web_url"}, {0}};
    struct outline *outline = &draft->outline;
    sentry_put_common(draft, sentry_text(draft, "project"), sentry_text(draft, "web_url"));
    outline_put_fields(outline, draft->item, fields);
    outline_put(outline, "issueId", issue_of_event(draft));
    outline_put(outline, "errorType", sentry_error_type(draft));
    outline_put(outline, "errorValue", PAYLOAD_FIRST(draft->arena, draft->item, "metadata.value", "title"));
}

enum source_reason sentry_error(struct sentry_draft *draft, const struct sentry_row *row)
{
    static const struct outline_field fields[] = {{"filename", "metadata.filename"},
                                                  {"function", "metadata.function"},
                                                  {"location", "location"},
                                                  {"culprit", "culprit"},
                                                  {"sdkName", "sdk.name"},
                                                  {"sdkVersion", "sdk.version"},
                                                  {0}};
    struct source_event *event = draft->outline.event;
    if (!find_event(draft)) return SOURCE_INVALID_EVENT;
    event->source_id =
        str_printf(draft->arena, "sentry-error:" STR_FMT ":" STR_FMT,
                   STR_ARG(outline_part(sentry_text(draft, "project"))), STR_ARG(sentry_text(draft, "event_id")));
    event->title = titled(draft, row->label, sentry_headline(draft));
    event->occurred_at = PAYLOAD_FIRST_TIME(draft->item, draft->outline.context, "datetime", "timestamp");
    put_event(draft);
    outline_put_fields(&draft->outline, draft->item, fields);
    outline_put(&draft->outline, "release", or_tag(draft, "release"));
    outline_put(&draft->outline, "environment", or_tag(draft, "environment"));
    put_tags(draft);
    sentry_line(draft, "", "title");
    sentry_line(draft, "", "message");
    sentry_line(draft, "", "metadata.value");
    sentry_line(draft, "Location: ", "location");
    exception_lines(draft);
    sentry_line(draft, "Platform: ", "platform");
    refer_event(draft);
    return outline_finish(&draft->outline);
}

/* "High Error Volume - Pipeline" -> "High-Error-Volume---Pipeline" */
static struct str dashed(struct arena *arena, struct str text)
{
    char *out = arena_alloc_raw(arena, text.n);
    for (size_t i = 0; i < text.n; i++) out[i] = text.s[i] && strchr(" \t\n\v\f\r", text.s[i]) ? '-' : text.s[i];
    return (struct str){out, text.n};
}

enum source_reason sentry_event_alert(struct sentry_draft *draft, const struct sentry_row *row)
{
    struct source_event *event = draft->outline.event;
    struct str rule = PAYLOAD_FIRST(draft->arena, draft->data, "triggered_rule", "issue_alert.title");
    if (!find_event(draft)) return SOURCE_INVALID_EVENT;
    struct str type = sentry_text(draft, "metadata.type");
    event->source_id =
        str_printf(draft->arena, "sentry-alert:" STR_FMT ":" STR_FMT ":" STR_FMT,
                   STR_ARG(outline_part(sentry_text(draft, "project"))), STR_ARG(sentry_text(draft, "event_id")),
                   STR_ARG(dashed(draft->arena, outline_part(rule))));
    event->title = titled(draft, row->label,
                          str_printf(draft->arena, STR_FMT "%s" STR_FMT, STR_ARG(rule), rule.n ? ": " : "",
                                     STR_ARG(type.n ? type : STR("Alert"))));
    event->occurred_at = PAYLOAD_FIRST_TIME(draft->item, draft->outline.context, "datetime", "timestamp");
    put_event(draft);
    outline_put(&draft->outline, "triggeredRule", rule);
    outline_line(&draft->outline, "Alert Rule: ", rule, "");
    sentry_line(draft, "", "title");
    sentry_line(draft, "", "message");
    sentry_line(draft, "", "metadata.value");
    sentry_line(draft, "Platform: ", "platform");
    refer_event(draft);
    return outline_finish(&draft->outline);
}

/* ---- alerts on metrics ------------------------------------------------------------------------------------------- */

// clang-format off
static const struct metric_action {
    const char *action, *label;
    bool        recurs;
} metric_actions[] = {
    {"triggered", "Metric Alert Triggered", false},
    {"critical",  "Metric Alert Triggered", true},
    {"warning",   "Metric Alert Triggered", true},
    {"open",      "Metric Alert Triggered", false},
    {"resolved",  "Metric Alert Resolved",  false},
};
static const struct outline_field metric_fields[] = {
    {"alertId", "id"}, {"alertRuleId", "alert_rule.id"}, {"alertRuleName", "alert_rule.name"},
    {"organizationId", "organization_id", "alert_rule.organization_id"}, {"query", "alert_rule.query"},
    {"aggregate", "alert_rule.aggregate"}, {"timeWindow", "alert_rule.time_window"},
    {"thresholdType", "alert_rule.threshold_type"}, {"resolveThreshold", "alert_rule.resolve_threshold"},
    {"dateStarted", "date_started"}, {"dateDetected", "date_detected"}, {"dateClosed", "date_closed"}, {0},
};
// clang-format on

static void metric_body(struct sentry_draft *draft)
{
    sentry_line(draft, "Alert: ", "alert_rule.name");
    sentry_line(draft, "Query: ", "alert_rule.query");
    sentry_line(draft, "Aggregate: ", "alert_rule.aggregate");
    outline_line(&draft->outline, "Time Window: ", sentry_text(draft, "alert_rule.time_window"), " minutes");
    sentry_line(draft, "Threshold: ", "alert_rule.resolve_threshold");
    sentry_line(draft, "Started: ", "date_started");
    sentry_line(draft, "Detected: ", "date_detected");
    sentry_line(draft, "Closed: ", "date_closed");
}

static void metric_refer(struct sentry_draft *draft)
{
    struct source_delivery delivery = {
        .provider = SOURCE_SENTRY, .event = STR("metric_alert"), .payload = draft->outline.payload};
    struct source_route route = {0};
    sentry_route(draft->arena, &delivery, &route);
    for (size_t i = 0; i < route.resource_names.n; i++) sentry_refer_project(draft, route.resource_names.at[i]);
}

enum source_reason sentry_metric_alert(struct sentry_draft *draft, const struct sentry_row *row)
{
    struct source_event *event = draft->outline.event;
    const struct source_context *context = draft->outline.context;
    const struct metric_action *action = NULL;
    for (size_t i = 0; i < sizeof metric_actions / sizeof *metric_actions; i++)
        if (str_eq(draft->action, str_of(metric_actions[i].action))) action = &metric_actions[i];
    if (!action) return SOURCE_ACTION_NOT_CAPTURED;
    draft->item = json_get(draft->data, "metric_alert");
    struct str id = sentry_text(draft, "id");
    struct str organization = PAYLOAD_FIRST(draft->arena, draft->item, "organization_id", "alert_rule.organization_id");
    if (!id.n) return SOURCE_INVALID_EVENT;
    event->source_id = str_printf(draft->arena, "sentry-metric-alert:" STR_FMT ":" STR_FMT ":%s",
                                  STR_ARG(outline_part(organization)), STR_ARG(id), action->action);
    if (action->recurs)
        event->source_id =
            str_printf(draft->arena, STR_FMT "@%lld", STR_ARG(event->source_id), seconds(sentry_action_time(draft)));
    event->title = titled(draft, action->label, sentry_text(draft, "alert_rule.name"));
    event->occurred_at = strcmp(action->action, "resolved")
                             ? PAYLOAD_FIRST_TIME(draft->item, context, "date_detected")
                             : PAYLOAD_FIRST_TIME(draft->item, context, "date_closed", "date_detected");
    sentry_put_common(draft, (struct str){0}, payload_text(draft->arena, draft->data, "web_url"));
    outline_put_fields(&draft->outline, draft->item, metric_fields);
    metric_body(draft);
    metric_refer(draft);
    return outline_finish(&draft->outline);
}

/* ---- comments ---------------------------------------------------------------------------------------------------- */

enum source_reason sentry_comment(struct sentry_draft *draft, const struct sentry_row *row)
{
    static const struct outline_field fields[] = {
        {"commentId", "comment_id"}, {"issueId", "issue_id"}, {"projectSlug", "project_slug"}, {0}};
    struct source_event *event = draft->outline.event;
    draft->item = draft->data;
    struct str id = sentry_text(draft, "comment_id"), slug = sentry_text(draft, "project_slug");
    struct str text = outline_cut(draft->arena, sentry_text(draft, "comment"), 60);
    if (!id.n) return SOURCE_INVALID_EVENT;
    event->occurred_at = PAYLOAD_FIRST_TIME(draft->item, draft->outline.context, "timestamp");
    event->source_id = str_printf(draft->arena, "sentry-comment:" STR_FMT ":" STR_FMT ":%s",
                                  STR_ARG(outline_part(slug)), STR_ARG(id), row->suffix);
    if (!strcmp(row->suffix, "updated"))
        event->source_id =
            str_printf(draft->arena, STR_FMT "@%lld", STR_ARG(event->source_id), seconds(event->occurred_at));
    event->title =
        titled(draft, row->label,
               str_printf(draft->arena, STR_FMT "%s" STR_FMT, STR_ARG(slug), slug.n ? ": " : "", STR_ARG(text)));
    sentry_put_common(draft, (struct str){0}, (struct str){0});
    outline_put_fields(&draft->outline, draft->item, fields);
    sentry_line(draft, "", "comment");
    sentry_refer_project(draft, slug);
    return outline_finish(&draft->outline);
}
