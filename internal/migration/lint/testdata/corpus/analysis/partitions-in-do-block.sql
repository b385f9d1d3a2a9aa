-- +goose Up
-- +goose StatementBegin
DO $$
BEGIN
    FOR m IN 1..12 LOOP
        EXECUTE format('CREATE TABLE measurements_%s PARTITION OF measurements FOR VALUES FROM (%L) TO (%L)', m, m, m + 1);
    END LOOP;
END
$$;
-- +goose StatementEnd
