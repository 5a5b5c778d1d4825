-- The workflow engine: events, runs (a run is a job), steps, waits. Engine tables: workspace 0 is the instance itself.

CREATE TABLE flow_event (
    seq          {rowid},            -- order of acceptance
    workspace_id BIGINT NOT NULL,
    id           TEXT NOT NULL,      -- the sender's, else evt_...
    name         TEXT NOT NULL,
    data         TEXT NOT NULL,
    ts           BIGINT NOT NULL,
    received_at  BIGINT NOT NULL,
    cause        INTEGER NOT NULL DEFAULT 0, -- enum flow_cause
    caused_by    TEXT,
    parent_run   BIGINT,
    awaited      INTEGER NOT NULL DEFAULT 0, -- some function may wait for this name
    pending      INTEGER NOT NULL DEFAULT 0  -- 1: accepted, not dispatched yet
);
CREATE UNIQUE INDEX flow_event_id ON flow_event (workspace_id, id, name);
CREATE INDEX flow_event_awaited ON flow_event (workspace_id, name, seq) WHERE awaited = 1;
CREATE INDEX flow_event_pending ON flow_event (seq) WHERE pending = 1;

CREATE TABLE flow_run (
    id              {rowid},
    xid             TEXT NOT NULL,      -- 21 characters: job_..., and run_... until it continues
    run_xid         TEXT,               -- of the last continuation
    workspace_id    BIGINT NOT NULL,
    function        TEXT NOT NULL,
    status          TEXT NOT NULL,      -- queued, running, waiting, completed, failed, cancelled
    title           TEXT,
    source          TEXT,               -- sourceId of the job
    cause           INTEGER NOT NULL,
    caused_by       TEXT,
    event_seq       BIGINT,             -- the (first, or after a debounce the last) event
    event_count     BIGINT NOT NULL DEFAULT 1,
    event_name      TEXT,               -- with data: instead of the stored event's (cron, invoke, merged, restarted)
    data            TEXT,
    replay_of       BIGINT,
    parent_run      BIGINT,
    parent_step     TEXT,               -- the invoke step that waits for this run
    queued          INTEGER NOT NULL,   -- 1: may be claimed now
    ready           BIGINT NOT NULL,    -- order in the queue: due time minus advantage
    advantage       BIGINT NOT NULL DEFAULT 0, -- ms, from the function's priority
    wake_at         BIGINT,             -- sleep, retry, timeout, debounce, batch: queued then
    owner           BIGINT,             -- flow_worker that executes it
    epoch           BIGINT NOT NULL DEFAULT 0, -- raised by every claim: a lost lease can record nothing
    lane            TEXT NOT NULL DEFAULT '',  -- value of the first concurrency key
    second_lane     TEXT,
    holds           INTEGER NOT NULL DEFAULT 0, -- 1: occupies its slots
    gather_key      TEXT,               -- open for further events: debounce, batch, coalesce
    gather_until    BIGINT,
    gather_bytes    BIGINT NOT NULL DEFAULT 0,
    idempotency_key TEXT,
    failures        BIGINT NOT NULL DEFAULT 0, -- of errors between steps
    crashes         BIGINT NOT NULL DEFAULT 0, -- since the last recorded step
    begun           INTEGER NOT NULL DEFAULT 0, -- of a run that has seen a crash: 1 while its handler executes
    steps           BIGINT NOT NULL DEFAULT 0, -- rows in flow_step
    armed           INTEGER NOT NULL DEFAULT 0, -- 1: may have rows in flow_wait
    cancel_reason   TEXT,               -- asked for while executing
    state           TEXT,               -- of a continuation
    wait_after      BIGINT,             -- waits see events of later seq
    progress        TEXT,
    input           TEXT,
    output          TEXT,
    error           TEXT,
    created_at      BIGINT NOT NULL,
    started_at      BIGINT,
    finish_at       BIGINT,
    completed_at    BIGINT,
    updated_at      BIGINT NOT NULL
);
CREATE UNIQUE INDEX flow_run_xid ON flow_run (xid);
CREATE INDEX flow_run_workspace ON flow_run (workspace_id, id);
CREATE UNIQUE INDEX flow_run_once ON flow_run (event_seq, function) WHERE event_seq IS NOT NULL AND replay_of IS NULL;
CREATE INDEX flow_run_replay ON flow_run (event_seq) WHERE event_seq IS NOT NULL AND replay_of IS NOT NULL;
CREATE INDEX flow_run_ready ON flow_run (workspace_id, function, lane, ready, id) WHERE queued = 1;
CREATE INDEX flow_run_wake ON flow_run (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX flow_run_owner ON flow_run (owner) WHERE owner IS NOT NULL;
CREATE INDEX flow_run_slots ON flow_run (function, lane) WHERE holds = 1;
CREATE INDEX flow_run_second_slots ON flow_run (function, second_lane) WHERE holds = 1 AND second_lane IS NOT NULL;
CREATE UNIQUE INDEX flow_run_gather ON flow_run (workspace_id, function, gather_key) WHERE gather_key IS NOT NULL;
CREATE UNIQUE INDEX flow_run_idempotency ON flow_run (workspace_id, function, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX flow_run_parent ON flow_run (parent_run) WHERE parent_run IS NOT NULL;

-- The events of a run that has more than one.
CREATE TABLE flow_run_event (
    run_id    BIGINT NOT NULL,
    event_seq BIGINT NOT NULL,
    PRIMARY KEY (run_id, event_seq)
){clustered};

CREATE INDEX flow_run_event_seq ON flow_run_event (event_seq);

-- What became of an event at a function, unless it became a run of its own (flow_run.event_seq).
CREATE TABLE flow_outcome (
    event_seq BIGINT NOT NULL,
    function  TEXT NOT NULL,
    outcome   TEXT NOT NULL, -- idempotent, debounced, batched, coalesced, filtered
    run_id    BIGINT,
    PRIMARY KEY (event_seq, function)
){clustered};

CREATE TABLE flow_step (
    run_id     BIGINT NOT NULL,
    step       TEXT NOT NULL,
    position   BIGINT NOT NULL,     -- order of the first record
    op         TEXT NOT NULL,       -- run, send, wait, invoke, sleep, value
    status     TEXT NOT NULL,       -- waiting, retrying, completed, failed
    result     TEXT,
    error      TEXT,
    error_code INTEGER,
    attempts   BIGINT NOT NULL DEFAULT 0, -- failed ones
    limited_ms BIGINT NOT NULL DEFAULT 0, -- waited for a provider's rate limit
    due_at     BIGINT,              -- sleep, retry, timeout
    event_seq  BIGINT,              -- what a wait returned
    notes      TEXT,                -- what the step's function attached for the timeline
    started_at BIGINT NOT NULL,
    ended_at   BIGINT,
    PRIMARY KEY (run_id, step)
){clustered};

-- Attempts that did not succeed.
CREATE TABLE flow_attempt (
    run_id   BIGINT NOT NULL,
    step     TEXT NOT NULL, -- '': between steps
    number   BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    kind     TEXT NOT NULL, -- error, rate_limited, crash
    error    TEXT NOT NULL,
    owner    BIGINT,
    PRIMARY KEY (run_id, step, number)
){clustered};

-- Events that a run waits for, or that cancel it.
CREATE TABLE flow_wait (
    run_id       BIGINT NOT NULL,
    step         TEXT NOT NULL,  -- of a cancellation: '#' and its position in the function's list
    workspace_id BIGINT NOT NULL,
    event        TEXT NOT NULL,
    value        TEXT NOT NULL,  -- "path=text": what the event's field must equal; "=": the condition decides alone
    condition    TEXT,
    PRIMARY KEY (run_id, step)
){clustered};
CREATE INDEX flow_wait_event ON flow_wait (workspace_id, event, value);

CREATE TABLE flow_cron (
    function  TEXT NOT NULL PRIMARY KEY,
    last_tick BIGINT NOT NULL
);

CREATE TABLE flow_pause (
    function  TEXT NOT NULL PRIMARY KEY,
    paused_at BIGINT NOT NULL
);

-- One row for each running process: the lease of all it executes.
CREATE TABLE flow_worker (
    id          {rowid},
    boot        TEXT NOT NULL UNIQUE,
    lease_until BIGINT NOT NULL,
    started_at  BIGINT NOT NULL
);
