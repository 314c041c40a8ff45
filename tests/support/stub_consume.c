#include "tests/support/stub_internal.h"

#include <stdio.h>
#include <string.h>

#include "lib/wire/filter.h"
#include "lib/wire/properties.h"

/* --- consuming -------------------------------------------------------------------------------------------------------------- */

struct position *stub_find_position(struct stub *stub, const char *group, const char *topic, int queue, bool make)
{
	for (size_t i = 0; i < stub->position_count; i++) {
		struct position *position = &stub->positions[i];

		if (position->queue == queue && strcmp(position->group, group) == 0 && strcmp(position->topic, topic) == 0)
			return position;
	}
	if (!make)
		return NULL;
	if (stub->position_count == POSITIONS_MAX)
		stub_die("too many positions");
	struct position *position = &stub->positions[stub->position_count++];
	snprintf(position->group, NAME_SIZE, "%s", group);
	snprintf(position->topic, NAME_SIZE, "%s", topic);
	position->queue = queue;
	position->offset = -1;
	return position;
}

static void answer_offset(struct conn *conn, const struct command *request, int64_t offset)
{
	struct encoder encoder;

	stub_begin_answer(conn, request, RESP_SUCCESS, &encoder);
	offset_reply_encode(&encoder, offset);
	stub_end_answer(conn, &encoder);
}

static void on_boundary(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct queue_header queue;
	char topic[NAME_SIZE];
	bool by_time = request->code == REQ_SEARCH_OFFSET_BY_TIMESTAMP;

	if ((by_time ? search_offset_decode(request, &queue, NULL) : queue_header_decode(request, &queue, NULL)) != ST_OK)
		stub_die("a queue header is unreadable");
	stub_copy(topic, queue.topic);
	int64_t end = stub_queue_end(stub, topic, queue.queue_id);
	if (by_time)
		answer_offset(conn, request, queue.timestamp < end ? queue.timestamp : end);
	else
		answer_offset(conn, request, request->code == REQ_GET_MIN_OFFSET ? 0 : end);
}

static void on_offsets(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct consumer_offset_header header;
	char group[NAME_SIZE], topic[NAME_SIZE];
	bool update = request->code == REQ_UPDATE_CONSUMER_OFFSET;
	if ((update ? update_consumer_offset_decode(request, &header, NULL) :
		      query_consumer_offset_decode(request, &header, NULL)) != ST_OK)
		stub_die("an offset header is unreadable");
	stub_copy(group, header.consumer_group);
	stub_copy(topic, header.topic);
	struct position *position = stub_find_position(stub, group, topic, header.queue_id, update);
	if (!update && !stub_carries_out(conn, request, stub_take_fault(stub, STUB_QUERY_OFFSET)))
		return;
	if (update) {
		struct fault fault = stub_take_fault(stub, STUB_COMMIT_OFFSET);

		if (!stub_carries_out(conn, request, fault))
			return;
		position->offset = header.commit_offset;
		if (stub_answers(conn, fault))
			stub_answer(conn, request, RESP_SUCCESS, "");
	} else if (position == NULL || position->offset < 0) {
		stub_answer(conn, request, RESP_QUERY_NOT_FOUND, "never here");
	} else {
		answer_offset(conn, request, position->offset);
	}
}

static void answer_pull(struct stub *stub, struct conn *conn, const struct hold *hold)
{
	struct pull_reply_header reply = { .next_begin_offset = hold->header.queue_offset, .forbidden_type = -1,
					   .suggest_which_broker_id = stub->slave_address[0] != '\0' };
	int64_t from = hold->header.queue_offset - stub->messages_repeated;
	struct tag_filter filter;
	struct encoder encoder;
	int32_t code = RESP_PULL_NOT_FOUND;
	int found = 0;

	if (tag_filter_parse(span_of(hold->expression), &filter, NULL) != ST_OK)
		stub_die("a bad expression");
	reply.max_offset = stub_queue_end(stub, hold->topic, hold->header.queue_id);
	struct position *position = stub_find_position(stub, hold->group, hold->topic, hold->header.queue_id, false);
	if (position != NULL && position->reset) {
		position->reset = false;
		code = RESP_PULL_OFFSET_MOVED;
		reply.next_begin_offset = position->offset;
	} else if (hold->header.queue_offset > reply.max_offset) {
		code = RESP_PULL_OFFSET_MOVED;
		reply.next_begin_offset = reply.max_offset;
	} else if (hold->header.queue_offset < reply.max_offset) {
		code = RESP_PULL_RETRY_IMMEDIATELY;
	}
	struct buffer body;
	buffer_init(&body, 0);
	for (size_t i = 0; code != RESP_PULL_OFFSET_MOVED && i < stub->message_count && found < hold->header.max_msg_nums; i++) {
		const struct stored *stored = &stub->messages[i];

		if (stored->queue != hold->header.queue_id || strcmp(stored->topic, hold->topic) != 0 ||
		    stored->offset < from)
			continue;
		reply.next_begin_offset = stored->offset + 1;
		if (!tag_filter_match(&filter, stored->tag))
			continue;
		buffer_append(&body, stored->record, stored->size);
		found++;
		code = RESP_SUCCESS;
	}
	command_begin(&encoder, conn_output(conn), SERIALIZE_JSON, code, hold->opaque, COMMAND_RESPONSE, SPAN_NONE);
	pull_reply_encode(&encoder, &reply);
	command_body(&encoder);
	buffer_append_span(encoder.out, buffer_span(&body));
	buffer_deinit(&body);
	stub_end_answer(conn, &encoder);
}

