CREATE TABLE r (id int, p tstzrange, PRIMARY KEY (id, p WITHOUT OVERLAPS));
