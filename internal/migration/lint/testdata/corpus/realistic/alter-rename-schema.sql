-- corpus: errors rename
ALTER SCHEMA app RENAME TO app2;
