/* PULL_MESSAGE (11), LITE_PULL_MESSAGE (361), long polls, VIEW_MESSAGE_BY_ID (33). */
#include "broker/core/holds.h"
#include "broker/core/progress.h"
#include "broker/core/pull.h"
#include "broker/core/stored.h"
#include "broker/handlers/handlers.h"
#include "lib/wire/headers.h"

static void answer_pull(struct handlers *handlers, const struct request *request, const struct pull_result *result)
{
	struct encoder encoder;
	struct pull_reply_header header = {
		.next_begin_offset = (int64_t)result->next_offset, .min_offset = (int64_t)result->min_offset,
		.max_offset = (int64_t)result->max_offset, .forbidden_type = -1,
	};

	struct buffer *out = answer_begin(handlers, request, result->code, 0, span_of(result->remark), &encoder);
	if (out == NULL)
		return;
	pull_reply_encode(&encoder, &header);
	command_body(&encoder);
	core_pull_copy(handlers->core, result, out);
	answer_end(handlers, &encoder);
}

enum status handle_pull(struct handlers *handlers, const struct request *request)
{
	const struct command *command = request->command;
	struct pull_header header;
	struct pull_request pull;
	struct pull_result result;
	struct outcome outcome = { 0 };

	if (pull_header_decode(command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	if (request->again)
		header.sys_flag &= ~PULL_COMMIT_OFFSET; /* Taken the first time; a newer word may have come since. */
	enum status status = core_prepare_pull(handlers->core, &header, &pull, &outcome);
	if (status == ST_OK)
		status = core_pull(handlers->core, &pull, &result, &outcome);
	if (status == ST_AGAIN)
		return status;
	if (status != ST_OK)
		return answer_outcome(handlers, request, &outcome);
	bool wait = result.code == RESP_PULL_NOT_FOUND && (header.sys_flag & PULL_SUSPEND) != 0 && header.suspend_timeout_ms > 0;
	if (wait && core_hold_pull(handlers->core, &pull, request->conn_id, command->opaque, command->serialize_type,
				   header.suspend_timeout_ms))
		return ST_OK;
	answer_pull(handlers, request, &result);
	return ST_OK;
}

void handlers_hold_ready(struct handlers *handlers, const struct hold *hold, bool expired)
{
	struct command command = { .opaque = hold->opaque, .serialize_type = hold->serialize_type };
	struct request request = { .command = &command, .conn_id = hold->conn_id };
	struct pull_result result;
	struct outcome outcome = { 0 };

	(void)expired;
	enum status status = core_pull(handlers->core, &hold->pull, &result, &outcome);
	if (status == ST_AGAIN) {
		/* On disk only: let the consumer ask anew, that request can wait for the disk. */
		result = (struct pull_result){ .code = RESP_PULL_RETRY_IMMEDIATELY, .remark = "NO_MATCHED_MESSAGE",
					       .next_offset = hold->pull.offset, .min_offset = result.min_offset,
					       .max_offset = result.max_offset };
		status = ST_OK;
	}
	if (status == ST_OK)
		answer_pull(handlers, &request, &result);
	else
		(void)answer_outcome(handlers, &request, &outcome);
}

enum status handle_view_message(struct handlers *handlers, const struct request *request)
{
	struct view_message_header header;
	struct stored_message stored;
	struct outcome outcome = { 0 };
	struct encoder encoder;

	if (view_message_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_stored_message(handlers->core, (uint64_t)header.offset, &stored, &outcome.err);
	if (status == ST_NOTFOUND)
		status = core_half_view(handlers->core, (uint64_t)header.offset, &stored, &outcome.err);
	if (status == ST_AGAIN)
		return status;
	if (status != ST_OK) {
		handlers_refuse(handlers, request, RESP_SYSTEM_ERROR, outcome.err.text);
		return ST_OK;
	}
	struct buffer *out = answer_begin_body(handlers, request, &encoder);
	if (out == NULL)
		return ST_OK;
	uint8_t *at = buffer_reserve(out, message_size(&stored.message));
	if (at != NULL)
		buffer_commit(out, message_encode(&stored.message, at));
	answer_end(handlers, &encoder);
	return ST_OK;
}
