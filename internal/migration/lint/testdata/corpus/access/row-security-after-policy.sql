-- corpus: warnings row-security
-- +goose Up
CREATE POLICY everything ON orders USING (true);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
