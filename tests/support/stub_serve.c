#include "tests/support/stub_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire/body_heartbeat.h"
#include "lib/wire/body_route.h"
#include "lib/wire/filter.h"
#include "lib/wire/msgid.h"
#include "lib/wire/properties.h"

void stub_die(const char *what)
{
	fprintf(stderr, "stub broker: %s\n", what);
	abort();
}

void stub_copy(char out[NAME_SIZE], struct span text)
{
	if (span_to_cstr(text, out, NAME_SIZE) != ST_OK)
		stub_die("a name is too long");
}

/* --- storing -------------------------------------------------------------------------------------------------------- */

int64_t stub_queue_end(const struct stub *stub, const char *topic, int queue)
{
	int64_t end = 0;

	for (size_t i = 0; i < stub->message_count; i++)
		end += stub->messages[i].queue == queue && strcmp(stub->messages[i].topic, topic) == 0;
	return end;
}

void stub_store(struct stub *stub, struct message message, int queue)
{
	struct stored *stored = &stub->messages[stub->message_count++];

	if (stub->message_count > MESSAGES_MAX)
		stub_die("too many messages");
	stub_copy(stored->topic, message.topic);
	stored->queue = queue;
	stored->offset = stub_queue_end(stub, stored->topic, queue) - 1;
	message.queue_id = queue;
	message.queue_offset = stored->offset;
	message.physical_offset = (int64_t)(1000000 + stub->message_count);
	message.store_host = host_ipv4(0x7F000001, stub->port);
	stored->size = message_size(&message);
	stored->record = malloc(stored->size);
	message_encode(&message, stored->record);
	stored->tag = tag_hash(property_get(message.properties, PROPERTY_TAGS));
	stub_copy(stored->id, property_get(message.properties, PROPERTY_UNIQ_KEY));
}

static void publish(struct stub *stub, struct half *half)
{
	struct message message;

	if (message_decode((struct span){ half->record, half->size }, &message, NULL) != ST_OK)
		stub_die("a half is unreadable");
	message.sys_flag = SYSFLAG_TRANSACTION_COMMIT;
	stub_store(stub, message, message.queue_id);
}

/* --- answers ---------------------------------------------------------------------------------------------------------- */

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

void stub_answer(struct conn *conn, const struct command *request, int32_t code, const char *remark)
{
	if (command_is_oneway(request))
		return;
	if (!command_answer(conn_output(conn), request, code, span_of(remark)))
		stub_die("no memory");
	conn_written(conn);
}

void stub_begin_answer(struct conn *conn, const struct command *request, int32_t code, struct encoder *encoder)
{
	command_begin(encoder, conn_output(conn), request->serialize_type, code, request->opaque, COMMAND_RESPONSE, SPAN_NONE);
}

void stub_end_answer(struct conn *conn, struct encoder *encoder)
{
	if (!command_end(encoder))
		stub_die("no memory");
	conn_written(conn);
}

/* The fault for this request; counts it down. */
struct fault stub_take_fault(struct stub *stub, enum stub_kind kind)
{
	struct fault fault = stub->faults[kind];

	stub->counts.requests[kind]++;
	if (fault.times <= 0)
		return (struct fault){ STUB_OK, 0, 0 };
	if (--stub->faults[kind].times == 0) {
		stub->faults[kind] = stub->next_faults[kind];
		stub->next_faults[kind] = (struct fault){ STUB_OK, 0, 0 };
	}
	return fault;
}

/* True if the request is to be carried out. */
bool stub_carries_out(struct conn *conn, const struct command *request, struct fault fault)
{
	if (fault.fault == STUB_REFUSE)
		stub_answer(conn, request, fault.code, "refused by the test");
	return fault.fault != STUB_REFUSE && fault.fault != STUB_DROP_REQUEST;
}

/* True if it is to be answered. */
bool stub_answers(struct conn *conn, struct fault fault)
{
	if (fault.fault == STUB_CLOSE_AFTER)
		conn_close(conn, NULL);
	return fault.fault != STUB_CLOSE_AFTER && fault.fault != STUB_DROP_ANSWER;
}

/* --- name server and clients ------------------------------------------------------------------------------------------ */

