#include "tests/support/stub_broker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/bytes.h"
#include "lib/net/mailbox.h"
#include "lib/net/server.h"
#include "lib/wire/body_heartbeat.h"
#include "lib/wire/body_route.h"
#include "lib/wire/filter.h"
#include "lib/wire/headers.h"
#include "lib/wire/msgid.h"
#include "lib/wire/properties.h"

enum { HALVES_MAX = 4096, MESSAGES_MAX = 8192, POSITIONS_MAX = 256, HOLDS_MAX = 256, MEMBERS_MAX = 16, WAIT_S = 20 };
enum { NAME_SIZE = 128 };

struct half {
	uint8_t *record;
	size_t size;
	char id[64];
	char group[NAME_SIZE];
	enum stub_decision decision;
	int ends, unknown, from_check;
};

struct stored {
	char topic[NAME_SIZE];
	int queue;
	int64_t offset;
	uint8_t *record;
	size_t size;
	int32_t tag;
	char id[NAME_SIZE];
};

struct position {
	char group[NAME_SIZE], topic[NAME_SIZE];
	int queue;
	int64_t offset;
};

struct hold {
	uint64_t conn;
	int32_t opaque;
	struct pull_header header;
	char topic[NAME_SIZE], group[NAME_SIZE], expression[NAME_SIZE];
	int64_t until_ms;
};

struct member {
	uint64_t conn;
	bool producer;
	char client_id[NAME_SIZE], group[NAME_SIZE];
	char topics[4][NAME_SIZE], expressions[4][NAME_SIZE];
	int topic_count;
};

struct fault {
	enum stub_fault fault;
	int times, code;
};

struct stub {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	struct loop *loop;
	struct mailbox *mailbox;
	struct loop_timer sweep;
	struct server *server;
	bool running;
	uint16_t port;
	char address[64];
	int queues;
	bool stock;
	char peer_name[NAME_SIZE], peer_address[64];
	struct stub_counts counts;
	struct fault faults[STUB_KINDS];
	struct half halves[HALVES_MAX];
	size_t half_count;
	struct stored messages[MESSAGES_MAX];
	size_t message_count;
	struct position positions[POSITIONS_MAX];
	size_t position_count;
	struct hold holds[HOLDS_MAX];
	size_t hold_count;
	struct member members[MEMBERS_MAX];
	size_t member_count;
	char other_member[NAME_SIZE];
	int32_t next_opaque;
	struct command command;
	struct command_scratch scratch;
};

/* A change that the test's thread asks for, made in the loop. */
struct order {
	struct letter letter;
	struct stub *stub;
	void (*run)(struct stub *stub, void *argument);
	void *argument;
	bool done;
};

static void die(const char *what)
{
	fprintf(stderr, "stub broker: %s\n", what);
	abort();
}

static void copy_span(char out[NAME_SIZE], struct span text)
{
	if (span_to_cstr(text, out, NAME_SIZE) != ST_OK)
		die("a name is too long");
}

/* --- storing -------------------------------------------------------------------------------------------------------- */

static int64_t queue_end(const struct stub *stub, const char *topic, int queue)
{
	int64_t end = 0;

	for (size_t i = 0; i < stub->message_count; i++)
		end += stub->messages[i].queue == queue && strcmp(stub->messages[i].topic, topic) == 0;
	return end;
}

static void store(struct stub *stub, struct message message, int queue)
{
	struct stored *stored = &stub->messages[stub->message_count++];

	if (stub->message_count > MESSAGES_MAX)
		die("too many messages");
	copy_span(stored->topic, message.topic);
	stored->queue = queue;
	stored->offset = queue_end(stub, stored->topic, queue) - 1;
	message.queue_id = queue;
	message.queue_offset = stored->offset;
	message.physical_offset = (int64_t)(1000000 + stub->message_count);
	message.store_host = host_ipv4(0x7F000001, stub->port);
	stored->size = message_size(&message);
	stored->record = malloc(stored->size);
	message_encode(&message, stored->record);
	stored->tag = tag_hash(property_get(message.properties, PROPERTY_TAGS));
	copy_span(stored->id, property_get(message.properties, PROPERTY_UNIQ_KEY));
}

static void publish(struct stub *stub, struct half *half)
{
	struct message message;

	if (message_decode((struct span){ half->record, half->size }, &message, NULL) != ST_OK)
		die("a half is unreadable");
	message.sys_flag = SYSFLAG_TRANSACTION_COMMIT;
	store(stub, message, message.queue_id);
}

