-- corpus: errors concurrently-in-transaction
-- +goose Up
VACUUM orders;
