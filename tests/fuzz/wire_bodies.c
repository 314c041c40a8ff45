/* Every JSON and compressed body that peers send. The first byte picks the body. What decodes is encoded and must
 * decode again to as many things. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "lib/wire/body_config.h"
#include "lib/wire/body_heartbeat.h"
#include "lib/wire/body_offsets.h"
#include "lib/wire/body_pop.h"
#include "lib/wire/body_register.h"
#include "lib/wire/body_route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct errinfo err;

static void heartbeats(struct span body, struct buffer *out)
{
	struct heartbeat heartbeat, again;

	if (heartbeat_decode(body, &heartbeat, &err) != ST_OK)
		return;
	heartbeat_encode(out, &heartbeat);
	if (heartbeat_decode(buffer_span(out), &again, &err) != ST_OK ||
	    again.consumer_count != heartbeat.consumer_count || again.producer_count != heartbeat.producer_count ||
	    !span_equal(again.client_id, heartbeat.client_id))
		abort();
	heartbeat_free(&again);
	heartbeat_free(&heartbeat);
}

static void routes(struct span body, struct buffer *out)
{
	struct route route, again;

	if (route_decode(body, &route, &err) != ST_OK)
		return;
	route_encode(out, &route, body.size % 2 == 0);
	if (route_decode(buffer_span(out), &again, &err) != ST_OK || again.broker_count != route.broker_count ||
	    again.queue_count != route.queue_count)
		abort();
	route_free(&again);
	route_free(&route);
}

static void clusters(struct span body, struct buffer *out)
{
	struct cluster_info info, again;

	if (cluster_info_decode(body, &info, &err) != ST_OK)
		return;
	cluster_info_encode(out, info.brokers, info.broker_count, true);
	if (cluster_info_decode(buffer_span(out), &again, &err) != ST_OK || again.broker_count != info.broker_count)
		abort();
	cluster_info_free(&again);
	cluster_info_free(&info);
}

static void registrations(struct span body, struct buffer *out, bool compressed)
{
	struct topic_config_table table, again;

	if (register_body_decode(body, compressed, 0, 479, &table, &err) != ST_OK)
		return;
	register_body_encode(out, &table.version, table.topics, table.topic_count);
	if (register_body_decode(buffer_span(out), false, 0, 479, &again, &err) != ST_OK ||
	    again.topic_count != table.topic_count)
		abort();
	topic_config_table_free(&again);
	topic_config_table_free(&table);
}

static void groups(struct span body, struct buffer *out)
{
	struct group_config_table table, again;
	struct json_writer w = json_writer_of(out);

	if (group_config_table_decode(body, &table, &err) != ST_OK)
		return;
	group_config_table_encode(&w, &table.version, table.groups, table.group_count);
	if (group_config_table_decode(buffer_span(out), &again, &err) != ST_OK || again.group_count != table.group_count)
		abort();
	group_config_table_free(&again);
	group_config_table_free(&table);
}

static void pop_bodies(struct span body)
{
	struct batch_ack_body acks;
	struct assignment_body assignment;

	if (batch_ack_body_decode(body, &acks, &err) == ST_OK)
		batch_ack_body_free(&acks);
	if (assignment_body_decode(body, &assignment, &err) == ST_OK)
		assignment_body_free(&assignment);
}

static void small_ones(struct span body, struct buffer *out)
{
	struct name_list list;
	struct kv_table table;
	struct data_version version;
	struct topic_config_table topic;
	struct group_config_table group;
	struct offset_table offsets;

	if (consumer_list_decode(body, &list, &err) == ST_OK)
		name_list_free(&list);
	if (group_config_decode(body, &group, &err) == ST_OK)
		group_config_table_free(&group);
	if (topic_config_table_decode(body, &topic, &err) == ST_OK)
		topic_config_table_free(&topic);
	if (topic_list_decode(body, &list, &err) == ST_OK) {
		topic_list_encode(out, list.names, list.count);
		name_list_free(&list);
	}
	if (kv_table_decode(body, &table, &err) == ST_OK)
		kv_table_free(&table);
	if (topic_config_decode(body, &topic, &err) == ST_OK)
		topic_config_table_free(&topic);
	(void)!data_version_decode(body, &version, &err);
	struct attribute_changes changes = { SPAN_NONE, body, true, true };
	struct json_writer w = json_writer_of(out);
	(void)!topic_attributes_change(&changes, out, &err);
	changes = (struct attribute_changes){ body, body, false, false };
	(void)!topic_attributes_change(&changes, out, &err);
	if (topic_config_list_decode(body, &topic, &err) == ST_OK)
		topic_config_table_free(&topic);
	if (group_config_list_decode(body, &group, &err) == ST_OK)
		group_config_table_free(&group);
	if (offset_table_decode(body, &offsets, &err) == ST_OK) {
		offset_table_encode(out, offsets.offsets, offsets.count, false);
		offset_table_free(&offsets);
	}
	(void)!message_queue_table_copy(&w, body, &err);
	pop_bodies(body);
}

/* What cJSON takes, the normaliser leaves to it with the same meaning. */
static void normaliser(struct span body)
{
	struct json_doc doc;
	cJSON *plain = cJSON_ParseWithLengthOpts((const char *)body.data, body.size, NULL, false);

	if (json_doc_parse(body, &doc, &err) == ST_OK) {
		char *text = cJSON_PrintUnformatted(doc.root);

		cJSON_free(text);
		json_doc_free(&doc);
	}
	if (cJSON_IsObject(plain)) {
		char *text = cJSON_PrintUnformatted(plain);

		if (text != NULL && strlen(text) < JSON_BODY_SIZE_MAX &&
		    json_doc_parse(span_of(text), &doc, &err) == ST_OK) {
			if (cJSON_GetArraySize(doc.root) != cJSON_GetArraySize(plain))
				abort();
			json_doc_free(&doc);
		}
		cJSON_free(text);
	}
	cJSON_Delete(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buffer out;

	if (size == 0)
		return 0;
	struct span body = { data + 1, size - 1 };
	buffer_init(&out, 0);
	switch (data[0] % 8) {
	case 0: heartbeats(body, &out); break;
	case 1: routes(body, &out); break;
	case 2: clusters(body, &out); break;
	case 3: registrations(body, &out, false); break;
	case 4: registrations(body, &out, true); break;
	case 5: groups(body, &out); break;
	case 6: small_ones(body, &out); break;
	default: normaliser(body); break;
	}
	buffer_deinit(&out);
	return 0;
}
