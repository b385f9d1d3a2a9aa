-- +goose Up
CREATE VIEW people AS SELECT id, name AS full_name FROM users;
GRANT SELECT ON people TO app;
