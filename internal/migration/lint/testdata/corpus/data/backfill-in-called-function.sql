-- corpus: errors write-whole-table
-- +goose Up
-- +goose StatementBegin
CREATE FUNCTION fill_countries() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE users SET country = 'DE' WHERE country IS NULL;
END
$$;
-- +goose StatementEnd
SELECT fill_countries();
DROP FUNCTION fill_countries();
