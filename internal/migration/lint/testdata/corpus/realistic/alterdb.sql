-- corpus: errors access-change
ALTER DATABASE app SET search_path = app;
