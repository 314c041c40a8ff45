#include "broker/core/produce.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/apply.h"
#include "broker/core/recall.h"
#include "broker/core/settings.h"
#include "broker/core/state.h"
#include "broker/core/store_address.h"
#include "broker/core/stored.h"
#include "broker/core/timers.h"
#include "lib/wire/msgid.h"
#include "lib/wire/names.h"
#include "lib/wire/properties.h"

/* One message on its way into the log. */
struct incoming {
	struct topic *topic;
	uint32_t queue_id;
	struct wanted_time wanted;
	int32_t tag_hash;
	struct message message;
};

struct host core_store_host(const struct core *core)
{
	return host_ipv4(core->config.store_ipv4, (int32_t)core->config.store_port);
}

/* --- properties ---------------------------------------------------------------------------------------- */

static int64_t number_or(struct span text, int64_t def)
{
	int64_t value;

	return text.size > 0 && span_to_i64(text, &value) == ST_OK ? value : def;
}

/* The stored properties into core->properties. */
static enum status build_properties(struct core *core, struct span properties, const struct known_properties *known,
				    struct span unique_key, bool half, const struct incoming *in, struct outcome *outcome)
{
	struct buffer *out = &core->properties;

	buffer_reset(out);
	properties_copy(out, properties, timers_taken_off(&in->wanted, half));
	timers_put_properties(core, &in->wanted, half, in->topic->name, in->queue_id, out);
	if (known->uniq_key.size == 0)
		property_put(out, PROPERTY_UNIQ_KEY, unique_key);
	if (half)
		property_put(out, PROPERTY_TRANSACTION_ID, unique_key);
	property_put(out, PROPERTY_MSG_REGION, SPAN_LITERAL("DefaultRegion"));
	property_put(out, PROPERTY_TRACE_ON, SPAN_LITERAL("true"));
	property_put(out, PROPERTY_CLUSTER, span_of(core->config.cluster_name));
	if (out->failed || buffer_size(out) > MESSAGE_PROPERTIES_MAX)
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL,
				   "the message is illegal: its properties are over %d bytes", MESSAGE_PROPERTIES_MAX);
	return ST_OK;
}

/* The message's UNIQ_KEY, or one made from where it will be stored. */
static struct span unique_key_of(struct core *core, const struct known_properties *known, char out[SEND_UNIQUE_KEY_MAX])
{
	if (known->uniq_key.size > 0 && known->uniq_key.size < SEND_UNIQUE_KEY_MAX) {
		memcpy(out, known->uniq_key.data, known->uniq_key.size);
		out[known->uniq_key.size] = '\0';
		return known->uniq_key;
	}
	struct host host = core_store_host(core);
	char id[MSGID_TEXT_SIZE];
	offset_msg_id_encode(&host, (int64_t)commitlog_appended(core->log), id);
	snprintf(out, SEND_UNIQUE_KEY_MAX, "%s", id);
	return span_of(out);
}

/* --- checks --------------------------------------------------------------------------------------------- */

static enum status check_topic(struct core *core, const struct send_request *request, struct topic **topic_out,
			       struct outcome *outcome)
{
	if (topic_name_check(request->topic, &outcome->err) != ST_OK)
		return core_refuse_as(outcome, RESP_INVALID_PARAMETER);
	if (topic_is_unsendable(request->topic))
		return core_refuse(outcome, RESP_NO_PERMISSION, "Sending message to topic[%.*s] is forbidden",
				   SPAN_ARGS(request->topic));
	enum status status = settings_topic_for_send(core, request->topic, request->default_topic,
						     request->default_topic_queue_nums, request->unit_mode, topic_out, outcome);
	if (status != ST_OK)
		return status;
	/* As in RocketMQ, others are sent elsewhere by their routes and may send until they know. */
	if ((*topic_out)->settings.order && (core->config.forbidden & PERM_WRITE) != 0)
		return core_refuse(outcome, RESP_NO_PERMISSION, "the broker[%s] sending message is forbidden", core->config.broker_name);
	if (((*topic_out)->settings.perm & PERM_WRITE) == 0)
		return core_refuse(outcome, RESP_NO_PERMISSION, "the topic[%.*s] sending message is forbidden", SPAN_ARGS(request->topic));
	uint32_t queues = topic_queue_nums(*topic_out);
	if (request->queue_id >= 0 && (uint32_t)request->queue_id >= queues)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "request queueId[%d] is illegal, topic %.*s has %u queues",
				   request->queue_id, SPAN_ARGS(request->topic), queues);
	return ST_OK;
}

