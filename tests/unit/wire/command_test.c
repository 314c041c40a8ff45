/* Frames and command headers: JSON and binary, both directions. */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/wire/command.h"
#include "lib/wire/json_body.h"
#include "lib/wire/languages.h"
#include "tests/unit/wire/cjson_oracle.h"

static struct command_scratch scratch;

static struct buffer frame_of(uint8_t serialize_type, struct span header, const char *body)
{
	struct buffer frame;

	buffer_init(&frame, 0);
	buffer_put_u32(&frame, (uint32_t)(4 + header.size + strlen(body)));
	buffer_put_u32(&frame, (uint32_t)serialize_type << 24 | (uint32_t)header.size);
	buffer_append_span(&frame, header);
	buffer_append_text(&frame, body);
	return frame;
}

static enum status decode_header(const char *header, struct command *out, struct errinfo *err)
{
	static struct buffer frame; /* The result borrows from it. */

	buffer_deinit(&frame);
	frame = frame_of(SERIALIZE_JSON, span_of(header), "");
	return command_decode(buffer_span(&frame), &scratch, out, err);
}

/* --- frames ------------------------------------------------------------------------------------------- */

static enum frame_verdict scan(const uint8_t *bytes, size_t size, uint32_t size_max, size_t *frame_size)
{
	const char *reason;
	enum frame_verdict verdict = frame_scan((struct span){ bytes, size }, size_max, frame_size, &reason);

	CU_ASSERT_EQUAL(verdict == FRAME_BAD, reason != NULL);
	return verdict;
}

static void test_frame_is_complete_with_its_last_byte(void)
{
	static const uint8_t bytes[] = { 0, 0, 0, 7, 0, 0, 0, 2, '{', '}', 'b', 0xFF };
	size_t frame_size;

	for (size_t size = 0; size < 11; size++)
		CU_ASSERT_EQUAL(scan(bytes, size, 1024, &frame_size), FRAME_PARTIAL);
	CU_ASSERT_EQUAL(frame_size, 11);
	CU_ASSERT_EQUAL(scan(bytes, 11, 1024, &frame_size), FRAME_COMPLETE);
	CU_ASSERT_EQUAL(scan(bytes, 12, 1024, &frame_size), FRAME_COMPLETE);
	CU_ASSERT_EQUAL(frame_size, 11);
}

static void test_frame_lies_are_found_before_the_frame_is_complete(void)
{
	static const uint8_t too_short[] = { 0, 0, 0, 3 };
	static const uint8_t too_long[] = { 0x16, 3, 1, 2 }; /* A TLS hello. */
	static const uint8_t bad_type[] = { 0, 0, 0, 7, 2, 0, 0, 2 };
	static const uint8_t bad_header[] = { 0, 0, 0, 7, 0, 0, 0, 4 };
	static const uint8_t huge_header[] = { 0, 0xFF, 0, 0, 0, 4, 0, 1 };
	size_t frame_size;

	CU_ASSERT_EQUAL(scan(too_short, 4, 1 << 24, &frame_size), FRAME_BAD);
	CU_ASSERT_EQUAL(scan(too_long, 4, 1 << 24, &frame_size), FRAME_BAD);
	CU_ASSERT_EQUAL(scan(bad_type, 8, 1 << 24, &frame_size), FRAME_BAD);
	CU_ASSERT_EQUAL(scan(bad_header, 8, 1 << 24, &frame_size), FRAME_BAD);
	CU_ASSERT_EQUAL(scan(huge_header, 8, 1 << 24, &frame_size), FRAME_BAD);
	CU_ASSERT_EQUAL(scan(bad_header, 4, 10, &frame_size), FRAME_BAD); /* 11 bytes with 10 allowed */
	CU_ASSERT_EQUAL(scan(bad_header, 4, 11, &frame_size), FRAME_PARTIAL);
}

/* --- JSON headers ------------------------------------------------------------------------------------- */

