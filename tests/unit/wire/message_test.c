/* Message records, batches, properties, ids, names, filters. */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/wire/codes.h"
#include "lib/wire/filter.h"
#include "lib/wire/message.h"
#include "lib/wire/msgid.h"
#include "lib/wire/names.h"
#include "lib/wire/properties.h"

/* --- records ------------------------------------------------------------------------------------------ */

static const char record_hex[] =
	"0000009ddaa320a73610a686000000030000000000000000000000050000000000000400000000000000018bcfe56800c0a80009"
	"0000c3cb0000018bcfe5687bc0a8000100002a9f0000000000000000000000000000000568656c6c6f09546f70696354657374"
	"0034554e49515f4b45590143304138303030313030303031323334353637383030303030303030303030300254414753015461674102";

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t size = strlen(hex) / 2;
	unsigned byte;

	for (size_t i = 0; i < size; i++) {
		if (sscanf(hex + 2 * i, "%2x", &byte) != 1)
			abort();
		out[i] = (uint8_t)byte;
	}
	return size;
}

static struct message sample(void)
{
	return (struct message){
		.queue_id = 3,
		.queue_offset = 5,
		.physical_offset = 1024,
		.born_timestamp = 1700000000000,
		.born_host = host_ipv4(0xC0A80009, 50123),
		.store_timestamp = 1700000000123,
		.store_host = host_ipv4(0xC0A80001, 10911),
		.body = SPAN_LITERAL("hello"),
		.topic = SPAN_LITERAL("TopicTest"),
		.properties = SPAN_LITERAL("UNIQ_KEY\001C0A80001000012345678000000000000\002TAGS\001TagA\002"),
	};
}

static void test_record_has_rocketmqs_bytes(void)
{
	struct message message = sample();
	uint8_t expected[256], record[256];
	size_t size = from_hex(record_hex, expected);

	CU_ASSERT_EQUAL(size, 157);
	CU_ASSERT_EQUAL_FATAL(message_size(&message), size);
	CU_ASSERT_EQUAL(message_encode(&message, record), size);
	CU_ASSERT_EQUAL(memcmp(record, expected, size), 0);
}

static void test_record_decodes(void)
{
	uint8_t record[256];
	size_t size = from_hex(record_hex, record);
	struct message message;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(message_decode((struct span){ record, size + 7 }, &message, &err), ST_OK);
	CU_ASSERT_EQUAL(message.size, size);
	CU_ASSERT_EQUAL(message.body_crc, 0x3610A686);
	CU_ASSERT_TRUE(message_crc_matches(&message));
	CU_ASSERT_EQUAL(message.queue_id, 3);
	CU_ASSERT_EQUAL(message.queue_offset, 5);
	CU_ASSERT_EQUAL(message.physical_offset, 1024);
	CU_ASSERT_EQUAL(message.born_host.port, 50123);
	CU_ASSERT_EQUAL(message.store_timestamp, 1700000000123);
	CU_ASSERT_TRUE(span_is(message.body, "hello"));
	CU_ASSERT_TRUE(span_is(message.topic, "TopicTest"));
	CU_ASSERT_TRUE(span_is(property_get(message.properties, "TAGS"), "TagA"));
	record[90] ^= 1;
	CU_ASSERT_EQUAL_FATAL(message_decode((struct span){ record, size }, &message, &err), ST_OK);
	CU_ASSERT_FALSE(message_crc_matches(&message));
}

static void test_record_cut_anywhere_is_refused(void)
{
	uint8_t record[256];
	size_t size = from_hex(record_hex, record);
	struct message message;
	struct errinfo err;

	for (size_t cut = 0; cut < size; cut++)
		CU_ASSERT_EQUAL(message_decode((struct span){ record, cut }, &message, &err), ST_CORRUPT);
	for (size_t cut = MESSAGE_FIXED_SIZE; cut < size; cut++) {
		put_u32(record, (uint32_t)cut); /* The record itself claims to be shorter. */
		CU_ASSERT_EQUAL(message_decode((struct span){ record, size }, &message, &err), ST_CORRUPT);
	}
}

