/* SQL92 expressions: what passes, what is refused, and where. The cases follow RocketMQ's own expression classes. */
#include "lib/filter/sql_filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire/properties.h"
#include "tests/support/check.h"

/* "a=1,b=x" as a property string. */
static struct span properties_of(const char *text, uint8_t *out)
{
	size_t size = strlen(text);

	for (size_t i = 0; i < size; i++)
		out[i] = text[i] == '=' ? PROPERTY_NAME_END : text[i] == ',' ? PROPERTY_VALUE_END : (uint8_t)text[i];
	if (size > 0)
		out[size++] = PROPERTY_VALUE_END;
	return (struct span){ out, size };
}

static bool passes(const char *expression, const char *properties)
{
	uint8_t bytes[1024];
	struct sql_filter *filter;
	struct errinfo err = { 0 };

	enum status status = sql_filter_compile(span_of(expression), &filter, &err);
	if (status != ST_OK) {
		fprintf(stderr, "%s: %s\n", expression, err.text);
		CU_ASSERT_EQUAL_FATAL(status, ST_OK);
	}
	bool result = sql_filter_match(filter, properties_of(properties, bytes));
	sql_filter_free(filter);
	return result;
}

struct passing {
	const char *expression;
	const char *properties;
	bool passes;
};

static void check_all(const struct passing *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		bool result = passes(cases[i].expression, cases[i].properties);

		if (result != cases[i].passes)
			fprintf(stderr, "%s on %s: %s\n", cases[i].expression, cases[i].properties, result ? "passes" : "does not pass");
		CU_ASSERT_EQUAL(result, cases[i].passes);
	}
}
#define CHECK_ALL(cases) check_all(cases, sizeof(cases) / sizeof(cases[0]))

static void test_comparisons(void)
{
	static const struct passing cases[] = {
		{ "a = 1", "a=1", true }, { "a = 1", "a=2", false }, { "a = 1", "a=+1", true }, { "a = 01.0", "a=1", true },
		{ "a <> 1", "a=2", true }, { "a <> 1", "a=1", false }, { "a > 1", "a=2", true }, { "a > 2", "a=2", false },
		{ "a >= 2", "a=2", true }, { "a < 2", "a=2", false }, { "a <= 2", "a=2", true }, { "1 < a", "a=2", true },
		{ "a = 'x'", "a=x", true }, { "a = 'it''s'", "a=it's", true }, { "a = 'X'", "a=x", false },
		{ "a = b", "a=x,b=x", true }, { "a > b", "a=10,b=9", true }, { "a > b", "a=x,b=9", false },
		{ "a = -1", "a=-1", true }, { "a = - -1", "a=1", true }, { "a = +1", "a=1", true }, { "a > -1.5E1", "a=-14.9", true },
		{ "a = 3000000000", "a=3000000000", true }, { "a = 3L", "a=3", true }, { "a > .5", "a=0.75", true },
		{ "a = 5.", "a=5", true }, { "a > 1E2", "a=101", true }, { "a >= 0.0", "a=0", true },
		{ "A = 1", "a=1", false }, { "$a_1 = 1", "$a_1=1", true }, { "TAGS = 'TagA'", "TAGS=TagA", true },
		{ "a = 'paid-back'", "a=paid", false }, { "a = 'paid'", "a=paid-back", false }, { "a <> 'paid'", "a=paid-back", true },
		{ "a = -3000000000", "a=-3000000000", true }, { "a > -3000000000", "a=-2999999999", true }, { "a > 1e2", "a=99", false },
		{ "a=1", "a=2,a=1", true }, { "3 = 3L", "", true }, { "3 = 3.0", "", true }, { "3 = '3'", "", true },
	};
	CHECK_ALL(cases);
}

static void test_texts_become_the_literals_type(void)
{
	static const struct passing cases[] = {
		{ "a < 4", "a=3.75", false }, { "NOT (a < 4)", "a=3.75", false }, { "a < 4.0", "a=3.75", true },
		{ "a < 4", "a=2147483648", false }, { "a < 4294967296", "a=2147483648", true }, { "a < 4", "a= 3", false },
		{ "a < 4.0", "a= 3 ", true }, { "a < 4.0", "a=3d", true }, { "a < 4.0", "a=three", false },
		{ "a < 4.0", "a=-Infinity", true }, { "a > 4.0", "a=NaN", true }, { "a < 4.0", "a=3e", false },
		/* A text that is no number ends everything, unless the left side has decided. */
		{ "a = 1 OR b = 2", "a=x,b=2", false }, { "b = 2 OR a = 1", "a=x,b=2", true },
		{ "b = 2 AND a = 1", "a=x,b=3", false }, { "NOT (b = 2 AND a = 1)", "a=x,b=3", true },
		{ "a = TRUE", "a=true", true }, { "a = TRUE", "a=TrUe", true }, { "a = FALSE", "a=no", true },
		{ "TRUE = a", "a=true", false }, { "1 = TRUE", "", false }, { "a > 1 = TRUE", "a=2", true },
	};
	CHECK_ALL(cases);
}

