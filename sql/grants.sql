-- Accounts of the op log, for a DBA to run once as an administrator. They are created locked and without a password;
-- give each its own way to log in and unlock it, for example:
--   ALTER USER 'escrow_broker'@'%' IDENTIFIED BY '...' ACCOUNT UNLOCK;
-- Narrow '%' to the brokers' addresses where you can. Other database name: change it here and in opLogMysqlDatabase.

CREATE DATABASE IF NOT EXISTS escrow_oplog CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The broker's projector: adds and updates rows, deletes nothing, changes no table. EXECUTE is for
-- maintain_partitions, which works with the rights of whoever ran the migrations.
CREATE USER IF NOT EXISTS 'escrow_broker'@'%' ACCOUNT LOCK;
GRANT SELECT, INSERT, UPDATE, EXECUTE ON `escrow\_oplog`.* TO 'escrow_broker'@'%';

-- DBAs and tools that read.
CREATE USER IF NOT EXISTS 'escrow_dba'@'%' ACCOUNT LOCK;
GRANT SELECT, SHOW VIEW ON `escrow\_oplog`.* TO 'escrow_dba'@'%';

-- `escrow-log migrate`. Keep the account (it may be locked again): maintain_partitions works with its rights.
CREATE USER IF NOT EXISTS 'escrow_ddl'@'%' ACCOUNT LOCK;
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW, CREATE ROUTINE,
      ALTER ROUTINE, EXECUTE ON `escrow\_oplog`.* TO 'escrow_ddl'@'%';
