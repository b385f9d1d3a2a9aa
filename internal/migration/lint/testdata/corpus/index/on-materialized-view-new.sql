-- +goose Up
CREATE MATERIALIZED VIEW sales_by_day AS SELECT date_trunc('day', created_at) AS day, sum(total) AS total FROM orders GROUP BY 1;
CREATE UNIQUE INDEX sales_by_day_day ON sales_by_day (day);
