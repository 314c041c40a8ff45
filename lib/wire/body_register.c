#include "lib/wire/body_register.h"

#include <cjson/cJSON.h>
#include <zlib.h>

#include "lib/wire/body_config_parts.h"
#include "lib/wire/codes.h"
#include "lib/wire/message.h"

int32_t register_body_crc(struct span body)
{
	return (int32_t)message_body_crc(body);
}

/* --- decoding ----------------------------------------------------------------------------------------- */

/* Inflates into `out`, whose size_max bounds the result whatever the stream promises. */
static enum status inflate_all(struct span body, struct buffer *out, struct errinfo *err)
{
	z_stream stream = { .next_in = (z_const Bytef *)body.data, .avail_in = (uInt)body.size };
	enum { STEP = 64 * 1024 };

	if (inflateInit(&stream) != Z_OK)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	int result = Z_OK;
	while (result == Z_OK) {
		uint8_t *room = buffer_reserve(out, STEP);

		if (room == NULL)
			break;
		stream.next_out = room;
		stream.avail_out = STEP;
		result = inflate(&stream, Z_NO_FLUSH);
		buffer_commit(out, STEP - stream.avail_out);
	}
	inflateEnd(&stream);
	if (out->failed)
		return errinfo_set(err, ST_TOOBIG, "more than %d bytes when decompressed", REGISTER_BODY_SIZE_MAX);
	return result == Z_STREAM_END ? ST_OK : errinfo_set(err, ST_INVALID, "not a whole zlib stream");
}

static struct span take_block(struct reader *r)
{
	return reader_take(r, reader_u32(r));
}

static enum status decode_attributes(struct json_doc *doc, struct span text, struct span *out, struct errinfo *err)
{
	struct json_doc parsed;

	*out = SPAN_NONE;
	if (text.size == 0)
		return ST_OK;
	enum status status = json_doc_parse(text, &parsed, err);
	if (status != ST_OK)
		return errinfo_wrap(err, status, "topic attributes");
	status = topic_attributes_decode(doc, parsed.root, out);
	json_doc_free(&parsed);
	return status == ST_OK ? ST_OK : errinfo_set(err, status, "out of memory");
}

/* `name readQ writeQ perm FILTER {attributes}` */
static enum status decode_topic_line(struct json_doc *doc, struct span line, struct topic_config *out,
				     struct errinfo *err)
{
	*out = (struct topic_config){ .name = span_take_until(&line, ' ') };
	if (out->name.size == 0 || span_to_i32(span_take_until(&line, ' '), &out->read_queue_nums) != ST_OK ||
	    span_to_i32(span_take_until(&line, ' '), &out->write_queue_nums) != ST_OK ||
	    span_to_i32(span_take_until(&line, ' '), &out->perm) != ST_OK)
		return errinfo_set(err, ST_INVALID, "a topic's line is malformed");
	out->filter_type = span_is(span_take_until(&line, ' '), "MULTI_TAG") ? FILTER_MULTI_TAG : FILTER_SINGLE_TAG;
	return decode_attributes(doc, line, &out->attributes, err);
}

static enum status decode_plain(struct span plain, struct topic_config_table *out, struct errinfo *err)
{
	struct reader r = reader_of(plain);
	struct span version = take_block(&r);
	uint32_t topic_count = reader_u32(&r);

	if (r.failed || topic_count > REGISTER_TOPICS_MAX || topic_count > r.left / 4)
		return errinfo_set(err, ST_INVALID, "version or number of topics out of range");
	enum status status = data_version_decode(version, &out->version, err);
	if (status != ST_OK)
		return status;
	struct topic_config *topics = json_doc_alloc(&out->doc, topic_count, sizeof(*topics));
	if (topics == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	out->topics = topics;
	for (uint32_t i = 0; i < topic_count; i++) {
		struct span line = take_block(&r);

		if (r.failed)
			return errinfo_set(err, ST_INVALID, "a topic's length runs past the end");
		status = decode_topic_line(&out->doc, line, &topics[i], err);
		if (status != ST_OK)
			return status;
		out->topic_count++;
	}
	return ST_OK; /* Filter servers and static-topic mappings follow; nobody uses them here. */
}

static enum status decode_compressed(struct span body, struct topic_config_table *out, struct errinfo *err)
{
	struct buffer plain;

	buffer_init(&plain, REGISTER_BODY_SIZE_MAX);
	enum status status = inflate_all(body, &plain, err);
	if (status == ST_OK) {
		/* The names borrow from this copy, which lives as long as the table. */
		size_t size = buffer_size(&plain);
		uint8_t *copy = json_doc_alloc(&out->doc, size, 1);

		if (copy == NULL) {
			status = errinfo_set(err, ST_NOMEM, "out of memory");
		} else {
			if (size > 0)
				memcpy(copy, plain.data + plain.start, size);
			status = decode_plain((struct span){ copy, size }, out, err);
		}
	}
	buffer_deinit(&plain);
	return status;
}

static enum status decode_json(struct span body, struct topic_config_table *out, struct errinfo *err)
{
	enum status status = json_doc_parse(body, &out->doc, err);

