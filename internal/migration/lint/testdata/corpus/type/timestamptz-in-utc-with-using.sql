-- corpus: errors type-change
SET TIME ZONE 'UTC';
ALTER TABLE events ALTER COLUMN at TYPE timestamptz USING at AT TIME ZONE 'UTC';
