-- corpus: errors explicit-lock
BEGIN;
LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE NOWAIT;
COMMIT;
