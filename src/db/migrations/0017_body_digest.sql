-- The signature that was verified is a digest of the body: deliveries are known again by it. Those from before this have the
-- SHA-256 of their bodies.
ALTER TABLE inbound_delivery RENAME COLUMN body_sha256 TO body_digest;
