-- What providers tell about more than one event: installations of the app, pull requests and issues, teams of projects.

-- The app's own installations: of the instance, not of a workspace.
CREATE TABLE github_installation (
    id                   TEXT NOT NULL PRIMARY KEY, -- the provider's
    account_id           TEXT,
    account_login        TEXT,
    account_type         TEXT,
    permissions          TEXT NOT NULL DEFAULT '{}',
    events               TEXT NOT NULL DEFAULT '[]',
    repository_selection TEXT,
    suspended_at         BIGINT,
    updated_at           BIGINT NOT NULL -- by the provider's clock
);

-- The newest state of a pull request or issue that events have shown.
CREATE TABLE github_item (
    workspace_id         BIGINT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    repo                 TEXT NOT NULL,   -- as in source ids: the name at link time
    number               BIGINT NOT NULL,
    kind                 TEXT NOT NULL,   -- pull_request, issue
    title                TEXT,
    url                  TEXT,
    state                TEXT,
    draft                INTEGER,
    labels               TEXT,            -- JSON lists of names
    assignees            TEXT,
    requested_reviewers  TEXT,
    milestone            TEXT,            -- '': none
    linked_issues        TEXT,            -- JSON [{id, label, url}]
    coauthors            TEXT,            -- JSON [{name, email, login}]
    author_id            TEXT,
    author_login         TEXT,
    comment_count        BIGINT,
    review_comment_count BIGINT,
    created_at           BIGINT,
    updated_at           BIGINT NOT NULL, -- by the provider's clock: what is older changes nothing
    closed_at            BIGINT,
    merged_at            BIGINT,
    PRIMARY KEY (workspace_id, repo, number)
){clustered};

-- Each reviewer's last verdict.
CREATE TABLE github_verdict (
    workspace_id BIGINT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    repo         TEXT NOT NULL,
    number       BIGINT NOT NULL,
    login        TEXT NOT NULL,
    state        TEXT NOT NULL, -- approved, changes_requested, commented, dismissed
    given_at     BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, repo, number, login)
){clustered};

-- Teams last seen for a project: updates of projects name none.
CREATE TABLE linear_project_team (
    workspace_id BIGINT NOT NULL REFERENCES workspace (id) ON DELETE CASCADE,
    project_id   TEXT NOT NULL,
    team_id      TEXT NOT NULL,
    PRIMARY KEY (workspace_id, project_id, team_id)
){clustered};
