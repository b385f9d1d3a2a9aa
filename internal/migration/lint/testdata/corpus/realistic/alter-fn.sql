ALTER FUNCTION f(int) SET search_path = pg_catalog;