/* --- answers ---------------------------------------------------------------------------------------------------------- */

static void answer_pulls(struct stub *stub, bool expire_all);

/* A peer written in Java: the answer without its body, the language by hand. */
static void answer_as_java(struct buffer *out, const struct command *request, int32_t code, const char *fields)
{
	char header[1024];
	int size = snprintf(header, sizeof(header),
			    "{\"code\":%d,\"extFields\":{%s},\"flag\":1,\"language\":\"JAVA\",\"opaque\":%d,"
			    "\"serializeTypeCurrentRPC\":\"JSON\",\"version\":479}", code, fields, request->opaque);

	buffer_put_u32(out, (uint32_t)size + 4);
	buffer_put_u32(out, (uint32_t)size);
	buffer_append(out, header, (size_t)size);
}

static void answer_code(struct conn *conn, const struct command *request, int32_t code, const char *remark)
{
	if (command_is_oneway(request))
		return;
	if (!command_answer(conn_output(conn), request, code, span_of(remark)))
		die("no memory");
	conn_written(conn);
}

static void begin_answer(struct conn *conn, const struct command *request, int32_t code, struct encoder *encoder)
{
	command_begin(encoder, conn_output(conn), request->serialize_type, code, request->opaque, COMMAND_RESPONSE, SPAN_NONE);
}

static void end_answer(struct conn *conn, struct encoder *encoder)
{
	if (!command_end(encoder))
		die("no memory");
	conn_written(conn);
}

/* The fault for this request; counts it down. */
static struct fault take_fault(struct stub *stub, enum stub_kind kind)
{
	struct fault fault = stub->faults[kind];

	stub->counts.requests[kind]++;
	if (fault.times <= 0)
		return (struct fault){ STUB_OK, 0, 0 };
	stub->faults[kind].times--;
	return fault;
}

/* True if the request is to be carried out. */
static bool before(struct conn *conn, const struct command *request, struct fault fault)
{
	if (fault.fault == STUB_REFUSE)
		answer_code(conn, request, fault.code, "refused by the test");
	return fault.fault != STUB_REFUSE && fault.fault != STUB_DROP_REQUEST;
}

/* True if it is to be answered. */
static bool after(struct conn *conn, struct fault fault)
{
	if (fault.fault == STUB_CLOSE_AFTER)
		conn_close(conn, NULL);
	return fault.fault != STUB_CLOSE_AFTER && fault.fault != STUB_DROP_ANSWER;
}

/* --- name server and clients ------------------------------------------------------------------------------------------ */

static void on_route(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct fault fault = take_fault(stub, STUB_ROUTE);
	struct route_header header;
	struct broker_addr own = { 0, span_of(stub->address) }, peer = { 0, span_of(stub->peer_address) };
	struct broker_data brokers[2] = { { .broker_name = SPAN_LITERAL("stub"), .cluster = SPAN_LITERAL("c"), .addrs = &own,
					    .addr_count = 1 },
					  { .broker_name = span_of(stub->peer_name), .cluster = SPAN_LITERAL("c"),
					    .addrs = &peer, .addr_count = 1 } };
	struct queue_data queues[2];
	struct route route = { .brokers = brokers, .broker_count = stub->peer_name[0] ? 2 : 1, .queues = queues };
	struct encoder encoder;

	if (!before(conn, request, fault) || route_header_decode(request, &header, NULL) != ST_OK)
		return;
	if (span_starts_with(header.topic, "absent") || (stub->stock && span_is(header.topic, "TBW102"))) {
		answer_code(conn, request, RESP_TOPIC_NOT_EXIST, "no such topic");
		return;
	}
	int nums = span_starts_with(header.topic, "%RETRY%") ? 1 : stub->queues;
	for (size_t i = 0; i < route.broker_count; i++)
		queues[i] = (struct queue_data){ brokers[i].broker_name, nums, nums, PERM_READ | PERM_WRITE, 0 };
	route.queue_count = route.broker_count;
	begin_answer(conn, request, RESP_SUCCESS, &encoder);
	command_body(&encoder);
	route_encode(encoder.out, &route, true);
	end_answer(conn, &encoder);
}

