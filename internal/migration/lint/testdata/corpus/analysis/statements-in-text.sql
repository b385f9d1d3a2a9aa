-- +goose Up
INSERT INTO notes (text) VALUES ('DROP TABLE users; -- not really'), (E'it\'s; fine'), ($q$DELETE FROM users;$q$);
COMMENT ON TABLE notes IS 'ALTER TABLE x DROP COLUMN y;';
