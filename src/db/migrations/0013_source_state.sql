-- What lists of sources show besides.
ALTER TABLE source ADD COLUMN document_count BIGINT NOT NULL DEFAULT 0;
ALTER TABLE source ADD COLUMN last_sync_error TEXT;
