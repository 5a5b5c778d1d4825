/* registry.c - the table of event types (spec/connectors-other.md 6). */
#include "source/source.h"

// clang-format off
#define GITHUB "github"
#define VERCEL "vercel"
#define SENTRY "sentry"
#define LINEAR "linear"
#define NOTION "notion"
#define ZENDESK "zendesk"

const struct source_type_row source_types[] = {
    /* source, type,                                   label,                    weight, external,                       category */
    {GITHUB,  "push",                                  "Push",                       30, "push",                         "push"},
    {GITHUB,  "pull-request.opened",                   "PR Opened",                  50, "pull_request_opened",          "pull_request"},
    {GITHUB,  "pull-request.closed",                   "PR Closed",                  45, "pull_request_closed",          "pull_request"},
    {GITHUB,  "pull-request.merged",                   "PR Merged",                  60, "pull_request_merged",          "pull_request"},
    {GITHUB,  "pull-request.reopened",                 "PR Reopened",                40, "pull_request_reopened",        "pull_request"},
    {GITHUB,  "pull-request.ready-for-review",         "Ready for Review",           45, "pull_request_ready_for_review", "pull_request"},
    {GITHUB,  "issue.opened",                          "Issue Opened",               45, "issue_opened",                 "issues"},
    {GITHUB,  "issue.closed",                          "Issue Closed",               40, "issue_closed",                 "issues"},
    {GITHUB,  "issue.reopened",                        "Issue Reopened",             40, "issue_reopened",               "issues"},
    {GITHUB,  "release.published",                     "Release Published",          75, "release_published",            "release"},
    {GITHUB,  "release.created",                       "Release Created",            70, "release_created",              "release"},
    {GITHUB,  "discussion.created",                    "Discussion Created",         35, "discussion_created",           "discussion"},
    {GITHUB,  "discussion.answered",                   "Discussion Answered",        40, "discussion_answered",          "discussion"},
    {GITHUB,  "pull-request-review.approved",          "PR Approved",                35, "pull_request_review_approved", "pull_request_review"},
    {GITHUB,  "pull-request-review.changes-requested", "Changes Requested",          45, "pull_request_review_changes_requested", "pull_request_review"},
    {GITHUB,  "pull-request-review.commented",         "PR Reviewed",                25, "pull_request_review_commented", "pull_request_review"},
    {GITHUB,  "pull-request-review.dismissed",         "Review Dismissed",           30, "pull_request_review_dismissed", "pull_request_review"},
    {GITHUB,  "pull-request-review.line-comment",      "Review Comment",             20, "pull_request_review_comment_created", "pull_request_review"},
    {GITHUB,  "issue-comment.created",                 "Comment",                    20, "issue_comment_created",        "issue_comment"},

    {VERCEL,  "deployment.created",                    "Deployment Started",         30, "deployment.created",           "deployment.created"},
    {VERCEL,  "deployment.succeeded",                  "Deployment Succeeded",       40, "deployment.succeeded",         "deployment.succeeded"},
    {VERCEL,  "deployment.ready",                      "Deployment Ready",           40, "deployment.ready",             "deployment.ready"},
    {VERCEL,  "deployment.error",                      "Deployment Failed",          70, "deployment.error",             "deployment.error"},
    {VERCEL,  "deployment.canceled",                   "Deployment Canceled",        65, "deployment.canceled",          "deployment.canceled"},
    {VERCEL,  "deployment.check-rerequested",          "Deployment Check Re-requested", 25, "deployment.check-rerequested", "deployment.check-rerequested"},
    {VERCEL,  "deployment.promoted",                   "Deployment Promoted",        55, "deployment.promoted",          "deployment.promoted"},
    {VERCEL,  "deployment.rollback",                   "Deployment Rolled Back",     75, "deployment.rollback",          "deployment.rollback"},

    {SENTRY,  "issue.created",                         "Issue Created",              55, "issue.created",                "issue"},
    {SENTRY,  "issue.resolved",                        "Issue Resolved",             50, "issue.resolved",               "issue"},
    {SENTRY,  "issue.assigned",                        "Issue Assigned",             30, "issue.assigned",               "issue"},
    {SENTRY,  "issue.ignored",                         "Issue Ignored",              25, "issue.ignored,issue.archived", "issue"},
    {SENTRY,  "issue.unresolved",                      "Issue Reopened",             50, "issue.unresolved",             "issue"},
    {SENTRY,  "error",                                 "Error",                      45, "error",                        "error"},
    {SENTRY,  "event-alert",                           "Alert Triggered",            65, "event_alert",                  "event_alert"},
    {SENTRY,  "metric-alert",                          "Metric Alert",               70, "metric_alert",                 "metric_alert"},
    {SENTRY,  "comment.created",                       "Comment Added",              25, "comment.created",              "comment"},
    {SENTRY,  "comment.updated",                       "Comment Updated",            20, "comment.updated",              "comment"},
    {SENTRY,  "comment.deleted",                       "Comment Deleted",            20, "comment.deleted",              "comment"},

    {LINEAR,  "issue.created",                         "Issue Created",              50, "Issue:create",                 "Issue"},
    {LINEAR,  "issue.updated",                         "Issue Updated",              35, "Issue:update",                 "Issue"},
    {LINEAR,  "issue.deleted",                         "Issue Deleted",              40, "Issue:remove",                 "Issue"},
    {LINEAR,  "comment.created",                       "Comment Added",              25, "Comment:create",               "Comment"},
    {LINEAR,  "comment.updated",                       "Comment Updated",            20, "Comment:update",               "Comment"},
    {LINEAR,  "comment.deleted",                       "Comment Deleted",            20, "Comment:remove",               "Comment"},
    {LINEAR,  "project.created",                       "Project Created",            45, "Project:create",               "Project"},
    {LINEAR,  "project.updated",                       "Project Updated",            35, "Project:update",               "Project"},
    {LINEAR,  "project.deleted",                       "Project Deleted",            40, "Project:remove",               "Project"},
    {LINEAR,  "cycle.created",                         "Cycle Created",              40, "Cycle:create",                 "Cycle"},
    {LINEAR,  "cycle.updated",                         "Cycle Updated",              30, "Cycle:update",                 "Cycle"},
    {LINEAR,  "cycle.deleted",                         "Cycle Deleted",              35, "Cycle:remove",                 "Cycle"},
    {LINEAR,  "project-update.created",                "Project Update Posted",      45, "ProjectUpdate:create",         "ProjectUpdate"},
    {LINEAR,  "project-update.updated",                "Project Update Edited",      30, "ProjectUpdate:update",         "ProjectUpdate"},
    {LINEAR,  "project-update.deleted",                "Project Update Deleted",     25, "ProjectUpdate:remove",         "ProjectUpdate"},

    {NOTION,  "page.created",                          "Page Created",               35, "page.created",                 "page"},
    {NOTION,  "page.updated",                          "Page Updated",               20, "page.content_updated,page.properties_updated", "page"},
    {NOTION,  "page.moved",                            "Page Moved",                 15, "page.moved",                   "page"},
    {NOTION,  "page.deleted",                          "Page Deleted",               30, "page.deleted",                 "page"},
    {NOTION,  "page.restored",                         "Page Restored",              25, "page.undeleted",               "page"},
    {NOTION,  "database.created",                      "Database Created",           40, "database.created",             "database"},
    {NOTION,  "database.schema-updated",               "Database Changed",           30, "data_source.schema_updated,database.schema_updated", "database"},
    {NOTION,  "comment.created",                       "Comment Added",              25, "comment.created",              "comment"},
    {NOTION,  "comment.updated",                       "Comment Updated",            20, "comment.updated",              "comment"},
    {NOTION,  "comment.deleted",                       "Comment Deleted",            20, "comment.deleted",              "comment"},

    {ZENDESK, "ticket.created",                        "Ticket Created",             45, "ticket.created",               "ticket"},
    {ZENDESK, "ticket.solved",                         "Ticket Solved",              45, "ticket.status_changed",        "ticket"},
    {ZENDESK, "ticket.reopened",                       "Ticket Reopened",            50, "ticket.status_changed",        "ticket"},
    {ZENDESK, "ticket.updated",                        "Ticket Updated",             25, "ticket.status_changed",        "ticket"},
    {ZENDESK, "ticket.priority-changed",               "Priority Changed",           35, "ticket.priority_changed",      "ticket"},
    {ZENDESK, "ticket.assigned",                       "Ticket Assigned",            25, "ticket.agent_assignment_changed", "ticket"},
    {ZENDESK, "ticket.linked",                         "Ticket Linked to Problem",   30, "ticket.problem_link_changed",  "ticket"},
    {ZENDESK, "comment.created",                       "Ticket Comment",             30, "ticket.comment_added",         "comment"},
    {ZENDESK, "note.created",                          "Internal Note",              30, "ticket.comment_added",         "internal_note"},
    {NULL, NULL, NULL, 0, NULL, NULL},
};
// clang-format on

const struct source_type_row *source_type_find(struct str source, struct str type)
{
    if (str_eq(source, STR("git"))) source = STR("github");
    for (const struct source_type_row *row = source_types; row->source; row++)
        if (str_eq(type, str_of(row->type)) && str_eq(source, str_of(row->source))) return row;
    return NULL;
}
