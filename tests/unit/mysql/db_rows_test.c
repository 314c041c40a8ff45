/* Statements built from rows: splitting at the packet limit, literals, times, and text that is not what it should be. */
#include "lib/mysql/db_rows.h"

#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/check.h"

/* What would have been sent. */
static struct buffer sent;
static unsigned sent_count;
static size_t sent_size_max;
static enum status send_result;

static enum status record_statement(struct db_conn *conn, struct span statement, uint64_t *affected_out,
				    struct errinfo *err)
{
	(void)conn;
	if (affected_out != NULL)
		*affected_out = 0;
	if (send_result != ST_OK)
		return errinfo_set(err, send_result, "refused by the test");
	buffer_append_span(&sent, statement);
	buffer_append_text(&sent, ";");
	sent_count++;
	sent_size_max = statement.size > sent_size_max ? statement.size : sent_size_max;
	return ST_OK;
}

static void begin_test(struct db_rows *rows, struct db_conn *conn, size_t size_max)
{
	buffer_reset(&sent);
	sent_count = 0;
	sent_size_max = 0;
	send_result = ST_OK;
	db_rows_init(rows, conn, "INSERT INTO t VALUES ", " ON D", size_max);
	rows->send = record_statement;
}

static void check_sent(const char *expected)
{
	CU_ASSERT(span_is(buffer_span(&sent), expected));
	if (!span_is(buffer_span(&sent), expected))
		fprintf(stderr, "sent: %.*s\n", SPAN_ARGS(buffer_span(&sent)));
}

static void test_cells_of_every_type(void)
{
	struct db_rows rows;

	begin_test(&rows, NULL, 4096);
	db_rows_begin(&rows);
	db_rows_u64(&rows, UINT64_MAX);
	db_rows_i64(&rows, INT64_MIN);
	db_rows_i64(&rows, 0);
	db_rows_null(&rows);
	db_rows_text(&rows, span_of("order-7"), 16);
	db_rows_text(&rows, SPAN_NONE, 16);
	db_rows_binary(&rows, (struct span){ (const uint8_t *)"\x00'\xff", 3 });
	db_rows_time(&rows, 1764069639123);
	CU_ASSERT_EQUAL(db_rows_end(&rows, NULL), ST_OK);
	CU_ASSERT_EQUAL(db_rows_flush(&rows, NULL), ST_OK);
	check_sent("INSERT INTO t VALUES (18446744073709551615,-9223372036854775808,0,NULL,'order-7','',x'0027ff',"
		   "'2025-11-25 11:20:39.123') ON D;");
	db_rows_deinit(&rows);
}

static void test_flush_without_rows_sends_nothing(void)
{
	struct db_rows rows;

	begin_test(&rows, NULL, 4096);
	CU_ASSERT_EQUAL(db_rows_flush(&rows, NULL), ST_OK);
	CU_ASSERT_EQUAL(sent_count, 0);
	db_rows_deinit(&rows);
}

static void test_rows_are_split_at_the_limit_and_none_is_lost(void)
{
	for (size_t size_max = 40; size_max < 140; size_max++) {
		struct db_rows rows;
		begin_test(&rows, NULL, size_max);
		for (uint64_t i = 0; i < 100; i++) {
			db_rows_begin(&rows);
			db_rows_u64(&rows, 1000 + i);
			db_rows_u64(&rows, i * i);
			CU_ASSERT_EQUAL_FATAL(db_rows_end(&rows, NULL), ST_OK);
		}
		CU_ASSERT_EQUAL(db_rows_flush(&rows, NULL), ST_OK);
		CU_ASSERT(sent_size_max <= size_max);
		CU_ASSERT_EQUAL(rows.row_count, 100);
		CU_ASSERT_EQUAL(rows.statement_count, sent_count);
		buffer_append(&sent, "", 1);
		const char *at = (const char *)sent.data;
		for (unsigned i = 0; i < 100; i++) {
			char row[32];
			snprintf(row, sizeof(row), "(%u,%u)", 1000 + i, i * i);
			at = strstr(at, row);
			CU_ASSERT_PTR_NOT_NULL_FATAL(at);
		}
		CU_ASSERT_PTR_NULL(strstr((const char *)sent.data, "VALUES ,"));
		CU_ASSERT_PTR_NULL(strstr((const char *)sent.data, ")("));
		db_rows_deinit(&rows);
	}
}

static void test_a_row_over_the_limit_is_refused(void)
{
	struct db_rows rows;
	struct errinfo err;
	char text[200];

	memset(text, 'x', sizeof(text));
	begin_test(&rows, NULL, 100);
	db_rows_begin(&rows);
	db_rows_text(&rows, (struct span){ (const uint8_t *)text, sizeof(text) }, 1000);
	CU_ASSERT_EQUAL(db_rows_end(&rows, &err), ST_TOOBIG);
	CU_ASSERT_EQUAL(sent_count, 0);
	db_rows_deinit(&rows);
}

static void test_a_failed_statement_is_reported(void)
{
	struct db_rows rows;
	struct errinfo err;

	begin_test(&rows, NULL, 100);
	send_result = ST_BUSY;
	db_rows_begin(&rows);
	db_rows_u64(&rows, 1);
	CU_ASSERT_EQUAL(db_rows_end(&rows, &err), ST_OK);
	CU_ASSERT_EQUAL(db_rows_flush(&rows, &err), ST_BUSY);
	CU_ASSERT_EQUAL(rows.row_count, 0);
	db_rows_deinit(&rows);
}

