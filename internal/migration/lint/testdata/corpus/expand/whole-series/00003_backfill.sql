-- +goose NO TRANSACTION
-- +goose Up
-- +goose StatementBegin
DO $$
DECLARE
    changed bigint;
BEGIN
    LOOP
        UPDATE orders SET total_cents = total * 100
        WHERE id IN (SELECT id FROM orders WHERE total_cents IS NULL LIMIT 5000);
        GET DIAGNOSTICS changed = ROW_COUNT;
        EXIT WHEN changed = 0;
        COMMIT;
    END LOOP;
END
$$;
-- +goose StatementEnd
