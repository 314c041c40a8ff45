/* The op log over a connection that fails at the worst moment: between the projector and a real server stands a gate that
 * lets all pass, until a statement of its choice comes. Then it keeps that statement back, or the answer to it, or
 * leaves the server with a connection that nobody speaks on any more; or it does so at random (LINKS_SECONDS: for so long). */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/projections/oplog_projector.h"
#include "broker/projections/oplog_schema.h"
#include "lib/base/clock.h"
#include "lib/log/commitlog.h"
#include "lib/mysql/db_conn.h"
#include "lib/record/record_message.h"
#include "lib/record/record_transaction.h"
#include "tests/support/check.h"

enum { WAIT_LIMIT_MS = 30000, POLL_MS = 10 };

static char *base_dir;
static char server_dir[512];
static char server_socket[108];
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

/* --- the gate --------------------------------------------------------------------------------------------------- */

enum gate_fault {
	GATE_HOLDS_THE_STATEMENT, /* The client is cut off; the server gets the statement when it is released. */
	GATE_LOSES_THE_ANSWER,    /* The server does it; the client is cut off before it hears of that. */
	GATE_STRANDS_THE_SERVER,  /* The client is cut off; the server's side stays open, and silent. */
};

struct gate {
	char path[108];
	int listener;
	pthread_mutex_t lock; /* Guards what follows; the texts are constant. */
	pthread_cond_t changed;
	const char *trigger;  /* NULL: all passes. One statement is enough to disarm it. */
	enum gate_fault fault;
	bool struck;
	bool released;
	const char *awaited;  /* What is looked for in other connections after the fault. */
	bool awaited_came;
	int permille;         /* Statements that meet a fault at random, in a thousand. */
	uint64_t random;
};

static struct gate gate;

struct passage {
	int client;
	int server;
};

static bool contains(const uint8_t *bytes, size_t size, const char *text)
{
	return text != NULL && memmem(bytes, size, text, strlen(text)) != NULL;
}

static bool send_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		bytes += sent;
		size -= (size_t)sent;
	}
	return true;
}