static void test_json_header_as_java_writes_it(void)
{
	static const char header[] =
		"{\"code\":105,\"extFields\":{\"topic\":\"TopicTest\"},\"flag\":0,\"language\":\"JAVA\",\"opaque\":7,"
		"\"serializeTypeCurrentRPC\":\"JSON\",\"version\":401}";
	struct buffer frame = frame_of(SERIALIZE_JSON, span_of(header), "body");
	struct command command;
	struct errinfo err;

	CU_ASSERT_EQUAL(sizeof(header) - 1, 131);
	CU_ASSERT_EQUAL_FATAL(command_decode(buffer_span(&frame), &scratch, &command, &err), ST_OK);
	CU_ASSERT_EQUAL(command.code, 105);
	CU_ASSERT_EQUAL(command.language, LANGUAGE_JAVA);
	CU_ASSERT_EQUAL(command.version, 401);
	CU_ASSERT_EQUAL(command.opaque, 7);
	CU_ASSERT_EQUAL(command.flag, 0);
	CU_ASSERT_EQUAL(command.serialize_type, SERIALIZE_JSON);
	CU_ASSERT_EQUAL(command.remark.size, 0);
	CU_ASSERT_EQUAL(command.field_count, 1);
	CU_ASSERT_TRUE(span_is(command_field(&command, "topic"), "TopicTest"));
	CU_ASSERT_TRUE(span_is(command.body, "body"));
	buffer_deinit(&frame);
}

static void test_json_values_are_coerced_to_text(void)
{
	struct command command;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(
		decode_header(" { \"extFields\" : {\"queueId\":3,\"k\":false,\"t\":true,\"none\":null,\"neg\":-12,"
			      "\"f\":1.5e3,\"empty\":\"\",\"nested\":{\"a\":[1,{\"b\":\"}\"}]},\"last\":\"x\"} ,"
			      "\"what\":[1,2],\"opaque\":-5,\"code\":\"10\",\"version\":null}\n",
			      &command, &err),
		ST_OK);
	CU_ASSERT_EQUAL(command.code, 10);
	CU_ASSERT_EQUAL(command.opaque, -5);
	CU_ASSERT_TRUE(span_is(command_field(&command, "queueId"), "3"));
	CU_ASSERT_TRUE(span_is(command_field(&command, "k"), "false"));
	CU_ASSERT_TRUE(span_is(command_field(&command, "t"), "true"));
	CU_ASSERT_TRUE(span_is(command_field(&command, "neg"), "-12"));
	CU_ASSERT_TRUE(span_is(command_field(&command, "f"), "1.5e3"));
	CU_ASSERT_TRUE(span_is(command_field(&command, "last"), "x"));
	CU_ASSERT_PTR_NULL(command_field(&command, "none").data);
	CU_ASSERT_PTR_NULL(command_field(&command, "nested").data);
	CU_ASSERT_EQUAL(command.field_count, 7);
	CU_ASSERT_EQUAL(command.language, LANGUAGE_OTHER);
}

static void test_json_escapes_are_taken_out(void)
{
	struct command command;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(decode_header("{\"code\":10,\"remark\":\"a\\nb\\\"c\\\\d\\/e\\t\\u00e4\\uD83D\\uDE00\\uD800x\","
					    "\"extFields\":{\"i\":\"K\\u0001v\\u0002K2\\u0001v2\\u0002\"}}",
					    &command, &err),
			      ST_OK);
	CU_ASSERT_TRUE(span_is(command.remark, "a\nb\"c\\d/e\t\xc3\xa4\xf0\x9f\x98\x80?x"));
	CU_ASSERT_TRUE(span_is(command_field(&command, "i"), "K\x01v\x02K2\x01v2\x02"));
}

static void test_json_raw_control_bytes_are_kept(void)
{
	struct command command;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(decode_header("{\"code\":10,\"extFields\":{\"i\":\"K\x01v\x02\"}}", &command, &err), ST_OK);
	CU_ASSERT_TRUE(span_is(command_field(&command, "i"), "K\x01v\x02"));
}

