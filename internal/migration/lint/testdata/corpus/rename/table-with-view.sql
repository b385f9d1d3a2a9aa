-- corpus: warnings rename
-- +goose Up
ALTER TABLE users RENAME TO people;
CREATE VIEW users AS SELECT * FROM people;
