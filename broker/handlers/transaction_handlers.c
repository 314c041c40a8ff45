/* END_TRANSACTION (37), RESUME_CHECK_HALF_MESSAGE (323), and CHECK_TRANSACTION_STATE (39), which the broker begins. */
#include <stdio.h>

#include "broker/core/clients.h"
#include "broker/core/store_address.h"
#include "broker/core/transactions.h"
#include "broker/handlers/handlers.h"
#include "lib/base/logging.h"
#include "lib/wire/headers.h"
#include "lib/wire/message.h"
#include "lib/wire/msgid.h"
#include "lib/wire/properties.h"

static enum status outcome_asked(int32_t commit_or_rollback, enum record_outcome *out)
{
	switch (commit_or_rollback) {
	case SYSFLAG_TRANSACTION_COMMIT: *out = OUTCOME_COMMIT; return ST_OK;
	case SYSFLAG_TRANSACTION_ROLLBACK: *out = OUTCOME_ROLLBACK; return ST_OK;
	case 0: *out = 0; return ST_OK;
	default: return ST_INVALID;
	}
}

enum status handle_end_transaction(struct handlers *handlers, const struct request *request)
{
	struct end_transaction_header header;
	struct outcome outcome = { 0 };
	enum record_outcome asked;

	if (end_transaction_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	if (outcome_asked(header.commit_or_rollback, &asked) != ST_OK) {
		char remark[96];

		snprintf(remark, sizeof(remark), "commitOrRollback=%d: neither commit (8), rollback (12) nor unknown (0)",
			 header.commit_or_rollback);
		handlers_refuse(handlers, request, RESP_INVALID_PARAMETER, remark);
		return ST_OK;
	}
	struct end_request end = {
		.group = header.producer_group, .half_queue_offset = (uint64_t)header.tran_state_table_offset,
		.half_offset = (uint64_t)header.commit_log_offset, .outcome = asked, .from_check = header.from_transaction_check,
		.transaction_id = header.transaction_id, .unique_key = header.msg_id, .conn_id = request->conn_id,
		.client_id = core_client_id(handlers->core, request->conn_id),
	};
	enum status status = core_end_transaction(handlers->core, &end, &outcome);
	return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
}

enum status handle_resume_check(struct handlers *handlers, const struct request *request)
{
	struct span id = command_field(request->command, "msgId");
	struct outcome outcome = { 0 };
	struct host host;
	int64_t half_offset;

	if (offset_msg_id_decode(id, &host, &half_offset) != ST_OK) {
		handlers_refuse(handlers, request, RESP_INVALID_PARAMETER, "msgId is not the offset id of a half message");
		return ST_OK;
	}
	enum status status = core_operator_decide(handlers->core, (uint64_t)half_offset, OUTCOME_RESUME,
						  SPAN_LITERAL("RESUME_CHECK_HALF_MESSAGE"), &outcome);
	return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
}

struct checked_half {
	struct record_half half;
	uint64_t queue_offset, log_offset;
	uint32_t attempts; /* Before this one. */
};

/* What RocketMQ's listeners find in a half that they are asked about: where it is meant to go, and which time they are asked.
 * A half that has no room for it shows none of it. */
static void put_check_properties(struct buffer *out, struct message *message, uint32_t times)
{
	struct span before = message->properties;
	static const char *const ours[] = { PROPERTY_REAL_TOPIC, PROPERTY_REAL_QID, PROPERTY_TRANSACTION_CHECK_TIMES, NULL };

	properties_copy(out, message->properties, ours);
	property_put(out, PROPERTY_REAL_TOPIC, message->topic);
	property_put_i64(out, PROPERTY_REAL_QID, message->queue_id);
	property_put_i64(out, PROPERTY_TRANSACTION_CHECK_TIMES, times);
	message->properties = buffer_span(out);
	if (message_check_limits(message, NULL) != ST_OK)
		message->properties = before;
}

/* The half as it would be delivered, but under its own name and not committed. */
static void put_checked_half(struct buffer *out, const struct checked_half *checked)
{
	struct message message;
	struct buffer properties;

	if (message_decode(checked->half.message, &message, NULL) != ST_OK) {
		buffer_append_span(out, checked->half.message); /* Its producer's own decoder is the one to complain. */
		return;
	}
	buffer_init(&properties, 0);
	put_check_properties(&properties, &message, checked->attempts + 1);
	message.sys_flag &= ~SYSFLAG_TRANSACTION_MASK;
	message.queue_offset = (int64_t)checked->queue_offset;
	message.physical_offset = (int64_t)checked->log_offset;
	message.prepared_transaction_offset = 0;
	size_t size = message_size(&message);
	uint8_t *record = buffer_reserve(out, size);
	if (record != NULL) {
		message_encode(&message, record);
		buffer_commit(out, size);
	}
	out->failed |= properties.failed;
	buffer_deinit(&properties);
}

static void encode_check(struct handlers *handlers, struct encoder *encoder, const struct checked_half *checked)
{
	struct host host = core_store_host(handlers->core);
	char offset_id[MSGID_TEXT_SIZE];
	struct check_transaction_header header = {
		.tran_state_table_offset = (int64_t)checked->queue_offset, .commit_log_offset = (int64_t)checked->log_offset,
		.msg_id = checked->half.unique_key, .transaction_id = checked->half.transaction_id,
		.topic = SPAN_LITERAL(TOPIC_HALF), .broker_name = span_of(handlers->broker_name),
	};

	offset_msg_id_encode(&host, (int64_t)checked->log_offset, offset_id);
	header.offset_msg_id = span_of(offset_id);
	check_transaction_encode(encoder, &header);
	command_body(encoder);
	put_checked_half(encoder->out, checked);
}

bool handlers_ask(struct handlers *handlers, uint64_t conn_id, uint64_t half_queue_offset, uint64_t half_offset)
{
	struct checked_half checked = { .queue_offset = half_queue_offset, .log_offset = half_offset };
	struct errinfo err;
	struct encoder encoder;

	if (handlers->replies.full != NULL && handlers->replies.full(handlers->replies.context, conn_id))
		return false;
	enum status status = core_stored_half(handlers->core, half_queue_offset, &checked.half, &checked.attempts, &err);
	if (status == ST_AGAIN)
		return false;
	uint32_t suppressed;
	if (status != ST_OK) {
		if (log_gate_pass(&handlers->unreadable_gate, core_now_ms(handlers->core), &suppressed))
			log_error("checkback", "half message unreadable", "offset=%llu reason=\"%s\" suppressed=%u",
				  (unsigned long long)half_offset, err.text, suppressed);
		return false;
	}
	struct buffer *out = handlers->replies.begin(handlers->replies.context, conn_id, 0);
	if (out == NULL)
		return false;
	handlers->next_opaque = (handlers->next_opaque + 1) & INT32_MAX;
	command_begin(&encoder, out, SERIALIZE_JSON, REQ_CHECK_TRANSACTION_STATE, handlers->next_opaque, COMMAND_ONEWAY, SPAN_NONE);
	encode_check(handlers, &encoder, &checked);
	answer_end(handlers, &encoder);
	return true;
}
