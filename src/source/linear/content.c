/* content.c - bodies, references and metadata of Linear's types (spec/connectors-other.md 2.3). */
#include "source/linear/inside.h"

#include <math.h>

static struct str person_name(struct linear_draft *draft, const char *path)
{
    return PAYLOAD_FIRST(draft->arena, json_get(draft->data, path), "displayName", "name");
}

static void line(struct linear_draft *draft, const char *prefix, const char *path)
{
    outline_line(&draft->outline, prefix, linear_text(draft, path), "");
}

/* 0.754 -> "75" */
static struct str percent(struct linear_draft *draft)
{
    double progress = json_real(draft->data, "progress", -1);
    if (!(progress >= 0 && progress <= 1000)) return (struct str){0};
    return str_printf(draft->arena, "%.0f", floor(progress * 100 + 0.5));
}

/* ---- bodies ------------------------------------------------------------------------------------------------------ */

void linear_issue_body(struct linear_draft *draft)
{
    struct outline *outline = &draft->outline;
    line(draft, "", "title");
    line(draft, "", "description");
    line(draft, "Team: ", "team.name");
    line(draft, "State: ", "state.name");
    line(draft, "Priority: ", "priorityLabel");
    line(draft, "Project: ", "project.name");
    outline_line(outline, "Cycle: ", linear_cycle_name(draft->arena, json_get(draft->data, "cycle")), "");
    outline_line(outline, "Assignee: ", person_name(draft, "assignee"), "");
    outline_line(outline, "Labels: ", outline_joined(draft->arena, json_get(draft->data, "labels"), "name"), "");
    outline_line(outline, "Estimate: ", linear_text(draft, "estimate"), " points");
    line(draft, "Due: ", "dueDate");
}

void linear_comment_body(struct linear_draft *draft)
{
    struct str identifier = linear_text(draft, "issue.identifier"), title = linear_text(draft, "issue.title");
    line(draft, "", "body");
    outline_line(&draft->outline, "On issue: ",
                 identifier.n && title.n
                     ? str_printf(draft->arena, STR_FMT " - " STR_FMT, STR_ARG(identifier), STR_ARG(title))
                 : identifier.n ? identifier
                                : title,
                 "");
}

void linear_project_body(struct linear_draft *draft)
{
    struct outline *outline = &draft->outline;
    line(draft, "", "name");
    line(draft, "", "description");
    line(draft, "State: ", "state");
    outline_line(outline, "Progress: ", percent(draft), "%");
    line(draft, "Target: ", "targetDate");
    outline_line(outline, "Lead: ", person_name(draft, "lead"), "");
    outline_line(outline, "Teams: ", outline_joined(draft->arena, json_get(draft->data, "teams"), "name"), "");
}

void linear_cycle_body(struct linear_draft *draft)
{
    struct outline *outline = &draft->outline;
    outline_line(outline, "", linear_cycle_name(draft->arena, draft->data), "");
    line(draft, "", "description");
    line(draft, "Team: ", "team.name");
    line(draft, "Starts: ", "startsAt");
    line(draft, "Ends: ", "endsAt");
    outline_line(outline, "Progress: ", percent(draft), "%");
    outline_line(outline, "Scope: ", linear_text(draft, "scope"), " points");
}

static const struct {
    const char *health, *mark;
} marks[] = {{"onTrack", "+"}, {"atRisk", "!"}, {"offTrack", "x"}};

void linear_update_body(struct linear_draft *draft)
{
    struct str health = linear_text(draft, "health");
    const char *mark = NULL;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (str_eq(health, str_of(marks[i].health))) mark = marks[i].mark;
    line(draft, "", "body");
    line(draft, "Project: ", "project.name");
    outline_line(&draft->outline,
                 "Health: ", mark ? str_printf(draft->arena, "%s " STR_FMT, mark, STR_ARG(health)) : health, "");
}

/* ---- references -------------------------------------------------------------------------------------------------- */

static void refer(struct linear_draft *draft, const char *type, struct str id, struct str url, struct str label)
{
    if (id.n) outline_refer(&draft->outline, type, id, url, label.n ? str_z(draft->arena, label) : NULL);
}

static void refer_team(struct linear_draft *draft, const json_value *team)
{
    refer(draft, "team", payload_text(draft->arena, team, "key"), (struct str){0},
          payload_text(draft->arena, team, "name"));
}

