/* What `escrow-log dump` finds and how it shows it: times, texts from strangers, filters that follow a message's life. */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire/message.h"
#include "lib/wire/properties.h"
#include "tools/log/filter.h"
#include "tools/log/lines.h"
#include "tools/log/options.h"

/* --- times and texts -------------------------------------------------------------------------------------------- */

static void test_times_are_read_and_written(void)
{
	static const struct { const char *text; int64_t ms; } good[] = {
		{ "0", 0 }, { "1764072039123", 1764072039123 }, { "1970-01-01", 0 }, { "2025-11-25T12:00:39.123Z", 1764072039123 },
		{ "2025-11-25 12:00:39.123", 1764072039123 }, { "2025-11-25T12:00:39.1", 1764072039100 },
		{ "2025-11-25T12:00", 1764072000000 }, { "2024-02-29", 1709164800000 },
	};
	static const char *const bad[] = { "", "yesterday", "-5", "2025-11", "2025-13-01", "2025-02-29", "2025-11-31", "2025-11-25T24:00",
					   "2025-11-25T12", "2025-11-25T12:60", "2025-11-25T12:00:61", "2025-11-25x", "2025-11-25T12:00Zz",
					   "1969-12-31" };
	char text[TIME_TEXT_SIZE];
	int64_t ms;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_EQUAL(time_parse(good[i].text, &ms), ST_OK);
		CU_ASSERT_EQUAL(ms, good[i].ms);
		time_text(ms, text);
		CU_ASSERT_EQUAL(time_parse(text, &ms), ST_OK);
		CU_ASSERT_EQUAL(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (time_parse(bad[i], &ms) == ST_OK)
			printf("\"%s\" was taken for a time\n", bad[i]);
		CU_ASSERT_NOT_EQUAL(time_parse(bad[i], &ms), ST_OK);
	}
	time_text(1764072039123, text);
	CU_ASSERT_STRING_EQUAL(text, "2025-11-25T12:00:39.123Z");
	time_text(INT64_MAX, text);
	CU_ASSERT_STRING_EQUAL(text, "9223372036854775807");
	time_text(-1, text);
	CU_ASSERT_STRING_EQUAL(text, "-1");
}

static void test_numbers_and_sizes(void)
{
	char text[32];

	number_text(0, text);
	CU_ASSERT_STRING_EQUAL(text, "0");
	number_text(1234567, text);
	CU_ASSERT_STRING_EQUAL(text, "1,234,567");
	number_text(UINT64_MAX, text);
	CU_ASSERT_STRING_EQUAL(text, "18,446,744,073,709,551,615");
	size_text(1023, text);
	CU_ASSERT_STRING_EQUAL(text, "1023 bytes");
	size_text(1536, text);
	CU_ASSERT_STRING_EQUAL(text, "1.5 KiB");
	size_text((uint64_t)3 << 30, text);
	CU_ASSERT_STRING_EQUAL(text, "3.0 GiB");
}

/* What a line becomes; caller frees. */
static char *one_line(bool json, struct span text)
{
	char *out = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&out, &size);
	struct lines lines;

	CU_ASSERT_FATAL(file != NULL);
	lines_init(&lines, file, json);
	line_begin(&lines, "word");
	line_u64(&lines, "n", UINT64_MAX);
	line_text(&lines, "t", text);
	line_text(&lines, "none", SPAN_NONE);
	line_time(&lines, "at", 0);
	line_list_begin(&lines, "list");
	for (int i = 0; i < 2; i++) {
		line_item_begin(&lines);
		line_i64(&lines, "i", i - 1);
		line_bool(&lines, "b", i == 0);
		line_item_end(&lines);
	}
	line_list_end(&lines);
	line_end(&lines);
	CU_ASSERT_EQUAL(lines_status(&lines, NULL), ST_OK);
	lines_deinit(&lines);
	fclose(file);
	return out;
}

static void expect_line(bool json, struct span text, const char *expected)
{
	char *line = one_line(json, text);

	if (strcmp(line, expected) != 0)
		printf("got      %sexpected %s", line, expected);
	CU_ASSERT_STRING_EQUAL(line, expected);
	free(line);
}

