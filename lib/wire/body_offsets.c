#include "lib/wire/body_offsets.h"

#include <cjson/cJSON.h>

#include "lib/wire/message_queue.h"

static void put_queue_key(struct json_writer *w, const struct queue_offset *offset)
{
	struct message_queue queue = { offset->topic, offset->broker_name, offset->queue_id };

	message_queue_key(w, &queue);
}

static void put_listed(struct json_writer *w, const struct queue_offset *offset)
{
	json_open(w, '{');
	json_member_put_text(w, "brokerName", offset->broker_name);
	json_member_put_i64(w, "offset", offset->offset);
	json_member_put_i64(w, "queueId", offset->queue_id);
	json_member_put_text(w, "topic", offset->topic);
	json_close(w, '}');
}

void offset_table_encode(struct buffer *out, const struct queue_offset *offsets, size_t count, bool as_list)
{
	struct json_writer w = json_writer_of(out);

	json_open(&w, '{');
	json_key(&w, "offsetTable");
	json_open(&w, as_list ? '[' : '{');
	for (size_t i = 0; i < count; i++) {
		if (as_list) {
			put_listed(&w, &offsets[i]);
			continue;
		}
		put_queue_key(&w, &offsets[i]);
		json_put_i64(&w, offsets[i].offset);
	}
	json_close(&w, as_list ? ']' : '}');
	json_close(&w, '}');
}

/* --- reading -------------------------------------------------------------------------------------------------- */

/* A number, or a text where a double could not hold it. -1: neither. */
static int64_t offset_of(const struct cJSON *value)
{
	int64_t number = -1;

	if (cJSON_IsNumber(value))
		return (int64_t)value->valuedouble;
	return span_to_i64(json_text(value), &number) == ST_OK ? number : -1;
}

static void read_queue(const struct cJSON *object, struct queue_offset *out)
{
	out->topic = json_member_text(object, "topic");
	out->broker_name = json_member_text(object, "brokerName");
	out->queue_id = json_member_i32(object, "queueId", -1);
}

/* A key that was an object literal is its text by now; what is read from it lives as long as `table`. */
static enum status read_key(struct offset_table *table, const char *key, struct queue_offset *out)
{
	cJSON *object = cJSON_Parse(key);

	if (object == NULL)
		return ST_INVALID;
	read_queue(object, out);
	uint8_t *text = json_doc_alloc(&table->doc, out->topic.size + out->broker_name.size + 1, 1);
	if (text != NULL) {
		if (out->topic.size > 0)
			memcpy(text, out->topic.data, out->topic.size);
		if (out->broker_name.size > 0)
			memcpy(text + out->topic.size, out->broker_name.data, out->broker_name.size);
		out->topic.data = text;
		out->broker_name.data = text + out->topic.size;
	}
	cJSON_Delete(object);
	return text == NULL ? ST_NOMEM : ST_OK;
}

static enum status read_table(struct offset_table *out, struct errinfo *err)
{
	const struct cJSON *item, *table = json_member(out->doc.root, "offsetTable");
	struct queue_offset *offsets = json_doc_alloc(&out->doc, json_count(table), sizeof(*offsets));

	if (offsets == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	out->offsets = offsets;
	cJSON_ArrayForEach(item, table) {
		struct queue_offset *offset = &offsets[out->count];
		enum status status = ST_OK;

		if (cJSON_IsArray(table)) {
			read_queue(item, offset);
			offset->offset = json_member_i64(item, "offset", -1);
		} else {
			status = read_key(out, item->string, offset);
			offset->offset = offset_of(item);
		}
		if (status != ST_OK)
			return errinfo_set(err, status, "a key is no message queue");
		out->count++;
	}
	return ST_OK;
}

enum status offset_table_decode(struct span body, struct offset_table *out, struct errinfo *err)
{
	*out = (struct offset_table){ .count = 0 };
	enum status status = json_doc_parse(body, &out->doc, err);

	if (status == ST_OK)
		status = read_table(out, err);
	if (status == ST_OK)
		return ST_OK;
	offset_table_free(out);
	return errinfo_wrap(err, status, "offset table");
}

void offset_table_free(struct offset_table *table)
{
	json_doc_free(&table->doc);
	*table = (struct offset_table){ .count = 0 };
}

enum status message_queue_table_copy(struct json_writer *w, struct span body, struct errinfo *err)
{
	struct json_doc doc;
	enum status status = json_doc_parse(body, &doc, err);

	if (status != ST_OK)
		return errinfo_wrap(err, status, "consumer status");
	const struct cJSON *item, *table = json_member(doc.root, "messageQueueTable");
	json_open(w, '{');
	cJSON_ArrayForEach(item, table) {
		if (item->string == NULL || item->string[0] != '{')
			continue;
		json_put_raw(w, span_of(item->string));
		json_end_object_key(w);
		json_put_i64(w, offset_of(item));
	}
	json_close(w, '}');
	json_doc_free(&doc);
	return ST_OK;
}
