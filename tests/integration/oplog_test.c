/* The op log against a real server: do the rows say what the log says, no more and no less, and does escrow-log say the
 * same? Trouble with servers, projectors and logs is in oplog_trouble_test.c, with connections in oplog_links_test.c, what
 * becomes of the tables themselves in oplog_schema_test.c.
 *
 * OPLOG_BENCH=n measures the projection of n transactions and prints rows a second. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/record/record_message.h"
#include "tests/support/oplog_rig.h"

static void test_exact_rows(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "exact");
	put_story(&log);
	project_once(&log);
	check_rows("SELECT transaction_id, broker, producer_group, topic, queue_id, state, decided_by, decider, prepared_at,"
		   " decided_at, open_ms, reason, checks, queue_offset, deliver_at, size, half_queue_offset"
		   " FROM v_transactions ORDER BY half_offset",
		   "committed|broker-a|order-service|orders|3|committed|producer|client-1|2025-11-25 12:00:00.000|"
		   "2025-11-25 12:00:00.007|7|NULL|0|40|NULL|10|0\n"
		   "rolled-back|broker-a|order-service|orders|3|rolled back|producer|NULL|2025-11-25 12:00:00.001|"
		   "2025-11-25 12:00:00.010|9|NULL|0|NULL|NULL|10|1\n"
		   "checked|broker-a|order-service|orders|3|committed|check-back|client-2|2025-11-25 12:00:00.002|"
		   "2025-11-25 12:00:36.002|36000|NULL|1|42|NULL|10|2\n"
		   "parked|broker-a|order-service|orders|3|parked|policy|NULL|2025-11-25 12:00:00.003|"
		   "2025-11-25 12:00:40.003|40000|15 checks answered unknown|15|NULL|NULL|10|3\n"
		   "resumed|broker-a|order-service|orders|3|prepared|operator|ann|2025-11-25 12:00:00.004|"
		   "2025-11-25 12:00:42.004|42000|NULL|0|NULL|NULL|10|4\n"
		   "open|broker-a|order-service|orders|3|prepared|NULL|NULL|2025-11-25 12:00:00.005|NULL|NULL|NULL|0|NULL|"
		   "NULL|10|5\n"
		   "delayed|broker-a|order-service|orders|3|committed|producer|client-1|2025-11-26 12:00:00.000|"
		   "2025-11-26 12:00:00.001|1|NULL|0|NULL|2025-11-27 12:00:00.000|10|6\n"
		   "'; DROP TABLE txn; -- \\ ? \xe4\xb8\xad|broker-a|order-service|orders|3|committed|producer|?client|"
		   "2025-11-26 12:00:00.001|2025-11-26 12:00:00.002|1|NULL|0|47|NULL|10|7\n");
	check_rows("SELECT transaction_id, at, event, actor, actor_name, checks, detail, reason FROM v_timeline"
		   " WHERE transaction_id IN ('committed', 'checked', 'resumed') ORDER BY half_offset, at, log_offset, part",
		   "committed|2025-11-25 12:00:00.000|prepared|producer|NULL|0|NULL|NULL\n"
		   "committed|2025-11-25 12:00:00.007|committed|producer|client-1|0|NULL|NULL\n"
		   "committed|2025-11-25 12:00:00.100|refused|producer|client-1|0|rollback|NULL\n"
		   "checked|2025-11-25 12:00:00.002|prepared|producer|NULL|0|NULL|NULL\n"
		   "checked|2025-11-25 12:00:06.002|check asked|check-back|client-2|0|NULL|NULL\n"
		   "checked|2025-11-25 12:00:06.007|check answered|producer|client-2|1|unknown|NULL\n"
		   "checked|2025-11-25 12:00:36.002|committed|check-back|client-2|1|NULL|NULL\n"
		   "resumed|2025-11-25 12:00:00.004|prepared|producer|NULL|0|NULL|NULL\n"
		   "resumed|2025-11-25 12:00:41.004|parked|operator|ann|0|NULL|ticket 7\n"
		   "resumed|2025-11-25 12:00:42.004|resumed|operator|ann|0|NULL|NULL\n");
	check_rows("SELECT transaction_id, state, checks FROM v_in_doubt ORDER BY half_offset",
		   "parked|parked|15\nresumed|prepared|0\nopen|prepared|1\n");
	/* Contradictions that were not recorded one by one. */
	CU_ASSERT_EQUAL(sql_u64("SELECT SUM(repeats) FROM txn_event"), 4);
	close_log(&log);
}

