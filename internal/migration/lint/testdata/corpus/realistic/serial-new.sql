CREATE TABLE t2 (id serial, a json);
