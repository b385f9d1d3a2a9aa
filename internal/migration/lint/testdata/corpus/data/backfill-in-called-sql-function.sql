-- corpus: errors write-whole-table
CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS $$ UPDATE users SET score = 1; $$;
SELECT fill();
