/* Consuming by POP: POP_MESSAGE (200050), ACK_MESSAGE (200051), PEEK_MESSAGE (200052), CHANGE_MESSAGE_INVISIBLETIME (200053),
 * NOTIFICATION (200054), POLLING_INFO (200055), BATCH_ACK_MESSAGE (200151). */
#include "broker/core/pop.h"
#include "broker/core/pop_waits.h"
#include "broker/handlers/handlers.h"
#include "lib/wire/body_pop.h"
#include "lib/wire/headers.h"

/* --- giving out ---------------------------------------------------------------------------------------------------------- */

/* RocketMQ's clients read the numbers of every answer to a pop, of a refusal too. */
static void answer_pop(struct handlers *handlers, const struct request *request, int32_t code, const char *remark,
		       const struct pop_request *pop, const struct pop_result *result, uint64_t wait_offset)
{
	struct encoder encoder;
	struct pop_reply_header header = {
		.pop_ms = result->pop_ms, .invisible_ms = pop->invisible_ms, .revive_queue_id = pop->order ? POP_REVIVE_IN_ORDER : 0,
		.rest = (int64_t)result->rest,
	};

	if (answer_begin(handlers, request, code, wait_offset, span_of(remark), &encoder) == NULL)
		return;
	if (code == RESP_SUCCESS) {
		header.start_info = result->start_info;
		header.offset_info = result->offset_info;
		header.order_info = result->order_info;
	}
	pop_reply_encode(&encoder, &header);
	if (code == RESP_SUCCESS) {
		command_body(&encoder);
		buffer_append_span(encoder.out, result->body);
	}
	answer_end(handlers, &encoder);
}

static void refuse_pop(struct handlers *handlers, const struct request *request, const struct pop_request *pop,
		       const struct outcome *outcome)
{
	answer_pop(handlers, request, outcome->code, outcome->err.text, pop, &(struct pop_result){ 0 }, outcome->wait_offset);
}

static bool wait_for_it(struct handlers *handlers, const struct request *request, const struct pop_request *pop, bool notification)
{
	struct pop_wait wait = {
		.request = *pop, .notification = notification, .conn_id = request->conn_id, .opaque = request->command->opaque,
		.serialize_type = request->command->serialize_type,
	};

	return pop_waits_add(handlers->core, &wait);
}

enum status handle_pop(struct handlers *handlers, const struct request *request)
{
	struct pop_header header;
	struct pop_request pop = { 0 };
	struct pop_result result = { 0 };
	struct outcome outcome = { 0 };

	if (pop_header_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_prepare_pop(handlers->core, &header, &pop, &outcome);
	if (status == ST_OK)
		status = core_pop(handlers->core, &pop, &result, &outcome);
	if (status == ST_AGAIN)
		return status;
	if (status != ST_OK)
		refuse_pop(handlers, request, &pop, &outcome);
	else if (result.count > 0)
		answer_pop(handlers, request, RESP_SUCCESS, "FOUND", &pop, &result, outcome.wait_offset);
	else if (pop.wait_ms <= 0 || result.unseen)
		answer_pop(handlers, request, RESP_POLLING_TIMEOUT, "NO_MESSAGE_IN_QUEUE", &pop, &result, 0);
	else if (!wait_for_it(handlers, request, &pop, false))
		answer_pop(handlers, request, RESP_POLLING_FULL, "NO_MESSAGE_IN_QUEUE", &pop, &result, 0);
	return ST_OK;
}

enum status handle_peek(struct handlers *handlers, const struct request *request)
{
	struct pop_header header;
	struct pop_request pop = { 0 };
	struct pop_result result = { 0 };
	struct outcome outcome = { 0 };

	if (pop_header_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_prepare_pop(handlers->core, &header, &pop, &outcome);
	pop.peek = true;
	if (status == ST_OK)
		status = core_pop(handlers->core, &pop, &result, &outcome);
	if (status == ST_AGAIN)
		return status;
	if (status != ST_OK)
		refuse_pop(handlers, request, &pop, &outcome);
	else if (result.count > 0)
		answer_pop(handlers, request, RESP_SUCCESS, "FOUND", &pop, &result, 0);
	else
		answer_pop(handlers, request, RESP_PULL_NOT_FOUND, "NO_MESSAGE_IN_QUEUE", &pop, &result, 0);
	return ST_OK;
}

/* --- waiting ------------------------------------------------------------------------------------------------------------- */

static void answer_notification(struct handlers *handlers, const struct request *request, bool has_message, bool full)
{
	struct encoder encoder;

	if (answer_begin(handlers, request, RESP_SUCCESS, 0, SPAN_NONE, &encoder) == NULL)
		return;
	command_put_bool(&encoder, "hasMsg", has_message);
	command_put_bool(&encoder, "pollingFull", full);
	answer_end(handlers, &encoder);
}

enum status handle_notification(struct handlers *handlers, const struct request *request)
{
	struct pop_header header;
	struct pop_request pop = { 0 };
	struct outcome outcome = { 0 };

