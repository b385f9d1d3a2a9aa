-- corpus: errors constraint-builds-index
-- +goose Up
ALTER TABLE users ADD UNIQUE (tenant_id, email);
