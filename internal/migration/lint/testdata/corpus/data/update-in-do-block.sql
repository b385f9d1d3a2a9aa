-- corpus: errors write-whole-table
-- +goose Up
-- +goose StatementBegin
DO $$ BEGIN UPDATE users SET active = false WHERE seen_at < now() - interval '1 year'; END $$;
-- +goose StatementEnd
