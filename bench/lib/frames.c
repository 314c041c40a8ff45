/* See frames.h. */
#include "bench/lib/frames.h"

#include <inttypes.h>
#include <stdio.h>

enum { PREFIX = 8, VERSION = 479, DEPTH_MAX = 2 };

/* --- writing ---------------------------------------------------------------------------------------- */

void frames_decimal(char *out, uint32_t digits, uint64_t value)
{
	for (uint32_t i = digits; i-- > 0; value /= 10)
		out[i] = (char)('0' + value % 10);
}

static void put_hex64(char *out, uint64_t value)
{
	static const char digits[] = "0123456789ABCDEF";

	for (int i = 15; i >= 0; i--, value >>= 4)
		out[i] = digits[value & 15];
}

void frames_key_text(char out[UNIQ_KEY_SIZE], uint64_t run_id, uint64_t key)
{
	put_hex64(out, run_id);
	put_hex64(out + 16, key);
}

static void begin(struct buffer *b)
{
	buffer_init(b, 0);
	buffer_put_u64(b, 0); /* Both length words, filled in by finish(). */
}

static void finish(uint8_t *frame, size_t header_size, size_t body_size)
{
	put_u32(frame, (uint32_t)(4 + header_size + body_size));
	put_u32(frame + 4, (uint32_t)header_size); /* The type byte above it stays 0: JSON. */
}

/* Appends `text` and a place of `size` zeros to patch; returns where the place is. */
static size_t place(struct buffer *b, const char *text, size_t size)
{
	buffer_append_text(b, text);
	size_t at = buffer_size(b);
	for (size_t i = 0; i < size; i++)
		buffer_put_u8(b, '0');
	return at;
}

static void make_send(struct frames *f, const struct frames_options *o)
{
	struct buffer *b = &f->send;
	char key[UNIQ_KEY_SIZE];

	begin(b);
	buffer_printf(b, "{\"code\":%d,\"extFields\":{\"a\":\"%s\",\"b\":\"%s\",\"c\":\"TBW102\",\"d\":\"%u\"", CODE_SEND_V2,
		      o->group, o->topic, o->queue_count);
	f->send_queue_at = place(b, ",\"e\":\"", 1);
	buffer_printf(b, "\",\"f\":\"%d\"", o->transactional ? 4 : 0);
	f->send_born_at = place(b, ",\"g\":\"", 13);
	buffer_append_text(b, "\",\"h\":\"0\",\"i\":\"");
	if (o->transactional)
		buffer_append_text(b, "TRAN_MSG\\u0001true\\u0002");
	f->send_key_at = place(b, "UNIQ_KEY\\u0001", UNIQ_KEY_SIZE) + 16; /* The run's half never changes. */
	buffer_append_text(b, "\\u0002WAIT\\u0001true\\u0002");
	if (o->transactional)
		buffer_printf(b, "PGROUP\\u0001%s\\u0002", o->group);
	buffer_append_text(b, "TAGS\\u0001TagA\\u0002\",\"j\":\"0\",\"k\":\"false\",\"m\":\"false\"}");
	buffer_append_text(b, ",\"flag\":0,\"language\":\"JAVA\"");
	f->send_opaque_at = place(b, ",\"opaque\":", 10);
	buffer_printf(b, ",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":%d}", VERSION);
	size_t header_size = buffer_size(b) - PREFIX;
	/* Pseudo-random letters: nothing on the way may gain by compressing. */
	uint64_t state = 0x9e3779b97f4a7c15ULL;
	for (size_t i = 0; i < o->body_size; i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		buffer_put_u8(b, (uint8_t)('A' + (state >> 33) % 58));
	}
	if (b->failed)
		return;
	finish(b->data, header_size, o->body_size);
	frames_key_text(key, o->run_id, 0);
	memcpy(b->data + f->send_key_at - 16, key, UNIQ_KEY_SIZE);
}

