-- +goose Up
DROP TABLE a;
CREATE TABLE a (b int, c int);
CREATE INDEX a_c ON a (c);
