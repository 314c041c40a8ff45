/* Frames captured from real RocketMQ clients, brokers and name servers: everything that we claim to read, read from the
 * wild. tests/data/golden/INDEX.tsv lists them: file, peer, direction, request code, serialization, what. */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/wire/body_config.h"
#include "lib/wire/body_heartbeat.h"
#include "lib/wire/body_register.h"
#include "lib/wire/body_route.h"
#include "lib/wire/headers.h"
#include "lib/wire/message.h"
#include "lib/wire/properties.h"
#include "tests/unit/wire/cjson_oracle.h"

#define GOLDEN_DIR "tests/data/golden/"
enum { GOLDEN_ROWS_MIN = 36, COLUMNS = 6, CODE_MAX = 1024 };

struct row {
	struct span file, peer, direction, code_text, serialize, what;
	int32_t code; /* Of the request, also for an answer. */
};

static struct command_scratch scratch;
static uint8_t *index_bytes;
static size_t index_size;
static int seen_requests[CODE_MAX], seen_answers[CODE_MAX];
static const struct row *current;

static void complain(const char *what, const struct errinfo *err)
{
	printf("%.*s (%.*s): %s: %s\n", SPAN_ARGS(current->file), SPAN_ARGS(current->what), what,
	       err == NULL ? "" : err->text);
}

