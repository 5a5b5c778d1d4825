/* push.c - pushes of commits (spec/connector-github.md 3.2, 2.3). */
#include "source/git/inside.h"
#include "source/github/inside.h"

#include "base/utf8.h"
#include "text/text.h"

#include <fnmatch.h>

enum { LISTED = 50, INCLUDED = 20, DETAILED = 100, SEARCHED = 500, MAX_STARS = 8, MAX_BRANCH = 255 };

/* fnmatch takes time that grows with every star, so a pattern may have only a few. */
static bool branch_matches(struct arena *arena, struct str pattern, struct str branch)
{
    size_t stars = 0;
    for (size_t i = 0; i < pattern.n; i++) stars += pattern.s[i] == '*';
    if (!pattern.n || stars > MAX_STARS || pattern.n > MAX_BRANCH || branch.n > MAX_BRANCH) return false;
    bool across = str_find(pattern, STR("**"), 0) != SIZE_MAX;
    return fnmatch(str_z(arena, pattern), str_z(arena, branch), across ? 0 : FNM_PATHNAME) == 0;
}

static bool tracked(const struct source_transform_call *call, struct str branch)
{
    struct str main_branch = call->context->default_branch;
    if (!main_branch.n) main_branch = json_str(call->payload, "repository.default_branch");
    if (main_branch.n && str_eq(branch, main_branch)) return true;
    const json_value *patterns = json_get(call->context->sync, "branches");
    if (!json_is_array(patterns)) return false;
    for (struct json_iter it = json_iter(patterns); json_step(&it);)
        if (branch_matches(call->arena, json_str(it.value, ""), branch)) return true;
    return false;
}

static bool is_deletion(const json_value *payload, struct str after)
{
    size_t zeros = 0;
    while (zeros < after.n && after.s[zeros] == '0') zeros++;
    return json_bool(payload, "deleted", false) || (after.n && zeros == after.n);
}

static struct str subject_of(struct str message)
{
    return object_subject(str_trim(message));
}

static int64_t list_length(const json_value *commit, const char *key)
{
    const json_value *list = json_get(commit, key);
    return json_is_array(list) ? (int64_t)json_count(list) : 0;
}

/* ---- body -------------------------------------------------------------------------------------------------------- */

static bool is_head(const json_value *commit, struct str after)
{
    return str_eq(json_str(commit, "id"), after);
}

static void list_commits(struct github_draft *draft, const json_value *commits, struct str after)
{
    struct buf *body = &draft->outline.body;
    size_t n = 0;
    for (struct json_iter it = json_iter(commits); json_step(&it);) {
        struct str subject = subject_of(json_str(it.value, "message"));
        if (is_head(it.value, after) || !subject.n) continue;
        if (n++ >= LISTED) continue;
        buf_printf(body, "%s- " STR_FMT,
                   n > 1     ? "\n"
                   : body->n ? "\n\n"
                             : "",
                   STR_ARG(utf8_shorten(draft->arena, subject, GITHUB_TITLE)));
    }
    if (n > LISTED) buf_printf(body, "\n- (+%zu more)", n - LISTED);
}

/* ---- references and metadata ------------------------------------------------------------------------------------- */

static void refer_message(struct github_draft *draft, struct str message)
{
    struct text_issues issues = github_closing(draft, message);
    struct pull_subject pull = pull_subject(subject_of(message));
    for (size_t i = 0; i < issues.n; i++)
        outline_refer(&draft->outline, "issue", issues.at[i].id,
                      github_issue_url(draft, issues.at[i].id, issues.at[i].url), issues.at[i].label);
    if (pull.number) {
        struct str digits = str_printf(draft->arena, "%u", pull.number);
        github_refer_number(draft, "pr", pull.number, github_page(draft, "/pull/", digits), "merges");
    }
    github_coauthors(draft, message);
}

static void refer_commits(struct github_draft *draft, const json_value *commits, struct str after, struct str branch)
{
    size_t n = 0;
    outline_refer(&draft->outline, "commit", after, github_page(draft, "/commit/", after), NULL);
    outline_refer(&draft->outline, "branch", branch, github_page(draft, "/tree/", branch), NULL);
    for (struct json_iter it = json_iter(commits); n < INCLUDED && json_step(&it);) {
        struct str id = json_str(it.value, "id");
        if (!id.n || is_head(it.value, after)) continue;
        outline_refer(&draft->outline, "commit", id, github_page(draft, "/commit/", id), "included");
        n++;
    }
}

