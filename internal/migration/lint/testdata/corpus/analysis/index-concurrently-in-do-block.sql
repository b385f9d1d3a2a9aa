-- corpus: errors concurrently-in-transaction
-- +goose Up
-- +goose StatementBegin
DO $$ BEGIN EXECUTE 'CREATE INDEX CONCURRENTLY a_b ON a (b)'; END $$;
-- +goose StatementEnd
