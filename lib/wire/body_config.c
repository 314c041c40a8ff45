#include "lib/wire/body_config.h"

#include <cjson/cJSON.h>

#include "lib/wire/body_config_parts.h"
#include "lib/wire/codes.h"

static const char *const filter_types[] = { "SINGLE_TAG", "MULTI_TAG", NULL };

void data_version_encode(struct json_writer *w, const struct data_version *version)
{
	json_open(w, '{');
	json_member_put_i64(w, "counter", version->counter);
	json_member_put_i64(w, "stateVersion", version->state_version);
	json_member_put_i64(w, "timestamp", version->timestamp);
	json_close(w, '}');
}

struct data_version data_version_of(const struct cJSON *object)
{
	return (struct data_version){
		.state_version = json_member_i64(object, "stateVersion", 0),
		.timestamp = json_member_i64(object, "timestamp", 0),
		.counter = json_member_i64(object, "counter", 0),
	};
}

enum status data_version_decode(struct span body, struct data_version *out, struct errinfo *err)
{
	struct json_doc doc;
	enum status status = json_doc_parse(body, &doc, err);

	if (status != ST_OK)
		return errinfo_wrap(err, status, "DataVersion");
	*out = data_version_of(doc.root);
	json_doc_free(&doc);
	return ST_OK;
}

/* --- topics ------------------------------------------------------------------------------------------- */

void topic_config_encode(struct json_writer *w, const struct topic_config *config)
{
	json_open(w, '{');
	json_key(w, "attributes");
	json_put_raw(w, config->attributes.size == 0 ? SPAN_LITERAL("{}") : config->attributes);
	json_member_put_bool(w, "order", config->order);
	json_member_put_i64(w, "perm", config->perm);
	json_member_put_i64(w, "readQueueNums", config->read_queue_nums);
	json_member_put_text(w, "topicFilterType", span_of(filter_types[config->filter_type == FILTER_MULTI_TAG]));
	json_member_put_text(w, "topicName", config->name);
	json_member_put_i64(w, "topicSysFlag", config->sys_flag);
	json_member_put_i64(w, "writeQueueNums", config->write_queue_nums);
	json_close(w, '}');
}

enum status topic_attributes_decode(struct json_doc *doc, const struct cJSON *attributes, struct span *out)
{
	*out = SPAN_NONE;
	if (!cJSON_IsObject(attributes) || attributes->child == NULL)
		return ST_OK;
	char *text = cJSON_PrintUnformatted(attributes);
	size_t size = text == NULL ? 0 : strlen(text);
	uint8_t *copy = text == NULL ? NULL : json_doc_alloc(doc, size, 1);

	if (copy != NULL)
		memcpy(copy, text, size);
	cJSON_free(text);
	*out = (struct span){ copy, copy == NULL ? 0 : size };
	return copy == NULL ? ST_NOMEM : ST_OK;
}

enum status topic_config_of(struct json_doc *doc, const struct cJSON *object, struct topic_config *out)
{
	*out = (struct topic_config){
		.name = json_member_text(object, "topicName"),
		.read_queue_nums = json_member_i32(object, "readQueueNums", 16),
		.write_queue_nums = json_member_i32(object, "writeQueueNums", 16),
		.perm = json_member_i32(object, "perm", PERM_READ | PERM_WRITE),
		.filter_type = json_member_enum(object, "topicFilterType", filter_types, FILTER_SINGLE_TAG),
		.sys_flag = json_member_i32(object, "topicSysFlag", 0),
		.order = json_member_bool(object, "order", false),
	};
	return topic_attributes_decode(doc, json_member(object, "attributes"), &out->attributes);
}

int64_t topic_attribute_number(struct span attributes, const char *key)
{
	cJSON *object = attributes.size == 0 ? NULL :
					       cJSON_ParseWithLength((const char *)attributes.data, attributes.size);
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
	int64_t number = 0;

	if (cJSON_IsString(item) && span_to_i64(span_of(item->valuestring), &number) != ST_OK)
		number = 0;
	cJSON_Delete(object);
	return number;
}

