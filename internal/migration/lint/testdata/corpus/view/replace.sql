-- +goose Up
CREATE OR REPLACE VIEW active_users AS SELECT id, name, country FROM users WHERE active;
CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM orders WITH NO DATA;
REFRESH MATERIALIZED VIEW totals;
