-- corpus: errors write-whole-table
UPDATE orders SET total = CASE WHEN total IS NULL THEN 0 ELSE total END;
