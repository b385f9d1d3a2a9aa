-- corpus: errors rename
ALTER TYPE mood RENAME TO feeling;
