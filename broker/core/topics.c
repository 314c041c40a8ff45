#include "broker/core/topics.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/names.h"
#include "lib/wire/body_config.h"

struct topics {
	struct topic *by_name;
	struct names *names;
	struct pagefile *files;
	uint32_t topic_max;
	uint32_t live_count;
	struct topics_version version;
};

struct topics *topics_create(struct names *names, struct pagefile *files)
{
	struct topics *topics = calloc(1, sizeof(*topics));

	if (topics == NULL)
		return NULL;
	topics->names = names;
	topics->files = files;
	topics->topic_max = UINT32_MAX;
	return topics;
}

void topics_set_limit(struct topics *topics, uint32_t topic_max)
{
	topics->topic_max = topic_max;
}

static void free_topic(struct topic *topic)
{
	for (uint32_t i = 0; i < topic->queue_count; i++) {
		if (topic->queues[i] == NULL)
			continue;
		consume_queue_deinit(&topic->queues[i]->entries);
		free(topic->queues[i]);
	}
	free(topic->queues);
	free((void *)topic->settings.attributes.data);
	free(topic->spare);
	free(topic);
}

void topics_destroy(struct topics *topics)
{
	struct topic *topic, *next;

	if (topics == NULL)
		return;
	HASH_ITER(hh, topics->by_name, topic, next) {
		HASH_DEL(topics->by_name, topic);
		free_topic(topic);
	}
	free(topics);
}

struct topic *topics_find_any(const struct topics *topics, struct span name)
{
	struct topic *topic = NULL;

	HASH_FIND(hh, topics->by_name, name.data, name.size, topic);
	return topic;
}

struct topic *topics_find(const struct topics *topics, struct span name)
{
	struct topic *topic = topics_find_any(topics, name);

	return topic == NULL || topic->deleted ? NULL : topic;
}

static struct topic *skip_deleted(struct topic *topic)
{
	while (topic != NULL && topic->deleted)
		topic = topic->hh.next;
	return topic;
}

struct topic *topics_first(const struct topics *topics)
{
	return skip_deleted(topics->by_name);
}

struct topic *topics_next(const struct topic *topic)
{
	return skip_deleted(topic->hh.next);
}

struct topic *topics_first_any(const struct topics *topics)
{
	return topics->by_name;
}

struct topic *topics_next_any(const struct topic *topic)
{
	return topic->hh.next;
}

uint32_t topics_count(const struct topics *topics)
{
	return topics->live_count;
}

enum status topics_check_room(const struct topics *topics, struct errinfo *err)
{
	if (topics_count(topics) < topics->topic_max)
		return ST_OK;
	return errinfo_set(err, ST_FULL, "this broker has %u topics, its limit", topics->topic_max);
}

static struct topic *add(struct topics *topics, struct span name)
{
	struct topic *topic = calloc(1, sizeof(*topic));
	uint32_t id = 0;

	if (topic == NULL)
		return NULL;
	if (names_intern(topics->names, name, &id) != ST_OK) {
		free(topic);
		return NULL;
	}
	topic->id = id;
	topic->deleted = true; /* Until it is put. */
	topic->name = names_text(topics->names, id);
	HASH_ADD_KEYPTR(hh, topics->by_name, topic->name.data, topic->name.size, topic);
	if (!table_took(topic)) {
		free(topic);
		return NULL;
	}
	return topic;
}

static enum status make_spare(struct topic *topic, size_t size)
{
	if (size <= topic->spare_size)
		return ST_OK;
	uint8_t *grown = realloc(topic->spare, size);
	if (grown == NULL)
		return ST_NOMEM;
	topic->spare = grown;
	topic->spare_size = size;
	return ST_OK;
}

enum status topics_reserve(struct topics *topics, struct span name, size_t attributes_size)
{
	struct topic *topic = topics_find_any(topics, name);

	if ((topic == NULL || topic->deleted) && topics_check_room(topics, NULL) != ST_OK)
		return ST_FULL;
	if (topic == NULL)
		topic = add(topics, name);
	return topic == NULL ? ST_NOMEM : make_spare(topic, attributes_size);
}

/* The copy of the attributes goes into the spare room. */
static struct span keep_attributes(struct topic *topic, struct span attributes)
{
	struct span kept = { NULL, attributes.size };

	if (attributes.size > 0) {
		memcpy(topic->spare, attributes.data, attributes.size);
		kept.data = topic->spare;
		topic->spare = NULL;
		topic->spare_size = 0;
	}
	return kept;
}

enum status topics_put(struct topics *topics, struct span name, const struct topic_settings *settings, bool system,
		       struct topic **topic_out)
{
	enum status status = topics_reserve(topics, name, settings->attributes.size);

	if (status != ST_OK)
		return status;
	struct topic *topic = topics_find_any(topics, name);
	struct span attributes = keep_attributes(topic, settings->attributes);
	free((void *)topic->settings.attributes.data);
	topic->settings = *settings;
	topic->settings.attributes = attributes;
	topic->reserve_ms = topic_attribute_number(attributes, TOPIC_ATTRIBUTE_RESERVE_TIME);
	topic->system = system;
	topics->live_count += topic->deleted;
	topic->deleted = false;
	topics->version.counter++;
	*topic_out = topic;
	return ST_OK;
}

static void empty_queue(struct queue *queue, uint64_t log_offset)
{
	consume_queue_clear(&queue->entries);
	queue->next_offset = queue->visible_offset = queue->trimmed_to = 0;
	queue->born = log_offset;
}

void topics_delete(struct topics *topics, struct topic *topic, uint64_t log_offset)
{
	for (uint32_t i = 0; i < topic->queue_count; i++) {
		if (topic->queues[i] != NULL && topic->queues[i]->born < log_offset)
			empty_queue(topic->queues[i], log_offset);
	}
	if (topic->deleted_at < log_offset)
		topic->deleted_at = log_offset;
	topics->live_count -= !topic->deleted;
	topic->deleted = true;
	topics->version.counter++;
}

static enum status make_places(struct topic *topic, uint32_t count)
{
	struct queue **grown = realloc(topic->queues, count * sizeof(*grown));

	if (grown == NULL)
		return ST_NOMEM;
	memset(grown + topic->queue_count, 0, (count - topic->queue_count) * sizeof(*grown));
	topic->queues = grown;
	topic->queue_count = count;
	return ST_OK;
}

enum status topic_queue_make(struct topics *topics, struct topic *topic, uint32_t id, struct queue **queue_out)
{
	if (id >= TOPIC_QUEUE_MAX)
		return ST_INVALID;
	if (id >= topic->queue_count && make_places(topic, id + 1) != ST_OK)
		return ST_NOMEM;
	*queue_out = topic->queues[id];
	if (*queue_out != NULL)
		return ST_OK;
	struct queue *queue = calloc(1, sizeof(*queue));
	if (queue == NULL)
		return ST_NOMEM;
	queue->topic = topic;
	queue->id = id;
	queue->born = topic->deleted_at;
	consume_queue_init(&queue->entries, topics->files);
	topic->queues[id] = queue;
	*queue_out = queue;
	return ST_OK;
}

struct queue *topic_queue(const struct topic *topic, uint32_t id)
{
	return id < topic->queue_count ? topic->queues[id] : NULL;
}

struct topics_version topics_version(const struct topics *topics)
{
	return topics->version;
}

void topics_set_version(struct topics *topics, struct topics_version version)
{
	topics->version = version;
}

void topics_touch(struct topics *topics, int64_t now_ms)
{
	topics->version.timestamp_ms = now_ms;
}
