-- +goose Up
CREATE TABLE a (b int);
CREATE INDEX a_b ON a (b);
DROP INDEX a_b;
