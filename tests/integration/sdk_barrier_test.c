/* The barrier and consuming once against a real server: who wins when the local transaction and a check-back meet, and
 * what is never guessed. */
#include <mysql.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client-sdk/src/producer_internal.h"
#include "escrow/escrow.h"
#include "escrow/mysql.h"
#include "lib/mysql/db_conn.h"
#include "tests/support/check.h"

static char *base_dir;
static char server_dir[512];
static char socket_path[512];

static void shell(const char *verb, const char *rest)
{
	char command[1200];

	snprintf(command, sizeof(command), "tests/support/mariadb %s %s %s", verb, server_dir, rest);
	if (system(command) != 0) {
		fprintf(stderr, "failed: %s\n", command);
		abort();
	}
}

static void start_server(void)
{
	char path[600];
	size_t size;

	shell("start", ">/dev/null");
	snprintf(path, sizeof(path), "%s/socket-path", server_dir);
	uint8_t *text = check_read_file(path, &size);
	snprintf(socket_path, sizeof(socket_path), "%.*s", (int)strcspn((const char *)text, "\n"), (const char *)text);
	free(text);
}

/* A connection of the business. */
static MYSQL *connect_to(const char *database)
{
	MYSQL *mysql = mysql_init(NULL);

	if (mysql == NULL || mysql_real_connect(mysql, NULL, "root", NULL, database, 0, socket_path, 0) == NULL) {
		fprintf(stderr, "connect: %s\n", mysql == NULL ? "no memory" : mysql_error(mysql));
		abort();
	}
	return mysql;
}

static void run(MYSQL *mysql, const char *statement)
{
	if (mysql_query(mysql, statement) != 0) {
		fprintf(stderr, "%s: %s\n", statement, mysql_error(mysql));
		abort();
	}
	MYSQL_RES *result = mysql_store_result(mysql);
	if (result != NULL)
		mysql_free_result(result);
}

static struct check_session *session_to(const char *database, struct check_target **target)
{
	struct escrow_mysql_target to = { .socket = socket_path, .user = "root", .database = database, .timeout_ms = 2000 };
	struct check_session *session;

	CU_ASSERT_EQUAL_FATAL(check_target_create(&to, target, NULL), ESCROW_OK);
	session = check_session_create(*target);
	CU_ASSERT_PTR_NOT_NULL_FATAL(session);
	return session;
}

static void fresh(void)
{
	MYSQL *mysql = connect_to("shop");

	run(mysql, "DROP TABLE IF EXISTS escrow_barrier, escrow_consumed, orders");
	run(mysql, "CREATE TABLE orders (id INT PRIMARY KEY, txn VARCHAR(64)) ENGINE = InnoDB");
	CU_ASSERT_EQUAL(escrow_mysql_create_tables(mysql, NULL), ESCROW_OK);
	mysql_close(mysql);
}

static void test_found_is_commit_absent_is_rollback_and_the_late_one_loses(void)
{
	MYSQL *mysql = connect_to("shop");
	struct check_target *target;
	struct escrow_error err;

	fresh();
	struct check_session *session = session_to("shop", &target);
	run(mysql, "START TRANSACTION");
	CU_ASSERT_EQUAL(escrow_barrier_insert(mysql, "T1", &err), ESCROW_OK);
	run(mysql, "INSERT INTO orders VALUES (1, 'T1')");
	run(mysql, "COMMIT");
	CU_ASSERT_EQUAL(check_session_ask(session, "T1"), ESCROW_LOCAL_COMMIT);
	run(mysql, "START TRANSACTION");
	CU_ASSERT_EQUAL(escrow_barrier_insert(mysql, "T2", &err), ESCROW_OK);
	run(mysql, "ROLLBACK");
	CU_ASSERT_EQUAL(check_session_ask(session, "T2"), ESCROW_LOCAL_ROLLBACK);
	CU_ASSERT_EQUAL(check_session_ask(session, "T2"), ESCROW_LOCAL_ROLLBACK);
	run(mysql, "START TRANSACTION");
	CU_ASSERT_EQUAL(escrow_barrier_insert(mysql, "T2", &err), ESCROW_CONFLICT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "T2"));
	run(mysql, "ROLLBACK");
	/* Ids differ by case. */
	CU_ASSERT_EQUAL(check_session_ask(session, "t1"), ESCROW_LOCAL_ROLLBACK);
	check_session_destroy(session);
	check_target_destroy(target);
	mysql_close(mysql);
}