static void test_json_last_duplicate_counts(void)
{
	struct command command;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(decode_header("{\"code\":1,\"code\":2,\"extFields\":{\"a\":\"1\",\"a\":\"2\"}}", &command, &err),
			      ST_OK);
	CU_ASSERT_EQUAL(command.code, 2);
	CU_ASSERT_TRUE(span_is(command_field(&command, "a"), "2"));
}

static void test_malformed_json_headers_are_refused(void)
{
	static const char *const headers[] = {
		"", " ", "[]", "{", "{}", "{\"code\"}", "{\"code\":}", "{\"code\":1", "{\"code\":1}x", "{\"code\":1,}",
		"{\"code\":1 \"flag\":2}", "{code:1}", "{\"code\":true}", "{\"code\":1.5}", "{\"code\":99999999999}",
		"{\"code\":-1}", "{\"code\":1,\"a\":tru}", "{\"code\":1,\"a\":\"\\q\"}", "{\"code\":1,\"a\":\"\\u12\"}",
		"{\"code\":1,\"a\":\"x}", "{\"code\":1,\"a\":[1}", "{\"code\":1,\"extFields\":{\"a\":1",
		"{\"code\":1,\"extFields\":{\"a\"}}", "{\"code\":1,\"a\":+1}", "{\"code\":1,\"a\":-}", "{\"code\":1,\"a\":1.}",
		"{\"code\":1,\"opaque\":[1]}x",
	};
	struct command command;
	struct errinfo err;

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		enum status status = decode_header(headers[i], &command, &err);

		CU_ASSERT_EQUAL(status, ST_INVALID);
		if (status != ST_INVALID)
			printf("accepted: %s\n", headers[i]);
	}
}

static void test_json_limits(void)
{
	struct buffer header;
	struct command command;
	struct errinfo err;

	buffer_init(&header, 0);
	buffer_append_text(&header, "{\"code\":1,\"extFields\":{\"x\":0");
	for (int i = 1; i < COMMAND_FIELDS_MAX; i++)
		buffer_printf(&header, ",\"f%d\":%d", i, i);
	size_t full = header.end;
	buffer_append(&header, "}}", 3);
	CU_ASSERT_EQUAL(decode_header((const char *)header.data, &command, &err), ST_OK);
	CU_ASSERT_EQUAL(command.field_count, COMMAND_FIELDS_MAX);
	header.end = full;
	buffer_append(&header, ",\"y\":1}}", 9);
	CU_ASSERT_EQUAL(decode_header((const char *)header.data, &command, &err), ST_INVALID);

	for (int depth = COMMAND_DEPTH_MAX; depth <= COMMAND_DEPTH_MAX + 1; depth++) {
		buffer_reset(&header);
		buffer_append_text(&header, "{\"code\":1,\"a\":");
		for (int i = 0; i < depth; i++)
			buffer_append_text(&header, "[");
		for (int i = 0; i < depth; i++)
			buffer_append_text(&header, "]");
		buffer_append(&header, "}", 2);
		CU_ASSERT_EQUAL(decode_header((const char *)header.data, &command, &err),
				depth == COMMAND_DEPTH_MAX ? ST_OK : ST_INVALID);
	}
	buffer_deinit(&header);
}

/* --- binary headers ----------------------------------------------------------------------------------- */

static struct span from_hex(const char *hex, uint8_t *out)
{
	size_t size = 0;
	unsigned byte;

	for (; *hex != '\0'; hex += 2) {
		while (*hex == ' ')
			hex++;
		if (sscanf(hex, "%2x", &byte) != 1)
			abort();
		out[size++] = (uint8_t)byte;
	}
	return (struct span){ out, size };
}

static void test_binary_header_as_java_writes_it(void)
{
	uint8_t bytes[128];
	struct span frame = from_hex("0000002d 01000029 0069 00 0191 00000007 00000000 00000000 00000014 "
				     "0005 746f706963 00000009 546f70696354657374",
				     bytes);
	struct command command;
	struct errinfo err;

	CU_ASSERT_EQUAL(frame.size, 49);
	CU_ASSERT_EQUAL_FATAL(command_decode(frame, &scratch, &command, &err), ST_OK);
	CU_ASSERT_EQUAL(command.code, 105);
	CU_ASSERT_EQUAL(command.version, 401);
	CU_ASSERT_EQUAL(command.opaque, 7);
	CU_ASSERT_EQUAL(command.serialize_type, SERIALIZE_ROCKETMQ);
	CU_ASSERT_TRUE(span_is(command_field(&command, "topic"), "TopicTest"));
}

