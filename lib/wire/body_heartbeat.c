#include "lib/wire/body_heartbeat.h"

#include <cjson/cJSON.h>

#include "lib/wire/filter.h"

static const char *const consume_types[] = { "CONSUME_ACTIVELY", "CONSUME_PASSIVELY", "CONSUME_POP", NULL };
static const char *const message_models[] = { "BROADCASTING", "CLUSTERING", NULL };
static const char *const from_wheres[] = {
	"CONSUME_FROM_LAST_OFFSET",
	"CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
	"CONSUME_FROM_MIN_OFFSET",
	"CONSUME_FROM_MAX_OFFSET",
	"CONSUME_FROM_FIRST_OFFSET",
	"CONSUME_FROM_TIMESTAMP",
	NULL,
};

static struct span name_of(const char *const *names, int32_t count, int32_t number)
{
	return number >= 0 && number < count ? span_of(names[number]) : SPAN_NONE;
}

struct span consume_type_name(int32_t consume_type)
{
	return name_of(consume_types, sizeof(consume_types) / sizeof(consume_types[0]) - 1, consume_type);
}

struct span consume_from_where_name(int32_t consume_from_where)
{
	return name_of(from_wheres, sizeof(from_wheres) / sizeof(from_wheres[0]) - 1, consume_from_where);
}

static void decode_subscription(const struct cJSON *item, struct subscription_data *out)
{
	out->topic = json_member_text(item, "topic");
	out->sub_string = json_member_text(item, "subString");
	out->expression_type = json_member_text(item, "expressionType");
	out->sub_version = json_member_i64(item, "subVersion", 0);
	out->class_filter_mode = json_member_bool(item, "classFilterMode", false);
}

static enum status decode_subscriptions(struct json_doc *doc, const struct cJSON *set, struct consumer_data *out)
{
	struct subscription_data *list = json_doc_alloc(doc, json_count(set), sizeof(*list));
	const struct cJSON *item;

	if (list == NULL)
		return ST_NOMEM;
	out->subscriptions = list;
	cJSON_ArrayForEach(item, set) {
		struct subscription_data *subscription = &list[out->subscription_count];

		decode_subscription(item, subscription);
		if (subscription->topic.size > 0)
			out->subscription_count++;
	}
	return ST_OK;
}

static enum status decode_consumers(struct heartbeat *out)
{
	const struct cJSON *item, *set = json_member(out->doc.root, "consumerDataSet");
	struct consumer_data *list = json_doc_alloc(&out->doc, json_count(set), sizeof(*list));

	if (list == NULL)
		return ST_NOMEM;
	out->consumers = list;
	cJSON_ArrayForEach(item, set) {
		struct consumer_data *consumer = &list[out->consumer_count];

		*consumer = (struct consumer_data){ .group_name = json_member_text(item, "groupName") };
		if (consumer->group_name.size == 0)
			continue;
		consumer->consume_type = json_member_enum(item, "consumeType", consume_types, CONSUME_PASSIVELY);
		consumer->message_model = json_member_enum(item, "messageModel", message_models, MODEL_CLUSTERING);
		consumer->consume_from_where =
			json_member_enum(item, "consumeFromWhere", from_wheres, CONSUME_FROM_LAST_OFFSET);
		consumer->unit_mode = json_member_bool(item, "unitMode", false);
		if (decode_subscriptions(&out->doc, json_member(item, "subscriptionDataSet"), consumer) != ST_OK)
			return ST_NOMEM;
		out->consumer_count++;
	}
	return ST_OK;
}

static enum status decode_producers(struct heartbeat *out)
{
	const struct cJSON *item, *set = json_member(out->doc.root, "producerDataSet");
	struct span *list = json_doc_alloc(&out->doc, json_count(set), sizeof(*list));

	if (list == NULL)
		return ST_NOMEM;
	out->producer_groups = list;
	cJSON_ArrayForEach(item, set) {
		struct span group = json_member_text(item, "groupName");

		if (group.size > 0)
			list[out->producer_count++] = group;
	}
	return ST_OK;
}

enum status heartbeat_decode(struct span body, struct heartbeat *out, struct errinfo *err)
{
	*out = (struct heartbeat){ .producer_count = 0 };
	enum status status = json_doc_parse(body, &out->doc, err);

	if (status != ST_OK)
		return errinfo_wrap(err, status, "heartbeat");
	out->client_id = json_member_text(out->doc.root, "clientID");
	out->fingerprint = json_member_i32(out->doc.root, "heartbeatFingerprint", 0);
	out->without_sub = json_member_bool(out->doc.root, "withoutSub", false);
	if (out->client_id.size == 0)
		status = errinfo_set(err, ST_INVALID, "heartbeat: clientID is missing");
	else if (decode_producers(out) != ST_OK || decode_consumers(out) != ST_OK)
		status = errinfo_set(err, ST_NOMEM, "heartbeat: out of memory");
	if (status != ST_OK)
		heartbeat_free(out);
	return status;
}