static void wait_for_release(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.struck = true;
	while (!gate.released)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

/* What the fault does to the statement in `bytes`. Only the server's side is left afterwards. */
static void strike(struct passage *passage, const uint8_t *bytes, size_t size, enum gate_fault fault, unsigned hold_ms)
{
	uint8_t answer[4096];

	if (fault == GATE_LOSES_THE_ANSWER && send_all(passage->server, bytes, size))
		(void)!read(passage->server, answer, sizeof(answer));
	close(passage->client);
	passage->client = -1;
	if (hold_ms > 0)
		usleep(hold_ms * 1000);
	else
		wait_for_release();
	if (fault == GATE_HOLDS_THE_STATEMENT && send_all(passage->server, bytes, size))
		(void)!read(passage->server, answer, sizeof(answer));
}

/* False: the fault has struck, the passage ends. */
static bool pass_statement(struct passage *passage, const uint8_t *bytes, size_t size)
{
	pthread_mutex_lock(&gate.lock);
	bool hit = contains(bytes, size, gate.trigger), by_chance = !hit && (int)(check_random(&gate.random) % 1000) < gate.permille;
	enum gate_fault fault = by_chance ? (enum gate_fault)(check_random(&gate.random) % 3) : gate.fault;
	unsigned hold_ms = by_chance ? 1 + (unsigned)(check_random(&gate.random) % 2500) : 0;
	if (hit)
		gate.trigger = NULL;
	else if (gate.struck && contains(bytes, size, gate.awaited))
		gate.awaited_came = true;
	pthread_mutex_unlock(&gate.lock);
	if (hit || by_chance) {
		strike(passage, bytes, size, fault, hold_ms);
		return false;
	}
	return send_all(passage->server, bytes, size);
}

static void end_passage(struct passage *passage)
{
	if (passage->client >= 0)
		close(passage->client);
	close(passage->server);
	free(passage);
}

static void *run_passage(void *context)
{
	struct passage *passage = context;
	uint8_t bytes[65536];

	for (;;) {
		struct pollfd ends[2] = { { passage->client, POLLIN, 0 }, { passage->server, POLLIN, 0 } };
		ssize_t got = 0;

		if (poll(ends, 2, -1) < 0)
			break;
		if (ends[0].revents != 0 && ((got = read(passage->client, bytes, sizeof(bytes))) <= 0 ||
					     !pass_statement(passage, bytes, (size_t)got)))
			break;
		if (ends[1].revents != 0 && ((got = read(passage->server, bytes, sizeof(bytes))) <= 0 ||
					     !send_all(passage->client, bytes, (size_t)got)))
			break;
	}
	end_passage(passage);
	return NULL;
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%.107s", path);
	return address;
}

static void *run_gate(void *unused)
{
	struct sockaddr_un address = address_of(server_socket);
	int client;

	(void)unused;
	while ((client = accept(gate.listener, NULL, NULL)) >= 0) {
		struct passage *passage = malloc(sizeof(*passage));
		pthread_t thread;

		if (passage == NULL)
			abort();
		*passage = (struct passage){ client, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
		if (connect(passage->server, (struct sockaddr *)&address, sizeof(address)) != 0) {
			end_passage(passage); /* The server is down. */
			continue;
		}
		if (pthread_create(&thread, NULL, run_passage, passage) != 0 || pthread_detach(thread) != 0)
			abort();
	}
	return NULL;
}

static void start_gate(void)
{
	pthread_condattr_t attributes;
	pthread_t thread;

	snprintf(gate.path, sizeof(gate.path), "/tmp/escrow-gate.%ld", (long)getpid());
	struct sockaddr_un address = address_of(gate.path);
	pthread_mutex_init(&gate.lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_cond_init(&gate.changed, &attributes);
	pthread_condattr_destroy(&attributes);
	gate.random = check_seed(18);
	gate.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(gate.path);
	if (bind(gate.listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(gate.listener, 16) != 0 ||
	    pthread_create(&thread, NULL, run_gate, NULL) != 0 || pthread_detach(thread) != 0)
		abort();
}

static void gate_arm(const char *trigger, enum gate_fault fault, const char *awaited)
{
	pthread_mutex_lock(&gate.lock);
	gate.trigger = trigger;
	gate.fault = fault;
	gate.awaited = awaited;
	gate.struck = gate.released = gate.awaited_came = false;
	pthread_mutex_unlock(&gate.lock);
}

static void gate_release(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.released = true;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

/* Until the flag, which the gate's lock guards, is set. */
static void gate_wait(const bool *flag, const char *what)
{
	for (int waited = 0;; waited += POLL_MS) {
		pthread_mutex_lock(&gate.lock);
		bool set = *flag;
		pthread_mutex_unlock(&gate.lock);
		if (set)
			return;
		if (waited > WAIT_LIMIT_MS)
			give_up("the gate has not seen", what);
		usleep(POLL_MS * 1000);
	}
}

/* --- the server ------------------------------------------------------------------------------------------------- */

static void start_server(void)
{
	char command[700], path[600];
	size_t size;

	snprintf(command, sizeof(command), "tests/support/mariadb start %s >/dev/null", server_dir);
	if (system(command) != 0)
		give_up("failed", command);
	snprintf(path, sizeof(path), "%s/socket-path", server_dir);
	uint8_t *text = check_read_file(path, &size);
	snprintf(server_socket, sizeof(server_socket), "%.*s", (int)strcspn((const char *)text, "\n"), (const char *)text);
	free(text);
	struct db_target target = { .socket = server_socket, .user = "root", .timeout_ms = 20000 };
	MUST(db_conn_open(&target, &admin, NULL, err));
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

static void fresh_database(void)
{
	unsigned applied = 0;

	sql("DROP DATABASE IF EXISTS escrow_oplog");
	MUST(oplog_schema_use(admin, "escrow_oplog", err));
	MUST(oplog_schema_migrate(admin, &applied, err));
}

/* --- a log and its projector ------------------------------------------------------------------------------------ */

struct test_log {
	char root[512];
	struct commitlog *log;
	uint64_t count;
};

static void new_log(struct test_log *t, const char *name)
{
	*t = (struct test_log){ .count = 0 };
	snprintf(t->root, sizeof(t->root), "%s/%s", base_dir, name);
	struct commitlog_config config = { .root = t->root, .cluster = "test", .segment_size = 4 << 20, .ring_size = 1 << 20 };
	MUST(commitlog_open(&config, vfs_posix(), &t->log, err));
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

static const struct span name = SPAN_LITERAL("orders");

struct test_txn {
	uint64_t half_offset, n, state_offset;
	int64_t created_ms;
	enum record_outcome outcome; /* RESUME: open. */
	char id[32];
};

static struct test_txn put_half(struct test_log *t)
{
	struct test_txn txn = { .n = t->count++, .created_ms = clock_wall_ms(clock_system()), .outcome = OUTCOME_RESUME };

	snprintf(txn.id, sizeof(txn.id), "txn%" PRIu64, txn.n);
	struct record_half half = {
		.half_queue_offset = txn.n, .store_time_ms = txn.created_ms, .immunity_ms = -1, .topic = name, .group = name,
		.transaction_id = span_of(txn.id), .unique_key = span_of(txn.id), .client_id = name, .global = { SPAN_NONE, 0, 1 },
		.message = SPAN_LITERAL("0123456789"),
	};
	uint8_t *at = commitlog_begin(t->log, LOG_HALF, record_half_size(&half), &txn.half_offset);
	if (at == NULL)
		give_up("test log", "no room");
	record_half_encode(&half, at);
	(void)commitlog_commit(t->log);
	txn.state_offset = txn.half_offset;
	return txn;
}

static void put_decision(struct test_log *t, struct test_txn *txn, enum record_outcome outcome)
{
	struct record_decision decision = {
		.half_offset = txn->half_offset, .half_queue_offset = txn->n, .half_store_time_ms = txn->created_ms,
		.body_offset = txn->half_offset, .message_size = 10, .outcome = outcome, .who = WHO_PRODUCER,
		.when_ms = clock_wall_ms(clock_system()), .queue_offset = txn->n, .topic = name, .group = name,
		.transaction_id = span_of(txn->id), .who_text = name, .global = { SPAN_NONE, 0, 1 },
	};
	uint8_t *at = commitlog_begin(t->log, LOG_DECISION, record_decision_size(&decision), &txn->state_offset);

	if (at == NULL)
		give_up("test log", "no room");
	record_decision_encode(&decision, at);
	(void)commitlog_commit(t->log);
	txn->outcome = outcome;
}

/* `count` committed transactions, each of an id of its own. */
static void put_committed(struct test_log *t, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct test_txn txn = put_half(t);

		put_decision(t, &txn, OUTCOME_COMMIT);
	}
	flush(t);
}

struct config_holder {
	struct oplog_config oplog;
};

static struct oplog_projector *start_projector(struct test_log *t, int64_t timeout_ms)
{
	static const struct config_option options[] = { OPLOG_CONFIG_OPTIONS(struct config_holder, oplog) };
	static const struct config_spec spec = { "test", options, sizeof(options) / sizeof(options[0]), NULL };
	struct config_holder holder;
	struct oplog_projector *projector;

	config_init(&spec, &holder);
	snprintf(holder.oplog.socket, sizeof(holder.oplog.socket), "%s", gate.path);
	strcpy(holder.oplog.user, "root");
	holder.oplog.enable = true;
	holder.oplog.retry_max_ms = 200;
	holder.oplog.timeout_ms = timeout_ms;
	MUST(oplog_projector_start(&holder.oplog, t->root, "broker-a", commitlog_durable(t->log), &projector, err));
	return projector;
}

/* Waits for the cursor to reach the log's end; false when it never does. */
static bool projected(struct test_log *t, struct oplog_projector *projector)
{
	struct oplog_status status;

	oplog_projector_advance(projector, commitlog_durable(t->log));
	for (int waited = 0; waited < WAIT_LIMIT_MS; waited += POLL_MS) {
		oplog_projector_status(projector, &status);
		if (status.cursor >= commitlog_durable(t->log))
			return true;
		if (status.state == OPLOG_STOPPED)
			break;
		usleep(POLL_MS * 1000);
	}
	fprintf(stderr, "not projected: %s\n", status.last_error);
	return false;
}

static void close_log(struct test_log *t)
{
	MUST(commitlog_close(t->log, true, err));
}

static void check_complete(const struct test_log *t)
{
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn WHERE state = 2"), t->count);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(DISTINCT half_queue_offset) FROM txn"), t->count);
}

/* --- tests ------------------------------------------------------------------------------------------------------ */

/* A COMMIT that reaches the server after the projector is back, under a new connection, is its own: nobody took over. */
static void test_a_commit_that_comes_late_is_ones_own(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "late");
	put_committed(&log, 10);
	struct oplog_projector *projector = start_projector(&log, 5000);
	CU_ASSERT_TRUE(projected(&log, projector));
	gate_arm("COMMIT", GATE_HOLDS_THE_STATEMENT, "UPDATE");
	put_committed(&log, 10);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	gate_wait(&gate.struck, "COMMIT");
	put_committed(&log, 10);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	gate_wait(&gate.awaited_came, "a statement that waits for the cursor's row");
	gate_release();
	CU_ASSERT_TRUE(projected(&log, projector));
	oplog_projector_stop(projector, 5000);
	check_complete(&log);
	close_log(&log);
}

/* The cursor went back, and the answer to its claim is lost: the claim that is found afterwards is one's own. */
static void test_a_claim_whose_answer_is_lost_is_ones_own(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "claim");
	put_committed(&log, 10);
	struct oplog_projector *projector = start_projector(&log, 5000);
	CU_ASSERT_TRUE(projected(&log, projector));
	sql("DELETE FROM txn");
	sql("UPDATE broker_log SET cursor_position = 0");
	gate_arm("SET broker_name", GATE_LOSES_THE_ANSWER, NULL);
	gate_release();
	put_committed(&log, 10);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	gate_wait(&gate.struck, "the claim");
	CU_ASSERT_TRUE(projected(&log, projector));
	oplog_projector_stop(projector, 5000);
	check_complete(&log);
	close_log(&log);
}

/* A server that is not told of the connection's end holds the cursor's row in a transaction that nobody ends: not for as
 * long as it waits by default, eight hours. */
static void test_a_stranded_transaction_does_not_hold_the_cursor(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "stranded");
	put_committed(&log, 10);
	struct oplog_projector *projector = start_projector(&log, 1000);
	CU_ASSERT_TRUE(projected(&log, projector));
	gate_arm("COMMIT", GATE_STRANDS_THE_SERVER, NULL);
	put_committed(&log, 10);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	gate_wait(&gate.struck, "COMMIT");
	CU_ASSERT_TRUE(projected(&log, projector));
	gate_release();
	oplog_projector_stop(projector, 5000);
	check_complete(&log);
	close_log(&log);
}

/* --- at random -------------------------------------------------------------------------------------------------- */

enum { RANDOM_TXNS = 20000 };

/* Some transactions are new, some of the young ones are decided, and parked ones may be decided once more. */
static void do_business(struct test_log *t, struct test_txn *txns, uint64_t *random)
{
	for (uint64_t i = check_random(random) % 40; i > 0 && t->count < RANDOM_TXNS; i--) {
		struct test_txn txn = put_half(t);
		txns[txn.n] = txn;
	}
	for (uint64_t i = check_random(random) % 50; i > 0 && t->count > 0; i--) {
		uint64_t back = check_random(random) % (check_random(random) % 8 == 0 ? 2000 : 60);
		struct test_txn *txn = &txns[back < t->count ? t->count - 1 - back : 0];

		if (txn->outcome == OUTCOME_RESUME || txn->outcome == OUTCOME_PARK)
			put_decision(t, txn, (enum record_outcome[]){ OUTCOME_COMMIT, OUTCOME_ROLLBACK, OUTCOME_PARK }[check_random(random) % 3]);
	}
	flush(t);
}

/* What the server had not yet synced is lost with it, cursor and all. */
static void restart_server(void)
{
	char command[700];

	db_conn_close(admin);
	snprintf(command, sizeof(command), "tests/support/mariadb kill %s", server_dir);
	if (system(command) != 0)
		give_up("failed", command);
	start_server();
	sql("USE escrow_oplog");
	sql("SET GLOBAL innodb_flush_log_at_trx_commit = 0");
}

static void signal_server(int number)
{
	char path[600];
	size_t size;

	snprintf(path, sizeof(path), "%s/pid", server_dir);
	char *text = (char *)check_read_file(path, &size);
	if (kill((pid_t)atol(text), number) != 0)
		give_up("cannot signal", "the server");
	free(text);
}

static void check_each_row(const struct test_log *t, const struct test_txn *txns)
{
	static const unsigned states[] = { [OUTCOME_COMMIT] = 2, [OUTCOME_ROLLBACK] = 3, [OUTCOME_PARK] = 4, [OUTCOME_RESUME] = 1 };

	for (uint64_t n = 0; n < t->count; n++) {
		char query[256];

		snprintf(query, sizeof(query), "SELECT COUNT(*) FROM txn WHERE transaction_id = '%s' AND half_offset = %" PRIu64
			 " AND state = %u AND state_offset = %" PRIu64, txns[n].id, txns[n].half_offset, states[txns[n].outcome], txns[n].state_offset);
		if (sql_u64(query) != 1) {
			fprintf(stderr, "%s: none for %s\n", query, txns[n].id);
			CU_FAIL("a row is missing, or differs from the log");
		}
	}
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn"), t->count);
}

/* Whatever happens to the connections, the server and the projector: each transaction has one row, of its last state. */
static void test_random_faults_leave_each_transaction_one_row(void)
{
	const char *wanted = getenv("LINKS_SECONDS");
	int64_t until = clock_mono_ms(clock_system()) + 1000 * (wanted == NULL ? 5 : atoi(wanted));
	struct test_txn *txns = calloc(RANDOM_TXNS, sizeof(*txns));
	uint64_t random = check_seed(17);
	struct test_log log;

	fresh_database();
	new_log(&log, "random");
	gate_arm(NULL, GATE_LOSES_THE_ANSWER, NULL);
	sql("SET GLOBAL innodb_flush_log_at_trx_commit = 0");
	struct oplog_projector *projector = start_projector(&log, 1000);
	while (clock_mono_ms(clock_system()) < until) {
		pthread_mutex_lock(&gate.lock);
		gate.permille = (int[]){ 0, 10, 60, 200 }[check_random(&random) % 4];
		pthread_mutex_unlock(&gate.lock);
		for (int i = 0; i < 20; i++) {
			do_business(&log, txns, &random);
			oplog_projector_advance(projector, commitlog_durable(log.log));
			usleep(1000 * (useconds_t)(check_random(&random) % 30));
		}
		if (check_random(&random) % 8 == 0) {
			signal_server(SIGSTOP);
			usleep(1000 * (useconds_t)(check_random(&random) % 2500));
			signal_server(SIGCONT);
		}
		if (check_random(&random) % 16 == 0)
			restart_server();
		if (check_random(&random) % 8 == 0) {
			oplog_projector_stop(projector, (int64_t)(check_random(&random) % 2 * 1000));
			projector = start_projector(&log, 1000);
		}
	}
	pthread_mutex_lock(&gate.lock);
	gate.permille = 0;
	pthread_mutex_unlock(&gate.lock);
	/* What is under way may still fail. */
	CU_ASSERT_TRUE(projected(&log, projector));
	oplog_projector_stop(projector, 5000);
	check_each_row(&log, txns);
	sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1");
	close_log(&log);
	free(txns);
}

/* A procedure was made, but that it was is not noted: making it again fails, and must not fail for ever. */
static void test_a_migration_whose_note_is_lost_goes_on(void)
{
	struct errinfo err;
	unsigned applied = 0;

	for (unsigned done = 0; done < 6; done++) {
		char statement[160];

		fresh_database();
		snprintf(statement, sizeof(statement),
			 "UPDATE schema_migration SET finished_at = NULL, statements_done = %u WHERE version = 3", done);
		sql(statement);
		CU_ASSERT_EQUAL(oplog_schema_migrate(admin, &applied, &err), ST_OK);
		CU_ASSERT_EQUAL(oplog_schema_check(admin, &err), ST_OK);
		CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM information_schema.routines"
					" WHERE routine_schema = 'escrow_oplog'"), 3);
		sql("CALL maintain_partitions(1, 0)");
	}
}