/* Offsets are a log's own: what happened at one broker is no part of another one's story. */
static void test_two_brokers_of_one_database_keep_their_stories_apart(void)
{
	static const char timeline[] = "SELECT transaction_id, at, event, actor, actor_name, checks, detail, reason FROM v_timeline"
				       " WHERE log_no = 1 ORDER BY half_offset, at, log_offset, part";
	static const char in_doubt[] = "SELECT transaction_id, state, checks FROM v_in_doubt WHERE log_no = 1 ORDER BY half_offset";
	struct test_log first, second;

	fresh_database();
	new_log(&first, "one-broker");
	put_story(&first);
	project_once(&first);
	char *timeline_before = sql_rows(timeline), *in_doubt_before = sql_rows(in_doubt);
	new_log(&second, "another-broker");
	struct test_txn txn = put_half(&second, "committed", noon); /* At the same offset. */
	put_checks(&second, &txn, 7, 6000);
	put_story(&second);
	project_once(&second);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM v_brokers"), 2);
	check_rows(timeline, timeline_before);
	check_rows(in_doubt, in_doubt_before);
	free(timeline_before);
	free(in_doubt_before);
	close_log(&first);
	close_log(&second);
}

/* --- escrow-log ----------------------------------------------------------------------------------------------------- */

/* escrow-log prints the columns of v_transactions and v_timeline; both are brought to "a|b|NULL". */
static void append_member(struct buffer *out, const cJSON *object, const char *key, bool first)
{
	const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);

	buffer_append_text(out, first ? "" : "|");
	if (cJSON_IsString(member))
		buffer_append_text(out, member->valuestring);
	else if (cJSON_IsNumber(member))
		buffer_append_i64(out, (int64_t)member->valuedouble);
	else
		buffer_append_text(out, cJSON_IsNull(member) ? "NULL" : "(absent)");
}

#define TXN_COLUMNS                                                                                                   \
	"transaction_id", "producer_group", "topic", "queue_id", "state", "decided_by", "decider", "prepared_at",     \
		"decided_at", "reason", "checks", "queue_offset", "deliver_at", "size", "half_offset",                \
		"half_queue_offset", "state_offset"
#define STEP_COLUMNS "at", "log_offset", "event", "actor", "actor_name", "checks", "detail", "reason"

static void append_json_line(struct buffer *txns, struct buffer *steps, const char *line)
{
	static const char *const txn_columns[] = { TXN_COLUMNS };
	static const char *const step_columns[] = { STEP_COLUMNS };
	cJSON *object = cJSON_Parse(line);
	const cJSON *step;

	CU_ASSERT_PTR_NOT_NULL_FATAL(object);
	for (size_t i = 0; i < sizeof(txn_columns) / sizeof(txn_columns[0]); i++)
		append_member(txns, object, txn_columns[i], i == 0);
	buffer_append_text(txns, "\n");
	cJSON_ArrayForEach(step, cJSON_GetObjectItemCaseSensitive(object, "timeline")) {
		append_member(steps, object, "transaction_id", true);
		for (size_t i = 0; i < sizeof(step_columns) / sizeof(step_columns[0]); i++)
			append_member(steps, step, step_columns[i], false);
		buffer_append_text(steps, "\n");
	}
	cJSON_Delete(object);
}