static void test_binary_zero_length_is_null_and_last_duplicate_counts(void)
{
	uint8_t bytes[128];
	struct span header = from_hex("0001 63 0191 ffffffff 00000001 00000002 6869 00000022 "
				      "0001 61 00000000 0000 00000001 62 0001 63 00000001 64 0001 63 00000001 65",
				      bytes);
	struct command command;
	struct errinfo err;
	struct buffer frame;

	put_u32(bytes + 19, (uint32_t)(header.size - 23));
	frame = frame_of(SERIALIZE_ROCKETMQ, header, "");
	CU_ASSERT_EQUAL_FATAL(command_decode(buffer_span(&frame), &scratch, &command, &err), ST_OK);
	CU_ASSERT_EQUAL(command.opaque, -1);
	CU_ASSERT_EQUAL(command.language, LANGUAGE_OTHER);
	CU_ASSERT_TRUE(span_is(command.remark, "hi"));
	CU_ASSERT_TRUE(command_is_response(&command));
	CU_ASSERT_PTR_NULL(command_field(&command, "a").data);
	CU_ASSERT_TRUE(span_is(command_field(&command, "c"), "e"));
	buffer_deinit(&frame);
}

static void test_binary_lengths_that_lie_are_refused(void)
{
	uint8_t bytes[128];
	struct span good = from_hex("0069 00 0191 00000007 00000000 00000000 00000014 0005 746f706963 00000009 "
				    "546f70696354657374",
				    bytes);
	struct command command;
	struct errinfo err;

	for (size_t size = 0; size < good.size; size++) {
		struct buffer frame = frame_of(SERIALIZE_ROCKETMQ, (struct span){ good.data, size }, "");

		CU_ASSERT_EQUAL(command_decode(buffer_span(&frame), &scratch, &command, &err), ST_INVALID);
		buffer_deinit(&frame);
	}
	bytes[28] = 0x7F; /* The value's length. */
	struct buffer frame = frame_of(SERIALIZE_ROCKETMQ, good, "");
	CU_ASSERT_EQUAL(command_decode(buffer_span(&frame), &scratch, &command, &err), ST_INVALID);
	buffer_deinit(&frame);
}

/* --- encoding ----------------------------------------------------------------------------------------- */

static void check_round_trip(uint8_t serialize_type)
{
	static const char odd[] = "K\x01v\x02 \"quoted\" back\\slash \n\t\x1f \xc3\xa4\xf0\x9f\x98\x80 end";
	struct buffer out;
	struct encoder encoder;
	struct command command;
	struct errinfo err;

	buffer_init(&out, 0);
	buffer_append_text(&out, "before");
	command_begin(&encoder, &out, serialize_type, RESP_TOPIC_NOT_EXIST, -7, COMMAND_RESPONSE, span_of(odd));
	command_put(&encoder, "odd", span_of(odd));
	command_put_text(&encoder, "text", "t");
	command_put_i64(&encoder, "min", INT64_MIN);
	command_put_i64(&encoder, "max", INT64_MAX);
	command_put_i64(&encoder, "zero", 0);
	command_put_bool(&encoder, "yes", true);
	command_put_bool(&encoder, "no", false);
	command_body(&encoder);
	buffer_append_text(&out, "the body");
	CU_ASSERT_TRUE_FATAL(command_end(&encoder));
	buffer_consume(&out, 6);
	CU_ASSERT_EQUAL_FATAL(command_decode(buffer_span(&out), &scratch, &command, &err), ST_OK);
	CU_ASSERT_EQUAL(command.code, RESP_TOPIC_NOT_EXIST);
	CU_ASSERT_EQUAL(command.opaque, -7);
	CU_ASSERT_EQUAL(command.flag, COMMAND_RESPONSE);
	CU_ASSERT_EQUAL(command.version, VERSION_OURS);
	CU_ASSERT_EQUAL(command.language, LANGUAGE_CPP);
	CU_ASSERT_EQUAL(command.field_count, 7);
	CU_ASSERT_TRUE(span_is(command.remark, odd));
	CU_ASSERT_TRUE(span_is(command_field(&command, "odd"), odd));
	CU_ASSERT_TRUE(span_is(command_field(&command, "text"), "t"));
	CU_ASSERT_TRUE(span_is(command_field(&command, "min"), "-9223372036854775808"));
	CU_ASSERT_TRUE(span_is(command_field(&command, "max"), "9223372036854775807"));
	CU_ASSERT_TRUE(span_is(command_field(&command, "zero"), "0"));
	CU_ASSERT_TRUE(command_field_bool(&command, "yes", false));
	CU_ASSERT_FALSE(command_field_bool(&command, "no", true));
	CU_ASSERT_TRUE(span_is(command.body, "the body"));
	buffer_deinit(&out);
}

