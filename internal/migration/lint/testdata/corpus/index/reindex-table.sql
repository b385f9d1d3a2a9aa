-- corpus: errors reindex-blocks
REINDEX TABLE orders;
