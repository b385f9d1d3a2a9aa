ALTER TABLE widgets ADD COLUMN color text;

---- create above / drop below ----

DROP TABLE widgets;