static enum status check_sizes(const struct core *core, const struct send_request *request, struct outcome *outcome)
{
	if (request->body.size > core->config.max_message_size)
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL, "the message is illegal: body of %zu bytes, the limit is %u",
				   request->body.size, core->config.max_message_size);
	if (request->properties.size > MESSAGE_PROPERTIES_MAX)
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL, "the message is illegal: properties of %zu bytes, the limit is %d",
				   request->properties.size, MESSAGE_PROPERTIES_MAX);
	return ST_OK;
}

static uint32_t choose_queue(struct core *core, const struct topic *topic, int32_t wanted)
{
	if (wanted >= 0)
		return (uint32_t)wanted;
	uint32_t queues = topic->settings.write_queue_nums > 0 ? topic->settings.write_queue_nums : 1;
	return core->queue_turn++ % queues;
}

/* --- storing -------------------------------------------------------------------------------------------- */

/* The fields that say where the message is and when it came there. */
static void set_place(const struct core *core, struct incoming *in, uint64_t queue_offset, uint64_t log_offset,
		      int64_t store_time_ms)
{
	in->message.queue_id = (int32_t)in->queue_id;
	in->message.queue_offset = (int64_t)queue_offset;
	in->message.physical_offset = (int64_t)log_offset;
	in->message.store_timestamp = store_time_ms;
	in->message.store_host = core_store_host(core);
}

static enum status store_message(struct core *core, struct incoming *in, struct placed *at, uint64_t *queue_offset_out,
				 struct outcome *outcome)
{
	struct record_message r = {
		.store_time_ms = core_store_time(core),
		.deliver_at_ms = in->wanted.deliver_at_ms,
		.tag_hash = in->tag_hash, .queue_id = in->queue_id, .topic = in->topic->name,
		.message = { NULL, message_size(&in->message) },
	};
	struct queue *queue;

	/* Another topic's name may be too long for the largest message. */
	if (message_check_limits(&in->message, &outcome->err) != ST_OK)
		return core_refuse_as(outcome, RESP_MESSAGE_ILLEGAL);
	enum status status = apply_reserve_message(core, in->topic, &r, &queue, &outcome->err);
	if (status != ST_OK)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "[PCBUSY_CLEAN_QUEUE]%s", outcome->err.text);
	if (r.deliver_at_ms == 0)
		r.queue_offset = queue->next_offset;
	size_t size = record_message_size(&r), head = size - r.message.size;
	uint8_t *payload = commitlog_begin(core->log, LOG_MESSAGE, size, &at->offset);
	if (payload == NULL)
		return core_no_room(core, size, outcome);
	at->size = (uint32_t)commitlog_record_size(size);
	set_place(core, in, r.queue_offset, at->offset, r.store_time_ms);
	/* The message goes straight to its place; the fields in front of it are written around it. */
	message_encode(&in->message, payload + head);
	record_message_encode_head(&r, payload);
	r.message.data = payload + head;
	commitlog_commit(core->log);
	if (apply_message(core, at, &r, &outcome->err) != ST_OK)
		core_state_broken(core, &outcome->err);
	*queue_offset_out = r.queue_offset;
	return ST_OK;
}

/* --- half messages --------------------------------------------------------------------------------------- */

/* ST_NOTFOUND: it is no resend, or one of a half that was decided so long ago that the log holds nothing of it any more. */
static enum status answer_resend(struct core *core, struct hash128 name, struct send_result *result, struct outcome *outcome)
{
	struct half_entry half;
	uint64_t half_queue_offset;

	if (!resends_find(core->resends, name, &half_queue_offset))
		return ST_NOTFOUND;
	enum status status = half_index_get(&core->halves, half_queue_offset, &half, &outcome->err);
	if (status == ST_AGAIN || status == ST_NOTFOUND)
		return status;
	if (status != ST_OK)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "resend of half message %" PRIu64 ": %s", half_queue_offset,
				   outcome->err.text);
	core_correct_half(core, half_queue_offset, &half);
	core->stats.resend_count++;
	if (half.state == TXN_ROLLED_BACK) {
		status = core_refuse(outcome, RESP_MESSAGE_ILLEGAL,
				     "this half message was sent before and its transaction is rolled back");
		outcome->wait_offset = half.decision_offset + 1;
		return status;
	}
	result->log_offset = half.half_offset;
	result->queue_offset = half_queue_offset;
	/* What the answer says rests on the half, which may have been appended a moment ago only. */
	return core_accept(outcome, half.half_offset + 1);
}

