/* linear.c - issues, comments, projects, cycles and project updates (spec/connectors-other.md 2.3). */
#include "source/linear/inside.h"

#include "base/utf8.h"

/* ---- names ------------------------------------------------------------------------------------------------------- */

struct str linear_text(const struct linear_draft *draft, const char *path)
{
    return payload_text(draft->arena, draft->data, path);
}

/* "LF-412" -> "LF" */
struct str linear_team_of(struct str identifier)
{
    for (size_t i = identifier.n; i-- > 0;)
        if (identifier.s[i] == '-') return str_slice(identifier, 0, i);
    return (struct str){0};
}

static struct str team_key(struct linear_draft *draft)
{
    struct str key = linear_text(draft, "team.key");
    return key.n ? key : linear_team_of(linear_text(draft, "identifier"));
}

struct str linear_cycle_name(struct arena *arena, const json_value *cycle)
{
    struct str name = payload_text(arena, cycle, "name"), number = payload_text(arena, cycle, "number");
    if (name.n || !number.n) return name;
    return str_printf(arena, "Cycle " STR_FMT, STR_ARG(number));
}

static struct str id_of_issue(struct linear_draft *draft)
{
    struct str identifier = linear_text(draft, "identifier");
    if (!identifier.n) return (struct str){0};
    return str_printf(draft->arena, "linear-issue:" STR_FMT ":" STR_FMT, STR_ARG(outline_part(team_key(draft))),
                      STR_ARG(identifier));
}

static struct str id_of_comment(struct linear_draft *draft)
{
    struct str id = linear_text(draft, "id");
    if (!id.n) return (struct str){0};
    return str_printf(draft->arena, "linear-comment:" STR_FMT ":" STR_FMT,
                      STR_ARG(outline_part(linear_text(draft, "issue.identifier"))), STR_ARG(id));
}

static struct str id_of_project(struct linear_draft *draft)
{
    struct str slug = PAYLOAD_FIRST(draft->arena, draft->data, "slugId", "id");
    return slug.n ? str_printf(draft->arena, "linear-project:" STR_FMT, STR_ARG(slug)) : (struct str){0};
}

static struct str id_of_cycle(struct linear_draft *draft)
{
    struct str number = linear_text(draft, "number");
    if (!number.n) return (struct str){0};
    return str_printf(draft->arena, "linear-cycle:" STR_FMT ":" STR_FMT, STR_ARG(outline_part(team_key(draft))),
                      STR_ARG(number));
}

static struct str id_of_update(struct linear_draft *draft)
{
    struct str id = linear_text(draft, "id"), project = PAYLOAD_FIRST(draft->arena, draft->data, "project.id", "projectId");
    if (!id.n) return (struct str){0};
    return str_printf(draft->arena, "linear-project-update:" STR_FMT ":" STR_FMT, STR_ARG(outline_part(project)),
                      STR_ARG(id));
}

/* "a: b", or the one that is there */
static struct str pair(struct arena *arena, struct str a, struct str b)
{
    if (!a.n || !b.n) return a.n ? a : b;
    return str_printf(arena, STR_FMT ": " STR_FMT, STR_ARG(a), STR_ARG(b));
}

static struct str title_of_issue(struct linear_draft *draft)
{
    return pair(draft->arena, linear_text(draft, "identifier"), outline_cut(draft->arena, linear_text(draft, "title"), 80));
}

static struct str title_of_comment(struct linear_draft *draft)
{
    return pair(draft->arena, linear_text(draft, "issue.identifier"), outline_cut(draft->arena, linear_text(draft, "body"), 60));
}

static struct str title_of_project(struct linear_draft *draft)
{
    return pair(draft->arena, STR("Project"), linear_text(draft, "name"));
}

static struct str title_of_cycle(struct linear_draft *draft)
{
    struct str name = linear_cycle_name(draft->arena, draft->data), team = linear_text(draft, "team.name");
    return team.n ? str_printf(draft->arena, STR_FMT " (" STR_FMT ")", STR_ARG(name), STR_ARG(team)) : name;
}

static struct str title_of_update(struct linear_draft *draft)
{
    return pair(draft->arena, linear_text(draft, "project.name"), outline_cut(draft->arena, linear_text(draft, "body"), 60));
}

