-- corpus: errors write-whole-table backfill-under-lock
ALTER TABLE orders ADD COLUMN region text;
UPDATE orders SET region = 'eu' WHERE region IS NULL;
