-- Which events wait to be dispatched, apart from the events: dispatching one does not write its row, with all its data,
-- once more. flow_event.pending is no longer used; to drop it would rewrite the table.
CREATE TABLE flow_pending (
    event_seq BIGINT NOT NULL PRIMARY KEY
){clustered};
INSERT INTO flow_pending (event_seq) SELECT seq FROM flow_event WHERE pending = 1;
DROP INDEX flow_event_pending;