static struct member *member_slot(struct stub *stub, uint64_t conn, struct span group, bool producer)
{
	for (size_t i = 0; i < stub->member_count; i++) {
		if (stub->members[i].conn == conn && span_is(group, stub->members[i].group) &&
		    stub->members[i].producer == producer)
			return &stub->members[i];
	}
	if (stub->member_count == MEMBERS_MAX)
		die("too many members");
	struct member *member = &stub->members[stub->member_count++];
	memset(member, 0, sizeof(*member));
	member->conn = conn;
	member->producer = producer;
	copy_span(member->group, group);
	return member;
}

static void on_heartbeat(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct fault fault = take_fault(stub, STUB_BEAT);
	struct heartbeat beat;

	if (!before(conn, request, fault))
		return;
	if (heartbeat_decode(request->body, &beat, NULL) != ST_OK)
		die("a heartbeat is unreadable");
	for (size_t i = 0; i < beat.producer_count; i++)
		copy_span(member_slot(stub, conn_id(conn), beat.producer_groups[i], true)->client_id, beat.client_id);
	for (size_t i = 0; i < beat.consumer_count; i++) {
		struct member *member = member_slot(stub, conn_id(conn), beat.consumers[i].group_name, false);

		copy_span(member->client_id, beat.client_id);
		member->topic_count = 0;
		for (size_t j = 0; j < beat.consumers[i].subscription_count && j < 4; j++) {
			copy_span(member->topics[j], beat.consumers[i].subscriptions[j].topic);
			copy_span(member->expressions[j], beat.consumers[i].subscriptions[j].sub_string);
			member->topic_count++;
		}
	}
	heartbeat_free(&beat);
	if (!after(conn, fault))
		return;
	if (!stub->stock) {
		answer_code(conn, request, RESP_SUCCESS, "");
		return;
	}
	answer_as_java(conn_output(conn), request, RESP_SUCCESS, "");
	conn_written(conn);
}

static void on_members(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct span group;
	struct encoder encoder;
	struct json_writer writer;

	if (consumer_group_decode(request, &group, NULL) != ST_OK)
		return;
	begin_answer(conn, request, RESP_SUCCESS, &encoder);
	command_body(&encoder);
	consumer_list_begin(&writer, encoder.out);
	for (size_t i = 0; i < stub->member_count; i++) {
		if (!stub->members[i].producer && span_is(group, stub->members[i].group))
			consumer_list_add(&writer, span_of(stub->members[i].client_id));
	}
	if (stub->other_member[0] != '\0')
		consumer_list_add(&writer, span_of(stub->other_member));
	consumer_list_end(&writer);
	end_answer(conn, &encoder);
}

static void forget_conn(struct stub *stub, uint64_t conn)
{
	for (size_t i = 0; i < stub->member_count;) {
		if (stub->members[i].conn == conn)
			stub->members[i] = stub->members[--stub->member_count];
		else
			i++;
	}
	for (size_t i = 0; i < stub->hold_count;) {
		if (stub->holds[i].conn == conn)
			stub->holds[i] = stub->holds[--stub->hold_count];
		else
			i++;
	}
}

/* --- sending and deciding ----------------------------------------------------------------------------------------------- */

static struct half *take_half(struct stub *stub, const struct message *message, const struct send_header *header)
{
	struct span id = property_get(header->properties, PROPERTY_UNIQ_KEY);

	for (size_t i = 0; i < stub->half_count && !stub->stock; i++) {
		if (span_is(id, stub->halves[i].id))
			return &stub->halves[i];
	}
	struct half *half = &stub->halves[stub->half_count++];
	if (stub->half_count > HALVES_MAX)
		die("too many halves");
	copy_span(half->group, header->producer_group);
	if (span_to_cstr(id, half->id, sizeof(half->id)) != ST_OK)
		die("no UNIQ_KEY");
	half->size = message_size(message);
	half->record = malloc(half->size);
	message_encode(message, half->record);
	return half;
}

