/* actions.c - pull requests, issues, releases and discussions: what each action becomes (spec/connector-github.md
 * 3.3 to 3.5). */
#include "source/github/inside.h"

#include "base/utf8.h"
#include "text/text.h"

// clang-format off
#define ALWAYS false
#define OPT_IN true
#define MILESTONE {"milestone.number", "pull_request.milestone.number"}

const struct github_action github_pull_request_actions[] = {
    /* action                   label                      captured  suffix           time          value */
    {"opened",                 "PR Opened",                ALWAYS, GITHUB_ONCE,     "created_at", {0}},
    {"merged",                 "PR Merged",                ALWAYS, GITHUB_ONCE,     "merged_at",  {0}}, /* closed, merged */
    {"closed",                 "PR Closed",                ALWAYS, GITHUB_TIMED,    "closed_at",  {0}},
    {"reopened",               "PR Reopened",              ALWAYS, GITHUB_TIMED,    "updated_at", {0}},
    {"ready_for_review",       "Ready for Review",         ALWAYS, GITHUB_TIMED,    "updated_at", {0}},
    {"converted_to_draft",     "PR Converted to Draft",    OPT_IN, GITHUB_TIMED,    "updated_at", {0}},
    {"review_requested",       "Review Requested",         OPT_IN, GITHUB_VALUED,   "updated_at", {"requested_reviewer.login", "requested_team.slug"}},
    {"review_request_removed", "Review Request Removed",   OPT_IN, GITHUB_VALUED,   "updated_at", {"requested_reviewer.login", "requested_team.slug"}},
    {"synchronize",            "PR Updated",               OPT_IN, GITHUB_REVISION, "updated_at", {"after", "pull_request.head.sha"}},
    {"edited",                 "PR Edited",                OPT_IN, GITHUB_TIMED,    "updated_at", {0}},
    {"assigned",               "PR Assigned",              OPT_IN, GITHUB_VALUED,   "updated_at", {"assignee.login"}},
    {"unassigned",             "PR Unassigned",            OPT_IN, GITHUB_VALUED,   "updated_at", {"assignee.login"}},
    {"labeled",                "PR Labeled",               OPT_IN, GITHUB_VALUED,   "updated_at", {"label.name"}},
    {"unlabeled",              "PR Unlabeled",             OPT_IN, GITHUB_VALUED,   "updated_at", {"label.name"}},
    {"milestoned",             "PR Milestoned",            OPT_IN, GITHUB_VALUED,   "updated_at", MILESTONE},
    {"demilestoned",           "PR Demilestoned",          OPT_IN, GITHUB_VALUED,   "updated_at", MILESTONE},
    {0},
};
const struct github_action github_issue_actions[] = {
    {"opened",                 "Issue Opened",             ALWAYS, GITHUB_ONCE,     "created_at", {0}},
    {"closed",                 "Issue Closed",             ALWAYS, GITHUB_TIMED,    "closed_at",  {0}},
    {"reopened",               "Issue Reopened",           ALWAYS, GITHUB_TIMED,    "updated_at", {0}},
    {"assigned",               "Issue Assigned",           OPT_IN, GITHUB_VALUED,   "updated_at", {"assignee.login"}},
    {"unassigned",             "Issue Unassigned",         OPT_IN, GITHUB_VALUED,   "updated_at", {"assignee.login"}},
    {"labeled",                "Issue Labeled",            OPT_IN, GITHUB_VALUED,   "updated_at", {"label.name"}},
    {"unlabeled",              "Issue Unlabeled",          OPT_IN, GITHUB_VALUED,   "updated_at", {"label.name"}},
    {"milestoned",             "Issue Milestoned",         OPT_IN, GITHUB_VALUED,   "updated_at", {"milestone.number", "issue.milestone.number"}},
    {"demilestoned",           "Issue Demilestoned",       OPT_IN, GITHUB_VALUED,   "updated_at", {"milestone.number", "issue.milestone.number"}},
    {"typed",                  "Issue Typed",              OPT_IN, GITHUB_VALUED,   "updated_at", {"type.name", "issue.type.name"}},
    {"untyped",                "Issue Untyped",            OPT_IN, GITHUB_VALUED,   "updated_at", {"type.name", "issue.type.name"}},
    {"edited",                 "Issue Edited",             OPT_IN, GITHUB_TIMED,    "updated_at", {0}},
    {"transferred",            "Issue Transferred",        OPT_IN, GITHUB_TIMED,    "updated_at", {0}},
    {0},
};
const struct github_action github_release_actions[] = {
    {"published",              "Release Published",        ALWAYS, GITHUB_ONCE,     "published_at", {0}},
    {"created",                "Release Created",          OPT_IN, GITHUB_TIMED,    "created_at",   {0}},
    {"released",               "Release Released",         OPT_IN, GITHUB_TIMED,    "published_at", {0}},
    {"prereleased",            "Release Prereleased",      OPT_IN, GITHUB_TIMED,    "published_at", {0}},
    {"edited",                 "Release Edited",           OPT_IN, GITHUB_TIMED,    "updated_at",   {0}},
    {"unpublished",            "Release Unpublished",      OPT_IN, GITHUB_TIMED,    "updated_at",   {0}},
    {"deleted",                "Release Deleted",          OPT_IN, GITHUB_TIMED,    "updated_at",   {0}},
    {0},
};
const struct github_action github_discussion_actions[] = {
    {"created",                "Discussion Created",       ALWAYS, GITHUB_ONCE,     "created_at",       {0}},
    {"answered",               "Discussion Answered",      ALWAYS, GITHUB_TIMED,    "answer_chosen_at", {0}},
    {"closed",                 "Discussion Closed",        OPT_IN, GITHUB_TIMED,    "closed_at",        {0}},
    {"reopened",               "Discussion Reopened",      OPT_IN, GITHUB_TIMED,    "updated_at",       {0}},
    {"unanswered",             "Discussion Unanswered",    OPT_IN, GITHUB_TIMED,    "updated_at",       {0}},
    {"edited",                 "Discussion Edited",        OPT_IN, GITHUB_TIMED,    "updated_at",       {0}},
    {"category_changed",       "Discussion Category Changed", OPT_IN, GITHUB_TIMED, "updated_at",       {0}},
    {"labeled",                "Discussion Labeled",       OPT_IN, GITHUB_TIMED,    "updated_at",       {0}},
    {0},
};
// clang-format on

