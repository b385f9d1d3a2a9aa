-- corpus: errors backfill-under-lock not-null-scans write-whole-table
-- heavy ddl then backfill then not null
BEGIN;
ALTER TABLE users ADD COLUMN tier text;
UPDATE users SET tier = 'free';
ALTER TABLE users ALTER COLUMN tier SET NOT NULL;
COMMIT;
