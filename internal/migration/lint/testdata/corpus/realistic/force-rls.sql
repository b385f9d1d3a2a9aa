-- corpus: errors row-security
ALTER TABLE t1 FORCE ROW LEVEL SECURITY;
