-- corpus: errors index-blocks-writes
CREATE INDEX ON logs (at);
