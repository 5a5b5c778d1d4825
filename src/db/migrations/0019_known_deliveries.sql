-- Deliveries are known again by random numbers, and an index of these is a page to write for each. So the numbers are put
-- into a table of their own thousands at a time, in order (source/seen.c); up to which delivery, this row tells.
CREATE TABLE inbound_delivery_key (
    key      BIGINT NOT NULL, -- id_key or body_key
    delivery BIGINT NOT NULL,
    PRIMARY KEY (key, delivery)
){clustered};
CREATE TABLE inbound_delivery_keyed (up_to BIGINT NOT NULL);
INSERT INTO inbound_delivery_keyed (up_to) SELECT COALESCE(MAX(id), 0) FROM inbound_delivery;
INSERT INTO inbound_delivery_key (key, delivery)
    SELECT id_key, id FROM inbound_delivery WHERE id_key IS NOT NULL
    UNION SELECT body_key, id FROM inbound_delivery WHERE body_key IS NOT NULL;
DROP INDEX inbound_delivery_id_key;
DROP INDEX inbound_delivery_body_key;
