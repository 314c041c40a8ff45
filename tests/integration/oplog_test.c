/* The op log against a real server: exact rows, crashes of MySQL, two projectors, replays, back-fill, and the same facts
 * from escrow-log. The logs are made through lib/log and lib/record; no broker is needed.
 *
 * OPLOG_BENCH=n measures the projection of n transactions and prints rows a second. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/projections/oplog_projector_internal.h"
#include "broker/projections/oplog_schema.h"
#include "lib/base/clock.h"
#include "lib/log/commitlog.h"
#include "lib/mysql/db_conn.h"
#include "lib/mysql/db_rows.h"
#include "lib/record/record_message.h"
#include "lib/record/record_transaction.h"
#include "tests/support/check.h"

enum { WAIT_LIMIT_MS = 30000, POLL_MS = 10 };

static char *base_dir;
static char server_dir[512];
static char socket_path[512];
static char password_path[512];
static struct db_conn *admin; /* root */

/* Leaves no server behind. */
static void give_up(const char *what, const char *why)
{
	char command[700];

	fprintf(stderr, "%s: %s\n", what, why);
	snprintf(command, sizeof(command), "tests/support/mariadb kill %s", server_dir);
	if (system(command) != 0)
		fprintf(stderr, "the server of %s may still run\n", server_dir);
	abort();
}

