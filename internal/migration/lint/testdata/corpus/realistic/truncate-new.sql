CREATE TABLE stage (a int);
TRUNCATE stage;
INSERT INTO stage SELECT a FROM big WHERE id < 100;