void heartbeat_free(struct heartbeat *heartbeat)
{
	json_doc_free(&heartbeat->doc);
	*heartbeat = (struct heartbeat){ .producer_count = 0 };
}

enum status check_client_decode(struct span body, struct subscription_data *out, struct json_doc *doc, struct errinfo *err)
{
	*out = (struct subscription_data){ .sub_version = 0 };
	*doc = (struct json_doc){ .root = NULL };
	if (body.size == 0)
		return ST_OK;
	enum status status = json_doc_parse(body, doc, err);

	if (status != ST_OK)
		return errinfo_wrap(err, status, "check of a client's configuration");
	decode_subscription(json_member(doc->root, "subscriptionData"), out);
	return ST_OK;
}

static void encode_tags(struct json_writer *w, struct span expression, bool as_codes)
{
	json_open(w, '[');
	if (expression.size > 0 && !span_is(expression, "*")) {
		while (expression.size > 0) {
			struct span tag = tag_expression_next(&expression);

			if (tag.size > 0 && as_codes)
				json_put_i64(w, tag_hash(tag));
			else if (tag.size > 0)
				json_put_text(w, tag);
		}
	}
	json_close(w, ']');
}

static void encode_subscription(struct json_writer *w, const struct subscription_data *subscription)
{
	bool tags = subscription->expression_type.size == 0 || span_is(subscription->expression_type, "TAG");
	struct span expression = subscription->sub_string.size == 0 ? SPAN_LITERAL("*") : subscription->sub_string;

	json_open(w, '{');
	json_member_put_bool(w, "classFilterMode", subscription->class_filter_mode);
	json_key(w, "codeSet");
	encode_tags(w, tags ? expression : SPAN_NONE, true);
	json_member_put_text(w, "expressionType", tags ? SPAN_LITERAL("TAG") : subscription->expression_type);
	json_member_put_text(w, "subString", expression);
	json_member_put_i64(w, "subVersion", subscription->sub_version);
	json_key(w, "tagsSet");
	encode_tags(w, tags ? expression : SPAN_NONE, false);
	json_member_put_text(w, "topic", subscription->topic);
	json_close(w, '}');
}

static void encode_consumer(struct json_writer *w, const struct consumer_data *consumer)
{
	json_open(w, '{');
	json_member_put_text(w, "consumeFromWhere", span_of(from_wheres[consumer->consume_from_where]));
	json_member_put_text(w, "consumeType", span_of(consume_types[consumer->consume_type]));
	json_member_put_text(w, "groupName", consumer->group_name);
	json_member_put_text(w, "messageModel", span_of(message_models[consumer->message_model]));
	json_key(w, "subscriptionDataSet");
	json_open(w, '[');
	for (size_t i = 0; i < consumer->subscription_count; i++)
		encode_subscription(w, &consumer->subscriptions[i]);
	json_close(w, ']');
	json_member_put_bool(w, "unitMode", consumer->unit_mode);
	json_close(w, '}');
}

void heartbeat_encode(struct buffer *out, const struct heartbeat *heartbeat)
{
	struct json_writer w = json_writer_of(out);

	json_open(&w, '{');
	json_member_put_text(&w, "clientID", heartbeat->client_id);
	json_key(&w, "consumerDataSet");
	json_open(&w, '[');
	for (size_t i = 0; i < heartbeat->consumer_count; i++)
		encode_consumer(&w, &heartbeat->consumers[i]);
	json_close(&w, ']');
	json_member_put_i64(&w, "heartbeatFingerprint", heartbeat->fingerprint);
	json_key(&w, "producerDataSet");
	json_open(&w, '[');
	for (size_t i = 0; i < heartbeat->producer_count; i++) {
		json_open(&w, '{');
		json_member_put_text(&w, "groupName", heartbeat->producer_groups[i]);
		json_close(&w, '}');
	}
	json_close(&w, ']');
	json_member_put_bool(&w, "withoutSub", heartbeat->without_sub);
	json_close(&w, '}');
}

void consumer_list_begin(struct json_writer *w, struct buffer *out)
{
	*w = json_writer_of(out);
	json_open(w, '{');
	json_key(w, "consumerIdList");
	json_open(w, '[');
}

void consumer_list_add(struct json_writer *w, struct span client_id)
{
	json_put_text(w, client_id);
}

void consumer_list_end(struct json_writer *w)
{
	json_close(w, ']');
	json_close(w, '}');
}
