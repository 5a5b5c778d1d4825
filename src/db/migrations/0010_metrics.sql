-- What is measured: samples, kept 30 days, and what the hours add up to. Tags are a JSON object with sorted names.

CREATE TABLE metric_sample (
    workspace_id BIGINT NOT NULL,
    type         TEXT NOT NULL,             -- job_duration, errors ...
    at           BIGINT NOT NULL,           -- the second
    source       TEXT NOT NULL DEFAULT '',  -- src_...
    tags         TEXT NOT NULL,
    value        {real} NOT NULL,
    n            BIGINT NOT NULL,           -- how often in this second
    PRIMARY KEY (workspace_id, type, at, source, tags, value)
){clustered};

CREATE TABLE metric_hour (
    workspace_id BIGINT NOT NULL,
    type         TEXT NOT NULL,
    hour         BIGINT NOT NULL,           -- its begin
    source       TEXT NOT NULL DEFAULT '',
    tags         TEXT NOT NULL,
    n            BIGINT NOT NULL,
    total        {real} NOT NULL,
    least        {real} NOT NULL,
    most         {real} NOT NULL,
    spread       TEXT NOT NULL,             -- [[class, count] ...]: activity/spread.c
    PRIMARY KEY (workspace_id, type, hour, source, tags)
){clustered};

-- Deliveries up to this row are in the timeline; hours before this time are added up.
INSERT INTO instance_fact (name, value)
    SELECT 'deliveries_told', CAST(COALESCE(MAX(id), 0) AS TEXT) FROM inbound_delivery;
INSERT INTO instance_fact (name, value) VALUES ('metrics_rolled_until', '0');