	if (status != ST_OK)
		return status;
	if (topic_config_table_of(json_member(out->doc.root, "topicConfigSerializeWrapper"), out) != ST_OK)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	if (out->topic_count > REGISTER_TOPICS_MAX)
		return errinfo_set(err, ST_TOOBIG, "%zu topics, the most is %d", out->topic_count, REGISTER_TOPICS_MAX);
	return ST_OK;
}

enum status register_body_decode(struct span body, bool compressed, int32_t body_crc32, int32_t version,
				 struct topic_config_table *out, struct errinfo *err)
{
	*out = (struct topic_config_table){ .topic_count = 0 };
	if (version < VERSION_3_0_11)
		return errinfo_set(err, ST_INVALID, "register broker: brokers of version %d are too old", version);
	if (body_crc32 != 0 && register_body_crc(body) != body_crc32)
		return errinfo_set(err, ST_INVALID, "register broker: the body's CRC32 does not match bodyCrc32");
	if (body.size == 0)
		return ST_OK;
	if (body.size > REGISTER_BODY_SIZE_MAX)
		return errinfo_set(err, ST_TOOBIG, "register broker: the body is over %d bytes",
				   REGISTER_BODY_SIZE_MAX);
	/* Some 5.x brokers compress and say they did not: what does not look like JSON is taken for a stream. */
	bool is_stream = compressed || body.data[0] == 0x78;
	enum status status = is_stream ? decode_compressed(body, out, err) : decode_json(body, out, err);
	if (status == ST_OK)
		return ST_OK;
	topic_config_table_free(out);
	return errinfo_wrap(err, status, "register broker");
}

/* --- encoding ----------------------------------------------------------------------------------------- */

void register_body_encode(struct buffer *out, const struct data_version *version, const struct topic_config *topics,
			  size_t topic_count)
{
	struct json_writer w = json_writer_of(out);

	json_open(&w, '{');
	json_key(&w, "filterServerList");
	json_put_raw(&w, SPAN_LITERAL("[]"));
	json_key(&w, "topicConfigSerializeWrapper");
	topic_config_table_encode(&w, version, topics, topic_count);
	json_close(&w, '}');
}

static void put_block(struct buffer *out, const struct buffer *block)
{
	buffer_put_u32(out, (uint32_t)buffer_size(block));
	buffer_append_span(out, buffer_span(block));
}

static void encode_plain(struct buffer *out, struct buffer *line, const struct data_version *version,
			 const struct topic_config *topics, size_t topic_count)
{
	struct json_writer w = json_writer_of(line);

	data_version_encode(&w, version);
	put_block(out, line);
	buffer_put_u32(out, (uint32_t)topic_count);
	for (size_t i = 0; i < topic_count; i++) {
		const struct topic_config *topic = &topics[i];

		buffer_reset(line);
		buffer_append_span(line, topic->name);
		buffer_printf(line, " %d %d %d %s ", topic->read_queue_nums, topic->write_queue_nums, topic->perm,
			      topic->filter_type == FILTER_MULTI_TAG ? "MULTI_TAG" : "SINGLE_TAG");
		buffer_append_span(line, topic->attributes.size == 0 ? SPAN_LITERAL("{}") : topic->attributes);
		put_block(out, line);
	}
	buffer_put_u32(out, 2);
	buffer_append_text(out, "[]"); /* Filter servers. */
	buffer_put_u32(out, 0);        /* Static-topic mappings. */
}

static enum status deflate_all(struct span plain, struct buffer *out, struct errinfo *err)
{
	uLongf size = compressBound(plain.size);
	uint8_t *room = buffer_reserve(out, size);

	if (room == NULL)
		return errinfo_set(err, ST_TOOBIG, "register broker: the body does not fit");
	if (compress2(room, &size, plain.data, plain.size, 9) != Z_OK)
		return errinfo_set(err, ST_NOMEM, "register broker: out of memory");
	buffer_commit(out, size);
	return ST_OK;
}

enum status register_body_encode_compressed(struct buffer *out, const struct data_version *version,
					    const struct topic_config *topics, size_t topic_count, struct errinfo *err)
{
	struct buffer plain, line;

	buffer_init(&plain, REGISTER_BODY_SIZE_MAX);
	buffer_init(&line, REGISTER_BODY_SIZE_MAX);
	encode_plain(&plain, &line, version, topics, topic_count);
	enum status status = plain.failed || line.failed
				     ? errinfo_set(err, ST_TOOBIG, "register broker: too many topics for one body")
				     : deflate_all(buffer_span(&plain), out, err);
	buffer_deinit(&line);
	buffer_deinit(&plain);
	return status;
}
