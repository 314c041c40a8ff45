/* The op log of a store that is not the one that was projected, though it has its log's id: restored from an older backup, or
 * cut. It stops, however far the log has grown since, and two stories are never mixed. What looks like that, and is sound, goes
 * on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "tests/support/oplog_rig.h"

enum { BEFORE = 10, LOST = 50, HALF = LOST / 2 };

static const int64_t another_noon = 1764072001000; /* A second after noon. */

/* --- copies of a store ---------------------------------------------------------------------------------------------- */

static void shell(const char *what, const char *from, const char *to)
{
	char command[1200];

	snprintf(command, sizeof(command), "%s %s %s", what, from, to);
	CU_ASSERT_EQUAL_FATAL(system(command), 0);
}

static void name_backup(const struct test_log *log, char *out, size_t size)
{
	snprintf(out, size, "%s.backup", log->root);
}

/* The log's end then is where the two stories part. */
static void back_up(struct test_log *log)
{
	char backup[600];

	name_backup(log, backup, sizeof(backup));
	close_log(log);
	shell("cp -a", log->root, backup);
	open_log(log);
}

static void restore(struct test_log *log, uint64_t half_count)
{
	char backup[600];

	name_backup(log, backup, sizeof(backup));
	close_log(log);
	shell("rm -r", log->root, "");
	shell("cp -a", backup, log->root);
	open_log(log);
	log->half_count = half_count;
}

/* --- what must not go on -------------------------------------------------------------------------------------------- */

static void must_stop(struct test_log *log, const char *why)
{
	struct oplog_config config = broker_options();
	char *before = sql_rows("CHECKSUM TABLE txn");
	struct oplog_projector *projector = start_projector(log, &config);

	CU_ASSERT_TRUE(wait_stopped(projector));
	if (strstr(status_of(projector).last_error, why) == NULL) {
		CU_FAIL("another reason");
		fprintf(stderr, "not '%s': %s\n", why, status_of(projector).last_error);
	}
	oplog_projector_stop(projector, 1000);
	check_rows("CHECKSUM TABLE txn", before);
	free(before);
}

static const char another_log[] = "not the one that was projected";

/* The copy's records lie where those of the lost part lay, so that the cursor is between two of them; that is told by the
 * records' content alone. */
static void test_a_restored_log_that_has_outgrown_the_cursor_is_not_projected(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "restored");
	put_many(&log, BEFORE, noon);
	back_up(&log);
	put_many(&log, LOST, noon);
	project_once(&log);
	restore(&log, BEFORE);
	must_stop(&log, "ahead of the log");
	put_many(&log, LOST, another_noon);
	put_many(&log, LOST, another_noon);
	must_stop(&log, another_log);
	/* Nor after the next start. */
	close_log(&log);
	open_log(&log);
	must_stop(&log, another_log);
	close_log(&log);
}

/* The cursor is within one of the copy's records: that is no damage. */
static void test_a_cursor_within_a_record_of_another_story_is_no_damage(void)
{
	struct test_log log;
	char id[200];

	fresh_database();
	new_log(&log, "within");
	put_many(&log, BEFORE, noon);
	back_up(&log);
	put_many(&log, LOST, noon);
	project_once(&log);
	restore(&log, BEFORE);
	memset(id, 'l', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	for (int i = 0; i < 2 * LOST; i++)
		(void)put_half(&log, id, noon);
	flush_log(&log);
	must_stop(&log, another_log);
	close_log(&log);
}

/* The last records are alike to the byte; what both starts wrote is not. */
static void test_another_story_with_the_same_last_words_is_another_one(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "alike");
	put_many(&log, BEFORE, noon);
	back_up(&log);
	put_many(&log, HALF, noon);
	put_many(&log, HALF, noon);
	project_once(&log);
	restore(&log, BEFORE);
	put_many(&log, HALF, another_noon);
	put_many(&log, HALF, noon);
	put_many(&log, HALF, noon);
	must_stop(&log, another_log);
	close_log(&log);
}

/* An open half holds the cursor in front of where the stories part, but rows have gone further. */
static void put_behind_open_half(struct test_log *log, const char *name)
{
	struct oplog_config config = broker_options();
	int64_t now = clock_wall_ms(clock_system());

	new_log(log, name);
	config.prepared_after_ms = 3600 * 1000;
	struct test_txn open = put_half(log, "open", now);
	back_up(log);
	put_many(log, LOST, now);
	struct oplog_projector *projector = start_projector(log, &config);
	wait_rows(LOST);
	oplog_projector_stop(projector, 5000);
	CU_ASSERT_EQUAL(sql_u64("SELECT cursor_position FROM broker_log"), open.offset);
	restore(log, 1);
}