static void on_route(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct fault fault = stub_take_fault(stub, STUB_ROUTE);
	struct route_header header;
	struct broker_addr own[] = { { 0, span_of(stub->address) }, { 1, span_of(stub->slave_address) } };
	struct broker_addr peer = { 0, span_of(stub->peer_address) };
	struct broker_data brokers[2] = { { .broker_name = SPAN_LITERAL("stub"), .cluster = SPAN_LITERAL("c"), .addrs = own,
					    .addr_count = stub->slave_address[0] ? 2 : 1 },
					  { .broker_name = span_of(stub->peer_name), .cluster = SPAN_LITERAL("c"),
					    .addrs = &peer, .addr_count = 1 } };
	struct queue_data queues[2];
	struct route route = { .brokers = brokers, .broker_count = stub->peer_name[0] ? 2 : 1, .queues = queues };
	struct encoder encoder;

	if (!stub_carries_out(conn, request, fault) || route_header_decode(request, &header, NULL) != ST_OK)
		return;
	if (span_starts_with(header.topic, "absent") || span_is(header.topic, stub->forgotten_topic) || (stub->stock && span_is(header.topic, "TBW102"))) {
		stub_answer(conn, request, RESP_TOPIC_NOT_EXIST, "no such topic");
		return;
	}
	int nums = span_starts_with(header.topic, "%RETRY%") ? 1 : stub->queues;
	for (size_t i = 0; i < route.broker_count; i++)
		queues[i] = (struct queue_data){ brokers[i].broker_name, nums, nums, PERM_READ | PERM_WRITE, 0 };
	route.queue_count = route.broker_count;
	stub_begin_answer(conn, request, RESP_SUCCESS, &encoder);
	command_body(&encoder);
	route_encode(encoder.out, &route, true);
	stub_end_answer(conn, &encoder);
}

static struct member *member_slot(struct stub *stub, uint64_t conn, struct span group, bool producer)
{
	for (size_t i = 0; i < stub->member_count; i++) {
		if (stub->members[i].conn == conn && span_is(group, stub->members[i].group) &&
		    stub->members[i].producer == producer)
			return &stub->members[i];
	}
	if (stub->member_count == MEMBERS_MAX)
		stub_die("too many members");
	struct member *member = &stub->members[stub->member_count++];
	memset(member, 0, sizeof(*member));
	member->conn = conn;
	member->producer = producer;
	stub_copy(member->group, group);
	return member;
}

static void on_heartbeat(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct fault fault = stub_take_fault(stub, STUB_BEAT);
	struct heartbeat beat;

	if (!stub_carries_out(conn, request, fault))
		return;
	if (heartbeat_decode(request->body, &beat, NULL) != ST_OK)
		stub_die("a heartbeat is unreadable");
	for (size_t i = 0; i < beat.producer_count; i++)
		stub_copy(member_slot(stub, conn_id(conn), beat.producer_groups[i], true)->client_id, beat.client_id);
	for (size_t i = 0; i < beat.consumer_count; i++) {
		struct member *member = member_slot(stub, conn_id(conn), beat.consumers[i].group_name, false);

		stub_copy(member->client_id, beat.client_id);
		member->topic_count = 0;
		for (size_t j = 0; j < beat.consumers[i].subscription_count && j < 4; j++) {
			stub_copy(member->topics[j], beat.consumers[i].subscriptions[j].topic);
			stub_copy(member->expressions[j], beat.consumers[i].subscriptions[j].sub_string);
			member->topic_count++;
		}
	}
	heartbeat_free(&beat);
	if (!stub_answers(conn, fault))
		return;
	if (!stub->stock) {
		stub_answer(conn, request, RESP_SUCCESS, "");
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

	if (!stub_carries_out(conn, request, stub_take_fault(stub, STUB_MEMBERS)))
		return;
	if (consumer_group_decode(request, &group, NULL) != ST_OK)
		return;
	stub_begin_answer(conn, request, RESP_SUCCESS, &encoder);
	command_body(&encoder);
	consumer_list_begin(&writer, encoder.out);
	for (size_t i = 0; i < stub->member_count && !stub->members_forgotten; i++) {
		if (!stub->members[i].producer && span_is(group, stub->members[i].group))
			consumer_list_add(&writer, span_of(stub->members[i].client_id));
	}
	if (stub->other_member[0] != '\0')
		consumer_list_add(&writer, span_of(stub->other_member));
	consumer_list_end(&writer);
	stub_end_answer(conn, &encoder);
}

void stub_forget_conn(struct stub *stub, uint64_t conn)
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
		stub_die("too many halves");
	stub_copy(half->group, header->producer_group);
	if (span_to_cstr(id, half->id, sizeof(half->id)) != ST_OK)
		stub_die("no UNIQ_KEY");
	half->size = message_size(message);
	half->record = malloc(half->size);
	message_encode(message, half->record);
	return half;
}

