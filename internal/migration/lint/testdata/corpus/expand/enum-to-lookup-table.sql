-- +goose Up
CREATE TABLE moods (name text PRIMARY KEY);
INSERT INTO moods VALUES ('happy'), ('sad');
ALTER TABLE people ADD COLUMN mood_name text;
ALTER TABLE people ADD CONSTRAINT people_mood_fk FOREIGN KEY (mood_name) REFERENCES moods (name) NOT VALID;
