-- +goose NO TRANSACTION
-- +goose Up
CREATE INDEX CONCURRENTLY measurements_id_idx ON measurements (id);