static void test_round_trip_json(void)
{
	check_round_trip(SERIALIZE_JSON);
}

static void test_round_trip_binary(void)
{
	check_round_trip(SERIALIZE_ROCKETMQ);
}

static void test_json_encoding_is_plain_json_with_text_values(void)
{
	struct buffer out;
	struct encoder encoder;

	buffer_init(&out, 0);
	command_begin(&encoder, &out, SERIALIZE_JSON, 0, 3, COMMAND_RESPONSE, SPAN_NONE);
	command_put_i64(&encoder, "offset", 12);
	CU_ASSERT_TRUE_FATAL(command_end(&encoder));
	struct span header = { out.data + FRAME_PREFIX, buffer_size(&out) - FRAME_PREFIX };
	CU_ASSERT_TRUE(span_is(header, "{\"code\":0,\"flag\":1,\"language\":\"CPP\",\"opaque\":3,"
				       "\"serializeTypeCurrentRPC\":\"JSON\",\"version\":479,"
				       "\"extFields\":{\"offset\":\"12\"}}"));
	buffer_deinit(&out);
}

static void test_encoder_over_the_limit_leaves_the_buffer_as_it_was(void)
{
	struct buffer out;
	struct encoder encoder;
	struct command request = { .serialize_type = SERIALIZE_JSON, .opaque = 1 };
	uint8_t big[4096];

	memset(big, 'x', sizeof(big));
	buffer_init(&out, 2048);
	CU_ASSERT_TRUE(command_answer(&out, &request, 0, SPAN_NONE));
	size_t size = buffer_size(&out);
	command_begin(&encoder, &out, SERIALIZE_JSON, 0, 3, COMMAND_RESPONSE, SPAN_NONE);
	command_put(&encoder, "big", (struct span){ big, sizeof(big) });
	CU_ASSERT_FALSE(command_end(&encoder));
	CU_ASSERT_EQUAL(buffer_size(&out), size);
	buffer_deinit(&out);
}

static void test_escapes_of_every_byte_and_length(void)
{
	uint8_t text[80];
	struct buffer out;
	struct encoder encoder;
	struct command command;
	struct errinfo err;

	buffer_init(&out, 0);
	for (size_t size = 0; size < sizeof(text); size++) {
		for (unsigned c = 0; c < 256; c += size % 7 == 0 ? 1 : 5) {
			memset(text, 'a', sizeof(text));
			if (size > 0)
				text[(c * 7 + size) % size] = (uint8_t)c;
			buffer_reset(&out);
			command_begin(&encoder, &out, SERIALIZE_JSON, 0, 3, 0, SPAN_NONE);
			command_put(&encoder, "t", (struct span){ text, size });
			CU_ASSERT_TRUE_FATAL(command_end(&encoder));
			CU_ASSERT_EQUAL_FATAL(command_decode(buffer_span(&out), &scratch, &command, &err), ST_OK);
			CU_ASSERT_TRUE(span_equal(command_field(&command, "t"), (struct span){ text, size }));
		}
	}
	buffer_deinit(&out);
}

