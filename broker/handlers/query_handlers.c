/* QUERY_MESSAGE (12): messages by key, or by their unique key. */
#include "broker/core/key_query.h"
#include "broker/handlers/handlers.h"
#include "lib/wire/headers.h"

enum { MESSAGES_MAX = 64, UNIQUE_MAX = 32, ANSWER_BYTES_MAX = 4 * 1024 * 1024 };

struct query {
	struct key_query key;
	size_t max;
};

/* RocketMQ's limits: 64 messages, and for a unique key always 32. */
static enum status decode_query(const struct command *command, struct query *out, struct errinfo *err)
{
	struct query_message_header header;
	enum status status = query_message_decode(command, &header, err);

	if (status != ST_OK)
		return status;
	*out = (struct query){ .key = { header.topic, header.key, header.begin_timestamp, header.end_timestamp } };
	out->max = header.max_num < 1 ? 1 : header.max_num > MESSAGES_MAX ? MESSAGES_MAX : (size_t)header.max_num;
	if (header.unique_key_query)
		out->max = UNIQUE_MAX;
	return ST_OK;
}

struct matches {
	struct buffer bytes;
	size_t starts[MESSAGES_MAX + 1];
	size_t count;
};

/* Newest first, until there are enough. */
static enum status collect(struct core *core, const struct query *query, const struct key_hits *hits, struct matches *out,
			   struct errinfo *err)
{
	uint64_t last = UINT64_MAX;

	for (size_t i = 0; i < hits->count && out->count < query->max; i++) {
		struct stored_message stored;

		if (hits->offsets[i] == last)
			continue; /* One of KEYS is its unique key, or the same word twice. */
		last = hits->offsets[i];
		enum status status = core_key_message(core, hits->offsets[i], &query->key, &stored, err);
		if (status == ST_AGAIN)
			return status;
		if (status != ST_OK)
			continue; /* Not visible, or not readable: the others are wanted all the same. */
		size_t size = message_size(&stored.message);
		uint8_t *at = buffer_size(&out->bytes) + size > ANSWER_BYTES_MAX ? NULL : buffer_reserve(&out->bytes, size);
		if (at == NULL)
			break;
		buffer_commit(&out->bytes, message_encode(&stored.message, at));
		out->starts[++out->count] = buffer_size(&out->bytes);
	}
	return ST_OK;
}

/* Oldest first, as RocketMQ gives them. */
static void answer_matches(struct handlers *handlers, const struct request *request, const struct key_hits *hits,
			   const struct matches *matches)
{
	struct encoder encoder;
	struct buffer *out = answer_begin(handlers, request, RESP_SUCCESS, 0, SPAN_NONE, &encoder);

	if (out == NULL)
		return;
	command_put_i64(&encoder, "indexLastUpdateTimestamp", hits->indexed_ms);
	command_put_i64(&encoder, "indexLastUpdatePhyoffset", (int64_t)hits->indexed_to);
	command_body(&encoder);
	for (size_t i = matches->count; i-- > 0;)
		buffer_append(out, matches->bytes.data + matches->bytes.start + matches->starts[i],
			      matches->starts[i + 1] - matches->starts[i]);
	answer_end(handlers, &encoder);
}

enum status handle_query_message(struct handlers *handlers, const struct request *request)
{
	struct matches matches = { .count = 0 };
	struct key_hits hits;
	struct outcome outcome = { 0 };
	struct query query;

	if (decode_query(request->command, &query, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	if (handlers->keys.find == NULL) {
		handlers_refuse(handlers, request, RESP_SYSTEM_ERROR, "this broker keeps no index of keys: set messageIndexEnable=true");
		return ST_OK;
	}
	if (handlers->keys.find(handlers->keys.context, request, &query.key, &hits) == ST_AGAIN)
		return ST_AGAIN;
	buffer_init(&matches.bytes, ANSWER_BYTES_MAX);
	enum status status = collect(handlers->core, &query, &hits, &matches, &outcome.err);
	if (status == ST_OK && matches.count > 0)
		answer_matches(handlers, request, &hits, &matches);
	else if (status == ST_OK)
		handlers_refuse(handlers, request, RESP_QUERY_NOT_FOUND, "can not find message, maybe time range not correct");
	buffer_deinit(&matches.bytes);
	if (status != ST_AGAIN)
		handlers->keys.done(handlers->keys.context, request);
	return status;
}
