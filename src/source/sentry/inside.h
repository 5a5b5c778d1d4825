/* inside.h - what the files of sentry/ share: an event of Sentry under construction. */
#pragma once
#include "source/outline.h"

struct sentry_draft {
    struct outline    outline;
    struct arena     *arena;
    const json_value *data, *item; /* payload.data; the issue, event or alert in it */
    struct str        action;
    struct str        web, organization; /* S, org */
};
struct sentry_row {
    const char *event, *type, *label, *category;
    const char *suffix; /* of issues' ids */
    enum source_reason (*make)(struct sentry_draft *draft, const struct sentry_row *row);
};
struct str sentry_text(struct sentry_draft *draft, const char *path); /* of the item */
/* errorType: cut(errorValue, 80) */
struct str sentry_headline(struct sentry_draft *draft);
struct str sentry_error_type(struct sentry_draft *draft);
int64_t    sentry_action_time(struct sentry_draft *draft); /* of the delivery */
void       sentry_refer_project(struct sentry_draft *draft, struct str slug);
void       sentry_put_common(struct sentry_draft *draft, struct str resource, struct str url);
void       sentry_line(struct sentry_draft *draft, const char *prefix, const char *path);

enum source_reason sentry_issue(struct sentry_draft *draft, const struct sentry_row *row);
enum source_reason sentry_error(struct sentry_draft *draft, const struct sentry_row *row);
enum source_reason sentry_event_alert(struct sentry_draft *draft, const struct sentry_row *row);
enum source_reason sentry_metric_alert(struct sentry_draft *draft, const struct sentry_row *row);
enum source_reason sentry_comment(struct sentry_draft *draft, const struct sentry_row *row);