static void test_a_local_transaction_under_way_is_unknown(void)
{
	MYSQL *mysql = connect_to("shop");
	struct check_target *target;

	fresh();
	struct check_session *session = session_to("shop", &target);
	run(mysql, "START TRANSACTION");
	CU_ASSERT_EQUAL(escrow_barrier_insert(mysql, "T1", NULL), ESCROW_OK);
	CU_ASSERT_EQUAL(check_session_ask(session, "T1"), ESCROW_LOCAL_UNKNOWN);
	CU_ASSERT_EQUAL(check_session_ask(session, "T1"), ESCROW_LOCAL_UNKNOWN);
	run(mysql, "COMMIT");
	CU_ASSERT_EQUAL(check_session_ask(session, "T1"), ESCROW_LOCAL_COMMIT);
	check_session_destroy(session);
	check_target_destroy(target);
	mysql_close(mysql);
}

static void test_what_cannot_be_read_is_unknown_and_recovers(void)
{
	MYSQL *mysql = connect_to("shop");
	struct check_target *target, *nowhere;

	fresh();
	run(mysql, "CREATE DATABASE IF NOT EXISTS empty_one");
	struct check_session *session = session_to("shop", &target), *without_table = session_to("empty_one", &nowhere);
	CU_ASSERT_EQUAL(escrow_barrier_insert(mysql, "T1", NULL), ESCROW_OK); /* Autocommit. */
	CU_ASSERT_EQUAL(check_session_ask(session, "T1"), ESCROW_LOCAL_COMMIT);
	CU_ASSERT_EQUAL(check_session_ask(without_table, "T1"), ESCROW_LOCAL_UNKNOWN);
	CU_ASSERT_EQUAL(check_session_ask(session, ""), ESCROW_LOCAL_UNKNOWN);
	CU_ASSERT_EQUAL(check_session_ask(session, "a b"), ESCROW_LOCAL_UNKNOWN);
	mysql_close(mysql);
	shell("kill", "");
	CU_ASSERT_EQUAL(check_session_ask(session, "T1"), ESCROW_LOCAL_UNKNOWN);
	CU_ASSERT_EQUAL(check_session_ask(session, "T9"), ESCROW_LOCAL_UNKNOWN);
	start_server();
	CU_ASSERT_EQUAL(check_session_ask(session, "T1"), ESCROW_LOCAL_COMMIT);
	CU_ASSERT_EQUAL(check_session_ask(session, "T9"), ESCROW_LOCAL_ROLLBACK);
	check_session_destroy(session);
	check_session_destroy(without_table);
	check_target_destroy(target);
	check_target_destroy(nowhere);
}

/* --- races ------------------------------------------------------------------------------------------------------------- */

enum { ROUNDS = 150, CHECKERS = 2 };

struct race {
	pthread_barrier_t start;
	char id[32];
	int round;
	bool ended;
	uint64_t seed;
	bool committed;                             /* The business's view. */
	enum escrow_local_result said[CHECKERS];
	struct check_target *target;
};

struct checker {
	struct race *race;
	int index;
};

static void *check_rounds(void *argument)
{
	struct checker *checker = argument;
	struct race *race = checker->race;
	struct check_session *session = check_session_create(race->target);

	for (;;) {
		pthread_barrier_wait(&race->start);
		if (race->ended)
			break;
		race->said[checker->index] = check_session_ask(session, race->id);
		pthread_barrier_wait(&race->start);
	}
	check_session_destroy(session);
	return NULL;
}

/* One local transaction; sometimes it rolls back. True: it committed. */
static bool local_transaction(MYSQL *mysql, struct race *race)
{
	char statement[100];
	enum escrow_code code;

	run(mysql, "START TRANSACTION");
	code = escrow_barrier_insert(mysql, race->id, NULL);
	snprintf(statement, sizeof(statement), "INSERT INTO orders VALUES (%d, '%s')", race->round, race->id);
	if (code != ESCROW_OK || check_random(&race->seed) % 3 == 0 || mysql_query(mysql, statement) != 0) {
		run(mysql, "ROLLBACK");
		return false;
	}
	return mysql_query(mysql, "COMMIT") == 0;
}