static int64_t moment(const struct github_draft *draft, const struct github_action *row, const json_value *item)
{
    return PAYLOAD_FIRST_TIME(item, draft->outline.context, row->time, "updated_at", "published_at", "created_at");
}

/* The number of an item, as text for ids; {NULL, 0} if it has none. */
static struct str number_of(struct arena *arena, const json_value *item, int64_t *number)
{
    if (!payload_int(item, "number", number) || *number <= 0) return (struct str){0};
    return str_printf(arena, "%lld", (long long)*number);
}

/* ---- pull requests ----------------------------------------------------------------------------------------------- */

bool github_merged(const json_value *pull)
{
    return json_bool(pull, "merged", false) || json_str(pull, "merged_at").n > 0;
}

/* Closing issues: references, and the same as metadata. */
static void link_issues(struct github_draft *draft, struct str text)
{
    struct outline *outline = &draft->outline;
    struct text_issues issues = github_closing(draft, text);
    if (!issues.n) return;
    json_begin(&outline->metadata, "linkedIssues", '[');
    for (size_t i = 0; i < issues.n; i++) {
        struct str url = github_issue_url(draft, issues.at[i].id, issues.at[i].url);
        struct outline_point before = outline_mark(outline);
        outline_refer(outline, "issue", issues.at[i].id, url, issues.at[i].label);
        json_begin(&outline->metadata, NULL, '{');
        outline_put(outline, "id", issues.at[i].id);
        outline_put(outline, "label", str_of(issues.at[i].label));
        outline_put(outline, "url", url);
        json_end(&outline->metadata);
        outline_fits(outline, before);
    }
    json_end(&outline->metadata);
}

