-- +goose Up
DROP POLICY IF EXISTS own_rows ON orders;
CREATE POLICY own_rows ON orders USING (tenant = current_setting('app.tenant'));