static void make_end(struct end_template *e, const struct frames_options *o, bool commit)
{
	begin(&e->head);
	buffer_init(&e->middle, 0);
	buffer_init(&e->tail, 0);
	buffer_printf(&e->head, "{\"code\":%d,\"extFields\":{\"commitLogOffset\":\"", CODE_END_TRANSACTION);
	buffer_printf(&e->middle, "\",\"commitOrRollback\":\"%d\",\"fromTransactionCheck\":\"false\"", commit ? 8 : 12);
	e->message_id_at = place(&e->middle, ",\"msgId\":\"", UNIQ_KEY_SIZE);
	buffer_printf(&e->middle, "\",\"producerGroup\":\"%s\",\"tranStateTableOffset\":\"", o->group);
	e->transaction_id_at = place(&e->tail, "\",\"transactionId\":\"", UNIQ_KEY_SIZE);
	buffer_printf(&e->tail, "\"},\"flag\":%d,\"language\":\"JAVA\"", o->end_oneway ? FLAG_ONEWAY : 0);
	e->opaque_at = place(&e->tail, ",\"opaque\":", 10);
	buffer_printf(&e->tail, ",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":%d}", VERSION);
}

enum status frames_init(struct frames *frames, const struct frames_options *options, struct errinfo *err)
{
	memset(frames, 0, sizeof(*frames));
	make_send(frames, options);
	make_end(&frames->ends[0], options, true);
	make_end(&frames->ends[1], options, false);
	bool failed = frames->send.failed;
	for (int i = 0; i < 2; i++)
		failed = failed || frames->ends[i].head.failed || frames->ends[i].middle.failed ||
			 frames->ends[i].tail.failed;
	if (!failed)
		return ST_OK;
	frames_deinit(frames);
	return errinfo_set(err, ST_NOMEM, "request templates for messages of %zu bytes: out of memory", options->body_size);
}

void frames_deinit(struct frames *frames)
{
	buffer_deinit(&frames->send);
	for (int i = 0; i < 2; i++) {
		buffer_deinit(&frames->ends[i].head);
		buffer_deinit(&frames->ends[i].middle);
		buffer_deinit(&frames->ends[i].tail);
	}
}

bool frames_put_send(const struct frames *frames, struct buffer *out, uint32_t opaque, uint32_t queue_id,
		     int64_t born_ms, uint64_t key)
{
	size_t size = buffer_size(&frames->send);
	uint8_t *p = buffer_reserve(out, size);

	if (p == NULL)
		return false;
	memcpy(p, frames->send.data, size);
	frames_decimal((char *)p + frames->send_opaque_at, 10, opaque);
	p[frames->send_queue_at] = (uint8_t)('0' + queue_id);
	frames_decimal((char *)p + frames->send_born_at, 13, (uint64_t)born_ms);
	put_hex64((char *)p + frames->send_key_at, key);
	buffer_commit(out, size);
	return true;
}

bool frames_put_end(const struct frames *frames, struct buffer *out, uint32_t opaque, bool commit, int64_t half_offset,
		    int64_t queue_offset, uint64_t run_id, uint64_t key)
{
	const struct end_template *e = &frames->ends[commit ? 0 : 1];
	size_t head = buffer_size(&e->head), middle = buffer_size(&e->middle), tail = buffer_size(&e->tail);
	char text[UNIQ_KEY_SIZE];
	uint8_t *frame = buffer_reserve(out, head + middle + tail + 2 * 20);
	uint8_t *p = frame;

	if (frame == NULL)
		return false;
	frames_key_text(text, run_id, key);
	memcpy(p, e->head.data, head);
	p += head;
	p += format_i64((char *)p, half_offset);
	memcpy(p, e->middle.data, middle);
	memcpy(p + e->message_id_at, text, sizeof(text));
	p += middle;
	p += format_i64((char *)p, queue_offset);
	memcpy(p, e->tail.data, tail);
	memcpy(p + e->transaction_id_at, text, sizeof(text));
	frames_decimal((char *)p + e->opaque_at, 10, opaque);
	p += tail;
	finish(frame, (size_t)(p - frame) - PREFIX, 0);
	buffer_commit(out, (size_t)(p - frame));
	return true;
}

