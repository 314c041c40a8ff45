/* lib/record: the format cannot move unnoticed, and damaged payloads are told from new ones.
 *
 * tests/data/records/<kind>.hex were written by hand from docs/formats/records.md. Encoding the values below must give
 * exactly those bytes, and decoding the bytes and encoding what came out must give them again. */
#include "tests/support/check.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/record/record_message.h"
#include "lib/record/record_settings.h"
#include "lib/record/record_transaction.h"

enum { PAYLOAD_MAX = 512 * 1024 };
#define T(text) SPAN_LITERAL(text)

/* One kind: the golden values encoded; a payload decoded and encoded again. Both return the size. */
struct kind {
	const char *name;
	size_t (*encode)(uint8_t *at);
	enum status (*again)(struct span payload, uint8_t *at, size_t *size_out, struct errinfo *err);
};

#define AGAIN(kind)                                                                                                  \
	static enum status kind##_again(struct span payload, uint8_t *at, size_t *size_out, struct errinfo *err)      \
	{                                                                                                             \
		struct record_##kind r;                                                                               \
		enum status status = record_##kind##_decode(payload, &r, err);                                        \
                                                                                                                      \
		if (status != ST_OK)                                                                                  \
			return status;                                                                                \
		*size_out = record_##kind##_size(&r);                                                                 \
		record_##kind##_encode(&r, at);                                                                       \
		return ST_OK;                                                                                         \
	}
#define ENCODE(kind)                                                                                                 \
	static size_t kind##_golden(uint8_t *at)                                                                      \
	{                                                                                                             \
		record_##kind##_encode(&golden_##kind, at);                                                           \
		return record_##kind##_size(&golden_##kind);                                                          \
	}                                                                                                             \
	AGAIN(kind)

