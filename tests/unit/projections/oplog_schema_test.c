/* The migrations that are embedded, how they are split, and that their words are those of the programs. */
#include "broker/projections/oplog_schema.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/projections/oplog_facts.h"
#include "tests/support/check.h"

static void check_statements(const char *text, const char *const *expected)
{
	char delimiter[OPLOG_DELIMITER_SIZE] = ";";
	struct span rest = span_of(text), statement;
	size_t count = 0;

	while (oplog_next_statement(&rest, delimiter, &statement)) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(expected[count]);
		CU_ASSERT(span_is(statement, expected[count]));
		count++;
	}
	CU_ASSERT_PTR_NULL(expected[count]);
}

static void test_statements_end_with_a_line(void)
{
	check_statements("SELECT 'a;b'\n  FROM t;\nSELECT 2;", (const char *const[]){ "SELECT 'a;b'\n  FROM t", "SELECT 2", NULL });
}

static void test_comments_between_statements_are_left_out(void)
{
	check_statements("-- a;\n\nSELECT 1\n-- inside\n;\n-- b;\n", (const char *const[]){ "SELECT 1\n-- inside\n", NULL });
	check_statements("-- only a comment", (const char *const[]){ NULL });
	check_statements("", (const char *const[]){ NULL });
}

static void test_the_delimiter_changes(void)
{
	check_statements("DELIMITER //\nBEGIN\n  x;\nEND//\nDELIMITER ;\nSELECT 1;\n",
			 (const char *const[]){ "BEGIN\n  x;\nEND", "SELECT 1", NULL });
}

static void test_a_statement_without_end_is_none(void)
{
	check_statements("SELECT 1", (const char *const[]){ NULL });
}

static void test_database_names(void)
{
	CU_ASSERT_TRUE(oplog_database_name_valid("escrow_oplog"));
	CU_ASSERT_FALSE(oplog_database_name_valid(""));
	CU_ASSERT_FALSE(oplog_database_name_valid("a`b"));
	CU_ASSERT_FALSE(oplog_database_name_valid("a;DROP"));
	CU_ASSERT_FALSE(oplog_database_name_valid("a1234567890123456789012345678901234567890123456789012345678901234"));
}

static void test_every_file_of_the_folder_is_embedded(void)
{
	size_t count, files = 0;
	const struct oplog_migration *migrations = oplog_migrations(&count);
	DIR *dir = opendir("sql/migrations");
	struct dirent *item;

	CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
	while ((item = readdir(dir)) != NULL)
		files += strstr(item->d_name, ".sql") != NULL;
	closedir(dir);
	CU_ASSERT_EQUAL(files, count);
	for (size_t i = 0; i < count; i++) {
		char path[256], number[32];
		snprintf(number, sizeof(number), "%03zu_", i + 1);
		CU_ASSERT_EQUAL(strncmp(migrations[i].name, number, 4), 0);
		snprintf(path, sizeof(path), "sql/migrations/%s", migrations[i].name);
		size_t size;
		uint8_t *text = check_read_file(path, &size);
		CU_ASSERT(span_equal(span_of(migrations[i].text), (struct span){ text, size }));
		free(text);
	}
}

/* WHEN 2 THEN 'committed' and so on, in the views. */
static void check_word(const char *text, int value, const char *word)
{
	char part[64];

	if (*word == '\0')
		return;
	snprintf(part, sizeof(part), "WHEN %d THEN '%s'", value, word);
	if (strstr(text, part) == NULL)
		fprintf(stderr, "not in the views: %s\n", part);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, part));
}

static void test_the_views_use_the_words_of_the_programs(void)
{
	size_t count;
	const char *views = oplog_migrations(&count)[1].text;

#define CHECK_WORD(name, value, word) check_word(views, value, word);
	OPLOG_TXN_STATE_MAP(CHECK_WORD)
	OPLOG_ACTOR_MAP(CHECK_WORD)
	OPLOG_EVENT_MAP(CHECK_WORD)
#undef CHECK_WORD
	check_word(views, OPLOG_COMMIT, "commit");
	check_word(views, OPLOG_ROLLBACK, "rollback");
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_statements_end_with_a_line),
		CHECK_TEST(test_comments_between_statements_are_left_out),
		CHECK_TEST(test_the_delimiter_changes),
		CHECK_TEST(test_a_statement_without_end_is_none),
		CHECK_TEST(test_database_names),
		CHECK_TEST(test_every_file_of_the_folder_is_embedded),
		CHECK_TEST(test_the_views_use_the_words_of_the_programs),
	};

	return check_main("oplog_schema", tests, sizeof(tests) / sizeof(tests[0]));
}
