-- corpus: errors type-change
-- corpus: history
-- +goose Up
CREATE TABLE users (id bigint PRIMARY KEY, state text);
CREATE TYPE user_state AS ENUM ('on', 'off');
