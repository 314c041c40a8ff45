-- What DBAs read: names and words instead of numbers. The rights are the reader's own (INVOKER), so that no view
-- breaks when an account is dropped.

CREATE OR REPLACE SQL SECURITY INVOKER VIEW v_transactions AS
SELECT t.transaction_id,
       b.broker_name                        AS broker,
       g.name                               AS producer_group,
       p.name                               AS topic,
       t.queue_id,
       CASE t.state WHEN 1 THEN 'prepared' WHEN 2 THEN 'committed' WHEN 3 THEN 'rolled back' WHEN 4 THEN 'parked' END AS state,
       CASE t.decided_by WHEN 1 THEN 'producer' WHEN 2 THEN 'check-back' WHEN 3 THEN 'operator' WHEN 4 THEN 'SQL request' WHEN 5 THEN 'policy' END AS decided_by,
       c.name                               AS decider,
       t.created_at                         AS prepared_at,
       t.decided_at,
       TIMESTAMPDIFF(MICROSECOND, t.created_at, t.decided_at) DIV 1000 AS open_ms,
       t.reason,
       t.checks,
       t.queue_offset,
       t.deliver_at,
       t.size,
       t.request_id,
       t.log_no,
       t.half_offset,
       t.half_queue_offset,
       t.state_offset
FROM txn t
JOIN broker_log b ON b.log_no = t.log_no
JOIN group_name g ON g.id = t.group_id
JOIN topic_name p ON p.id = t.topic_id
LEFT JOIN client_name c ON c.id = t.decider_id;

-- Everything that waits for a decision, the oldest first when ordered by prepared_at.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW v_in_doubt AS
SELECT t.transaction_id,
       b.broker_name                        AS broker,
       g.name                               AS producer_group,
       p.name                               AS topic,
       CASE t.state WHEN 1 THEN 'prepared' WHEN 4 THEN 'parked' END AS state,
       t.created_at                         AS prepared_at,
       TIMESTAMPDIFF(SECOND, t.created_at, UTC_TIMESTAMP()) AS age_s,
       (SELECT COALESCE(MAX(e.checks), 0) FROM txn_event e
        WHERE e.log_no = t.log_no AND e.half_offset = t.half_offset) AS checks,
       t.log_no,
       t.half_offset
FROM txn t
JOIN broker_log b ON b.log_no = t.log_no
JOIN group_name g ON g.id = t.group_id
JOIN topic_name p ON p.id = t.topic_id
WHERE t.state IN (1, 4);

-- The story of a transaction, one line per step; order by at, log_offset, part. A decision by somebody else than the
-- producer is a row of txn_event, so txn gives only the others.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW v_timeline AS
SELECT t.transaction_id,
       t.log_no,
       t.half_offset,
       t.created_at                         AS at,
       t.half_offset                        AS log_offset,
       0                                    AS part,
       'prepared'                           AS event,
       'producer'                           AS actor,
       CAST(NULL AS CHAR(255))              AS actor_name,
       0                                    AS checks,
       CAST(NULL AS CHAR(16))               AS detail,
       CAST(NULL AS CHAR(255))              AS reason
FROM txn t
UNION ALL
SELECT t.transaction_id, t.log_no, t.half_offset, t.decided_at, t.state_offset, 0,
       CASE t.state WHEN 2 THEN 'committed' WHEN 3 THEN 'rolled back' END,
       'producer', c.name, t.checks, NULL, t.reason
FROM txn t
LEFT JOIN client_name c ON c.id = t.decider_id
WHERE t.state IN (2, 3) AND t.decided_by = 1
UNION ALL
SELECT t.transaction_id, t.log_no, t.half_offset, e.at, e.record_offset, e.part,
       CASE e.event WHEN 1 THEN 'check asked' WHEN 2 THEN 'check answered' WHEN 3 THEN 'committed' WHEN 4 THEN 'rolled back'
                    WHEN 5 THEN 'parked' WHEN 6 THEN 'resumed' WHEN 7 THEN 'refused' END,
       CASE e.actor WHEN 1 THEN 'producer' WHEN 2 THEN 'check-back' WHEN 3 THEN 'operator' WHEN 4 THEN 'SQL request' WHEN 5 THEN 'policy' END,
       c.name, e.checks,
       CASE WHEN e.event IN (2, 7) THEN CASE e.detail WHEN 1 THEN 'commit' WHEN 2 THEN 'rollback' ELSE 'unknown' END END,
       e.reason
FROM txn t
JOIN txn_event e ON e.log_no = t.log_no AND e.half_offset = t.half_offset
LEFT JOIN client_name c ON c.id = e.actor_id;

CREATE OR REPLACE SQL SECURITY INVOKER VIEW v_brokers AS
SELECT b.log_no,
       b.broker_name                        AS broker,
       b.cluster,
       LOWER(HEX(b.log_id))                 AS log_id,
       b.cursor_position,
       b.projected_at,
       b.skipped_bytes,
       b.writer,
       b.writer_since,
       b.first_seen
FROM broker_log b;
