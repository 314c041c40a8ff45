/* Messages and halves: choose a queue, send, and act on what comes back as retry.h says. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "client-sdk/src/producer_internal.h"
#include "lib/base/clock.h"
#include "lib/wire/headers.h"
#include "lib/wire/properties.h"

enum { DEFAULT_QUEUES = 4 };

static void attempt(struct send_call *send);

/* --- the end, and waiting ------------------------------------------------------------------------------------- */

static void unlist(struct send_call *send)
{
	if (send->in_list)
		DL_DELETE(send->producer->waiting, send);
	send->in_list = false;
	loop_timer_stop(&send->timer);
}

static void finish(struct send_call *send)
{
	unlist(send);
	if (send->code != ESCROW_OK)
		send->err.outcome_unknown = send->may_be_stored;
	call_done(&send->call);
}

static void finish_with(struct send_call *send, enum escrow_code code, const char *reason)
{
	/* A failure of an attempt is more telling than the deadline that ended the attempts. */
	if (send->err.code != ESCROW_OK && code == ESCROW_TIMEOUT) {
		char last[ESCROW_ERROR_TEXT_SIZE];
		int broker_code = send->err.broker_code;

		snprintf(last, sizeof(last), "%s", send->err.text);
		send->code = sdk_fail(&send->err, code, "send to %s: deadline of %lld ms passed after %u attempts; last: %s",
				      send->message->topic, (long long)send->timeout_ms, send->attempts, last);
		send->err.broker_code = broker_code;
	} else {
		send->code = sdk_fail(&send->err, code, "send to %s: %s", send->message->topic, reason);
	}
	finish(send);
}

static void wait_over(void *context)
{
	struct send_call *send = context;

	unlist(send);
	attempt(send);
}

/* Until the pause is over, the route is there, or the deadline. */
static void wait_for(struct send_call *send, int64_t pause_ms)
{
	escrow_producer *producer = send->producer;
	int64_t left = send->deadline_ms - instance_now_ms(&producer->instance);

	DL_APPEND(producer->waiting, send);
	send->in_list = true;
	if (loop_timer_start(producer->instance.loop, &send->timer, pause_ms < left ? pause_ms : left < 0 ? 0 : left, false,
			     wait_over, send) != ST_OK)
		finish_with(send, ESCROW_NO_MEMORY, "no memory for a timer");
}

void sends_on_route(escrow_producer *producer, struct topic_route *route)
{
	struct send_call *send, *next;

	DL_FOREACH_SAFE(producer->waiting, send, next) {
		if (send->route == route && route->view != NULL && send->attempts == 0)
			wait_over(send);
	}
}

void sends_fail_all(escrow_producer *producer)
{
	struct send_call *send, *next;

	DL_FOREACH_SAFE(producer->waiting, send, next)
		finish_with(send, ESCROW_STOPPED, "the producer is being stopped");
}

/* --- an attempt's outcome ------------------------------------------------------------------------------------------ */

bool attempt_never_left(struct instance *instance, const char *address, bool stood, uint32_t disconnects)
{
	const struct broker *broker = brokers_find(instance->brokers, address);

	if (stood || (broker != NULL && broker->disconnects != disconnects) || broker == NULL)
		return false;
	if (client_connected(instance->client, address))
		return false;
	/* Still connecting: what waits there must not leave after all. */
	client_drop(instance->client, address);
	return true;
}

static bool is_idempotent(const struct send_call *send)
{
	const struct broker *broker = brokers_find(send->producer->instance.brokers, send->address);

	return broker != NULL && broker->idempotent;
}

static void attempt_failed(struct send_call *send, enum attempt_outcome outcome)
{
	enum retry_verdict verdict = retry_verdict(send->kind, outcome, is_idempotent(send));

	if (outcome == OUTCOME_UNKNOWN)
		send->may_be_stored = true;
	if (send->producer->failing_calls) {
		finish_with(send, ESCROW_STOPPED, "the producer is being stopped");
		return;
	}
	if (verdict == RETRY_NEVER) {
		send->code = send->err.code;
		finish(send);
		return;
	}
	if (verdict == RETRY_SAME_BROKER)
		send->pinned = true;
	else
		memcpy(send->avoid, send->broker_name, sizeof(send->avoid));
	count(&send->producer->counters.attempts_repeated);
	routes_refresh(send->route);
	wait_for(send, retry_pause_ms(send->attempts));
}

static void take_reply(struct send_call *send, const struct command *response)
{
	struct send_reply_header reply;
	struct host host;
	struct errinfo err;

	send->reply_code = response->code;
	if (send_reply_decode(response, &reply, &err) != ST_OK ||
	    span_to_cstr(reply.msg_id, send->offset_id, sizeof(send->offset_id)) != ST_OK ||
	    (send->kind == ATTEMPT_HALF && offset_msg_id_decode(reply.msg_id, &host, &send->half_offset) != ST_OK)) {
		send->may_be_stored = true;
		finish_with(send, ESCROW_PROTOCOL, "the broker's answer makes no sense");
		return;
	}
	send->queue_id = reply.queue_id;
	send->queue_offset = reply.queue_offset;
	send->code = ESCROW_OK;
	finish(send);
}

