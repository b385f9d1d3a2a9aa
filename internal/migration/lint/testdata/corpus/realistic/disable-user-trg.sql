-- corpus: errors trigger-disabled
ALTER TABLE t1 DISABLE TRIGGER USER;
