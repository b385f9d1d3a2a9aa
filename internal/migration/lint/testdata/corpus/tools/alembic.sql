BEGIN;

-- Running upgrade 3f2a1b -> 9c8d7e

ALTER TABLE accounts ADD COLUMN last_seen TIMESTAMP WITH TIME ZONE;

UPDATE alembic_version SET version_num='9c8d7e' WHERE alembic_version.version_num = '3f2a1b';

COMMIT;
