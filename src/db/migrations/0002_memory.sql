-- Observations and what is known about them (spec/pipeline.md 13). Row ids are made by the workspace's counter.

CREATE TABLE observation (
    workspace_id              BIGINT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    id                        BIGINT NOT NULL,
    xid                       TEXT NOT NULL UNIQUE, -- 21 characters, shown as obs_...
    source                    TEXT NOT NULL,
    source_type               TEXT NOT NULL,
    source_id                 TEXT NOT NULL,
    observation_type          TEXT NOT NULL,
    resource_id               TEXT,
    title                     TEXT NOT NULL,
    content                   TEXT NOT NULL,
    url                       TEXT,
    occurred_at               BIGINT NOT NULL,
    captured_at               BIGINT NOT NULL,
    actor                     TEXT,            -- JSON as received
    actor_id                  TEXT,            -- canonical
    cluster_id                BIGINT,
    primary_category          TEXT NOT NULL,
    secondary_categories      TEXT NOT NULL,
    classification_confidence {real} NOT NULL,
    classification_method     TEXT NOT NULL,
    topics                    TEXT NOT NULL,
    content_topics            INTEGER NOT NULL DEFAULT 0, -- the first so many topics come from the content
    significance_score        INTEGER NOT NULL,
    significance_factors      TEXT NOT NULL,
    source_references         TEXT NOT NULL,
    metadata                  TEXT NOT NULL,
    embedding_status          TEXT NOT NULL,   -- ready, pending, failed, disabled
    embedding_model           TEXT,
    ingestion_source          TEXT NOT NULL,
    pipeline_state            TEXT NOT NULL,   -- stored, linked, done
    created_at                BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id),
    UNIQUE (workspace_id, source_id)
);
CREATE INDEX observation_time ON observation (workspace_id, occurred_at);
CREATE INDEX observation_type ON observation (workspace_id, observation_type);
CREATE INDEX observation_actor ON observation (workspace_id, actor_id);
CREATE INDEX observation_cluster ON observation (workspace_id, cluster_id);
CREATE INDEX observation_url ON observation (workspace_id, url) WHERE url IS NOT NULL;

CREATE TABLE observation_reference (
    workspace_id   BIGINT NOT NULL,
    ref_type       TEXT NOT NULL,            -- commit, branch, issue (pull requests too), deployment
    ref_key        TEXT NOT NULL,            -- normalised
    scope          TEXT NOT NULL DEFAULT '', -- owner/repo, lower case
    observation_id BIGINT NOT NULL,
    role           TEXT NOT NULL,            -- self, mention
    qualifier      TEXT NOT NULL DEFAULT '', -- fixes, closes, resolves, resolved_by, linked, tracked_in, merge ...
    url            TEXT,
    -- what a key's explicit edges need (the self rows, the qualified mentions) is one range each, however many
    -- observations share the key
    PRIMARY KEY (workspace_id, ref_type, ref_key, scope, role, qualifier, observation_id)
){clustered};
CREATE INDEX observation_reference_observation ON observation_reference (workspace_id, observation_id);

CREATE TABLE relationship (
    workspace_id          BIGINT NOT NULL,
    id                    BIGINT NOT NULL,
    xid                   TEXT NOT NULL,
    source_observation_id BIGINT NOT NULL,
    target_observation_id BIGINT NOT NULL,
    relationship_type     TEXT NOT NULL,
    linking_key           TEXT NOT NULL,
    linking_key_type      TEXT NOT NULL,
    confidence            {real} NOT NULL,
    metadata              TEXT NOT NULL,
    created_at            BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, source_observation_id, target_observation_id, relationship_type)
){clustered};
CREATE INDEX relationship_target ON relationship (workspace_id, target_observation_id);
CREATE INDEX relationship_key ON relationship (workspace_id, linking_key);

CREATE TABLE entity (
    workspace_id          BIGINT NOT NULL,
    id                    BIGINT NOT NULL,
    xid                   TEXT NOT NULL,
    category              TEXT NOT NULL,
    key                   TEXT NOT NULL,
    key_norm              TEXT NOT NULL,
    scope                 TEXT NOT NULL DEFAULT '',
    value                 TEXT,
    aliases               TEXT NOT NULL DEFAULT '[]',
    source_observation_id BIGINT NOT NULL,
    evidence_snippet      TEXT,
    confidence            {real} NOT NULL,
    occurrence_count      BIGINT NOT NULL DEFAULT 0,
    first_seen_at         BIGINT NOT NULL, -- occurred_at of source_observation_id
    extracted_at          BIGINT NOT NULL,
    last_seen_at          BIGINT NOT NULL,
    updated_at            BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id)
){clustered};
CREATE UNIQUE INDEX entity_key ON entity (workspace_id, key_norm, category, scope);
CREATE INDEX entity_seen ON entity (workspace_id, last_seen_at);

CREATE TABLE entity_observation (
    workspace_id   BIGINT NOT NULL,
    observation_id BIGINT NOT NULL,
    entity_id      BIGINT NOT NULL,
    confidence     {real} NOT NULL,
    method         TEXT NOT NULL, -- pattern, reference, llm
    PRIMARY KEY (workspace_id, observation_id, entity_id)
){clustered};
CREATE INDEX entity_observation_entity ON entity_observation (workspace_id, entity_id);

