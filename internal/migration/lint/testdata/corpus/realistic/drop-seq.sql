-- corpus: errors drop-object
DROP SEQUENCE IF EXISTS s CASCADE;
