-- Conversations with the memory: what was asked and answered, kept for an hour after their last use.

CREATE TABLE answer_session (
    workspace_id BIGINT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    id           TEXT NOT NULL,   -- the client's own, or drawn
    owner        TEXT NOT NULL,   -- public id of the key or user; empty: the operator
    messages     TEXT NOT NULL,   -- JSON [{role, content}], oldest first
    created_at   BIGINT NOT NULL,
    used_at      BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX answer_session_age ON answer_session (used_at);
