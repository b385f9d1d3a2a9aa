-- corpus: errors concurrently-in-transaction
BEGIN WORK;
DROP INDEX CONCURRENTLY IF EXISTS a;
COMMIT WORK;
