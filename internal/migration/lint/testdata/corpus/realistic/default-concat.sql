ALTER TABLE orders ADD COLUMN tags text NOT NULL DEFAULT 'a' || 'b', ADD COLUMN t timestamptz DEFAULT (now() AT TIME ZONE 'utc'), ADD COLUMN y int DEFAULT extract(year from now())::int;
