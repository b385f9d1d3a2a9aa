-- corpus: warnings not-analyzed
-- +goose Up
-- +goose StatementBegin
DO $$
DECLARE
    t text;
BEGIN
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE 'ALTER TABLE ' || quote_ident(t) || ' ADD COLUMN tenant text';
    END LOOP;
END
$$;
-- +goose StatementEnd