static void test_three_values(void)
{
	static const struct passing cases[] = {
		{ "a = 1", "", false }, { "NOT (a = 1)", "", false }, { "a <> 1", "", false }, { "a > 1", "", false },
		{ "a IS NULL", "", true }, { "a IS NULL", "a=1", false }, { "a IS NOT NULL", "a=1", true },
		{ "a is not null", "", false }, { "a = b", "", true }, { "a <> b", "a=1", true }, { "a = b", "b=1", false },
		{ "a = 1 OR TRUE", "", true }, { "a = 1 AND FALSE", "", false }, { "NOT (a = 1 AND FALSE)", "", true },
		{ "NOT (a = 1 OR FALSE)", "", false }, { "a = 1 OR b = 2", "b=2", true }, { "NULL", "", false },
		{ "NOT NULL", "", false }, { "NULL OR TRUE", "", true }, { "TRUE", "", true }, { "false", "", false },
		{ "NULL IS NULL", "", true }, { "a", "a=true", false }, { "NOT a", "a=true", true }, { "NOT a", "", false },
		{ "-a IS NULL", "a=1", true }, { "a = 1 AND b = 2 OR c = 3", "c=3", true },
		{ "a = 1 AND (b = 2 OR c = 3)", "c=3", false }, { "NOT a = 1", "a=2", false }, { "NOT TRUE = FALSE", "", true },
	};
	CHECK_ALL(cases);
}

static void test_between_in_and_searches(void)
{
	static const struct passing cases[] = {
		{ "a BETWEEN 1 AND 5", "a=1", true }, { "a BETWEEN 1 AND 5", "a=5", true }, { "a between 1 and 5", "a=6", false },
		{ "a BETWEEN 1 AND 5", "", false }, { "a NOT BETWEEN 1 AND 5", "a=6", true }, { "a NOT BETWEEN 1 AND 5", "a=3", false },
		{ "a NOT BETWEEN 1 AND 5", "", false }, { "a BETWEEN b AND c", "a=2,b=1,c=3", true },
		{ "a BETWEEN 3 AND 3", "a=3", true }, { "a BETWEEN 1 AND 5 AND b = 2", "a=3,b=2", true }, { "a BETWEEN -1 AND -5", "a=-2", false },
		{ "NOT (a BETWEEN 1 AND 5)", "a=9", true }, { "a BETWEEN 1 AND b", "a=0,b=x", false },
		{ "NOT (a BETWEEN 1 AND b)", "a=0,b=x", true },
		{ "a IN ('x', 'y')", "a=y", true }, { "a IN ('x')", "a=y", false }, { "a NOT IN ('x')", "a=y", true },
		{ "b = 'x' AND a IN ('y')", "a=y,b=x", true }, { "b = 'x' AND a IN ('y')", "a=x,b=x", false },
		{ "a IN ('x') AND b IN ('y')", "a=x,b=y", true }, { "a IN ('x', 'y') AND b IN ('z')", "a=y,b=y", false },
		{ "a NOT IN ('x')", "", false }, { "(a) IN ('x')", "a=x", true }, { "a IN ('x') OR a IS NULL", "", true },
		{ "a CONTAINS 'b'", "a=abc", true }, { "a CONTAINS 'd'", "a=abc", false }, { "a NOT CONTAINS 'd'", "a=abc", true },
		{ "a NOT CONTAINS 'd'", "", false }, { "NOT (a NOT CONTAINS 'd')", "", true }, { "a CONTAINS ''", "a=abc", false },
		{ "a NOT CONTAINS ''", "a=abc", false }, { "a STARTSWITH 'ab'", "a=abc", true }, { "a STARTSWITH 'bc'", "a=abc", false },
		{ "a ENDSWITH 'bc'", "a=abc", true }, { "a ENDSWITH 'xabc'", "a=abc", false }, { "a NOT STARTSWITH 'x'", "a=abc", true },
		{ "a NOT ENDSWITH 'c'", "a=abc", false }, { "'abc' CONTAINS 'b'", "", true }, { "5 CONTAINS '5'", "", false },
		{ "a /* c */ = -- to the end\n 1", "a=1", true }, { "a = 1 -- so", "a=1", true }, { "a\t=\r\n1", "a=1", true },
		{ "(a IS NULL) IS NULL", "", false },
	};
	CHECK_ALL(cases);
}

