/* comments.c - reviews, comments on lines, comments on issues and pull requests (spec/connector-github.md 3.6). */
#include "source/github/inside.h"

#include "text/text.h"

// clang-format off
static const struct github_action review_actions[] = {
    {.action = "submitted", .label = ""}, {.action = "dismissed", .label = ""}, {0},
};
static const struct github_action comment_actions[] = {
    {.action = "created", .label = "Review Comment"}, {0},
};
static const struct review_state {
    const char *state, *label;
} review_states[] = {
    {"approved",          "PR Approved"},
    {"changes_requested", "Changes Requested"},
    {"commented",         "PR Reviewed"},
    {"dismissed",         "Review Dismissed"},
};
// clang-format on

static const struct review_state *state_of(struct arena *arena, const json_value *payload)
{
    struct str state = str_lower(arena, json_str(payload, "review.state"));
    if (str_eq(json_str(payload, "action"), STR("dismissed"))) state = STR("dismissed");
    for (size_t i = 0; i < sizeof review_states / sizeof *review_states; i++)
        if (str_eq(state, str_of(review_states[i].state))) return &review_states[i];
    return NULL;
}

static bool unwanted_bot(const struct source_transform_call *call, const json_value *user)
{
    return str_eq(json_str(user, "type"), STR("Bot")) && !json_bool(call->context->sync, "includeBots", false);
}

static bool identify(const struct source_transform_call *call, const char *item, const char *remark, int64_t *number,
                     struct str *id)
{
    *id = payload_text(call->arena, json_get(call->payload, remark), "id");
    return payload_int(json_get(call->payload, item), "number", number) && *number > 0 && id->n;
}

/* ---- reviews ----------------------------------------------------------------------------------------------------- */

static void refer_review(struct github_draft *draft, const json_value *pull, const json_value *review, int64_t number)
{
    struct outline *outline = &draft->outline;
    struct str ref = json_str(pull, "head.ref"), home = json_str(pull, "head.repo.html_url"), url = {0};
    struct str commit = json_str(review, "commit_id");
    if (home.n) url = outline_url(draft->arena, STR_FMT "/tree/" STR_FMT, STR_ARG(home), STR_ARG(ref));
    github_refer_number(draft, "pr", number, json_str(pull, "html_url"), NULL);
    outline_refer(outline, "branch", ref, url, NULL);
    if (commit.n) outline_refer(outline, "commit", commit, github_page(draft, "/commit/", commit), NULL);
    outline_refer(outline, "reviewer", json_str(review, "user.login"),
                  github_person_url(draft, json_get(review, "user")), NULL);
    struct text_issues issues = github_closing(draft, json_str(pull, "body"));
    for (size_t i = 0; i < issues.n; i++)
        outline_refer(outline, "issue", issues.at[i].id, github_issue_url(draft, issues.at[i].id, issues.at[i].url),
                      issues.at[i].label);
}

static int64_t review_time(const struct source_transform_call *call, bool dismissed)
{
    return dismissed ? PAYLOAD_FIRST_TIME(call->payload, call->context, "review.updated_at", "pull_request.updated_at",
                                          "review.submitted_at")
                     : PAYLOAD_FIRST_TIME(call->payload, call->context, "review.submitted_at", "review.updated_at");
}

enum source_reason github_review(const struct source_transform_call *call)
{
    const json_value *pull = json_get(call->payload, "pull_request"), *review = json_get(call->payload, "review");
    const struct review_state *state = state_of(call->arena, call->payload);
    const struct github_action *row;
    struct github_draft draft;
    struct str id, text = json_str(review, "body");
    int64_t number;
    enum source_reason reason =
        github_choose(call, review_actions, json_str(call->payload, "action"), "pull_request_review", &row);
    if (reason) return reason;
    if (!json_is_object(review)) return SOURCE_INVALID_EVENT;
    if (!state || (str_eq(str_of(state->state), STR("commented")) && !str_trim(text).n))
        return SOURCE_ACTION_NOT_CAPTURED;
    if (unwanted_bot(call, json_get(review, "user"))) return SOURCE_BOT;
    if (!identify(call, "pull_request", "review", &number, &id) || !github_begin(&draft, call))
        return SOURCE_INVALID_EVENT;
    struct source_event *event = call->result;
    event->occurred_at = review_time(call, str_eq(str_of(state->state), STR("dismissed")));
    github_name(&draft, "pull-request-review", str_of(state->state), state->label, json_str(pull, "title"));
    event->source_id = str_printf(call->arena, "review:" STR_FMT "#%lld:" STR_FMT ":%s", STR_ARG(draft.repo),
                                  (long long)number, STR_ARG(id), state->state);
    github_body(&draft, json_str(pull, "title"), text);
    outline_put(&draft.outline, "url", json_str(review, "html_url"));
    github_author(&draft, json_get(review, "user"));
    outline_put_number(&draft.outline, "prNumber", number);
    outline_put_value(&draft.outline, "reviewId", json_get(review, "id"));
    outline_put(&draft.outline, "reviewState", str_of(state->state));
    outline_put(&draft.outline, "prAuthorLogin", json_str(pull, "user.login"));
    refer_review(&draft, pull, review, number);
    return outline_finish(&draft.outline);
}

