-- +goose Up
CREATE TABLE a (b int);
CREATE INDEX ON a (b);
ALTER TABLE a RENAME TO c;
DROP INDEX a_b_idx;
