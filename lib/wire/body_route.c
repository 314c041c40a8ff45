#include "lib/wire/body_route.h"

#include <cjson/cJSON.h>

static void encode_broker(struct json_writer *w, const struct broker_data *broker, bool quoted_ids)
{
	json_open(w, '{');
	json_key(w, "brokerAddrs");
	json_open(w, '{');
	for (size_t i = 0; i < broker->addr_count; i++) {
		json_key_i64(w, broker->addrs[i].broker_id, quoted_ids);
		json_put_text(w, broker->addrs[i].addr);
	}
	json_close(w, '}');
	json_member_put_text(w, "brokerName", broker->broker_name);
	json_member_put_text(w, "cluster", broker->cluster);
	json_member_put_bool(w, "enableActingMaster", broker->enable_acting_master);
	if (broker->zone_name.size > 0)
		json_member_put_text(w, "zoneName", broker->zone_name);
	json_close(w, '}');
}

void route_encode(struct buffer *out, const struct route *route, bool quoted_ids)
{
	struct json_writer w = json_writer_of(out);

	json_open(&w, '{');
	json_key(&w, "brokerDatas");
	json_open(&w, '[');
	for (size_t i = 0; i < route->broker_count; i++)
		encode_broker(&w, &route->brokers[i], quoted_ids);
	json_close(&w, ']');
	json_key(&w, "filterServerTable");
	json_put_raw(&w, SPAN_LITERAL("{}"));
	if (route->order_topic_conf.size > 0)
		json_member_put_text(&w, "orderTopicConf", route->order_topic_conf);
	json_key(&w, "queueDatas");
	json_open(&w, '[');
	for (size_t i = 0; i < route->queue_count; i++) {
		const struct queue_data *queue = &route->queues[i];

		json_open(&w, '{');
		json_member_put_text(&w, "brokerName", queue->broker_name);
		json_member_put_i64(&w, "perm", queue->perm);
		json_member_put_i64(&w, "readQueueNums", queue->read_queue_nums);
		json_member_put_i64(&w, "topicSysFlag", queue->topic_sys_flag);
		json_member_put_i64(&w, "writeQueueNums", queue->write_queue_nums);
		json_close(&w, '}');
	}
	json_close(&w, ']');
	json_close(&w, '}');
}

static enum status decode_broker(struct json_doc *doc, const struct cJSON *object, struct broker_data *out)
{
	const struct cJSON *item, *table = json_member(object, "brokerAddrs");
	struct broker_addr *addrs = json_doc_alloc(doc, json_count(table), sizeof(*addrs));

	if (addrs == NULL)
		return ST_NOMEM;
	*out = (struct broker_data){
		.broker_name = json_member_text(object, "brokerName"),
		.cluster = json_member_text(object, "cluster"),
		.addrs = addrs,
		.enable_acting_master = json_member_bool(object, "enableActingMaster", false),
		.zone_name = json_member_text(object, "zoneName"),
	};
	cJSON_ArrayForEach(item, table) {
		struct broker_addr *addr = &addrs[out->addr_count];

		addr->addr = json_text(item);
		if (addr->addr.size > 0 && span_to_i64(span_of(item->string), &addr->broker_id) == ST_OK)
			out->addr_count++;
	}
	return ST_OK;
}

/* Of an array or an object of BrokerData. */
static enum status decode_brokers(struct json_doc *doc, const struct cJSON *set, const struct broker_data **out,
				  size_t *count)
{
	const struct cJSON *item;
	struct broker_data *brokers = json_doc_alloc(doc, json_count(set), sizeof(*brokers));

	if (brokers == NULL)
		return ST_NOMEM;
	*out = brokers;
	cJSON_ArrayForEach(item, set) {
		if (decode_broker(doc, item, &brokers[*count]) != ST_OK)
			return ST_NOMEM;
		if (brokers[*count].broker_name.size > 0)
			(*count)++;
	}
	return ST_OK;
}

