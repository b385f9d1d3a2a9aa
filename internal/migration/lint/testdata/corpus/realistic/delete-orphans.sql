-- corpus: errors write-whole-table
DELETE FROM items WHERE order_id NOT IN (SELECT id FROM orders);