static void read_escrow_log(const char *root, struct buffer *txns, struct buffer *steps)
{
	char command[1200], *line = NULL;
	size_t capacity = 0;

	snprintf(command, sizeof(command), "%s/escrow-log oplog %s --json",
		 programs_dir(), root);
	FILE *output = popen(command, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(output);
	while (getline(&line, &capacity, output) > 0)
		append_json_line(txns, steps, line);
	free(line);
	CU_ASSERT_EQUAL(pclose(output), 0);
	buffer_append(txns, "", 1);
	buffer_append(steps, "", 1);
}

static void test_escrow_log_tells_the_same(void)
{
	struct buffer txns, steps;
	struct test_log log;

	fresh_database();
	new_log(&log, "same");
	put_story(&log);
	put_many(&log, 500, noon + day_ms + 2);
	project_once(&log);
	buffer_init(&txns, 0);
	buffer_init(&steps, 0);
	read_escrow_log(log.root, &txns, &steps);
	check_rows("SELECT transaction_id, producer_group, topic, queue_id, state, decided_by, decider, prepared_at,"
		   " decided_at, reason, checks, queue_offset, deliver_at, size, half_offset, half_queue_offset, state_offset"
		   " FROM v_transactions ORDER BY half_offset",
		   (const char *)txns.data);
	check_rows("SELECT transaction_id, at, log_offset, event, actor, actor_name, checks, detail, reason FROM v_timeline"
		   " ORDER BY half_offset, at, log_offset, part",
		   (const char *)steps.data);
	buffer_deinit(&txns);
	buffer_deinit(&steps);
	close_log(&log);
}

static void test_escrow_log_says_what_is_wrong_with_a_command(void)
{
	static const char *const cases[][2] = {
		{ "", "no verb" }, { "frobnicate /tmp", "unknown verb frobnicate" }, { "oplog", "STORE_DIR is missing" },
		{ "oplog /nonexistent", "/nonexistent/commitlog" }, { "dump /nonexistent --from x", "not an offset: x" },
		{ "check /nonexistent --fast", "unknown option --fast" },
		{ "migrate -o opLogMysqlDatabase=a.b", "must be 1 to 64 letters" },
		{ "migrate -o opLogMysqlSocket=/nonexistent/s", "/nonexistent/s" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int exit_status;
		char *text = escrow_log_complaint(cases[i][0], &exit_status);
		CU_ASSERT_NOT_EQUAL(exit_status, 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, cases[i][1]));
		if (strstr(text, cases[i][1]) == NULL)
			fprintf(stderr, "escrow-log %s: %s", cases[i][0], text);
		/* One line. */
		CU_ASSERT_PTR_EQUAL(strchr(text, '\n'), text + strlen(text) - 1);
		free(text);
	}
}

/* --- what becomes of a row ------------------------------------------------------------------------------------------ */

/* Everything in the tables but the times of projecting, for comparisons. */
static char *all_rows(void)
{
	return sql_rows("SELECT * FROM v_transactions ORDER BY log_no, half_offset");
}

static void test_a_replay_changes_nothing(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "replay");
	put_story(&log);
	put_many(&log, 1000, noon + day_ms + 2);
	project_once(&log);
	char *before = all_rows();
	uint64_t events = sql_u64("SELECT COUNT(*) FROM txn_event");
	sql("UPDATE broker_log SET cursor_position = 0");
	project_once(&log);
	char *after = all_rows();
	CU_ASSERT_STRING_EQUAL(before, after);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn_event"), events);
	CU_ASSERT(events > 8);
	free(before);
	free(after);
	close_log(&log);
}

static void test_an_old_state_does_not_replace_a_newer_one(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "newer");
	struct test_txn txn = put_half(&log, "late", noon);
	flush_log(&log);
	project_once(&log); /* Its PREPARED row. */
	check_rows("SELECT transaction_id, state FROM v_transactions", "late|prepared\n");
	uint64_t decision = put_decision(&log, &txn, (struct verdict){ OUTCOME_COMMIT, WHO_OPERATOR, "ann", NULL, 60000, 2, 0 });
	/* The half is carried to the log's end after the decision's place was passed. */
	struct record_half half = {
		.half_queue_offset = txn.n, .store_time_ms = txn.created_ms, .immunity_ms = -1, .queue_id = 3,
		.topic = SPAN_LITERAL("orders"), .group = SPAN_LITERAL("order-service"),
		.transaction_id = SPAN_LITERAL("late"), .global = { SPAN_NONE, 0, 1 }, .message = SPAN_LITERAL("0123456789"),
	};
	uint8_t payload[512];
	uint64_t offset;
	record_half_encode(&half, payload);
	struct record_carry carry = { txn.offset, LOG_HALF, { payload, record_half_size(&half) } };
	record_carry_encode(&carry, begin_record(&log, LOG_CARRY, record_carry_size(&carry), &offset));
	(void)commitlog_commit(log.log);
	flush_log(&log);
	project_once(&log);
	check_rows("SELECT transaction_id, state, decided_by, checks FROM v_transactions", "late|committed|operator|2\n");
	CU_ASSERT_EQUAL(sql_u64("SELECT state_offset FROM txn"), decision);
	close_log(&log);
}