#define MUST(call)                                                              \
	do {                                                                    \
		struct errinfo must_err = { ST_OK, "" };                        \
		struct errinfo *err = &must_err;                                \
		enum status must_st = (call);                                   \
		if (must_st != ST_OK)                                           \
			give_up(#call, must_err.text);                          \
	} while (0)

/* --- the server ----------------------------------------------------------------------------------------------- */

static void shell(const char *format, const char *a, const char *b)
{
	char command[2048];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(command, sizeof(command), format, a, b);
#pragma GCC diagnostic pop
	if (system(command) != 0)
		give_up("failed", command);
}

static void connect_admin(void)
{
	struct db_target target = { .socket = socket_path, .user = "root", .timeout_ms = 20000 };

	MUST(db_conn_open(&target, &admin, NULL, err));
}

static void start_server(void)
{
	char path[600];
	size_t size;

	shell("tests/support/mariadb start %s >%s", server_dir, "/dev/null");
	snprintf(path, sizeof(path), "%s/socket-path", server_dir);
	uint8_t *text = check_read_file(path, &size);
	snprintf(socket_path, sizeof(socket_path), "%.*s", (int)strcspn((const char *)text, "\n"), (const char *)text);
	free(text);
	connect_admin();
}

static void kill_server(void)
{
	db_conn_close(admin);
	admin = NULL;
	shell("tests/support/mariadb kill %s%s", server_dir, "");
}

static void sql(const char *statement)
{
	MUST(db_conn_exec_text(admin, statement, err));
}

static uint64_t sql_u64(const char *query)
{
	uint64_t value = 0;

	MUST(db_conn_query_u64(admin, span_of(query), &value, 1, err));
	return value;
}

/* Rows as text, "a|b|NULL\n". */
static enum status append_row(void *context, const struct span *cells, unsigned cell_count, struct errinfo *err)
{
	struct buffer *out = context;

	(void)err;
	for (unsigned i = 0; i < cell_count; i++) {
		buffer_append_text(out, i == 0 ? "" : "|");
		buffer_append_span(out, cells[i].data == NULL ? span_of("NULL") : cells[i]);
	}
	buffer_append_text(out, "\n");
	return ST_OK;
}

/* Caller frees. */
static char *sql_rows(const char *query)
{
	struct buffer out;

	buffer_init(&out, 0);
	MUST(db_conn_query(admin, span_of(query), append_row, &out, err));
	buffer_append(&out, "", 1);
	return (char *)out.data;
}

static void check_rows(const char *query, const char *expected)
{
	char *rows = sql_rows(query);

	CU_ASSERT_STRING_EQUAL(rows, expected);
	if (strcmp(rows, expected) != 0)
		fprintf(stderr, "%s gives\n%sinstead of\n%s", query, rows, expected);
	free(rows);
}

/* An empty op log under the accounts that the product recommends. */
static void fresh_database(void)
{
	char command[2048];

	sql("DROP DATABASE IF EXISTS escrow_oplog");
	shell("tests/support/mariadb sql %s <%s", server_dir, "sql/grants.sql");
	sql("ALTER USER 'escrow_broker'@'%' IDENTIFIED BY 'b-secret' ACCOUNT UNLOCK");
	sql("ALTER USER 'escrow_ddl'@'%' IDENTIFIED BY 'd-secret' ACCOUNT UNLOCK");
	snprintf(command, sizeof(command),
		 "%s/escrow-log migrate -o opLogMysqlSocket=%s -o opLogMysqlUser=escrow_ddl"
		 " -o opLogMysqlPassword=d-secret >/dev/null",
		 getenv("ESCROW_BUILD") ? getenv("ESCROW_BUILD") : "build", socket_path);
	if (system(command) != 0)
		give_up("failed", "escrow-log migrate");
	sql("USE escrow_oplog");
}

/* --- a log ---------------------------------------------------------------------------------------------------- */

struct test_log {
	char root[512];
	struct commitlog *log;
	uint64_t half_count;
};

static void open_log(struct test_log *t)
{
	struct commitlog_config config = {
		.root = t->root, .cluster = "test", .segment_size = 4 << 20, .ring_size = 1 << 20,
	};

	MUST(commitlog_open(&config, vfs_posix(), &t->log, err));
}

static void new_log(struct test_log *t, const char *name)
{
	*t = (struct test_log){ .half_count = 0 };
	snprintf(t->root, sizeof(t->root), "%s/%s", base_dir, name);
	open_log(t);
}

static void flush(struct test_log *t)
{
	struct log_prepare_job prepare;
	struct log_flush_job job;

	while (commitlog_take_prepare(t->log, &prepare)) {
		log_prepare_run(&prepare);
		MUST(commitlog_prepare_done(t->log, &prepare, err));
	}
	while (commitlog_take_flush(t->log, true, &job)) {
		log_flush_run(&job);
		MUST(commitlog_flush_done(t->log, &job, err));
	}
}

static void close_log(struct test_log *t)
{
	flush(t);
	MUST(commitlog_close(t->log, true, err));
	t->log = NULL;
}

static uint8_t *begin_record(struct test_log *t, enum log_kind kind, size_t size, uint64_t *offset_out)
{
	uint8_t *payload = commitlog_begin(t->log, kind, size, offset_out);

	if (payload == NULL) {
		flush(t);
		payload = commitlog_begin(t->log, kind, size, offset_out);
	}
	if (payload == NULL)
		give_up("test log", "no room");
	return payload;
}

struct test_txn {
	uint64_t offset;
	uint64_t n;
	int64_t created_ms;
	char id[256];
};

static const int64_t day_ms = 86400000;
static const int64_t noon = 1764072000000; /* 2025-11-25 12:00:00 */

static struct test_txn put_half(struct test_log *t, const char *id, int64_t created_ms)
{
	struct test_txn txn = { .n = t->half_count++, .created_ms = created_ms };
	struct record_half half = {
		.half_queue_offset = txn.n, .store_time_ms = created_ms, .immunity_ms = -1, .queue_id = 3,
		.topic = SPAN_LITERAL("orders"), .group = SPAN_LITERAL("order-service"), .transaction_id = span_of(id),
		.unique_key = span_of(id), .client_id = SPAN_LITERAL("client-1"), .global = { SPAN_NONE, 0, 1 },
		.message = SPAN_LITERAL("0123456789"),
	};

	snprintf(txn.id, sizeof(txn.id), "%s", id);
	record_half_encode(&half, begin_record(t, LOG_HALF, record_half_size(&half), &txn.offset));
	(void)commitlog_commit(t->log);
	return txn;
}

struct verdict {
	enum record_outcome outcome;
	enum record_who who;
	const char *who_text;
	const char *reason;
	int64_t after_ms;
	uint32_t checks;
	int64_t deliver_at_ms;
};

static uint64_t put_decision(struct test_log *t, const struct test_txn *txn, struct verdict verdict)
{
	uint64_t offset;
	struct record_decision decision = {
		.half_offset = txn->offset, .half_queue_offset = txn->n, .half_store_time_ms = txn->created_ms,
		.body_offset = txn->offset, .message_size = 10, .message_delta = 100, .outcome = verdict.outcome,
		.who = verdict.who, .when_ms = txn->created_ms + verdict.after_ms, .answered_checks = verdict.checks,
		.queue_offset = 40 + txn->n, .deliver_at_ms = verdict.deliver_at_ms, .queue_id = 3,
		.topic = SPAN_LITERAL("orders"), .group = SPAN_LITERAL("order-service"),
		.transaction_id = span_of(txn->id), .who_text = span_of(verdict.who_text ? verdict.who_text : ""),
		.reason = span_of(verdict.reason ? verdict.reason : ""), .global = { SPAN_NONE, 0, 1 },
	};

	record_decision_encode(&decision, begin_record(t, LOG_DECISION, record_decision_size(&decision), &offset));
	(void)commitlog_commit(t->log);
	return offset;
}

static void put_checks(struct test_log *t, const struct test_txn *txn, uint32_t answered, int64_t after_ms)
{
	struct record_check checks[2] = {
		{ txn->offset, txn->n, answered, answered - 1, CHECK_ASKED, txn->created_ms + after_ms,
		  SPAN_LITERAL("client-2") },
		{ txn->offset, txn->n, answered, answered, CHECK_ANSWERED_UNKNOWN, txn->created_ms + after_ms + 5,
		  SPAN_LITERAL("client-2") },
	};
	uint64_t offset;

	record_checks_encode(checks, 2, begin_record(t, LOG_CHECK, record_checks_size(checks, 2), &offset));
	(void)commitlog_commit(t->log);
}

static void put_conflict(struct test_log *t, const struct test_txn *txn, int64_t after_ms)
{
	struct record_conflict conflict = {
		.half_offset = txn->offset, .half_queue_offset = txn->n, .decision_offset = txn->offset + 1,
		.asked = OUTCOME_ROLLBACK, .who = WHO_PRODUCER, .decided = OUTCOME_COMMIT,
		.when_ms = txn->created_ms + after_ms, .suppressed = 4, .group = SPAN_LITERAL("order-service"),
		.transaction_id = span_of(txn->id), .who_text = SPAN_LITERAL("client-1"), .global = { SPAN_NONE, 0, 1 },
	};
	uint64_t offset;

	record_conflict_encode(&conflict, begin_record(t, LOG_CONFLICT, record_conflict_size(&conflict), &offset));
	(void)commitlog_commit(t->log);
}

static void put_many(struct test_log *t, unsigned count, int64_t created_ms)
{
	char id[64];

	for (unsigned i = 0; i < count; i++) {
		snprintf(id, sizeof(id), "7F0000010000%08X%012u", (unsigned)t->half_count, i);
		struct test_txn txn = put_half(t, id, created_ms);
		put_decision(t, &txn, (struct verdict){ i % 10 == 9 ? OUTCOME_ROLLBACK : OUTCOME_COMMIT, WHO_PRODUCER,
							"client-1", NULL, 7, 0, 0 });
	}
	flush(t);
}

/* --- the projector -------------------------------------------------------------------------------------------- */

struct oplog_config_holder {
	struct oplog_config oplog;
};

static struct oplog_config broker_options(void)
{
	static const struct config_option options[] = { OPLOG_CONFIG_OPTIONS(struct oplog_config_holder, oplog) };
	static const struct config_spec spec = { "test", options, sizeof(options) / sizeof(options[0]), NULL };
	struct oplog_config_holder holder;

	config_init(&spec, &holder);
	strcpy(holder.oplog.socket, socket_path);
	strcpy(holder.oplog.password_file, password_path);
	holder.oplog.enable = true;
	holder.oplog.prepared_after_ms = 50;
	holder.oplog.retry_max_ms = 200;
	holder.oplog.timeout_ms = 5000;
	return holder.oplog;
}

static struct oplog_projector *start_projector(struct test_log *t, const struct oplog_config *config)
{
	struct oplog_projector *projector;

	MUST(oplog_projector_start(config, t->root, "broker-a", commitlog_durable(t->log), &projector, err));
	return projector;
}

static struct oplog_status status_of(struct oplog_projector *projector)
{
	struct oplog_status status;

	oplog_projector_status(projector, &status);
	return status;
}

/* Waits for the cursor to reach the log's end. */
static void wait_projected(struct test_log *t, struct oplog_projector *projector)
{
	for (int waited = 0; status_of(projector).cursor < commitlog_durable(t->log); waited += POLL_MS) {
		if (waited > WAIT_LIMIT_MS || status_of(projector).state == OPLOG_STOPPED)
			give_up("not projected", status_of(projector).last_error);
		usleep(POLL_MS * 1000);
	}
}

static bool wait_stopped(struct oplog_projector *projector)
{
	for (int waited = 0; waited < WAIT_LIMIT_MS; waited += POLL_MS) {
		if (status_of(projector).state == OPLOG_STOPPED)
			return true;
		usleep(POLL_MS * 1000);
	}
	return false;
}

static bool wait_error(struct oplog_projector *projector, const char *part)
{
	for (int waited = 0; waited < WAIT_LIMIT_MS; waited += POLL_MS) {
		if (strstr(status_of(projector).last_error, part) != NULL)
			return true;
		usleep(POLL_MS * 1000);
	}
	fprintf(stderr, "no '%s' in: %s\n", part, status_of(projector).last_error);
	return false;
}

static void project_once(struct test_log *t)
{
	struct oplog_config config = broker_options();
	struct oplog_projector *projector = start_projector(t, &config);

	wait_projected(t, projector);
	oplog_projector_stop(projector, 5000);
}

/* Everything in the tables but the times of projecting, for comparisons. */
static char *all_rows(void)
{
	return sql_rows("SELECT * FROM v_transactions ORDER BY log_no, half_offset");
}

/* --- the story of some transactions ---------------------------------------------------------------------------- */

static const char strange_id[] = "'; DROP TABLE txn; -- \\ \xff \xe4\xb8\xad";

static void put_story(struct test_log *t)
{
	struct test_txn committed = put_half(t, "committed", noon);
	struct test_txn rolled_back = put_half(t, "rolled-back", noon + 1);
	struct test_txn checked = put_half(t, "checked", noon + 2);
	struct test_txn parked = put_half(t, "parked", noon + 3);
	struct test_txn resumed = put_half(t, "resumed", noon + 4);
	struct test_txn open = put_half(t, "open", noon + 5);
	struct test_txn delayed = put_half(t, "delayed", noon + day_ms);
	struct test_txn strange = put_half(t, strange_id, noon + day_ms + 1);

	put_decision(t, &committed, (struct verdict){ OUTCOME_COMMIT, WHO_PRODUCER, "client-1", NULL, 7, 0, 0 });
	put_decision(t, &rolled_back, (struct verdict){ OUTCOME_ROLLBACK, WHO_PRODUCER, "", NULL, 9, 0, 0 });
	put_conflict(t, &committed, 100);
	put_checks(t, &checked, 1, 6000);
	put_checks(t, &parked, 1, 6000);
	put_checks(t, &open, 1, 6000);
	put_decision(t, &checked,
		     (struct verdict){ OUTCOME_COMMIT, WHO_CHECKBACK, "client-2", NULL, 36000, 1, 0 });
	put_decision(t, &parked,
		     (struct verdict){ OUTCOME_PARK, WHO_POLICY, "", "15 checks answered unknown", 40000, 15, 0 });
	put_decision(t, &resumed, (struct verdict){ OUTCOME_PARK, WHO_OPERATOR, "ann", "ticket 7", 41000, 0, 0 });
	put_decision(t, &resumed, (struct verdict){ OUTCOME_RESUME, WHO_OPERATOR, "ann", NULL, 42000, 0, 0 });
	put_decision(t, &delayed, (struct verdict){ OUTCOME_COMMIT, WHO_PRODUCER, "client-1", NULL, 1, 0,
						    noon + 2 * day_ms });
	put_decision(t, &strange, (struct verdict){ OUTCOME_COMMIT, WHO_PRODUCER, "\xfe" "client", NULL, 1, 0, 0 });
	flush(t);
}

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
		 getenv("ESCROW_BUILD") ? getenv("ESCROW_BUILD") : "build", root);
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

