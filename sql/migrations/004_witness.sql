-- By what a projector knows the log again: restored from an older backup, or cut, it is another one with the same log_id.
-- One statement, so that it is there as a whole or not at all.

ALTER TABLE broker_log
  ADD COLUMN last_record      BIGINT UNSIGNED NULL COMMENT 'Log offset of the last record that was read for these tables; may be above the cursor',
  ADD COLUMN last_record_crc  INT UNSIGNED    NULL COMMENT 'Checksum of that record',
  ADD COLUMN start_record     BIGINT UNSIGNED NULL COMMENT 'Log offset of the record that the last start before it wrote',
  ADD COLUMN start_record_crc INT UNSIGNED    NULL COMMENT 'Checksum of that record';