static void refer_project(struct linear_draft *draft, const json_value *project)
{
    refer(draft, "project", payload_text(draft->arena, project, "name"), payload_text(draft->arena, project, "url"),
          (struct str){0});
}

static void refer_person(struct linear_draft *draft, const char *path, struct str label)
{
    refer(draft, "assignee", PAYLOAD_FIRST(draft->arena, json_get(draft->data, path), "email", "name"), (struct str){0},
          label);
}

/* N of "github.com/owner/name/pull/N" */
static struct str pull_number(struct str url)
{
    size_t at = str_find(url, STR("github.com/"), 0);
    if (at == SIZE_MAX) return (struct str){0};
    struct str rest = str_skip(url, at + sizeof "github.com/" - 1), owner, name, word;
    if (!str_cut(&rest, '/', &owner) || !owner.n || !str_cut(&rest, '/', &name) || !name.n ||
        !str_cut(&rest, '/', &word) || !str_eq(word, STR("pull")))
        return (struct str){0};
    size_t n = 0;
    while (n < rest.n && n < 9 && rest.s[n] >= '0' && rest.s[n] <= '9') n++;
    return str_slice(rest, 0, n);
}

static void refer_attachment(struct linear_draft *draft, const json_value *attachment)
{
    struct str kind = json_str(attachment, "sourceType"), url = json_str(attachment, "url"), number = {0};
    if (str_eq(kind, STR("githubPr"))) number = payload_text(draft->arena, attachment, "metadata.number");
    if (!number.n) number = pull_number(url);
    if (number.n) refer(draft, "pr", str_printf(draft->arena, "#" STR_FMT, STR_ARG(number)), url, STR("tracked_in"));
    if (str_eq(kind, STR("sentryIssue")))
        refer(draft, "issue", payload_text(draft->arena, attachment, "metadata.shortId"), url, STR("linked"));
}

static void refer_attachments(struct linear_draft *draft)
{
    enum { MOST = 50 };
    const json_value *nodes = json_get(draft->data, "attachments.nodes");
    size_t n = 0;
    if (!json_is_array(nodes)) return;
    for (struct json_iter it = json_iter(nodes); n++ < MOST && json_step(&it);) refer_attachment(draft, it.value);
}

void linear_issue_refer(struct linear_draft *draft)
{
    const json_value *labels = json_get(draft->data, "labels");
    refer(draft, "issue", linear_text(draft, "identifier"), linear_text(draft, "url"), (struct str){0});
    refer_team(draft, json_get(draft->data, "team"));
    refer_project(draft, json_get(draft->data, "project"));
    refer(draft, "cycle", linear_cycle_name(draft->arena, json_get(draft->data, "cycle")), (struct str){0},
          (struct str){0});
    refer_person(draft, "assignee", (struct str){0});
    if (json_is_array(labels))
        for (struct json_iter it = json_iter(labels); json_step(&it);)
            refer(draft, "label", payload_text(draft->arena, it.value, "name"), (struct str){0}, (struct str){0});
    refer(draft, "branch", linear_text(draft, "branchName"), (struct str){0}, (struct str){0});
    refer_attachments(draft);
}

void linear_comment_refer(struct linear_draft *draft)
{
    struct str issue = linear_text(draft, "issue.identifier");
    refer(draft, "issue", issue, linear_text(draft, "issue.url"), (struct str){0});
    if (!issue.n) refer_project(draft, json_get(draft->data, "project"));
}

void linear_project_refer(struct linear_draft *draft)
{
    const json_value *teams = json_get(draft->data, "teams");
    refer_project(draft, draft->data);
    refer_person(draft, "lead", STR("lead"));
    if (json_is_array(teams))
        for (struct json_iter it = json_iter(teams); json_step(&it);) refer_team(draft, it.value);
}

void linear_cycle_refer(struct linear_draft *draft)
{
    refer(draft, "cycle", linear_cycle_name(draft->arena, draft->data), linear_text(draft, "url"), (struct str){0});
    refer_team(draft, json_get(draft->data, "team"));
}

void linear_update_refer(struct linear_draft *draft)
{
    refer_project(draft, json_get(draft->data, "project"));
}

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

