-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION purge() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM sessions;
    DROP TABLE IF EXISTS scratch;
END;
$$;
-- +goose StatementEnd
CREATE OR REPLACE PROCEDURE noop() LANGUAGE sql BEGIN ATOMIC SELECT 1; END;