/* Batches: what the visitor saw is collected and encoded again. */
#define ENCODE_BATCH(kind, plural)                                                                                   \
	struct plural##_seen {                                                                                        \
		struct record_##kind items[1024];                                                                     \
		size_t count;                                                                                         \
	};                                                                                                            \
	static enum status plural##_visit(void *context, const struct record_##kind *item, struct errinfo *err)       \
	{                                                                                                             \
		struct plural##_seen *seen = context;                                                                 \
                                                                                                                      \
		(void)err;                                                                                            \
		seen->items[seen->count++] = *item;                                                                   \
		return ST_OK;                                                                                         \
	}                                                                                                             \
	static size_t plural##_golden(uint8_t *at)                                                                    \
	{                                                                                                             \
		size_t count = sizeof(golden_##plural) / sizeof(golden_##plural[0]);                                  \
                                                                                                                      \
		record_##plural##_encode(golden_##plural, count, at);                                                 \
		return record_##plural##_size(golden_##plural, count);                                                \
	}                                                                                                             \
	static enum status plural##_again(struct span payload, uint8_t *at, size_t *size_out, struct errinfo *err)    \
	{                                                                                                             \
		static struct plural##_seen seen;                                                                     \
                                                                                                                      \
		seen.count = 0;                                                                                       \
		enum status status = record_##plural##_decode(payload, plural##_visit, &seen, err);                   \
		if (status != ST_OK)                                                                                  \
			return status;                                                                                \
		*size_out = record_##plural##_size(seen.items, seen.count);                                           \
		record_##plural##_encode(seen.items, seen.count, at);                                                 \
		return ST_OK;                                                                                         \
	}

#define GLOBAL { T("G-1"), 2, 3 }

static const struct record_message golden_message = {
	.queue_offset = 0x0102030405060708, .store_time_ms = 0x1112131415161718, .deliver_at_ms = 0x2122232425262728,
	.tag_hash = -2, .queue_id = 0x31323334, .topic = T("TopicA"), .message = T("message"),
};
static const struct record_half golden_half = {
	.half_queue_offset = 0x0102030405060708, .store_time_ms = 0x1112131415161718, .immunity_ms = -1,
	.delay_ms = 0x2122232425262728, .tag_hash = -3, .queue_id = 0x31323334, .topic = T("TopicA"), .group = T("GroupB"),
	.transaction_id = T("Txn-C"), .unique_key = T("Uniq-D"), .client_id = T("10.0.0.1@7"), .global = GLOBAL,
	.message = T("body"),
};
static const struct record_decision golden_decision = {
	.outcome = OUTCOME_COMMIT, .who = WHO_CHECKBACK, .half_offset = 0x0102030405060708,
	.half_queue_offset = 0x1112131415161718, .half_store_time_ms = 0x2122232425262728, .body_offset = 0x3132333435363738,
	.message_size = 0x41424344, .message_delta = 0x5152, .when_ms = 0x6162636465666768, .answered_checks = 0x71727374,
	.request_id = 0x8182838485868788, .queue_offset = 0x9192939495969798, .deliver_at_ms = 0x0A0B0C0D0E0F1011,
	.queue_id = 0xA1A2A3A4, .tag_hash = -4, .topic = T("TopicA"), .group = T("GroupB"), .transaction_id = T("Txn-C"),
	.who_text = T("10.0.0.1@7"), .reason = T("paid"), .global = GLOBAL,
};
static const struct record_conflict golden_conflict = {
	.asked = OUTCOME_ROLLBACK, .who = WHO_OPERATOR, .decided = OUTCOME_COMMIT, .half_offset = 0x0102030405060708,
	.half_queue_offset = 0x1112131415161718, .decision_offset = 0x2122232425262728, .when_ms = 0x3132333435363738,
	.suppressed = 0x41424344, .group = T("GroupB"), .transaction_id = T("Txn-C"), .who_text = T("mqadmin"), .global = GLOBAL,
};
static const struct record_deliver golden_deliver = {
	.source_offset = 0x0102030405060708, .body_offset = 0x1112131415161718, .message_size = 0x21222324,
	.message_delta = 0x3132, .transactional = true, .queue_id = 0x41424344, .queue_offset = 0x5152535455565758,
	.deliver_time_ms = 0x6162636465666768, .tag_hash = -5, .topic = T("TopicA"),
};
static const struct record_timer_cancel golden_timer_cancel = {
	.source_offset = 0x0102030405060708, .when_ms = 0x1112131415161718, .who = T("producer"), .topic = T("TopicA"),
	.unique_key = T("KeyD"),
};
static const struct record_carry golden_carry = {
	.original_offset = 0x0102030405060708, .original_kind = 5, .payload = T("inner"),
};
static const struct record_check golden_checks[] = {
	{ .event = CHECK_ASKED, .half_offset = 0x0102030405060708, .half_queue_offset = 0x1112131415161718,
	  .attempts = 0x21222324, .answered = 0x31323334, .when_ms = 0x4142434445464748, .who_text = T("10.0.0.1@7") },
	{ .event = CHECK_ANSWERED_UNKNOWN, .half_offset = 1, .half_queue_offset = 2, .attempts = 3, .answered = 4, .when_ms = 5 },
};
static const struct record_offset golden_offsets[] = {
	{ .group = T("GroupB"), .topic = T("TopicA"), .queue_id = 0x01020304, .offset = 0x1112131415161718 },
	{ .group = T("g"), .queue_id = 0, .offset = -1 },
};
static const struct record_pop golden_pops[] = {
	{ .event = POP_CHECK_OUT, .group = T("GroupB"), .topic = T("TopicA"), .queue_id = 0x01020304,
	  .queue_offset = 0x1112131415161718, .count = 0x21222324, .pop_time_ms = 0x3132333435363738,
	  .invisible_ms = 0x4142434445464748 },
	{ .event = POP_ACK, .group = T("g"), .topic = T("t"), .queue_id = 1, .queue_offset = 2, .count = 3, .pop_time_ms = 4,
	  .invisible_ms = 5 },
	{ .event = POP_CHANGE_INVISIBLE, .group = T("g"), .topic = T("t"), .queue_id = 6, .queue_offset = 7, .count = 8,
	  .pop_time_ms = 9, .invisible_ms = 10 },
};
static const struct record_topic golden_topic = {
	.order = true, .read_queue_nums = 0x01020304, .write_queue_nums = 0x11121314, .perm = 6, .filter_type = 0x21222324,
	.sys_flag = 0x31323334, .when_ms = 0x4142434445464748, .name = T("TopicA"), .attributes = T("{\"a\":1}"),
};
static const struct record_group golden_group = {
	.consume_enable = true, .consume_from_min_enable = true, .consume_message_orderly = true,
	.retry_queue_nums = 0x01020304, .retry_max_times = 0x11121314, .broker_id = 0x2122232425262728,
	.which_broker_when_consume_slowly = 0x3132333435363738, .group_sys_flag = 0x41424344,
	.consume_timeout_minute = 0x51525354, .check_interval_ms = 0x61626364, .check_max = 0x71727374,
	.undecided_policy = GROUP_POLICY_COMMIT, .when_ms = 0x0A0B0C0D0E0F1011, .name = T("GroupB"),
};
static const struct record_snapshot_mark golden_snapshot_mark = {
	.snapshot_offset = 0x0102030405060708, .generation = 0x1112131415161718, .file_size = 0x2122232425262728,
	.file_crc = 0x31323334, .when_ms = 0x4142434445464748,
};

ENCODE(message)
ENCODE(half)
ENCODE(decision)
ENCODE(conflict)
ENCODE(deliver)
ENCODE(timer_cancel)
ENCODE(carry)
ENCODE(topic)
ENCODE(group)
ENCODE(snapshot_mark)
ENCODE_BATCH(check, checks)
ENCODE_BATCH(offset, offsets)
ENCODE_BATCH(pop, pops)

static const struct kind kinds[] = {
	{ "message", message_golden, message_again },
	{ "half", half_golden, half_again },
	{ "decision", decision_golden, decision_again },
	{ "conflict", conflict_golden, conflict_again },
	{ "deliver", deliver_golden, deliver_again },
	{ "timer_cancel", timer_cancel_golden, timer_cancel_again },
	{ "carry", carry_golden, carry_again },
	{ "check", checks_golden, checks_again },
	{ "offsets", offsets_golden, offsets_again },
	{ "pop", pops_golden, pops_again },
	{ "topic", topic_golden, topic_again },
	{ "group", group_golden, group_again },
	{ "snapshot_mark", snapshot_mark_golden, snapshot_mark_again },
};
enum { KIND_COUNT = sizeof(kinds) / sizeof(kinds[0]) };

static uint8_t scratch[PAYLOAD_MAX];

/* Hex digits; from '#' to the end of the line is a comment. Caller frees. */
static uint8_t *read_hex(const char *name, size_t *size_out)
{
	char path[128];
	size_t text_size, digits = 0;

	snprintf(path, sizeof(path), "tests/data/records/%s.hex", name);
	uint8_t *text = check_read_file(path, &text_size);
	for (size_t i = 0; i < text_size; i++) {
		if (text[i] == '#') {
			while (i < text_size && text[i] != '\n')
				i++;
		} else if (isxdigit(text[i])) {
			int digit = isdigit(text[i]) ? text[i] - '0' : tolower(text[i]) - 'a' + 10;

			if (digits % 2 == 0)
				text[digits / 2] = (uint8_t)(digit << 4);
			else
				text[digits / 2] |= (uint8_t)digit;
			digits++;
		}
	}
	CU_ASSERT_EQUAL(digits % 2, 0);
	*size_out = digits / 2;
	return text;
}

/* Decodes a copy that is exactly as long, so that reading past it is seen by a sanitizer. */
static enum status decode_copy(const struct kind *kind, const uint8_t *bytes, size_t size, size_t *size_out)
{
	struct errinfo err = { ST_OK, "" };
	uint8_t *copy = malloc(size == 0 ? 1 : size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, bytes, size);
	enum status status = kind->again((struct span){ copy, size }, scratch, size_out, &err);
	if (status != ST_OK && (err.code != status || strstr(err.text, "record") == NULL))
		CU_FAIL("a failure does not say what it is about");
	free(copy);
	return status;
}

static void test_known_bytes(void)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		size_t golden_size, size = kinds[i].encode(scratch);
		uint8_t *golden = read_hex(kinds[i].name, &golden_size);

		if (size != golden_size || memcmp(scratch, golden, size) != 0) {
			printf("%s: encoded otherwise\n", kinds[i].name);
			CU_FAIL("the format moved");
		}
		memset(scratch, 0, size);
		if (decode_copy(&kinds[i], golden, golden_size, &size) != ST_OK) {
			printf("%s: not decoded\n", kinds[i].name);
			CU_FAIL("a record of the known format is refused");
		}
		if (size != golden_size || memcmp(scratch, golden, size) != 0) {
			printf("%s: decoded otherwise\n", kinds[i].name);
			CU_FAIL("a decoded record is not what was stored");
		}
		free(golden);
	}
}

