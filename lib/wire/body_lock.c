#include "lib/wire/body_lock.h"

#include <cjson/cJSON.h>

static enum status decode_queues(struct lock_body *out, struct errinfo *err)
{
	const struct cJSON *item, *set = json_member(out->doc.root, "mqSet");
	struct message_queue *list = json_doc_alloc(&out->doc, json_count(set), sizeof(*list));

	if (list == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for the list of queues");
	out->queues = list;
	cJSON_ArrayForEach(item, set) {
		struct message_queue queue = message_queue_decode(item);

		if (queue.topic.size > 0)
			list[out->queue_count++] = queue;
	}
	return ST_OK;
}

enum status lock_body_decode(struct span body, struct lock_body *out, struct errinfo *err)
{
	*out = (struct lock_body){ 0 };
	enum status status = json_doc_parse(body, &out->doc, err);
	if (status != ST_OK)
		return status;
	out->consumer_group = json_member_text(out->doc.root, "consumerGroup");
	out->client_id = json_member_text(out->doc.root, "clientId");
	if (out->consumer_group.size == 0 || out->client_id.size == 0)
		status = errinfo_set(err, ST_INVALID, "consumerGroup and clientId are needed in the body");
	else
		status = decode_queues(out, err);
	if (status != ST_OK)
		lock_body_free(out);
	return status;
}

void lock_body_free(struct lock_body *body)
{
	json_doc_free(&body->doc);
}

void lock_answer_begin(struct json_writer *writer, struct buffer *out)
{
	*writer = json_writer_of(out);
	json_open(writer, '{');
	json_key(writer, "lockOKMQSet");
	json_open(writer, '[');
}

void lock_answer_add(struct json_writer *writer, const struct message_queue *queue)
{
	message_queue_encode(writer, queue);
}

void lock_answer_end(struct json_writer *writer)
{
	json_close(writer, ']');
	json_close(writer, '}');
}
