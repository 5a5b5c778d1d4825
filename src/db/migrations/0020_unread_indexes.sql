-- Indexes that no query reads; each row of their tables paid for them.
DROP INDEX observation_type;
DROP INDEX relationship_key;
DROP INDEX temporal_state_current;
DROP INDEX entity_seen;
