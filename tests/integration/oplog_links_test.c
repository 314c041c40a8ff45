/* The op log over a connection that fails at the worst moment: between the projector and a real server stands a gate that
 * lets all pass, until a statement of its choice comes. Then it keeps that statement back, or the answer to it, or
 * leaves the server with a connection that nobody speaks on any more; or it does so at random (LINKS_SECONDS: for so long).
 * Or it only lets others go first. */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "tests/support/oplog_rig.h"

/* --- the gate --------------------------------------------------------------------------------------------------- */

enum gate_fault {
	GATE_HOLDS_THE_STATEMENT, /* The client is cut off; the server gets the statement when it is released. */
	GATE_LOSES_THE_ANSWER,    /* The server does it; the client is cut off before it hears of that. */
	GATE_STRANDS_THE_SERVER,  /* The client is cut off; the server's side stays open, and silent. */
	GATE_FAULTS,
	GATE_DELAYS_THE_STATEMENT = GATE_FAULTS, /* No fault: it comes when it is released, and nobody notices. */
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
	enum gate_fault fault = by_chance ? (enum gate_fault)(check_random(&gate.random) % GATE_FAULTS) : gate.fault;
	unsigned hold_ms = by_chance ? 1 + (unsigned)(check_random(&gate.random) % 2500) : 0;
	if (hit)
		gate.trigger = NULL;
	else if (gate.struck && contains(bytes, size, gate.awaited))
		gate.awaited_came = true;
	pthread_mutex_unlock(&gate.lock);
	if (hit && fault == GATE_DELAYS_THE_STATEMENT) {
		wait_for_release();
	} else if (hit || by_chance) {
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
	int client;

	(void)unused;
	while ((client = accept(gate.listener, NULL, NULL)) >= 0) {
		struct sockaddr_un address = address_of(server_socket()); /* It has one by now. */
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

/* --- a log and its projector ------------------------------------------------------------------------------------ */

/* A transaction, and what is known of it by now. */
struct fate {
	struct test_txn txn;
	uint64_t state_offset;
	enum record_outcome outcome; /* RESUME: open. */
};

static struct fate begin(struct test_log *t)
{
	char id[32];

	snprintf(id, sizeof(id), "txn%" PRIu64, t->half_count);
	struct test_txn txn = put_half(t, id, clock_wall_ms(clock_system()));
	return (struct fate){ txn, txn.offset, OUTCOME_RESUME };
}

static void decide(struct test_log *t, struct fate *fate, enum record_outcome outcome)
{
	int64_t age_ms = clock_wall_ms(clock_system()) - fate->txn.created_ms;

	fate->state_offset = put_decision(t, &fate->txn, (struct verdict){ outcome, WHO_PRODUCER, "orders", NULL, age_ms, 0, 0 });
	fate->outcome = outcome;
}

/* `count` committed transactions, each of an id of its own. */
static void put_committed(struct test_log *t, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct fate fate = begin(t);

		decide(t, &fate, OUTCOME_COMMIT);
	}
	flush_log(t);
}

/* Its connections go through the gate. */
static struct oplog_projector *start_gated(struct test_log *t, int64_t timeout_ms)
{
	struct oplog_config config = broker_options();

	strcpy(config.socket, gate.path);
	config.timeout_ms = timeout_ms;
	config.prepared_after_ms = 1000; /* As by default: most are decided before they have a row. */
	return start_projector(t, &config);
}

static void advance(struct test_log *t, struct oplog_projector *projector)
{
	oplog_projector_advance(projector, commitlog_durable(t->log));
}

static void project_all(struct test_log *t, struct oplog_projector *projector)
{
	advance(t, projector);
	wait_projected(t, projector);
}

static void check_all_committed(const struct test_log *t)
{
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn WHERE state = 2"), t->half_count);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(DISTINCT half_queue_offset) FROM txn"), t->half_count);
}

/* --- tests ------------------------------------------------------------------------------------------------------ */

/* Whether it happened is seen by the cursor: that it stands where it stood, or further than was known, is our own work, not
 * another projector's, and needs no new claim. */