static void test_lines_for_people_and_programs(void)
{
	expect_line(false, SPAN_LITERAL("plain"), "word n=18446744073709551615 t=plain [i=-1 b=true] [i=0 b=false]\n");
	expect_line(true, SPAN_LITERAL("plain"),
		    "{\"kind\":\"word\",\"n\":18446744073709551615,\"t\":\"plain\",\"none\":null,\"at\":null,"
		    "\"list\":[{\"i\":-1,\"b\":true},{\"i\":0,\"b\":false}]}\n");
	/* No escape sequence reaches a terminal; JSON stays JSON. */
	expect_line(false, SPAN_LITERAL("a\x1b[2J\n\xff \xc2\x9b" "\xc3\xa4"),
		    "word n=18446744073709551615 t=\"a\\x1b[2J\\x0a\\xff \\xc2\\x9b\xc3\xa4\" [i=-1 b=true] [i=0 b=false]\n");
	expect_line(true, SPAN_LITERAL("a\"\x1b\n\xff\xc3\xa4"),
		    "{\"kind\":\"word\",\"n\":18446744073709551615,\"t\":\"a\\\"\\u001b\\n?\xc3\xa4\",\"none\":null,\"at\":null,"
		    "\"list\":[{\"i\":-1,\"b\":true},{\"i\":0,\"b\":false}]}\n");
}

/* --- filters ------------------------------------------------------------------------------------------------------ */

enum { RECORDS_MAX = 16 };

struct made_record {
	struct log_record record;
	uint8_t payload[1024];
};

struct made_log {
	struct made_record made[RECORDS_MAX];
	size_t count;
};

static uint64_t add(struct made_log *log, unsigned kind, const uint8_t *payload, size_t size)
{
	struct made_record *made = &log->made[log->count];
	uint64_t offset = 4096 + 1024 * (uint64_t)log->count++;

	CU_ASSERT_FATAL(log->count <= RECORDS_MAX && size <= sizeof(made->payload));
	memcpy(made->payload, payload, size);
	made->record = (struct log_record){ .kind = kind, .epoch = 1, .offset = offset, .size = 1024,
					    .payload = { made->payload, size } };
	return offset;
}

