-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION fallback_code() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'none'; $$;
-- +goose StatementEnd
ALTER TABLE users ADD COLUMN code text DEFAULT fallback_code();