/* --- trouble -------------------------------------------------------------------------------------------------- */

static void check_complete(struct test_log *log, uint64_t txn_count)
{
	char query[200];

	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn"), txn_count);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(DISTINCT half_offset) FROM txn"), txn_count);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn WHERE state = 3"), txn_count / 10);
	snprintf(query, sizeof(query), "SELECT COUNT(*) FROM broker_log WHERE cursor_position = %" PRIu64,
		 commitlog_durable(log->log));
	CU_ASSERT_EQUAL(sql_u64(query), 1);
}

static void test_mysql_is_killed_while_writing(void)
{
	struct oplog_config config = broker_options();
	struct test_log log;

	fresh_database();
	new_log(&log, "killed");
	config.batch_max = 200;
	struct oplog_projector *projector = start_projector(&log, &config);
	for (int round = 0; round < 3; round++) {
		uint64_t batches = status_of(projector).batch_count;
		put_many(&log, 4000, noon);
		oplog_projector_advance(projector, commitlog_durable(log.log));
		for (int waited = 0; status_of(projector).batch_count < batches + 5; waited++) {
			if (waited > WAIT_LIMIT_MS)
				give_up("not projected", status_of(projector).last_error);
			usleep(1000);
		}
		kill_server();
		put_many(&log, 1000, noon);
		oplog_projector_advance(projector, commitlog_durable(log.log));
		start_server();
		sql("USE escrow_oplog");
	}
	wait_projected(&log, projector);
	CU_ASSERT(status_of(projector).failure_count > 0);
	CU_ASSERT_STRING_EQUAL(status_of(projector).last_error, "");
	oplog_projector_stop(projector, 5000);
	check_complete(&log, 15000);
	close_log(&log);
}

