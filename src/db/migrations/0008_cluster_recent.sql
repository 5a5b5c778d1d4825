-- The clusters that an observation may join are read by their last observation, from this index alone.
DROP INDEX cluster_last;
CREATE INDEX cluster_recent ON cluster
    (workspace_id, last_observation_at, id, first_observation_at, observation_count, status);
