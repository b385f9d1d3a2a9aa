CREATE TABLE orders_new (LIKE orders INCLUDING ALL);
ALTER TABLE orders_new ALTER COLUMN id TYPE bigint;
CREATE INDEX orders_new_x ON orders_new (x);