static void on_send(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct fault fault = take_fault(stub, STUB_SEND);
	struct send_header header;
	char offset_id[MSGID_TEXT_SIZE];
	struct host host = host_ipv4(0x7F000001, stub->port);
	struct send_reply_header reply = { .queue_id = 0 };
	struct encoder encoder;
	int64_t physical;

	if (!before(conn, request, fault))
		return;
	if (send_header_decode(request, &header, NULL) != ST_OK)
		die("a send header is unreadable");
	struct message message = { .queue_id = header.queue_id, .born_timestamp = header.born_timestamp,
				   .born_host = host, .store_host = host, .body = request->body, .topic = header.topic,
				   .properties = header.properties };
	if (property_is_true(header.properties, PROPERTY_TRAN_MSG)) {
		physical = take_half(stub, &message, &header) - stub->halves;
		reply.queue_offset = physical;
	} else {
		store(stub, message, header.queue_id);
		reply.queue_offset = stub->messages[stub->message_count - 1].offset;
		physical = (int64_t)(1000000 + stub->message_count);
		answer_pulls(stub, false);
	}
	if (!after(conn, fault))
		return;
	offset_msg_id_encode(&host, physical, offset_id);
	reply.msg_id = span_of(offset_id);
	reply.queue_id = header.queue_id;
	reply.transaction_id = property_get(header.properties, PROPERTY_UNIQ_KEY);
	begin_answer(conn, request, fault.fault == STUB_ANSWER_CODE ? fault.code : RESP_SUCCESS, &encoder);
	send_reply_encode(&encoder, &reply);
	end_answer(conn, &encoder);
}

/* The code to answer. */
static int decide(struct stub *stub, struct half *half, int32_t asked)
{
	enum stub_decision decision = asked == TRANSACTION_COMMIT ? STUB_COMMITTED : STUB_ROLLED_BACK;

	if (half->decision != STUB_OPEN && !stub->stock)
		return half->decision == decision ? RESP_SUCCESS : RESP_ILLEGAL_OPERATION;
	half->decision = decision;
	if (decision == STUB_COMMITTED) {
		publish(stub, half);
		answer_pulls(stub, false);
	}
	return RESP_SUCCESS;
}

static void on_end(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct fault fault = take_fault(stub, STUB_END);
	struct end_transaction_header header;
	int code = RESP_SUCCESS;

	if (end_transaction_decode(request, &header, NULL) != ST_OK)
		die("an END header is unreadable");
	if (header.tran_state_table_offset < 0 || (size_t)header.tran_state_table_offset >= stub->half_count ||
	    header.commit_log_offset != header.tran_state_table_offset)
		die("END quotes offsets that were never given");
	struct half *half = &stub->halves[header.tran_state_table_offset];
	half->ends++;
	half->from_check += header.from_transaction_check;
	half->unknown += header.commit_or_rollback == TRANSACTION_UNKNOWN;
	if (!before(conn, request, fault))
		return;
	if (header.commit_or_rollback != TRANSACTION_UNKNOWN)
		code = decide(stub, half, header.commit_or_rollback);
	if (after(conn, fault) && !(stub->stock && header.commit_or_rollback == TRANSACTION_UNKNOWN))
		answer_code(conn, request, code, code == RESP_SUCCESS ? "" : "decided before: the opposite, by operator bob");
}

/* --- consuming -------------------------------------------------------------------------------------------------------------- */

static struct position *find_position(struct stub *stub, const char *group, const char *topic, int queue, bool make)
{
	for (size_t i = 0; i < stub->position_count; i++) {
		struct position *position = &stub->positions[i];

		if (position->queue == queue && strcmp(position->group, group) == 0 && strcmp(position->topic, topic) == 0)
			return position;
	}
	if (!make)
		return NULL;
	if (stub->position_count == POSITIONS_MAX)
		die("too many positions");
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

	begin_answer(conn, request, RESP_SUCCESS, &encoder);
	offset_reply_encode(&encoder, offset);
	end_answer(conn, &encoder);
}

static void on_offsets(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct consumer_offset_header header;
	struct queue_header queue;
	char group[NAME_SIZE], topic[NAME_SIZE];

	if (request->code == REQ_GET_MAX_OFFSET || request->code == REQ_GET_MIN_OFFSET) {
		if (queue_header_decode(request, &queue, NULL) != ST_OK)
			die("a queue header is unreadable");
		copy_span(topic, queue.topic);
		answer_offset(conn, request, request->code == REQ_GET_MIN_OFFSET ? 0 : queue_end(stub, topic, queue.queue_id));
		return;
	}
	bool update = request->code == REQ_UPDATE_CONSUMER_OFFSET;
	if ((update ? update_consumer_offset_decode(request, &header, NULL) :
		      query_consumer_offset_decode(request, &header, NULL)) != ST_OK)
		die("an offset header is unreadable");
	copy_span(group, header.consumer_group);
	copy_span(topic, header.topic);
	struct position *position = find_position(stub, group, topic, header.queue_id, update);
	if (update) {
		struct fault fault = take_fault(stub, STUB_COMMIT_OFFSET);

		if (!before(conn, request, fault))
			return;
		position->offset = header.commit_offset;
		if (after(conn, fault))
			answer_code(conn, request, RESP_SUCCESS, "");
	} else if (position == NULL || position->offset < 0) {
		answer_code(conn, request, RESP_QUERY_NOT_FOUND, "never here");
	} else {
		answer_offset(conn, request, position->offset);
	}
}