static enum status decode_queues(struct route *out)
{
	const struct cJSON *item, *set = json_member(out->doc.root, "queueDatas");
	struct queue_data *queues = json_doc_alloc(&out->doc, json_count(set), sizeof(*queues));

	if (queues == NULL)
		return ST_NOMEM;
	out->queues = queues;
	cJSON_ArrayForEach(item, set) {
		struct queue_data *queue = &queues[out->queue_count];

		*queue = (struct queue_data){
			.broker_name = json_member_text(item, "brokerName"),
			.read_queue_nums = json_member_i32(item, "readQueueNums", 0),
			.write_queue_nums = json_member_i32(item, "writeQueueNums", 0),
			.perm = json_member_i32(item, "perm", 0),
			.topic_sys_flag = json_member_i32(item, "topicSysFlag", 0),
		};
		if (queue->broker_name.size > 0)
			out->queue_count++;
	}
	return ST_OK;
}

enum status route_decode(struct span body, struct route *out, struct errinfo *err)
{
	*out = (struct route){ .broker_count = 0 };
	enum status status = json_doc_parse(body, &out->doc, err);

	if (status != ST_OK)
		return errinfo_wrap(err, status, "route");
	out->order_topic_conf = json_member_text(out->doc.root, "orderTopicConf");
	if (decode_brokers(&out->doc, json_member(out->doc.root, "brokerDatas"), &out->brokers, &out->broker_count) !=
		    ST_OK ||
	    decode_queues(out) != ST_OK) {
		route_free(out);
		return errinfo_set(err, ST_NOMEM, "route: out of memory");
	}
	return ST_OK;
}

void route_free(struct route *route)
{
	json_doc_free(&route->doc);
	*route = (struct route){ .broker_count = 0 };
}

struct span broker_data_addr(const struct broker_data *broker, int64_t broker_id)
{
	for (size_t i = 0; i < broker->addr_count; i++) {
		if (broker->addrs[i].broker_id == broker_id)
			return broker->addrs[i].addr;
	}
	return SPAN_NONE;
}

static bool is_first_of_cluster(const struct broker_data *brokers, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (span_equal(brokers[i].cluster, brokers[index].cluster))
			return false;
	}
	return true;
}

void cluster_info_encode(struct buffer *out, const struct broker_data *brokers, size_t broker_count, bool quoted_ids)
{
	struct json_writer w = json_writer_of(out);

	json_open(&w, '{');
	json_key(&w, "brokerAddrTable");
	json_open(&w, '{');
	for (size_t i = 0; i < broker_count; i++) {
		json_key_span(&w, brokers[i].broker_name);
		encode_broker(&w, &brokers[i], quoted_ids);
	}
	json_close(&w, '}');
	json_key(&w, "clusterAddrTable");
	json_open(&w, '{');
	for (size_t i = 0; i < broker_count; i++) {
		if (!is_first_of_cluster(brokers, i))
			continue;
		json_key_span(&w, brokers[i].cluster);
		json_open(&w, '[');
		for (size_t k = i; k < broker_count; k++) {
			if (span_equal(brokers[k].cluster, brokers[i].cluster))
				json_put_text(&w, brokers[k].broker_name);
		}
		json_close(&w, ']');
	}
	json_close(&w, '}');
	json_close(&w, '}');
}

enum status cluster_info_decode(struct span body, struct cluster_info *out, struct errinfo *err)
{
	*out = (struct cluster_info){ .broker_count = 0 };
	enum status status = json_doc_parse(body, &out->doc, err);

	if (status != ST_OK)
		return errinfo_wrap(err, status, "cluster info");
	if (decode_brokers(&out->doc, json_member(out->doc.root, "brokerAddrTable"), &out->brokers,
			   &out->broker_count) != ST_OK) {
		cluster_info_free(out);
		return errinfo_set(err, ST_NOMEM, "cluster info: out of memory");
	}
	return ST_OK;
}

void cluster_info_free(struct cluster_info *info)
{
	json_doc_free(&info->doc);
	*info = (struct cluster_info){ .broker_count = 0 };
}
