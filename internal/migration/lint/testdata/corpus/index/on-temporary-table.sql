-- +goose Up
CREATE TEMPORARY TABLE picked (id bigint);
CREATE INDEX ON picked (id);
