/* The op log in trouble: a server that dies, hangs, is emptied or refuses, another projector or somebody's hands at the
 * cursor, a log that is damaged or goes away. It comes to an end with every row once, or it stops and says why. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/projections/oplog_projector_internal.h"
#include "lib/base/clock.h"
#include "tests/support/oplog_rig.h"

/* --- the server ----------------------------------------------------------------------------------------------------- */

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

static void test_the_broker_is_not_held_up_by_a_server_that_hangs(void)
{
	struct oplog_config config = broker_options();
	struct test_log log;

	fresh_database();
	new_log(&log, "hangs");
	struct oplog_projector *projector = start_projector(&log, &config);
	wait_projected(&log, projector);
	signal_server(SIGSTOP);
	put_many(&log, 100, noon);
	oplog_projector_advance(projector, commitlog_durable(log.log));
	usleep(100 * 1000);
	int64_t begin = clock_mono_ms(clock_system());
	oplog_projector_stop(projector, 500);
	/* Far below the server's own limit of 5 s; the process must be able to end. */
	CU_ASSERT(clock_mono_ms(clock_system()) - begin < 4000);
	signal_server(SIGCONT);
	project_once(&log);
	check_complete(&log, 100);
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

/* --- others at the cursor ------------------------------------------------------------------------------------------- */

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

/* --- what a server does to each session -------------------------------------------------------------------------------- */

static const char euro_id[] = "\xe2\x82\xac-\xf0\x9f\x98\x80-\xc3\xa4' OR 1=1 -- \\";

/* The server runs this in every session of an ordinary account; the rows are what they are without it. */
static void project_under(const char *name, const char *init_connect)
{
	char statement[400], long_id[256] = "";
	struct test_log log;

	snprintf(statement, sizeof(statement), "SET GLOBAL init_connect = \"%s\"", init_connect);
	sql(statement);
	fresh_database();
	new_log(&log, name);
	put_many(&log, 10, noon);
	while (strlen(long_id) < 240)
		strcat(long_id, "\xe2\x82\xac");
	(void)put_half(&log, euro_id, noon);
	(void)put_half(&log, long_id, noon);
	flush_log(&log);
	struct oplog_config config = broker_options();
	struct oplog_projector *projector = start_projector(&log, &config);
	for (int waited = 0; sql_u64("SELECT COUNT(*) FROM txn") < 12 && waited < WAIT_LIMIT_MS / 3; waited += POLL_MS)
		usleep(POLL_MS * 1000);
	CU_ASSERT_STRING_EQUAL(status_of(projector).last_error, "");
	oplog_projector_stop(projector, 5000);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM txn"), 12);
	check_rows("SELECT HEX(transaction_id) FROM txn WHERE size = 10 AND CHAR_LENGTH(transaction_id) < 26",
		   "E282AC2DF09F98802DC3A427204F5220313D31202D2D205C\n");
	check_rows("SELECT CHAR_LENGTH(transaction_id), HEX(LEFT(transaction_id, 1)) FROM txn ORDER BY 1 DESC LIMIT 1", "80|E282AC\n");
	check_rows("SELECT MIN(created_at) FROM txn", "2025-11-25 12:00:00.000\n");
	sql("SET GLOBAL init_connect = ''");
	close_log(&log);
}

static void test_names_of_another_character_set_change_nothing(void)
{
	project_under("latin1", "SET NAMES latin1");
	project_under("gbk", "SET NAMES gbk");
	project_under("results", "SET character_set_results = latin1, collation_connection = latin1_swedish_ci");
}

/* What the server lets sessions do, or not, is ours to say. */
static void test_other_settings_of_sessions_change_nothing(void)
{
	project_under("modes", "SET sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES', time_zone = '-11:00', autocommit = 0");
	project_under("reads", "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED, READ ONLY");
	project_under("limits", "SET sql_select_limit = 0, completion_type = 2, sql_safe_updates = 1");
}

/* A server may answer any statement by asking for a file of the client's machine. */
static void test_a_server_gets_no_file_of_ours(void)
{
	static const char load[] = "LOAD DATA LOCAL INFILE '/proc/self/status' INTO TABLE taken";

	fresh_database();
	sql("SET GLOBAL local_infile = 1");
	sql("CREATE TEMPORARY TABLE taken (line TEXT)");
	CU_ASSERT_NOT_EQUAL(db_conn_exec_text(admin_conn(), load, NULL), ST_OK);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM taken"), 0);
	sql("DROP TEMPORARY TABLE taken");
}

/* --- the log -------------------------------------------------------------------------------------------------------- */

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
		 programs_dir(), log.root);
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

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_mysql_is_killed_while_writing),
		CHECK_TEST(test_the_broker_is_not_held_up_by_a_server_that_hangs),
		CHECK_TEST(test_a_batch_behind_an_open_half_is_not_lost),
		CHECK_TEST(test_names_are_looked_up_again_after_a_reconnection),
		CHECK_TEST(test_a_lock_ends_before_the_connection_does),
		CHECK_TEST(test_pauses_double),
		CHECK_TEST(test_an_emptied_server_is_filled_again),
		CHECK_TEST(test_a_read_only_server_and_another_schema_are_waited_out),
		CHECK_TEST(test_a_second_projector_takes_over_and_the_first_stops),
		CHECK_TEST(test_a_claim_that_another_one_won_is_made_anew),
		CHECK_TEST(test_a_cursor_set_back_by_hand_is_followed),
		CHECK_TEST(test_a_stop_leaves_nothing_to_the_next_start),
		CHECK_TEST(test_names_of_another_character_set_change_nothing),
		CHECK_TEST(test_other_settings_of_sessions_change_nothing),
		CHECK_TEST(test_a_server_gets_no_file_of_ours),
		CHECK_TEST(test_a_cursor_ahead_of_the_log_stops_the_projector),
		CHECK_TEST(test_a_damaged_log_stops_the_projector_and_is_found_by_check),
		CHECK_TEST(test_a_gap_in_the_log_is_passed_and_noted),
		CHECK_TEST(test_a_projector_that_is_overtaken_goes_on),
	};

	return oplog_rig_main("oplog-trouble", tests, sizeof(tests) / sizeof(tests[0]));
}
