-- +goose Up
CREATE TYPE mood AS ENUM ('happy');
ALTER TYPE mood ADD VALUE 'calm';
CREATE TABLE people (mood mood DEFAULT 'happy');
