-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY measurements_2026_id_idx ON measurements_2026 (id);
