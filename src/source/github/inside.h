/* inside.h - what the transforms of GitHub's events share (spec/connector-github.md 3). */
#pragma once
#include "source/outline.h"

enum { GITHUB_TITLE = 100 };

/* An event of GitHub under construction. */
struct github_draft {
    struct outline    outline;
    struct arena     *arena;
    const json_value *payload;
    struct str        web;  /* "https://github.com" */
    struct str        repo; /* R */
    struct str        page; /* U */
    struct str        action;
    VEC(struct source_person) coauthors;
};

/* How the id of an action ends. */
enum github_suffix {
    GITHUB_ONCE,     /* <action> */
    GITHUB_TIMED,    /* <action>@<ts> */
    GITHUB_VALUED,   /* <action>:<value>@<ts> */
    GITHUB_REVISION, /* <action>:<value> */
};
struct github_action {
    const char        *action, *label;
    bool               opt_in;
    enum github_suffix suffix;
    const char        *time;     /* path in the item; then updated_at and created_at */
    const char        *value[2]; /* paths in the payload, the first that is there */
};

/* Is this one of the table's actions, and does the source want it? *row is NULL if the table does not know it. */
enum source_reason github_choose(const struct source_transform_call *call, const struct github_action *rows,
                                 struct str action, const char *category, const struct github_action **row);
/* False without a repository: nothing can be said. */
bool github_begin(struct github_draft *draft, const struct source_transform_call *call);
/* type = entity.action in kebab-case, title = [label] text */
void github_name(struct github_draft *draft, const char *entity, struct str action, const char *label, struct str text);
void github_author(struct github_draft *draft, const json_value *user); /* actor and metadata author* */
void github_body(struct github_draft *draft, struct str title, struct str body);
int64_t github_seconds(const struct github_draft *draft);
struct str github_suffix(struct github_draft *draft, const struct github_action *row);

/* U + kind + what: github_page(draft, "/commit/", sha) */
struct str github_page(struct github_draft *draft, const char *kind, struct str what);
struct str github_person_url(struct github_draft *draft, const json_value *user);
void github_refer_number(struct github_draft *draft, const char *type, int64_t number, struct str url,
                         const char *label);
void github_refer_people(struct github_draft *draft, const char *type, const json_value *users);
void github_refer_labels(struct github_draft *draft, const json_value *labels);
void github_refer_milestone(struct github_draft *draft, const json_value *milestone);
void github_put_milestone(struct github_draft *draft, const json_value *milestone);

/* Closing issues of a text as references; their url: github_issue_url. */
struct text_issues;
struct text_issues github_closing(struct github_draft *draft, struct str text);
struct str github_issue_url(struct github_draft *draft, struct str id, struct str url);
/* Co-authors of a text, without bots and the event's actor; then once the references and metadata of all. */
void github_coauthors(struct github_draft *draft, struct str text);
void github_refer_coauthors(struct github_draft *draft);

enum source_reason github_push(const struct source_transform_call *call);
enum source_reason github_pull_request(const struct source_transform_call *call);
enum source_reason github_issue(const struct source_transform_call *call);
enum source_reason github_release(const struct source_transform_call *call);
enum source_reason github_discussion(const struct source_transform_call *call);
enum source_reason github_review(const struct source_transform_call *call);
enum source_reason github_review_comment(const struct source_transform_call *call);
enum source_reason github_issue_comment(const struct source_transform_call *call);

/* The head branch and sha of a pull request as references, in this order. */
void github_refer_head(struct github_draft *draft, const json_value *pull);
bool github_merged(const json_value *pull);

/* Labels, for the table of categories. */
struct github_table { const char *event, *category, *entity; const struct github_action *actions; };
extern const struct github_table github_tables[]; /* event NULL ends */
extern const struct github_action github_pull_request_actions[], github_issue_actions[], github_release_actions[],
    github_discussion_actions[];
