-- +goose Up
-- +goose StatementBegin
DO $$
BEGIN
    ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total >= 0) NOT VALID;
EXCEPTION WHEN duplicate_object THEN
    NULL;
END
$$;
-- +goose StatementEnd
