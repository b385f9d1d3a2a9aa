-- corpus: warnings extension-update
-- +goose Up
ALTER EXTENSION postgis UPDATE TO '3.5';
