-- corpus: errors drop-table
-- +goose Up
-- +goose StatementBegin
DO $$ BEGIN EXECUTE 'DROP TABLE legacy'; END $$;
-- +goose StatementEnd
