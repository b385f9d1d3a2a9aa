-- +goose NO TRANSACTION
-- +goose Up
-- Built while records are written. The runner removes what a failed build leaves, and builds again.
CREATE INDEX CONCURRENTLY records_source_received_at ON records (source, received_at DESC);