static enum status check_half(struct core *core, struct span group, struct span unique_key, struct outcome *outcome)
{
	if (core->config.reject_transactions)
		return core_refuse(outcome, RESP_NO_PERMISSION, "the broker[%s] sending transaction message is forbidden",
				   core->config.broker_name);
	if (group_name_check(group, &outcome->err) != ST_OK)
		return core_refuse_as(outcome, RESP_INVALID_PARAMETER);
	/* Under another name a resend of it would be a second transaction. */
	if (unique_key.size >= SEND_UNIQUE_KEY_MAX)
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL, "the message is illegal: its UNIQ_KEY, the transaction's name, has %zu bytes,"
				   " the limit is %d", unique_key.size, SEND_UNIQUE_KEY_MAX - 1);
	return ST_OK;
}

static enum status reserve_half(struct core *core, struct span group, struct outcome *outcome)
{
	uint32_t group_id;

	if (names_intern(core->names, group, &group_id) != ST_OK)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "this broker knows too many groups already");
	if (pending_group_count(core->pending, group_id) >= core->config.pending_group_max)
		return core_refuse(outcome, RESP_SYSTEM_BUSY,
				   "[REJECTREQUEST]group %.*s has %u undecided transactions, its limit (pendingTransactionGroupMax)",
				   SPAN_ARGS(group), pending_group_count(core->pending, group_id));
	if (apply_reserve_half(core, group_id, &outcome->err) != ST_OK)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "[REJECTREQUEST]%s", outcome->err.text);
	return ST_OK;
}

static int64_t immunity_ms(const struct known_properties *known)
{
	int64_t seconds = number_or(known->check_immunity, -1);

	return seconds < 0 || seconds > 366LL * 24 * 3600 ? -1 : seconds * 1000;
}

static enum status store_half(struct core *core, const struct send_request *request, struct incoming *in,
			      const struct known_properties *known, struct span group, struct span unique_key,
			      struct send_result *result, struct outcome *outcome)
{
	struct record_half r = {
		.half_queue_offset = half_index_max(&core->halves),
		.store_time_ms = core_store_time(core),
		.immunity_ms = immunity_ms(known),
		.delay_ms = timers_half_delay(&in->wanted), .tag_hash = in->tag_hash, .queue_id = in->queue_id,
		.topic = in->topic->name, .group = group, .transaction_id = unique_key, .unique_key = unique_key,
		.client_id = request->client_id.size < 256 ? request->client_id : SPAN_NONE,
		.global = { .part_count = 1 },
		.message = { NULL, message_size(&in->message) },
	};
	size_t size = record_half_size(&r), head = size - r.message.size;
	struct placed at;
	uint8_t *payload = commitlog_begin(core->log, LOG_HALF, size, &at.offset);

	if (payload == NULL)
		return core_no_room(core, size, outcome);
	at.size = (uint32_t)commitlog_record_size(size);
	in->message.sys_flag = (in->message.sys_flag & ~SYSFLAG_TRANSACTION_MASK) | SYSFLAG_TRANSACTION_COMMIT;
	in->message.prepared_transaction_offset = (int64_t)at.offset;
	set_place(core, in, r.half_queue_offset, at.offset, r.store_time_ms);
	message_encode(&in->message, payload + head);
	record_half_encode_head(&r, payload);
	uint64_t end = commitlog_commit(core->log);
	if (apply_half(core, &at, &r, &outcome->err) != ST_OK)
		core_state_broken(core, &outcome->err);
	pending_find(core->pending, r.half_queue_offset)->conn_id = request->conn_id;
	result->log_offset = at.offset;
	result->queue_offset = r.half_queue_offset;
	return core_accept(outcome, end);
}

/* --- sending --------------------------------------------------------------------------------------------- */

static void fill_message(const struct send_request *request, const struct topic *topic, struct incoming *in)
{
	in->topic = (struct topic *)topic;
	in->message = (struct message){
		.flag = request->flag, .sys_flag = request->sys_flag & ~SYSFLAG_TRANSACTION_MASK,
		.born_timestamp = request->born_timestamp, .born_host = request->born_host,
		.reconsume_times = request->reconsume_times, .body = request->body, .topic = topic->name,
		.properties = request->properties,
	};
}

