#include "tests/support/oplog_rig.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/mysql/db_rows.h"

static char *base_dir;
static char server_dir[512];
static char socket_path[512];
static char password_path[512];
static struct db_conn *admin; /* root */

_Noreturn void give_up(const char *what, const char *why)
{
	char command[700];

	fprintf(stderr, "%s: %s\n", what, why);
	snprintf(command, sizeof(command), "tests/support/mariadb kill %s", server_dir);
	if (system(command) != 0)
		fprintf(stderr, "the server of %s may still run\n", server_dir);
	abort();
}

const char *programs_dir(void)
{
	const char *build = getenv("ESCROW_BUILD");

	return build != NULL ? build : "build";
}

/* --- the server ----------------------------------------------------------------------------------------------------- */

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

const char *server_socket(void)
{
	return socket_path;
}

struct db_conn *admin_conn(void)
{
	return admin;
}

void start_server(void)
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

void kill_server(void)
{
	db_conn_close(admin);
	admin = NULL;
	shell("tests/support/mariadb kill %s%s", server_dir, "");
}

void signal_server(int number)
{
	char path[600];
	size_t size;

	snprintf(path, sizeof(path), "%s/pid", server_dir);
	char *text = (char *)check_read_file(path, &size);
	if (kill((pid_t)atol(text), number) != 0)
		give_up("cannot signal", "the server");
	free(text);
}

void sql(const char *statement)
{
	MUST(db_conn_exec_text(admin, statement, err));
}

uint64_t sql_u64(const char *query)
{
	uint64_t value = 0;

	MUST(db_conn_query_u64(admin, span_of(query), &value, 1, err));
	return value;
}

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

char *sql_rows(const char *query)
{
	struct buffer out;

	buffer_init(&out, 0);
	MUST(db_conn_query(admin, span_of(query), append_row, &out, err));
	buffer_append(&out, "", 1);
	return (char *)out.data;
}

void check_rows(const char *query, const char *expected)
{
	char *rows = sql_rows(query);

	CU_ASSERT_STRING_EQUAL(rows, expected);
	if (strcmp(rows, expected) != 0)
		fprintf(stderr, "%s gives\n%sinstead of\n%s", query, rows, expected);
	free(rows);
}

void wait_rows(uint64_t count)
{
	for (int waited = 0; sql_u64("SELECT COUNT(*) FROM txn") < count; waited += POLL_MS) {
		if (waited > WAIT_LIMIT_MS)
			give_up("too few rows", "txn");
		usleep(POLL_MS * 1000);
	}
}

void fresh_database(void)
{
	char command[2048];

	sql("DROP DATABASE IF EXISTS escrow_oplog");
	shell("tests/support/mariadb sql %s <%s", server_dir, "sql/grants.sql");
	sql("ALTER USER 'escrow_broker'@'%' IDENTIFIED BY 'b-secret' ACCOUNT UNLOCK");
	sql("ALTER USER 'escrow_ddl'@'%' IDENTIFIED BY 'd-secret' ACCOUNT UNLOCK");
	snprintf(command, sizeof(command),
		 "%s/escrow-log migrate -o opLogMysqlSocket=%s -o opLogMysqlUser=escrow_ddl"
		 " -o opLogMysqlPassword=d-secret >/dev/null",
		 programs_dir(), socket_path);
	if (system(command) != 0)
		give_up("failed", "escrow-log migrate");
	sql("USE escrow_oplog");
}

/* --- a log ---------------------------------------------------------------------------------------------------------- */

void open_log(struct test_log *t)
{
	struct commitlog_config config = {
		.root = t->root, .cluster = "test", .segment_size = 4 << 20, .ring_size = 1 << 20,
	};

	MUST(commitlog_open(&config, vfs_posix(), &t->log, err));
}

void new_log(struct test_log *t, const char *name)
{
	*t = (struct test_log){ .half_count = 0 };
	snprintf(t->root, sizeof(t->root), "%s/%s", base_dir, name);
	open_log(t);
}

void flush_log(struct test_log *t)
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

void close_log(struct test_log *t)
{
	flush_log(t);
	MUST(commitlog_close(t->log, true, err));
	t->log = NULL;
}

uint8_t *begin_record(struct test_log *t, enum log_kind kind, size_t size, uint64_t *offset_out)
{
	uint8_t *payload = commitlog_begin(t->log, kind, size, offset_out);

	if (payload == NULL) {
		flush_log(t);
		payload = commitlog_begin(t->log, kind, size, offset_out);
	}
	if (payload == NULL)
		give_up("test log", "no room");
	return payload;
}

struct test_txn put_half(struct test_log *t, const char *id, int64_t created_ms)
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

uint64_t put_decision(struct test_log *t, const struct test_txn *txn, struct verdict verdict)
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

