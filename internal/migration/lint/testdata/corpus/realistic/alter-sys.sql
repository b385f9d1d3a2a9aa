-- corpus: errors access-change
ALTER SYSTEM SET work_mem = '64MB';
