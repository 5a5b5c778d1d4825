-- The log that the index in memory is a cache of (src/index/log.c has the payload's format).
CREATE TABLE search_log (
    workspace_id BIGINT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    seq          BIGINT NOT NULL,
    item         BIGINT NOT NULL,
    item_kind    INTEGER NOT NULL, -- observation 1, document 2, cluster 3
    kind         INTEGER NOT NULL, -- add 1, attributes 2, remove 3
    model        TEXT,
    payload      {bytes},
    PRIMARY KEY (workspace_id, seq)
);
CREATE INDEX search_log_item ON search_log (workspace_id, item, item_kind);