/* How often the group may consume a message again: the client's word, else the group's setting. */
static int64_t retries_allowed(const struct consumer_group *group, int32_t asked)
{
	return asked >= 0 ? asked : group->settings.retry_max_times;
}

/* A send to a retry topic with too many attempts goes to the dead letters instead. So does any of a group that consumes in
 * order: its consumers try again by themselves, and send only what they have given up. */
static enum status redirect_dead(struct core *core, const struct send_request *request, struct incoming *in,
				 struct outcome *outcome)
{
	struct span group = topic_group(request->topic);
	struct consumer_group *known;

	if (!topic_is_retry(request->topic))
		return ST_OK;
	enum status status = settings_group_for_consumer(core, group, &known, outcome);
	if (status != ST_OK)
		return status;
	if (request->reconsume_times <= retries_allowed(known, request->max_reconsume_times) &&
	    !locks_has_any(core->locks, known->id, core->mono_ms))
		return ST_OK;
	status = settings_dead_letter_topic(core, group, &in->topic, outcome);
	if (status == ST_OK) {
		in->queue_id = 0;
		in->wanted = (struct wanted_time){ .by = WANTED_AT_ONCE, .level = -1 };
		in->message.topic = in->topic->name;
	}
	return status;
}

/* What belongs to a batch has its room. */
static enum status check_room(struct core *core, const struct send_request *request, struct outcome *outcome)
{
	return request->batch ? ST_OK : core_check_disk(core, request->body.size + request->properties.size, outcome);
}

static enum status send_one(struct core *core, const struct send_request *request, struct topic *topic,
			    struct send_result *result, struct outcome *outcome)
{
	struct known_properties known;
	struct incoming in = { 0 };

	properties_scan(request->properties, &known);
	bool half = property_value_is_true(known.tran_msg) && !request->reply &&
		    !(request->reconsume_times > 0 && number_or(known.delay, 0) > 0);
	struct span group = known.pgroup.size > 0 ? known.pgroup : request->producer_group;
	fill_message(request, topic, &in);
	in.queue_id = result->queue_id = choose_queue(core, topic, request->queue_id);
	in.tag_hash = known.escrow_tags.size > 0 ? TAG_HASH_MANY : tag_hash(known.tags);
	enum status status = timers_wanted(core, &known, &in.wanted, outcome);
	if (status == ST_OK && half)
		status = check_half(core, group, known.uniq_key, outcome);
	if (status == ST_OK && !half)
		status = check_room(core, request, outcome);
	if (status == ST_OK && !half)
		status = redirect_dead(core, request, &in, outcome);
	if (status != ST_OK)
		return status;
	struct span unique_key = unique_key_of(core, &known, result->unique_key);
	if (known.timer_del_uniqkey.size > 0 && !half) {
		result->log_offset = commitlog_appended(core->log);
		return recall_by_message(core, topic->name, known.timer_del_uniqkey, &in.wanted, request->client_id, outcome);
	}
	if (half) {
		status = answer_resend(core, core_resend_name(core, group, unique_key), result, outcome);
		if (status != ST_NOTFOUND)
			return status;
		/* After the resends: they need no room. */
		status = check_room(core, request, outcome);
		if (status == ST_OK)
			status = reserve_half(core, group, outcome);
		if (status != ST_OK)
			return status;
	}
	status = build_properties(core, request->properties, &known, unique_key, half, &in, outcome);
	if (status != ST_OK)
		return status;
	in.message.properties = buffer_span(&core->properties);
	if (message_check_limits(&in.message, &outcome->err) != ST_OK)
		return core_refuse_as(outcome, RESP_MESSAGE_ILLEGAL);
	if (half)
		return store_half(core, request, &in, &known, group, unique_key, result, outcome);
	struct placed at;
	status = store_message(core, &in, &at, &result->queue_offset, outcome);
	if (status != ST_OK)
		return status;
	result->log_offset = at.offset;
	result->queue_id = in.queue_id;
	if (in.wanted.by == WANTED_BY_TIMER && !topic_is_retry(in.topic->name))
		result->recall_at_ms = in.wanted.out_ms + 1;
	return core_accept(outcome, at.offset + at.size);
}

/* --- batches --------------------------------------------------------------------------------------------- */