static void test_every_truncation_is_corruption(void)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		size_t golden_size, size;
		uint8_t *golden = read_hex(kinds[i].name, &golden_size);

		for (size_t cut = 0; cut < golden_size; cut++) {
			if (decode_copy(&kinds[i], golden, cut, &size) != ST_CORRUPT) {
				printf("%s cut after %zu bytes\n", kinds[i].name, cut);
				CU_FAIL("a truncated record passed");
			}
		}
		free(golden);
	}
}

static void test_bytes_left_over_are_corruption(void)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		size_t golden_size, size;
		uint8_t *golden = read_hex(kinds[i].name, &golden_size);
		uint8_t *longer = calloc(1, golden_size + 1);

		CU_ASSERT_PTR_NOT_NULL_FATAL(longer);
		memcpy(longer, golden, golden_size);
		CU_ASSERT_EQUAL(decode_copy(&kinds[i], longer, golden_size + 1, &size), ST_CORRUPT);
		free(longer);
		free(golden);
	}
}

static void test_another_version_is_not_read(void)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		size_t golden_size, size;
		uint8_t *golden = read_hex(kinds[i].name, &golden_size);

		golden[0] = 4;
		CU_ASSERT_EQUAL(decode_copy(&kinds[i], golden, golden_size, &size), ST_VERSION);
		/* A newer format may be shorter than ours. */
		CU_ASSERT_EQUAL(decode_copy(&kinds[i], golden, 2, &size), ST_VERSION);
		golden[0] = 0;
		CU_ASSERT_EQUAL(decode_copy(&kinds[i], golden, golden_size, &size), ST_VERSION);
		free(golden);
	}
}

