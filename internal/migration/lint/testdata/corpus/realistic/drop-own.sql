-- corpus: errors access-change
DROP OWNED BY app;
