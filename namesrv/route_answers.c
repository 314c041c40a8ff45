#include <stdlib.h>

#include "lib/wire/names.h"
#include "namesrv/route_state.h"

enum { ADDRS_MAX = 64, ROUTE_BROKERS_MAX = BROKERS_MAX };

static void fill_broker(const struct broker *broker, struct broker_addr addrs[ADDRS_MAX], struct broker_data *out)
{
	const struct live *live;
	size_t count = 0;

	DL_FOREACH(broker->lives, live) {
		if (count < ADDRS_MAX)
			addrs[count++] = (struct broker_addr){ live->broker_id, live->addr };
	}
	*out = (struct broker_data){ .broker_name = broker->name, .cluster = broker->cluster, .addrs = addrs,
				     .addr_count = count, .enable_acting_master = broker->enable_acting_master,
				     .zone_name = broker->zone };
}

bool route_table_route(const struct route_table *table, struct span name, struct span order_topic_conf, bool quoted_ids,
		       struct buffer *out)
{
	const struct route_topic *topic = route_find_topic(table, name);
	const struct queue_row *row;
	size_t count = 0, made = 0;

	if (topic == NULL)
		return false;
	DL_COUNT(topic->rows, row, count);
	struct broker_data *brokers = calloc(count, sizeof(*brokers));
	struct broker_addr(*addrs)[ADDRS_MAX] = calloc(count, sizeof(*addrs));
	struct queue_data *queues = calloc(count, sizeof(*queues));
	if (brokers == NULL || addrs == NULL || queues == NULL) {
		out->failed = true;
		count = 0;
	}
	DL_FOREACH(topic->rows, row) {
		if (made == count)
			break;
		fill_broker(row->broker, addrs[made], &brokers[made]);
		queues[made] = (struct queue_data){ row->broker->name, row->read_queue_nums, row->write_queue_nums, row->perm,
						    row->sys_flag };
		made++;
	}
	struct route route = { .brokers = brokers, .broker_count = made, .queues = queues, .queue_count = made,
			       .order_topic_conf = order_topic_conf };
	route_encode(out, &route, quoted_ids);
	free(brokers);
	free(addrs);
	free(queues);
	return true;
}

void route_table_cluster_info(const struct route_table *table, bool quoted_ids, struct buffer *out)
{
	size_t count = HASH_COUNT(table->brokers), made = 0;
	struct broker_data *brokers = calloc(count + 1, sizeof(*brokers));
	struct broker_addr(*addrs)[ADDRS_MAX] = calloc(count + 1, sizeof(*addrs));

	if (brokers == NULL || addrs == NULL) {
		out->failed = true;
	} else {
		for (const struct broker *broker = table->brokers; broker != NULL; broker = broker->hh.next, made++)
			fill_broker(broker, addrs[made], &brokers[made]);
		cluster_info_encode(out, brokers, made, quoted_ids);
	}
	free(brokers);
	free(addrs);
}

static bool in_cluster(const struct route_topic *topic, struct span cluster)
{
	const struct queue_row *row;

	DL_FOREACH(topic->rows, row) {
		if (span_equal(row->broker->cluster, cluster))
			return true;
	}
	return false;
}

/* Which topics a list is about. */
struct topic_filter {
	struct span cluster;          /* Empty: any. */
	int32_t flags, flags_missing; /* Bits of topicSysFlag that must be set, and must not. */
};

/* RocketMQ looks at the flags of the first broker that has the topic. */
static bool passes(const struct route_topic *topic, const struct topic_filter *filter)
{
	int32_t flags = topic->rows->sys_flag;

	return (flags & filter->flags) == filter->flags && (flags & filter->flags_missing) == 0 &&
	       (filter->cluster.size == 0 || in_cluster(topic, filter->cluster));
}

static void list_topics(const struct route_table *table, const struct topic_filter *filter, struct buffer *out)
{
	struct span *names = calloc(HASH_COUNT(table->topics) + 1, sizeof(*names));
	size_t count = 0;

	if (names == NULL) {
		out->failed = true;
		return;
	}
	for (const struct route_topic *topic = table->topics; topic != NULL; topic = topic->hh.next) {
		if (passes(topic, filter))
			names[count++] = topic->name;
	}
	topic_list_encode(out, names, count);
	free(names);
}

void route_table_topics_by_cluster(const struct route_table *table, struct span cluster, struct buffer *out)
{
	list_topics(table, &(struct topic_filter){ .cluster = cluster }, out);
}

void route_table_topics(const struct route_table *table, struct buffer *out)
{
	list_topics(table, &(struct topic_filter){ .cluster = SPAN_NONE }, out);
}

void route_table_unit_topics(const struct route_table *table, int32_t flags, int32_t flags_missing, struct buffer *out)
{
	list_topics(table, &(struct topic_filter){ SPAN_NONE, flags, flags_missing }, out);
}

static bool is_among(const struct span *names, size_t count, struct span name)
{
	for (size_t i = 0; i < count; i++) {
		if (span_equal(names[i], name))
			return true;
	}
	return false;
}

void route_table_system_topics(const struct route_table *table, struct buffer *out)
{
	struct span *names = calloc(2 * (size_t)HASH_COUNT(table->brokers) + 1, sizeof(*names)), any_broker = SPAN_NONE;
	size_t count = 0;

	if (names == NULL) {
		out->failed = true;
		return;
	}
	for (const struct broker *broker = table->brokers; broker != NULL; broker = broker->hh.next) {
		if (!is_among(names, count, broker->cluster))
			names[count++] = broker->cluster;
		if (any_broker.size == 0 && broker->lives != NULL)
			any_broker = broker->lives->addr;
	}
	for (const struct broker *broker = table->brokers; broker != NULL; broker = broker->hh.next)
		names[count++] = broker->name;
	/* Tools ask that broker for the rest. */
	topic_list_encode_at(out, names, count, any_broker);
	free(names);
}

bool route_table_members(const struct route_table *table, struct span cluster, struct span broker_name, struct buffer *out)
{
	const struct broker *broker = route_find_broker(table, broker_name);
	const struct live *live;
	struct json_writer w = json_writer_of(out);

	json_open(&w, '{');
	json_key(&w, "brokerMemberGroup");
	json_open(&w, '{');
	json_key(&w, "brokerAddrs");
	json_open(&w, '{');
	if (broker != NULL) {
		DL_FOREACH(broker->lives, live) {
			json_key_i64(&w, live->broker_id, true);
			json_put_text(&w, live->addr);
		}
	}
	json_close(&w, '}');
	json_member_put_text(&w, "brokerName", broker_name);
	json_member_put_text(&w, "cluster", cluster);
	json_close(&w, '}');
	json_close(&w, '}');
	return broker != NULL;
}