/* A statement of the size that is said to be possible is possible. */
static void test_the_server_takes_what_it_is_said_to_take(void)
{
	struct db_target target = { .socket = server_socket, .user = "root", .timeout_ms = 20000 };
	struct db_conn *conn;
	struct buffer statement;

	sql("SET GLOBAL max_allowed_packet = 65536");
	MUST(db_conn_open(&target, &conn, NULL, err));
	buffer_init(&statement, 0);
	buffer_append_text(&statement, "DO 1");
	while (buffer_size(&statement) < db_conn_packet_max(conn))
		buffer_append_text(&statement, " ");
	CU_ASSERT_EQUAL(db_conn_exec(conn, buffer_span(&statement), NULL, NULL), ST_OK);
	buffer_deinit(&statement);
	db_conn_close(conn);
	sql("SET GLOBAL max_allowed_packet = 16777216");
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_commit_that_comes_late_is_ones_own),
		CHECK_TEST(test_a_claim_whose_answer_is_lost_is_ones_own),
		CHECK_TEST(test_a_stranded_transaction_does_not_hold_the_cursor),
		CHECK_TEST(test_random_faults_leave_each_transaction_one_row),
		CHECK_TEST(test_a_migration_whose_note_is_lost_goes_on),
		CHECK_TEST(test_the_server_takes_what_it_is_said_to_take),
	};

	MUST(db_thread_begin(err));
	base_dir = check_make_dir();
	snprintf(server_dir, sizeof(server_dir), "%s/server", base_dir);
	start_server();
	start_gate();
	int failed = check_main("oplog-links", tests, sizeof(tests) / sizeof(tests[0]));
	unlink(gate.path);
	db_conn_close(admin);
	char command[700];
	snprintf(command, sizeof(command), "tests/support/mariadb stop %s", server_dir);
	if (system(command) != 0)
		give_up("failed", command);
	check_remove_dir(base_dir);
	db_thread_end();
	return failed;
}
