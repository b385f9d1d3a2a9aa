-- +goose Up
INSERT INTO roles (name) VALUES ('auditor') ON CONFLICT DO NOTHING;
INSERT INTO roles (name) SELECT 'reader' WHERE NOT EXISTS (SELECT 1 FROM roles WHERE name = 'reader');
