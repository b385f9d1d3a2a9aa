-- corpus: errors index-blocks-writes
-- +goose Up
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('CREATE INDEX %I ON %I (created_at)', 'a_idx', 'a');
END
$$;
-- +goose StatementEnd