void put_checks(struct test_log *t, const struct test_txn *txn, uint32_t answered, int64_t after_ms)
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

void put_conflict(struct test_log *t, const struct test_txn *txn, int64_t after_ms)
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

void put_many(struct test_log *t, unsigned count, int64_t created_ms)
{
	char id[64];

	for (unsigned i = 0; i < count; i++) {
		snprintf(id, sizeof(id), "7F0000010000%08X%012u", (unsigned)t->half_count, i);
		struct test_txn txn = put_half(t, id, created_ms);
		put_decision(t, &txn, (struct verdict){ i % 10 == 9 ? OUTCOME_ROLLBACK : OUTCOME_COMMIT, WHO_PRODUCER,
							"client-1", NULL, 7, 0, 0 });
	}
	flush_log(t);
}

static const char strange_id[] = "'; DROP TABLE txn; -- \\ \xff \xe4\xb8\xad";

void put_story(struct test_log *t)
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
	flush_log(t);
}

/* --- the projector -------------------------------------------------------------------------------------------------- */

struct oplog_config_holder {
	struct oplog_config oplog;
};

struct oplog_config broker_options(void)
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

struct oplog_projector *start_projector(struct test_log *t, const struct oplog_config *config)
{
	struct oplog_projector *projector;

	MUST(oplog_projector_start(config, t->root, "broker-a", commitlog_durable(t->log), &projector, err));
	return projector;
}

struct oplog_status status_of(struct oplog_projector *projector)
{
	struct oplog_status status;

	oplog_projector_status(projector, &status);
	return status;
}

void wait_projected(struct test_log *t, struct oplog_projector *projector)
{
	for (int waited = 0; status_of(projector).cursor < commitlog_durable(t->log); waited += POLL_MS) {
		if (waited > WAIT_LIMIT_MS || status_of(projector).state == OPLOG_STOPPED)
			give_up("not projected", status_of(projector).last_error);
		usleep(POLL_MS * 1000);
	}
}

bool wait_stopped(struct oplog_projector *projector)
{
	for (int waited = 0; waited < WAIT_LIMIT_MS; waited += POLL_MS) {
		if (status_of(projector).state == OPLOG_STOPPED)
			return true;
		usleep(POLL_MS * 1000);
	}
	return false;
}

bool wait_error(struct oplog_projector *projector, const char *part)
{
	for (int waited = 0; waited < WAIT_LIMIT_MS; waited += POLL_MS) {
		if (strstr(status_of(projector).last_error, part) != NULL)
			return true;
		usleep(POLL_MS * 1000);
	}
	fprintf(stderr, "no '%s' in: %s\n", part, status_of(projector).last_error);
	return false;
}

void project_once(struct test_log *t)
{
	struct oplog_config config = broker_options();
	struct oplog_projector *projector = start_projector(t, &config);

	wait_projected(t, projector);
	oplog_projector_stop(projector, 5000);
}

void check_complete(struct test_log *log, uint64_t txn_count)
{
	char query[200];

	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn"), txn_count);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(DISTINCT half_offset) FROM txn"), txn_count);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn WHERE state = 3"), txn_count / 10);
	snprintf(query, sizeof(query), "SELECT COUNT(*) FROM broker_log WHERE cursor_position = %" PRIu64,
		 commitlog_durable(log->log));
	CU_ASSERT_EQUAL(sql_u64(query), 1);
}

/* --- the program ---------------------------------------------------------------------------------------------------- */

char *escrow_log_complaint(const char *arguments, int *exit_status_out)
{
	char command[1200], path[600];
	size_t size;

	snprintf(path, sizeof(path), "%s/complaint", base_dir);
	snprintf(command, sizeof(command), "%s/escrow-log %s >/dev/null 2>%s",
		 programs_dir(), arguments, path);
	*exit_status_out = system(command);
	char *bytes = (char *)check_read_file(path, &size), *text = strndup(bytes, size);
	free(bytes);
	return text;
}

static void write_password(void)
{
	FILE *file = fopen(password_path, "w");

	if (file == NULL || fputs("b-secret\n", file) < 0 || fclose(file) != 0)
		abort();
}

int oplog_rig_main(const char *suite, const struct check_test *tests, size_t count)
{
	MUST(db_thread_begin(err));
	base_dir = check_make_dir();
	snprintf(server_dir, sizeof(server_dir), "%s/server", base_dir);
	snprintf(password_path, sizeof(password_path), "%s/password", base_dir);
	write_password();
	start_server();
	int failed = check_main(suite, tests, count);
	db_conn_close(admin);
	shell("tests/support/mariadb stop %s%s", server_dir, "");
	check_remove_dir(base_dir);
	db_thread_end();
	return failed;
}