static void check_same(const struct message *a, const struct message *b)
{
	CU_ASSERT_EQUAL(a->queue_id, b->queue_id);
	CU_ASSERT_EQUAL(a->flag, b->flag);
	CU_ASSERT_EQUAL(a->queue_offset, b->queue_offset);
	CU_ASSERT_EQUAL(a->physical_offset, b->physical_offset);
	CU_ASSERT_EQUAL(a->sys_flag, b->sys_flag);
	CU_ASSERT_EQUAL(a->born_timestamp, b->born_timestamp);
	CU_ASSERT_EQUAL(a->store_timestamp, b->store_timestamp);
	CU_ASSERT_EQUAL(a->reconsume_times, b->reconsume_times);
	CU_ASSERT_EQUAL(a->prepared_transaction_offset, b->prepared_transaction_offset);
	CU_ASSERT_EQUAL(memcmp(&a->born_host, &b->born_host, sizeof(a->born_host)), 0);
	CU_ASSERT_EQUAL(memcmp(&a->store_host, &b->store_host, sizeof(a->store_host)), 0);
	CU_ASSERT_TRUE(span_equal(a->topic, b->topic));
	CU_ASSERT_TRUE(span_equal(a->body, b->body));
	CU_ASSERT_TRUE(span_equal(a->properties, b->properties));
}

static void test_random_records_round_trip_and_can_be_patched(void)
{
	uint64_t random = check_seed(4711);
	static uint8_t bytes[40000], record[80000];
	struct errinfo err;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)check_random(&random);
	for (int round = 0; round < 2000; round++) {
		struct message back, message = {
			.queue_id = (int32_t)check_random(&random),
			.flag = (int32_t)check_random(&random),
			.queue_offset = (int64_t)check_random(&random),
			.physical_offset = (int64_t)check_random(&random),
			.sys_flag = (int32_t)check_random(&random) & ~0x30,
			.born_timestamp = (int64_t)check_random(&random),
			.store_timestamp = (int64_t)check_random(&random),
			.reconsume_times = (int32_t)check_random(&random),
			.prepared_transaction_offset = (int64_t)check_random(&random),
			.body = { bytes, check_random(&random) % 3000 },
			.topic = { bytes, check_random(&random) % (MESSAGE_TOPIC_MAX + 1) },
			.properties = { bytes, check_random(&random) % (MESSAGE_PROPERTIES_MAX + 1) },
		};
		message.born_host = host_ipv4((uint32_t)check_random(&random), 1);
		message.store_host = host_ipv4((uint32_t)check_random(&random), 10911);
		if (check_random(&random) % 4 == 0) {
			memcpy(message.born_host.ip, bytes, 16);
			message.born_host.ip_size = 16;
			message.sys_flag |= SYSFLAG_BORNHOST_V6;
		}
		if (check_random(&random) % 4 == 0) {
			memcpy(message.store_host.ip, bytes, 16);
			message.store_host.ip_size = 16;
			message.sys_flag |= SYSFLAG_STOREHOST_V6;
		}
		CU_ASSERT_EQUAL_FATAL(message_check_limits(&message, &err), ST_OK);
		size_t size = message_encode(&message, record);
		CU_ASSERT_EQUAL_FATAL(message_decode((struct span){ record, size }, &back, &err), ST_OK);
		check_same(&message, &back);
		CU_ASSERT_TRUE(message_crc_matches(&back));
		message_patch_queue_id(record, message.queue_id = 7);
		message_patch_queue_offset(record, message.queue_offset = -8);
		message_patch_physical_offset(record, message.physical_offset = 1LL << 60);
		message_patch_store_timestamp(record, message.store_timestamp = 99);
		message_patch_reconsume_times(record, message.reconsume_times = 3);
		message_patch_prepared_offset(record, message.prepared_transaction_offset = 4);
		message.sys_flag = (message.sys_flag & 0x30) | 0x8;
		message_patch_sys_flag(record, 0x8);
		CU_ASSERT_EQUAL_FATAL(message_decode((struct span){ record, size }, &back, &err), ST_OK);
		check_same(&message, &back);
	}
}

static void test_topics_over_127_bytes_make_v2_records(void)
{
	static uint8_t topic[256], record[1024];
	struct message message = sample(), back;
	struct errinfo err;

	memset(topic, 't', sizeof(topic));
	message.topic = (struct span){ topic, 127 };
	(void)message_encode(&message, record);
	CU_ASSERT_EQUAL(get_u32(record + 4), 0xDAA320A7);
	message.topic.size = 128;
	size_t size = message_encode(&message, record);
	CU_ASSERT_EQUAL(get_u32(record + 4), 0xDAA320AB);
	CU_ASSERT_EQUAL(message_decode((struct span){ record, size }, &back, &err), ST_OK);
	CU_ASSERT_EQUAL(back.topic.size, 128);
	message.topic.size = 256;
	CU_ASSERT_EQUAL(message_check_limits(&message, &err), ST_TOOBIG);
	CU_ASSERT_STRING_EQUAL(err.text, "topic of 256 bytes is over 255");
}

