/* items.c - the snapshot of a pull request or issue that an event carries (spec/connector-github.md 3.6). */
#include "source/github/inside.h"

#include "text/text.h"

// clang-format off
static const struct item_event {
    const char *event, *item; /* item: where the payload has it */
    bool        whole;        /* the item is complete, not the short form of another object's event */
} item_events[] = {
    {"pull_request",                "pull_request", true},
    {"pull_request_review",         "pull_request", false},
    {"pull_request_review_comment", "pull_request", false},
    {"issues",                      "issue",        true},
    {"issue_comment",               "issue",        true},
};
// clang-format on

static const struct item_event *row_of(struct str event)
{
    for (size_t i = 0; i < sizeof item_events / sizeof *item_events; i++)
        if (str_eq(event, str_of(item_events[i].event))) return &item_events[i];
    return NULL;
}

static struct source_texts texts_at(struct arena *arena, const json_value *list, const char *path)
{
    struct source_texts texts = {0};
    if (json_is_array(list))
        for (struct json_iter it = json_iter(list); json_step(&it);) texts_add(arena, &texts, json_str(it.value, path));
    return texts;
}

static int64_t count_at(const json_value *item, const char *path)
{
    int64_t count;
    return payload_int(item, path, &count) && count >= 0 ? count : -1;
}

static int64_t time_at(const json_value *item, const char *path)
{
    int64_t ms;
    return payload_time(item, path, &ms) ? ms : 0;
}

static void read_links(struct github_draft *draft, struct source_github_item *item)
{
    struct text_issues issues = github_closing(draft, item->body);
    item->linked = NEW_ARRAY(draft->arena, struct source_linked_issue, issues.n);
    item->linked_count = issues.n;
    for (size_t i = 0; i < issues.n; i++)
        item->linked[i] = (struct source_linked_issue){issues.at[i].id, str_of(issues.at[i].label),
                                                       github_issue_url(draft, issues.at[i].id, issues.at[i].url)};
    github_coauthors(draft, item->body);
    item->coauthors = draft->coauthors.at;
    item->coauthor_count = draft->coauthors.n;
}

static void read_verdict(struct github_draft *draft, struct source_github_item *item)
{
    const json_value *review = json_get(draft->payload, "review");
    if (!json_is_object(review)) return;
    bool dismissed = str_eq(draft->action, STR("dismissed"));
    item->verdict = (struct source_verdict){
        .login = json_str(review, "user.login"),
        .state = dismissed ? STR("dismissed") : str_lower(draft->arena, json_str(review, "state")),
        .at = time_at(review, "submitted_at"),
    };
}

static void read_facts(struct github_draft *draft, const json_value *from, struct source_github_item *item)
{
    const json_value *is_draft = json_get(from, "draft");
    item->url = json_str(from, "html_url");
    item->title = json_str(from, "title");
    item->body = json_str(from, "body");
    item->state = json_str(from, "state");
    item->milestone = json_str(from, "milestone.title");
    item->draft = !json_is_bool(is_draft) ? SOURCE_UNSET : json_bool(is_draft, "", false) ? SOURCE_TRUE : SOURCE_FALSE;
    item->labels = texts_at(draft->arena, json_get(from, "labels"), "name");
    item->assignees = texts_at(draft->arena, json_get(from, "assignees"), "login");
    item->requested_reviewers = texts_at(draft->arena, json_get(from, "requested_reviewers"), "login");
    item->author = (struct source_person){.id = payload_text(draft->arena, from, "user.id"),
                                          .login = json_str(from, "user.login")};
    item->comment_count = count_at(from, "comments");
    item->review_comment_count = count_at(from, "review_comments");
    item->created_at = time_at(from, "created_at");
    item->updated_at = time_at(from, "updated_at");
    item->closed_at = time_at(from, "closed_at");
    item->merged_at = time_at(from, "merged_at");
    if (!item->merged_at)
        item->merged_at = time_at(from, "pull_request.merged_at"); /* an issue that is a pull request */
}

bool source_github_item_read(struct arena *arena, struct str event, const json_value *payload,
                             const struct source_context *context, struct source_github_item *item)
{
    const struct item_event *row = row_of(event);
    struct source_event unused = {0};
    struct str category;
    struct source_transform_call call = {arena, event, payload, context, &unused, &category};
    struct github_draft draft;
    *item = (struct source_github_item){.comment_count = -1, .review_comment_count = -1};
    if (!row || !json_is_object(payload)) return false;
    const json_value *from = json_get(payload, row->item);
    if (!payload_int(from, "number", &item->number) || item->number <= 0 || !github_begin(&draft, &call)) return false;
    bool on_pull = row->item[0] == 'p' || json_is_object(json_get(from, "pull_request"));
    item->kind = on_pull ? "pull_request" : "issue";
    item->id_name = draft.repo;
    read_facts(&draft, from, item);
    item->lists_known =
        row->whole && json_is_array(json_get(from, "labels")) && json_is_array(json_get(from, "assignees"));
    unused.actor = (struct source_actor){.id = item->author.id, .name = item->author.login};
    read_links(&draft, item);
    read_verdict(&draft, item);
    return true;
}
