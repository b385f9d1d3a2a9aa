ALTER TABLE users ADD CONSTRAINT status_v2 CHECK (status IN ('a','b','c')) NOT VALID;
ALTER TABLE users DROP CONSTRAINT status_v1;