static void test_records_back_to_back(void)
{
	uint8_t records[512];
	size_t size = from_hex(record_hex, records);
	struct span rest = { records, 2 * size };
	struct message message;
	struct errinfo err;

	memcpy(records + size, records, size);
	CU_ASSERT_EQUAL(message_next(&rest, &message, &err), ST_OK);
	CU_ASSERT_EQUAL(message_next(&rest, &message, &err), ST_OK);
	CU_ASSERT_EQUAL(message_next(&rest, &message, &err), ST_NOTFOUND);
	rest = (struct span){ records, size + 10 };
	CU_ASSERT_EQUAL(message_next(&rest, &message, &err), ST_OK);
	CU_ASSERT_EQUAL(message_next(&rest, &message, &err), ST_CORRUPT);
}

static void test_batches(void)
{
	struct batch_message first = { 7, SPAN_LITERAL("body one"), SPAN_LITERAL("TAGS\001a\002") };
	struct batch_message second = { 0, SPAN_NONE, SPAN_NONE }, back;
	struct buffer out;
	struct errinfo err;

	buffer_init(&out, 0);
	batch_append(&out, &first);
	batch_append(&out, &second);
	struct span rest = buffer_span(&out);
	CU_ASSERT_EQUAL(batch_next(&rest, &back, &err), ST_OK);
	CU_ASSERT_EQUAL(back.flag, 7);
	CU_ASSERT_TRUE(span_is(back.body, "body one"));
	CU_ASSERT_TRUE(span_equal(back.properties, first.properties));
	CU_ASSERT_EQUAL(batch_next(&rest, &back, &err), ST_OK);
	CU_ASSERT_EQUAL(back.body.size + back.properties.size, 0);
	CU_ASSERT_EQUAL(batch_next(&rest, &back, &err), ST_NOTFOUND);
	for (size_t cut = 1; cut < 37; cut++) {
		rest = (struct span){ out.data, cut };
		CU_ASSERT_EQUAL(batch_next(&rest, &back, &err), ST_INVALID);
	}
	out.data[16] = 0x7F; /* The body's length. */
	rest = buffer_span(&out);
	CU_ASSERT_EQUAL(batch_next(&rest, &back, &err), ST_INVALID);
	buffer_deinit(&out);
}

/* --- properties --------------------------------------------------------------------------------------- */

static void test_properties_tolerate_what_clients_write(void)
{
	struct span properties = SPAN_LITERAL("\002A\0011\002\002noValue\002B\001\002\001noName\002C\0013\001x\002A\0012");
	struct property property;
	int count = 0;

	while (property_next(&properties, &property))
		count++;
	CU_ASSERT_EQUAL(count, 3);
	properties = SPAN_LITERAL("A\0011\002C\0013\001x\002A\0012\002T\001TRUE\002N\001-5\002X\0015x\002");
	CU_ASSERT_TRUE(span_is(property_get(properties, "A"), "2"));
	CU_ASSERT_TRUE(span_is(property_get(properties, "C"), "3\001x"));
	CU_ASSERT_PTR_NULL(property_get(properties, "B").data);
	CU_ASSERT_TRUE(property_is_true(properties, "T"));
	CU_ASSERT_FALSE(property_is_true(properties, "A"));
	CU_ASSERT_EQUAL(property_get_i64(properties, "N", 1), -5);
	CU_ASSERT_EQUAL(property_get_i64(properties, "X", 1), 1);
	CU_ASSERT_PTR_NULL(property_get(SPAN_NONE, "A").data);
}

static void test_known_properties_in_one_pass(void)
{
	struct known_properties known;

	properties_scan(SPAN_LITERAL("KEYS\001k1 k2\002TRAN_MSG\001true\002PGROUP\001g\002UNIQ_KEY\001U\002other\001x\002"
				     "DELAY\0013\002TAGS\001a\002TAGS\001b\002CHECK_IMMUNITY_TIME_IN_SECONDS\00130"),
			&known);
	CU_ASSERT_TRUE(span_is(known.keys, "k1 k2"));
	CU_ASSERT_TRUE(span_is(known.tran_msg, "true"));
	CU_ASSERT_TRUE(span_is(known.pgroup, "g"));
	CU_ASSERT_TRUE(span_is(known.uniq_key, "U"));
	CU_ASSERT_TRUE(span_is(known.delay, "3"));
	CU_ASSERT_TRUE(span_is(known.tags, "b"));
	CU_ASSERT_TRUE(span_is(known.check_immunity, "30"));
	CU_ASSERT_PTR_NULL(known.real_topic.data);
}

