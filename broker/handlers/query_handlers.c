/* QUERY_MESSAGE (12): messages by key, or by their unique key. */
#include <string.h>

#include "broker/core/key_query.h"
#include "broker/handlers/handlers.h"
#include "lib/wire/headers.h"

enum { UNIQUE_MAX = 32, ANSWER_BYTES_MAX = 4 * 1024 * 1024, ROUNDS_MAX = 64 /* Of hits, of which the messages are none. */ };

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
	*out = (struct query){ .key = { .topic = header.topic, .key = header.key, .begin_ms = header.begin_timestamp,
					.end_ms = header.end_timestamp } };
	out->max = header.max_num < 0 ? 0 : header.max_num > KEY_MESSAGES_MAX ? KEY_MESSAGES_MAX : (size_t)header.max_num;
	if (header.unique_key_query)
		out->max = UNIQUE_MAX;
	else
		out->key.tag = span_equal(header.index_type, SPAN_LITERAL("T"));
	return ST_OK;
}

/* In its place; once, as a body that was carried is hit twice, and one whose KEYS hold a word twice. */
static void add_found(struct key_found *found, uint64_t name)
{
	size_t at = found->count;

	while (at > 0 && found->names[at - 1] > name)
		at--;
	if (at > 0 && found->names[at - 1] == name)
		return;
	memmove(&found->names[at + 1], &found->names[at], (found->count - at) * sizeof(found->names[0]));
	found->names[at] = name;
	found->count++;
}

/* Newest first, until there are enough. */
static enum status look_at_hits(struct core *core, const struct query *query, const struct key_hits *hits)
{
	struct key_found *found = hits->found;

	for (; found->looked_at < hits->count && found->count < query->max; found->looked_at++) {
		struct stored_message stored;
		struct errinfo err;
		enum status status = core_key_message(core, hits->offsets[found->looked_at], &query->key, &stored, &err);

		if (status == ST_AGAIN)
			return status;
		if (status == ST_OK)
			add_found(found, (uint64_t)stored.message.physical_offset);
		/* Else not visible, or not readable: the others are wanted all the same. */
	}
	return ST_OK;
}

struct matches {
	struct buffer bytes;
	size_t starts[KEY_MESSAGES_MAX + 1];
	size_t count;
};

/* The latest first, as many as an answer holds. */
static enum status collect(struct core *core, const struct key_found *found, struct matches *out)
{
	for (size_t i = found->count; i-- > 0;) {
		struct stored_message stored;
		struct errinfo err;
		enum status status = core_stored_message(core, found->names[i], &stored, &err);

		if (status == ST_AGAIN)
			return status;
		if (status != ST_OK)
			continue; /* Gone since. */
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
	enum status status = handlers->keys.find(handlers->keys.context, request, &query.key, &hits);
	if (status == ST_OK)
		status = look_at_hits(handlers->core, &query, &hits);
	if (status != ST_OK)
		return status;
	if (hits.found->count < query.max && hits.more && hits.found->rounds < ROUNDS_MAX) {
		handlers->keys.find_more(handlers->keys.context, request);
		return ST_AGAIN;
	}
	buffer_init(&matches.bytes, ANSWER_BYTES_MAX);
	status = collect(handlers->core, hits.found, &matches);
	if (status == ST_OK && matches.count > 0)
		answer_matches(handlers, request, &hits, &matches);
	else if (status == ST_OK)
		handlers_refuse(handlers, request, RESP_QUERY_NOT_FOUND, "can not find message, maybe time range not correct");
	buffer_deinit(&matches.bytes);
	if (status == ST_OK)
		handlers->keys.done(handlers->keys.context, request);
	return status;
}