void topic_config_table_encode(struct json_writer *w, const struct data_version *version,
			       const struct topic_config *topics, size_t topic_count)
{
	json_open(w, '{');
	json_key(w, "dataVersion");
	data_version_encode(w, version);
	json_key(w, "topicConfigTable");
	json_open(w, '{');
	for (size_t i = 0; i < topic_count; i++) {
		json_key_span(w, topics[i].name);
		topic_config_encode(w, &topics[i]);
	}
	json_close(w, '}');
	json_close(w, '}');
}

enum status topic_config_table_of(const struct cJSON *wrapper, struct topic_config_table *out)
{
	const struct cJSON *item, *table = json_member(wrapper, "topicConfigTable");
	struct topic_config *topics = json_doc_alloc(&out->doc, json_count(table), sizeof(*topics));

	if (topics == NULL)
		return ST_NOMEM;
	out->topics = topics;
	out->version = data_version_of(json_member(wrapper, "dataVersion"));
	cJSON_ArrayForEach(item, table) {
		struct topic_config *topic = &topics[out->topic_count];

		if (topic_config_of(&out->doc, item, topic) != ST_OK)
			return ST_NOMEM;
		if (topic->name.size == 0 && item->string != NULL)
			topic->name = span_of(item->string);
		if (topic->name.size > 0)
			out->topic_count++;
	}
	return ST_OK;
}

enum status topic_config_table_decode(struct span body, struct topic_config_table *out, struct errinfo *err)
{
	*out = (struct topic_config_table){ .topic_count = 0 };
	enum status status = json_doc_parse(body, &out->doc, err);

	if (status == ST_OK && topic_config_table_of(out->doc.root, out) != ST_OK)
		status = errinfo_set(err, ST_NOMEM, "out of memory");
	if (status == ST_OK)
		return ST_OK;
	topic_config_table_free(out);
	return errinfo_wrap(err, status, "topic table");
}

static enum status decode_list(struct topic_config_table *out, struct errinfo *err)
{
	const struct cJSON *item, *list = json_member(out->doc.root, "topicConfigList");
	struct topic_config *topics = json_doc_alloc(&out->doc, json_count(list), sizeof(*topics));

	if (topics == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	out->topics = topics;
	cJSON_ArrayForEach(item, list) {
		struct topic_config *topic = &topics[out->topic_count++];

		if (topic_config_of(&out->doc, item, topic) != ST_OK)
			return errinfo_set(err, ST_NOMEM, "out of memory");
		if (topic->name.size == 0)
			return errinfo_set(err, ST_INVALID, "topicConfigList[%zu] has no topicName", out->topic_count - 1);
	}
	return ST_OK;
}

enum status topic_config_list_decode(struct span body, struct topic_config_table *out, struct errinfo *err)
{
	*out = (struct topic_config_table){ .topic_count = 0 };
	enum status status = json_doc_parse(body, &out->doc, err);

	if (status == ST_OK)
		status = decode_list(out, err);
	if (status == ST_OK)
		return ST_OK;
	topic_config_table_free(out);
	return errinfo_wrap(err, status, "topic list");
}

static enum status decode_one(struct topic_config_table *out, struct errinfo *err)
{
	struct topic_config *topic = json_doc_alloc(&out->doc, 1, sizeof(*topic));

	if (topic == NULL || topic_config_of(&out->doc, out->doc.root, topic) != ST_OK)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	if (topic->name.size == 0)
		return errinfo_set(err, ST_INVALID, "topicName is missing");
	out->topics = topic;
	out->topic_count = 1;
	return ST_OK;
}

enum status topic_config_decode(struct span body, struct topic_config_table *out, struct errinfo *err)
{
	*out = (struct topic_config_table){ .topic_count = 0 };
	enum status status = json_doc_parse(body, &out->doc, err);

	if (status == ST_OK)
		status = decode_one(out, err);
	if (status == ST_OK)
		return ST_OK;
	topic_config_table_free(out);
	return errinfo_wrap(err, status, "TopicConfig");
}

void topic_config_table_free(struct topic_config_table *table)
{
	json_doc_free(&table->doc);
	*table = (struct topic_config_table){ .topic_count = 0 };
}
