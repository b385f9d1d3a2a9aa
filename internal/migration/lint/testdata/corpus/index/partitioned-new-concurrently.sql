-- corpus: errors concurrently-on-partitioned
CREATE TABLE logs (id bigint, at timestamptz) PARTITION BY RANGE (at);
CREATE INDEX CONCURRENTLY logs_at ON logs (at);
