/* The password of the MySQL account: the file's first line, whoever wrote it, on whatever machine. */
#include "broker/projections/oplog_writer.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/check.h"

/* What is read from a file of this text. */
static enum status read_password(const char *text, char password[CONFIG_TEXT_SIZE])
{
	struct oplog_config config = { .password = "of the option" };
	char *dir = check_make_dir();
	struct errinfo err;

	snprintf(config.password_file, sizeof(config.password_file), "%s/password", dir);
	FILE *file = fopen(config.password_file, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_TRUE(fputs(text, file) >= 0);
	CU_ASSERT_EQUAL(fclose(file), 0);
	enum status status = oplog_password(&config, password, &err);
	check_remove_dir(dir);
	return status;
}

static void test_the_first_line_is_the_password(void)
{
	static const char *const texts[] = { "s3cret of ours", "s3cret of ours\n", "s3cret of ours\r\n",
					     "s3cret of ours\nand more\n" };
	char password[CONFIG_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CU_ASSERT_EQUAL(read_password(texts[i], password), ST_OK);
		CU_ASSERT_STRING_EQUAL(password, "s3cret of ours");
	}
	CU_ASSERT_EQUAL(read_password("", password), ST_OK);
	CU_ASSERT_STRING_EQUAL(password, "");
}

/* A part of it would be refused by the server, and nobody could see why. */
static void test_a_password_that_is_too_long_is_refused(void)
{
	char text[CONFIG_TEXT_SIZE + 2], password[CONFIG_TEXT_SIZE];

	memset(text, 'p', sizeof(text));
	text[CONFIG_TEXT_SIZE - 1] = '\0';
	CU_ASSERT_EQUAL(read_password(text, password), ST_TOOBIG);
	text[CONFIG_TEXT_SIZE - 2] = '\0';
	CU_ASSERT_EQUAL(read_password(text, password), ST_OK);
	CU_ASSERT_STRING_EQUAL(password, text);
}

static void test_without_a_file_the_option_is_the_password(void)
{
	const struct oplog_config config = { .password = "of the option" }, lost = { .password_file = "/nowhere/password" };
	char password[CONFIG_TEXT_SIZE];
	struct errinfo err;

	CU_ASSERT_EQUAL(oplog_password(&config, password, &err), ST_OK);
	CU_ASSERT_STRING_EQUAL(password, "of the option");
	CU_ASSERT_EQUAL(oplog_password(&lost, password, &err), ST_IO);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_the_first_line_is_the_password),
		CHECK_TEST(test_a_password_that_is_too_long_is_refused),
		CHECK_TEST(test_without_a_file_the_option_is_the_password),
	};

	return check_main("oplog-password", tests, sizeof(tests) / sizeof(tests[0]));
}
