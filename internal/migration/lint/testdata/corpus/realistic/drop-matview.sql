-- corpus: errors drop-object
DROP MATERIALIZED VIEW IF EXISTS sales;
