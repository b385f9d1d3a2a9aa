-- +goose NO TRANSACTION
-- +goose Up
-- +goose StatementBegin
DO $$
DECLARE
    last bigint := 0;
    top bigint;
BEGIN
    SELECT max(id) INTO top FROM users;
    WHILE last < top LOOP
        UPDATE users SET country = 'DE' WHERE id > last AND id <= last + 1000 AND country IS NULL;
        last := last + 1000;
        COMMIT;
    END LOOP;
END
$$;
-- +goose StatementEnd
