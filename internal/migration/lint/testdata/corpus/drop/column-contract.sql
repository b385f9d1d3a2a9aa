-- +goose Up
-- slipway:kind contract
ALTER TABLE users DROP COLUMN legacy_name;
DROP TRIGGER users_sync ON users;
DROP FUNCTION users_sync_name();
