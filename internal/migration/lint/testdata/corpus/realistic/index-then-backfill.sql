-- corpus: errors backfill-under-lock write-whole-table
BEGIN;
ALTER TABLE orders ADD CONSTRAINT c CHECK (a > 0) NOT VALID;
UPDATE order_items SET x = o.y FROM orders o WHERE o.id = order_items.order_id;
COMMIT;