/* A request that is made once in a while: header text and body text. */
static bool put_rare(struct buffer *out, int code, uint32_t opaque, const char *fields, const char *body)
{
	char header[768];
	int size = snprintf(header, sizeof(header),
			    "{\"code\":%d,\"extFields\":{%s},\"flag\":0,\"language\":\"JAVA\",\"opaque\":%u,"
			    "\"serializeTypeCurrentRPC\":\"JSON\",\"version\":%d}", code, fields, opaque, VERSION);

	if (size < 0 || (size_t)size >= sizeof(header))
		return false;
	buffer_put_u32(out, (uint32_t)(4 + (size_t)size + strlen(body)));
	buffer_put_u32(out, (uint32_t)size);
	buffer_append(out, header, (size_t)size);
	buffer_append_text(out, body);
	return !out->failed;
}

bool frames_put_heartbeat(struct buffer *out, uint32_t opaque, const char *client_id, const char *group)
{
	char body[512];
	int size = snprintf(body, sizeof(body),
			    "{\"clientID\":\"%s\",\"consumerDataSet\":[],\"heartbeatFingerprint\":0,"
			    "\"producerDataSet\":[{\"groupName\":\"%s\"}],\"withoutSub\":false}", client_id, group);

	return size > 0 && (size_t)size < sizeof(body) && put_rare(out, CODE_HEART_BEAT, opaque, "", body);
}

bool frames_put_pull(struct buffer *out, uint32_t opaque, const char *group, const char *topic, uint32_t queue_id,
		     int64_t offset, uint32_t count)
{
	enum { SUBSCRIPTION_HERE = 4 };
	char fields[384];
	int size = snprintf(fields, sizeof(fields),
			    "\"consumerGroup\":\"%s\",\"topic\":\"%s\",\"queueId\":\"%u\",\"queueOffset\":\"%" PRId64
			    "\",\"maxMsgNums\":\"%u\",\"sysFlag\":\"%d\",\"commitOffset\":\"0\",\"suspendTimeoutMillis\":\"0\","
			    "\"subscription\":\"*\",\"subVersion\":\"0\",\"expressionType\":\"TAG\"",
			    group, topic, queue_id, offset, count, SUBSCRIPTION_HERE);

	return size > 0 && (size_t)size < sizeof(fields) && put_rare(out, CODE_PULL, opaque, fields, "");
}

bool frames_put_route_request(struct buffer *out, uint32_t opaque, const char *topic)
{
	char fields[256];
	int size = snprintf(fields, sizeof(fields), "\"acceptStandardJsonOnly\":\"true\",\"topic\":\"%s\"", topic);

	return size > 0 && (size_t)size < sizeof(fields) && put_rare(out, CODE_GET_ROUTE, opaque, fields, "");
}

/* --- reading ---------------------------------------------------------------------------------------- */

size_t frames_next(struct span input)
{
	if (input.size < 4)
		return 0;
	size_t length = get_u32(input.data);
	return length < 4 || length > FRAME_LIMIT ? SIZE_MAX : length + 4;
}

/* The value of a key that is wanted. `depth` 1 is the command itself, 2 its extFields. */
static void take(struct header *out, int depth, struct span key, struct span value)
{
	int64_t number;

	if (depth == 1) {
		if (span_is(key, "remark"))
			out->remark = value;
		else if (key.size > 6 || span_to_i64(value, &number) != ST_OK)
			return;
		else if (span_is(key, "code"))
			out->code = (int32_t)number;
		else if (span_is(key, "flag"))
			out->flag = (uint32_t)number;
		else if (span_is(key, "opaque"))
			out->opaque = (uint32_t)number;
		return;
	}
	switch (key.size) {
	case 1:
		if (key.data[0] == 'i')
			out->properties = value;
		break;
	case 5:
		if (span_is(key, "msgId"))
			out->message_id = value;
		break;
	case 11:
		if (span_is(key, "queueOffset"))
			out->has_queue_offset = span_to_i64(value, &out->queue_offset) == ST_OK;
		break;
	case 13:
		if (span_is(key, "transactionId"))
			out->transaction_id = value;
		break;
	case 15:
		if (span_is(key, "nextBeginOffset") && span_to_i64(value, &number) == ST_OK)
			out->next_offset = number;
		break;
	default:
		break;
	}
}

