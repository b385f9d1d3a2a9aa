-- corpus: errors write-whole-table
UPDATE orders SET status = 'archived' WHERE tenant_id = 42;
