-- atlas:txmode none

CREATE INDEX CONCURRENTLY a_idx ON orders (a);
