-- corpus: errors write-whole-table
UPDATE orders SET status = 'archived' WHERE status = 'done';
