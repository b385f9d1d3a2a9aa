-- +goose Up
-- What the service needs. Where an earlier version made the table by itself, it stays as it is.
CREATE TABLE IF NOT EXISTS records (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      text        NOT NULL,
    payload     jsonb       NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    -- Versions before 1.1 wrote the number of the payload's format here. Nothing reads it since.
    format      smallint    NOT NULL DEFAULT 1
);

-- New, and no version needs it yet: adding it changes no row, and older versions do not see it.
ALTER TABLE records ADD COLUMN IF NOT EXISTS region text NOT NULL DEFAULT 'unknown';
