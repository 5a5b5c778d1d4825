-- What a delivery is known again by, as numbers: an index of them is a quarter of one of texts, and of what is written for
-- a delivery most are pages of such indexes.
ALTER TABLE inbound_delivery ADD COLUMN id_key BIGINT;   -- hash of its id; which one it is the row itself tells
ALTER TABLE inbound_delivery ADD COLUMN body_key BIGINT; -- hash of event and body
DROP INDEX inbound_delivery_id;
DROP INDEX inbound_delivery_body;
CREATE INDEX inbound_delivery_id_key ON inbound_delivery (id_key) WHERE id_key IS NOT NULL;
CREATE INDEX inbound_delivery_body_key ON inbound_delivery (body_key) WHERE body_key IS NOT NULL;

-- A payload belongs to its delivery.
ALTER TABLE ingestion_payload ADD COLUMN delivery BIGINT;
UPDATE ingestion_payload SET delivery = (SELECT MIN(d.id) FROM inbound_delivery d
    WHERE d.source = ingestion_payload.source AND d.delivery_id = ingestion_payload.delivery_id);
DROP INDEX ingestion_payload_delivery;
CREATE INDEX ingestion_payload_delivery ON ingestion_payload (delivery, workspace_id);
