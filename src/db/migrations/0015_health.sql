-- The health of a workspace as it was told to people, and as the last evaluation saw it: healthy, degraded, down.

CREATE TABLE workspace_health (
    workspace_id BIGINT NOT NULL PRIMARY KEY,
    told         TEXT NOT NULL,
    seen         TEXT NOT NULL
);
