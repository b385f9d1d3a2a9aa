-- corpus: errors write-whole-table backfill-under-lock
BEGIN;
ALTER TABLE users ADD COLUMN orders_count int;
DELETE FROM carts WHERE updated_at < '2024-01-01';
COMMIT;