/* Stands between a projector and the server, and loses a COMMIT or the answer to one when it is told to. */
enum relay_order { PASS_ON, LOSE_COMMIT, LOSE_ANSWER };

struct relay {
	char path[600];
	int listener;
	pthread_t thread;
	atomic_int order; /* For the next COMMIT. */
	atomic_int lost;
};

static int socket_at(const char *path, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(address->sun_path, sizeof(address->sun_path), "%.107s", path);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/* One chunk; false: the connection is to end. */
static bool pass_on(struct relay *relay, int from, int to, bool is_request)
{
	static char bytes[1 << 20];
	ssize_t size = recv(from, bytes, sizeof(bytes), 0);
	int order = PASS_ON;

	if (size > 0 && is_request && memmem(bytes, (size_t)size, "COMMIT", 6) != NULL)
		order = atomic_exchange(&relay->order, PASS_ON);
	if (size <= 0 || (order != LOSE_COMMIT && send(to, bytes, (size_t)size, MSG_NOSIGNAL) != size))
		return false;
	if (order == LOSE_ANSWER && recv(to, bytes, sizeof(bytes), 0) <= 0) /* It has happened. */
		return false;
	atomic_fetch_add(&relay->lost, order != PASS_ON);
	return order == PASS_ON;
}

static void *relay_main(void *context)
{
	struct relay *relay = context;
	struct sockaddr_un address;

	for (int client; (client = accept(relay->listener, NULL, NULL)) >= 0; close(client)) {
		int server = socket_at(socket_path, &address);
		bool goes_on = connect(server, (struct sockaddr *)&address, sizeof(address)) == 0;

		while (goes_on) {
			struct pollfd ready[] = { { client, POLLIN, 0 }, { server, POLLIN, 0 } };

			goes_on = poll(ready, 2, -1) > 0;
			if (goes_on && ready[0].revents != 0)
				goes_on = pass_on(relay, client, server, true);
			if (goes_on && ready[1].revents != 0)
				goes_on = pass_on(relay, server, client, false);
		}
		close(server);
	}
	return NULL;
}

static void start_relay(struct relay *relay)
{
	struct sockaddr_un address;

	*relay = (struct relay){ .lost = 0 };
	snprintf(relay->path, sizeof(relay->path), "%s/relay", base_dir);
	unlink(relay->path);
	relay->listener = socket_at(relay->path, &address);
	if (bind(relay->listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(relay->listener, 8) != 0 ||
	    pthread_create(&relay->thread, NULL, relay_main, relay) != 0)
		give_up("relay", relay->path);
}

static void stop_relay(struct relay *relay)
{
	shutdown(relay->listener, SHUT_RDWR);
	pthread_join(relay->thread, NULL);
	close(relay->listener);
}

/* Whether it happened is seen by the cursor: that it stands where it stood, or further than was known, is our own work, not
 * another projector's, and needs no new claim. */
static void test_a_commit_without_an_answer_has_happened_or_not(void)
{
	struct oplog_config config = broker_options();
	struct relay relay;
	struct test_log log;

	fresh_database();
	new_log(&log, "answer");
	start_relay(&relay);
	strcpy(config.socket, relay.path);
	put_many(&log, 100, noon);
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_projected(&log, projector);
	uint64_t epoch = sql_u64("SELECT cursor_epoch FROM broker_log");
	for (int round = 1; round <= 4; round++) {
		atomic_store(&relay.order, round % 2 == 0 ? LOSE_COMMIT : LOSE_ANSWER);
		put_many(&log, 100, noon);
		oplog_projector_advance(projector, commitlog_durable(log.log));
		wait_projected(&log, projector);
		CU_ASSERT_EQUAL(atomic_load(&relay.lost), round);
	}
	CU_ASSERT_EQUAL(sql_u64("SELECT cursor_epoch FROM broker_log"), epoch);
	oplog_projector_stop(projector, 5000);
	check_complete(&log, 500);
	stop_relay(&relay);
	close_log(&log);
}

static void test_the_broker_is_not_held_up_by_a_server_that_hangs(void)
{
	struct oplog_config config = broker_options();
	char command[600];
	struct test_log log;

	fresh_database();
	new_log(&log, "hangs");
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_projected(&log, projector);
	snprintf(command, sizeof(command), "kill -STOP $(cat %s/pid)", server_dir);
	CU_ASSERT_EQUAL_FATAL(system(command), 0);
	put_many(&log, 100, noon);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	usleep(100 * 1000);
	int64_t begin = clock_mono_ms(clock_system());
	oplog_projector_stop(projector, 500);
	/* Far below the server's own limit of 5 s; the process must be able to end. */
	CU_ASSERT(clock_mono_ms(clock_system()) - begin < 4000);
	snprintf(command, sizeof(command), "kill -CONT $(cat %s/pid)", server_dir);
	CU_ASSERT_EQUAL_FATAL(system(command), 0);
	project_once(&log);
	check_complete(&log, 100);
	close_log(&log);
}

static void test_a_second_projector_takes_over_and_the_first_stops(void)
{
	struct oplog_config config = broker_options();
	struct test_log log;

	fresh_database();
	new_log(&log, "second");
	put_many(&log, 100, noon);
	struct oplog_projector *first = start_projector(&log, &config);
	wait_projected(&log, first);
	struct oplog_projector *second = start_projector(&log, &config);
	wait_projected(&log, second);
	put_many(&log, 100, noon);
	oplog_projector_advance(first, commitlog_durable(log.log));
	CU_ASSERT_TRUE(wait_stopped(first));
	CU_ASSERT_PTR_NOT_NULL(strstr(status_of(first).last_error, "another projector"));
	oplog_projector_advance(second, commitlog_durable(log.log));
	wait_projected(&log, second);
	CU_ASSERT_NOT_EQUAL(status_of(second).state, OPLOG_STOPPED);
	oplog_projector_stop(first, 1000);
	oplog_projector_stop(second, 1000);
	check_complete(&log, 200);
	close_log(&log);
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
	flush(&log);
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
	flush(&log);
	project_once(&log);
	check_rows("SELECT transaction_id, state, decided_by, checks FROM v_transactions", "late|committed|operator|2\n");
	CU_ASSERT_EQUAL(sql_u64("SELECT state_offset FROM txn"), decision);
	close_log(&log);
}

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

static void wait_rows(uint64_t count)
{
	for (int waited = 0; sql_u64("SELECT COUNT(*) FROM txn") < count; waited += POLL_MS) {
		if (waited > WAIT_LIMIT_MS)
			give_up("too few rows", "txn");
		usleep(POLL_MS * 1000);
	}
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
	flush(&log);
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
	flush(&log);
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_rows(42);
	oplog_projector_stop(projector, 5000);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM v_transactions WHERE transaction_id <= 'open-41'"), 42);
	project_once(&log);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM v_transactions WHERE state = 'prepared'"), 50);
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
	flush(&log);
	project_once(&log);
	check_rows(columns, "prepared|NULL|NULL|NULL|NULL|0|NULL|NULL\nprepared|NULL|NULL|NULL|NULL|0|NULL|NULL\n");
	put_decision(&log, &first, (struct verdict){ OUTCOME_PARK, WHO_OPERATOR, "ann", "ticket 7", 1000, 2, 0 });
	put_decision(&log, &second, (struct verdict){ OUTCOME_PARK, WHO_OPERATOR, "bob", "ticket 8", 1000, 3, 0 });
	flush(&log);
	project_once(&log);
	check_rows(columns, "parked|operator|ann|2025-11-25 12:00:01.000|ticket 7|2|NULL|NULL\n"
			    "parked|operator|bob|2025-11-25 12:00:01.000|ticket 8|3|NULL|NULL\n");
	put_decision(&log, &first, (struct verdict){ OUTCOME_COMMIT, WHO_CHECKBACK, "client-2", NULL, 2000, 4, 0 });
	put_decision(&log, &second, (struct verdict){ OUTCOME_COMMIT, WHO_PRODUCER, "client-1", NULL, 3000, 5, noon + day_ms });
	flush(&log);
	project_once(&log);
	check_rows(columns, "committed|check-back|client-2|2025-11-25 12:00:02.000|NULL|4|40|NULL\n"
			    "committed|producer|client-1|2025-11-25 12:00:03.000|NULL|5|NULL|2025-11-26 12:00:00.000\n");
	close_log(&log);
}

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
	flush(&log);
	size_t size = record_checks_size(checks, RECORD_CHECKS_MAX);
	record_checks_encode(checks, RECORD_CHECKS_MAX, begin_record(&log, LOG_CHECK, size, &offset));
	(void)commitlog_commit(log.log);
	flush(&log);
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

/* Whoever claims the cursor while another one does is told so by the row, and reads it again. */
static void test_a_claim_that_another_one_won_is_made_anew(void)
{
	struct oplog_config config = broker_options();
	struct test_log log;

	fresh_database();
	new_log(&log, "claims");
	put_many(&log, 10, noon);
	project_once(&log);
	uint64_t epoch = sql_u64("SELECT cursor_epoch FROM broker_log");
	sql("START TRANSACTION");
	sql("UPDATE broker_log SET cursor_epoch = cursor_epoch + 1");
	put_many(&log, 10, noon);
	struct oplog_projector *projector = start_projector(&log, &config);
	usleep(500 * 1000); /* It waits for the row. */
	sql("COMMIT");
	wait_projected(&log, projector);
	oplog_projector_stop(projector, 5000);
	CU_ASSERT_EQUAL(sql_u64("SELECT cursor_epoch FROM broker_log"), epoch + 2);
	check_complete(&log, 20);
	close_log(&log);
}

/* A server may come back with other numbers for the names: they are asked for again. */
static void test_names_are_looked_up_again_after_a_reconnection(void)
{
	struct oplog_config config = broker_options();
	struct test_log log;

	fresh_database();
	new_log(&log, "names");
	put_many(&log, 100, noon);
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_projected(&log, projector);
	sql("DELETE FROM txn");
	sql("UPDATE topic_name SET id = id + 100");
	sql("UPDATE broker_log SET cursor_position = 0");
	put_many(&log, 100, noon);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	wait_projected(&log, projector);
	oplog_projector_stop(projector, 5000);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn JOIN topic_name ON id = topic_id WHERE name = 'orders'"), 200);
	close_log(&log);
}

/* An open half holds the cursor where it is: that it has not moved says nothing of a batch whose fate is unknown. */
static void test_a_batch_behind_an_open_half_is_not_lost(void)
{
	struct oplog_config config = broker_options();
	int64_t now = clock_wall_ms(clock_system());
	struct test_log log;

	fresh_database();
	new_log(&log, "behind");
	config.prepared_after_ms = 3600 * 1000;
	struct test_txn open = put_half(&log, "open", now);
	put_many(&log, 10, now);
	struct oplog_projector *projector = start_projector(&log, &config);
	for (int waited = 0; status_of(projector).cursor < open.offset && waited < WAIT_LIMIT_MS; waited += POLL_MS)
		usleep(POLL_MS * 1000);
	wait_rows(10);
	kill_server();
	put_many(&log, 10, now);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	for (int waited = 0; status_of(projector).failure_count == 0 && waited < WAIT_LIMIT_MS; waited += POLL_MS)
		usleep(POLL_MS * 1000);
	start_server();
	sql("USE escrow_oplog");
	put_many(&log, 10, now);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	wait_rows(30);
	CU_ASSERT_EQUAL(sql_u64("SELECT cursor_position FROM broker_log"), open.offset);
	oplog_projector_stop(projector, 5000);
	close_log(&log);
}

/* Within its grace a stop waits until all that is durable has its rows. */
static void test_a_stop_leaves_nothing_to_the_next_start(void)
{
	struct oplog_config config = broker_options();
	struct test_log log;

	fresh_database();
	new_log(&log, "stop");
	put_many(&log, 3000, noon);
	config.batch_max = 100;
	oplog_projector_stop(start_projector(&log, &config), 20000);
	check_complete(&log, 3000);
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
	flush(&log);
	project_once(&log);
	check_rows("SELECT CHAR_LENGTH(transaction_id), RIGHT(transaction_id, 2), CHAR_LENGTH(decider), RIGHT(decider, 2),"
		   " CHAR_LENGTH(reason), RIGHT(reason, 2) FROM v_transactions",
		   "128|i\xe2\x80\xa6|255|w\xe2\x80\xa6|255|r\xe2\x80\xa6\n");
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
	flush(&log);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	wait_projected(&log, projector);
	check_rows("SELECT transaction_id, state FROM v_transactions", "open|prepared\n");
	record_message_encode(&message, begin_record(&log, LOG_MESSAGE, record_message_size(&message), &offset));
	(void)commitlog_commit(log.log);
	flush(&log);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	wait_projected(&log, projector);
	oplog_projector_stop(projector, 5000);
	CU_ASSERT_EQUAL(sql_u64("SELECT cursor_position FROM broker_log"), commitlog_durable(log.log));
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
	flush(&log);
	project_once(&log);
	check_rows("SELECT topic, producer_group, decider FROM v_transactions", "same|same|same\n");
	close_log(&log);
}

/* A row that somebody holds is waited for by the server, for less than we wait for the server: the answer is not lost. */
static void test_a_lock_ends_before_the_connection_does(void)
{
	struct oplog_config config = broker_options();
	struct test_log log;

	fresh_database();
	new_log(&log, "locked");
	put_many(&log, 10, noon);
	config.timeout_ms = 2000;
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_projected(&log, projector);
	sql("START TRANSACTION");
	sql("UPDATE broker_log SET writer = 'nobody'");
	put_many(&log, 10, noon);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	CU_ASSERT_TRUE(wait_error(projector, "Lock wait timeout"));
	sql("ROLLBACK");
	wait_projected(&log, projector);
	oplog_projector_stop(projector, 5000);
	check_complete(&log, 20);
	close_log(&log);
}

static int64_t pause_after_failure(struct oplog_projector *p)
{
	struct errinfo err = { ST_IO, "lost" };
	int64_t pause_ms = -1;

	CU_ASSERT_TRUE(oplog_projector_after_failure(p, ST_IO, &err, &pause_ms));
	return pause_ms;
}

/* Up to the limit; short again after a success. */
static void test_pauses_double(void)
{
	static const int64_t pauses[] = { 100, 200, 400, 800, 1500, 1500, 1500 };
	struct oplog_config config = broker_options();
	struct test_log log;

	fresh_database();
	new_log(&log, "pauses");
	put_many(&log, 10, noon);
	config.retry_max_ms = 1500;
	struct oplog_projector *p = oplog_projector_create(&config, log.root, "broker-a", commitlog_durable(log.log));
	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++)
		CU_ASSERT_EQUAL(pause_after_failure(p), pauses[i]);
	for (int64_t sleep_ms = 0; sleep_ms == 0;)
		MUST(oplog_projector_turn(p, &sleep_ms, err));
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn"), 10);
	CU_ASSERT_EQUAL(pause_after_failure(p), 100);
	oplog_projector_destroy(p);
	close_log(&log);
}

/* Somebody deletes rows and sets the cursor back under a live projector: it notices, and goes on from there. */
static void test_a_cursor_set_back_by_hand_is_followed(void)
{
	struct oplog_config config = broker_options();
	struct test_log log;

	fresh_database();
	new_log(&log, "back");
	put_many(&log, 100, noon);
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_projected(&log, projector);
	sql("DELETE FROM txn");
	sql("UPDATE broker_log SET cursor_position = 0");
	put_many(&log, 100, noon);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	wait_projected(&log, projector);
	oplog_projector_stop(projector, 5000);
	check_complete(&log, 200);
	close_log(&log);
}

static void test_an_emptied_server_is_filled_again(void)
{
	struct oplog_config config = broker_options();
	struct test_log log;

	fresh_database();
	new_log(&log, "emptied");
	put_many(&log, 1000, noon);
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_projected(&log, projector);
	sql("DROP DATABASE escrow_oplog");
	put_many(&log, 1000, noon);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	CU_ASSERT_TRUE(wait_error(projector, "MySQL"));
	fresh_database();
	for (int waited = 0; sql_u64("SELECT COUNT(*) FROM txn") < 2000 && waited < WAIT_LIMIT_MS; waited += POLL_MS)
		usleep(POLL_MS * 1000);
	oplog_projector_stop(projector, 5000);
	check_complete(&log, 2000);
	close_log(&log);
}

static void test_a_read_only_server_and_another_schema_are_waited_out(void)
{
	struct oplog_config config = broker_options();
	struct test_log log;

	fresh_database();
	new_log(&log, "waits");
	sql("SET GLOBAL read_only = 1");
	put_many(&log, 100, noon);
	struct oplog_projector *projector = start_projector(&log, &config);
	CU_ASSERT_TRUE(wait_error(projector, "read-only"));
	sql("SET GLOBAL read_only = 0");
	wait_projected(&log, projector);
	oplog_projector_stop(projector, 1000);
	sql("INSERT INTO schema_migration (version, name, statements_done, finished_at, applied_by)"
	    " VALUES (999, 'future', 1, UTC_TIMESTAMP(), 'test')");
	put_many(&log, 100, noon);
	projector = start_projector(&log, &config);
	CU_ASSERT_TRUE(wait_error(projector, "newer than this program"));
	sql("DELETE FROM schema_migration WHERE version = 999");
	wait_projected(&log, projector);
	oplog_projector_stop(projector, 1000);
	check_complete(&log, 200);
	/* One that is being migrated. */
	sql("UPDATE schema_migration SET finished_at = NULL ORDER BY version DESC LIMIT 1");
	projector = start_projector(&log, &config);
	CU_ASSERT_TRUE(wait_error(projector, "unfinished"));
	oplog_projector_stop(projector, 1000);
	close_log(&log);
}

static void test_a_cursor_ahead_of_the_log_stops_the_projector(void)
{
	struct oplog_config config = broker_options();
	struct test_log log;

	fresh_database();
	new_log(&log, "ahead");
	put_many(&log, 10, noon);
	project_once(&log);
	sql("UPDATE broker_log SET cursor_position = cursor_position + 1000000");
	struct oplog_projector *projector = start_projector(&log, &config);
	CU_ASSERT_TRUE(wait_stopped(projector));
	CU_ASSERT_PTR_NOT_NULL(strstr(status_of(projector).last_error, "ahead of the log"));
	oplog_projector_stop(projector, 1000);
	close_log(&log);
}

/* Flips one byte of the first segment, where the log's offsets are the file's. */
static void damage(struct test_log *log, uint64_t offset)
{
	char path[1024];
	uint8_t byte;

	snprintf(path, sizeof(path), "%s/commitlog/%020d", log->root, 0);
	FILE *file = fopen(path, "r+b");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_EQUAL(fseek(file, (long)offset, SEEK_SET), 0);
	CU_ASSERT_EQUAL(fread(&byte, 1, 1, file), 1);
	byte ^= 0x40;
	CU_ASSERT_EQUAL(fseek(file, -1, SEEK_CUR), 0);
	CU_ASSERT_EQUAL(fwrite(&byte, 1, 1, file), 1);
	CU_ASSERT_EQUAL(fclose(file), 0);
}

static void test_a_damaged_log_stops_the_projector_and_is_found_by_check(void)
{
	struct oplog_config config = broker_options();
	char command[1200];
	struct test_log log;

	fresh_database();
	new_log(&log, "damaged");
	put_many(&log, 100, noon);
	struct test_txn victim = put_half(&log, "victim", noon);
	put_many(&log, 100, noon);
	close_log(&log);
	open_log(&log);
	snprintf(command, sizeof(command), "%s/escrow-log check %s >/dev/null 2>&1",
		 getenv("ESCROW_BUILD") ? getenv("ESCROW_BUILD") : "build", log.root);
	CU_ASSERT_EQUAL(system(command), 0);
	damage(&log, victim.offset + 60);
	CU_ASSERT_NOT_EQUAL(system(command), 0);
	struct oplog_projector *projector = start_projector(&log, &config);
	CU_ASSERT_TRUE(wait_stopped(projector));
	CU_ASSERT_PTR_NOT_NULL(strstr(status_of(projector).last_error, "read the log at"));
	oplog_projector_stop(projector, 1000);
	close_log(&log);
}

static void test_a_gap_in_the_log_is_passed_and_noted(void)
{
	char command[600];
	struct test_log log;

	fresh_database();
	new_log(&log, "gap");
	put_many(&log, 10, noon);
	project_once(&log);
	put_many(&log, 25000, noon);
	/* What retention does to a log whose op log was off for too long. */
	snprintf(command, sizeof(command), "rm %s/commitlog/%020d", log.root, 0);
	CU_ASSERT_EQUAL_FATAL(system(command), 0);
	project_once(&log);
	uint64_t count = sql_u64("SELECT COUNT(*) FROM txn");
	CU_ASSERT(count > 10 && count < 25010);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM broker_log WHERE skipped_bytes > 1000000"), 1);
	close_log(&log);
}

/* The same while it reads: the segment under its hands goes, and the one behind. */
static void test_a_projector_that_is_overtaken_goes_on(void)
{
	struct oplog_config config = broker_options();
	char command[600];
	struct test_log log;

	fresh_database();
	new_log(&log, "overtaken");
	put_many(&log, 10, noon);
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_projected(&log, projector);
	put_many(&log, 25000, noon);
	snprintf(command, sizeof(command), "cd %s/commitlog && rm $(ls | head -2)", log.root);
	CU_ASSERT_EQUAL_FATAL(system(command), 0);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	wait_projected(&log, projector);
	CU_ASSERT_NOT_EQUAL(status_of(projector).state, OPLOG_STOPPED);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM broker_log WHERE skipped_bytes > 1000000"), 1);
	oplog_projector_stop(projector, 1000);
	close_log(&log);
}

/* Runs escrow-log and gives what it wrote to standard error; caller frees. */
static char *escrow_log_complaint(const char *arguments, int *exit_status_out)
{
	char command[1200], path[600];
	size_t size;

	snprintf(path, sizeof(path), "%s/complaint", base_dir);
	snprintf(command, sizeof(command), "%s/escrow-log %s >/dev/null 2>%s",
		 getenv("ESCROW_BUILD") ? getenv("ESCROW_BUILD") : "build", arguments, path);
	*exit_status_out = system(command);
	char *bytes = (char *)check_read_file(path, &size), *text = strndup(bytes, size);
	free(bytes);
	return text;
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

static int migrate(char **complaint_out)
{
	char arguments[700];
	int exit_status;

	snprintf(arguments, sizeof(arguments),
		 "migrate -o opLogMysqlSocket=%s -o opLogMysqlUser=escrow_ddl -o opLogMysqlPassword=d-secret", socket_path);
	*complaint_out = escrow_log_complaint(arguments, &exit_status);
	return exit_status;
}

/* A migration goes on behind the last statement that was done, and leaves a newer program's schema alone. */
static void test_a_migration_goes_on_where_it_stopped(void)
{
	char *complaint;

	fresh_database();
	sql("UPDATE schema_migration SET finished_at = NULL ORDER BY version DESC LIMIT 1");
	CU_ASSERT_EQUAL(migrate(&complaint), 0);
	free(complaint);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM schema_migration WHERE finished_at IS NULL"), 0);
	/* The one that was cut short is finished, and those behind it are made from their first statement on. */
	sql("DELETE FROM schema_migration WHERE version > 2");
	sql("UPDATE schema_migration SET finished_at = NULL, statements_done = 3 WHERE version = 2");
	sql("DROP PROCEDURE add_partitions");
	sql("DROP VIEW v_brokers");
	CU_ASSERT_EQUAL(migrate(&complaint), 0);
	free(complaint);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM v_brokers"), 0);
	sql("CALL maintain_partitions(7, 0)");
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM schema_migration WHERE finished_at IS NULL"), 0);
	sql("INSERT INTO schema_migration (version, name, statements_done, finished_at, applied_by)"
	    " VALUES (999, 'future', 1, UTC_TIMESTAMP(), 'test')");
	CU_ASSERT_NOT_EQUAL(migrate(&complaint), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(complaint, "newer than this program"));
	free(complaint);
}

static void test_rows_of_other_days_find_their_partition(void)
{
	struct test_log log;
	int64_t today = clock_wall_ms(clock_system());

	fresh_database();
	new_log(&log, "days");
	for (int day = -3; day <= 20; day++) {
		char id[32];
		snprintf(id, sizeof(id), "day%d", day);
		struct test_txn txn = put_half(&log, id, today + day * day_ms);
		put_decision(&log, &txn, (struct verdict){ OUTCOME_COMMIT, WHO_PRODUCER, "c", NULL, 1, 0, 0 });
	}
	flush(&log);
	project_once(&log);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn"), 24);
	/* Seven days ahead have partitions; the rest is in p_max until its day comes near. */
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn PARTITION (p_max)"), 13);
	sql("CALL maintain_partitions(30, 2)");
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn PARTITION (p_max)"), 0);
	/* The first partition, today's, holds what was older when it was made. */
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn"), 24);
	close_log(&log);
}

static void put_row(int days_ago, const char *state)
{
	char statement[400];

	snprintf(statement, sizeof(statement),
		 "INSERT INTO txn (log_no, half_offset, created_at, half_queue_offset, transaction_id, group_id, topic_id, queue_id,"
		 " size, state, decided_by, checks, state_offset) VALUES (1, %d, UTC_TIMESTAMP() - INTERVAL %d DAY, 0, '', 1, 1, 0, 0,"
		 " %s, 0, 0, 0)", days_ago, days_ago, state);
	sql(statement);
}

/* What is open, parked ones among it, is kept, however old; so are the days within the retention. */
static void test_old_days_go_but_for_what_is_open(void)
{
	fresh_database();
	put_row(10, "2"); /* Committed. */
	put_row(9, "4");  /* Parked. */
	put_row(8, "1");  /* Prepared. */
	put_row(7, "3");  /* Rolled back. */
	put_row(5, "2");
	put_row(4, "2");
	sql("CALL maintain_partitions(7, 0)");
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn"), 6);
	sql("CALL maintain_partitions(7, 5)");
	check_rows("SELECT half_offset FROM txn ORDER BY half_offset DESC", "9\n8\n5\n4\n");
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

static void write_password(void)
{
	FILE *file = fopen(password_path, "w");

	if (file == NULL || fputs("b-secret\n", file) < 0 || fclose(file) != 0)
		abort();
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_exact_rows),
		CHECK_TEST(test_two_brokers_of_one_database_keep_their_stories_apart),
		CHECK_TEST(test_escrow_log_tells_the_same),
		CHECK_TEST(test_mysql_is_killed_while_writing),
		CHECK_TEST(test_a_commit_without_an_answer_has_happened_or_not),
		CHECK_TEST(test_the_broker_is_not_held_up_by_a_server_that_hangs),
		CHECK_TEST(test_a_second_projector_takes_over_and_the_first_stops),
		CHECK_TEST(test_a_replay_changes_nothing),
		CHECK_TEST(test_an_old_state_does_not_replace_a_newer_one),
		CHECK_TEST(test_only_what_is_durable_is_projected),
		CHECK_TEST(test_an_open_half_holds_the_cursor_back),
		CHECK_TEST(test_an_open_half_has_its_row_although_the_clock_was_set_back),
		CHECK_TEST(test_more_open_halves_than_there_is_room_for),
		CHECK_TEST(test_a_cursor_set_back_by_hand_is_followed),
		CHECK_TEST(test_an_emptied_server_is_filled_again),
		CHECK_TEST(test_a_read_only_server_and_another_schema_are_waited_out),
		CHECK_TEST(test_a_cursor_ahead_of_the_log_stops_the_projector),
		CHECK_TEST(test_a_damaged_log_stops_the_projector_and_is_found_by_check),
		CHECK_TEST(test_a_gap_in_the_log_is_passed_and_noted),
		CHECK_TEST(test_a_projector_that_is_overtaken_goes_on),
		CHECK_TEST(test_escrow_log_says_what_is_wrong_with_a_command),
		CHECK_TEST(test_rows_of_other_days_find_their_partition),
		CHECK_TEST(test_old_days_go_but_for_what_is_open),
		CHECK_TEST(test_a_row_follows_its_transaction),
		CHECK_TEST(test_small_batches_take_what_is_large),
		CHECK_TEST(test_a_statement_is_no_larger_than_the_server_takes),
		CHECK_TEST(test_a_claim_that_another_one_won_is_made_anew),
		CHECK_TEST(test_names_are_looked_up_again_after_a_reconnection),
		CHECK_TEST(test_a_batch_behind_an_open_half_is_not_lost),
		CHECK_TEST(test_a_stop_leaves_nothing_to_the_next_start),
		CHECK_TEST(test_a_lock_ends_before_the_connection_does),
		CHECK_TEST(test_pauses_double),
		CHECK_TEST(test_a_migration_goes_on_where_it_stopped),
		CHECK_TEST(test_names_of_each_kind_have_their_own_numbers),
		CHECK_TEST(test_over_long_texts_are_cut),
		CHECK_TEST(test_an_idle_log_is_projected_to_its_end),
		CHECK_TEST(test_the_speed),
	};

	MUST(db_thread_begin(err));
	base_dir = check_make_dir();
	snprintf(server_dir, sizeof(server_dir), "%s/server", base_dir);
	snprintf(password_path, sizeof(password_path), "%s/password", base_dir);
	write_password();
	start_server();
	int failed = check_main("oplog", tests, sizeof(tests) / sizeof(tests[0]));
	db_conn_close(admin);
	shell("tests/support/mariadb stop %s%s", server_dir, "");
	check_remove_dir(base_dir);
	db_thread_end();
	return failed;
}
