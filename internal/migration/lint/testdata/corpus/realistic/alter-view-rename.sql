-- corpus: errors rename
ALTER VIEW v RENAME TO w;
