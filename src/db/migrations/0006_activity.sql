-- Who did what, when and why: append-only. Rows of organisations as such have workspace 0.

CREATE TABLE activity (
    id           {rowid},
    workspace_id BIGINT NOT NULL,
    org_id       BIGINT NOT NULL,
    public_id    TEXT NOT NULL UNIQUE, -- act_...
    actor_type   TEXT NOT NULL,        -- user, system, webhook, api
    actor_user   TEXT,
    actor_email  TEXT,
    actor_ip     TEXT,
    api_key      TEXT,                 -- key_...
    user_agent   TEXT,
    request_id   TEXT,
    category     TEXT NOT NULL,
    action       TEXT NOT NULL,
    entity_type  TEXT,
    entity_id    TEXT,
    entity_name  TEXT,
    source       TEXT,                 -- source type
    changes      TEXT,                 -- JSON {field: {from, to}}
    reason       TEXT,
    status       TEXT NOT NULL,        -- success, failure, in_progress
    impact       TEXT,                 -- JSON {documents, events, errors, durationMs}
    metadata     TEXT,                 -- JSON
    job          TEXT,                 -- job_...
    related      TEXT,                 -- act_...
    words        TEXT NOT NULL,        -- lower case: what a text filter looks into
    ts           BIGINT NOT NULL,      -- of the event
    created_at   BIGINT NOT NULL
);
CREATE INDEX activity_workspace ON activity (workspace_id, id);
CREATE INDEX activity_time ON activity (workspace_id, ts);
CREATE INDEX activity_related ON activity (workspace_id, related) WHERE related IS NOT NULL;
CREATE INDEX activity_age ON activity (ts);