static void test_unknown_flags_are_not_read(void)
{
	for (size_t i = 0; i < KIND_COUNT; i++) {
		size_t golden_size, size;
		uint8_t *golden = read_hex(kinds[i].name, &golden_size);

		for (int bit = 0; bit < 8; bit++) {
			golden[1] = (uint8_t)(1 << bit);
			CU_ASSERT_EQUAL(decode_copy(&kinds[i], golden, golden_size, &size), ST_VERSION);
		}
		free(golden);
	}
}

/* What is stored in a byte but has few meanings: `least` to `most` at this place of the golden bytes. */
static const struct meaning {
	const char *name;
	size_t at;
	uint8_t least, most;
} meanings[] = {
	{ "decision", 2, OUTCOME_COMMIT, OUTCOME_RESUME },
	{ "decision", 3, WHO_PRODUCER, WHO_POLICY },
	{ "conflict", 2, OUTCOME_COMMIT, OUTCOME_RESUME },
	{ "conflict", 3, WHO_PRODUCER, WHO_POLICY },
	{ "conflict", 4, OUTCOME_COMMIT, OUTCOME_RESUME },
	{ "check", 4, CHECK_ASKED, CHECK_ANSWERED_UNKNOWN },
	{ "pop", 4, POP_CHECK_OUT, POP_REQUEST_MODE },
	{ "deliver", 24, 0, 1 },
	{ "carry", 10, CARRY_MESSAGE, CARRY_DECISION },
	{ "topic", 2, 0, 1 },
	{ "topic", 3, 0, 1 },
	{ "group", 2, 0, 1 },
	{ "group", 7, 0, 1 },
	{ "group", 48, GROUP_POLICY_DEFAULT, GROUP_POLICY_COMMIT },
};