/* Each column that a later state may change follows it. */
static void test_a_row_follows_its_transaction(void)
{
	static const char columns[] = "SELECT state, decided_by, decider, decided_at, reason, checks, queue_offset, deliver_at"
				      " FROM v_transactions ORDER BY half_offset";
	struct test_log log;

	fresh_database();
	new_log(&log, "follows");
	struct test_txn first = put_half(&log, "first", noon), second = put_half(&log, "second", noon);
	flush_log(&log);
	project_once(&log);
	check_rows(columns, "prepared|NULL|NULL|NULL|NULL|0|NULL|NULL\nprepared|NULL|NULL|NULL|NULL|0|NULL|NULL\n");
	put_decision(&log, &first, (struct verdict){ OUTCOME_PARK, WHO_OPERATOR, "ann", "ticket 7", 1000, 2, 0 });
	put_decision(&log, &second, (struct verdict){ OUTCOME_PARK, WHO_OPERATOR, "bob", "ticket 8", 1000, 3, 0 });
	flush_log(&log);
	project_once(&log);
	check_rows(columns, "parked|operator|ann|2025-11-25 12:00:01.000|ticket 7|2|NULL|NULL\n"
			    "parked|operator|bob|2025-11-25 12:00:01.000|ticket 8|3|NULL|NULL\n");
	put_decision(&log, &first, (struct verdict){ OUTCOME_COMMIT, WHO_CHECKBACK, "client-2", NULL, 2000, 4, 0 });
	put_decision(&log, &second, (struct verdict){ OUTCOME_COMMIT, WHO_PRODUCER, "client-1", NULL, 3000, 5, noon + day_ms });
	flush_log(&log);
	project_once(&log);
	check_rows(columns, "committed|check-back|client-2|2025-11-25 12:00:02.000|NULL|4|40|NULL\n"
			    "committed|producer|client-1|2025-11-25 12:00:03.000|NULL|5|NULL|2025-11-26 12:00:00.000\n");
	close_log(&log);
}

/* A topic, a group and a client of one name are three names. */
static void test_names_of_each_kind_have_their_own_numbers(void)
{
	static const struct span same = SPAN_LITERAL("same");
	struct test_log log;
	uint64_t offset, decision_offset;

	fresh_database();
	new_log(&log, "kinds");
	sql("INSERT INTO topic_name (name) VALUES ('another'), ('one more')");
	sql("INSERT INTO group_name (name) VALUES ('another')");
	struct record_half half = { .store_time_ms = noon, .immunity_ms = -1, .topic = same, .group = same, .transaction_id = same,
				    .unique_key = same, .global = { SPAN_NONE, 0, 1 }, .message = SPAN_LITERAL("0123456789") };
	record_half_encode(&half, begin_record(&log, LOG_HALF, record_half_size(&half), &offset));
	(void)commitlog_commit(log.log);
	struct record_decision decision = { .half_offset = offset, .half_store_time_ms = noon, .body_offset = offset,
					    .outcome = OUTCOME_COMMIT, .who = WHO_PRODUCER, .when_ms = noon, .topic = same, .group = same,
					    .transaction_id = same, .who_text = same, .global = { SPAN_NONE, 0, 1 } };
	record_decision_encode(&decision, begin_record(&log, LOG_DECISION, record_decision_size(&decision), &decision_offset));
	(void)commitlog_commit(log.log);
	flush_log(&log);
	project_once(&log);
	check_rows("SELECT topic, producer_group, decider FROM v_transactions", "same|same|same\n");
	close_log(&log);
}

/* What is longer than a column ends with an ellipsis there, and holds nothing up. */
static void test_over_long_texts_are_cut(void)
{
	char id[201], who[401], reason[401];
	struct test_log log;

	memset(id, 'i', sizeof(id));
	memset(who, 'w', sizeof(who));
	memset(reason, 'r', sizeof(reason));
	id[200] = who[400] = reason[400] = '\0';
	fresh_database();
	new_log(&log, "long");
	struct test_txn txn = put_half(&log, id, noon);
	put_decision(&log, &txn, (struct verdict){ OUTCOME_COMMIT, WHO_OPERATOR, who, reason, 7, 0, 0 });
	flush_log(&log);
	project_once(&log);
	check_rows("SELECT CHAR_LENGTH(transaction_id), RIGHT(transaction_id, 2), CHAR_LENGTH(decider), RIGHT(decider, 2),"
		   " CHAR_LENGTH(reason), RIGHT(reason, 2) FROM v_transactions",
		   "128|i\xe2\x80\xa6|255|w\xe2\x80\xa6|255|r\xe2\x80\xa6\n");
	close_log(&log);
}

/* --- how far is projected ------------------------------------------------------------------------------------------- */