enum { BROKER_PROPERTIES_MAX = 256 }; /* UNIQ_KEY, MSG_REGION, TRACE_ON, the name of CLUSTER. */

/* What one message of a batch could be refused for, before any is stored. */
static enum status check_batched(const struct core *core, struct span properties, struct outcome *outcome)
{
	struct known_properties known;
	struct wanted_time wanted;

	properties_scan(properties, &known);
	if (property_value_is_true(known.tran_msg))
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL, "a batch cannot be transactional");
	if (properties.size + BROKER_PROPERTIES_MAX + strlen(core->config.cluster_name) > MESSAGE_PROPERTIES_MAX)
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL, "the message is illegal: its properties are over %d bytes",
				   MESSAGE_PROPERTIES_MAX);
	enum status status = timers_wanted(core, &known, &wanted, outcome);
	if (status == ST_OK && known.timer_del_uniqkey.size > 0)
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL, "a batch cannot recall messages (TIMER_DEL_UNIQKEY)");
	if (status == ST_OK && wanted.by != WANTED_AT_ONCE)
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL, "a batch cannot be delayed: send messages with %s one by one",
				   wanted.by == WANTED_BY_LEVEL ? "a delay level" : "a delivery time");
	return status;
}

/* Checks the messages and counts the bytes they may take, so that all are stored or none. */
static enum status measure_batch(const struct core *core, const struct send_request *request, uint32_t *count_out,
				 uint64_t *bytes_out, struct outcome *outcome)
{
	struct span rest = request->body;
	struct batch_message one = { 0 };
	enum status status;

	*count_out = 0;
	*bytes_out = 0;
	while ((status = batch_next(&rest, &one, &outcome->err)) == ST_OK) {
		if (++*count_out > BATCH_MESSAGES_MAX)
			return core_refuse(outcome, RESP_MESSAGE_ILLEGAL, "a batch of more than %d messages", BATCH_MESSAGES_MAX);
		enum status checked = check_batched(core, one.properties, outcome);
		if (checked != ST_OK)
			return checked;
		/* 256: the record around the message. */
		*bytes_out += commitlog_record_size(one.body.size + one.properties.size + request->topic.size * 2 + 256 +
						    BROKER_PROPERTIES_MAX + strlen(core->config.cluster_name));
	}
	if (status != ST_NOTFOUND || *count_out == 0)
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL, "the batch body is malformed: %s",
				   *count_out == 0 && status == ST_NOTFOUND ? "empty" : outcome->err.text);
	return ST_OK;
}

static enum status send_batch(struct core *core, const struct send_request *request, struct topic *topic,
			      struct send_result *result, struct outcome *outcome)
{
	struct send_request single = *request;
	struct span rest = request->body;
	struct batch_message one = { 0 };
	struct send_result stored = { 0 };
	uint32_t count;
	uint64_t bytes;
	enum status status;

	if (topic_is_retry(request->topic))
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL, "batch request does not support retry group %.*s",
				   SPAN_ARGS(request->topic));
	status = check_batched(core, request->properties, outcome);
	if (status == ST_OK)
		status = measure_batch(core, request, &count, &bytes, outcome);
	if (status != ST_OK)
		return status;
	status = core_check_disk(core, bytes, outcome);
	if (status != ST_OK)
		return status;
	if (commitlog_room(core->log) < bytes)
		return core_no_room(core, bytes, outcome);
	if (visibility_reserve(&core->visibility, count) != ST_OK)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "no memory for the batch");
	single.queue_id = (int32_t)choose_queue(core, topic, request->queue_id);
	for (uint32_t i = 0; batch_next(&rest, &one, &outcome->err) == ST_OK; i++) {
		single.body = one.body;
		single.properties = one.properties;
		single.flag = one.flag;
		status = send_one(core, &single, topic, &stored, outcome);
		if (status != ST_OK)
			return status == ST_AGAIN ? core_refuse(outcome, RESP_SYSTEM_BUSY, "[PCBUSY_CLEAN_QUEUE]no room for the whole batch")
						  : status;
		core->sent_offsets[i] = stored.log_offset;
		if (i == 0)
			*result = stored;
	}
	result->count = count;
	result->log_offsets = core->sent_offsets;
	return ST_OK;
}

enum status core_check_send(struct core *core, const struct send_request *request, struct outcome *outcome)
{
	struct topic *topic;
	enum status status = check_topic(core, request, &topic, outcome);

