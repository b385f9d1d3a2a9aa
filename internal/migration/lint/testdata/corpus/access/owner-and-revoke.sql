-- corpus: errors access-change
-- +goose Up
ALTER TABLE users OWNER TO admin;
REVOKE SELECT ON users FROM app;
