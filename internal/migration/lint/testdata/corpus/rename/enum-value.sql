-- corpus: errors rename
-- +goose Up
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';
