-- Job lists of a million rows: which functions are hidden, and the ended runs by status.

CREATE TABLE flow_function (
    name   TEXT NOT NULL PRIMARY KEY,
    system INTEGER NOT NULL -- 1: its jobs are hidden from lists unless asked for
);

-- Once ended a run hardly changes: one entry for each. Live ones are few and have indexes for each way of being so.
CREATE INDEX flow_run_ended ON flow_run (workspace_id, status, id, function) WHERE completed_at IS NOT NULL;

-- Forgotten by workspace, for each has periods of its own.
DROP INDEX activity_age;