static void test_properties_are_built_by_copying_without(void)
{
	static const char *const without[] = { "REAL_TOPIC", "REAL_QID", NULL };
	struct buffer out;
	struct errinfo err;

	buffer_init(&out, 0);
	properties_copy(&out, SPAN_LITERAL("A\0011\002REAL_TOPIC\001T\002B\0012"), without);
	property_put(&out, "UNIQ_KEY", SPAN_LITERAL("a\001b\002c"));
	property_put(&out, "EMPTY", SPAN_NONE);
	property_put_i64(&out, "N", -7);
	CU_ASSERT_EQUAL(property_append(&out, SPAN_LITERAL("k"), SPAN_LITERAL("v"), &err), ST_OK);
	CU_ASSERT_EQUAL(property_append(&out, SPAN_LITERAL("k\001"), SPAN_LITERAL("v"), &err), ST_INVALID);
	CU_ASSERT_EQUAL(property_append(&out, SPAN_LITERAL("k"), SPAN_LITERAL("v\002"), &err), ST_INVALID);
	CU_ASSERT_EQUAL(property_append(&out, SPAN_LITERAL("k"), SPAN_NONE, &err), ST_INVALID);
	CU_ASSERT_TRUE(span_equal(buffer_span(&out),
				  SPAN_LITERAL("A\0011\002B\0012\002UNIQ_KEY\001a?b?c\002N\001-7\002k\001v\002")));
	buffer_deinit(&out);
}

static void test_java_hash(void)
{
	CU_ASSERT_EQUAL(java_string_hash(SPAN_LITERAL("TagA")), 2598919);
	CU_ASSERT_EQUAL(java_string_hash(SPAN_LITERAL("TagB")), 2598920);
	CU_ASSERT_EQUAL(java_string_hash(SPAN_LITERAL("*")), 42);
	CU_ASSERT_EQUAL(java_string_hash(SPAN_LITERAL("TopicTest#key1")), -1655984460);
	CU_ASSERT_EQUAL(java_string_hash(SPAN_NONE), 0);
	/* "ä" is one unit, U+1F600 is the pair D83D DE00. */
	CU_ASSERT_EQUAL(java_string_hash(SPAN_LITERAL("\xc3\xa4")), 0xE4);
	CU_ASSERT_EQUAL(java_string_hash(SPAN_LITERAL("\xf0\x9f\x98\x80")), 0xD83D * 31 + 0xDE00);
	CU_ASSERT_EQUAL(java_string_hash(SPAN_LITERAL("\xe4\xb8\xad")), 0x4E2D);
	/* Malformed: each byte is U+FFFD. */
	CU_ASSERT_EQUAL(java_string_hash(SPAN_LITERAL("\xff")), 0xFFFD);
	CU_ASSERT_EQUAL(java_string_hash(SPAN_LITERAL("\xc3")), 0xFFFD);
	CU_ASSERT_EQUAL(java_string_hash(SPAN_LITERAL("\xc0\x80")), 0xFFFD * 31 + 0xFFFD);
}

/* --- ids, names, filters ------------------------------------------------------------------------------ */

static void test_offset_message_ids(void)
{
	struct host host = host_ipv4(0xC0A80001, 10911), back;
	char text[MSGID_TEXT_SIZE];
	int64_t offset;

	CU_ASSERT_EQUAL(offset_msg_id_encode(&host, 1024, text), 32);
	CU_ASSERT_STRING_EQUAL(text, "C0A8000100002A9F0000000000000400");
	CU_ASSERT_EQUAL(offset_msg_id_decode(SPAN_LITERAL("c0a8000100002a9f0000000000000400"), &back, &offset), ST_OK);
	CU_ASSERT_EQUAL(offset, 1024);
	CU_ASSERT_EQUAL(memcmp(&host, &back, sizeof(host)), 0);
	host.ip_size = 16;
	CU_ASSERT_EQUAL(offset_msg_id_encode(&host, INT64_MAX, text), 56);
	CU_ASSERT_EQUAL(offset_msg_id_decode(span_of(text), &back, &offset), ST_OK);
	CU_ASSERT_EQUAL(offset, INT64_MAX);
	CU_ASSERT_EQUAL(back.ip_size, 16);
	CU_ASSERT_EQUAL(offset_msg_id_decode(SPAN_LITERAL("C0A8000100002A9F000000000000040"), &back, &offset), ST_INVALID);
	CU_ASSERT_EQUAL(offset_msg_id_decode(SPAN_LITERAL("C0A8000100002A9F000000000000040G"), &back, &offset), ST_INVALID);
	CU_ASSERT_EQUAL(offset_msg_id_decode(SPAN_LITERAL("C0A8000100002A9FF000000000000400"), &back, &offset), ST_INVALID);
}