static void test_quoted_text_cannot_leave_its_literal(void)
{
	struct db_conn *conn;
	struct db_rows rows;
	MYSQL *handle = mysql_init(NULL);

	CU_ASSERT_PTR_NOT_NULL_FATAL(handle);
	CU_ASSERT_EQUAL_FATAL(db_conn_wrap(handle, &conn, NULL), ST_OK);
	begin_test(&rows, conn, 4096);
	db_rows_begin(&rows);
	db_rows_text(&rows, span_of("'; DROP TABLE txn; --"), 64);
	db_rows_text(&rows, span_of("back\\slash"), 64);
	db_rows_text(&rows, (struct span){ (const uint8_t *)"a\0b", 3 }, 64);
	CU_ASSERT_EQUAL(db_rows_end(&rows, NULL), ST_OK);
	CU_ASSERT_EQUAL(db_rows_flush(&rows, NULL), ST_OK);
	check_sent("INSERT INTO t VALUES ('\\'; DROP TABLE txn; --','back\\\\slash','a\\0b') ON D;");
	db_rows_deinit(&rows);
	db_conn_close(conn);
	mysql_close(handle);
}

static void check_clean(struct span text, size_t char_max, const char *expected)
{
	struct buffer out;

	buffer_init(&out, 0);
	db_text_clean(text, char_max, &out);
	CU_ASSERT(span_is(buffer_span(&out), expected));
	if (!span_is(buffer_span(&out), expected))
		fprintf(stderr, "clean: %.*s instead of %s\n", SPAN_ARGS(buffer_span(&out)), expected);
	buffer_deinit(&out);
}

static void test_clean_text(void)
{
	check_clean(span_of("plain"), 5, "plain");
	check_clean(span_of("longer"), 5, "long\xe2\x80\xa6");
	check_clean(span_of(""), 1, "");
	check_clean(span_of("ab"), 1, "\xe2\x80\xa6");
	/* Characters are counted, not bytes, and never cut. */
	check_clean(span_of("\xe4\xb8\xad\xe6\x96\x87"), 2, "\xe4\xb8\xad\xe6\x96\x87");
	check_clean(span_of("\xe4\xb8\xad\xe6\x96\x87x"), 2, "\xe4\xb8\xad\xe2\x80\xa6");
	check_clean(span_of("\xf0\x9f\x98\x80"), 1, "\xf0\x9f\x98\x80");
}

static void test_bytes_that_are_not_utf8_become_question_marks(void)
{
	check_clean(span_of("a\xff"), 9, "a?");
	check_clean(span_of("\x80z"), 9, "?z");
	check_clean(span_of("\xc0\xaf"), 9, "??");         /* overlong */
	check_clean(span_of("\xe0\x80\x80"), 9, "???");    /* overlong */
	check_clean(span_of("\xed\xa0\x80"), 9, "???");    /* surrogate */
	check_clean(span_of("\xf4\x90\x80\x80"), 9, "????"); /* above U+10FFFF */
	check_clean(span_of("\xe4\xb8"), 9, "??");         /* cut short */
	check_clean(span_of("\xe4\xb8z"), 9, "??z");
}

static void check_time(int64_t wall_ms, const char *expected)
{
	char text[DB_TIME_TEXT_SIZE];

	db_time_text(wall_ms, text);
	CU_ASSERT_STRING_EQUAL(text, expected);
}

static void test_times(void)
{
	check_time(0, "1970-01-01 00:00:00.000");
	check_time(951782400000, "2000-02-29 00:00:00.000");
	check_time(4107542399999, "2100-02-28 23:59:59.999");
	check_time(4107542400000, "2100-03-01 00:00:00.000");
	check_time(-1, "1970-01-01 00:00:00.000");
	check_time(INT64_MAX, "9999-12-31 23:59:59.999");
}

static void test_times_agree_with_the_c_library(void)
{
	uint64_t random = check_seed(20);

	for (int i = 0; i < 20000; i++) {
		int64_t ms = (int64_t)(check_random(&random) % 253402300800000);
		time_t seconds = ms / 1000;
		struct tm tm;
		char expected[64], text[DB_TIME_TEXT_SIZE];
		CU_ASSERT_PTR_NOT_NULL_FATAL(gmtime_r(&seconds, &tm));
		size_t size = strftime(expected, sizeof(expected), "%Y-%m-%d %H:%M:%S", &tm);
		snprintf(expected + size, sizeof(expected) - size, ".%03d", (int)(ms % 1000));
		db_time_text(ms, text);
		if (strcmp(text, expected) != 0)
			CU_FAIL_FATAL("a time differs");
	}
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_cells_of_every_type),
		CHECK_TEST(test_flush_without_rows_sends_nothing),
		CHECK_TEST(test_rows_are_split_at_the_limit_and_none_is_lost),
		CHECK_TEST(test_a_row_over_the_limit_is_refused),
		CHECK_TEST(test_a_failed_statement_is_reported),
		CHECK_TEST(test_quoted_text_cannot_leave_its_literal),
		CHECK_TEST(test_clean_text),
		CHECK_TEST(test_bytes_that_are_not_utf8_become_question_marks),
		CHECK_TEST(test_times),
		CHECK_TEST(test_times_agree_with_the_c_library),
	};

	buffer_init(&sent, 0);
	int failed = check_main("db_rows", tests, sizeof(tests) / sizeof(tests[0]));
	buffer_deinit(&sent);
	return failed;
}