static void on_send(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct fault fault = stub_take_fault(stub, STUB_SEND);
	struct send_header header;
	char offset_id[MSGID_TEXT_SIZE];
	struct host host = host_ipv4(0x7F000001, stub->port);
	struct send_reply_header reply = { .queue_id = 0 };
	struct encoder encoder;
	int64_t physical;

	if (!stub_carries_out(conn, request, fault))
		return;
	if (send_header_decode(request, &header, NULL) != ST_OK)
		stub_die("a send header is unreadable");
	struct message message = { .queue_id = header.queue_id, .born_timestamp = header.born_timestamp,
				   .born_host = host, .store_host = host, .body = request->body, .topic = header.topic,
				   .properties = header.properties };
	if (property_is_true(header.properties, PROPERTY_TRAN_MSG)) {
		physical = take_half(stub, &message, &header) - stub->halves;
		reply.queue_offset = physical;
	} else {
		stub_store(stub, message, header.queue_id);
		reply.queue_offset = stub->messages[stub->message_count - 1].offset;
		physical = (int64_t)(1000000 + stub->message_count);
		stub_answer_pulls(stub);
	}
	if (!stub_answers(conn, fault))
		return;
	offset_msg_id_encode(&host, physical, offset_id);
	reply.msg_id = fault.fault == STUB_NONSENSE ? SPAN_LITERAL("nonsense") : span_of(offset_id);
	reply.queue_id = header.queue_id;
	reply.transaction_id = property_get(header.properties, PROPERTY_UNIQ_KEY);
	stub_begin_answer(conn, request, fault.fault == STUB_ANSWER_CODE ? fault.code : RESP_SUCCESS, &encoder);
	send_reply_encode(&encoder, &reply);
	stub_end_answer(conn, &encoder);
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
		stub_answer_pulls(stub);
	}
	return RESP_SUCCESS;
}

static void on_end(struct stub *stub, struct conn *conn, const struct command *request)
{
	struct fault fault = stub_take_fault(stub, STUB_END);
	struct end_transaction_header header;
	int code = RESP_SUCCESS;

	if (end_transaction_decode(request, &header, NULL) != ST_OK)
		stub_die("an END header is unreadable");
	if (header.tran_state_table_offset < 0 || (size_t)header.tran_state_table_offset >= stub->half_count ||
	    header.commit_log_offset != header.tran_state_table_offset)
		stub_die("END quotes offsets that were never given");
	struct half *half = &stub->halves[header.tran_state_table_offset];
	half->ends++;
	half->from_check += header.from_transaction_check;
	half->unknown += header.commit_or_rollback == TRANSACTION_UNKNOWN;
	if (!stub_carries_out(conn, request, fault))
		return;
	if (header.commit_or_rollback != TRANSACTION_UNKNOWN)
		code = decide(stub, half, header.commit_or_rollback);
	if (stub_answers(conn, fault) && !(stub->stock && header.commit_or_rollback == TRANSACTION_UNKNOWN))
		stub_answer(conn, request, code, code == RESP_SUCCESS ? "" : "decided before: the opposite, by operator bob");
}

void stub_serve(struct stub *stub, struct conn *conn, const struct command *request)
{
	switch (request->code) {
	case REQ_GET_ROUTEINFO_BY_TOPIC: on_route(stub, conn, request); break;
	case REQ_HEART_BEAT: on_heartbeat(stub, conn, request); break;
	case REQ_UNREGISTER_CLIENT:
		stub->counts.unregistered++;
		stub_answer(conn, request, RESP_SUCCESS, "");
		break;
	case REQ_SEND_MESSAGE_V2: on_send(stub, conn, request); break;
	case REQ_END_TRANSACTION: on_end(stub, conn, request); break;
	case REQ_GET_CONSUMER_LIST_BY_GROUP: on_members(stub, conn, request); break;
	default:
		if (!stub_serve_consumer(stub, conn, request))
			stub_answer(conn, request, RESP_REQUEST_CODE_NOT_SUPPORTED, "not a stub's business");
		break;
	}
}
