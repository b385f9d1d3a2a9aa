-- corpus: errors index-blocks-writes
CREATE INDEX logs_at_brin ON logs USING brin (at);
