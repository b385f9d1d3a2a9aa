-- corpus: errors write-whole-table
DELETE FROM logs l WHERE l.level = 'debug';
