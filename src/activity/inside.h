/* inside.h - what the files of this room share. */
#pragma once
#include "activity/activity.h"

#define ACTIVITY_COLUMNS                                                                                              \
    "id, workspace_id, org_id, (SELECT o.public_id FROM organization o WHERE o.id = activity.org_id), "                \
    "(SELECT w.public_id FROM workspace w WHERE w.id = activity.workspace_id), public_id, actor_type, actor_user, actor_email, actor_ip, api_key, user_agent, "       \
    "request_id, category, action, entity_type, entity_id, entity_name, source, changes, reason, status, impact, "    \
    "metadata, job, related, ts, created_at"
int activity_position(const char *const *names, struct str name); /* in a list that NULL ends; 0 if it is not there */
/* A row of ACTIVITY_COLUMNS; false at the end. */
bool activity_next(struct db_rows *rows, struct activity *activity);

/* Rows of a workspace, or with workspace 0 of all of the organisation, that pass the filter, newest first. */
struct activity_owner { int64_t workspace, org; };
MUST_CHECK struct err *activity_query(struct db_tx *tx, struct db_rows *rows, struct activity_owner owner,
                                      const struct activity_filter *filter, int64_t limit);

/* metrics.c */
enum { ACTIVITY_ROLL_DELAY = 60 * 1000 }; /* samples come so late at most */
/* Both until run should stop. */
MUST_CHECK struct err *activity_metrics_roll(struct flow_run *run, int64_t *hours);
/* Samples of more than 30 days, hours of more than `days` (0: none); adds to *deleted. */
MUST_CHECK struct err *activity_metrics_sweep(struct flow_run *run, int64_t workspace, int64_t days, int64_t *deleted);

/* recorder.c */
struct activity_ended { const char *function, *status; int64_t duration; };
void activity_count_job(struct activity_recorder *recorder, const struct activity_ended *ended);
void activity_count_capture(struct activity_recorder *recorder, struct str source, const char *outcome);

/* watermark.c: of work that has a row in instance_fact */
MUST_CHECK struct err *activity_watermark_read(struct db_tx *tx, const char *name, int64_t *mark);
MUST_CHECK struct err *activity_watermark_write(struct db_tx *tx, const char *name, int64_t mark);

/* evaluate.c */
MUST_CHECK struct err *activity_evaluate(struct db *db, struct arena *arena, int64_t *changed);

/* retention.c */
MUST_CHECK struct err *activity_retention_sweep(struct flow_run *run, const struct activity_periods *periods,
                                                int64_t *deleted);
