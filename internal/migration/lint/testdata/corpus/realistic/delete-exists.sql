-- corpus: errors write-whole-table
DELETE FROM items i WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.id = i.order_id);
