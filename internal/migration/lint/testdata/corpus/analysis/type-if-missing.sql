-- +goose Up
-- +goose StatementBegin
DO $$ BEGIN
    CREATE TYPE "Role" AS ENUM ('USER', 'ADMIN');
EXCEPTION
    WHEN duplicate_object THEN null;
END $$;
-- +goose StatementEnd
