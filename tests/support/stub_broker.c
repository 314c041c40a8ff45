#include "tests/support/stub_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/wire/msgid.h"
#include "lib/wire/properties.h"

enum { WAIT_S = 20 };

/* A change that the test's thread asks for, made in the loop. */
struct order {
	struct letter letter;
	struct stub *stub;
	void (*run)(struct stub *stub, void *argument);
	void *argument;
	bool done;
};

/* --- the loop ----------------------------------------------------------------------------------------------------------------- */

static void on_frame(void *context, struct conn *conn, struct span frame)
{
	struct stub *stub = context;
	struct errinfo err;

	pthread_mutex_lock(&stub->lock);
	if (command_decode(frame, &stub->scratch, &stub->command, &err) != ST_OK)
		stub_die(err.text);
	if (!command_is_response(&stub->command))
		stub_serve(stub, conn, &stub->command);
	else if (stub->command.code == RESP_REQUEST_CODE_NOT_SUPPORTED)
		stub->counts.unknown_answered++;
	pthread_cond_broadcast(&stub->changed);
	pthread_mutex_unlock(&stub->lock);
}

/* Also called from server_destroy, inside of an order, which holds no lock then. */
static void on_close(void *context, struct conn *conn)
{
	struct stub *stub = context;

	pthread_mutex_lock(&stub->lock);
	stub->counts.connections_closed++;
	stub_forget_conn(stub, conn_id(conn));
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
		stub_die(err.text);
	stub->port = server_port(stub->server);
}