	if (pop_header_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_prepare_pop(handlers->core, &header, &pop, &outcome);
	if (status != ST_OK)
		return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
	if (core_pop_has_message(handlers->core, &pop))
		answer_notification(handlers, request, true, false);
	else if (pop.wait_ms <= 0)
		answer_notification(handlers, request, false, false);
	else if (!wait_for_it(handlers, request, &pop, true))
		answer_notification(handlers, request, false, true);
	return ST_OK;
}

static bool notification_ready(struct handlers *handlers, const struct request *request, const struct pop_wait *wait, bool expired)
{
	bool has_message = core_pop_has_message(handlers->core, &wait->request);

	if (has_message || expired)
		answer_notification(handlers, request, has_message, false);
	return has_message || expired;
}

bool handlers_pop_ready(struct handlers *handlers, const struct pop_wait *wait, bool expired)
{
	struct command command = { .opaque = wait->opaque, .serialize_type = wait->serialize_type };
	struct request request = { .command = &command, .conn_id = wait->conn_id };
	struct pop_result result;
	struct outcome outcome = { 0 };

	if (wait->notification)
		return notification_ready(handlers, &request, wait, expired);
	enum status status = core_pop(handlers->core, &wait->request, &result, &outcome);
	if (status == ST_OK && result.count == 0 && !result.unseen && !expired)
		return false;
	if (status == ST_OK && result.count > 0)
		answer_pop(handlers, &request, RESP_SUCCESS, "FOUND", &wait->request, &result, outcome.wait_offset);
	else if (status == ST_OK || status == ST_AGAIN) /* On disk only: let it ask anew, that request can wait for the disk. */
		answer_pop(handlers, &request, RESP_POLLING_TIMEOUT, "NO_MESSAGE_IN_QUEUE", &wait->request, &result, 0);
	else
		refuse_pop(handlers, &request, &wait->request, &outcome);
	return true;
}

enum status handle_polling_info(struct handlers *handlers, const struct request *request)
{
	struct pop_header header;
	struct pop_request pop;
	struct outcome outcome = { 0 };
	struct encoder encoder;

	if (pop_header_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_prepare_pop(handlers->core, &header, &pop, &outcome);
	if (status != ST_OK)
		return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
	if (answer_begin(handlers, request, RESP_SUCCESS, 0, SPAN_NONE, &encoder) == NULL)
		return ST_OK;
	command_put_i64(&encoder, "pollingNum", (int64_t)pop_waits_count(handlers->core, pop.topic_id, pop.group_id, pop.queue_id));
	answer_end(handlers, &encoder);
	return ST_OK;
}

/* --- settling ------------------------------------------------------------------------------------------------------------ */

static enum status decode_handle(const struct request *request, struct pop_ack_header *header, struct pop_handle *out,
				 struct errinfo *err)
{
	enum status status = pop_ack_decode(request->command, header, err);

	if (status != ST_OK)
		return status;
	*out = (struct pop_handle){ .group = header->consumer_group, .topic = header->topic, .queue_id = header->queue_id,
				    .offset = header->offset };
	return pop_handle_parse(header->extra_info, out, err);
}

enum status handle_pop_ack(struct handlers *handlers, const struct request *request)
{
	struct pop_ack_header header;
	struct pop_handle handle;
	struct outcome outcome = { 0 };

	if (decode_handle(request, &header, &handle, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_pop_ack(handlers->core, &handle, &outcome);
	return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
}

enum status handle_pop_change(struct handlers *handlers, const struct request *request)
{
	struct pop_ack_header header;
	struct pop_handle handle;
	struct pop_changed changed;
	struct outcome outcome = { 0 };
	struct encoder encoder;

	if (decode_handle(request, &header, &handle, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_pop_change(handlers->core, &handle, header.invisible_ms, &changed, &outcome);
	if (status != ST_OK)
		return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
	if (answer_begin(handlers, request, RESP_SUCCESS, outcome.wait_offset, SPAN_NONE, &encoder) == NULL)
		return ST_OK;
	command_put_i64(&encoder, "popTime", changed.pop_ms);
	command_put_i64(&encoder, "invisibleTime", changed.invisible_ms);
	command_put_i64(&encoder, "reviveQid", handle.order ? POP_REVIVE_IN_ORDER : 0);
	answer_end(handlers, &encoder);
	return ST_OK;
}

/* The topic that messages were taken from: the named one, or the group's retry topic for it. */
static struct span topic_of(const struct batch_ack *ack, uint8_t text[LONG_TOPIC_NAME_MAX])
{
	return span_is(ack->retry, "1") ? pop_retry_name(ack->consumer_group, ack->topic, text) : ack->topic;
}

enum status handle_pop_ack_batch(struct handlers *handlers, const struct request *request)
{
	struct batch_ack_body body;
	struct outcome outcome = { 0 };
	uint64_t wait_offset = 0;
	enum status status = ST_OK;

	if (batch_ack_body_decode(request->command->body, &body, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	if (body.ack_count == 0)
		handlers_refuse(handlers, request, RESP_NO_MESSAGE, "the body names no acks");
	/* Run again after ST_AGAIN, those that are done are passed over. */
	for (size_t i = 0; i < body.ack_count && status == ST_OK; i++) {
		const struct batch_ack *ack = &body.acks[i];
		uint8_t text[LONG_TOPIC_NAME_MAX];
		struct pop_handle handle = {
			.group = ack->consumer_group, .topic = topic_of(ack, text), .queue_id = ack->queue_id, .offset = ack->start_offset,
			.pop_ms = ack->pop_ms, .invisible_ms = ack->invisible_ms > 0 ? ack->invisible_ms : 0,
			.order = ack->revive_queue_id == POP_REVIVE_IN_ORDER,
		};

		status = core_pop_ack_batch(handlers->core, &handle, ack->bits, &outcome);
		if (outcome.wait_offset > wait_offset)
			wait_offset = outcome.wait_offset;
	}
	outcome.wait_offset = wait_offset;
	if (status != ST_AGAIN && body.ack_count > 0)
		(void)answer_outcome(handlers, request, &outcome);
	batch_ack_body_free(&body);
	return status == ST_AGAIN ? status : ST_OK;
}
