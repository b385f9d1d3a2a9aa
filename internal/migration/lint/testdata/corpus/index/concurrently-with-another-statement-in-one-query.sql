-- corpus: errors concurrently-in-transaction
-- +goose NO TRANSACTION
-- +goose Up
-- +goose StatementBegin
CREATE INDEX CONCURRENTLY a_idx ON orders (a);
ANALYZE orders;
-- +goose StatementEnd