static void test_a_commit_without_an_answer_has_happened_or_not(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "answer");
	put_many(&log, 100, noon);
	struct oplog_projector *projector = start_gated(&log, 5000);
	project_all(&log, projector);
	uint64_t epoch = sql_u64("SELECT cursor_epoch FROM broker_log");
	for (int round = 1; round <= 4; round++) {
		/* Released at once: the stranded server is told of the connection's end, without a COMMIT. */
		gate_arm("COMMIT", round % 2 == 0 ? GATE_STRANDS_THE_SERVER : GATE_LOSES_THE_ANSWER, NULL);
		gate_release();
		put_many(&log, 100, noon);
		project_all(&log, projector);
		gate_wait(&gate.struck, "COMMIT");
	}
	CU_ASSERT_EQUAL(sql_u64("SELECT cursor_epoch FROM broker_log"), epoch);
	oplog_projector_stop(projector, 5000);
	check_complete(&log, 500);
	close_log(&log);
}

/* A COMMIT that reaches the server after the projector is back, under a new connection, is its own: nobody took over. */
static void test_a_commit_that_comes_late_is_ones_own(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "late");
	put_committed(&log, 10);
	struct oplog_projector *projector = start_gated(&log, 5000);
	project_all(&log, projector);
	gate_arm("COMMIT", GATE_HOLDS_THE_STATEMENT, "UPDATE");
	put_committed(&log, 10);
	advance(&log, projector);
	gate_wait(&gate.struck, "COMMIT");
	put_committed(&log, 10);
	advance(&log, projector);
	gate_wait(&gate.awaited_came, "a statement that waits for the cursor's row");
	gate_release();
	project_all(&log, projector);
	oplog_projector_stop(projector, 5000);
	check_all_committed(&log);
	close_log(&log);
}

/* The cursor went back, and the answer to its claim is lost: the claim that is found afterwards is one's own. */
static void test_a_claim_whose_answer_is_lost_is_ones_own(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "claim");
	put_committed(&log, 10);
	struct oplog_projector *projector = start_gated(&log, 5000);
	project_all(&log, projector);
	sql("DELETE FROM txn");
	sql("UPDATE broker_log SET cursor_position = 0");
	gate_arm("SET broker_name", GATE_LOSES_THE_ANSWER, NULL);
	gate_release();
	put_committed(&log, 10);
	advance(&log, projector);
	gate_wait(&gate.struck, "the claim");
	project_all(&log, projector);
	oplog_projector_stop(projector, 5000);
	check_all_committed(&log);
	close_log(&log);
}

/* Another projector claims the cursor between our look at it and our claim: ours does not count, and is made anew. */
static void test_a_claim_that_another_overtook_does_not_count(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "overtaken");
	put_committed(&log, 10);
	gate_arm("SET broker_name", GATE_DELAYS_THE_STATEMENT, NULL);
	struct oplog_projector *projector = start_gated(&log, 5000);
	gate_wait(&gate.struck, "the claim");
	sql("UPDATE broker_log SET cursor_epoch = cursor_epoch + 1, writer = 'another'");
	gate_release();
	project_all(&log, projector);
	CU_ASSERT_EQUAL(sql_u64("SELECT cursor_epoch FROM broker_log WHERE writer <> 'another'"), 2);
	oplog_projector_stop(projector, 5000);
	check_all_committed(&log);
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
	struct oplog_projector *projector = start_gated(&log, 1000);
	project_all(&log, projector);
	gate_arm("COMMIT", GATE_STRANDS_THE_SERVER, NULL);
	put_committed(&log, 10);
	advance(&log, projector);
	gate_wait(&gate.struck, "COMMIT");
	project_all(&log, projector);
	gate_release();
	oplog_projector_stop(projector, 5000);
	check_all_committed(&log);
	close_log(&log);
}

/* --- at random -------------------------------------------------------------------------------------------------- */

enum { RANDOM_TXNS = 20000 };

