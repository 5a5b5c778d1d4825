-- Webhooks in: secrets of sources, what was received, the payloads behind it.

-- Facts about the instance itself: the known text that tells whether the right encryption key is there.
CREATE TABLE instance_fact (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

ALTER TABLE source ADD COLUMN inbound_secret TEXT;         -- sealed; of /webhooks/{provider}/{public_id}
ALTER TABLE source ADD COLUMN inbound_secret_before TEXT;  -- sealed; replaced, valid until ...
ALTER TABLE source ADD COLUMN inbound_before_until BIGINT;
ALTER TABLE source ADD COLUMN shared_inbound INTEGER NOT NULL DEFAULT 0; -- 1: hears what reaches /webhooks/{provider}
ALTER TABLE source ADD COLUMN inactive_reason TEXT;        -- installation_removed, ...
ALTER TABLE source ADD COLUMN last_delivery_at BIGINT;
CREATE INDEX source_shared ON source (source_type, provider_resource_id) WHERE shared_inbound = 1;

-- The unmodified bytes of a delivery, for each workspace that has a share in it.
CREATE TABLE ingestion_payload (
    id               {rowid},
    workspace_id     BIGINT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    source           TEXT NOT NULL,
    delivery_id      TEXT NOT NULL,
    event_type       TEXT NOT NULL,
    payload          {bytes} NOT NULL, -- zstd
    payload_bytes    BIGINT NOT NULL,  -- before compression
    headers          TEXT NOT NULL,
    received_at      BIGINT NOT NULL,
    ingestion_source TEXT NOT NULL,
    created_at       BIGINT NOT NULL
);
CREATE UNIQUE INDEX ingestion_payload_delivery ON ingestion_payload (workspace_id, source, delivery_id);
CREATE INDEX ingestion_payload_time ON ingestion_payload (workspace_id, received_at);

-- One row for each request that was taken, and for some of those that were refused.
CREATE TABLE inbound_delivery (
    id              {rowid},
    public_id       TEXT NOT NULL UNIQUE, -- dlv_...; the captures' events have it as their id
    source          TEXT NOT NULL,
    address         TEXT NOT NULL DEFAULT '', -- source whose own address was used: it remembers its own deliveries
    delivery_id     TEXT NOT NULL,
    event           TEXT NOT NULL,
    action          TEXT,
    installation_id TEXT,
    repository_id   TEXT,
    body_sha256     TEXT NOT NULL,
    headers         TEXT NOT NULL,
    received_at     BIGINT NOT NULL,
    http_status     INTEGER NOT NULL,
    outcome         TEXT NOT NULL, -- processed, skipped, failed, rejected
    reason          TEXT,
    error           TEXT,
    replay_of       TEXT
);
CREATE INDEX inbound_delivery_id ON inbound_delivery (source, delivery_id) WHERE outcome = 'processed';
CREATE INDEX inbound_delivery_body ON inbound_delivery (source, body_sha256) WHERE outcome = 'processed';
CREATE INDEX inbound_delivery_rejected ON inbound_delivery (received_at) WHERE outcome = 'rejected';

-- Whose it was.
CREATE TABLE inbound_delivery_share (
    workspace_id BIGINT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    delivery     BIGINT NOT NULL REFERENCES inbound_delivery (id) ON DELETE CASCADE,
    source_id    BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, delivery, source_id)
){clustered};
CREATE INDEX inbound_delivery_share_delivery ON inbound_delivery_share (delivery);
