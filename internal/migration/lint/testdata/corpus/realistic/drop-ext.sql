-- corpus: errors drop-object
DROP EXTENSION IF EXISTS pgcrypto;