/* ---- comments on lines ------------------------------------------------------------------------------------------- */

static struct str place_of(struct arena *arena, const json_value *comment)
{
    struct str path = json_str(comment, "path"), line = PAYLOAD_FIRST(arena, comment, "line", "original_line");
    if (!path.n || !line.n) return path;
    return str_printf(arena, STR_FMT ":" STR_FMT, STR_ARG(path), STR_ARG(line));
}

enum source_reason github_review_comment(const struct source_transform_call *call)
{
    static const struct outline_field fields[] = {
        {"commentId", "id"}, {"path", "path"}, {"inReplyToId", "in_reply_to_id"}, {"url", "html_url"}, {0}};
    const json_value *pull = json_get(call->payload, "pull_request"), *comment = json_get(call->payload, "comment");
    const struct github_action *row;
    struct github_draft draft;
    struct str id, commit = json_str(comment, "commit_id");
    int64_t number;
    enum source_reason reason =
        github_choose(call, comment_actions, json_str(call->payload, "action"), "pull_request_review", &row);
    if (reason) return reason;
    if (unwanted_bot(call, json_get(comment, "user"))) return SOURCE_BOT;
    if (!identify(call, "pull_request", "comment", &number, &id) || !github_begin(&draft, call))
        return SOURCE_INVALID_EVENT;
    struct source_event *event = call->result;
    event->occurred_at = PAYLOAD_FIRST_TIME(comment, call->context, "created_at", "updated_at");
    github_name(&draft, "pull-request-review", STR("line-comment"), row->label, json_str(pull, "title"));
    event->source_id = str_printf(call->arena, "review-comment:" STR_FMT "#%lld:" STR_FMT, STR_ARG(draft.repo),
                                  (long long)number, STR_ARG(id));
    github_body(&draft, json_str(pull, "title"), place_of(call->arena, comment));
    outline_line(&draft.outline, "", json_str(comment, "body"), "");
    github_author(&draft, json_get(comment, "user"));
    outline_put_number(&draft.outline, "prNumber", number);
    outline_put_fields(&draft.outline, comment, fields);
    outline_put_int(&draft.outline, "line", comment,
                    json_is_null(json_get(comment, "line")) ? "original_line" : "line");
    github_refer_number(&draft, "pr", number, json_str(pull, "html_url"), NULL);
    if (commit.n) outline_refer(&draft.outline, "commit", commit, github_page(&draft, "/commit/", commit), NULL);
    return outline_finish(&draft.outline);
}

/* ---- comments on issues and pull requests ------------------------------------------------------------------------ */

enum source_reason github_issue_comment(const struct source_transform_call *call)
{
    const json_value *issue = json_get(call->payload, "issue"), *comment = json_get(call->payload, "comment");
    bool on_pull = json_is_object(json_get(issue, "pull_request"));
    const struct github_action *row;
    struct github_draft draft;
    struct str id;
    int64_t number;
    enum source_reason reason =
        github_choose(call, comment_actions, json_str(call->payload, "action"), "issue_comment", &row);
    if (reason) return reason;
    if (unwanted_bot(call, json_get(comment, "user"))) return SOURCE_BOT;
    if (!identify(call, "issue", "comment", &number, &id) || !github_begin(&draft, call)) return SOURCE_INVALID_EVENT;
    struct source_event *event = call->result;
    event->occurred_at = PAYLOAD_FIRST_TIME(comment, call->context, "created_at", "updated_at");
    github_name(&draft, "issue-comment", STR("created"), on_pull ? "PR Comment" : "Issue Comment",
                json_str(issue, "title"));
    event->source_id = str_printf(call->arena, "comment:" STR_FMT "#%lld:" STR_FMT, STR_ARG(draft.repo),
                                  (long long)number, STR_ARG(id));
    github_body(&draft, json_str(issue, "title"), json_str(comment, "body"));
    outline_put(&draft.outline, "url", json_str(comment, "html_url"));
    github_author(&draft, json_get(comment, "user"));
    outline_put_number(&draft.outline, "issueNumber", number);
    outline_put_value(&draft.outline, "commentId", json_get(comment, "id"));
    outline_put_bool(&draft.outline, "isPullRequest", on_pull);
    github_refer_number(&draft, on_pull ? "pr" : "issue", number, json_str(issue, "html_url"), NULL);
    github_refer_labels(&draft, json_get(issue, "labels"));
    return outline_finish(&draft.outline);
}
