-- corpus: warnings rule-on-table
-- +goose Up
CREATE RULE no_delete AS ON DELETE TO orders DO INSTEAD NOTHING;