static void refer_pull(struct github_draft *draft, const json_value *pull, int64_t number)
{
    struct outline *outline = &draft->outline;
    struct str merge = json_str(pull, "merge_commit_sha"), body = json_str(pull, "body");
    github_refer_number(draft, "pr", number, json_str(pull, "html_url"), NULL);
    github_refer_head(draft, pull);
    if (merge.n && github_merged(pull)) {
        outline_refer(outline, "commit", merge, github_page(draft, "/commit/", merge), "merge");
        outline_put(outline, "mergeCommitSha", merge);
    }
    link_issues(draft, body);
    github_refer_people(draft, "reviewer", json_get(pull, "requested_reviewers"));
    const json_value *teams = json_get(pull, "requested_teams");
    if (json_is_array(teams))
        for (struct json_iter it = json_iter(teams); json_step(&it);)
            outline_refer(outline, "team", json_str(it.value, "slug"), json_str(it.value, "html_url"), NULL);
    github_refer_people(draft, "assignee", json_get(pull, "assignees"));
    github_refer_labels(draft, json_get(pull, "labels"));
    github_refer_milestone(draft, json_get(pull, "milestone"));
    github_coauthors(draft, body);
    github_refer_coauthors(draft);
}

static void put_fork(struct github_draft *draft, const json_value *pull)
{
    struct str head = payload_text(draft->arena, pull, "head.repo.id"),
               base = payload_text(draft->arena, pull, "base.repo.id");
    bool gone = json_get(pull, "head.repo") && json_is_null(json_get(pull, "head.repo"));
    if (gone || (head.n && base.n)) outline_put_bool(&draft->outline, "isFork", gone || !str_eq(head, base));
}

static void put_pull(struct github_draft *draft, const json_value *pull)
{
    static const struct outline_field fields[] = {{"prNumber", "number"},
                                                  {"draft", "draft"},
                                                  {"state", "state"},
                                                  {"additions", "additions"},
                                                  {"deletions", "deletions"},
                                                  {"changedFiles", "changed_files"},
                                                  {"headRef", "head.ref"},
                                                  {"baseRef", "base.ref"},
                                                  {"headSha", "head.sha"},
                                                  {"baseSha", "base.sha"},
                                                  {"mergedByLogin", "merged_by.login"},
                                                  {"mergedById", "merged_by.id"},
                                                  {"commitCount", "commits"},
                                                  {0}};
    struct outline *outline = &draft->outline;
    outline_put_bool(outline, "merged", github_merged(pull));
    outline_put_fields(outline, pull, fields);
    outline_put_texts(outline, "labels", json_get(pull, "labels"), "name");
    github_put_milestone(draft, json_get(pull, "milestone"));
    outline_put_texts(outline, "assignees", json_get(pull, "assignees"), "login");
    outline_put_texts(outline, "requestedReviewers", json_get(pull, "requested_reviewers"), "login");
    outline_put_texts(outline, "requestedTeams", json_get(pull, "requested_teams"), "slug");
    put_fork(draft, pull);
}

enum source_reason github_pull_request(const struct source_transform_call *call)
{
    const json_value *pull = json_get(call->payload, "pull_request");
    const struct github_action *row;
    struct github_draft draft;
    struct str action = json_str(call->payload, "action");
    int64_t number;
    if (str_eq(action, STR("closed")) && github_merged(pull)) action = STR("merged");
    enum source_reason reason = github_choose(call, github_pull_request_actions, action, "pull_request", &row);
    if (reason) return reason;
    struct str digits = number_of(call->arena, pull, &number);
    if (!digits.n || !github_begin(&draft, call)) return SOURCE_INVALID_EVENT;
    struct source_event *event = call->result;
    event->occurred_at = moment(&draft, row, pull);
    github_name(&draft, "pull-request", action, row->label, json_str(pull, "title"));
    event->source_id = str_printf(call->arena, "pr:" STR_FMT "#" STR_FMT ":" STR_FMT, STR_ARG(draft.repo),
                                  STR_ARG(digits), STR_ARG(github_suffix(&draft, row)));
    github_body(&draft, json_str(pull, "title"), json_str(pull, "body"));
    outline_put(&draft.outline, "url", json_str(pull, "html_url"));
    github_author(&draft, json_get(pull, "user"));
    put_pull(&draft, pull);
    refer_pull(&draft, pull, number);
    return outline_finish(&draft.outline);
}

