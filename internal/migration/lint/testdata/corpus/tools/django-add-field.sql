BEGIN;
--
-- Add field nickname to user
--
ALTER TABLE "accounts_user" ADD COLUMN "nickname" varchar(50) NULL;
COMMIT;
