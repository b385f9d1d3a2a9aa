-- corpus: errors exclusion-constraint
-- +goose Up
ALTER TABLE bookings ADD CONSTRAINT no_overlap EXCLUDE USING gist (room WITH =, during WITH &&);