	return status == ST_OK ? check_sizes(core, request, outcome) : status;
}

enum status core_send(struct core *core, const struct send_request *request, struct send_result *result,
		      struct outcome *outcome)
{
	struct topic *topic;
	enum status status = check_topic(core, request, &topic, outcome);

	if (status == ST_OK)
		status = check_sizes(core, request, outcome);
	if (status != ST_OK)
		return status;
	if (request->batch)
		return send_batch(core, request, topic, result, outcome);
	status = send_one(core, request, topic, result, outcome);
	core->sent_offsets[0] = result->log_offset;
	result->count = 1;
	result->log_offsets = core->sent_offsets;
	return status;
}

/* --- sent back by consumers -------------------------------------------------------------------------------- */

/* A dead letter still shows from where it was delivered last. */
#define REWRITTEN PROPERTY_RETRY_TOPIC, PROPERTY_ORIGIN_MESSAGE_ID, PROPERTY_WAIT, PROPERTY_DELAY, PROPERTY_TIMER_DELAY_SEC, \
		  PROPERTY_TIMER_DELAY_MS, PROPERTY_TIMER_DELIVER_MS
static const char *const rewritten_retry[] = { REWRITTEN, PROPERTY_REAL_TOPIC, PROPERTY_REAL_QID, NULL };
static const char *const rewritten_dead[] = { REWRITTEN, NULL };
/* Where properties are full: what the broker added, too. */
static const char *const rewritten_full[] = { REWRITTEN, PROPERTY_REAL_TOPIC, PROPERTY_REAL_QID, PROPERTY_MSG_REGION,
					      PROPERTY_TRACE_ON, PROPERTY_CLUSTER, PROPERTY_FIRST_POP_TIME, NULL };

/* The stored properties, with where the message came from first. */
static void put_back_properties(struct core *core, const struct incoming *in, const struct message *message, struct span origin)
{
	struct known_properties known;
	struct buffer *out = &core->properties;

	properties_scan(message->properties, &known);
	buffer_reset(out);
	properties_copy(out, message->properties, in->wanted.by == WANTED_AT_ONCE ? rewritten_dead : rewritten_retry);
	property_put(out, PROPERTY_RETRY_TOPIC, known.retry_topic.size > 0 ? known.retry_topic : message->topic);
	property_put(out, PROPERTY_ORIGIN_MESSAGE_ID, known.origin_message_id.size > 0 ? known.origin_message_id : origin);
	property_put(out, PROPERTY_WAIT, SPAN_LITERAL("false"));
	if (in->wanted.by == WANTED_AT_ONCE)
		property_put_i64(out, PROPERTY_DELAY, 0);
	timers_put_properties(core, &in->wanted, false, in->topic->name, in->queue_id, out);
}

/* With the least that clients want, the topic to show. */
static void put_full_properties(struct core *core, const struct message *message)
{
	struct span topic = property_get(message->properties, PROPERTY_RETRY_TOPIC);
	struct buffer *out = &core->properties;

	buffer_reset(out);
	properties_copy(out, message->properties, rewritten_full);
	property_put(out, PROPERTY_RETRY_TOPIC, topic.size > 0 ? topic : message->topic);
}

static bool take_properties(struct core *core, struct incoming *in)
{
	in->message.properties = buffer_span(&core->properties);
	return message_check_limits(&in->message, NULL) == ST_OK;
}

/* As much as there is room for: a message must not be lost for what is said about it. */
static enum status build_back(struct core *core, struct incoming *in, struct span origin, struct outcome *outcome)
{
	const struct message stored = in->message;

	in->message.topic = in->topic->name;
	put_back_properties(core, in, &stored, origin);
	if (!take_properties(core, in)) {
		put_full_properties(core, &stored);
		if (!take_properties(core, in))
			in->message.properties = stored.properties;
	}
	if (core->properties.failed)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "no memory for the message sent back");
	return ST_OK;
}

static enum status store_back(struct core *core, const struct send_back_request *request,
			      const struct consumer_group *group, const struct stored_message *stored,
			      struct outcome *outcome)
{
	struct incoming in = { .message = stored->message, .tag_hash = stored->tag_hash };
	bool dead = request->delay_level < 0 ||
		    stored->message.reconsume_times >= retries_allowed(group, request->max_reconsume_times);
	struct host host = core_store_host(core);
	const struct topic *from = topics_find(core->topics, stored->message.topic);
	char origin[MSGID_TEXT_SIZE];
	struct placed at;
	uint64_t queue_offset;