static void on_answer(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	struct send_call *send = context;
	struct instance *instance = &send->producer->instance;
	enum attempt_outcome outcome = OUTCOME_UNKNOWN;

	send->producer->calls_in_loop--;
	if (status != ST_OK) {
		if (attempt_never_left(instance, send->address, send->stood, send->disconnects))
			outcome = OUTCOME_NOT_DONE;
		sdk_fail(&send->err, status == ST_TIMEOUT ? ESCROW_TIMEOUT : ESCROW_UNREACHABLE, "send to %s: broker %s (%s): %s",
			 send->message->topic, send->broker_name, send->address,
			 outcome == OUTCOME_NOT_DONE ? "not reachable" : err->text);
		attempt_failed(send, outcome);
		return;
	}
	switch (response->code) {
	case RESP_SUCCESS:
	case RESP_FLUSH_DISK_TIMEOUT:
	case RESP_SLAVE_NOT_AVAILABLE:
	case RESP_FLUSH_SLAVE_TIMEOUT:
		take_reply(send, response);
		return;
	default:
		sdk_fail_response(&send->err, "send", send->broker_name, response->code, response->remark);
		attempt_failed(send, outcome_of_response(response->code));
	}
}

/* --- an attempt -------------------------------------------------------------------------------------------------------- */

static bool is_down(const struct send_call *send, const struct view_broker *broker)
{
	const char *address = view_broker_address(broker, MASTER_ID);
	const struct broker *known = address == NULL ? NULL : brokers_find(send->producer->instance.brokers, address);

	return strcmp(send->avoid, broker->name) == 0 || (known != NULL && known->failures > 0);
}

/* The next queue in turn, of a broker that is up if there is one; with an ordering key always the same queue. */
static const struct view_queue *choose_queue(struct send_call *send, const struct route_view *view)
{
	const char *key = escrow_message_property(send->message, PROPERTY_SHARDING_KEY);
	size_t count_all = view->publish_count;

	if (key != NULL)
		return &view->publish[(uint32_t)java_string_hash(span_of(key)) % count_all];
	size_t first = send->producer->next_queue++ % count_all;
	for (size_t i = 0; i < count_all; i++) {
		const struct view_queue *queue = &view->publish[(first + i) % count_all];

		if (!is_down(send, &view->brokers[queue->broker]))
			return queue;
	}
	return &view->publish[first];
}

/* Fills broker and queue of the attempt; false if there is none (yet). */
static bool choose_place(struct send_call *send)
{
	const struct route_view *view = send->route->view;

	/* What an earlier attempt left there stays there: the pin holds whatever the later ones say. */
	if (send->pinned) {
		const struct broker *broker = brokers_master(send->producer->instance.brokers, send->broker_name);

		if (broker == NULL)
			return false;
		memcpy(send->address, broker->address, sizeof(send->address));
		return true;
	}
	if (view == NULL || view->publish_count == 0)
		return false;
	const struct view_queue *queue = choose_queue(send, view);
	const struct view_broker *broker = &view->brokers[queue->broker];
	memcpy(send->broker_name, broker->name, sizeof(send->broker_name));
	memcpy(send->address, view_broker_address(broker, MASTER_ID), sizeof(send->address));
	send->queue_id = queue->queue_id;
	return true;
}

static void write_request(struct send_call *send, struct encoder *encoder)
{
	struct send_header header = {
		.producer_group = send->producer->group_span, .topic = span_of(send->message->topic),
		.default_topic = SPAN_LITERAL(TOPIC_AUTO_CREATE), .default_topic_queue_nums = DEFAULT_QUEUES,
		.queue_id = send->queue_id, .born_timestamp = clock_wall_ms(clock_system()),
		.sys_flag = send->kind == ATTEMPT_HALF ? SYSFLAG_TRANSACTION_PREPARED : 0,
		.properties = buffer_span(&send->properties), .max_reconsume_times = -1,
	};

	send_header_encode(encoder, REQ_SEND_MESSAGE_V2, &header);
	command_body(encoder);
	buffer_append(encoder->out, send->message->body, send->message->body_size);
}

static void transmit(struct send_call *send, int64_t left_ms)
{
	struct instance *instance = &send->producer->instance;
	const struct broker *broker = brokers_find(instance->brokers, send->address);
	struct errinfo err;

	send->attempts++;
	send->stood = client_connected(instance->client, send->address);
	send->disconnects = broker == NULL ? 0 : broker->disconnects;
	struct encoder *encoder = client_begin(instance->client, send->address, REQ_SEND_MESSAGE_V2, false, &err);
	if (encoder == NULL) {
		sdk_fail(&send->err, err.code == ST_BUSY ? ESCROW_BUSY : ESCROW_UNREACHABLE, "send to %s: broker %s: %s",
			 send->message->topic, send->broker_name, err.text);
		attempt_failed(send, OUTCOME_NOT_DONE);
		return;
	}
	write_request(send, encoder);
	send->producer->calls_in_loop++;
	client_send(instance->client,
		    attempt_timeout_ms(send->kind, is_idempotent(send), left_ms, send->producer->attempt_timeout_ms), on_answer,
		    send);
}

