-- corpus: errors foreign-key-scans
ALTER TABLE items DROP CONSTRAINT items_order_fk;
ALTER TABLE items ADD CONSTRAINT items_order_fk FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE;