static void test_whoever_wins_the_race_the_answers_agree(void)
{
	struct race race = { .seed = check_seed(3) };
	struct checker checkers[CHECKERS];
	pthread_t threads[CHECKERS];
	MYSQL *mysql = connect_to("shop");
	struct check_session *session;
	int said_commit = 0, said_rollback = 0;

	fresh();
	session = session_to("shop", &race.target);
	pthread_barrier_init(&race.start, NULL, CHECKERS + 1);
	for (int i = 0; i < CHECKERS; i++) {
		checkers[i] = (struct checker){ &race, i };
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, check_rounds, &checkers[i]), 0);
	}
	for (race.round = 0; race.round < ROUNDS; race.round++) {
		snprintf(race.id, sizeof(race.id), "R%d", race.round);
		pthread_barrier_wait(&race.start);
		race.committed = local_transaction(mysql, &race);
		pthread_barrier_wait(&race.start);
		for (int i = 0; i < CHECKERS; i++) {
			/* Whatever a check said while it was open holds afterwards; a commit that it saw has happened. */
			if (race.said[i] == ESCROW_LOCAL_COMMIT)
				CU_ASSERT_TRUE(race.committed);
			if (race.said[i] == ESCROW_LOCAL_ROLLBACK)
				CU_ASSERT_FALSE(race.committed);
			said_commit += race.said[i] == ESCROW_LOCAL_COMMIT;
			said_rollback += race.said[i] == ESCROW_LOCAL_ROLLBACK;
		}
		CU_ASSERT_EQUAL(check_session_ask(session, race.id), race.committed ? ESCROW_LOCAL_COMMIT : ESCROW_LOCAL_ROLLBACK);
	}
	race.ended = true;
	pthread_barrier_wait(&race.start);
	for (int i = 0; i < CHECKERS; i++)
		pthread_join(threads[i], NULL);
	printf("checks during the race: %d commit, %d rollback\n", said_commit, said_rollback);
	check_session_destroy(session);
	check_target_destroy(race.target);
	pthread_barrier_destroy(&race.start);
	mysql_close(mysql);
}

/* --- consuming once ------------------------------------------------------------------------------------------------------ */

static void test_a_message_counts_once_per_group_and_only_if_the_transaction_commits(void)
{
	MYSQL *mysql = connect_to("shop");
	bool first = false;

	fresh();
	run(mysql, "START TRANSACTION");
	CU_ASSERT_EQUAL(escrow_once(mysql, "payments", "M1", &first, NULL), ESCROW_OK);
	CU_ASSERT_TRUE(first);
	run(mysql, "ROLLBACK");
	run(mysql, "START TRANSACTION");
	CU_ASSERT_EQUAL(escrow_once(mysql, "payments", "M1", &first, NULL), ESCROW_OK);
	CU_ASSERT_TRUE(first);
	run(mysql, "COMMIT");
	CU_ASSERT_EQUAL(escrow_once(mysql, "payments", "M1", &first, NULL), ESCROW_OK);
	CU_ASSERT_FALSE(first);
	CU_ASSERT_EQUAL(escrow_once(mysql, "shipping", "M1", &first, NULL), ESCROW_OK);
	CU_ASSERT_TRUE(first);
	CU_ASSERT_EQUAL(escrow_once(mysql, "payments", "", &first, NULL), ESCROW_INVALID);
	CU_ASSERT_EQUAL(escrow_once(mysql, "payments", "M2", NULL, NULL), ESCROW_INVALID);
	CU_ASSERT_EQUAL(escrow_once(NULL, "payments", "M2", &first, NULL), ESCROW_INVALID);
	mysql_close(mysql);
}

static void test_a_lost_connection_is_a_failure_never_a_duplicate(void)
{
	MYSQL *mysql = connect_to("shop"), *killer = connect_to("shop");
	char statement[64];
	bool first = true;
	struct escrow_error err;

	fresh();
	snprintf(statement, sizeof(statement), "KILL CONNECTION %lu", mysql_thread_id(mysql));
	run(killer, statement);
	CU_ASSERT_EQUAL(escrow_once(mysql, "payments", "M1", &first, &err), ESCROW_DATABASE);
	CU_ASSERT_FALSE(first);
	CU_ASSERT_TRUE(err.retriable);
	CU_ASSERT_TRUE(err.outcome_unknown);
	CU_ASSERT_EQUAL(escrow_barrier_insert(mysql, "T1", &err), ESCROW_DATABASE);
	mysql_close(mysql);
	mysql_close(killer);
}

