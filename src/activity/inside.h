/* inside.h - what the files of this room share. */
#pragma once
#include "activity/activity.h"

#define ACTIVITY_COLUMNS                                                                                              \
    "id, workspace_id, org_id, public_id, actor_type, actor_user, actor_email, actor_ip, api_key, user_agent, "       \
    "request_id, category, action, entity_type, entity_id, entity_name, source, changes, reason, status, impact, "    \
    "metadata, job, related, ts, created_at"
/* A row of ACTIVITY_COLUMNS; false at the end. */
bool activity_next(struct db_rows *rows, struct activity *activity);

/* Rows that pass the filter, newest first. */
MUST_CHECK struct err *activity_query(struct db_tx *tx, struct db_rows *rows, int64_t workspace,
                                      const struct activity_filter *filter, int64_t limit);