static const uint8_t *skip_space(const uint8_t *p, const uint8_t *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/* A string whose opening quote is at p. Returns what follows the closing one; NULL if there is none. */
static const uint8_t *scan_string(const uint8_t *p, const uint8_t *end, struct span *out)
{
	const uint8_t *from = ++p;

	for (; p < end && *p != '"'; p++)
		if (*p == '\\' && ++p == end)
			return NULL;
	if (p == end)
		return NULL;
	*out = (struct span){ from, (size_t)(p - from) };
	return p + 1;
}

/* The command object: members are strings or bare words and numbers; one of them, extFields, is such an object. */
static bool scan_object(const uint8_t *p, const uint8_t *end, struct header *out)
{
	struct span key = SPAN_NONE, value = SPAN_NONE;
	int depth = 1;

	p = skip_space(p, end);
	if (p == end || *p++ != '{')
		return false;
	while (depth > 0) {
		p = skip_space(p, end);
		if (p < end && *p == ',') {
			p = skip_space(p + 1, end);
		} else if (p < end && *p == '}') {
			p++;
			depth--;
			continue;
		}
		if (p == end || *p != '"' || (p = scan_string(p, end, &key)) == NULL)
			return false;
		p = skip_space(p, end);
		if (p == end || *p++ != ':')
			return false;
		p = skip_space(p, end);
		if (p < end && *p == '{') {
			if (++depth > DEPTH_MAX)
				return false;
			p++;
			continue;
		}
		if (p < end && *p == '"') {
			if ((p = scan_string(p, end, &value)) == NULL)
				return false;
		} else {
			const uint8_t *from = p;
			while (p < end && *p != ',' && *p != '}' && *p != ' ')
				p++;
			value = (struct span){ from, (size_t)(p - from) };
		}
		take(out, depth, key, value);
	}
	return skip_space(p, end) == end;
}

bool frames_scan(struct span frame, struct header *out, const char **reason)
{
	memset(out, 0, sizeof(*out));
	out->code = -1;
	out->next_offset = -1;
	if (frame.size < PREFIX) {
		*reason = "a frame shorter than its prefix";
		return false;
	}
	uint32_t word = get_u32(frame.data + 4);
	size_t header_size = word & 0xffffff;
	if (word >> 24 != 0 || header_size > frame.size - PREFIX) {
		*reason = word >> 24 != 0 ? "a header that is not JSON" : "a header longer than its frame";
		return false;
	}
	const uint8_t *header = frame.data + PREFIX;
	out->body = (struct span){ header + header_size, frame.size - PREFIX - header_size };
	if (!scan_object(header, header + header_size, out) || out->code == -1) {
		*reason = "a header that is not a JSON command";
		return false;
	}
	return true;
}

int64_t frames_log_offset(struct span message_id)
{
	uint64_t value = 0;

	if (message_id.size < 32)
		return -1;
	for (size_t i = message_id.size - 16; i < message_id.size; i++) {
		uint32_t c = message_id.data[i];
		uint32_t letter = c | 32;
		if (c >= '0' && c <= '9')
			value = value << 4 | (c - '0');
		else if (letter >= 'a' && letter <= 'f')
			value = value << 4 | (letter - 'a' + 10);
		else
			return -1;
	}
	return value > INT64_MAX ? -1 : (int64_t)value;
}