/* ---- issues ------------------------------------------------------------------------------------------------------ */

static void put_issue(struct github_draft *draft, const json_value *issue)
{
    static const struct outline_field fields[] = {{"issueNumber", "number"},       {"state", "state"},
                                                  {"stateReason", "state_reason"}, {"commentCount", "comments"},
                                                  {"issueType", "type.name"},      {0}};
    outline_put_fields(&draft->outline, issue, fields);
    outline_put_texts(&draft->outline, "labels", json_get(issue, "labels"), "name");
    github_put_milestone(draft, json_get(issue, "milestone"));
    outline_put_texts(&draft->outline, "assignees", json_get(issue, "assignees"), "login");
}

enum source_reason github_issue(const struct source_transform_call *call)
{
    const json_value *issue = json_get(call->payload, "issue");
    const struct github_action *row;
    struct github_draft draft;
    struct str action = json_str(call->payload, "action");
    int64_t number;
    enum source_reason reason = github_choose(call, github_issue_actions, action, "issues", &row);
    if (reason) return reason;
    struct str digits = number_of(call->arena, issue, &number);
    if (!digits.n || !github_begin(&draft, call)) return SOURCE_INVALID_EVENT;
    struct source_event *event = call->result;
    event->occurred_at = moment(&draft, row, issue);
    github_name(&draft, "issue", action, row->label, json_str(issue, "title"));
    event->source_id = str_printf(call->arena, "issue:" STR_FMT "#" STR_FMT ":" STR_FMT, STR_ARG(draft.repo),
                                  STR_ARG(digits), STR_ARG(github_suffix(&draft, row)));
    github_body(&draft, json_str(issue, "title"), json_str(issue, "body"));
    outline_put(&draft.outline, "url", json_str(issue, "html_url"));
    github_author(&draft, json_get(issue, "user"));
    put_issue(&draft, issue);
    github_refer_number(&draft, "issue", number, json_str(issue, "html_url"), NULL);
    github_refer_people(&draft, "assignee", json_get(issue, "assignees"));
    github_refer_labels(&draft, json_get(issue, "labels"));
    github_refer_milestone(&draft, json_get(issue, "milestone"));
    return outline_finish(&draft.outline);
}

/* ---- releases ---------------------------------------------------------------------------------------------------- */

static bool is_sha(struct str text)
{
    if (text.n != 40) return false;
    for (size_t i = 0; i < text.n; i++)
        if (!strchr("0123456789abcdefABCDEF", text.s[i]) || !text.s[i]) return false;
    return true;
}

/* "#N" and the pages of pull requests, as the notes that GitHub generates have them. */
static void refer_notes(struct github_draft *draft, struct str notes)
{
    enum { MOST = 50 };
    struct text_issues found = text_mentioned_issues(draft->arena, notes);
    struct str page = str_printf(draft->arena, STR_FMT "/pull/", STR_ARG(draft->page));
    size_t n = 0;
    for (size_t i = 0; i < found.n && n < MOST; i++) {
        if (!str_starts(found.at[i].id, STR("#")) || found.at[i].repo.n) continue;
        struct str url = github_page(draft, "/pull/", str_skip(found.at[i].id, 1));
        outline_refer(&draft->outline, "pr", found.at[i].id, url, "included");
        n++;
    }
    for (size_t at = 0; n < MOST && (at = str_find(notes, page, at)) != SIZE_MAX; n++) {
        at += page.n;
        size_t end = at;
        while (end < notes.n && end - at < 9 && notes.s[end] >= '0' && notes.s[end] <= '9') end++;
        if (end > at) {
            struct str digits = str_slice(notes, at, end);
            outline_refer(&draft->outline, "pr", str_printf(draft->arena, "#" STR_FMT, STR_ARG(digits)),
                          github_page(draft, "/pull/", digits), "included");
        }
    }
}