static void test_rows_behind_an_open_half_are_ahead_of_a_restored_log(void)
{
	struct test_log log;

	fresh_database();
	put_behind_open_half(&log, "open-ahead");
	must_stop(&log, "ahead of the log");
	close_log(&log);
}

static void test_rows_behind_an_open_half_are_not_mixed_with_others(void)
{
	struct test_log log;

	fresh_database();
	put_behind_open_half(&log, "open-mixed");
	put_many(&log, 2 * LOST, another_noon);
	must_stop(&log, another_log);
	close_log(&log);
}

/* --- what goes on --------------------------------------------------------------------------------------------------- */

static void test_a_log_that_is_started_again_is_the_same(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "same");
	for (unsigned i = 1; i <= 5; i++) {
		put_many(&log, 20, noon);
		project_once(&log);
		check_complete(&log, i * 20);
		close_log(&log);
		open_log(&log);
	}
	project_once(&log);
	close_log(&log);
}

/* A cursor from before there was anything to compare is believed once. */
static void test_a_cursor_without_a_witness_gets_one(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "upgraded");
	put_many(&log, BEFORE, noon);
	project_once(&log);
	back_up(&log);
	sql("UPDATE broker_log SET last_record = NULL, last_record_crc = NULL, start_record = NULL, start_record_crc = NULL");
	put_many(&log, LOST, noon);
	project_once(&log);
	check_complete(&log, BEFORE + LOST);
	CU_ASSERT_EQUAL(sql_u64("SELECT COUNT(*) FROM broker_log WHERE last_record > 0 AND start_record > 0"), 1);
	restore(&log, BEFORE);
	put_many(&log, 2 * LOST, another_noon);
	must_stop(&log, another_log);
	close_log(&log);
}

/* The records that were noted are gone with their segment: there is nothing to compare, and that is no reason to stop. */
static void test_a_log_whose_old_part_is_gone_is_projected(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "gone");
	put_many(&log, BEFORE, noon);
	project_once(&log);
	put_many(&log, 25000, noon);
	char first[600];
	snprintf(first, sizeof(first), "%s/commitlog/%020d", log.root, 0);
	shell("rm", first, "");
	project_once(&log);
	CU_ASSERT(sql_u64("SELECT COUNT(*) FROM txn") > BEFORE);
	close_log(&log);
}

/* As docs/for-dbas.md says: the other story's rows deleted, the cursor at 0. */
static void test_the_tables_can_be_given_to_the_restored_log(void)
{
	struct test_log log;

	fresh_database();
	new_log(&log, "given");
	put_many(&log, BEFORE, noon);
	back_up(&log);
	put_many(&log, LOST, noon);
	project_once(&log);
	restore(&log, BEFORE);
	put_many(&log, 90, another_noon);
	must_stop(&log, another_log);
	sql("DELETE FROM txn_event WHERE log_no = 1");
	sql("DELETE FROM txn WHERE log_no = 1");
	sql("UPDATE broker_log SET cursor_position = 0 WHERE log_no = 1");
	project_once(&log);
	check_complete(&log, BEFORE + 90);
	close_log(&log);
	open_log(&log);
	project_once(&log);
	close_log(&log);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_restored_log_that_has_outgrown_the_cursor_is_not_projected),
		CHECK_TEST(test_a_cursor_within_a_record_of_another_story_is_no_damage),
		CHECK_TEST(test_another_story_with_the_same_last_words_is_another_one),
		CHECK_TEST(test_rows_behind_an_open_half_are_ahead_of_a_restored_log),
		CHECK_TEST(test_rows_behind_an_open_half_are_not_mixed_with_others),
		CHECK_TEST(test_a_log_that_is_started_again_is_the_same),
		CHECK_TEST(test_a_cursor_without_a_witness_gets_one),
		CHECK_TEST(test_a_log_whose_old_part_is_gone_is_projected),
		CHECK_TEST(test_the_tables_can_be_given_to_the_restored_log),
	};

	return oplog_rig_main("oplog-copy", tests, sizeof(tests) / sizeof(tests[0]));
}
