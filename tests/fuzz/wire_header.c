/* Command headers: the scanner against cJSON, every typed header, and encode(decode(x)) = decode(x).
 * The first byte picks JSON or binary and the request code. */
#include <stdio.h>
#include <stdlib.h>

#include "lib/wire/headers.h"
#include "tests/unit/wire/cjson_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct command_scratch scratch, scratch_again;

static void decode_all(const struct command *command)
{
	struct errinfo err;
	struct send_header send;
	struct send_reply_header send_reply;
	struct end_transaction_header end;
	struct check_transaction_header check;
	struct pull_header pull;
	struct pull_reply_header pull_reply;
	struct consumer_offset_header offset;
	struct queue_header queue;
	struct view_message_header view;
	struct unregister_client_header leave;
	struct send_back_header back;
	struct broker_header broker;
	struct route_header route;
	struct create_topic_header topic;
	struct delete_group_header group;
	struct register_reply_header registered;
	struct kv_header kv;
	struct span name;
	int64_t number;
	bool changed;
	int failed = 0;

	failed += send_header_decode(command, &send, &err) != ST_OK;
	failed += send_reply_decode(command, &send_reply, &err) != ST_OK;
	failed += end_transaction_decode(command, &end, &err) != ST_OK;
	failed += check_transaction_decode(command, &check, &err) != ST_OK;
	failed += pull_header_decode(command, &pull, &err) != ST_OK;
	failed += pull_reply_decode(command, &pull_reply, &err) != ST_OK;
	failed += query_consumer_offset_decode(command, &offset, &err) != ST_OK;
	failed += update_consumer_offset_decode(command, &offset, &err) != ST_OK;
	failed += search_offset_decode(command, &queue, &err) != ST_OK;
	failed += queue_header_decode(command, &queue, &err) != ST_OK;
	failed += view_message_decode(command, &view, &err) != ST_OK;
	failed += unregister_client_decode(command, &leave, &err) != ST_OK;
	failed += send_back_decode(command, &back, &err) != ST_OK;
	failed += register_broker_decode(command, &broker, &err) != ST_OK;
	failed += broker_header_decode(command, &broker, &err) != ST_OK;
	failed += broker_heartbeat_decode(command, &broker, &err) != ST_OK;
	failed += route_header_decode(command, &route, &err) != ST_OK;
	failed += create_topic_decode(command, &topic, &err) != ST_OK;
	failed += delete_group_decode(command, &group, &err) != ST_OK;
	failed += offset_reply_decode(command, &number, &err) != ST_OK;
	failed += timestamp_reply_decode(command, &number, &err) != ST_OK;
	failed += register_reply_decode(command, &registered, &err) != ST_OK;
	failed += data_version_reply_decode(command, &changed, &err) != ST_OK;
	failed += topic_header_decode(command, &name, &err) != ST_OK;
	failed += group_header_decode(command, &name, &err) != ST_OK;
	failed += consumer_group_decode(command, &name, &err) != ST_OK;
	failed += kv_header_decode(command, &kv, &err) != ST_OK;
	if (failed > 27)
		abort();
}

/* What was decoded, encoded and decoded again, is the same. */
static void round_trip(const struct command *command)
{
	static struct command again;
	struct encoder encoder;
	struct buffer out;
	struct errinfo err;

	buffer_init(&out, 0);
	command_begin(&encoder, &out, command->serialize_type, command->code, command->opaque, command->flag,
		      command->remark);
	for (uint32_t i = 0; i < command->field_count; i++)
		command_put_named(&encoder, command->fields[i].name, command->fields[i].value);
	bool named_plainly = true; /* Names are written as they are: ours hold no escapes. */
	for (uint32_t i = 0; i < command->field_count; i++) {
		struct span name = command->fields[i].name;

		for (size_t k = 0; k < name.size; k++)
			named_plainly = named_plainly && name.data[k] >= 0x20 && name.data[k] != '"' && name.data[k] != '\\';
		named_plainly = named_plainly && (command->serialize_type == SERIALIZE_JSON || name.size <= UINT16_MAX);
	}
	if (command_end(&encoder) && named_plainly) {
		if (command_decode(buffer_span(&out), &scratch_again, &again, &err) != ST_OK)
			abort();
		if (again.opaque != command->opaque || again.flag != command->flag ||
		    !span_equal(again.remark, command->remark))
			abort();
		for (uint32_t i = 0; i < again.field_count && command->serialize_type == SERIALIZE_JSON; i++) {
			if (!span_equal(again.fields[i].name, command->fields[i].name) ||
			    !span_equal(again.fields[i].value, command->fields[i].value))
				abort();
		}
	}
	buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int32_t codes[] = { 10, 310, 320, 37, 11, 0 };
	struct command command;
	struct buffer frame;
	struct errinfo err;

	if (size == 0 || size > FRAME_HEADER_MAX)
		return 0;
	uint8_t serialize_type = data[0] & 1;
	struct span header = { data + 1, size - 1 };
	if (serialize_type == SERIALIZE_JSON) {
		const char *wrong = oracle_check(header);

		if (wrong != NULL) {
			fprintf(stderr, "%s: %.*s\n", wrong, SPAN_ARGS(header));
			abort();
		}
	}
	buffer_init(&frame, 0);
	buffer_put_u32(&frame, (uint32_t)header.size + 4);
	buffer_put_u32(&frame, (uint32_t)serialize_type << 24 | (uint32_t)header.size);
	buffer_append_span(&frame, header);
	if (command_decode(buffer_span(&frame), &scratch, &command, &err) == ST_OK) {
		round_trip(&command);
		command.code = codes[(data[0] >> 1) % 6];
		decode_all(&command);
	}
	buffer_deinit(&frame);
	return 0;
}