/* Some transactions are new, some of the young ones are decided, and parked ones may be decided once more. */
static void do_business(struct test_log *t, struct fate *fates, uint64_t *random)
{
	for (uint64_t i = check_random(random) % 40; i > 0 && t->half_count < RANDOM_TXNS; i--) {
		struct fate fate = begin(t);
		fates[fate.txn.n] = fate;
	}
	for (uint64_t i = check_random(random) % 50; i > 0 && t->half_count > 0; i--) {
		uint64_t back = check_random(random) % (check_random(random) % 8 == 0 ? 2000 : 60);
		struct fate *fate = &fates[back < t->half_count ? t->half_count - 1 - back : 0];

		if (fate->outcome == OUTCOME_RESUME || fate->outcome == OUTCOME_PARK)
			decide(t, fate, (enum record_outcome[]){ OUTCOME_COMMIT, OUTCOME_ROLLBACK, OUTCOME_PARK }[check_random(random) % 3]);
	}
	flush_log(t);
}

/* What the server had not yet synced is lost with it, cursor and all. */
static void restart_server(void)
{
	kill_server();
	start_server();
	sql("USE escrow_oplog");
	sql("SET GLOBAL innodb_flush_log_at_trx_commit = 0");
}

static void check_each_row(const struct test_log *t, const struct fate *fates)
{
	static const unsigned states[] = { [OUTCOME_COMMIT] = 2, [OUTCOME_ROLLBACK] = 3, [OUTCOME_PARK] = 4, [OUTCOME_RESUME] = 1 };

	for (uint64_t n = 0; n < t->half_count; n++) {
		char query[256];

		snprintf(query, sizeof(query), "SELECT COUNT(*) FROM txn WHERE transaction_id = '%s' AND half_offset = %" PRIu64
			 " AND state = %u AND state_offset = %" PRIu64, fates[n].txn.id, fates[n].txn.offset,
			 states[fates[n].outcome], fates[n].state_offset);
		if (sql_u64(query) != 1) {
			fprintf(stderr, "%s: none for %s\n", query, fates[n].txn.id);
			CU_FAIL("a row is missing, or differs from the log");
		}
	}
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn"), t->half_count);
}

/* Whatever happens to the connections, the server and the projector: each transaction has one row, of its last state. */
static void test_random_faults_leave_each_transaction_one_row(void)
{
	const char *wanted = getenv("LINKS_SECONDS");
	int64_t until = clock_mono_ms(clock_system()) + 1000 * (wanted == NULL ? 5 : atoi(wanted));
	struct fate *fates = calloc(RANDOM_TXNS, sizeof(*fates));
	uint64_t random = check_seed(17);
	struct test_log log;

	fresh_database();
	new_log(&log, "random");
	gate_arm(NULL, GATE_LOSES_THE_ANSWER, NULL);
	sql("SET GLOBAL innodb_flush_log_at_trx_commit = 0");
	struct oplog_projector *projector = start_gated(&log, 1000);
	while (clock_mono_ms(clock_system()) < until) {
		pthread_mutex_lock(&gate.lock);
		gate.permille = (int[]){ 0, 10, 60, 200 }[check_random(&random) % 4];
		pthread_mutex_unlock(&gate.lock);
		for (int i = 0; i < 20; i++) {
			do_business(&log, fates, &random);
			advance(&log, projector);
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
			projector = start_gated(&log, 1000);
		}
	}
	pthread_mutex_lock(&gate.lock);
	gate.permille = 0;
	pthread_mutex_unlock(&gate.lock);
	/* What is under way may still fail. */
	project_all(&log, projector);
	oplog_projector_stop(projector, 5000);
	check_each_row(&log, fates);
	sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1");
	close_log(&log);
	free(fates);
}

/* A statement of the size that is said to be possible is possible. */
static void test_the_server_takes_what_it_is_said_to_take(void)
{
	struct db_target target = { .socket = server_socket(), .user = "root", .timeout_ms = 20000 };
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
		CHECK_TEST(test_a_commit_without_an_answer_has_happened_or_not),
		CHECK_TEST(test_a_commit_that_comes_late_is_ones_own),
		CHECK_TEST(test_a_claim_whose_answer_is_lost_is_ones_own),
		CHECK_TEST(test_a_claim_that_another_overtook_does_not_count),
		CHECK_TEST(test_a_stranded_transaction_does_not_hold_the_cursor),
		CHECK_TEST(test_random_faults_leave_each_transaction_one_row),
		CHECK_TEST(test_the_server_takes_what_it_is_said_to_take),
	};

	start_gate();
	int failed = oplog_rig_main("oplog-links", tests, sizeof(tests) / sizeof(tests[0]));
	unlink(gate.path);
	return failed;
}
