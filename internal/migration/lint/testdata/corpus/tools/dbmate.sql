-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY a_idx ON orders (a);

-- migrate:down
DROP INDEX a_idx;
