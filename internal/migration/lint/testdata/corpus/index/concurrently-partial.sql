-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY jobs_waiting_idx ON jobs (queue, priority DESC) INCLUDE (payload) WHERE finished_at IS NULL;
