-- corpus: errors write-whole-table
-- corpus: postgres 16
-- +goose Up
MERGE INTO stock s USING deliveries d ON s.id = d.stock_id WHEN MATCHED THEN UPDATE SET n = s.n + d.n WHEN NOT MATCHED THEN INSERT VALUES (d.stock_id, d.n);