// clang-format off
static const struct linear_type {
    const char *type, *entity;
    const char *labels[3]; /* create, update, remove */
    struct str (*id)(struct linear_draft *draft), (*title)(struct linear_draft *draft);
    void       (*body)(struct linear_draft *draft), (*refer)(struct linear_draft *draft);
    const char *author; /* who acted, where the envelope does not say */
} types[] = {
    {"Issue",         "issue",          {"Issue Created", "Issue Updated", "Issue Deleted"},
     id_of_issue,     title_of_issue,   linear_issue_body,   linear_issue_refer,   "creator"},
    {"Comment",       "comment",        {"Comment Added", "Comment Updated", "Comment Deleted"},
     id_of_comment,   title_of_comment, linear_comment_body, linear_comment_refer, "user"},
    {"Project",       "project",        {"Project Created", "Project Updated", "Project Deleted"},
     id_of_project,   title_of_project, linear_project_body, linear_project_refer, "lead"},
    {"Cycle",         "cycle",          {"Cycle Created", "Cycle Updated", "Cycle Deleted"},
     id_of_cycle,     title_of_cycle,   linear_cycle_body,   linear_cycle_refer,   NULL},
    {"ProjectUpdate", "project-update", {"Project Update Posted", "Project Update Edited", "Project Update Deleted"},
     id_of_update,    title_of_update,  linear_update_body,  linear_update_refer,  "user"},
};
static const struct linear_action {
    const char *action, *past;
} actions[] = {{"create", "created"}, {"update", "updated"}, {"remove", "deleted"}};

/* Changes of these alone tell nobody anything. */
static const char *const silent_keys[] = {
    "updatedAt", "sortOrder", "boardOrder", "subIssueSortOrder", "prioritySortOrder", "descriptionData", "bodyData",
    "reactionData", "subscriberIds", "issueCountHistory", "completedIssueCountHistory", "scopeHistory",
    "completedScopeHistory", "inProgressScopeHistory",
};
// clang-format on

static bool is_silent(struct str key)
{
    for (size_t i = 0; i < sizeof silent_keys / sizeof *silent_keys; i++)
        if (str_eq(key, str_of(silent_keys[i]))) return true;
    return false;
}

static bool changes_nothing(const json_value *updated_from)
{
    if (!json_is_object(updated_from) || json_count(updated_from) == 0) return false;
    for (struct json_iter it = json_iter(updated_from); json_step(&it);)
        if (!is_silent(it.key)) return false;
    return true;
}

/* ---- the event --------------------------------------------------------------------------------------------------- */

static bool find_rows(struct str event, const struct linear_type **type, size_t *action)
{
    struct str verb = event, name;
    *type = NULL;
    if (!str_cut(&verb, ':', &name)) return false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_eq(name, str_of(types[i].type))) *type = &types[i];
    for (*action = 0; *action < sizeof actions / sizeof *actions; ++*action)
        if (str_eq(verb, str_of(actions[*action].action))) return *type != NULL;
    return false;
}

static struct str revision(struct linear_draft *draft)
{
    int64_t ms;
    if (!payload_time(draft->data, "updatedAt", &ms)) ms = draft->outline.event->occurred_at;
    return str_printf(draft->arena, "@%lld", (long long)ms);
}

static void set_actor(struct linear_draft *draft, const char *author)
{
    const json_value *person = json_get(draft->outline.payload, "actor");
    if (!payload_text(draft->arena, person, "id").n) person = author ? json_get(draft->data, author) : NULL;
    draft->outline.event->actor = (struct source_actor){
        .id = payload_text(draft->arena, person, "id"),
        .name = PAYLOAD_FIRST(draft->arena, person, "displayName", "name"),
        .email = payload_text(draft->arena, person, "email"),
        .avatar_url = payload_text(draft->arena, person, "avatarUrl"),
    };
}

static void put_envelope(struct linear_draft *draft, struct str resource)
{
    static const struct outline_field fields[] = {
        {"action", "action"}, {"organizationId", "organizationId"}, {"webhookId", "webhookId"}, {0}};
    struct outline *outline = &draft->outline;
    struct str url = linear_text(draft, "url");
    outline_put(outline, "resourceId",
                draft->outline.context->resource_id.n ? draft->outline.context->resource_id : resource);
    outline_put(outline, "url", url.n ? url : payload_text(draft->arena, outline->payload, "url"));
    outline_put_fields(outline, outline->payload, fields);
}

/* Last, for the earlier state may be as large as an issue's description. */
static void put_change(struct linear_draft *draft)
{
    enum { MOST_KEYS = 100 };
    struct outline *outline = &draft->outline;
    const json_value *before = json_get(outline->payload, "updatedFrom");
    size_t n = 0;
    if (!json_is_object(before)) return;
    json_begin(&outline->metadata, "changedFields", '[');
    for (struct json_iter it = json_iter(before); n++ < MOST_KEYS && json_step(&it);)
        outline_put(outline, NULL, it.key);
    json_end(&outline->metadata);
    outline_put_value(outline, "updatedFrom", before);
}

