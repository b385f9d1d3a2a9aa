BEGIN;
CREATE TEMP TABLE load (id bigint, v text) ON COMMIT DROP;
INSERT INTO load VALUES (1, 'a'), (2, 'b');
UPDATE users u SET v = l.v FROM load l WHERE u.id = l.id;
COMMIT;