/* --- tables -------------------------------------------------------------------------------------------------------------- */

static char *show_table(MYSQL *mysql, const char *table)
{
	char query[100];

	snprintf(query, sizeof(query), "SHOW CREATE TABLE %s", table);
	if (mysql_query(mysql, query) != 0)
		abort();
	MYSQL_RES *result = mysql_store_result(mysql);
	char *text = strdup(mysql_fetch_row(result)[1]);
	mysql_free_result(result);
	return text;
}

static void test_the_sql_file_and_the_function_make_the_same_tables(void)
{
	static const char *const tables[] = { "escrow_barrier", "escrow_consumed" };
	MYSQL *mysql = connect_to("shop"), *other;
	struct escrow_error err;

	fresh();
	CU_ASSERT_EQUAL(escrow_mysql_create_tables(mysql, &err), ESCROW_OK); /* Again: no change. */
	run(mysql, "DROP DATABASE IF EXISTS by_file");
	run(mysql, "CREATE DATABASE by_file");
	shell("sql", "by_file <client-sdk/sql/barrier.sql");
	other = connect_to("by_file");
	for (size_t i = 0; i < 2; i++) {
		char *ours = show_table(mysql, tables[i]), *theirs = show_table(other, tables[i]);

		CU_ASSERT_STRING_EQUAL(ours, theirs);
		free(ours);
		free(theirs);
	}
	mysql_close(other);
	mysql_close(mysql);
}

static void test_purging_takes_old_rows_only(void)
{
	MYSQL *mysql = connect_to("shop");
	uint64_t deleted = 99;
	bool first;

	fresh();
	run(mysql, "INSERT INTO escrow_barrier VALUES ('old', 2, NOW() - INTERVAL 10 DAY), ('older', 1, NOW() - INTERVAL 20 DAY)");
	run(mysql, "INSERT INTO escrow_consumed VALUES ('g', 'old', NOW() - INTERVAL 10 DAY)");
	CU_ASSERT_EQUAL(escrow_barrier_insert(mysql, "new", NULL), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_once(mysql, "g", "new", &first, NULL), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_mysql_purge(mysql, 30 * 86400, 100, &deleted, NULL), ESCROW_OK);
	CU_ASSERT_EQUAL(deleted, 0);
	CU_ASSERT_EQUAL(escrow_mysql_purge(mysql, 86400, 1, &deleted, NULL), ESCROW_OK);
	CU_ASSERT_EQUAL(deleted, 2);
	CU_ASSERT_EQUAL(escrow_mysql_purge(mysql, 86400, 100, &deleted, NULL), ESCROW_OK);
	CU_ASSERT_EQUAL(deleted, 1);
	CU_ASSERT_EQUAL(escrow_barrier_insert(mysql, "new", NULL), ESCROW_CONFLICT);
	mysql_close(mysql);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_found_is_commit_absent_is_rollback_and_the_late_one_loses),
		CHECK_TEST(test_a_local_transaction_under_way_is_unknown),
		CHECK_TEST(test_what_cannot_be_read_is_unknown_and_recovers),
		CHECK_TEST(test_whoever_wins_the_race_the_answers_agree),
		CHECK_TEST(test_a_message_counts_once_per_group_and_only_if_the_transaction_commits),
		CHECK_TEST(test_a_lost_connection_is_a_failure_never_a_duplicate),
		CHECK_TEST(test_the_sql_file_and_the_function_make_the_same_tables),
		CHECK_TEST(test_purging_takes_old_rows_only),
	};
	base_dir = check_make_dir();
	snprintf(server_dir, sizeof(server_dir), "%s/mysql", base_dir);
	start_server();
	shell("sql", "-e 'CREATE DATABASE shop'");
	int failed = check_main("integration/sdk_barrier", tests, sizeof(tests) / sizeof(tests[0]));
	shell("stop", "");
	check_remove_dir(base_dir);
	return failed;
}