static void test_unique_ids(void)
{
	struct unique_id source;
	char text[UNIQUE_ID_TEXT_SIZE], next[UNIQUE_ID_TEXT_SIZE];
	/* 2024-02-29T12:00:00Z is 28.5 days after the start of its month. */
	int64_t now_ms = 1709208000000;

	unique_id_init(&source, 0x7F000001, 0x12345, 0xAABBCCDD);
	unique_id_next(&source, now_ms, text);
	CU_ASSERT_STRING_EQUAL(text, "7F0000012345AABBCCDD92C53E000000");
	unique_id_next(&source, now_ms, next);
	CU_ASSERT_STRING_EQUAL(next + 28, "0001");
	unique_id_next(&source, 1709251200000, next); /* 2024-03-01T00:00:00Z */
	CU_ASSERT_EQUAL(memcmp(next + 20, "00000000", 8), 0);
	unique_id_next(&source, 1735689599999, next); /* The last millisecond of 2024-12. */
	CU_ASSERT_EQUAL(memcmp(next + 20, "9FA523FF", 8), 0);
	unique_id_next(&source, 1735689600000, next);
	CU_ASSERT_EQUAL(memcmp(next + 20, "00000000", 8), 0);
	unique_id_next(&source, 0, next);
	CU_ASSERT_EQUAL(memcmp(next + 20, "00000000", 8), 0);
}

static void test_names(void)
{
	uint8_t text[LONG_TOPIC_NAME_MAX];
	static char long_name[300];
	struct errinfo err;

	CU_ASSERT_EQUAL(topic_name_check(SPAN_LITERAL("Order_Topic-1|x%y"), &err), ST_OK);
	CU_ASSERT_EQUAL(topic_name_check(SPAN_NONE, &err), ST_INVALID);
	CU_ASSERT_EQUAL(topic_name_check(SPAN_LITERAL("a b"), &err), ST_INVALID);
	CU_ASSERT_STRING_EQUAL(err.text, "the topic name holds byte 0x20; allowed are letters, digits and % - _ |");
	CU_ASSERT_EQUAL(topic_name_check(SPAN_LITERAL("a/../b"), &err), ST_INVALID);
	CU_ASSERT_EQUAL(topic_name_check(SPAN_LITERAL("\xc3\xa4"), &err), ST_INVALID);
	memset(long_name, 'a', sizeof(long_name));
	CU_ASSERT_EQUAL(topic_name_check((struct span){ (uint8_t *)long_name, 127 }, &err), ST_OK);
	CU_ASSERT_EQUAL(topic_name_check((struct span){ (uint8_t *)long_name, 128 }, &err), ST_INVALID);
	CU_ASSERT_EQUAL(group_name_check((struct span){ (uint8_t *)long_name, 255 }, &err), ST_OK);
	CU_ASSERT_EQUAL(group_name_check((struct span){ (uint8_t *)long_name, 256 }, &err), ST_INVALID);
	memcpy(long_name, "%RETRY%", 7);
	CU_ASSERT_EQUAL(topic_name_check((struct span){ (uint8_t *)long_name, 255 }, &err), ST_OK);
	CU_ASSERT_EQUAL(topic_name_check((struct span){ (uint8_t *)long_name, 256 }, &err), ST_INVALID);

	CU_ASSERT_TRUE(span_is(retry_topic_name(SPAN_LITERAL("g"), text), "%RETRY%g"));
	CU_ASSERT_TRUE(span_is(dlq_topic_name(SPAN_LITERAL("g"), text), "%DLQ%g"));
	CU_ASSERT_PTR_NULL(retry_topic_name((struct span){ (uint8_t *)long_name, 249 }, text).data);
	CU_ASSERT_TRUE(span_is(topic_group(SPAN_LITERAL("%DLQ%g")), "g"));
	CU_ASSERT_EQUAL(topic_group(SPAN_LITERAL("g")).size, 0);
	CU_ASSERT_TRUE(topic_is_system(SPAN_LITERAL("rmq_sys_REVIVE_LOG_C")));
	CU_ASSERT_TRUE(topic_is_system(SPAN_LITERAL(TOPIC_AUTO_CREATE)));
	CU_ASSERT_FALSE(topic_is_unsendable(SPAN_LITERAL(TOPIC_AUTO_CREATE)));
	static const char *const unsendable[] = { TOPIC_HALF, TOPIC_OP_HALF, TOPIC_SCHEDULE, TOPIC_CHECK_MAX_TIME, TOPIC_SELF_TEST,
						  TOPIC_OFFSET_MOVED };
	for (size_t i = 0; i < sizeof(unsendable) / sizeof(unsendable[0]); i++)
		CU_ASSERT_TRUE(topic_is_unsendable(span_of(unsendable[i])));
	CU_ASSERT_FALSE(topic_is_system(SPAN_LITERAL("TopicTest")));
}

