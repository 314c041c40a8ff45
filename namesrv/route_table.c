#include "namesrv/route_table.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "lib/wire/body_route.h"
#include "lib/wire/codes.h"
#include "lib/wire/names.h"

struct broker;

/* One process: an address. */
struct live {
	UT_hash_handle hh;
	struct live *prev, *next; /* In its broker's list, by id. */
	struct broker *broker;
	int64_t broker_id;
	int64_t seen_ms;
	int64_t timeout_ms;
	uint64_t conn_id;
	struct data_version version;
	struct span addr, ha_addr; /* Owned. */
};

/* One broker name: a master and its slaves. */
struct broker {
	UT_hash_handle hh;
	struct live *lives;
	bool enable_acting_master;
	struct span name, cluster, zone; /* Owned. */
};

struct queue_row {
	struct queue_row *prev, *next;
	struct broker *broker;
	int32_t read_queue_nums, write_queue_nums, perm, sys_flag;
};

struct route_topic {
	UT_hash_handle hh;
	struct queue_row *rows;
	struct span name; /* Owned. */
};

struct route_table {
	struct live *lives;
	struct broker *brokers;
	struct route_topic *topics;
	int64_t broker_timeout_ms;
};

/* An owned copy; {NULL, 0} without memory or for an empty text. */
static struct span copy(struct span s)
{
	uint8_t *data = s.size == 0 ? NULL : malloc(s.size);

	if (data == NULL)
		return SPAN_NONE;
	memcpy(data, s.data, s.size);
	return (struct span){ data, s.size };
}

static void free_span(struct span s)
{
	free((void *)s.data);
}

struct route_table *route_table_create(int64_t broker_timeout_ms)
{
	struct route_table *table = calloc(1, sizeof(*table));

	if (table != NULL)
		table->broker_timeout_ms = broker_timeout_ms;
	return table;
}

static struct live *find_live(const struct route_table *table, struct span addr)
{
	struct live *live = NULL;

	HASH_FIND(hh, table->lives, addr.data, addr.size, live);
	return live;
}

static struct broker *find_broker(const struct route_table *table, struct span name)
{
	struct broker *broker = NULL;

	HASH_FIND(hh, table->brokers, name.data, name.size, broker);
	return broker;
}

static struct route_topic *find_topic(const struct route_table *table, struct span name)
{
	struct route_topic *topic = NULL;

	HASH_FIND(hh, table->topics, name.data, name.size, topic);
	return topic;
}

static struct live *find_member(const struct broker *broker, int64_t broker_id)
{
	struct live *live = NULL;

	if (broker != NULL)
		DL_SEARCH_SCALAR(broker->lives, live, broker_id, broker_id);
	return live;
}

/* --- going ------------------------------------------------------------------------------------------------ */

static void free_topic(struct route_table *table, struct route_topic *topic)
{
	struct queue_row *row, *next;

	DL_FOREACH_SAFE(topic->rows, row, next)
		free(row);
	HASH_DEL(table->topics, topic);
	free_span(topic->name);
	free(topic);
}

/* Takes a broker's queues out of every topic, or of those of one name; topics without any go. */
static void drop_rows(struct route_table *table, const struct broker *broker)
{
	struct route_topic *topic, *next_topic;
	struct queue_row *row, *next;

	HASH_ITER(hh, table->topics, topic, next_topic) {
		DL_FOREACH_SAFE(topic->rows, row, next) {
			if (row->broker != broker)
				continue;
			DL_DELETE(topic->rows, row);
			free(row);
		}
		if (topic->rows == NULL)
			free_topic(table, topic);
	}
}

static void free_broker(struct route_table *table, struct broker *broker)
{
	HASH_DEL(table->brokers, broker);
	free_span(broker->name);
	free_span(broker->cluster);
	free_span(broker->zone);
	free(broker);
}

static void remove_live(struct route_table *table, struct live *live, route_table_gone gone, void *context)
{
	struct broker *broker = live->broker;

	if (gone != NULL)
		gone(context, broker->name, live->addr);
	DL_DELETE(broker->lives, live);
	HASH_DEL(table->lives, live);
	free_span(live->addr);
	free_span(live->ha_addr);
	free(live);
	if (broker->lives != NULL)
		return;
	drop_rows(table, broker);
	free_broker(table, broker);
}

void route_table_destroy(struct route_table *table)
{
	struct live *live, *next;

	if (table == NULL)
		return;
	HASH_ITER(hh, table->lives, live, next)
		remove_live(table, live, NULL, NULL);
	free(table);
}

bool route_table_unregister(struct route_table *table, struct span broker_name, struct span addr, int64_t broker_id)
{
	struct live *live = find_live(table, addr);

	if (live == NULL || !span_equal(live->broker->name, broker_name) || live->broker_id != broker_id)
		return false;
	remove_live(table, live, NULL, NULL);
	return true;
}

void route_table_connection_gone(struct route_table *table, uint64_t conn_id, route_table_gone gone, void *context)
{
	struct live *live, *next;

	HASH_ITER(hh, table->lives, live, next) {
		if (live->conn_id == conn_id)
			remove_live(table, live, gone, context);
	}
}

