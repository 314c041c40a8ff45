#include "lib/wire/body_pop.h"

#include <cjson/cJSON.h>

static const char *const mode_names[] = { "PULL", "POP", NULL };
static const char *const model_names[] = { "BROADCASTING", "CLUSTERING", NULL };

/* --- batch acks ---------------------------------------------------------------------------------------------------------- */

/* -1: no digit of base64. */
static int base64_digit(uint8_t c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int)(at - digits);
}

/* Up to its first character that is no digit. */
static size_t base64_decode(struct span text, uint8_t *out)
{
	uint32_t bits = 0;
	size_t size = 0;
	int bit_count = 0;

	for (size_t i = 0; i < text.size; i++) {
		int digit = base64_digit(text.data[i]);

		if (digit < 0)
			break;
		bits = bits << 6 | (uint32_t)digit;
		bit_count += 6;
		if (bit_count < 8)
			continue;
		bit_count -= 8;
		out[size++] = (uint8_t)(bits >> bit_count);
	}
	return size;
}

/* The bit set: fastjson writes bytes in base64; an array of numbers is read, too. */
static struct span decode_bits(struct json_doc *doc, const struct cJSON *value)
{
	struct span text = json_text(value);
	const struct cJSON *item;
	uint8_t *bytes = json_doc_alloc(doc, text.size + (cJSON_IsArray(value) ? json_count(value) : 0) + 1, 1);
	size_t size = 0;

	if (bytes == NULL)
		return SPAN_NONE;
	if (text.size > 0) {
		size = base64_decode(text, bytes);
	} else if (cJSON_IsArray(value)) {
		cJSON_ArrayForEach(item, value)
			bytes[size++] = (uint8_t)(cJSON_IsNumber(item) ? item->valueint : 0);
	}
	return (struct span){ bytes, size };
}

static const struct cJSON *either(const struct cJSON *object, const char *name, const char *long_name)
{
	const struct cJSON *member = json_member(object, name);

	return member != NULL ? member : json_member(object, long_name);
}

static int64_t either_i64(const struct cJSON *object, const char *name, const char *long_name)
{
	return json_member_i64(object, json_member(object, name) != NULL ? name : long_name, -1);
}

static struct batch_ack decode_ack(struct json_doc *doc, const struct cJSON *item)
{
	struct batch_ack ack = {
		.consumer_group = json_text(either(item, "c", "consumerGroup")), .topic = json_text(either(item, "t", "topic")),
		.retry = json_text(either(item, "r", "retry")), .start_offset = either_i64(item, "so", "startOffset"),
		.pop_ms = either_i64(item, "pt", "popTime"), .invisible_ms = either_i64(item, "it", "invisibleTime"),
		.bits = decode_bits(doc, either(item, "b", "bitSet")),
	};
	int64_t queue = either_i64(item, "q", "queueId"), revive = either_i64(item, "rq", "reviveQueueId");

	ack.queue_id = queue >= 0 && queue <= INT32_MAX ? (int32_t)queue : -1;
	ack.revive_queue_id = revive >= 0 && revive <= INT32_MAX ? (int32_t)revive : -1;
	return ack;
}

enum status batch_ack_body_decode(struct span body, struct batch_ack_body *out, struct errinfo *err)
{
	const struct cJSON *item, *list;

	*out = (struct batch_ack_body){ 0 };
	enum status status = json_doc_parse(body, &out->doc, err);
	if (status != ST_OK)
		return status;
	list = json_member(out->doc.root, "acks");
	struct batch_ack *acks = json_doc_alloc(&out->doc, json_count(list), sizeof(*acks));
	if (acks == NULL) {
		batch_ack_body_free(out);
		return errinfo_set(err, ST_NOMEM, "no memory for the list of acks");
	}
	out->acks = acks;
	cJSON_ArrayForEach(item, list) {
		struct batch_ack ack = decode_ack(&out->doc, item);

		if (ack.topic.size > 0 && ack.consumer_group.size > 0)
			acks[out->ack_count++] = ack;
	}
	return ST_OK;
}

void batch_ack_body_free(struct batch_ack_body *body)
{
	json_doc_free(&body->doc);
}

/* --- assignments --------------------------------------------------------------------------------------------------------- */

enum status assignment_body_decode(struct span body, struct assignment_body *out, struct errinfo *err)
{
	*out = (struct assignment_body){ 0 };
	enum status status = json_doc_parse(body, &out->doc, err);
	if (status != ST_OK)
		return status;
	const struct cJSON *root = out->doc.root;
	out->topic = json_member_text(root, "topic");
	out->consumer_group = json_member_text(root, "consumerGroup");
	out->client_id = json_member_text(root, "clientId");
	out->strategy = json_member_text(root, "strategyName");
	out->broadcasting = json_member_enum(root, "messageModel", model_names, 1) == 0;
	out->mode = json_member_enum(root, "mode", mode_names, MESSAGE_REQUEST_PULL);
	out->shared_queues = json_member_i32(root, "popShareQueueNum", 0);
	if (out->topic.size > 0 && out->consumer_group.size > 0)
		return ST_OK;
	assignment_body_free(out);
	return errinfo_set(err, ST_INVALID, "topic and consumerGroup are needed in the body");
}

void assignment_body_free(struct assignment_body *body)
{
	json_doc_free(&body->doc);
}

void assignment_answer_begin(struct json_writer *writer, struct buffer *out, bool known)
{
	*writer = json_writer_of(out);
	json_open(writer, '{');
	if (!known)
		return;
	json_key(writer, "messageQueueAssignments");
	json_open(writer, '[');
}

void assignment_answer_add(struct json_writer *writer, const struct message_queue *queue, int32_t mode)
{
	json_open(writer, '{');
	json_key(writer, "messageQueue");
	message_queue_encode(writer, queue);
	json_member_put_text(writer, "mode", span_of(mode_names[mode]));
	json_close(writer, '}');
}

void assignment_answer_end(struct json_writer *writer, bool known)
{
	if (known)
		json_close(writer, ']');
	json_close(writer, '}');
}

void request_mode_encode(struct json_writer *writer, struct span topic, struct span group, int32_t mode, int32_t shared_queues)
{
	json_open(writer, '{');
	json_member_put_text(writer, "consumerGroup", group);
	json_member_put_text(writer, "mode", span_of(mode_names[mode]));
	json_member_put_i64(writer, "popShareQueueNum", shared_queues);
	json_member_put_text(writer, "topic", topic);
	json_close(writer, '}');
}
