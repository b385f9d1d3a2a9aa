-- corpus: errors attach-scans
ALTER TABLE logs ATTACH PARTITION logs_default DEFAULT;
