-- Organisations, workspaces, keys. What the dialects differ in is written {so} and replaced by db/migrate.c:
--   {rowid}  a 64-bit key that the database numbers      {clustered}  rows stored in key order where the engine can
--   {bytes}  binary data                                 {real}       double precision
-- Times are milliseconds since 1970, booleans 0 or 1, JSON is text. Keys begin with the workspace.

CREATE TABLE organization (
    id         {rowid},
    public_id  TEXT NOT NULL UNIQUE,
    slug       TEXT NOT NULL UNIQUE,
    settings   TEXT NOT NULL DEFAULT '{}',
    created_at BIGINT NOT NULL
);

CREATE TABLE workspace (
    id         {rowid},
    org_id     BIGINT NOT NULL REFERENCES organization (id),
    public_id  TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    name_norm  TEXT NOT NULL, -- lower case
    slug       TEXT NOT NULL UNIQUE,
    is_default INTEGER NOT NULL DEFAULT 0,
    settings   TEXT NOT NULL DEFAULT '{"version":1}',
    state      TEXT NOT NULL DEFAULT 'active',
    created_at BIGINT NOT NULL,
    UNIQUE (org_id, name_norm)
);

-- Lock and counters of a workspace: whoever appends to the search log or makes row ids holds this row.
CREATE TABLE workspace_counter (
    workspace_id BIGINT NOT NULL PRIMARY KEY REFERENCES workspace (id) ON DELETE CASCADE,
    seq          BIGINT NOT NULL DEFAULT 0, -- last number in search_log
    next_id      BIGINT NOT NULL DEFAULT 1  -- next row id of the workspace's own tables
);

CREATE TABLE api_key (
    id                {rowid},
    workspace_id      BIGINT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    public_id         TEXT NOT NULL UNIQUE,
    kind              TEXT NOT NULL DEFAULT 'org',
    name              TEXT NOT NULL,
    secret_sha256     TEXT NOT NULL UNIQUE,
    key_prefix        TEXT NOT NULL,
    key_suffix        TEXT NOT NULL,
    scopes            INTEGER NOT NULL, -- bits: read 1, answer 2, ingest 4, admin 8
    is_active         INTEGER NOT NULL DEFAULT 1,
    expires_at        BIGINT,
    last_used_at      BIGINT,
    last_used_from_ip TEXT,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL
);
CREATE INDEX api_key_workspace ON api_key (workspace_id, id);

CREATE TABLE source (
    workspace_id         BIGINT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    id                   BIGINT NOT NULL,
    public_id            TEXT NOT NULL UNIQUE,
    source_type          TEXT NOT NULL,
    provider_resource_id TEXT NOT NULL,
    source_config        TEXT NOT NULL,
    is_active            INTEGER NOT NULL DEFAULT 1,
    last_synced_at       BIGINT,
    last_sync_status     TEXT NOT NULL DEFAULT 'pending',
    last_ingested_at     BIGINT,
    connected_at         BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, source_type, provider_resource_id)
);

CREATE TABLE import (
    workspace_id BIGINT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    id           BIGINT NOT NULL,
    public_id    TEXT NOT NULL UNIQUE,
    source_id    BIGINT NOT NULL,
    repo         TEXT NOT NULL,
    branch       TEXT NOT NULL,
    status       TEXT NOT NULL, -- running, completed, failed, cancelled
    scanned      BIGINT NOT NULL DEFAULT 0,
    stored       BIGINT NOT NULL DEFAULT 0,
    duplicates   BIGINT NOT NULL DEFAULT 0,
    failed       BIGINT NOT NULL DEFAULT 0,
    error        TEXT,
    idempotency  TEXT,          -- the caller's key: beginning twice begins once
    started_at   BIGINT NOT NULL,
    finished_at  BIGINT,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, idempotency)
);
CREATE INDEX import_source ON import (workspace_id, source_id, status);
