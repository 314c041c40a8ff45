/* lib/base: the small pieces that everything stands on. */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/bytes.h"
#include "lib/base/config.h"
#include "lib/base/crc32c.h"
#include "lib/base/hash.h"
#include "lib/base/logging.h"
#include "lib/base/status.h"

static void test_errinfo_reads_from_the_outside_in(void)
{
	struct errinfo err;

	CU_ASSERT_EQUAL(errinfo_set(&err, ST_IO, "short read at offset %d", 7), ST_IO);
	CU_ASSERT_EQUAL(errinfo_wrap(&err, ST_IO, "load segment %d", 3), ST_IO);
	CU_ASSERT_STRING_EQUAL(err.text, "load segment 3: short read at offset 7");
	CU_ASSERT_EQUAL(errinfo_set(NULL, ST_BUSY, "nobody listens"), ST_BUSY);
}

static void test_errinfo_too_long_is_cut_and_marked(void)
{
	struct errinfo err;

	errinfo_set(&err, ST_IO, "%0700d", 1);
	CU_ASSERT_EQUAL(strlen(err.text), ERRINFO_TEXT_SIZE - 1);
	CU_ASSERT_STRING_EQUAL(err.text + ERRINFO_TEXT_SIZE - 4, "...");
}

static void test_numbers_reject_overflow_and_garbage(void)
{
	int64_t v;
	int32_t w;

	CU_ASSERT_EQUAL(span_to_i64(span_of("-9223372036854775808"), &v), ST_OK);
	CU_ASSERT_EQUAL(v, INT64_MIN);
	CU_ASSERT_EQUAL(span_to_i64(span_of("9223372036854775807"), &v), ST_OK);
	CU_ASSERT_EQUAL(v, INT64_MAX);
	CU_ASSERT_EQUAL(span_to_i64(span_of("9223372036854775808"), &v), ST_INVALID);
	CU_ASSERT_EQUAL(span_to_i64(span_of(""), &v), ST_INVALID);
	CU_ASSERT_EQUAL(span_to_i64(span_of("-"), &v), ST_INVALID);
	CU_ASSERT_EQUAL(span_to_i64(span_of("1x"), &v), ST_INVALID);
	CU_ASSERT_EQUAL(span_to_i32(span_of("2147483648"), &w), ST_INVALID);
	CU_ASSERT_EQUAL(span_to_i32(span_of("-2147483648"), &w), ST_OK);
}

static void test_take_until_splits_a_list(void)
{
	struct span rest = span_of("a,,bc,");

	CU_ASSERT_TRUE(span_is(span_take_until(&rest, ','), "a"));
	CU_ASSERT_EQUAL(span_take_until(&rest, ',').size, 0);
	CU_ASSERT_TRUE(span_is(rest, "bc,"));
	CU_ASSERT_TRUE(span_is(span_take_until(&rest, ';'), "bc,"));
	CU_ASSERT_EQUAL(rest.size, 0);
	CU_ASSERT_EQUAL(span_take_until(&rest, ';').size, 0);
	rest = SPAN_NONE;
	CU_ASSERT_EQUAL(span_take_until(&rest, ',').size, 0);
	CU_ASSERT_PTR_NULL(rest.data);
}

static void test_format_i64_gives_the_text_back(void)
{
	static const int64_t values[] = { 0, 1, -1, 42, INT64_MAX, INT64_MIN };
	char text[21];

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		int64_t back = 0;
		size_t size = format_i64(text, values[i]);
		CU_ASSERT_EQUAL(span_to_i64((struct span){ (uint8_t *)text, size }, &back), ST_OK);
		CU_ASSERT_EQUAL(back, values[i]);
	}
}

static void test_reader_remembers_its_failure(void)
{
	static const uint8_t bytes[] = { 1, 2, 3, 4, 5 };
	struct reader r = reader_of((struct span){ bytes, sizeof(bytes) });

	CU_ASSERT_EQUAL(reader_u32(&r), 0x01020304);
	CU_ASSERT_EQUAL(reader_u32(&r), 0);
	CU_ASSERT_TRUE(r.failed);
	CU_ASSERT_EQUAL(reader_u8(&r), 0);
}

static void test_buffer_stops_at_its_limit_and_keeps_its_content(void)
{
	struct buffer b;

	buffer_init(&b, 300);
	for (int i = 0; i < 300; i++)
		buffer_put_u8(&b, (uint8_t)i);
	CU_ASSERT_FALSE(b.failed);
	buffer_put_u8(&b, 1);
	CU_ASSERT_TRUE(b.failed);
	CU_ASSERT_EQUAL(buffer_size(&b), 300);
	buffer_consume(&b, 290);
	b.failed = false;
	buffer_append_text(&b, "again, moved to the front");
	CU_ASSERT_FALSE(b.failed);
	CU_ASSERT_EQUAL(buffer_size(&b), 35);
	buffer_deinit(&b);
}

