-- corpus: errors index-blocks-writes
-- +goose Up
CREATE UNIQUE INDEX IF NOT EXISTS users_email_key ON public.users (lower(email));