static void check_meaning(const struct meaning *meaning, const struct kind *kind)
{
	size_t golden_size, size;
	uint8_t *golden = read_hex(kind->name, &golden_size);

	for (unsigned value = 0; value < 256; value++) {
		bool known = value >= meaning->least && value <= meaning->most;

		golden[meaning->at] = (uint8_t)value;
		if (decode_copy(kind, golden, golden_size, &size) != (known ? ST_OK : ST_CORRUPT)) {
			printf("%s: %u at byte %zu\n", kind->name, value, meaning->at);
			CU_FAIL("a value without meaning passed, or one with a meaning did not");
			break;
		}
	}
	free(golden);
}

static void test_unknown_meanings_are_corruption(void)
{
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		for (size_t k = 0; k < KIND_COUNT; k++) {
			if (strcmp(kinds[k].name, meanings[i].name) == 0)
				check_meaning(&meanings[i], &kinds[k]);
		}
	}
}

/* Each flag of a group has a byte of its own: the golden bytes alone would not see two of them change places. */
static void test_flags_of_a_group_do_not_change_places(void)
{
	for (int flag = 0; flag < 6; flag++) {
		struct record_group r = {
			.deleted = flag == 0, .consume_enable = flag == 1, .consume_from_min_enable = flag == 2,
			.consume_broadcast_enable = flag == 3, .consume_message_orderly = flag == 4,
			.notify_consumer_ids_changed_enable = flag == 5, .name = T("g"),
		};

		record_group_encode(&r, scratch);
		for (int i = 0; i < 6; i++)
			CU_ASSERT_EQUAL(scratch[2 + i], i == flag);
	}
	struct record_topic topic = { .deleted = true, .name = T("t") };
	record_topic_encode(&topic, scratch);
	CU_ASSERT_EQUAL(scratch[2], 1);
	CU_ASSERT_EQUAL(scratch[3], 0);
}

/* Version 2 is written when it is needed, and read only then: what decodes encodes to the same bytes again. */
static void test_what_a_group_says_more(void)
{
	for (int more = 0; more < 4; more++) {
		struct record_group r = { .deleted = true, .clean_offsets = (more & 1) != 0,
					  .forbidden = (more & 2) != 0 ? T("orders\n") : SPAN_NONE, .name = T("g") };
		struct record_group again;
		struct span payload = { scratch, record_group_size(&r) };

		record_group_encode(&r, scratch);
		CU_ASSERT_EQUAL(scratch[0], more == 0 ? 1 : 2);
		CU_ASSERT_EQUAL_FATAL(record_group_decode(payload, &again, NULL), ST_OK);
		CU_ASSERT_EQUAL(again.clean_offsets, r.clean_offsets);
		CU_ASSERT_TRUE(span_equal(again.forbidden, r.forbidden));
	}
	struct record_group empty = { .clean_offsets = true, .name = T("g") };
	record_group_encode(&empty, scratch);
	scratch[record_group_size(&empty) - 3] = 0;
	CU_ASSERT_EQUAL(record_group_decode((struct span){ scratch, record_group_size(&empty) }, &empty, NULL), ST_CORRUPT);
}

