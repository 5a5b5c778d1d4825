-- What workspaces were called before: an old name leads to its workspace until another one takes it.

CREATE TABLE workspace_former_name (
    org_id       BIGINT NOT NULL REFERENCES organization (id),
    name_norm    TEXT NOT NULL, -- lower case
    workspace_id BIGINT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    PRIMARY KEY (org_id, name_norm)
);
