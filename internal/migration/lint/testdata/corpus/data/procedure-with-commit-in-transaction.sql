-- corpus: errors concurrently-in-transaction
-- +goose Up
-- +goose StatementBegin
CREATE PROCEDURE fill_countries() LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        UPDATE users SET country = 'DE' WHERE id IN (SELECT id FROM users WHERE country IS NULL LIMIT 1000);
        EXIT WHEN NOT FOUND;
        COMMIT;
    END LOOP;
END
$$;
-- +goose StatementEnd
CALL fill_countries();