#define ADD(log, kind, type, pointer)                                   \
	__extension__({                                                 \
		uint8_t payload_[1024];                                 \
		record_##type##_encode(pointer, payload_);              \
		add(log, kind, payload_, record_##type##_size(pointer)); \
	})

/* A stored message with these keys. */
static struct span stored(uint8_t out[512], const char *keys, const char *unique_key)
{
	struct buffer properties;
	struct message message = { .topic = SPAN_LITERAL("orders"), .body = SPAN_LITERAL("SECRET"), .born_host = { .ip_size = 4 },
				   .store_host = { .ip_size = 4 } };

	buffer_init(&properties, 0);
	property_put(&properties, PROPERTY_KEYS, span_of(keys));
	property_put(&properties, PROPERTY_UNIQ_KEY, span_of(unique_key));
	message.properties = buffer_span(&properties);
	CU_ASSERT_FATAL(message_size(&message) <= 512);
	size_t size = message_encode(&message, out);
	buffer_deinit(&properties);
	return (struct span){ out, size };
}

/* 0 half T1 (key A B)  1 half T2 (key C)  2 check of both  3 carry of 0  4 commit of 0, delayed  5 rollback of 1
 * 6 conflict on 1  7 message (key A, other topic)  8 delivery of 4  9 offsets  a pops */
static void make(struct made_log *log)
{
	uint8_t bytes[512], payload[1024];
	struct record_half half = { .store_time_ms = 1000, .topic = SPAN_LITERAL("orders"), .group = SPAN_LITERAL("g"),
				    .transaction_id = SPAN_LITERAL("T1"), .unique_key = SPAN_LITERAL("T1"), .delay_ms = 5,
				    .global = { .part_count = 1 }, .message = stored(bytes, "A B", "T1") };

	memset(log, 0, sizeof(*log));
	uint64_t one = ADD(log, LOG_HALF, half, &half);
	size_t half_size = record_half_size(&half);
	half.half_queue_offset = 1;
	half.transaction_id = half.unique_key = SPAN_LITERAL("T2");
	half.message = stored(bytes, "C", "T2");
	uint64_t two = ADD(log, LOG_HALF, half, &half);
	struct record_check checks[] = { { .half_offset = two, .event = CHECK_ASKED, .attempts = 1, .when_ms = 1500 },
					 { .half_offset = one, .event = CHECK_ASKED, .attempts = 1, .when_ms = 1500 } };
	record_checks_encode(checks, 2, payload);
	add(log, LOG_CHECK, payload, record_checks_size(checks, 2));
	struct record_carry carry = { one, CARRY_HALF, { log->made[0].payload, half_size } };
	uint64_t carried = ADD(log, LOG_CARRY, carry, &carry);
	struct record_decision decision = { .half_offset = one, .body_offset = carried, .outcome = OUTCOME_COMMIT, .who = WHO_PRODUCER,
					    .when_ms = 2000, .deliver_at_ms = 2005, .topic = SPAN_LITERAL("orders"),
					    .group = SPAN_LITERAL("g"), .transaction_id = SPAN_LITERAL("T1"), .global = { .part_count = 1 } };
	uint64_t commit = ADD(log, LOG_DECISION, decision, &decision);
	decision.half_offset = decision.body_offset = two;
	decision.outcome = OUTCOME_ROLLBACK;
	decision.deliver_at_ms = 0;
	decision.transaction_id = SPAN_LITERAL("T2");
	uint64_t rollback = ADD(log, LOG_DECISION, decision, &decision);
	struct record_conflict conflict = { .half_offset = two, .decision_offset = rollback, .asked = OUTCOME_COMMIT, .who = WHO_PRODUCER,
					    .decided = OUTCOME_ROLLBACK, .when_ms = 2500, .group = SPAN_LITERAL("g"),
					    .transaction_id = SPAN_LITERAL("T2"), .global = { .part_count = 1 } };
	ADD(log, LOG_CONFLICT, conflict, &conflict);
	struct record_message message = { .store_time_ms = 3000, .topic = SPAN_LITERAL("parcels"), .message = stored(bytes, "A", "M1") };
	ADD(log, LOG_MESSAGE, message, &message);
	struct record_deliver deliver = { .source_offset = commit, .body_offset = carried, .transactional = true, .deliver_time_ms = 4000,
					  .topic = SPAN_LITERAL("orders") };
	ADD(log, LOG_DELIVER, deliver, &deliver);
	struct record_offset offsets[] = { { SPAN_LITERAL("r"), SPAN_LITERAL("parcels"), 0, 1 },
					   { SPAN_LITERAL("r"), SPAN_LITERAL("orders"), 0, 1 } };
	record_offsets_encode(offsets, 2, payload);
	add(log, LOG_OFFSETS, payload, record_offsets_size(offsets, 2));
	struct record_pop pops[] = {
		{ .event = POP_CHECK_OUT, .group = SPAN_LITERAL("r"), .topic = SPAN_LITERAL("parcels"), .count = 1, .pop_time_ms = 4500 },
		{ .event = POP_ACK, .group = SPAN_LITERAL("r"), .topic = SPAN_LITERAL("orders"), .count = 1, .pop_time_ms = 4500 },
	};
	record_pops_encode(pops, 2, payload);
	add(log, LOG_POP, payload, record_pops_size(pops, 2));
}

/* The records that fit, as digits: "034". */
static void expect_found(const char *topic, const char *key, const char *id, const char *kinds, int64_t since, int64_t until,
			 const char *expected)
{
	struct made_log log;
	struct filter filter;
	char found[RECORDS_MAX + 1] = "";
	bool past = false;

	make(&log);
	CU_ASSERT_EQUAL_FATAL(filter_init(&filter, kinds, NULL), ST_OK);
	filter.topic = topic;
	filter.key = key;
	filter.transaction = id;
	filter.since_ms = since;
	filter.until_ms = until;
	for (size_t i = 0; i < log.count && !past; i++) {
		struct record_facts facts;
		bool match = false;

		facts_of_record(&log.made[i].record, &facts);
		CU_ASSERT(facts.readable);
		CU_ASSERT_EQUAL(filter_match(&filter, &facts, &match, &past, NULL), ST_OK);
		if (match)
			strncat(found, &"0123456789a"[i], 1);
	}
	if (strcmp(found, expected) != 0)
		printf("topic %s key %s id %s kinds %s: found %s, expected %s\n", topic, key, id, kinds, found, expected);
	CU_ASSERT_STRING_EQUAL(found, expected);
	filter_deinit(&filter);
}

static void test_filters_follow_a_message(void)
{
	expect_found(NULL, NULL, NULL, NULL, 0, 0, "0123456789a");
	expect_found(NULL, NULL, "T1", NULL, 0, 0, "02348");
	expect_found(NULL, NULL, "T2", NULL, 0, 0, "1256");
	expect_found(NULL, "B", NULL, NULL, 0, 0, "02348");   /* A word of KEYS. */
	expect_found(NULL, "A", NULL, NULL, 0, 0, "023478");
	expect_found(NULL, "T2", NULL, NULL, 0, 0, "1256");   /* UNIQ_KEY. */
	expect_found(NULL, "A B", NULL, NULL, 0, 0, "");      /* Not both. */
	expect_found("orders", NULL, NULL, NULL, 0, 0, "01234568" "9a");
	expect_found("parcels", NULL, NULL, NULL, 0, 0, "79a");
	expect_found("parcels", "A", NULL, NULL, 0, 0, "7");
	expect_found(NULL, "A", "T1", NULL, 0, 0, "02348");
	expect_found(NULL, NULL, "T1", "decision,deliver", 0, 0, "48");
	expect_found(NULL, NULL, NULL, "carry", 0, 0, "3");
	expect_found(NULL, NULL, NULL, NULL, 2000, 0, "456789a");
	expect_found(NULL, NULL, NULL, NULL, 0, 2500, "012345");
	/* The half is older than what was asked for, its decision is not. */
	expect_found(NULL, "B", NULL, NULL, 2000, 0, "48");
}

static void test_an_unknown_kind_is_named(void)
{
	struct filter filter;
	struct errinfo err;

	CU_ASSERT_EQUAL(filter_init(&filter, "half,halves", &err), ST_INVALID);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "halves"));
	filter_deinit(&filter);
}

