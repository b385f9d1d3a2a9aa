-- corpus: errors check-scans
-- +goose Up
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conname = 'total_positive') THEN
        ALTER TABLE orders ADD CONSTRAINT total_positive CHECK (total >= 0);
    END IF;
END
$$;
-- +goose StatementEnd
