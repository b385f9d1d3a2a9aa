-- corpus: warnings lock-timeout-off
-- +goose Up
SET lock_timeout = 0;
ALTER TABLE users ADD COLUMN a int;
