-- Tables of the business database that libescrow uses (escrow_mysql_create_tables makes the same).

-- One row for each local transaction that committed (state 1), or that a check-back closed (state 2: a late local
-- transaction with this id fails with a duplicate key).
CREATE TABLE IF NOT EXISTS escrow_barrier (
    transaction_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    state          TINYINT UNSIGNED NOT NULL,
    created_at     TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (transaction_id),
    KEY escrow_barrier_created (created_at)
) ENGINE = InnoDB;

-- One row for each message that a group has consumed, written in the consumer's own transaction.
CREATE TABLE IF NOT EXISTS escrow_consumed (
    consumer_group VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    message_id     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at     TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    PRIMARY KEY (consumer_group, message_id),
    KEY escrow_consumed_created (created_at)
) ENGINE = InnoDB;