static void sweep(void *context)
{
	struct stub *stub = context;

	pthread_mutex_lock(&stub->lock);
	if (stub->server != NULL)
		stub_answer_pulls(stub);
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

/* --- the test's side ------------------------------------------------------------------------------------------------ */

/* A process that was killed has nothing left but its data: loop and thread are new after each start. */
static void start_thread(struct stub *stub)
{
	stub->loop = loop_create();
	stub->mailbox = mailbox_create(stub->loop);
	listen_now(stub);
	if (loop_timer_start(stub->loop, &stub->sweep, 50, true, sweep, stub) != ST_OK ||
	    pthread_create(&stub->thread, NULL, thread_main, stub) != 0)
		stub_die("cannot start");
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
		stub_die("no memory");
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

void stub_move(struct stub *stub)
{
	stop_thread(stub);
	stub->port = 0;
	start_thread(stub);
	snprintf(stub->address, sizeof(stub->address), "127.0.0.1:%u", stub->port);
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

void stub_add_slave(struct stub *stub, const char *address)
{
	pthread_mutex_lock(&stub->lock);
	snprintf(stub->slave_address, sizeof(stub->slave_address), "%s", address);
	pthread_mutex_unlock(&stub->lock);
}

void stub_forget_topic(struct stub *stub, const char *topic)
{
	pthread_mutex_lock(&stub->lock);
	snprintf(stub->forgotten_topic, sizeof(stub->forgotten_topic), "%s", topic);
	pthread_mutex_unlock(&stub->lock);
}

void stub_then(struct stub *stub, enum stub_kind kind, enum stub_fault fault, int times, int code)
{
	pthread_mutex_lock(&stub->lock);
	stub->next_faults[kind] = (struct fault){ fault, times, code };
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

void stub_half_property(struct stub *stub, size_t half, const char *name, char *out, size_t size)
{
	struct message message;

	pthread_mutex_lock(&stub->lock);
	const struct half *found = &stub->halves[half];
	if (message_decode((struct span){ found->record, found->size }, &message, NULL) != ST_OK)
		stub_die("a half is unreadable");
	struct span value = property_get(message.properties, name);
	snprintf(out, size, "%.*s", SPAN_ARGS(value));
	pthread_mutex_unlock(&stub->lock);
}

void stub_decide(struct stub *stub, size_t half, enum stub_decision decision)
{
	pthread_mutex_lock(&stub->lock);
	stub->halves[half].decision = decision;
	pthread_mutex_unlock(&stub->lock);
}

struct check_order {
	size_t half;
	const char *group; /* NULL: its own. */
	bool sent;
};

static void ask(struct stub *stub, void *argument)
{
	struct check_order *order = argument;
	struct half *half = &stub->halves[order->half];
	const char *group = order->group == NULL ? half->group : order->group;
	struct encoder encoder;
	struct check_transaction_header header = {
		.tran_state_table_offset = (int64_t)order->half, .commit_log_offset = (int64_t)order->half,
		.msg_id = span_of(half->id), .transaction_id = span_of(half->id), .topic = SPAN_LITERAL(TOPIC_HALF),
	};

	pthread_mutex_lock(&stub->lock);
	for (size_t i = 0; i < stub->member_count && !order->sent; i++) {
		struct conn *conn = server_find(stub->server, stub->members[i].conn);

		if (conn == NULL || !stub->members[i].producer || strcmp(stub->members[i].group, group) != 0)
			continue;
		command_begin(&encoder, conn_output(conn), SERIALIZE_JSON, REQ_CHECK_TRANSACTION_STATE, ++stub->next_opaque,
			      COMMAND_ONEWAY, SPAN_NONE);
		check_transaction_encode(&encoder, &header);
		command_body(&encoder);
		buffer_append(encoder.out, half->record, half->size);
		stub_end_answer(conn, &encoder);
		order->sent = true;
	}
	pthread_mutex_unlock(&stub->lock);
}

bool stub_check_by(struct stub *stub, size_t half, const char *group)
{
	struct check_order order = { .half = half, .group = group };

	in_loop(stub, ask, &order);
	return order.sent;
}

bool stub_check(struct stub *stub, size_t half)
{
	return stub_check_by(stub, half, NULL);
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
	stub_store(stub, (struct message){ .body = order->body, .topic = span_of(order->topic), .properties = buffer_span(&properties),
				      .sys_flag = order->compressed ? SYSFLAG_COMPRESSED : 0 }, order->queue);
	stub_answer_pulls(stub);
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
	const struct position *position = stub_find_position(stub, group, topic, queue, false);
	int64_t offset = position == NULL ? -1 : position->offset;
	pthread_mutex_unlock(&stub->lock);
	return offset;
}

void stub_set_position(struct stub *stub, const char *group, const char *topic, int queue, int64_t offset)
{
	pthread_mutex_lock(&stub->lock);
	stub_find_position(stub, group, topic, queue, true)->offset = offset;
	pthread_mutex_unlock(&stub->lock);
}

static void answer_pulls(struct stub *stub, void *argument)
{
	(void)argument;
	pthread_mutex_lock(&stub->lock);
	stub_answer_pulls(stub);
	pthread_mutex_unlock(&stub->lock);
}

void stub_reset(struct stub *stub, const char *group, const char *topic, int queue, int64_t offset)
{
	pthread_mutex_lock(&stub->lock);
	struct position *position = stub_find_position(stub, group, topic, queue, true);
	position->offset = offset;
	position->reset = true;
	pthread_mutex_unlock(&stub->lock);
	in_loop(stub, answer_pulls, NULL);
}

static void ask_unknown(struct stub *stub, void *argument)
{
	(void)argument;
	pthread_mutex_lock(&stub->lock);
	for (size_t i = 0; i < stub->member_count; i++) {
		struct conn *conn = server_find(stub->server, stub->members[i].conn);
		struct encoder encoder;

		if (conn == NULL)
			continue;
		command_begin(&encoder, conn_output(conn), SERIALIZE_JSON, REQ_GET_CONSUMER_RUNNING_INFO, ++stub->next_opaque, 0,
			      SPAN_NONE);
		stub_end_answer(conn, &encoder);
		stub->counts.unknown_asked++;
	}
	pthread_mutex_unlock(&stub->lock);
}

static bool all_answered(const struct stub *stub, void *context)
{
	(void)context;
	return stub->counts.unknown_asked == stub->counts.unknown_answered;
}

bool stub_ask_unknown(struct stub *stub)
{
	in_loop(stub, ask_unknown, NULL);
	return stub_wait(stub, all_answered, NULL);
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
		stub_end_answer(conn, &encoder);
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

void stub_forget_members(struct stub *stub)
{
	pthread_mutex_lock(&stub->lock);
	stub->members_forgotten = true;
	snprintf(stub->other_member, sizeof(stub->other_member), "somebody");
	pthread_mutex_unlock(&stub->lock);
	in_loop(stub, notify, NULL);
}

void stub_repeat_messages(struct stub *stub)
{
	pthread_mutex_lock(&stub->lock);
	stub->messages_repeated = true;
	pthread_mutex_unlock(&stub->lock);
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