static void test_refusals_name_the_position(void)
{
	static const struct {
		const char *expression;
		const char *text;
	} cases[] = {
		{ "", "at position 1, the end: expected a property, a literal, NOT or (" },
		{ "a >", "at position 4, the end: expected a property, a literal, NOT or (" },
		{ "a = = 1", "at position 5: expected a property, a literal, NOT or (, found \"=\"" },
		{ "(a = 1", "at position 7, the end: expected an operator or )" },
		{ "a = 1 b = 2", "at position 7: expected an operator or the end, found \"b\"" },
		{ "a IN (1)", "at position 7: expected a text in single quotes, found \"1\"" },
		{ "a IN ()", "at position 7: expected a text in single quotes, found \")\"" },
		{ "a IN ('x'", "at position 10, the end: expected , or )" },
		{ "1 IN ('x')", "at position 1: expected a property in front of IN" },
		{ "a BETWEEN 1 OR 2", "at position 13: expected AND and the upper end, found \"OR\"" },
		{ "a BETWEEN 5 AND 1", "at position 17: expected an upper end that is not below the lower one" },
		{ "a NOT 5", "at position 7: expected BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH after NOT, found \"5\"" },
		{ "a IS 5", "at position 6: expected NULL or NOT NULL, found \"5\"" },
		{ "a > 'x'", "at position 5: expected a number or a property: nothing else can be ordered" },
		{ "a > TRUE", "at position 5: expected a number or a property: nothing else can be ordered" },
		{ "a = NULL", "at position 5: nothing is equal to NULL; use IS NULL or IS NOT NULL" },
		{ "TRUE = 1", "at position 8: expected TRUE or FALSE beside TRUE or FALSE" },
		{ "a = 1 AND 5", "at position 11: expected a condition, found a value" },
		{ "'x'", "at position 1: expected a condition, found a value" },
		{ "-a", "at position 1: expected a condition, found a value" },
		{ "a = 'x", "at position 5: expected a closing '" },
		{ "a = 1 /* x", "at position 7: expected */ after /*" },
		{ "a # 1", "at position 3: unexpected character '#'" },
		{ "a != 1", "at position 3: unexpected character '!'" },
		{ "a = \xC3", "at position 5: unexpected byte 195" },
		{ "a = 9223372036854775808", "at position 5: the number does not fit 64 bits" },
		{ "a > 1.8E308", "at position 5: the number does not fit a double" },
		{ "a > 4.9E-340", "at position 5: the number does not fit a double" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sql_filter *filter;
		struct errinfo err = { 0 };

		CU_ASSERT_EQUAL(sql_filter_compile(span_of(cases[i].expression), &filter, &err), ST_INVALID);
		CU_ASSERT_PTR_NULL(filter);
		if (strcmp(err.text, cases[i].text) != 0)
			fprintf(stderr, "%s\n  wanted: %s\n  got:    %s\n", cases[i].expression, cases[i].text, err.text);
		CU_ASSERT_STRING_EQUAL(err.text, cases[i].text);
		sql_filter_free(filter);
	}
}

/* `count` times `part`, then `end`. */
static enum status compile_repeated(const char *part, int count, const char *end)
{
	struct buffer text;
	struct sql_filter *filter;
	struct errinfo err;

	buffer_init(&text, 0);
	for (int i = 0; i < count; i++)
		{
		const char *number = strstr(part, "%d");

		if (number == NULL)
			buffer_append_text(&text, part);
		else
			buffer_printf(&text, "%.*s%d%s", (int)(number - part), part, i, number + 2);
	}
	buffer_append_text(&text, end);
	enum status status = sql_filter_compile(buffer_span(&text), &filter, &err);
	if (status == ST_OK) /* Runs on its stack, at whatever depth. */
		CU_ASSERT_FALSE(sql_filter_match(filter, SPAN_NONE));
	sql_filter_free(filter);
	buffer_deinit(&text);
	return status;
}

static void test_limits(void)
{
	CU_ASSERT_EQUAL(compile_repeated("NOT ", SQL_DEPTH_MAX - 1, "a = 1"), ST_OK);
	CU_ASSERT_EQUAL(compile_repeated("NOT ", SQL_DEPTH_MAX, "a = 1"), ST_TOOBIG);
	CU_ASSERT_EQUAL(compile_repeated("- ", 100000 / 16, "1 > 2"), ST_TOOBIG);
	CU_ASSERT_EQUAL(compile_repeated("(", 10000, ""), ST_TOOBIG);
	CU_ASSERT_EQUAL(compile_repeated("a IS NULL AND ", 400, "FALSE"), ST_TOOBIG);
	CU_ASSERT_EQUAL(compile_repeated("a IS NULL AND ", 200, "FALSE"), ST_OK);
	CU_ASSERT_EQUAL(compile_repeated("p%d = 1 OR ", SQL_NAMES_MAX, "FALSE"), ST_OK);
	CU_ASSERT_EQUAL(compile_repeated("p%d = 1 OR ", SQL_NAMES_MAX + 1, "FALSE"), ST_TOOBIG);
	CU_ASSERT_EQUAL(compile_repeated(" ", SQL_EXPRESSION_MAX, "FALSE"), ST_TOOBIG);
	CU_ASSERT_EQUAL(compile_repeated("a = 1 OR b BETWEEN 1 AND (", SQL_DEPTH_MAX - 1, "1"), ST_INVALID);
	CU_ASSERT_EQUAL(compile_repeated("FALSE OR TRUE AND FALSE = (b = -(", SQL_DEPTH_MAX / 3, "1"), ST_INVALID);
}

/* The deepest stack that the grammar allows: five operands wait on each level. */
static void test_deepest_stack(void)
{
	struct buffer text;
	struct sql_filter *filter;
	struct errinfo err;

	buffer_init(&text, 0);
	for (int i = 0; i < SQL_DEPTH_MAX - 1; i++)
		buffer_append_text(&text, "a IS NULL AND b IS NULL OR a IS NULL AND TRUE = 1 BETWEEN 1 AND -(");
	buffer_append_text(&text, "1");
	for (int i = 0; i < SQL_DEPTH_MAX - 1; i++)
		buffer_append_text(&text, ")");
	enum status status = sql_filter_compile(buffer_span(&text), &filter, &err);
	CU_ASSERT_EQUAL(status, ST_TOOBIG); /* A sign and a parenthesis are two levels. */
	buffer_reset(&text);
	for (int i = 0; i < (SQL_DEPTH_MAX - 2) / 2; i++)
		buffer_append_text(&text, "FALSE OR a IS NULL AND 'x' = 1 BETWEEN 0 AND -(");
	buffer_append_text(&text, "1");
	for (int i = 0; i < (SQL_DEPTH_MAX - 2) / 2; i++)
		buffer_append_text(&text, ")");
	status = sql_filter_compile(buffer_span(&text), &filter, &err);
	CU_ASSERT_EQUAL(status, ST_OK);
	if (status == ST_OK)
		CU_ASSERT_FALSE(sql_filter_match(filter, SPAN_NONE));
	sql_filter_free(filter);
	buffer_deinit(&text);
}

/* Words in any order neither crash nor pass what is malformed twice differently. */
static void test_random_words(void)
{
	static const char *const words[] = { "a", "b", "1", "2.5", "'x'", "TRUE", "NULL", "NOT", "AND", "OR", "=", "<>", "<", ">=",
					     "BETWEEN", "IN", "(", ")", ",", "IS", "CONTAINS", "-", "+", "ENDSWITH" };
	uint64_t random = check_seed(20240611);
	uint8_t bytes[64];
	struct span properties = properties_of("a=1,b=x", bytes);
	int compiled = 0;

	for (int i = 0; i < 200000; i++) {
		char text[128] = "";
		struct sql_filter *filter;
		struct errinfo err = { 0 };

		for (uint64_t n = 1 + check_random(&random) % 7; n > 0; n--) {
			strcat(text, words[check_random(&random) % (sizeof(words) / sizeof(words[0]))]);
			strcat(text, " ");
		}
		if (sql_filter_compile(span_of(text), &filter, &err) == ST_OK) {
			compiled++;
			CU_ASSERT_EQUAL(sql_filter_match(filter, properties), sql_filter_match(filter, properties));
		} else {
			CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "at position"));
		}
		sql_filter_free(filter);
	}
	CU_ASSERT_TRUE(compiled > 1000);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_comparisons),
		CHECK_TEST(test_texts_become_the_literals_type),
		CHECK_TEST(test_three_values),
		CHECK_TEST(test_between_in_and_searches),
		CHECK_TEST(test_refusals_name_the_position),
		CHECK_TEST(test_limits),
		CHECK_TEST(test_deepest_stack),
		CHECK_TEST(test_random_words),
	};

	return check_main("sql", tests, sizeof(tests) / sizeof(tests[0]));
}
