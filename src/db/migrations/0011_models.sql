-- Language models and late vectors: what calls cost, and which observations wait for an embedding.

CREATE TABLE llm_usage (
    workspace_id  BIGINT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    month         TEXT NOT NULL,   -- "2026-11", UTC
    task          TEXT NOT NULL,   -- classification, entities, summary ...
    calls         BIGINT NOT NULL,
    input_tokens  BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    cost          {real} NOT NULL, -- USD
    PRIMARY KEY (workspace_id, month, task)
){clustered};

ALTER TABLE observation ADD COLUMN embedding_due_at BIGINT NOT NULL DEFAULT 0; -- next attempt; 0: none is owed
CREATE INDEX observation_embedding_due ON observation (workspace_id, embedding_due_at) WHERE embedding_due_at > 0;
CREATE INDEX observation_unfinished ON observation (workspace_id, id) WHERE pipeline_state <> 'done';