	enum status status = dead ? settings_dead_letter_topic(core, request->group, &in.topic, outcome)
				  : settings_retry_topic(core, request->group, &in.topic, outcome);
	if (status != ST_OK)
		return status;
	if (!dead && (in.topic->settings.perm & PERM_WRITE) == 0)
		return core_refuse(outcome, RESP_NO_PERMISSION, "the topic[%.*s] sending message is forbidden", SPAN_ARGS(in.topic->name));
	if (!dead) {
		int64_t level = request->delay_level > 0 ? request->delay_level : 3 + (int64_t)stored->message.reconsume_times;

		in.wanted = timers_level(core, level);
		/* The topic may have fewer queues than the group now asks for; consumers look at the topic's. */
		uint32_t queues = in.topic->settings.read_queue_nums;
		if (queues > (uint32_t)group->settings.retry_queue_nums)
			queues = (uint32_t)group->settings.retry_queue_nums;
		in.queue_id = queues == 0 ? 0 : core->queue_turn++ % queues;
	}
	offset_msg_id_encode(&host, (int64_t)request->log_offset, origin);
	status = build_back(core, &in, span_of(origin), outcome);
	if (status != ST_OK)
		return status;
	in.message.reconsume_times++;
	in.message.prepared_transaction_offset = 0;
	status = store_message(core, &in, &at, &queue_offset, outcome);
	if (status != ST_OK)
		return status;
	if (from != NULL)
		statistics_sent_back(core->statistics, from->id, group->id);
	return core_accept(outcome, at.offset + at.size);
}

/* --- given out again by POP ------------------------------------------------------------------------------------ */

enum status produce_again(struct core *core, const struct redelivery *again, struct stored_message *stored,
			  struct outcome *outcome)
{
	struct incoming in = { .tag_hash = stored->tag_hash };
	uint32_t size = (uint32_t)stored->record.size;
	struct placed at;
	uint64_t queue_offset;
	enum status status = settings_pop_retry_topic(core, again->group->name, again->topic->name, &in.topic, outcome);

	if (status == ST_OK)
		status = core_check_disk(core, size, outcome);
	if (status != ST_OK)
		return status;
	if (in.topic != again->topic) /* It may have been made just now. */
		in.topic->pop_of = again->topic;
	if (stored_message_keep(core, stored) != ST_OK)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "no memory for the message");
	in.message = stored->message;
	buffer_reset(&core->properties);
	properties_copy(&core->properties, in.message.properties, NULL);
	if (property_get(in.message.properties, PROPERTY_FIRST_POP_TIME).size == 0)
		property_put_i64(&core->properties, PROPERTY_FIRST_POP_TIME, again->first_pop_ms);
	if (core->properties.failed || buffer_size(&core->properties) > MESSAGE_PROPERTIES_MAX)
		in.message = stored->message; /* As it is, then. */
	else
		in.message.properties = buffer_span(&core->properties);
	in.message.topic = in.topic->name;
	in.message.reconsume_times++;
	in.message.prepared_transaction_offset = 0;
	status = store_message(core, &in, &at, &queue_offset, outcome);
	return status != ST_OK ? status : core_accept(outcome, at.offset + at.size);
}

enum status core_send_back(struct core *core, const struct send_back_request *request, struct outcome *outcome)
{
	struct stored_message stored = { 0 };
	struct consumer_group *group;
	enum status status = settings_group_for_consumer(core, request->group, &group, outcome);

	if (status != ST_OK)
		return status;
	if (group->settings.retry_queue_nums == 0)
		return core_accept(outcome, 0);
	status = core_stored_message(core, request->log_offset, &stored, &outcome->err);
	if (status == ST_AGAIN)
		return status;
	if (status != ST_OK)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "look message by offset failed, %" PRIu64 ": %s",
				   request->log_offset, outcome->err.text);
	status = core_check_disk(core, stored.record.size, outcome);
	if (status != ST_OK)
		return status;
	/* The message lies in the log's tail or in the scratch: keep it while the next record is begun. */
	status = stored_message_keep(core, &stored);
	if (status != ST_OK)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "no memory for the message sent back");
	return store_back(core, request, group, &stored, outcome);
}
