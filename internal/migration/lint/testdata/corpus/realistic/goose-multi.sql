-- corpus: errors backfill-under-lock write-whole-table
-- +goose Up
-- +goose StatementBegin
ALTER TABLE users ADD COLUMN a text;
UPDATE users SET a = 'x';
-- +goose StatementEnd
