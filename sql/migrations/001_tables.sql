-- Tables of the op log: what happened to each transaction, who decided it, when and why.
-- Forward only: a file that was released is never edited; a change is a new file with the next number.
-- All times are UTC. Names live in dictionary tables, because each is repeated in millions of rows.

CREATE TABLE IF NOT EXISTS broker_log (
  log_no          SMALLINT UNSIGNED NOT NULL AUTO_INCREMENT COMMENT 'Short number of this log in all other tables',
  log_id          BINARY(16)        NOT NULL COMMENT 'Identity of the log; a wiped broker starts a new one',
  cluster         VARCHAR(64)       NOT NULL COMMENT 'Cluster name',
  broker_name     VARCHAR(255)      NOT NULL COMMENT 'Broker name at the last start',
  first_seen      DATETIME(3)       NOT NULL COMMENT 'When this log was first projected, UTC',
  cursor_position BIGINT UNSIGNED   NOT NULL COMMENT 'Log offset below which everything is in these tables',
  cursor_epoch    INT UNSIGNED      NOT NULL COMMENT 'Raised by each projector that takes over; the older one stops',
  skipped_bytes   BIGINT UNSIGNED   NOT NULL DEFAULT 0 COMMENT 'Bytes of the log that were deleted before they could be projected',
  writer          VARCHAR(255)      NOT NULL COMMENT 'host:pid of the projector that owns the cursor',
  writer_since    DATETIME(3)       NOT NULL COMMENT 'When that projector took over, UTC',
  projected_at    DATETIME(3)       NOT NULL COMMENT 'When the cursor was last written, UTC',
  PRIMARY KEY (log_no),
  UNIQUE KEY log_id (log_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One row per broker log: its name, and the cursor of its projector';

CREATE TABLE IF NOT EXISTS topic_name (
  id   INT UNSIGNED NOT NULL AUTO_INCREMENT,
  name VARCHAR(255) NOT NULL COMMENT 'Topic',
  PRIMARY KEY (id),
  UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Dictionary of topics';

CREATE TABLE IF NOT EXISTS group_name (
  id   INT UNSIGNED NOT NULL AUTO_INCREMENT,
  name VARCHAR(255) NOT NULL COMMENT 'Producer group',
  PRIMARY KEY (id),
  UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Dictionary of producer groups';

CREATE TABLE IF NOT EXISTS client_name (
  id   INT UNSIGNED NOT NULL AUTO_INCREMENT,
  name VARCHAR(255) NOT NULL COMMENT 'Client id of a producer, or name of an operator',
  PRIMARY KEY (id),
  UNIQUE KEY name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='Dictionary of those who act: producer clients, operators';

-- Rows of a day that has no partition of its own go to p_max, so that no insert ever waits for maintenance.
CREATE TABLE IF NOT EXISTS txn (
  log_no          SMALLINT UNSIGNED NOT NULL COMMENT 'Broker log, see broker_log',
  half_offset     BIGINT UNSIGNED   NOT NULL COMMENT 'Offset of the half message in that log: the identity of the transaction',
  created_at      DATETIME(3)       NOT NULL COMMENT 'When the broker stored the half message, UTC',
  half_queue_offset BIGINT UNSIGNED NOT NULL COMMENT 'Its number in the half queue (clients: tranStateTableOffset)',
  transaction_id  VARCHAR(128)      NOT NULL COMMENT 'As the producer knows it; over-long ids end with an ellipsis',
  group_id        INT UNSIGNED      NOT NULL COMMENT 'Producer group, see group_name',
  topic_id        INT UNSIGNED      NOT NULL COMMENT 'Topic of the message, see topic_name',
  queue_id        INT UNSIGNED      NOT NULL COMMENT 'Queue of the topic',
  size            INT UNSIGNED      NOT NULL COMMENT 'Size of the stored message in bytes',
  state           TINYINT UNSIGNED  NOT NULL COMMENT '1 prepared, 2 committed, 3 rolled back, 4 parked',
  decided_by      TINYINT UNSIGNED  NOT NULL COMMENT 'Who brought it into this state: 0 nobody yet, 1 producer, 2 check-back, 3 operator, 4 SQL request, 5 policy',
  decider_id      INT UNSIGNED      NULL     COMMENT 'Which client or operator, see client_name',
  decided_at      DATETIME(3)       NULL     COMMENT 'When it came into this state, UTC; NULL while nobody has decided',
  checks          INT UNSIGNED      NOT NULL COMMENT 'Check-backs that were answered "unknown"',
  queue_offset    BIGINT UNSIGNED   NULL     COMMENT 'Place of the committed message in its queue; NULL when not committed or delivered later',
  deliver_at      DATETIME(3)       NULL     COMMENT 'When a delayed message is due, UTC',
  request_id      BIGINT UNSIGNED   NULL     COMMENT 'Request that led to the decision, if it came by SQL',
  reason          VARCHAR(255)      NULL     COMMENT 'Why, if whoever decided said so',
  state_offset    BIGINT UNSIGNED   NOT NULL COMMENT 'Log offset of the record that set this state; of a committed message also its physical offset',
  PRIMARY KEY (log_no, half_offset, created_at),
  KEY transaction_id (transaction_id),
  KEY state_created (state, created_at),
  KEY group_created (group_id, created_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='One row per transaction: its latest state'
PARTITION BY RANGE COLUMNS (created_at) (PARTITION p_max VALUES LESS THAN (MAXVALUE));

CREATE TABLE IF NOT EXISTS txn_event (
  log_no          SMALLINT UNSIGNED NOT NULL COMMENT 'Broker log, see broker_log',
  record_offset   BIGINT UNSIGNED   NOT NULL COMMENT 'Log offset of the record that tells of this event',
  part            SMALLINT UNSIGNED NOT NULL COMMENT 'Number within that record',
  at              DATETIME(3)       NOT NULL COMMENT 'When, UTC',
  half_offset     BIGINT UNSIGNED   NOT NULL COMMENT 'Transaction',
  event           TINYINT UNSIGNED  NOT NULL COMMENT '1 check asked, 2 check answered, 3 committed, 4 rolled back, 5 parked, 6 resumed, 7 refused',
  actor           TINYINT UNSIGNED  NOT NULL COMMENT 'As txn.decided_by',
  actor_id        INT UNSIGNED      NULL     COMMENT 'Which client or operator, see client_name',
  checks          INT UNSIGNED      NOT NULL COMMENT 'Check-backs answered "unknown" so far',
  detail          TINYINT UNSIGNED  NOT NULL COMMENT 'Outcome asked for (refused), or the answer (check answered): 0 unknown, 1 commit, 2 rollback',
  repeats         INT UNSIGNED      NOT NULL COMMENT 'Refusals before this one that were counted only',
  reason          VARCHAR(255)      NULL     COMMENT 'Why, if the actor said so',
  PRIMARY KEY (log_no, record_offset, part, at),
  KEY txn (log_no, half_offset)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin COMMENT='What happened to a transaction besides an ordinary decision by its producer'
PARTITION BY RANGE COLUMNS (at) (PARTITION p_max VALUES LESS THAN (MAXVALUE));