void route_table_expire(struct route_table *table, int64_t now_ms, route_table_gone gone, void *context)
{
	struct live *live, *next;

	HASH_ITER(hh, table->lives, live, next) {
		if (now_ms - live->seen_ms > live->timeout_ms)
			remove_live(table, live, gone, context);
	}
}

/* --- coming ------------------------------------------------------------------------------------------------- */

void route_table_touch(struct route_table *table, struct span addr, int64_t now_ms)
{
	struct live *live = find_live(table, addr);

	if (live != NULL)
		live->seen_ms = now_ms;
}

bool route_table_version(const struct route_table *table, struct span addr, struct data_version *out)
{
	const struct live *live = find_live(table, addr);

	if (live != NULL)
		*out = live->version;
	return live != NULL;
}

void route_table_master(const struct route_table *table, struct span broker_name, struct register_reply_header *out)
{
	const struct live *master = find_member(find_broker(table, broker_name), MASTER_ID);

	*out = (struct register_reply_header){ 0 };
	if (master == NULL)
		return;
	out->master_addr = master->addr;
	out->ha_server_addr = master->ha_addr;
}

static struct broker *make_broker(struct route_table *table, const struct broker_header *header)
{
	struct broker *broker = find_broker(table, header->broker_name);

	if (broker != NULL)
		return broker;
	broker = calloc(1, sizeof(*broker));
	if (broker == NULL)
		return NULL;
	broker->name = copy(header->broker_name);
	if (broker->name.data == NULL) {
		free(broker);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, table->brokers, broker->name.data, broker->name.size, broker);
	return broker;
}

static int by_id(const struct live *a, const struct live *b)
{
	return a->broker_id < b->broker_id ? -1 : a->broker_id > b->broker_id;
}

/* The address under its broker; one that stood under another name or id moves. NULL without memory. */
static struct live *make_live(struct route_table *table, const struct broker_header *header, bool *is_new)
{
	struct live *live = find_live(table, header->broker_addr), *other;

	if (live != NULL && (!span_equal(live->broker->name, header->broker_name) || live->broker_id != header->broker_id)) {
		remove_live(table, live, NULL, NULL);
		live = NULL;
	}
	*is_new = live == NULL;
	if (live != NULL)
		return live;
	struct broker *broker = make_broker(table, header);
	live = calloc(1, sizeof(*live));
	struct span addr = copy(header->broker_addr);
	if (broker == NULL || live == NULL || addr.data == NULL) {
		if (broker != NULL && broker->lives == NULL)
			free_broker(table, broker);
		free(live);
		free_span(addr);
		return NULL;
	}
	live->broker = broker;
	live->broker_id = header->broker_id;
	live->addr = addr;
	DL_INSERT_INORDER(broker->lives, live, by_id);
	HASH_ADD_KEYPTR(hh, table->lives, live->addr.data, live->addr.size, live);
	/* Another address with the same id: this one has taken its place. */
	DL_FOREACH(broker->lives, other) {
		if (other != live && other->broker_id == live->broker_id) {
			remove_live(table, other, NULL, NULL);
			break;
		}
	}
	return live;
}

static struct span set_text(struct span old, struct span text)
{
	if (span_equal(old, text))
		return old;
	free_span(old);
	return copy(text);
}

static struct route_topic *make_topic(struct route_table *table, struct span name)
{
	struct route_topic *topic = find_topic(table, name);

	if (topic != NULL)
		return topic;
	if (HASH_COUNT(table->topics) >= ROUTE_TOPICS_MAX)
		return NULL;
	topic = calloc(1, sizeof(*topic));
	if (topic == NULL)
		return NULL;
	topic->name = copy(name);
	if (topic->name.data == NULL) {
		free(topic);
		return NULL;
	}
	HASH_ADD_KEYPTR(hh, table->topics, topic->name.data, topic->name.size, topic);
	return topic;
}

/* `changed` false: only a topic that is not there yet is written. */
static bool set_row(struct route_table *table, struct broker *broker, const struct topic_config *config, bool changed)
{
	struct route_topic *topic = make_topic(table, config->name);
	struct queue_row *row;

	if (topic == NULL)
		return false;
	DL_SEARCH_SCALAR(topic->rows, row, broker, broker);
	if (row != NULL && !changed)
		return true;
	if (row == NULL) {
		row = calloc(1, sizeof(*row));
		if (row == NULL) {
			if (topic->rows == NULL)
				free_topic(table, topic);
			return false;
		}
		row->broker = broker;
		DL_APPEND(topic->rows, row);
	}
	row->read_queue_nums = config->read_queue_nums;
	row->write_queue_nums = config->write_queue_nums;
	row->perm = config->perm;
	row->sys_flag = config->sys_flag;
	return true;
}

/* Whose topics count: the master's, or without one the lowest slave's if it may act as master. */
static bool contributes(const struct live *live)
{
	const struct broker *broker = live->broker;

	return live->broker_id == MASTER_ID || (broker->enable_acting_master && broker->lives == live);
}