static void test_tag_filters(void)
{
	struct tag_filter filter, other;
	struct buffer expression;
	struct errinfo err;

	CU_ASSERT_EQUAL(tag_filter_parse(SPAN_LITERAL("*"), &filter, &err), ST_OK);
	CU_ASSERT_TRUE(tag_filter_match(&filter, 0) && tag_filter_match(&filter, 5));
	CU_ASSERT_EQUAL(tag_filter_parse(SPAN_NONE, &filter, &err), ST_OK);
	CU_ASSERT_TRUE(tag_filter_match(&filter, 5));
	CU_ASSERT_EQUAL(tag_filter_parse(SPAN_LITERAL(" TagA ||TagB|| TagA|| "), &filter, &err), ST_OK);
	CU_ASSERT_EQUAL(filter.count, 2);
	CU_ASSERT_TRUE(tag_filter_match(&filter, 2598919) && tag_filter_match(&filter, 2598920));
	CU_ASSERT_FALSE(tag_filter_match(&filter, 0) || tag_filter_match(&filter, 2598921));
	CU_ASSERT_EQUAL(tag_filter_parse(SPAN_LITERAL("TagB||TagA"), &other, &err), ST_OK);
	CU_ASSERT_TRUE(tag_filter_equal(&filter, &other));
	CU_ASSERT_EQUAL(tag_filter_parse(SPAN_LITERAL("a|b"), &other, &err), ST_OK); /* One bar belongs to the tag. */
	CU_ASSERT_EQUAL(other.count, 1);
	CU_ASSERT_FALSE(tag_filter_equal(&filter, &other));
	CU_ASSERT_EQUAL(tag_filter_parse(SPAN_LITERAL(" || "), &other, &err), ST_INVALID);
	buffer_init(&expression, 0);
	for (int i = 0; i < TAG_FILTER_TAGS_MAX; i++)
		buffer_printf(&expression, "%st%d", i == 0 ? "" : "||", i);
	CU_ASSERT_EQUAL(tag_filter_parse(buffer_span(&expression), &filter, &err), ST_OK);
	for (int i = 0; i < TAG_FILTER_TAGS_MAX; i++) {
		char tag[16];

		snprintf(tag, sizeof(tag), "t%d", i);
		CU_ASSERT_TRUE(tag_filter_match(&filter, tag_hash(span_of(tag))));
	}
	buffer_append_text(&expression, "||one more");
	CU_ASSERT_EQUAL(tag_filter_parse(buffer_span(&expression), &filter, &err), ST_TOOBIG);
	buffer_deinit(&expression);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_record_has_rocketmqs_bytes),
		CHECK_TEST(test_record_decodes),
		CHECK_TEST(test_record_cut_anywhere_is_refused),
		CHECK_TEST(test_random_records_round_trip_and_can_be_patched),
		CHECK_TEST(test_topics_over_127_bytes_make_v2_records),
		CHECK_TEST(test_records_back_to_back),
		CHECK_TEST(test_batches),
		CHECK_TEST(test_properties_tolerate_what_clients_write),
		CHECK_TEST(test_known_properties_in_one_pass),
		CHECK_TEST(test_properties_are_built_by_copying_without),
		CHECK_TEST(test_java_hash),
		CHECK_TEST(test_offset_message_ids),
		CHECK_TEST(test_unique_ids),
		CHECK_TEST(test_names),
		CHECK_TEST(test_tag_filters),
	};

	return check_main("message", tests, sizeof(tests) / sizeof(tests[0]));
}