/* A buffer of which `used` bytes were in use once. */
static struct buffer emptied_buffer(size_t used)
{
	struct buffer b;

	buffer_init(&b, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(buffer_reserve(&b, used));
	buffer_commit(&b, used);
	buffer_consume(&b, used);
	return b;
}

static void test_buffer_gives_back_what_a_burst_took(void)
{
	struct buffer large = emptied_buffer(100000), small = emptied_buffer(500), in_use = emptied_buffer(100000);

	buffer_trim(&large, 4096);
	CU_ASSERT_EQUAL(large.capacity, 0);
	CU_ASSERT_PTR_NULL(large.data);
	buffer_trim(&small, 4096);
	CU_ASSERT_PTR_NOT_NULL(small.data);
	buffer_put_u8(&in_use, 7);
	buffer_trim(&in_use, 4096);
	CU_ASSERT_EQUAL(buffer_size(&in_use), 1);
	buffer_deinit(&large);
	buffer_deinit(&small);
	buffer_deinit(&in_use);
}

static void test_crc32c_matches_published_values_in_both_versions(void)
{
	uint8_t zeros[32] = { 0 };

	CU_ASSERT_EQUAL(crc32c(0, "123456789", 9), 0xe3069283);
	CU_ASSERT_EQUAL(crc32c_portable(0, "123456789", 9), 0xe3069283);
	CU_ASSERT_EQUAL(crc32c(0, zeros, 32), 0x8a9136aa); /* RFC 3720, B.4 */
	CU_ASSERT_EQUAL(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

static void test_hash128_matches_the_siphash_reference(void)
{
	/* First vectors of the SipHash-2-4-128 reference: key 00..0f, input empty and 00. */
	struct hash_key key = { 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL };
	struct hash128 empty = hash128_bytes(key, "", 0);
	struct hash128 one = hash128_bytes(key, "\0", 1);

	CU_ASSERT_EQUAL(empty.lo, 0xe6a825ba047f81a3ULL);
	CU_ASSERT_EQUAL(empty.hi, 0x930255c71472f66dULL);
	CU_ASSERT_EQUAL(one.lo, 0x44af996bd8c187daULL);
	CU_ASSERT_EQUAL(one.hi, 0x45fc229b11597634ULL);
}

struct sample {
	bool flag;
	int64_t size;
	int mode;
	char text[CONFIG_TEXT_SIZE];
};

static const struct config_option sample_options[] = {
	{ .key = "flag", .type = CONFIG_BOOL, .offset = offsetof(struct sample, flag), .def = "true", .help = "A flag." },
	{ .key = "size", .type = CONFIG_I64, .offset = offsetof(struct sample, size), .def = "5", .unit = "bytes",
	  .min = 1, .max = 10, .help = "A size." },
	{ .key = "mode", .type = CONFIG_ENUM, .offset = offsetof(struct sample, mode), .def = "SLOW",
	  .choices = "FAST|SLOW", .help = "A mode." },
	{ .key = "text", .type = CONFIG_TEXT, .offset = offsetof(struct sample, text), .def = "", .help = "A text." },
};
static const char *const sample_unused[] = { "haListenPort", NULL };
static const struct config_spec sample_spec = { "sample", sample_options, 4, sample_unused };

static void test_config_sets_values_and_refuses_bad_ones_by_name(void)
{
	struct sample s;
	struct errinfo err;

	config_init(&sample_spec, &s);
	CU_ASSERT_TRUE(s.flag);
	CU_ASSERT_EQUAL(s.mode, 1);
	CU_ASSERT_EQUAL(config_set(&sample_spec, &s, "mode", "FAST", "t", &err), ST_OK);
	CU_ASSERT_EQUAL(s.mode, 0);
	CU_ASSERT_EQUAL(config_set(&sample_spec, &s, "size", "11", "f:3", &err), ST_INVALID);
	CU_ASSERT_STRING_EQUAL(err.text, "f:3: size=11: must be a number from 1 to 10 bytes");
	CU_ASSERT_EQUAL(s.size, 5);
	CU_ASSERT_EQUAL(config_set(&sample_spec, &s, "sise", "1", "f:4", &err), ST_INVALID);
	CU_ASSERT_STRING_EQUAL(err.text, "f:4: unknown key 'sise' (sample -p lists the known ones)");
	log_set_level(LOGLEVEL_ERROR);
	CU_ASSERT_EQUAL(config_set(&sample_spec, &s, "haListenPort", "1", "f:5", &err), ST_OK);
}

static void test_config_arguments_override_the_file_and_print_round_trips(void)
{
	char *dir = check_make_dir(), path[600], again[600];
	struct sample s, t;
	struct errinfo err;
	enum config_action action;

	snprintf(path, sizeof(path), "%s/a.conf", dir);
	snprintf(again, sizeof(again), "%s/b.conf", dir);
	FILE *f = fopen(path, "w");
	fputs("# comment\n\n size = 7 \ntext=a:1;b:2 ;c\n", f);
	fclose(f);
	char name[] = "sample", dash_o[] = "-o", pair[] = "size=9", dash_c[] = "-c";
	char *argv[] = { name, dash_o, pair, dash_c, path, NULL };
	config_init(&sample_spec, &s);
	CU_ASSERT_EQUAL(config_parse_args(&sample_spec, &s, 5, argv, &action, &err), ST_OK);
	CU_ASSERT_EQUAL(action, CONFIG_RUN);
	CU_ASSERT_EQUAL(s.size, 9);
	CU_ASSERT_STRING_EQUAL(s.text, "a:1;b:2 ;c");
	f = fopen(again, "w");
	config_print(&sample_spec, &s, f);
	fclose(f);
	config_init(&sample_spec, &t);
	CU_ASSERT_EQUAL(config_load_file(&sample_spec, &t, again, &err), ST_OK);
	CU_ASSERT_EQUAL(t.size, 9);
	CU_ASSERT_STRING_EQUAL(t.text, s.text);
	check_remove_dir(dir);
}

/* Wherever it stands, as -o. */
static void test_name_servers_override_the_file(void)
{
	static const struct config_option option = { .key = "namesrvAddr", .type = CONFIG_TEXT, .def = "" };
	static const char *const unused[] = { NULL };
	static const struct config_spec spec = { "sample", &option, 1, unused };
	char *dir = check_make_dir(), path[600], addresses[CONFIG_TEXT_SIZE];
	char name[] = "sample", dash_n[] = "-n", given[] = "a:1;b:2", dash_c[] = "-c";
	char *argv[] = { name, dash_n, given, dash_c, path, NULL };
	struct errinfo err;
	enum config_action action;

	snprintf(path, sizeof(path), "%s/a.conf", dir);
	FILE *f = fopen(path, "w");
	fputs("namesrvAddr=c:3\n", f);
	fclose(f);
	config_init(&spec, addresses);
	CU_ASSERT_EQUAL(config_parse_args(&spec, addresses, 5, argv, &action, &err), ST_OK);
	CU_ASSERT_STRING_EQUAL(addresses, "a:1;b:2");
	check_remove_dir(dir);
}

static void test_log_gate_lets_a_burst_through_and_counts_the_rest(void)
{
	struct log_gate gate = { 0 };
	uint32_t suppressed = 0;
	int passed = 0;

	for (int i = 0; i < 20; i++)
		passed += log_gate_pass(&gate, 5000, &suppressed);
	CU_ASSERT_EQUAL(passed, LOG_GATE_BURST);
	CU_ASSERT_TRUE(log_gate_pass(&gate, 6000, &suppressed));
	CU_ASSERT_EQUAL(suppressed, 20 - LOG_GATE_BURST);
}

static void test_a_log_line_is_one_line_whatever_a_peer_calls_itself(void)
{
	char text[512] = "";

	check_stderr_begin();
	log_event(LOGLEVEL_ERROR, "test", "said", "by=%s", "x\n2026-11-25T03:26:34.123Z ERROR\rforged\x1b[2J\x7f caf\xc3\xa9");
	FILE *log = check_stderr_end();
	CU_ASSERT_FATAL(fread(text, 1, sizeof(text) - 1, log) > 0);
	fclose(log);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, " ERROR test: said by=x?2026-11-25T03:26:34.123Z ERROR?forged?[2J? caf\xc3\xa9\n"));
	CU_ASSERT_PTR_EQUAL(strchr(text, '\n'), text + strlen(text) - 1);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_errinfo_reads_from_the_outside_in),
		CHECK_TEST(test_errinfo_too_long_is_cut_and_marked),
		CHECK_TEST(test_numbers_reject_overflow_and_garbage),
		CHECK_TEST(test_take_until_splits_a_list),
		CHECK_TEST(test_format_i64_gives_the_text_back),
		CHECK_TEST(test_reader_remembers_its_failure),
		CHECK_TEST(test_buffer_stops_at_its_limit_and_keeps_its_content),
		CHECK_TEST(test_buffer_gives_back_what_a_burst_took),
		CHECK_TEST(test_crc32c_matches_published_values_in_both_versions),
		CHECK_TEST(test_hash128_matches_the_siphash_reference),
		CHECK_TEST(test_config_sets_values_and_refuses_bad_ones_by_name),
		CHECK_TEST(test_config_arguments_override_the_file_and_print_round_trips),
		CHECK_TEST(test_name_servers_override_the_file),
		CHECK_TEST(test_log_gate_lets_a_burst_through_and_counts_the_rest),
		CHECK_TEST(test_a_log_line_is_one_line_whatever_a_peer_calls_itself),
	};

	return check_main("base", tests, sizeof(tests) / sizeof(tests[0]));
}
