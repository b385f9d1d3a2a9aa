-- corpus: errors default-rewrites
-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION short_code() RETURNS text LANGUAGE sql AS $$ SELECT substr(md5(random()::text), 1, 8); $$;
-- +goose StatementEnd
ALTER TABLE users ADD COLUMN code text DEFAULT short_code();
