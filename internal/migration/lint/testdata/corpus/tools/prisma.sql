-- CreateEnum
CREATE TYPE "Status" AS ENUM ('OPEN', 'DONE');

-- AlterTable
ALTER TABLE "Task" ADD COLUMN     "status" "Status" NOT NULL DEFAULT 'OPEN';

-- CreateTable
CREATE TABLE "Label" (
    "id" SERIAL NOT NULL,
    "taskId" INTEGER NOT NULL,
    CONSTRAINT "Label_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "Label_taskId_key" ON "Label"("taskId");

-- AddForeignKey
ALTER TABLE "Label" ADD CONSTRAINT "Label_taskId_fkey" FOREIGN KEY ("taskId") REFERENCES "Task"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