/* What is written, but not durable, is no fact yet. */
static void test_only_what_is_durable_is_projected(void)
{
	struct oplog_config config = broker_options();
	struct oplog_projector *projector;
	struct test_log log;

	fresh_database();
	new_log(&log, "durable");
	put_many(&log, 100, noon);
	uint64_t durable = commitlog_durable(log.log);
	put_many(&log, 100, noon); /* In the file; we say that it is not safe. */
	MUST(oplog_projector_start(&config, log.root, "broker-a", durable, &projector, err));
	for (int waited = 0; status_of(projector).cursor < durable && waited < WAIT_LIMIT_MS; waited += POLL_MS)
		usleep(POLL_MS * 1000);
	CU_ASSERT_EQUAL(status_of(projector).cursor, durable);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn"), 100);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	wait_projected(&log, projector);
	oplog_projector_stop(projector, 5000);
	check_complete(&log, 200);
	close_log(&log);
}

/* A half without a row is in no table: the cursor stays in front of it, so that a restart finds it again. */
static void test_an_open_half_holds_the_cursor_back(void)
{
	struct oplog_config config = broker_options();
	int64_t now = clock_wall_ms(clock_system());
	struct test_log log;

	fresh_database();
	new_log(&log, "holds");
	config.prepared_after_ms = 3600 * 1000;
	put_many(&log, 10, now);
	struct test_txn open = put_half(&log, "open", now);
	put_many(&log, 10, now);
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_rows(20);
	oplog_projector_stop(projector, 5000);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn"), 20);
	CU_ASSERT_EQUAL(sql_u64("SELECT cursor_position FROM broker_log"), open.offset);
	project_once(&log);
	check_rows("SELECT transaction_id FROM v_transactions WHERE state = 'prepared'", "open\n");
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn"), 21);
	close_log(&log);
}

/* After the wall clock was set back by an hour, time stands still in the log for an hour. */
static void test_an_open_half_has_its_row_although_the_clock_was_set_back(void)
{
	struct oplog_config config = broker_options();
	int64_t in_an_hour = clock_wall_ms(clock_system()) + 3600 * 1000;
	struct test_log log;

	fresh_database();
	new_log(&log, "clock");
	put_many(&log, 10, in_an_hour);
	(void)put_half(&log, "open", in_an_hour + 7);
	flush_log(&log);
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_rows(11);
	check_rows("SELECT transaction_id FROM v_transactions WHERE state = 'prepared'", "open\n");
	wait_projected(&log, projector);
	oplog_projector_stop(projector, 5000);
	close_log(&log);
}

/* More are open than the projector keeps in memory: the oldest get their rows before their time. */
static void test_more_open_halves_than_there_is_room_for(void)
{
	struct oplog_config config = broker_options();
	int64_t now = clock_wall_ms(clock_system());
	char id[32];
	struct test_log log;

	fresh_database();
	new_log(&log, "room");
	config.prepared_after_ms = 3600 * 1000;
	config.open_max = 8;
	for (int i = 0; i < 50; i++) {
		snprintf(id, sizeof(id), "open-%02d", i);
		(void)put_half(&log, id, now);
	}
	flush_log(&log);
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_rows(42);
	oplog_projector_stop(projector, 5000);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM v_transactions WHERE transaction_id <= 'open-41'"), 42);
	project_once(&log);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM v_transactions WHERE state = 'prepared'"), 50);
	close_log(&log);
}

/* What is open gets its row when its time has come, and the cursor passes what has no rows, although nothing else happens. */
static void test_an_idle_log_is_projected_to_its_end(void)
{
	struct oplog_config config = broker_options();
	struct record_message message = { .topic = SPAN_LITERAL("orders"), .message = SPAN_LITERAL("0123456789") };
	struct test_log log;
	uint64_t offset;

	fresh_database();
	new_log(&log, "idle");
	config.prepared_after_ms = 2000; /* Later than the cursor moves. */
	struct oplog_projector *projector = start_projector(&log, &config);
	(void)put_half(&log, "open", clock_wall_ms(clock_system()));
	flush_log(&log);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	wait_projected(&log, projector);
	check_rows("SELECT transaction_id, state FROM v_transactions", "open|prepared\n");
	record_message_encode(&message, begin_record(&log, LOG_MESSAGE, record_message_size(&message), &offset));
	(void)commitlog_commit(log.log);
	flush_log(&log);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	wait_projected(&log, projector);
	oplog_projector_stop(projector, 5000);
	CU_ASSERT_EQUAL(sql_u64("SELECT cursor_position FROM broker_log"), commitlog_durable(log.log));
	close_log(&log);
}