static void test_typed_fields_name_what_is_wrong(void)
{
	struct command command;
	struct errinfo err;
	int64_t wide;
	int32_t narrow;
	struct span text;

	CU_ASSERT_EQUAL_FATAL(
		decode_header("{\"code\":37,\"extFields\":{\"n\":\"12\",\"big\":\"4294967296\",\"bad\":\"1x\",\"e\":\"\"}}",
			      &command, &err),
		ST_OK);
	CU_ASSERT_EQUAL(command_field_i64(&command, "n", &wide, &err), ST_OK);
	CU_ASSERT_EQUAL(wide, 12);
	CU_ASSERT_EQUAL(command_field_i64(&command, "big", &wide, &err), ST_OK);
	CU_ASSERT_EQUAL(command_field_i32(&command, "big", &narrow, &err), ST_INVALID);
	CU_ASSERT_EQUAL(command_field_i64(&command, "bad", &wide, &err), ST_INVALID);
	CU_ASSERT_STRING_EQUAL(err.text, "END_TRANSACTION: field bad is not a number: \"1x\"");
	CU_ASSERT_EQUAL(command_field_i64(&command, "none", &wide, &err), ST_INVALID);
	CU_ASSERT_STRING_EQUAL(err.text, "END_TRANSACTION: field none is missing");
	CU_ASSERT_EQUAL(command_field_i32_or(&command, "none", 5, &narrow, &err), ST_OK);
	CU_ASSERT_EQUAL(narrow, 5);
	CU_ASSERT_EQUAL(command_field_text(&command, "e", &text, &err), ST_INVALID);
	CU_ASSERT_TRUE(command_field_bool(&command, "none", true));
}

static void test_names_of_codes_and_languages(void)
{
	CU_ASSERT_STRING_EQUAL(request_code_name(310), "SEND_MESSAGE_V2");
	CU_ASSERT_STRING_EQUAL(request_code_name(200050), "POP_MESSAGE");
	CU_ASSERT_STRING_EQUAL(request_code_name(-1), "UNKNOWN");
	CU_ASSERT_STRING_EQUAL(response_code_name(604), "ILLEGAL_OPERATION");
	CU_ASSERT_STRING_EQUAL(language_name(9), "GO");
	CU_ASSERT_STRING_EQUAL(language_name(99), "OTHER");
	CU_ASSERT_EQUAL(language_from_name(SPAN_LITERAL("NODE_JS")), 13);
	CU_ASSERT_EQUAL(language_from_number(SPAN_LITERAL("0")), LANGUAGE_JAVA);
	CU_ASSERT_EQUAL(language_from_number(SPAN_LITERAL("14")), LANGUAGE_OTHER);
}

/* --- against cJSON ------------------------------------------------------------------------------------ */

static void random_text(struct buffer *out, uint64_t *random)
{
	static const char *const pieces[] = { "a", "Topic", "\\u0001", "\\u0002", "\\n", "\\\"", "\\\\", "\\ud83d\\ude00",
					      "\xc3\xa4", " ", "}", "{", "[", ",", ":", "12", "code", "\\u00e9", "\x01",
					      "0123456789abcdef0123456789abcdef" };

	buffer_append_text(out, "\"");
	for (uint64_t n = check_random(random) % 6; n > 0; n--)
		buffer_append_text(out, pieces[check_random(random) % (sizeof(pieces) / sizeof(pieces[0]))]);
	buffer_append_text(out, "\"");
}

