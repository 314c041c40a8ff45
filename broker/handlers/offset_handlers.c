/* Consumers' offsets (14, 15) and positions of queues (29, 30, 31, 32). */
#include "broker/core/progress.h"
#include "broker/handlers/handlers.h"
#include "lib/wire/headers.h"

static enum status answer_number(struct handlers *handlers, const struct request *request, const char *name, int64_t value,
				 uint64_t wait_offset)
{
	struct encoder encoder;

	if (answer_begin(handlers, request, RESP_SUCCESS, wait_offset, SPAN_NONE, &encoder) != NULL) {
		command_put_i64(&encoder, name, value);
		answer_end(handlers, &encoder);
	}
	return ST_OK;
}

enum status handle_query_offset(struct handlers *handlers, const struct request *request)
{
	struct consumer_offset_header header;
	struct outcome outcome = { 0 };
	int64_t offset;

	if (query_consumer_offset_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	if (core_query_offset(handlers->core, header.consumer_group, header.topic, header.queue_id,
			      header.set_zero_if_not_found, &offset, &outcome) != ST_OK)
		return answer_outcome(handlers, request, &outcome);
	return answer_number(handlers, request, "offset", offset, outcome.wait_offset);
}

enum status handle_update_offset(struct handlers *handlers, const struct request *request)
{
	struct consumer_offset_header header;
	struct outcome outcome = { 0 };

	if (update_consumer_offset_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_update_offset(handlers->core, header.consumer_group, header.topic, header.queue_id,
						header.commit_offset, !command_is_oneway(request->command), &outcome);
	return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
}

/* Of a topic or queue that is not there RocketMQ says what it says of an empty one, and its tools count on it. */
static enum status answer_position(struct handlers *handlers, const struct request *request, enum status status,
				   const struct outcome *outcome, const char *name, int64_t found, int64_t none)
{
	if (status == ST_AGAIN)
		return status;
	if (status != ST_OK && outcome->code != RESP_TOPIC_NOT_EXIST && outcome->code != RESP_INVALID_PARAMETER)
		return answer_outcome(handlers, request, outcome);
	return answer_number(handlers, request, name, status == ST_OK ? found : none, 0);
}

enum status handle_search_offset(struct handlers *handlers, const struct request *request)
{
	struct queue_header header;
	struct outcome outcome = { 0 };
	uint64_t offset = 0;

	if (search_offset_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_search_offset(handlers->core, header.topic, header.queue_id, header.timestamp,
						header.boundary_upper, &offset, &outcome);
	return answer_position(handlers, request, status, &outcome, "offset", (int64_t)offset, 0);
}

static enum status answer_range(struct handlers *handlers, const struct request *request, bool max)
{
	struct queue_header header;
	struct queue_range range;
	struct outcome outcome = { 0 };

	if (queue_header_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_queue_range(handlers->core, header.topic, header.queue_id, &range, &outcome);
	return answer_position(handlers, request, status, &outcome, "offset",
			       (int64_t)(max ? range.max_offset : range.min_offset), 0);
}

enum status handle_max_offset(struct handlers *handlers, const struct request *request)
{
	return answer_range(handlers, request, true);
}

enum status handle_min_offset(struct handlers *handlers, const struct request *request)
{
	return answer_range(handlers, request, false);
}

enum status handle_earliest_time(struct handlers *handlers, const struct request *request)
{
	struct queue_header header;
	struct outcome outcome = { 0 };
	int64_t time_ms;

	if (queue_header_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_earliest_time(handlers->core, header.topic, header.queue_id, &time_ms, &outcome);
	return answer_position(handlers, request, status, &outcome, "timestamp", time_ms, -1);
}