void stub_answer_pulls(struct stub *stub)
{
	int64_t now = loop_now_ms(stub->loop);

	for (size_t i = 0; i < stub->hold_count;) {
		struct hold hold = stub->holds[i];

		const struct position *position = stub_find_position(stub, hold.group, hold.topic, hold.header.queue_id, false);
		bool reset = position != NULL && position->reset;

		if (!reset && hold.until_ms > now &&
		    stub_queue_end(stub, hold.topic, hold.header.queue_id) == hold.header.queue_offset) {
			i++;
			continue;
		}
		stub->holds[i] = stub->holds[--stub->hold_count];
		struct conn *conn = server_find(stub->server, hold.conn);
		if (conn != NULL)
			answer_pull(stub, conn, &hold);
	}
}

static void on_pull(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct hold hold = { .conn = conn_id(conn), .opaque = request->opaque };
	bool known = false;

	if (pull_header_decode(request, &hold.header, NULL) != ST_OK)
		stub_die("a pull header is unreadable");
	stub_copy(hold.topic, hold.header.topic);
	stub_copy(hold.group, hold.header.consumer_group);
	for (size_t i = 0; i < stub->member_count; i++) {
		const struct member *member = &stub->members[i];

		for (int j = 0; j < member->topic_count && strcmp(member->group, hold.group) == 0; j++) {
			if (strcmp(member->topics[j], hold.topic) == 0) {
				memcpy(hold.expression, member->expressions[j], NAME_SIZE);
				known = true;
			}
		}
	}
	if (!known) {
		stub_answer(conn, request, RESP_SUBSCRIPTION_NOT_EXIST, "no heartbeat");
		return;
	}
	hold.until_ms = loop_now_ms(stub->loop) + hold.header.suspend_timeout_ms;
	if (stub->hold_count == HOLDS_MAX)
		stub_die("too many pulls");
	stub->holds[stub->hold_count++] = hold;
	stub_answer_pulls(stub);
}

static void on_send_back(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct fault fault = stub_take_fault(stub, STUB_SEND_BACK);
	struct send_back_header header;
	char retry[NAME_SIZE];
	struct buffer properties;
	struct message message;

	if (!stub_carries_out(conn, request, fault))
		return;
	if (send_back_decode(request, &header, NULL) != ST_OK || header.offset <= 1000000 ||
	    (size_t)header.offset > 1000000 + stub->message_count)
		stub_die("a send-back quotes an offset that was never given");
	const struct stored *from = &stub->messages[header.offset - 1000001];
	if (message_decode((struct span){ from->record, from->size }, &message, NULL) != ST_OK)
		stub_die("a message is unreadable");
	bool dead = header.delay_level < 0 || message.reconsume_times >= header.max_reconsume_times;
	snprintf(retry, sizeof(retry), "%s%.*s", dead ? "%DLQ%" : "%RETRY%", SPAN_ARGS(header.group));
	buffer_init(&properties, 0);
	buffer_append_span(&properties, message.properties);
	if (property_get(message.properties, PROPERTY_RETRY_TOPIC).size == 0)
		property_put(&properties, PROPERTY_RETRY_TOPIC, message.topic);
	message.reconsume_times++;
	message.topic = span_of(retry);
	message.properties = buffer_span(&properties);
	stub_store(stub, message, 0);
	buffer_deinit(&properties);
	if (stub_answers(conn, fault))
		stub_answer(conn, request, RESP_SUCCESS, "");
	stub_answer_pulls(stub);
}

bool stub_serve_consumer(struct stub *stub, struct conn *conn, const struct command *request)
{
	switch (request->code) {
	case REQ_QUERY_CONSUMER_OFFSET:
	case REQ_UPDATE_CONSUMER_OFFSET: on_offsets(stub, conn, request); return true;
	case REQ_SEARCH_OFFSET_BY_TIMESTAMP:
	case REQ_GET_MAX_OFFSET:
	case REQ_GET_MIN_OFFSET: on_boundary(stub, conn, request); return true;
	case REQ_PULL_MESSAGE: on_pull(stub, conn, request); return true;
	case REQ_CONSUMER_SEND_MSG_BACK: on_send_back(stub, conn, request); return true;
	default: return false;
	}
}
