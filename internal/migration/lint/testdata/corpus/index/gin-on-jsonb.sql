-- corpus: errors index-blocks-writes
SET lock_timeout = '5s';
SET statement_timeout = '30s';
CREATE INDEX events_payload_idx ON events USING gin (payload jsonb_path_ops);
