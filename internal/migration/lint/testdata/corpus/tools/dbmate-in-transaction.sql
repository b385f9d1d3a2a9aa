-- corpus: errors concurrently-in-transaction
-- migrate:up
CREATE INDEX CONCURRENTLY a_idx ON orders (a);

-- migrate:down
DROP INDEX a_idx;