CREATE TABLE cluster (
    workspace_id         BIGINT NOT NULL,
    id                   BIGINT NOT NULL,
    xid                  TEXT NOT NULL UNIQUE,
    topic_label          TEXT NOT NULL,
    centroid             {bytes},          -- dim x float, little-endian
    centroid_count       BIGINT NOT NULL DEFAULT 0,
    centroid_model       TEXT,
    keywords             TEXT NOT NULL DEFAULT '[]',
    primary_entities     TEXT NOT NULL DEFAULT '[]',
    primary_actors       TEXT NOT NULL DEFAULT '[]',
    status               TEXT NOT NULL,    -- open, closed
    summary              TEXT,
    key_topics           TEXT NOT NULL DEFAULT '[]',
    key_contributors     TEXT NOT NULL DEFAULT '[]',
    activity_status      TEXT,
    summary_generated_at BIGINT,
    observation_count    BIGINT NOT NULL DEFAULT 0,
    first_observation_at BIGINT NOT NULL,
    last_observation_at  BIGINT NOT NULL,
    closed_at            BIGINT,
    created_at           BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX cluster_last ON cluster (workspace_id, last_observation_at);
CREATE INDEX cluster_status ON cluster (workspace_id, status);

CREATE TABLE actor_identity (
    org_id             BIGINT NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
    source             TEXT NOT NULL,
    source_id          TEXT NOT NULL,
    canonical_actor_id TEXT NOT NULL,
    source_username    TEXT,
    source_email       TEXT,
    avatar_url         TEXT,
    is_bot             INTEGER NOT NULL DEFAULT 0,
    provisional        INTEGER NOT NULL DEFAULT 0,
    mapping_method     TEXT NOT NULL,
    confidence_score   {real} NOT NULL,
    mapped_by          TEXT,
    mapped_at          BIGINT NOT NULL,
    PRIMARY KEY (org_id, source, source_id)
){clustered};
CREATE INDEX actor_identity_canonical ON actor_identity (org_id, canonical_actor_id);
CREATE INDEX actor_identity_username ON actor_identity (org_id, source_username);
CREATE INDEX actor_identity_email ON actor_identity (org_id, source_email);

CREATE TABLE actor_profile (
    workspace_id        BIGINT NOT NULL,
    actor_id            TEXT NOT NULL,      -- canonical
    xid                 TEXT NOT NULL,
    display_name        TEXT,
    email               TEXT,
    observation_count   BIGINT NOT NULL DEFAULT 0,
    first_active_at     BIGINT,
    last_active_at      BIGINT,
    contribution_counts TEXT NOT NULL DEFAULT '{}',
    expertise_domains   TEXT NOT NULL DEFAULT '[]', -- [{"topic", "weight"}], best first
    profile_confidence  {real} NOT NULL DEFAULT 0,
    is_bot              INTEGER NOT NULL DEFAULT 0,
    dirty               INTEGER NOT NULL DEFAULT 1, -- observations changed since the last computation
    updated_at          BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, actor_id)
){clustered};
CREATE INDEX actor_profile_active ON actor_profile (workspace_id, last_active_at);
CREATE INDEX actor_profile_dirty ON actor_profile (workspace_id, dirty);

-- Names under which an actor is found, case and accents folded. kind: full (display name), username, email, word.
CREATE TABLE actor_name (
    workspace_id BIGINT NOT NULL,
    name         TEXT NOT NULL,
    kind         TEXT NOT NULL,
    actor_id     TEXT NOT NULL,
    PRIMARY KEY (workspace_id, name, kind, actor_id)
){clustered};
CREATE INDEX actor_name_actor ON actor_name (workspace_id, actor_id);

CREATE TABLE commit_author (
    org_id             BIGINT NOT NULL,
    sha                TEXT NOT NULL,
    canonical_actor_id TEXT,
    login              TEXT,
    observed_at        BIGINT NOT NULL,
    PRIMARY KEY (org_id, sha)
){clustered};

CREATE TABLE temporal_state (
    workspace_id          BIGINT NOT NULL,
    entity_type           TEXT NOT NULL, -- project, feature, service, sprint, issue, pr
    entity_id             TEXT NOT NULL,
    state_type            TEXT NOT NULL, -- status, progress, health, risk, priority, assignee
    valid_from            BIGINT NOT NULL,
    id                    BIGINT NOT NULL,
    entity_name           TEXT,
    state_value           TEXT NOT NULL,
    previous_value        TEXT,
    state_metadata        TEXT NOT NULL DEFAULT '{}',
    valid_to              BIGINT,
    is_current            INTEGER NOT NULL,
    changed_by_actor_id   TEXT,
    change_reason         TEXT,
    source_observation_id BIGINT,
    source                TEXT NOT NULL,
    PRIMARY KEY (workspace_id, entity_type, entity_id, state_type, valid_from)
){clustered};
CREATE INDEX temporal_state_current ON temporal_state (workspace_id, entity_type, is_current);
