CREATE TABLE conditions (time timestamptz NOT NULL, device text, temperature double precision);
SELECT create_hypertable('conditions', 'time');
CREATE INDEX ON conditions (device, time DESC);