/* As it is printed; caller frees. */
static char *printed(unsigned kind, const uint8_t *payload, size_t size)
{
	struct log_record record = { .kind = kind, .epoch = 1, .offset = 4096, .size = 1024, .payload = { payload, size } };
	struct record_facts facts;
	struct lines lines;
	char *out = NULL;
	size_t out_size = 0;
	FILE *file = open_memstream(&out, &out_size);

	CU_ASSERT_FATAL(file != NULL);
	lines_init(&lines, file, false);
	facts_of_record(&record, &facts);
	facts_print(&facts, &lines);
	lines_deinit(&lines);
	fclose(file);
	return out;
}

static void test_what_became_of_a_popped_message_is_told(void)
{
	static const char *const words[] = { "event=check-out ", "event=ack ", "event=\"invisible time changed\" ", "event=reset ",
					     "event=\"check-out in order\" ", "event=\"check-out in order, again\" ",
					     "event=\"request mode\" " };
	uint8_t payload[256];

	for (unsigned event = POP_CHECK_OUT; event <= POP_REQUEST_MODE; event++) {
		struct record_pop pop = { .event = event, .group = SPAN_LITERAL("r"), .topic = SPAN_LITERAL("t"), .count = 1 };

		record_pops_encode(&pop, 1, payload);
		char *text = printed(LOG_POP, payload, record_pops_size(&pop, 1));
		CU_ASSERT_PTR_NOT_NULL(strstr(text, words[event - POP_CHECK_OUT]));
		free(text);
	}
}

/* Every kind can be printed, and no body is. */
static void test_nothing_of_a_body_is_shown(void)
{
	struct made_log log;
	char *out = NULL;
	size_t size = 0;

	make(&log);
	for (int json = 0; json < 2; json++) {
		FILE *file = open_memstream(&out, &size);
		struct lines lines;
		struct record_facts facts;

		lines_init(&lines, file, json);
		for (size_t i = 0; i < log.count; i++) {
			facts_of_record(&log.made[i].record, &facts);
			facts_print(&facts, &lines);
		}
		log.made[0].record.payload.size = 3; /* Cut off: said so. */
		facts_of_record(&log.made[0].record, &facts);
		CU_ASSERT_FALSE(facts.readable);
		facts_print(&facts, &lines);
		make(&log);
		lines_deinit(&lines);
		fclose(file);
		CU_ASSERT_PTR_NULL(strstr(out, "SECRET"));
		CU_ASSERT_PTR_NOT_NULL(strstr(out, "unreadable"));
		CU_ASSERT_PTR_NOT_NULL(strstr(out, json ? "\"keys\":\"A B\"" : "keys=\"A B\""));
		free(out);
	}
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_times_are_read_and_written),
		CHECK_TEST(test_numbers_and_sizes),
		CHECK_TEST(test_lines_for_people_and_programs),
		CHECK_TEST(test_filters_follow_a_message),
		CHECK_TEST(test_an_unknown_kind_is_named),
		CHECK_TEST(test_what_became_of_a_popped_message_is_told),
		CHECK_TEST(test_nothing_of_a_body_is_shown),
	};

	return check_main("dump", tests, sizeof(tests) / sizeof(tests[0]));
}