#define REQUIRE(condition, err)                        \
	do {                                           \
		bool holds = (condition);              \
		CU_ASSERT_TRUE(holds);                 \
		if (!holds)                            \
			complain(#condition, err);     \
	} while (0)

/* --- the index ---------------------------------------------------------------------------------------- */

static struct span cut(struct span *rest, int mark)
{
	const uint8_t *end = rest->size == 0 ? NULL : memchr(rest->data, mark, rest->size);
	size_t size = end == NULL ? rest->size : (size_t)(end - rest->data);
	size_t used = end == NULL ? size : size + 1;
	struct span taken = { rest->data, size };

	*rest = (struct span){ rest->data + used, rest->size - used };
	return taken;
}

/* The next row that is not a comment. */
static bool next_row(struct span *rest, struct row *row)
{
	while (rest->size > 0) {
		struct span line = cut(rest, '\n'), columns[COLUMNS];

		if (line.size == 0 || line.data[0] == '#')
			continue;
		for (size_t i = 0; i < COLUMNS; i++)
			columns[i] = cut(&line, '\t');
		*row = (struct row){ columns[0], columns[1], columns[2], columns[3], columns[4], columns[5], -1 };
		CU_ASSERT_EQUAL(span_to_i32(row->code_text, &row->code), ST_OK);
		return true;
	}
	return false;
}

static uint8_t *read_row(const struct row *row, size_t *size)
{
	char path[256];

	snprintf(path, sizeof(path), GOLDEN_DIR "%.*s", SPAN_ARGS(row->file));
	return check_read_file(path, size);
}

/* --- what a frame must give --------------------------------------------------------------------------- */

static void check_records(struct span body, size_t count_min)
{
	struct errinfo err = { .text = "" };
	struct message message;
	struct span rest = body, record = body;
	enum status status;
	size_t count = 0;

	while ((status = message_next(&rest, &message, &err)) == ST_OK) {
		uint8_t *again = malloc(message.size);

		REQUIRE(message_crc_matches(&message), NULL);
		REQUIRE(message_size(&message) == message.size, NULL);
		(void)message_encode(&message, again);
		REQUIRE(memcmp(again, record.data, message.size) == 0, NULL);
		REQUIRE(property_get(message.properties, PROPERTY_UNIQ_KEY).size > 0, NULL);
		free(again);
		record = rest;
		count++;
	}
	REQUIRE(status == ST_NOTFOUND, &err);
	REQUIRE(count >= count_min, NULL);
}

static void check_batch(struct span body)
{
	struct errinfo err = { .text = "" };
	struct batch_message message;
	struct span rest = body;
	struct buffer again;
	enum status status;

	buffer_init(&again, 0);
	while ((status = batch_next(&rest, &message, &err)) == ST_OK)
		batch_append(&again, &message);
	REQUIRE(status == ST_NOTFOUND, &err);
	REQUIRE(span_equal(buffer_span(&again), body), NULL);
	buffer_deinit(&again);
}

static void check_send(const struct command *command)
{
	struct send_header header;
	struct errinfo err = { .text = "" };

	REQUIRE(send_header_decode(command, &header, &err) == ST_OK, &err);
	REQUIRE(header.topic.size > 0 && header.born_timestamp > 1600000000000, NULL);
	if (header.batch)
		check_batch(command->body);
}

static void check_heartbeat(const struct command *command)
{
	struct heartbeat heartbeat, again;
	struct errinfo err = { .text = "" };
	struct buffer out;

	REQUIRE(heartbeat_decode(command->body, &heartbeat, &err) == ST_OK, &err);
	REQUIRE(heartbeat.producer_count + heartbeat.consumer_count > 0, NULL);
	buffer_init(&out, 0);
	heartbeat_encode(&out, &heartbeat);
	REQUIRE(heartbeat_decode(buffer_span(&out), &again, &err) == ST_OK, &err);
	REQUIRE(again.consumer_count == heartbeat.consumer_count && again.producer_count == heartbeat.producer_count, NULL);
	heartbeat_free(&again);
	heartbeat_free(&heartbeat);
	buffer_deinit(&out);
}

static void check_register(const struct command *command)
{
	struct broker_header header;
	struct topic_config_table table;
	struct errinfo err = { .text = "" };

	REQUIRE(register_broker_decode(command, &header, &err) == ST_OK, &err);
	REQUIRE(register_body_decode(command->body, header.compressed, header.body_crc32, command->version, &table, &err) ==
			ST_OK,
		&err);
	REQUIRE(table.topic_count > 0 && table.version.timestamp > 0, NULL);
	topic_config_table_free(&table);
}

/* Every typed header of a request, by its code. */
static void check_request(const struct command *command)
{
	struct errinfo err = { .text = "" };
	union {
		struct end_transaction_header end;
		struct check_transaction_header check;
		struct pull_header pull;
		struct consumer_offset_header offset;
		struct queue_header queue;
		struct unregister_client_header leave;
		struct send_back_header back;
		struct broker_header broker;
		struct route_header route;
		struct create_topic_header topic;
		struct view_message_header view;
	} h;
	struct span text;
	struct data_version version;
	struct group_config_table group;

	switch (command->code) {
	case REQ_SEND_MESSAGE:
	case REQ_SEND_MESSAGE_V2:
	case REQ_SEND_BATCH_MESSAGE: check_send(command); break;
	case REQ_END_TRANSACTION: REQUIRE(end_transaction_decode(command, &h.end, &err) == ST_OK, &err); break;
	case REQ_CHECK_TRANSACTION_STATE:
		REQUIRE(check_transaction_decode(command, &h.check, &err) == ST_OK, &err);
		check_records(command->body, 1);
		break;
	case REQ_PULL_MESSAGE:
	case REQ_LITE_PULL_MESSAGE: REQUIRE(pull_header_decode(command, &h.pull, &err) == ST_OK, &err); break;
	case REQ_QUERY_CONSUMER_OFFSET:
		REQUIRE(query_consumer_offset_decode(command, &h.offset, &err) == ST_OK, &err);
		break;
	case REQ_UPDATE_CONSUMER_OFFSET:
		REQUIRE(update_consumer_offset_decode(command, &h.offset, &err) == ST_OK, &err);
		break;
	case REQ_SEARCH_OFFSET_BY_TIMESTAMP: REQUIRE(search_offset_decode(command, &h.queue, &err) == ST_OK, &err); break;
	case REQ_GET_MAX_OFFSET:
	case REQ_GET_MIN_OFFSET: REQUIRE(queue_header_decode(command, &h.queue, &err) == ST_OK, &err); break;
	case REQ_VIEW_MESSAGE_BY_ID: REQUIRE(view_message_decode(command, &h.view, &err) == ST_OK, &err); break;
	case REQ_HEART_BEAT: check_heartbeat(command); break;
	case REQ_UNREGISTER_CLIENT: REQUIRE(unregister_client_decode(command, &h.leave, &err) == ST_OK, &err); break;
	case REQ_CONSUMER_SEND_MSG_BACK: REQUIRE(send_back_decode(command, &h.back, &err) == ST_OK, &err); break;
	case REQ_GET_CONSUMER_LIST_BY_GROUP:
	case REQ_NOTIFY_CONSUMER_IDS_CHANGED: REQUIRE(consumer_group_decode(command, &text, &err) == ST_OK, &err); break;
	case REQ_REGISTER_BROKER: check_register(command); break;
	case REQ_UNREGISTER_BROKER: REQUIRE(broker_header_decode(command, &h.broker, &err) == ST_OK, &err); break;
	case REQ_QUERY_DATA_VERSION:
		REQUIRE(broker_header_decode(command, &h.broker, &err) == ST_OK, &err);
		REQUIRE(data_version_decode(command->body, &version, &err) == ST_OK, &err);
		break;
	case REQ_GET_ROUTEINFO_BY_TOPIC: REQUIRE(route_header_decode(command, &h.route, &err) == ST_OK, &err); break;
	case REQ_UPDATE_AND_CREATE_TOPIC: REQUIRE(create_topic_decode(command, &h.topic, &err) == ST_OK, &err); break;
	case REQ_GET_TOPIC_CONFIG: REQUIRE(topic_header_decode(command, &text, &err) == ST_OK, &err); break;
	case REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP:
		REQUIRE(group_config_decode(command->body, &group, &err) == ST_OK, &err);
		group_config_table_free(&group);
		break;
	default: break;
	}
}

static void check_route(struct span body)
{
	struct route route;
	struct errinfo err = { .text = "" };
	struct buffer out;

	REQUIRE(route_decode(body, &route, &err) == ST_OK, &err);
	REQUIRE(route.broker_count > 0 && route.queue_count > 0, NULL);
	/* A stock name server's bytes are ours, with its keys quoted or not. */
	buffer_init(&out, 0);
	route_encode(&out, &route, memmem(body.data, body.size, "\"0\":", 4) != NULL);
	REQUIRE(span_equal(buffer_span(&out), body), NULL);
	if (!span_equal(buffer_span(&out), body))
		printf("  theirs %.*s\n  ours   %.*s\n", SPAN_ARGS(body), SPAN_ARGS(buffer_span(&out)));
	buffer_deinit(&out);
	route_free(&route);
}

static void check_answer_bodies(const struct command *command, int32_t request_code)
{
	struct errinfo err = { .text = "" };
	struct name_list names;
	struct cluster_info info;
	struct topic_config_table topic;

	switch (request_code) {
	case REQ_GET_ROUTEINFO_BY_TOPIC: check_route(command->body); break;
	case REQ_VIEW_MESSAGE_BY_ID: check_records(command->body, 1); break;
	case REQ_GET_CONSUMER_LIST_BY_GROUP:
		REQUIRE(consumer_list_decode(command->body, &names, &err) == ST_OK, &err);
		name_list_free(&names);
		break;
	case REQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER:
		REQUIRE(topic_list_decode(command->body, &names, &err) == ST_OK, &err);
		REQUIRE(names.count > 0, NULL);
		name_list_free(&names);
		break;
	case REQ_GET_BROKER_CLUSTER_INFO:
		REQUIRE(cluster_info_decode(command->body, &info, &err) == ST_OK, &err);
		REQUIRE(info.broker_count > 0, NULL);
		cluster_info_free(&info);
		break;
	case REQ_GET_TOPIC_CONFIG:
		REQUIRE(topic_config_decode(command->body, &topic, &err) == ST_OK, &err);
		topic_config_table_free(&topic);
		break;
	default: break;
	}
}

static void check_answer(const struct command *command, int32_t request_code)
{
	struct errinfo err = { .text = "" };
	struct send_reply_header send;
	struct pull_reply_header pull;
	struct register_reply_header registered;
	int64_t number;
	bool changed;

	if (request_code == REQ_PULL_MESSAGE && (command->code == 0 || (command->code >= 19 && command->code <= 21))) {
		REQUIRE(pull_reply_decode(command, &pull, &err) == ST_OK, &err);
		check_records(command->body, command->code == 0 ? 1 : 0);
	}
	if (command->code != RESP_SUCCESS)
		return;
	switch (request_code) {
	case REQ_SEND_MESSAGE:
	case REQ_SEND_MESSAGE_V2:
	case REQ_SEND_BATCH_MESSAGE: REQUIRE(send_reply_decode(command, &send, &err) == ST_OK, &err); break;
	case REQ_QUERY_CONSUMER_OFFSET:
	case REQ_SEARCH_OFFSET_BY_TIMESTAMP:
	case REQ_GET_MAX_OFFSET:
	case REQ_GET_MIN_OFFSET: REQUIRE(offset_reply_decode(command, &number, &err) == ST_OK, &err); break;
	case REQ_REGISTER_BROKER: REQUIRE(register_reply_decode(command, &registered, &err) == ST_OK, &err); break;
	case REQ_QUERY_DATA_VERSION: REQUIRE(data_version_reply_decode(command, &changed, &err) == ST_OK, &err); break;
	default: check_answer_bodies(command, request_code); break;
	}
}

/* A binary header written again from what was read differs only in language and version. */
static void check_binary_header(struct span frame, const struct command *command)
{
	struct encoder encoder;
	struct buffer out;

	buffer_init(&out, 0);
	command_begin(&encoder, &out, SERIALIZE_ROCKETMQ, command->code, command->opaque, command->flag, command->remark);
	for (uint32_t i = 0; i < command->field_count; i++)
		command_put_named(&encoder, command->fields[i].name, command->fields[i].value);
	command_body(&encoder);
	buffer_append_span(&out, command->body);
	REQUIRE(command_end(&encoder), NULL);
	REQUIRE(buffer_size(&out) == frame.size, NULL);
	if (buffer_size(&out) == frame.size) {
		memcpy(out.data + FRAME_PREFIX + 2, frame.data + FRAME_PREFIX + 2, 3);
		REQUIRE(memcmp(out.data, frame.data, frame.size) == 0, NULL);
	}
	buffer_deinit(&out);
}

static void check_frame(struct span frame)
{
	struct errinfo err = { .text = "" };
	struct command command;
	size_t frame_size;
	const char *reason;

	REQUIRE(frame_scan(frame, 16 * 1024 * 1024, &frame_size, &reason) == FRAME_COMPLETE, NULL);
	REQUIRE(frame_size == frame.size, NULL);
	bool decoded = command_decode(frame, &scratch, &command, &err) == ST_OK;
	REQUIRE(decoded, &err);
	if (!decoded)
		return;
	bool binary = span_is(current->serialize, "ROCKETMQ");
	REQUIRE(command.serialize_type == (binary ? SERIALIZE_ROCKETMQ : SERIALIZE_JSON), NULL);
	if (binary) {
		check_binary_header(frame, &command);
	} else {
		size_t header_size = frame.size - FRAME_PREFIX - command.body.size;

		REQUIRE(oracle_check((struct span){ frame.data + FRAME_PREFIX, header_size }) == NULL, NULL);
	}
	bool known = current->code >= 0 && current->code < CODE_MAX;
	if (command_is_response(&command)) {
		check_answer(&command, current->code);
		seen_answers[known ? current->code : 0]++;
	} else {
		REQUIRE(command.code == current->code, NULL);
		check_request(&command);
		seen_requests[known ? current->code : 0]++;
	}
}

static void test_every_captured_frame_is_understood(void)
{
	struct span rest = { index_bytes, index_size };
	struct row row;
	int rows = 0;

	while (next_row(&rest, &row)) {
		size_t size;
		uint8_t *frame = read_row(&row, &size);

		current = &row;
		check_frame((struct span){ frame, size });
		free(frame);
		rows++;
	}
	printf("%d golden frames\n", rows);
	CU_ASSERT_TRUE(rows >= GOLDEN_ROWS_MIN);
}

static void test_the_capture_covers_the_main_path(void)
{
	static const int32_t requests[] = { REQ_HEART_BEAT,   REQ_END_TRANSACTION, REQ_CHECK_TRANSACTION_STATE,
					    REQ_PULL_MESSAGE, REQ_REGISTER_BROKER, REQ_GET_ROUTEINFO_BY_TOPIC,
					    REQ_GET_CONSUMER_LIST_BY_GROUP, REQ_UPDATE_CONSUMER_OFFSET };
	static const int32_t answers[] = { REQ_PULL_MESSAGE, REQ_GET_ROUTEINFO_BY_TOPIC, REQ_REGISTER_BROKER,
					   REQ_HEART_BEAT };

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		CU_ASSERT_TRUE(seen_requests[requests[i]] > 0);
		if (seen_requests[requests[i]] == 0)
			printf("no captured request %s\n", request_code_name(requests[i]));
	}
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		CU_ASSERT_TRUE(seen_answers[answers[i]] > 0);
		if (seen_answers[answers[i]] == 0)
			printf("no captured answer to %s\n", request_code_name(answers[i]));
	}
	CU_ASSERT_TRUE(seen_requests[REQ_SEND_MESSAGE] > 0 && seen_requests[REQ_SEND_MESSAGE_V2] > 0);
	CU_ASSERT_TRUE(seen_answers[REQ_SEND_MESSAGE] > 0 && seen_answers[REQ_SEND_MESSAGE_V2] > 0);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_every_captured_frame_is_understood),
		CHECK_TEST(test_the_capture_covers_the_main_path),
	};

	index_bytes = check_read_file(GOLDEN_DIR "INDEX.tsv", &index_size); /* Aborts if it is missing. */
	int failed = check_main("golden", tests, sizeof(tests) / sizeof(tests[0]));
	free(index_bytes);
	return failed;
}
