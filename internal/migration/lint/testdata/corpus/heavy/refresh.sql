-- corpus: errors refresh-blocks-reads
-- +goose Up
REFRESH MATERIALIZED VIEW sales_by_day;
