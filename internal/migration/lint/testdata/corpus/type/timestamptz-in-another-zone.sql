-- corpus: errors type-change
SET timezone TO 'Europe/Berlin';
ALTER TABLE events ALTER COLUMN at TYPE timestamptz;
