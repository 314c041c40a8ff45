/* The op log's tables: how they come to be, in which partition a row is, and which days go. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/projections/oplog_schema.h"
#include "lib/base/clock.h"
#include "tests/support/oplog_rig.h"

/* --- migrations ----------------------------------------------------------------------------------------------------- */

static int migrate(char **complaint_out)
{
	char arguments[700];
	int exit_status;

	snprintf(arguments, sizeof(arguments),
		 "migrate -o opLogMysqlSocket=%s -o opLogMysqlUser=escrow_ddl -o opLogMysqlPassword=d-secret", server_socket());
	*complaint_out = escrow_log_complaint(arguments, &exit_status);
	return exit_status;
}

/* As if those behind this one had never been made. */
static void undo_migrations_behind(unsigned version)
{
	char statement[80];

	snprintf(statement, sizeof(statement), "DELETE FROM schema_migration WHERE version > %u", version);
	sql(statement);
	if (version < 4)
		sql("ALTER TABLE broker_log DROP COLUMN last_record, DROP COLUMN last_record_crc,"
		    " DROP COLUMN start_record, DROP COLUMN start_record_crc");
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
	undo_migrations_behind(2);
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

static void migrate_after_lost_note(unsigned version, unsigned done)
{
	struct errinfo err;
	unsigned applied = 0;
	char statement[160];

	fresh_database();
	undo_migrations_behind(version);
	snprintf(statement, sizeof(statement),
		 "UPDATE schema_migration SET finished_at = NULL, statements_done = %u WHERE version = %u", done, version);
	sql(statement);
	CU_ASSERT_EQUAL(oplog_schema_migrate(admin_conn(), &applied, &err), ST_OK);
	CU_ASSERT_EQUAL(oplog_schema_check(admin_conn(), &err), ST_OK);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM information_schema.routines"
				" WHERE routine_schema = 'escrow_oplog'"), 3);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM information_schema.columns"
				" WHERE table_schema = 'escrow_oplog' AND table_name = 'broker_log'"), 15);
	sql("CALL maintain_partitions(1, 0)");
}

/* A procedure or a column was made, but that it was is not noted: making it again fails, and must not fail for ever. */
static void test_a_migration_whose_note_is_lost_goes_on(void)
{
	for (unsigned done = 0; done < 6; done++)
		migrate_after_lost_note(3, done);
	migrate_after_lost_note(4, 0);
}

/* Of two programs at once the later one waits, and gives up in the end: after half a minute, of which the server makes half a
 * second here. */
static void test_a_migration_waits_for_another_one(void)
{
	struct db_target target = { .socket = server_socket(), .user = "root", .database = "escrow_oplog", .timeout_ms = 20000 };
	struct db_conn *later;
	struct errinfo failure;
	unsigned applied = 0;

	fresh_database();
	undo_migrations_behind(3);
	MUST(db_conn_open(&target, &later, NULL, err));
	MUST(db_conn_exec_text(later, "SET SESSION max_statement_time = 0.5", err));
	CU_ASSERT_EQUAL(sql_u64("SELECT GET_LOCK('escrow migrate escrow_oplog', 0)"), 1);
	CU_ASSERT_EQUAL(oplog_schema_migrate(later, &applied, &failure), ST_LOCKED);
	CU_ASSERT_EQUAL(applied, 0);
	sql("DO RELEASE_LOCK('escrow migrate escrow_oplog')");
	MUST(db_conn_exec_text(later, "SET SESSION max_statement_time = 0", err));
	CU_ASSERT_EQUAL(oplog_schema_migrate(later, &applied, &failure), ST_OK);
	CU_ASSERT_EQUAL(applied, 1);
	db_conn_close(later);
}

/* --- days ----------------------------------------------------------------------------------------------------------- */

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
	flush_log(&log);
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

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_migration_goes_on_where_it_stopped),
		CHECK_TEST(test_a_migration_whose_note_is_lost_goes_on),
		CHECK_TEST(test_a_migration_waits_for_another_one),
		CHECK_TEST(test_rows_of_other_days_find_their_partition),
		CHECK_TEST(test_old_days_go_but_for_what_is_open),
	};

	return oplog_rig_main("oplog-schema", tests, sizeof(tests) / sizeof(tests[0]));
}
