-- corpus: errors drop-column
ALTER /* harmless */ TABLE users -- really
  DROP -- COLUMN keep
  COLUMN name;