enum status route_table_register(struct route_table *table, const struct broker_header *header,
				 const struct topic_config_table *topics, uint64_t conn_id, int64_t now_ms, bool *is_new,
				 struct errinfo *err)
{
	const struct live *known = find_live(table, header->broker_addr);
	const struct live *member = find_member(find_broker(table, header->broker_name), header->broker_id);

	*is_new = false;
	if (member == NULL && topics->topic_count == 1)
		return errinfo_set(err, ST_DENIED, "Can't register topicConfigWrapper because broker[%.*s]=%lld has not registered",
				   SPAN_ARGS(header->broker_addr), (long long)header->broker_id);
	/* A master that was replaced and does not know it yet: it is answered, but it does not come back. */
	if (member != NULL && member != known && member->version.state_version > topics->version.state_version)
		return ST_OK;
	if (known == NULL && HASH_COUNT(table->lives) >= BROKERS_MAX)
		return errinfo_set(err, ST_TOOBIG, "this name server knows %d brokers, its limit", BROKERS_MAX);
	struct live *live = make_live(table, header, is_new);
	if (live == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for the broker");
	bool changed = *is_new || !data_version_equal(&live->version, &topics->version);
	live->broker->cluster = set_text(live->broker->cluster, header->cluster_name);
	live->broker->zone = set_text(live->broker->zone, header->zone_name);
	live->ha_addr = set_text(live->ha_addr, header->ha_server_addr);
	live->broker->enable_acting_master = header->enable_acting_master;
	live->seen_ms = now_ms;
	live->timeout_ms = header->heartbeat_timeout_ms > 0 ? header->heartbeat_timeout_ms : table->broker_timeout_ms;
	live->conn_id = conn_id;
	live->version = topics->version;
	if (!contributes(live))
		return ST_OK;
	for (size_t i = 0; i < topics->topic_count; i++) {
		if (!set_row(table, live->broker, &topics->topics[i], changed))
			return errinfo_set(err, ST_TOOBIG, "no room for topic %.*s", SPAN_ARGS(topics->topics[i].name));
	}
	return ST_OK;
}

/* --- answers --------------------------------------------------------------------------------------------------- */

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

bool route_table_route(const struct route_table *table, struct span name, bool quoted_ids, struct buffer *out)
{
	const struct route_topic *topic = find_topic(table, name);
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
	struct route route = { .brokers = brokers, .broker_count = made, .queues = queues, .queue_count = made };
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

void route_table_topics_by_cluster(const struct route_table *table, struct span cluster, struct buffer *out)
{
	struct span *names = calloc(HASH_COUNT(table->topics) + 1, sizeof(*names));
	size_t count = 0;

	if (names == NULL) {
		out->failed = true;
		return;
	}
	for (const struct route_topic *topic = table->topics; topic != NULL; topic = topic->hh.next) {
		if (cluster.size == 0 || in_cluster(topic, cluster))
			names[count++] = topic->name;
	}
	topic_list_encode(out, names, count);
	free(names);
}

void route_table_topics(const struct route_table *table, struct buffer *out)
{
	route_table_topics_by_cluster(table, SPAN_NONE, out);
}

void route_table_system_topics(const struct route_table *table, struct buffer *out)
{
	struct span *names = calloc(2 * (size_t)HASH_COUNT(table->brokers) + 1, sizeof(*names));
	size_t count = 0;

	if (names == NULL) {
		out->failed = true;
		return;
	}
	for (const struct broker *broker = table->brokers; broker != NULL; broker = broker->hh.next) {
		names[count++] = broker->cluster;
		names[count++] = broker->name;
	}
	topic_list_encode(out, names, count);
	free(names);
}

bool route_table_members(const struct route_table *table, struct span cluster, struct span broker_name, struct buffer *out)
{
	const struct broker *broker = find_broker(table, broker_name);
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

/* --- an operator's word -------------------------------------------------------------------------------------------- */

void route_table_delete_topic(struct route_table *table, struct span name, struct span cluster)
{
	struct route_topic *topic = find_topic(table, name);
	struct queue_row *row, *next;

	if (topic == NULL)
		return;
	DL_FOREACH_SAFE(topic->rows, row, next) {
		if (cluster.size > 0 && !span_equal(row->broker->cluster, cluster))
			continue;
		DL_DELETE(topic->rows, row);
		free(row);
	}
	if (topic->rows == NULL)
		free_topic(table, topic);
}

uint32_t route_table_set_write_perm(struct route_table *table, struct span broker_name, bool writable)
{
	const struct broker *broker = find_broker(table, broker_name);
	uint32_t count = 0;
	struct queue_row *row;

	for (struct route_topic *topic = table->topics; topic != NULL && broker != NULL; topic = topic->hh.next) {
		DL_FOREACH(topic->rows, row) {
			if (row->broker != broker)
				continue;
			row->perm = writable ? PERM_READ | PERM_WRITE : row->perm & ~PERM_WRITE;
			count++;
		}
	}
	return count;
}