static struct str first_resource(struct arena *arena, const struct source_transform_call *call)
{
    struct source_delivery delivery = {.provider = SOURCE_LINEAR, .event = call->event, .payload = call->payload};
    struct source_route route = {0};
    linear_route(arena, &delivery, &route);
    return route.resource_ids.n ? route.resource_ids.at[0] : (struct str){0};
}

enum source_reason linear_transform(const struct source_transform_call *call)
{
    const struct linear_type *type;
    size_t action;
    struct arena *arena = call->arena;
    struct source_event *event = call->result;
    struct linear_draft draft = {.arena = arena, .data = json_get(call->payload, "data")};
    bool known = find_rows(call->event, &type, &action);
    if (type) *call->category = str_of(type->type);
    if (!known || !type) return SOURCE_UNHANDLED_EVENT;
    if (action == 1 && changes_nothing(json_get(call->payload, "updatedFrom"))) return SOURCE_ACTION_NOT_CAPTURED;
    draft.outline = (struct outline){
        .arena = arena, .payload = call->payload, .context = call->context, .event = event, .ids_are_text = true};
    struct str id = type->id(&draft);
    if (!id.n) return SOURCE_INVALID_EVENT;
    event->source = STR("linear");
    event->source_type = str_printf(arena, "%s.%s", type->entity, actions[action].past);
    event->occurred_at =
        PAYLOAD_FIRST_TIME(call->payload, call->context, "createdAt", "data.updatedAt", "data.createdAt");
    event->source_id = str_printf(arena, STR_FMT ":%s" STR_FMT, STR_ARG(id), actions[action].action,
                                  STR_ARG(action == 1 ? revision(&draft) : STR("")));
    event->title = str_printf(arena, "[%s] " STR_FMT, type->labels[action], STR_ARG(type->title(&draft)));
    outline_begin(&draft.outline);
    set_actor(&draft, type->author);
    put_envelope(&draft, first_resource(arena, call));
    linear_put(&draft, type->type);
    put_change(&draft);
    type->body(&draft);
    type->refer(&draft);
    return outline_finish(&draft.outline);
}

/* ---- routing and control events ---------------------------------------------------------------------------------- */

static void add_each(struct arena *arena, struct source_texts *texts, const json_value *list, const char *path)
{
    if (!json_is_array(list)) return;
    for (struct json_iter it = json_iter(list); json_step(&it);)
        texts_add(arena, texts, payload_text(arena, it.value, path));
}

static void add_teams(struct arena *arena, struct source_texts *texts, const json_value *project)
{
    add_each(arena, texts, json_get(project, "teams"), "id");
    if (!texts->n) add_each(arena, texts, json_get(project, "teamIds"), "");
}

void linear_route(struct arena *arena, const struct source_delivery *delivery, struct source_route *route)
{
    const json_value *data = json_get(delivery->payload, "data");
    route->organization_id = payload_text(arena, delivery->payload, "organizationId");
    if (str_starts(delivery->event, STR("ProjectUpdate:"))) {
        add_teams(arena, &route->resource_ids, json_get(data, "project"));
        route->project_id = PAYLOAD_FIRST(arena, data, "project.id", "projectId");
        route->fallback = true;
    } else if (str_starts(delivery->event, STR("Project:"))) {
        add_teams(arena, &route->resource_ids, data);
        route->project_id = payload_text(arena, data, "id");
    } else if (str_starts(delivery->event, STR("Comment:"))) {
        texts_add(arena, &route->resource_ids, PAYLOAD_FIRST(arena, data, "issue.team.id", "issue.teamId"));
        texts_add(arena, &route->resource_names, linear_team_of(payload_text(arena, data, "issue.identifier")));
    } else {
        texts_add(arena, &route->resource_ids, PAYLOAD_FIRST(arena, data, "team.id", "teamId"));
    }
}

bool linear_state(struct arena *arena, const struct source_delivery *delivery, struct source_state_change *change)
{
    if (!str_eq(delivery->event, STR("OAuthApp:revoked"))) return false;
    change->target = SOURCE_OF_ORGANIZATION;
    change->organization_id = payload_text(arena, delivery->payload, "organizationId");
    change->reason = "uninstalled";
    change->activity = "integration.disconnected";
    if (change->organization_id.n) change->effect = SOURCE_STATE_DEACTIVATE;
    return true;
}