/* Version 3: with a retry policy, whatever else it says. */
static void test_the_retry_policy_of_a_group(void)
{
	for (int more = 0; more < 4; more++) {
		struct record_group r = { .clean_offsets = (more & 1) != 0, .forbidden = (more & 2) != 0 ? T("orders\n") : SPAN_NONE,
					  .name = T("g"), .retry_policy = T("{\"type\":\"EXPONENTIAL\"}") };
		struct record_group again;
		struct span payload = { scratch, record_group_size(&r) };

		record_group_encode(&r, scratch);
		CU_ASSERT_EQUAL(scratch[0], 3);
		CU_ASSERT_EQUAL_FATAL(record_group_decode(payload, &again, NULL), ST_OK);
		CU_ASSERT_EQUAL(again.clean_offsets, r.clean_offsets);
		CU_ASSERT_TRUE(span_equal(again.forbidden, r.forbidden));
		CU_ASSERT_TRUE(span_equal(again.retry_policy, r.retry_policy));
	}
	/* Without one it would have been version 2. */
	struct record_group r = { .clean_offsets = true, .name = T("g") };
	size_t size = record_group_size(&r);
	record_group_encode(&r, scratch);
	scratch[0] = 3;
	scratch[size] = scratch[size + 1] = 0;
	CU_ASSERT_EQUAL(record_group_decode((struct span){ scratch, size + 2 }, &r, NULL), ST_CORRUPT);
}

static void test_longest_texts_and_largest_batches(void)
{
	static uint8_t text[UINT16_MAX];
	static struct record_offset offsets[RECORD_OFFSETS_MAX];
	struct record_timer_cancel cancel = { .source_offset = 1, .when_ms = 2, .who = { text, sizeof(text) } };
	size_t size;

	memset(text, 'x', sizeof(text));
	record_timer_cancel_encode(&cancel, scratch);
	static uint8_t copy[PAYLOAD_MAX];
	memcpy(copy, scratch, record_timer_cancel_size(&cancel));
	CU_ASSERT_EQUAL(decode_copy(&kinds[5], copy, record_timer_cancel_size(&cancel), &size), ST_OK);
	CU_ASSERT_EQUAL(size, record_timer_cancel_size(&cancel));
	CU_ASSERT_EQUAL(memcmp(copy, scratch, size), 0);

	for (size_t i = 0; i < RECORD_OFFSETS_MAX; i++)
		offsets[i] = (struct record_offset){ T("g"), T("t"), (uint32_t)i, (int64_t)i * 3 };
	size = record_offsets_size(offsets, RECORD_OFFSETS_MAX);
	record_offsets_encode(offsets, RECORD_OFFSETS_MAX, copy);
	size_t again;
	CU_ASSERT_EQUAL(decode_copy(&kinds[8], copy, size, &again), ST_OK);
	CU_ASSERT_EQUAL(again, size);
	CU_ASSERT_EQUAL(memcmp(copy, scratch, size), 0);
}

/* The count of a batch is bounded before anything is done by it; the three batches have it in the same place. */
static void test_batches_over_their_limit_are_corruption(void)
{
	static uint8_t copy[PAYLOAD_MAX];
	size_t size;

	memset(copy, 0, sizeof(copy));
	copy[0] = 1;
	for (size_t k = 7; k <= 9; k++) {
		put_u16(copy + 2, 0);
		CU_ASSERT_EQUAL(decode_copy(&kinds[k], copy, 4, &size), ST_OK);
		put_u16(copy + 2, 1025);
		/* As many bytes as 1,025 items of nothing need, and more. */
		CU_ASSERT_EQUAL(decode_copy(&kinds[k], copy, 1025 * 60, &size), ST_CORRUPT);
		put_u16(copy + 2, UINT16_MAX);
		CU_ASSERT_EQUAL(decode_copy(&kinds[k], copy, 4, &size), ST_CORRUPT);
	}
}

static enum status refuse_second(void *context, const struct record_check *check, struct errinfo *err)
{
	int *seen = context;

	(void)check;
	return ++*seen == 2 ? errinfo_set(err, ST_FULL, "no more") : ST_OK;
}

