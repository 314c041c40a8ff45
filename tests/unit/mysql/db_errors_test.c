/* What a caller is told to do about an error of MySQL. */
#include <mysql.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mysql/db_conn.h"
#include "tests/support/check.h"

static void test_classes(void)
{
	CU_ASSERT_EQUAL(db_error_class_of(0), DB_ERROR_NONE);
	CU_ASSERT_EQUAL(db_error_class_of(1062), DB_ERROR_DUPLICATE);
	CU_ASSERT_EQUAL(db_error_class_of(1205), DB_ERROR_LOCK_WAIT);
	CU_ASSERT_EQUAL(db_error_class_of(1213), DB_ERROR_DEADLOCK);
	CU_ASSERT_EQUAL(db_error_class_of(2006), DB_ERROR_LOST);
	CU_ASSERT_EQUAL(db_error_class_of(2013), DB_ERROR_LOST);
	CU_ASSERT_EQUAL(db_error_class_of(1927), DB_ERROR_LOST); /* Killed, */
	CU_ASSERT_EQUAL(db_error_class_of(4031), DB_ERROR_LOST); /* idle too long, */
	CU_ASSERT_EQUAL(db_error_class_of(1180), DB_ERROR_LOST); /* COMMIT without an answer that tells. */
	CU_ASSERT_EQUAL(db_error_class_of(1290), DB_ERROR_READ_ONLY);
	CU_ASSERT_EQUAL(db_error_class_of(1114), DB_ERROR_FULL);
	CU_ASSERT_EQUAL(db_error_class_of(1040), DB_ERROR_RETRY);
	CU_ASSERT_EQUAL(db_error_class_of(1146), DB_ERROR_SCHEMA);
	CU_ASSERT_EQUAL(db_error_class_of(1045), DB_ERROR_DENIED);
	CU_ASSERT_EQUAL(db_error_class_of(1064), DB_ERROR_OTHER);
	CU_ASSERT_EQUAL(db_error_class_of(999999), DB_ERROR_OTHER);
}

static void test_every_class_has_a_text_and_only_none_is_ok(void)
{
	for (int class = DB_ERROR_NONE; class <= DB_ERROR_OTHER; class++) {
		CU_ASSERT(strlen(db_error_class_text((enum db_error_class)class)) > 0);
		CU_ASSERT_EQUAL(db_error_class_status((enum db_error_class)class) == ST_OK, class == DB_ERROR_NONE);
	}
}

static void test_an_unreachable_server_is_an_error_without_the_password(void)
{
	struct db_target target = {
		.socket = "/nonexistent/mysql.sock", .user = "someone", .password = "hunter2", .timeout_ms = 1000,
	};
	enum db_error_class class = DB_ERROR_NONE;
	struct db_conn *conn = NULL;
	struct errinfo err;

	CU_ASSERT_EQUAL(db_conn_open(&target, &conn, &class, &err), ST_IO);
	CU_ASSERT_EQUAL(class, DB_ERROR_LOST);
	CU_ASSERT_PTR_NULL(conn);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/nonexistent/mysql.sock"));
	CU_ASSERT_PTR_NULL(strstr(err.text, "hunter2"));
}

static void test_a_borrowed_handle_is_not_closed(void)
{
	MYSQL *handle = mysql_init(NULL);
	struct db_conn *conn;
	struct errinfo err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(handle);
	CU_ASSERT_EQUAL_FATAL(db_conn_wrap(handle, &conn, &err), ST_OK);
	/* Not connected: the same error as a connection that was lost. */
	CU_ASSERT_EQUAL(db_conn_exec_text(conn, "SELECT 1", &err), ST_IO);
	CU_ASSERT_EQUAL(db_conn_error_class(conn), DB_ERROR_LOST);
	CU_ASSERT(db_conn_error_number(conn) != 0);
	db_conn_close(conn);
	mysql_close(handle); /* A double free here fails under ASan. */
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_classes),
		CHECK_TEST(test_every_class_has_a_text_and_only_none_is_ok),
		CHECK_TEST(test_an_unreachable_server_is_an_error_without_the_password),
		CHECK_TEST(test_a_borrowed_handle_is_not_closed),
	};

	if (db_thread_begin(NULL) != ST_OK)
		abort();
	int failed = check_main("db_errors", tests, sizeof(tests) / sizeof(tests[0]));
	db_thread_end();
	mysql_library_end();
	return failed;
}