static void refer_target(struct github_draft *draft, struct str target)
{
    bool sha = is_sha(target);
    outline_refer(&draft->outline, sha ? "commit" : "branch", target,
                  github_page(draft, sha ? "/commit/" : "/tree/", target), NULL);
}

enum source_reason github_release(const struct source_transform_call *call)
{
    static const struct outline_field fields[] = {{"tagName", "tag_name"},      {"targetCommitish", "target_commitish"},
                                                  {"prerelease", "prerelease"}, {"draft", "draft"},
                                                  {"releaseId", "id"},          {"name", "name"},
                                                  {"url", "html_url"},          {0}};
    const json_value *release = json_get(call->payload, "release");
    const struct github_action *row;
    struct github_draft draft;
    struct str tag = json_str(release, "tag_name"), name = json_str(release, "name");
    struct str action = json_str(call->payload, "action");
    enum source_reason reason = github_choose(call, github_release_actions, action, "release", &row);
    if (reason) return reason;
    if (!tag.n || !github_begin(&draft, call)) return SOURCE_INVALID_EVENT;
    struct source_event *event = call->result;
    event->occurred_at = moment(&draft, row, release);
    github_name(&draft, "release", action, row->label, str_trim(name).n ? name : tag);
    event->source_id = str_printf(call->arena, "release:" STR_FMT ":" STR_FMT, STR_ARG(draft.repo), STR_ARG(tag));
    if (row->suffix != GITHUB_ONCE)
        event->source_id = str_printf(call->arena, STR_FMT ":" STR_FMT, STR_ARG(event->source_id),
                                      STR_ARG(github_suffix(&draft, row)));
    event->body = json_str(release, "body");
    outline_put_fields(&draft.outline, release, fields);
    github_author(&draft, json_get(release, "author"));
    refer_target(&draft, json_str(release, "target_commitish"));
    refer_notes(&draft, event->body);
    return outline_finish(&draft.outline);
}

/* ---- discussions ------------------------------------------------------------------------------------------------- */

enum source_reason github_discussion(const struct source_transform_call *call)
{
    static const struct outline_field fields[] = {
        {"discussionNumber", "number"}, {"category", "category.name"}, {"url", "html_url"}, {0}};
    const json_value *discussion = json_get(call->payload, "discussion"), *answer = NULL;
    const struct github_action *row;
    struct github_draft draft;
    struct str action = json_str(call->payload, "action");
    int64_t number;
    enum source_reason reason = github_choose(call, github_discussion_actions, action, "discussion", &row);
    if (reason) return reason;
    struct str digits = number_of(call->arena, discussion, &number);
    if (!digits.n || !github_begin(&draft, call)) return SOURCE_INVALID_EVENT;
    if (str_eq(action, STR("answered"))) answer = json_get(call->payload, "answer");
    struct source_event *event = call->result;
    event->occurred_at = moment(&draft, row, discussion);
    github_name(&draft, "discussion", action, row->label, json_str(discussion, "title"));
    event->source_id = str_printf(call->arena, "discussion:" STR_FMT "#" STR_FMT, STR_ARG(draft.repo), STR_ARG(digits));
    if (row->suffix != GITHUB_ONCE)
        event->source_id = str_printf(call->arena, STR_FMT ":" STR_FMT, STR_ARG(event->source_id),
                                      STR_ARG(github_suffix(&draft, row)));
    github_body(&draft, json_str(discussion, "title"), json_str(discussion, "body"));
    if (json_str(answer, "body").n)
        buf_printf(&draft.outline.body, "\n\nAnswer:\n" STR_FMT, STR_ARG(str_trim(json_str(answer, "body"))));
    outline_put_fields(&draft.outline, discussion, fields);
    outline_put_bool(&draft.outline, "answered", !json_is_null(json_get(discussion, "answer_html_url")));
    github_author(&draft, json_is_object(answer) ? json_get(answer, "user") : json_get(discussion, "user"));
    outline_refer(&draft.outline, "label", json_str(discussion, "category.name"), (struct str){0}, NULL);
    return outline_finish(&draft.outline);
}
