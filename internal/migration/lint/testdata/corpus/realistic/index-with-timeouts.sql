-- corpus: warnings concurrently-if-not-exists
SET statement_timeout = 0;
SET lock_timeout = '1s';
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_orders_created_at ON orders (created_at DESC);
