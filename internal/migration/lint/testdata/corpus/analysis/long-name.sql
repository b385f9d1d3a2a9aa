-- corpus: warnings identifier-too-long
-- +goose Up
CREATE TABLE a_table_with_a_name_that_is_far_too_long_for_postgresql_to_keep_as_it_is (id int);
