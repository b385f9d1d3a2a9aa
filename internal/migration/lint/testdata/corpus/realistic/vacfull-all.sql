-- corpus: errors table-rewrite
VACUUM FULL;
