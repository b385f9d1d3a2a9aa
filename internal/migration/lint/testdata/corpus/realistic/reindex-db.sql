-- corpus: errors reindex-blocks
REINDEX DATABASE app;
