CREATE TABLE a_new (id int);
INSERT INTO a_new SELECT generate_series(1, 100);
INSERT INTO users (id) SELECT id FROM a_new;
