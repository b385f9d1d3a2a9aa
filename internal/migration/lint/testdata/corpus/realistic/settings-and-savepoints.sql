SET search_path TO app, public;
SHOW lock_timeout;
SELECT 1;
NOTIFY migrated, 'x';
SAVEPOINT a;
RELEASE a;
