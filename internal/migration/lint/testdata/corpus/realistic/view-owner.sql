-- corpus: errors access-change
ALTER VIEW v OWNER TO bob;