static void random_value(struct buffer *out, uint64_t *random, int depth)
{
	switch (check_random(random) % (depth > 0 ? 9 : 7)) {
	case 0: buffer_append_i64(out, (int64_t)(check_random(random) % 100000) - 50000); break;
	case 1: buffer_append_text(out, "true"); break;
	case 2: buffer_append_text(out, "null"); break;
	case 3: buffer_append_text(out, "-1.25e2"); break;
	case 7:
	case 8: {
		bool object = check_random(random) % 2 == 0;

		buffer_append_text(out, object ? "{" : "[");
		for (uint64_t i = 0, n = check_random(random) % 4; i < n; i++) {
			buffer_append_text(out, i == 0 ? "" : ",");
			if (object) {
				random_text(out, random);
				buffer_append_text(out, ":");
			}
			random_value(out, random, depth - 1);
		}
		buffer_append_text(out, object ? "}" : "]");
		break;
	}
	default: random_text(out, random); break;
	}
}

static void random_header(struct buffer *out, uint64_t *random)
{
	static const char *const names[] = { "code", "flag", "opaque", "version", "language", "remark", "extFields", "x" };

	buffer_append_text(out, "{\"code\":10");
	for (uint64_t n = check_random(random) % 8; n > 0; n--) {
		size_t which = check_random(random) % 8;

		buffer_printf(out, ",\"%s\":", names[which]);
		if (which == 6) {
			buffer_append_text(out, "{");
			for (uint64_t i = 0, k = check_random(random) % 10; i < k; i++) {
				buffer_append_text(out, i == 0 ? "" : ",");
				random_text(out, random);
				buffer_append_text(out, check_random(random) % 8 == 0 ? " : " : ":");
				random_value(out, random, 2);
			}
			buffer_append_text(out, "}");
		} else if (which < 4) {
			buffer_append_i64(out, (int64_t)(check_random(random) % 70000));
		} else {
			random_value(out, random, 3);
		}
	}
	buffer_append_text(out, "}");
}

static void test_random_headers_are_read_as_cjson_reads_them(void)
{
	uint64_t random = check_seed(20261125);
	struct buffer header;
	struct command command;
	int accepted = 0;

	buffer_init(&header, 0);
	for (int round = 0; round < 30000; round++) {
		buffer_reset(&header);
		random_header(&header, &random);
		if (round % 3 == 0) /* Damage a byte: what both still take, they must take alike. */
			header.data[check_random(&random) % buffer_size(&header)] = (uint8_t)check_random(&random);
		const char *wrong = oracle_check(buffer_span(&header));
		accepted += oracle_decode(buffer_span(&header), &command) == ST_OK;
		CU_ASSERT_PTR_NULL(wrong);
		if (wrong != NULL) {
			printf("%s: %.*s\n", wrong, SPAN_ARGS(buffer_span(&header)));
			break;
		}
	}
	CU_ASSERT_TRUE(accepted > 10000);
	buffer_deinit(&header);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_frame_is_complete_with_its_last_byte),
		CHECK_TEST(test_frame_lies_are_found_before_the_frame_is_complete),
		CHECK_TEST(test_json_header_as_java_writes_it),
		CHECK_TEST(test_json_values_are_coerced_to_text),
		CHECK_TEST(test_json_escapes_are_taken_out),
		CHECK_TEST(test_json_raw_control_bytes_are_kept),
		CHECK_TEST(test_json_last_duplicate_counts),
		CHECK_TEST(test_malformed_json_headers_are_refused),
		CHECK_TEST(test_json_limits),
		CHECK_TEST(test_binary_header_as_java_writes_it),
		CHECK_TEST(test_binary_zero_length_is_null_and_last_duplicate_counts),
		CHECK_TEST(test_binary_lengths_that_lie_are_refused),
		CHECK_TEST(test_round_trip_json),
		CHECK_TEST(test_round_trip_binary),
		CHECK_TEST(test_json_encoding_is_plain_json_with_text_values),
		CHECK_TEST(test_encoder_over_the_limit_leaves_the_buffer_as_it_was),
		CHECK_TEST(test_escapes_of_every_byte_and_length),
		CHECK_TEST(test_typed_fields_name_what_is_wrong),
		CHECK_TEST(test_names_of_codes_and_languages),
		CHECK_TEST(test_random_headers_are_read_as_cjson_reads_them),
	};

	return check_main("command", tests, sizeof(tests) / sizeof(tests[0]));
}