static void attempt(struct send_call *send)
{
	int64_t left = send->deadline_ms - instance_now_ms(&send->producer->instance);

	if (send->producer->failing_calls) {
		finish_with(send, ESCROW_STOPPED, "the producer is being stopped");
	} else if (left <= 0 && (send->route->view != NULL || send->attempts > 0)) {
		finish_with(send, ESCROW_TIMEOUT, "deadline passed");
	} else if (left <= 0) {
		finish_with(send, send->route->unreachable ? ESCROW_UNREACHABLE : ESCROW_NO_ROUTE,
			    send->route->unreachable ? "no name server answers" :
						       "the name servers know no broker for the topic, nor for creating it");
	} else if (!choose_place(send)) {
		wait_for(send, left); /* on_route ends it earlier. */
	} else {
		transmit(send, left);
	}
}

static void begin(struct letter *letter)
{
	struct send_call *send = (struct send_call *)letter;
	struct instance *instance = &send->producer->instance;

	send->deadline_ms = instance_now_ms(instance) + send->timeout_ms;
	send->route = routes_watch(instance->routes, send->message->topic, true);
	if (send->route == NULL) {
		send->code = sdk_fail(&send->err, ESCROW_BUSY, "send to %s: more than %d topics in use", send->message->topic,
				      ROUTE_TOPICS_MAX);
		finish(send);
		return;
	}
	attempt(send);
}

/* --- the application's side ------------------------------------------------------------------------------------------------ */

static enum escrow_code prepare_call(struct send_call *send, struct escrow_error *err)
{
	escrow_producer *producer = send->producer;
	char id[UNIQUE_ID_TEXT_SIZE];

	if (send->message->body_size > producer->body_max)
		return sdk_fail(err, ESCROW_INVALID, "send to %s: body of %zu bytes is over body_max (%zu)", send->message->topic,
				send->message->body_size, producer->body_max);
	pthread_mutex_lock(&producer->lock);
	unique_id_next(&producer->ids, clock_wall_ms(clock_system()), id);
	pthread_mutex_unlock(&producer->lock);
	memcpy(send->unique_key, id, sizeof(id));
	buffer_init(&send->properties, PROPERTIES_SIZE_MAX);
	message_append_properties(send->message, &send->properties);
	property_put(&send->properties, PROPERTY_UNIQ_KEY, span_of(id));
	property_put(&send->properties, PROPERTY_WAIT, SPAN_LITERAL("true"));
	if (send->kind == ATTEMPT_HALF) {
		property_put(&send->properties, PROPERTY_TRAN_MSG, SPAN_LITERAL("true"));
		property_put(&send->properties, PROPERTY_PGROUP, producer->group_span);
	}
	if (!send->properties.failed)
		return ESCROW_OK;
	return sdk_fail(err, ESCROW_INVALID, "send to %s: more than %d bytes of properties", send->message->topic,
			PROPERTIES_SIZE_MAX);
}

static enum escrow_code run(struct send_call *send, struct escrow_error *err)
{
	enum escrow_code code = prepare_call(send, err);

	if (code == ESCROW_OK) {
		call_init(&send->call, begin);
		call_wait(&send->producer->instance, &send->call);
		code = send->code;
		if (code != ESCROW_OK && err != NULL)
			*err = send->err;
	}
	buffer_deinit(&send->properties);
	return code;
}

enum escrow_code send_half(escrow_producer *producer, const escrow_message *message, int64_t deadline_ms,
			   struct send_call *send, struct escrow_error *err)
{
	*send = (struct send_call){ .producer = producer, .message = message, .kind = ATTEMPT_HALF,
				    .timeout_ms = producer_deadline(producer, deadline_ms) };
	return run(send, err);
}

enum escrow_code escrow_send(escrow_producer *producer, const escrow_message *message, int64_t deadline_ms,
			     struct escrow_send_result *result, struct escrow_error *err)
{
	if (producer == NULL || message == NULL)
		return sdk_fail(err, ESCROW_INVALID, "send: producer and message must not be NULL");
	enum escrow_code code = producer_enter(producer, err);
	if (code != ESCROW_OK)
		return code;
	struct send_call send = { .producer = producer, .message = message, .kind = ATTEMPT_PLAIN,
				  .timeout_ms = producer_deadline(producer, deadline_ms) };
	code = run(&send, err);
	producer_leave(producer);
	if (result != NULL) {
		*result = (struct escrow_send_result){ .queue_id = send.queue_id, .queue_offset = send.queue_offset,
						       .durable = code == ESCROW_OK && send.reply_code == RESP_SUCCESS };
		memcpy(result->message_id, send.unique_key, sizeof(result->message_id));
		memcpy(result->offset_id, send.offset_id, sizeof(result->offset_id));
		memcpy(result->broker_name, send.broker_name, sizeof(result->broker_name));
	}
	return code;
}
