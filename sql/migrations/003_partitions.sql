-- Day partitions. The broker calls maintain_partitions once an hour with the rights of whoever ran this migration, so
-- that its own account needs neither ALTER nor DROP.
--
-- days_ahead: partitions to have for the days after today. retention_days: partitions of days before today minus this
-- are dropped, 0 = none. A day that still holds a transaction in doubt is kept.

DELIMITER //

DROP PROCEDURE IF EXISTS add_partitions//

-- Splits p_max of one table into days, from where the days end (or, at first, from the oldest row) to today + days_ahead.
CREATE PROCEDURE add_partitions(IN table_to_split VARCHAR(64), IN time_column VARCHAR(64), IN days_ahead INT)
SQL SECURITY INVOKER
BEGIN
  DECLARE next_day DATE;
  DECLARE last_day DATE DEFAULT DATE(UTC_TIMESTAMP()) + INTERVAL days_ahead DAY;
  DECLARE parts LONGTEXT DEFAULT '';

  SELECT MAX(STR_TO_DATE(SUBSTRING(partition_name, 2), '%Y%m%d')) + INTERVAL 1 DAY INTO next_day
  FROM information_schema.partitions
  WHERE table_schema = DATABASE() AND table_name = table_to_split AND partition_name LIKE 'p2%';

  IF next_day IS NULL THEN
    SET @oldest = NULL;
    SET @oplog_sql = CONCAT('SELECT DATE(MIN(', time_column, ')) INTO @oldest FROM ', table_to_split);
    PREPARE statement_to_run FROM @oplog_sql;
    EXECUTE statement_to_run;
    DEALLOCATE PREPARE statement_to_run;
    -- Not more than a year of them at once: what is older shares the first one.
    SET next_day = GREATEST(LEAST(COALESCE(@oldest, DATE(UTC_TIMESTAMP())), DATE(UTC_TIMESTAMP())),
                            DATE(UTC_TIMESTAMP()) - INTERVAL 366 DAY);
  END IF;
  IF next_day <= last_day THEN
    WHILE next_day <= last_day DO
      SET parts = CONCAT(parts, 'PARTITION p', DATE_FORMAT(next_day, '%Y%m%d'),
                         ' VALUES LESS THAN (''', next_day + INTERVAL 1 DAY, ' 00:00:00''), ');
      SET next_day = next_day + INTERVAL 1 DAY;
    END WHILE;
    SET @oplog_sql = CONCAT('ALTER TABLE ', table_to_split, ' REORGANIZE PARTITION p_max INTO (', parts,
                            'PARTITION p_max VALUES LESS THAN (MAXVALUE))');
    PREPARE statement_to_run FROM @oplog_sql;
    EXECUTE statement_to_run;
    DEALLOCATE PREPARE statement_to_run;
  END IF;
END//

DROP PROCEDURE IF EXISTS drop_partitions//

-- Drops the days before today minus retention_days, but none that holds a row for which `keep_condition` is true.
CREATE PROCEDURE drop_partitions(IN table_to_cut VARCHAR(64), IN keep_condition VARCHAR(255), IN retention_days INT)
SQL SECURITY INVOKER
BEGIN
  DECLARE victim VARCHAR(64);
  DECLARE done BOOLEAN DEFAULT FALSE;
  DECLARE victims CURSOR FOR
    SELECT partition_name FROM information_schema.partitions
    WHERE table_schema = DATABASE() AND table_name = table_to_cut AND partition_name LIKE 'p2%'
      AND STR_TO_DATE(SUBSTRING(partition_name, 2), '%Y%m%d') < DATE(UTC_TIMESTAMP()) - INTERVAL retention_days DAY
    ORDER BY partition_ordinal_position;
  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE;

  OPEN victims;
  next_victim: LOOP
    FETCH victims INTO victim;
    IF done THEN
      LEAVE next_victim;
    END IF;
    SET @kept = 0;
    SET @oplog_sql = CONCAT('SELECT EXISTS (SELECT 1 FROM ', table_to_cut, ' PARTITION (', victim, ') WHERE ',
                            keep_condition, ') INTO @kept');
    PREPARE statement_to_run FROM @oplog_sql;
    EXECUTE statement_to_run;
    DEALLOCATE PREPARE statement_to_run;
    IF NOT @kept THEN
      SET @oplog_sql = CONCAT('ALTER TABLE ', table_to_cut, ' DROP PARTITION ', victim);
      PREPARE statement_to_run FROM @oplog_sql;
      EXECUTE statement_to_run;
      DEALLOCATE PREPARE statement_to_run;
    END IF;
  END LOOP;
  CLOSE victims;
END//

DROP PROCEDURE IF EXISTS maintain_partitions//

CREATE PROCEDURE maintain_partitions(IN days_ahead INT, IN retention_days INT)
SQL SECURITY DEFINER
BEGIN
  DECLARE old_wait BIGINT DEFAULT @@SESSION.lock_wait_timeout;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    SET SESSION lock_wait_timeout = old_wait;
    RESIGNAL;
  END;

  -- A long SELECT of somebody must not make every insert queue behind this ALTER.
  SET SESSION lock_wait_timeout = 2;
  CALL add_partitions('txn', 'created_at', days_ahead);
  CALL add_partitions('txn_event', 'at', days_ahead);
  IF retention_days > 0 THEN
    CALL drop_partitions('txn', 'state IN (1, 4)', retention_days);
    CALL drop_partitions('txn_event', 'FALSE', retention_days);
  END IF;
  SET SESSION lock_wait_timeout = old_wait;
END//

DELIMITER ;
