-- corpus: errors drop-table
DROP TABLE legacy_orders CASCADE;
