/* lib/base/config_change: a text is taken in whole or not at all, and only what may change changes. */
#include <stddef.h>

#include "lib/base/config_change.h"
#include "tests/support/check.h"

struct options {
	int64_t number;
	bool flag;
	char text[CONFIG_TEXT_SIZE];
	char secret[CONFIG_TEXT_SIZE];
};

static const struct config_option options[] = {
	{ .key = "number", .type = CONFIG_I64, .offset = offsetof(struct options, number), .def = "5", .min = 1, .max = 9, .help = "." },
	{ .key = "flag", .type = CONFIG_BOOL, .offset = offsetof(struct options, flag), .def = "false", .help = "." },
	{ .key = "text", .type = CONFIG_TEXT, .offset = offsetof(struct options, text), .def = "a", .help = "." },
	{ .key = "secret", .type = CONFIG_TEXT, .offset = offsetof(struct options, secret), .def = "s", .secret = true, .help = "." },
};
static const struct config_spec spec = { "program", options, 4, NULL };
static const char *const changeable[] = { "number", "text", NULL };

static enum status change(struct options *config, const char *text, struct errinfo *err)
{
	config_init(&spec, config);
	*err = (struct errinfo){ ST_OK, "" };
	return config_change(&spec, changeable, config, span_of(text), err);
}

static void test_lines_are_taken(void)
{
	struct options config;
	struct errinfo err;

	CU_ASSERT_EQUAL(change(&config, "", &err), ST_OK);
	CU_ASSERT_EQUAL(config.number, 5);
	CU_ASSERT_EQUAL(change(&config, "# comment\r\n\n! another\nnumber = 7 \r\ntext=b = c", &err), ST_OK);
	CU_ASSERT_EQUAL(config.number, 7);
	CU_ASSERT_STRING_EQUAL(config.text, "b = c");
	CU_ASSERT_EQUAL(change(&config, "text=", &err), ST_OK);
	CU_ASSERT_STRING_EQUAL(config.text, "");
}

static void test_what_is_refused(void)
{
	static const struct {
		const char *text;
		enum status status;
		const char *named; /* In the remark. */
	} cases[] = {
		{ "flag=true", ST_DENIED, "flag can only be set before the start" },
		{ "nobody=1", ST_DENIED, "nobody is no option" },
		{ "number=7\nflag=true", ST_DENIED, "flag" },
		{ "number=10", ST_INVALID, "from 1 to 9" },
		{ "number=x", ST_INVALID, "number=x" },
		{ "number", ST_INVALID, "not of the form key=value" },
		{ "=7", ST_DENIED, "no option" },
	};
	struct options config;
	struct errinfo err;
	char big[4096];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_EQUAL(change(&config, cases[i].text, &err), cases[i].status);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, cases[i].named));
	}
	memset(big, 'x', sizeof(big));
	memcpy(big, "text=", 5);
	big[sizeof(big) - 1] = '\0';
	CU_ASSERT_EQUAL(change(&config, big, &err), ST_INVALID);
	memset(big, '\n', sizeof(big) - 1);
	CU_ASSERT_EQUAL(change(&config, big, &err), ST_INVALID);
	struct span zero = { (const uint8_t *)"text=a\0b", 8 };
	CU_ASSERT_EQUAL(config_change(&spec, changeable, &config, zero, &err), ST_INVALID);
}

static void test_values_are_told_without_secrets(void)
{
	struct options config;
	struct buffer out;

	config_init(&spec, &config);
	buffer_init(&out, 0);
	config_put_values(&spec, &config, &out);
	CU_ASSERT_TRUE(span_is(buffer_span(&out), "number=5\nflag=false\ntext=a\nsecret=******\n"));
	buffer_deinit(&out);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_lines_are_taken),
		CHECK_TEST(test_what_is_refused),
		CHECK_TEST(test_values_are_told_without_secrets),
	};
	return check_main("config_change", tests, sizeof(tests) / sizeof(tests[0]));
}
