-- corpus: errors concurrently-in-transaction
-- +goose Up
CREATE INDEX CONCURRENTLY logs_at ON logs (at);
-- +goose Down
DROP INDEX logs_at;
