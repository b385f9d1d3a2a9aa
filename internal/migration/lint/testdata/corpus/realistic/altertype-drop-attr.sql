-- corpus: errors drop-object
ALTER TYPE addr DROP ATTRIBUTE zip;