static void test_a_visitors_failure_ends_the_batch(void)
{
	struct record_check checks[3];
	struct errinfo err;
	int seen = 0;

	for (int i = 0; i < 3; i++)
		checks[i] = golden_checks[0];
	record_checks_encode(checks, 3, scratch);
	CU_ASSERT_EQUAL(record_checks_decode((struct span){ scratch, record_checks_size(checks, 3) }, refuse_second, &seen, &err),
			ST_FULL);
	CU_ASSERT_EQUAL(seen, 2);
	CU_ASSERT_STRING_EQUAL(err.text, "no more");
}

/* A caller that writes the message itself needs everything before it, and its size. */
static void test_head_is_all_but_the_message(void)
{
	static uint8_t head[1024];
	struct record_half half = golden_half;
	struct record_message message = golden_message;
	size_t size = half_golden(scratch);

	half.message.data = NULL;
	memset(head, 0xEE, sizeof(head));
	record_half_encode_head(&half, head);
	CU_ASSERT_EQUAL(memcmp(head, scratch, size - 4), 0);
	CU_ASSERT_EQUAL(head[size - 4], 0xEE);
	size = message_golden(scratch);
	message.message.data = NULL;
	memset(head, 0xEE, sizeof(head));
	record_message_encode_head(&message, head);
	CU_ASSERT_EQUAL(memcmp(head, scratch, size - 7), 0);
	CU_ASSERT_EQUAL(head[size - 7], 0xEE);
}

/* Random damage: nothing but the three honest answers, and what decodes encodes to the same bytes. */
static void test_random_damage(void)
{
	uint64_t random = check_seed(41);

	for (int run = 0; run < 20000; run++) {
		const struct kind *kind = &kinds[check_random(&random) % KIND_COUNT];
		uint8_t copy[1024];
		size_t size = kind->encode(scratch), again;

		memcpy(copy, scratch, size);
		for (uint64_t i = 1 + check_random(&random) % 4; i > 0; i--)
			copy[check_random(&random) % size] = (uint8_t)check_random(&random);
		enum status status = decode_copy(kind, copy, size, &again);
		if (status != ST_OK && status != ST_CORRUPT && status != ST_VERSION)
			CU_FAIL("another failure than corruption or version");
		if (status == ST_OK && (again != size || memcmp(copy, scratch, size) != 0))
			CU_FAIL("there are two ways to write one record");
	}
}

static void test_texts(void)
{
	CU_ASSERT_STRING_EQUAL(record_outcome_text(OUTCOME_ROLLBACK), "rolled back");
	CU_ASSERT_STRING_EQUAL(record_outcome_text(OUTCOME_RESUME), "resumed");
	CU_ASSERT_STRING_EQUAL(record_outcome_text((enum record_outcome)0), "?");
	CU_ASSERT_STRING_EQUAL(record_who_text(WHO_SQL), "SQL request");
	CU_ASSERT_STRING_EQUAL(record_who_text((enum record_who)6), "?");
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_known_bytes),
		CHECK_TEST(test_every_truncation_is_corruption),
		CHECK_TEST(test_bytes_left_over_are_corruption),
		CHECK_TEST(test_another_version_is_not_read),
		CHECK_TEST(test_unknown_flags_are_not_read),
		CHECK_TEST(test_unknown_meanings_are_corruption),
		CHECK_TEST(test_flags_of_a_group_do_not_change_places),
		CHECK_TEST(test_what_a_group_says_more),
		CHECK_TEST(test_the_retry_policy_of_a_group),
		CHECK_TEST(test_longest_texts_and_largest_batches),
		CHECK_TEST(test_batches_over_their_limit_are_corruption),
		CHECK_TEST(test_a_visitors_failure_ends_the_batch),
		CHECK_TEST(test_head_is_all_but_the_message),
		CHECK_TEST(test_random_damage),
		CHECK_TEST(test_texts),
	};
	return check_main("record", tests, sizeof(tests) / sizeof(tests[0]));
}