static void answer_pull(struct stub *stub, struct conn *conn, const struct hold *hold)
{
	struct pull_reply_header reply = { .next_begin_offset = hold->header.queue_offset, .forbidden_type = -1 };
	struct tag_filter filter;
	struct encoder encoder;
	int32_t code = RESP_PULL_NOT_FOUND;
	int found = 0;

	if (tag_filter_parse(span_of(hold->expression), &filter, NULL) != ST_OK)
		die("a bad expression");
	reply.max_offset = queue_end(stub, hold->topic, hold->header.queue_id);
	if (hold->header.queue_offset > reply.max_offset) {
		code = RESP_PULL_OFFSET_MOVED;
		reply.next_begin_offset = reply.max_offset;
	} else if (hold->header.queue_offset < reply.max_offset) {
		code = RESP_PULL_RETRY_IMMEDIATELY;
	}
	struct buffer body;
	buffer_init(&body, 0);
	for (size_t i = 0; i < stub->message_count && found < hold->header.max_msg_nums; i++) {
		const struct stored *stored = &stub->messages[i];

		if (stored->queue != hold->header.queue_id || strcmp(stored->topic, hold->topic) != 0 ||
		    stored->offset < hold->header.queue_offset)
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
	end_answer(conn, &encoder);
}

static void answer_pulls(struct stub *stub, bool expire_all)
{
	int64_t now = loop_now_ms(stub->loop);

	for (size_t i = 0; i < stub->hold_count;) {
		struct hold hold = stub->holds[i];

		if (!expire_all && hold.until_ms > now && queue_end(stub, hold.topic, hold.header.queue_id) == hold.header.queue_offset) {
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
		die("a pull header is unreadable");
	copy_span(hold.topic, hold.header.topic);
	copy_span(hold.group, hold.header.consumer_group);
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
		answer_code(conn, request, RESP_SUBSCRIPTION_NOT_EXIST, "no heartbeat");
		return;
	}
	hold.until_ms = loop_now_ms(stub->loop) + hold.header.suspend_timeout_ms;
	if (stub->hold_count == HOLDS_MAX)
		die("too many pulls");
	stub->holds[stub->hold_count++] = hold;
	answer_pulls(stub, false);
}

static void on_send_back(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct fault fault = take_fault(stub, STUB_SEND_BACK);
	struct send_back_header header;
	char retry[NAME_SIZE];
	struct buffer properties;
	struct message message;

	if (!before(conn, request, fault))
		return;
	if (send_back_decode(request, &header, NULL) != ST_OK || header.offset <= 1000000 ||
	    (size_t)header.offset > 1000000 + stub->message_count)
		die("a send-back quotes an offset that was never given");
	const struct stored *from = &stub->messages[header.offset - 1000001];
	if (message_decode((struct span){ from->record, from->size }, &message, NULL) != ST_OK)
		die("a message is unreadable");
	snprintf(retry, sizeof(retry), "%s%.*s", header.delay_level < 0 ? "%DLQ%" : "%RETRY%", SPAN_ARGS(header.group));
	buffer_init(&properties, 0);
	buffer_append_span(&properties, message.properties);
	if (property_get(message.properties, PROPERTY_RETRY_TOPIC).size == 0)
		property_put(&properties, PROPERTY_RETRY_TOPIC, message.topic);
	message.reconsume_times++;
	message.topic = span_of(retry);
	message.properties = buffer_span(&properties);
	store(stub, message, 0);
	buffer_deinit(&properties);
	if (after(conn, fault))
		answer_code(conn, request, RESP_SUCCESS, "");
	answer_pulls(stub, false);
}

/* --- the loop ----------------------------------------------------------------------------------------------------------------- */

static void serve(struct stub *stub, struct conn *conn, const struct command *request)
{
	switch (request->code) {
	case REQ_GET_ROUTEINFO_BY_TOPIC: on_route(stub, conn, request); break;
	case REQ_HEART_BEAT: on_heartbeat(stub, conn, request); break;
	case REQ_UNREGISTER_CLIENT:
		stub->counts.unregistered++;
		answer_code(conn, request, RESP_SUCCESS, "");
		break;
	case REQ_SEND_MESSAGE_V2: on_send(stub, conn, request); break;
	case REQ_END_TRANSACTION: on_end(stub, conn, request); break;
	case REQ_GET_CONSUMER_LIST_BY_GROUP: on_members(stub, conn, request); break;
	case REQ_QUERY_CONSUMER_OFFSET:
	case REQ_UPDATE_CONSUMER_OFFSET:
	case REQ_GET_MAX_OFFSET:
	case REQ_GET_MIN_OFFSET: on_offsets(stub, conn, request); break;
	case REQ_PULL_MESSAGE: on_pull(stub, conn, request); break;
	case REQ_CONSUMER_SEND_MSG_BACK: on_send_back(stub, conn, request); break;
	default: answer_code(conn, request, RESP_REQUEST_CODE_NOT_SUPPORTED, "not a stub's business"); break;
	}
}

static void on_frame(void *context, struct conn *conn, struct span frame)
{
	struct stub *stub = context;
	struct errinfo err;

	pthread_mutex_lock(&stub->lock);
	if (command_decode(frame, &stub->scratch, &stub->command, &err) != ST_OK)
		die(err.text);
	if (!command_is_response(&stub->command))
		serve(stub, conn, &stub->command);
	pthread_cond_broadcast(&stub->changed);
	pthread_mutex_unlock(&stub->lock);
}

/* Also called from server_destroy, inside of an order, which holds no lock then. */
static void on_close(void *context, struct conn *conn)
{
	struct stub *stub = context;

	pthread_mutex_lock(&stub->lock);
	stub->counts.connections_closed++;
	forget_conn(stub, conn_id(conn));
	pthread_cond_broadcast(&stub->changed);
	pthread_mutex_unlock(&stub->lock);
}

static void listen_now(struct stub *stub)
{
	struct server_config config = { .name = "stub", .bind_address = "127.0.0.1", .port = stub->port,
					.frame_size_max = 16 << 20, .connections_max = 64, .connections_per_address_max = 64,
					.output_bytes_max = 64 << 20 };
	struct server_callbacks callbacks = { stub, on_frame, on_close };
	struct errinfo err;

	if (server_create(stub->loop, &config, &callbacks, &stub->server, &err) != ST_OK)
		die(err.text);
	stub->port = server_port(stub->server);
}

static void sweep(void *context)
{
	struct stub *stub = context;

	pthread_mutex_lock(&stub->lock);
	if (stub->server != NULL)
		answer_pulls(stub, false);
	pthread_mutex_unlock(&stub->lock);
}

static void *thread_main(void *argument)
{
	struct stub *stub = argument;

	loop_run(stub->loop);
	return NULL;
}

static void carry_out(struct letter *letter)
{
	struct order *order = (struct order *)letter;
	struct stub *stub = order->stub;

	order->run(stub, order->argument);
	pthread_mutex_lock(&stub->lock);
	order->done = true;
	pthread_cond_broadcast(&stub->changed);
	pthread_mutex_unlock(&stub->lock);
}

static void in_loop(struct stub *stub, void (*run)(struct stub *stub, void *argument), void *argument)
{
	struct order order = { .letter = { .deliver = carry_out }, .stub = stub, .run = run, .argument = argument };

	mailbox_post(stub->mailbox, &order.letter);
	pthread_mutex_lock(&stub->lock);
	while (!order.done)
		pthread_cond_wait(&stub->changed, &stub->lock);
	pthread_mutex_unlock(&stub->lock);
}

/* --- the test's side ------------------------------------------------------------------------------------------------------------ */

/* A process that was killed has nothing left but its data: loop and thread are new after each start. */
static void start_thread(struct stub *stub)
{
	stub->loop = loop_create();
	stub->mailbox = mailbox_create(stub->loop);
	listen_now(stub);
	if (loop_timer_start(stub->loop, &stub->sweep, 50, true, sweep, stub) != ST_OK ||
	    pthread_create(&stub->thread, NULL, thread_main, stub) != 0)
		die("cannot start");
	stub->running = true;
}

static void end(struct stub *stub, void *argument)
{
	(void)argument;
	loop_timer_stop(&stub->sweep);
	loop_stop(stub->loop);
}

static void stop_thread(struct stub *stub)
{
	if (!stub->running)
		return;
	in_loop(stub, end, NULL);
	pthread_join(stub->thread, NULL);
	server_destroy(stub->server);
	stub->server = NULL;
	mailbox_destroy(stub->mailbox);
	loop_destroy(stub->loop);
	stub->running = false;
}

struct stub *stub_start(int queues, bool stock)
{
	struct stub *stub = calloc(1, sizeof(*stub));

	if (stub == NULL)
		die("no memory");
	pthread_mutex_init(&stub->lock, NULL);
	pthread_cond_init(&stub->changed, NULL);
	stub->queues = queues;
	stub->stock = stock;
	start_thread(stub);
	snprintf(stub->address, sizeof(stub->address), "127.0.0.1:%u", stub->port);
	return stub;
}

void stub_crash(struct stub *stub)
{
	stop_thread(stub);
}

void stub_return(struct stub *stub)
{
	start_thread(stub);
}

void stub_stop(struct stub *stub)
{
	stop_thread(stub);
	for (size_t i = 0; i < stub->half_count; i++)
		free(stub->halves[i].record);
	for (size_t i = 0; i < stub->message_count; i++)
		free(stub->messages[i].record);
	pthread_mutex_destroy(&stub->lock);
	pthread_cond_destroy(&stub->changed);
	free(stub);
}

const char *stub_address(const struct stub *stub)
{
	return stub->address;
}

void stub_add_peer(struct stub *stub, const char *name, const char *address)
{
	pthread_mutex_lock(&stub->lock);
	snprintf(stub->peer_name, sizeof(stub->peer_name), "%s", name);
	snprintf(stub->peer_address, sizeof(stub->peer_address), "%s", address);
	pthread_mutex_unlock(&stub->lock);
}

void stub_fault(struct stub *stub, enum stub_kind kind, enum stub_fault fault, int times, int code)
{
	pthread_mutex_lock(&stub->lock);
	stub->faults[kind] = (struct fault){ fault, times, code };
	pthread_mutex_unlock(&stub->lock);
}

struct stub_counts stub_counts(struct stub *stub)
{
	pthread_mutex_lock(&stub->lock);
	struct stub_counts counts = stub->counts;
	pthread_mutex_unlock(&stub->lock);
	return counts;
}

const struct stub_counts *stub_counts_now(const struct stub *stub)
{
	return &stub->counts;
}

size_t stub_half_count(struct stub *stub)
{
	pthread_mutex_lock(&stub->lock);
	size_t count = stub->half_count;
	pthread_mutex_unlock(&stub->lock);
	return count;
}

enum stub_decision stub_half_decision(struct stub *stub, size_t half)
{
	pthread_mutex_lock(&stub->lock);
	enum stub_decision decision = stub->halves[half].decision;
	pthread_mutex_unlock(&stub->lock);
	return decision;
}

int stub_half_ends(struct stub *stub, size_t half, int *unknown_out, int *from_check_out)
{
	pthread_mutex_lock(&stub->lock);
	int ends = stub->halves[half].ends;
	if (unknown_out != NULL)
		*unknown_out = stub->halves[half].unknown;
	if (from_check_out != NULL)
		*from_check_out = stub->halves[half].from_check;
	pthread_mutex_unlock(&stub->lock);
	return ends;
}

void stub_decide(struct stub *stub, size_t half, enum stub_decision decision)
{
	pthread_mutex_lock(&stub->lock);
	stub->halves[half].decision = decision;
	pthread_mutex_unlock(&stub->lock);
}

struct check_order {
	size_t half;
	bool sent;
};

static void ask(struct stub *stub, void *argument)
{
	struct check_order *order = argument;
	struct half *half = &stub->halves[order->half];
	struct encoder encoder;
	struct check_transaction_header header = {
		.tran_state_table_offset = (int64_t)order->half, .commit_log_offset = (int64_t)order->half,
		.msg_id = span_of(half->id), .transaction_id = span_of(half->id), .topic = SPAN_LITERAL(TOPIC_HALF),
	};

	pthread_mutex_lock(&stub->lock);
	for (size_t i = 0; i < stub->member_count && !order->sent; i++) {
		struct conn *conn = server_find(stub->server, stub->members[i].conn);

		if (conn == NULL || !stub->members[i].producer || strcmp(stub->members[i].group, half->group) != 0)
			continue;
		command_begin(&encoder, conn_output(conn), SERIALIZE_JSON, REQ_CHECK_TRANSACTION_STATE, ++stub->next_opaque,
			      COMMAND_ONEWAY, SPAN_NONE);
		check_transaction_encode(&encoder, &header);
		command_body(&encoder);
		buffer_append(encoder.out, half->record, half->size);
		end_answer(conn, &encoder);
		order->sent = true;
	}
	pthread_mutex_unlock(&stub->lock);
}

bool stub_check(struct stub *stub, size_t half)
{
	struct check_order order = { .half = half };

	in_loop(stub, ask, &order);
	return order.sent;
}

size_t stub_visible(struct stub *stub, const char *topic, char *last_id)
{
	size_t count = 0;

	pthread_mutex_lock(&stub->lock);
	for (size_t i = 0; i < stub->message_count; i++) {
		if (strcmp(stub->messages[i].topic, topic) != 0)
			continue;
		count++;
		if (last_id != NULL)
			snprintf(last_id, UNIQUE_ID_TEXT_SIZE, "%s", stub->messages[i].id);
	}
	pthread_mutex_unlock(&stub->lock);
	return count;
}

struct put_order {
	const char *topic, *tag, *id;
	int queue;
	struct span body;
	bool compressed;
};

static void put(struct stub *stub, void *argument)
{
	const struct put_order *order = argument;
	struct buffer properties;

	buffer_init(&properties, 0);
	property_put(&properties, PROPERTY_UNIQ_KEY, span_of(order->id));
	if (order->tag != NULL)
		property_put(&properties, PROPERTY_TAGS, span_of(order->tag));
	pthread_mutex_lock(&stub->lock);
	store(stub, (struct message){ .body = order->body, .topic = span_of(order->topic), .properties = buffer_span(&properties),
				      .sys_flag = order->compressed ? SYSFLAG_COMPRESSED : 0 }, order->queue);
	answer_pulls(stub, false);
	pthread_mutex_unlock(&stub->lock);
	buffer_deinit(&properties);
}

void stub_put(struct stub *stub, const char *topic, int queue, const char *tag, const char *id, const void *body,
	      size_t size, bool compressed)
{
	struct put_order order = { topic, tag, id, queue, { body, size }, compressed };

	in_loop(stub, put, &order);
}

int64_t stub_position(struct stub *stub, const char *group, const char *topic, int queue)
{
	pthread_mutex_lock(&stub->lock);
	const struct position *position = find_position(stub, group, topic, queue, false);
	int64_t offset = position == NULL ? -1 : position->offset;
	pthread_mutex_unlock(&stub->lock);
	return offset;
}

void stub_set_position(struct stub *stub, const char *group, const char *topic, int queue, int64_t offset)
{
	pthread_mutex_lock(&stub->lock);
	find_position(stub, group, topic, queue, true)->offset = offset;
	pthread_mutex_unlock(&stub->lock);
}

static void notify(struct stub *stub, void *argument)
{
	(void)argument;
	pthread_mutex_lock(&stub->lock);
	for (size_t i = 0; i < stub->member_count; i++) {
		struct conn *conn = server_find(stub->server, stub->members[i].conn);
		struct encoder encoder;

		if (conn == NULL || stub->members[i].producer)
			continue;
		command_begin(&encoder, conn_output(conn), SERIALIZE_JSON, REQ_NOTIFY_CONSUMER_IDS_CHANGED, ++stub->next_opaque,
			      COMMAND_ONEWAY, SPAN_NONE);
		consumer_group_encode(&encoder, span_of(stub->members[i].group));
		end_answer(conn, &encoder);
		stub->counts.notified++;
	}
	pthread_mutex_unlock(&stub->lock);
}

void stub_other_member(struct stub *stub, const char *client_id)
{
	pthread_mutex_lock(&stub->lock);
	snprintf(stub->other_member, sizeof(stub->other_member), "%s", client_id == NULL ? "" : client_id);
	pthread_mutex_unlock(&stub->lock);
	in_loop(stub, notify, NULL);
}

bool stub_wait(struct stub *stub, bool (*reached)(const struct stub *stub, void *context), void *context)
{
	struct timespec until;
	bool is_reached;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&stub->lock);
	while (!(is_reached = reached(stub, context))) {
		if (pthread_cond_timedwait(&stub->changed, &stub->lock, &until) != 0)
			break;
	}
	pthread_mutex_unlock(&stub->lock);
	return is_reached;
}