static void put_commit(struct github_draft *draft, const json_value *commit)
{
    struct outline *outline = &draft->outline;
    struct outline_point before = outline_mark(outline);
    json_begin(&outline->metadata, NULL, '{');
    outline_put(outline, "sha", json_str(commit, "id"));
    outline_put(outline, "subject", utf8_shorten(draft->arena, subject_of(json_str(commit, "message")), GITHUB_TITLE));
    outline_put(outline, "authorName", utf8_head(json_str(commit, "author.name"), 200));
    outline_put(outline, "authorEmail", utf8_head(json_str(commit, "author.email"), 320));
    outline_put(outline, "authorLogin", utf8_head(json_str(commit, "author.username"), 200));
    json_end(&outline->metadata);
    outline_fits(outline, before);
}

static void put_push(struct github_draft *draft, const json_value *commits, struct str branch)
{
    static const struct outline_field fields[] = {
        {"beforeSha", "before"}, {"afterSha", "after"}, {"forced", "forced"}, {"compareUrl", "compare"}, {0}};
    struct outline *outline = &draft->outline;
    int64_t files = 0;
    for (struct json_iter it = json_iter(commits); json_step(&it);)
        files += list_length(it.value, "added") + list_length(it.value, "modified") + list_length(it.value, "removed");
    outline_put(outline, "branch", branch);
    outline_put_fields(outline, draft->payload, fields);
    outline_put_number(outline, "commitCount", (int64_t)json_count(commits));
    outline_put_number(outline, "fileCount", files);
}

static void put_commits(struct github_draft *draft, const json_value *commits)
{
    size_t n = 0;
    json_begin(&draft->outline.metadata, "commits", '[');
    for (struct json_iter it = json_iter(commits); n++ < DETAILED && json_step(&it);) put_commit(draft, it.value);
    json_end(&draft->outline.metadata);
}

static void push_actor(struct github_draft *draft)
{
    struct source_actor *actor = &draft->outline.event->actor;
    const json_value *sender = json_get(draft->payload, "sender");
    struct str pusher = json_str(draft->payload, "pusher.name");
    *actor = (struct source_actor){.id = payload_text(draft->arena, sender, "id"),
                                   .name = json_str(sender, "login"),
                                   .email = json_str(draft->payload, "pusher.email"),
                                   .avatar_url = json_str(sender, "avatar_url")};
    if (!actor->id.n) actor->id = actor->name = pusher;
}

/* The messages of all commits, the head's first; the head may be missing from the list, or come alone. */
static void refer_messages(struct github_draft *draft, const json_value *commits, const json_value *head)
{
    struct str after = json_str(draft->payload, "after");
    size_t n = 0;
    refer_message(draft, json_str(head, "message"));
    for (struct json_iter it = json_iter(commits); n++ < SEARCHED && json_step(&it);)
        if (!head || !is_head(it.value, after)) refer_message(draft, json_str(it.value, "message"));
}

enum source_reason github_push(const struct source_transform_call *call)
{
    const json_value *payload = call->payload, *commits = json_get(payload, "commits"),
                     *head = json_get(payload, "head_commit");
    struct str ref = json_str(payload, "ref"), after = json_str(payload, "after");
    struct str message = json_str(head, "message"), subject = subject_of(message);
    struct github_draft draft;
    *call->category = STR("push");
    if (!str_starts(ref, STR("refs/heads/")) || is_deletion(payload, after)) return SOURCE_BRANCH_NOT_TRACKED;
    struct str branch = str_skip(ref, 11);
    if (!tracked(call, branch)) return SOURCE_BRANCH_NOT_TRACKED;
    if (!after.n || !github_begin(&draft, call)) return SOURCE_INVALID_EVENT;
    if (!json_is_array(commits)) commits = NULL;
    struct source_event *event = call->result;
    event->source_type = STR("push");
    event->source_id = str_printf(call->arena, "push:" STR_FMT ":" STR_FMT, STR_ARG(draft.repo), STR_ARG(after));
    event->title = str_printf(call->arena, subject.n ? "[Push] " STR_FMT : "[Push] Push to " STR_FMT,
                              STR_ARG(utf8_shorten(call->arena, subject.n ? subject : branch, GITHUB_TITLE)));
    event->occurred_at = PAYLOAD_FIRST_TIME(payload, call->context, "head_commit.timestamp");
    buf_str_add(&draft.outline.body, str_trim(message));
    list_commits(&draft, commits, after);
    push_actor(&draft);
    outline_put(&draft.outline, "url", github_page(&draft, "/commit/", after));
    put_push(&draft, commits, branch);
    refer_commits(&draft, commits, after, branch);
    refer_messages(&draft, commits, json_is_object(head) ? head : NULL);
    github_refer_coauthors(&draft);
    put_commits(&draft, commits);
    return outline_finish(&draft.outline);
}