// clang-format off
static const struct outline_field issue_fields[] = {
    {"issueId", "id"}, {"identifier", "identifier"}, {"number", "number"},
    {"teamId", "team.id", "teamId"}, {"teamKey", "team.key"}, {"teamName", "team.name"},
    {"stateId", "state.id", "stateId"}, {"stateName", "state.name"}, {"stateType", "state.type"},
    {"priority", "priority"}, {"priorityLabel", "priorityLabel"}, {"estimate", "estimate"},
    {"projectId", "project.id", "projectId"}, {"projectName", "project.name"}, {"cycleId", "cycle.id", "cycleId"},
    {"assigneeId", "assignee.id", "assigneeId"}, {"branchName", "branchName"}, {"dueDate", "dueDate"},
    {"startedAt", "startedAt"}, {"completedAt", "completedAt"}, {"canceledAt", "canceledAt"}, {0},
};
static const struct outline_field comment_fields[] = {
    {"commentId", "id"}, {"issueId", "issue.id", "issueId"}, {"issueIdentifier", "issue.identifier"},
    {"issueTitle", "issue.title"}, {"editedAt", "editedAt"}, {0},
};
static const struct outline_field project_fields[] = {
    {"projectId", "id"}, {"projectName", "name"}, {"slugId", "slugId"}, {"state", "state"}, {"progress", "progress"},
    {"scope", "scope"}, {"targetDate", "targetDate"}, {"startDate", "startDate"}, {"startedAt", "startedAt"},
    {"completedAt", "completedAt"}, {"canceledAt", "canceledAt"}, {"leadId", "lead.id", "leadId"}, {0},
};
static const struct outline_field cycle_fields[] = {
    {"cycleId", "id"}, {"cycleNumber", "number"}, {"teamId", "team.id", "teamId"}, {"teamKey", "team.key"},
    {"teamName", "team.name"}, {"startsAt", "startsAt"}, {"endsAt", "endsAt"}, {"completedAt", "completedAt"},
    {"progress", "progress"}, {"scope", "scope"}, {0},
};
static const struct outline_field update_fields[] = {
    {"updateId", "id"}, {"projectId", "project.id", "projectId"}, {"projectName", "project.name"}, {"health", "health"},
    {"editedAt", "editedAt"}, {0},
};
// clang-format on

static void put_issue(struct linear_draft *draft)
{
    outline_put(&draft->outline, "cycleName", linear_cycle_name(draft->arena, json_get(draft->data, "cycle")));
    outline_put(&draft->outline, "assigneeName", person_name(draft, "assignee"));
    outline_put_texts(&draft->outline, "labels", json_get(draft->data, "labels"), "name");
}

static void put_comment(struct linear_draft *draft)
{
    outline_put(&draft->outline, "parentCommentId", PAYLOAD_FIRST(draft->arena, draft->data, "parentId", "parent.id"));
}

static void put_project(struct linear_draft *draft)
{
    struct outline *outline = &draft->outline;
    bool ids = json_is_array(json_get(draft->data, "teamIds"));
    bool members = json_is_array(json_get(draft->data, "memberIds"));
    outline_put(outline, "leadName", person_name(draft, "lead"));
    outline_put_texts(outline, "teamIds", json_get(draft->data, ids ? "teamIds" : "teams"), ids ? "" : "id");
    outline_put_texts(outline, "memberIds", json_get(draft->data, members ? "memberIds" : "members"),
                      members ? "" : "id");
}

static void put_cycle(struct linear_draft *draft)
{
    outline_put(&draft->outline, "cycleName", linear_cycle_name(draft->arena, draft->data));
}

static const struct metadata_row {
    const char *type;
    const struct outline_field *fields;
    void (*more)(struct linear_draft *draft);
} metadata_rows[] = {
    {"Issue", issue_fields, put_issue},       {"Comment", comment_fields, put_comment},
    {"Project", project_fields, put_project}, {"Cycle", cycle_fields, put_cycle},
    {"ProjectUpdate", update_fields, NULL},
};

void linear_put(struct linear_draft *draft, const char *type)
{
    for (size_t i = 0; i < sizeof metadata_rows / sizeof *metadata_rows; i++) {
        const struct metadata_row *row = &metadata_rows[i];
        if (!str_eq(str_of(type), str_of(row->type))) continue;
        outline_put_fields(&draft->outline, draft->data, row->fields);
        if (row->more) row->more(draft);
    }
}
