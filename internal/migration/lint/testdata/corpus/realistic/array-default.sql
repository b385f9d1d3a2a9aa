ALTER TABLE orders ADD COLUMN tags text[] NOT NULL DEFAULT '{}', ADD COLUMN p point DEFAULT point(0,0), ADD COLUMN r int4range DEFAULT int4range(1, 5);
