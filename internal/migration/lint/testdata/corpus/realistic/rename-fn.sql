-- corpus: errors rename
ALTER FUNCTION f(int) RENAME TO g;
