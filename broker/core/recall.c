#include "broker/core/recall.h"

#include <inttypes.h>
#include <string.h>

#include "broker/core/apply.h"
#include "broker/core/state.h"
#include "broker/core/timers.h"
#include "lib/wire/message.h"
#include "lib/wire/names.h"
#include "lib/wire/properties.h"
#include "lib/wire/recall_handle.h"

uint32_t recall_hash(const struct core *core, struct span topic, struct span unique_key)
{
	uint32_t hash = (uint32_t)core_resend_name(core, topic, unique_key).lo;

	return hash == 0 ? 1 : hash;
}

uint32_t recall_hash_of_message(const struct core *core, struct span topic, struct span message)
{
	struct known_properties known;
	struct message decoded;

	if (message_decode(message, &decoded, NULL) != ST_OK)
		return 0;
	properties_scan(decoded.properties, &known);
	/* Retries are consumers' business: RocketMQ gives no handle for them either. */
	if (known.timer_out_ms.size == 0 || known.uniq_key.size == 0 || topic_is_retry(topic))
		return 0;
	return recall_hash(core, topic, known.uniq_key);
}

/* Is the entry's message the one that is meant? The hash alone does not say so. ST_NOTFOUND: no. */
static enum status is_meant(struct core *core, const struct delayed *entry, struct span topic, struct span unique_key,
			    int64_t out_ms, struct errinfo *err)
{
	struct stored_body body = { 0 };
	struct record_message record;
	struct message message;
	struct known_properties known;
	int64_t out;

	if (entry->transactional || !span_equal(entry->topic->name, topic))
		return ST_NOTFOUND;
	enum status status = core_read_body(core, entry->body_offset, &body, err);
	if (status == ST_OK)
		status = body.kind == LOG_MESSAGE ? record_message_decode(body.payload, &record, err) : ST_NOTFOUND;
	if (status == ST_OK)
		status = message_decode(record.message, &message, err);
	if (status != ST_OK)
		return status;
	properties_scan(message.properties, &known);
	return span_equal(known.uniq_key, unique_key) && span_to_i64(known.timer_out_ms, &out) == ST_OK && out == out_ms
		       ? ST_OK
		       : ST_NOTFOUND;
}

static enum status find_meant(struct core *core, struct span topic, struct span unique_key, int64_t out_ms,
			      struct delayed *out, struct errinfo *err)
{
	struct hash_cursor cursor = delays_look(&core->delays, recall_hash(core, topic, unique_key));
	enum status status = ST_NOTFOUND;

	while (status == ST_NOTFOUND && delays_find(&core->delays, &cursor, out))
		status = is_meant(core, out, topic, unique_key, out_ms, err);
	return status;
}

static enum status cancel(struct core *core, const struct delayed *entry, struct span topic, struct span unique_key,
			  struct span who, struct outcome *outcome)
{
	struct record_timer_cancel r = { .source_offset = entry->naming_offset, .when_ms = core_store_time(core), .who = who,
					 .topic = topic, .unique_key = unique_key };
	size_t size = record_timer_cancel_size(&r);
	struct placed at = { .size = (uint32_t)commitlog_record_size(size) };
	uint8_t *payload = room_begin(core, ROOM_PROGRESS, LOG_TIMER_CANCEL, size, &at.offset);

	if (payload == NULL)
		return core_no_room(core, size, outcome);
	record_timer_cancel_encode(&r, payload);
	commitlog_commit(core->log);
	if (apply_timer_cancel(core, &at, &r, &outcome->err) != ST_OK)
		core_state_broken(core, &outcome->err);
	return ST_OK;
}

enum status recall_named(struct core *core, struct span topic, struct span unique_key, int64_t out_ms, struct span client_id,
			 uint32_t *count_out, struct outcome *outcome)
{
	struct span who = client_id.size < 256 ? client_id : SPAN_NONE;
	struct delayed entry;
	enum status status;

	/* One at a time: a resend of the message may wait too. What is done when a later one needs a read stays done. */
	for (*count_out = 0; (status = find_meant(core, topic, unique_key, out_ms, &entry, &outcome->err)) == ST_OK; ++*count_out) {
		status = cancel(core, &entry, topic, unique_key, who, outcome);
		if (status != ST_OK)
			return status;
	}
	if (status == ST_AGAIN)
		return status;
	if (status != ST_NOTFOUND)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "recall failed, execute error: %s", outcome->err.text);
	/* By another recall. */
	return core_accept_as_known(core, outcome);
}

static enum status check_handle(const struct core *core, const struct recall_request *request,
				const struct recall_handle *handle, struct outcome *outcome)
{
	int64_t left = handle->timestamp_ms - core->wall_ms;

	if (!span_equal(request->topic, handle->topic))
		return core_refuse(outcome, RESP_ILLEGAL_OPERATION, "recall failed, topic not match");
	if (!span_is(handle->broker_name, core->config.broker_name))
		return core_refuse(outcome, RESP_ILLEGAL_OPERATION, "recall failed, broker service not available");
	if (handle->timestamp_ms < 0 || left <= 0 || left >= core->config.timer_max_delay_ms ||
	    handle->unique_key.size >= RECALL_KEY_MAX)
		return core_refuse(outcome, RESP_ILLEGAL_OPERATION, "recall failed, timestamp invalid");
	return ST_OK;
}

enum status core_recall(struct core *core, const struct recall_request *request, char key_out[RECALL_KEY_MAX],
			struct outcome *outcome)
{
	uint8_t raw[RECALL_HANDLE_RAW_MAX];
	struct recall_handle handle = { .timestamp_ms = -1 };
	uint32_t count;

	if (!core->config.recall)
		return core_refuse(outcome, RESP_NO_PERMISSION, "recall failed, operation is forbidden");
	if (topics_find(core->topics, request->topic) == NULL)
		return core_refuse(outcome, RESP_TOPIC_NOT_EXIST, "recall failed, the topic[%.*s] not exist",
				   SPAN_ARGS(request->topic));
	if (recall_handle_parse(request->handle, raw, &handle, &outcome->err) != ST_OK)
		return core_refuse_as(outcome, RESP_ILLEGAL_OPERATION);
	enum status status = check_handle(core, request, &handle, outcome);
	if (status == ST_OK)
		status = recall_named(core, handle.topic, handle.unique_key, handle.timestamp_ms - 1, request->client_id, &count, outcome);
	if (status != ST_OK)
		return status;
	memcpy(key_out, handle.unique_key.data, handle.unique_key.size);
	key_out[handle.unique_key.size] = '\0';
	return ST_OK;
}

enum status recall_by_message(struct core *core, struct span topic, struct span del_key, const struct wanted_time *wanted,
			      struct span client_id, struct outcome *outcome)
{
	uint32_t count;

	if (wanted->by != WANTED_BY_TIMER)
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL,
				   "timer message illegal, a message that recalls another (TIMER_DEL_UNIQKEY) names the time of that one, which is "
				   "to come");
	/* "topic+key" since 5.1; the key alone before. */
	if (del_key.size > topic.size + 1 && memcmp(del_key.data, topic.data, topic.size) == 0 && del_key.data[topic.size] == '+')
		del_key = (struct span){ del_key.data + topic.size + 1, del_key.size - topic.size - 1 };
	return recall_named(core, topic, del_key, wanted->out_ms, client_id, &count, outcome);
}
