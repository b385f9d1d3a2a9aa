-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION tidy(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN trim(t); END $$;
-- +goose StatementEnd
UPDATE settings SET value = tidy(value) WHERE key = 'title';
DROP FUNCTION tidy(text);
