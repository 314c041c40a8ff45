#include "broker/handlers/topic_table.h"

#include <stdlib.h>

struct topic_config core_topic_config(const struct topic *topic)
{
	const struct topic_settings *s = &topic->settings;

	return (struct topic_config){
		.name = topic->name,
		.read_queue_nums = (int32_t)s->read_queue_nums,
		.write_queue_nums = (int32_t)s->write_queue_nums,
		.perm = (int32_t)s->perm,
		.filter_type = (int32_t)s->filter_type,
		.sys_flag = (int32_t)s->sys_flag,
		.order = s->order,
		.attributes = s->attributes,
	};
}

enum status topic_table_make(const struct topics *topics, struct topic_table *out)
{
	struct topics_version version = topics_version(topics);
	size_t count = 0;

	out->topics = calloc(topics_count(topics) + 1, sizeof(out->topics[0]));
	if (out->topics == NULL)
		return ST_NOMEM;
	for (const struct topic *topic = topics_first(topics); topic != NULL; topic = topics_next(topic))
		out->topics[count++] = core_topic_config(topic);
	out->count = count;
	out->version = (struct data_version){ 0, version.timestamp_ms, version.counter };
	return ST_OK;
}

void topic_table_free(struct topic_table *table)
{
	free(table->topics);
}
