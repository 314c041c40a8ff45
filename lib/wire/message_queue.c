#include "lib/wire/message_queue.h"

void message_queue_encode(struct json_writer *writer, const struct message_queue *queue)
{
	json_open(writer, '{');
	json_member_put_text(writer, "brokerName", queue->broker_name);
	json_member_put_i64(writer, "queueId", queue->queue_id);
	json_member_put_text(writer, "topic", queue->topic);
	json_close(writer, '}');
}

void message_queue_key(struct json_writer *writer, const struct message_queue *queue)
{
	message_queue_encode(writer, queue);
	json_end_object_key(writer);
}

struct message_queue message_queue_decode(const struct cJSON *object)
{
	return (struct message_queue){ json_member_text(object, "topic"), json_member_text(object, "brokerName"),
				       json_member_i32(object, "queueId", -1) };
}
