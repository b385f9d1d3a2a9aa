\set schema app
ALTER TABLE :"schema".users ADD COLUMN score int DEFAULT :score;
ALTER TABLE ${schema}.users ADD COLUMN level int;
GRANT SELECT ON {{ schema }}.users TO :reader;
SELECT list[1:2], '2027-01-01'::date FROM settings;
