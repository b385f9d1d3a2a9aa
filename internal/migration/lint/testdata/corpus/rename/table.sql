-- corpus: errors rename
ALTER TABLE users RENAME TO people;
