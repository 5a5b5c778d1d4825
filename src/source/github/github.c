/* github.c - which transform an event goes through, and which of its actions a source wants. */
#include "source/github/inside.h"

static const struct event_row {
    const char *event;
    source_transform_function transform;
} events[] = {
    {"push", github_push},
    {"pull_request", github_pull_request},
    {"issues", github_issue},
    {"release", github_release},
    {"discussion", github_discussion},
    {"pull_request_review", github_review},
    {"pull_request_review_comment", github_review_comment},
    {"issue_comment", github_issue_comment},
};

const struct github_table github_tables[] = {
    {"pull_request", "pull_request", "pull-request", github_pull_request_actions},
    {"issues", "issues", "issue", github_issue_actions},
    {"release", "release", "release", github_release_actions},
    {"discussion", "discussion", "discussion", github_discussion_actions},
    {0},
};

enum source_reason github_transform(const struct source_transform_call *call)
{
    for (size_t i = 0; i < sizeof events / sizeof *events; i++)
        if (str_eq(call->event, str_of(events[i].event))) return events[i].transform(call);
    return SOURCE_UNHANDLED_EVENT;
}

/* sync.actions names actions as GitHub does: a merge is "closed" there, and may be named "merged" too. */
static bool names_action(const json_value *list, struct str action)
{
    for (struct json_iter it = json_iter(list); json_step(&it);) {
        struct str name = json_str(it.value, "");
        if (str_eq(name, action) || (str_eq(action, STR("merged")) && str_eq(name, STR("closed")))) return true;
    }
    return false;
}

enum source_reason github_choose(const struct source_transform_call *call, const struct github_action *rows,
                                 struct str action, const char *category, const struct github_action **row)
{
    *call->category = str_of(category);
    *row = NULL;
    for (; rows->action && !*row; rows++)
        if (str_eq(action, str_of(rows->action))) *row = rows;
    if (!*row) return SOURCE_ACTION_NOT_CAPTURED;
    const json_value *chosen = json_member(json_get(call->context->sync, "actions"), str_of(category));
    bool wanted = json_is_array(chosen) ? names_action(chosen, action) : !(*row)->opt_in;
    return wanted ? SOURCE_CAPTURED : SOURCE_ACTION_NOT_CAPTURED;
}

/* "pull-request.review-requested" is of the table "pull_request", whose entity stands before the dot. */
static bool same_action(struct str kebab, struct str action)
{
    if (kebab.n != action.n) return false;
    for (size_t i = 0; i < action.n; i++)
        if (kebab.s[i] != (action.s[i] == '_' ? '-' : action.s[i])) return false;
    return true;
}

struct str github_category(struct str source_type)
{
    struct str action = source_type, entity;
    if (!str_cut(&action, '.', &entity)) return (struct str){0};
    for (const struct github_table *table = github_tables; table->event; table++)
        for (const struct github_action *row = table->actions; row->action; row++)
            if (str_eq(entity, str_of(table->entity)) && same_action(action, str_of(row->action)))
                return str_of(table->category);
    return (struct str){0};
}
