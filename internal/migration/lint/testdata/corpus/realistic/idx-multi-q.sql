-- corpus: errors concurrently-in-transaction
CREATE INDEX CONCURRENTLY a ON t (a); BEGIN; CREATE INDEX CONCURRENTLY b ON t (b); COMMIT;
