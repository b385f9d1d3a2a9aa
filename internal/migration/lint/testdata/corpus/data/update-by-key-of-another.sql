-- corpus: errors write-whole-table
UPDATE orders SET state = 'archived' WHERE tenant_id = 42;
UPDATE addresses SET valid = false WHERE country_code = 'DE';