/* --- how much at once ----------------------------------------------------------------------------------------------- */

/* One record may hold many more checks than a batch is to have rows, and many open halves may be due at once. */
static void test_small_batches_take_what_is_large(void)
{
	enum { OPEN = 3000 };
	static struct record_check checks[RECORD_CHECKS_MAX];
	struct oplog_config config = broker_options();
	struct test_txn txn = { .n = 0 };
	char id[32];
	uint64_t offset;
	struct test_log log;

	fresh_database();
	new_log(&log, "large");
	config.batch_max = 10;
	for (int i = 0; i < OPEN; i++) {
		snprintf(id, sizeof(id), "open-%04d", i);
		txn = put_half(&log, id, noon);
	}
	for (uint32_t i = 0; i < RECORD_CHECKS_MAX; i++)
		checks[i] = (struct record_check){ txn.offset, txn.n, i + 1, i, CHECK_ASKED, noon + 6000, SPAN_LITERAL("client-2") };
	flush_log(&log);
	size_t size = record_checks_size(checks, RECORD_CHECKS_MAX);
	record_checks_encode(checks, RECORD_CHECKS_MAX, begin_record(&log, LOG_CHECK, size, &offset));
	(void)commitlog_commit(log.log);
	flush_log(&log);
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_projected(&log, projector);
	CU_ASSERT_EQUAL(status_of(projector).failure_count, 0);
	oplog_projector_stop(projector, 5000);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn"), OPEN);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn_event"), RECORD_CHECKS_MAX);
	close_log(&log);
}

/* The server takes less at once than a batch has. */
static void test_a_statement_is_no_larger_than_the_server_takes(void)
{
	struct oplog_config config = broker_options();
	struct test_log log;

	fresh_database();
	new_log(&log, "packet");
	put_many(&log, 3000, noon);
	sql("SET GLOBAL max_allowed_packet = 65536");
	config.batch_max = 5000;
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_projected(&log, projector);
	CU_ASSERT_EQUAL(status_of(projector).failure_count, 0);
	oplog_projector_stop(projector, 5000);
	sql("SET GLOBAL max_allowed_packet = 16777216");
	check_complete(&log, 3000);
	close_log(&log);
}

static void test_the_speed(void)
{
	const char *text = getenv("OPLOG_BENCH");
	unsigned count = text == NULL ? 0 : (unsigned)atoi(text);
	struct oplog_config config = broker_options();
	struct test_log log;

	if (count == 0)
		return;
	fresh_database();
	new_log(&log, "speed");
	put_many(&log, count, clock_wall_ms(clock_system()));
	int64_t begin = clock_mono_ms(clock_system());
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_projected(&log, projector);
	int64_t ms = clock_mono_ms(clock_system()) - begin;
	printf("%u transactions in %" PRId64 " ms: %" PRId64 " rows/s\n", count, ms, count * 1000 / (ms > 0 ? ms : 1));
	oplog_projector_stop(projector, 1000);
	close_log(&log);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_exact_rows),
		CHECK_TEST(test_two_brokers_of_one_database_keep_their_stories_apart),
		CHECK_TEST(test_escrow_log_tells_the_same),
		CHECK_TEST(test_escrow_log_says_what_is_wrong_with_a_command),
		CHECK_TEST(test_a_replay_changes_nothing),
		CHECK_TEST(test_an_old_state_does_not_replace_a_newer_one),
		CHECK_TEST(test_a_row_follows_its_transaction),
		CHECK_TEST(test_names_of_each_kind_have_their_own_numbers),
		CHECK_TEST(test_over_long_texts_are_cut),
		CHECK_TEST(test_only_what_is_durable_is_projected),
		CHECK_TEST(test_an_open_half_holds_the_cursor_back),
		CHECK_TEST(test_an_open_half_has_its_row_although_the_clock_was_set_back),
		CHECK_TEST(test_more_open_halves_than_there_is_room_for),
		CHECK_TEST(test_an_idle_log_is_projected_to_its_end),
		CHECK_TEST(test_small_batches_take_what_is_large),
		CHECK_TEST(test_a_statement_is_no_larger_than_the_server_takes),
		CHECK_TEST(test_the_speed),
	};

	return oplog_rig_main("oplog", tests, sizeof(tests) / sizeof(tests[0]));
}
