-- corpus: errors drop-object
DROP TRIGGER audit ON users;
