#include <stdlib.h>
#include <string.h>

#include "lib/wire/codes.h"
#include "namesrv/route_state.h"

enum { LATE_MS = 20 * 1000 }; /* Less than what lies between two registrations of a broker. */

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

	if (table == NULL)
		return NULL;
	table->broker_timeout_ms = broker_timeout_ms;
	table->key = hash_key_random();
	return table;
}

static unsigned hash_of(const struct route_table *table, struct span name)
{
	/* What a peer leaves out is {NULL, 0}. */
	return (unsigned)hash128_bytes(table->key, name.size == 0 ? "" : (const char *)name.data, name.size).lo;
}

static struct live *find_live(const struct route_table *table, struct span addr)
{
	struct live *live = NULL;

	HASH_FIND_BYHASHVALUE(hh, table->lives, addr.data, addr.size, hash_of(table, addr), live);
	return live;
}

struct broker *route_find_broker(const struct route_table *table, struct span name)
{
	struct broker *broker = NULL;

	HASH_FIND_BYHASHVALUE(hh, table->brokers, name.data, name.size, hash_of(table, name), broker);
	return broker;
}

struct route_topic *route_find_topic(const struct route_table *table, struct span name)
{
	struct route_topic *topic = NULL;

	HASH_FIND_BYHASHVALUE(hh, table->topics, name.data, name.size, hash_of(table, name), topic);
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

/* A broker that got no address. NULL is allowed. */
static void free_unused(struct route_table *table, struct broker *broker)
{
	if (broker != NULL && broker->lives == NULL)
		free_broker(table, broker);
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
	const struct live *master = find_member(route_find_broker(table, broker_name), MASTER_ID);

	*out = (struct register_reply_header){ 0 };
	if (master == NULL)
		return;
	out->master_addr = master->addr;
	out->ha_server_addr = master->ha_addr;
}

static struct broker *make_broker(struct route_table *table, const struct broker_header *header)
{
	struct broker *broker = route_find_broker(table, header->broker_name);

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
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, table->brokers, broker->name.data, broker->name.size, hash_of(table, broker->name), broker);
	if (table_took(broker))
		return broker;
	free_span(broker->name);
	free(broker);
	return NULL;
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
		free_unused(table, broker);
		free(live);
		free_span(addr);
		return NULL;
	}
	live->broker = broker;
	live->broker_id = header->broker_id;
	live->addr = addr;
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, table->lives, live->addr.data, live->addr.size, hash_of(table, live->addr), live);
	if (!table_took(live)) {
		free_unused(table, broker);
		free(live);
		free_span(addr);
		return NULL;
	}
	DL_INSERT_INORDER(broker->lives, live, by_id);
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
	struct route_topic *topic = route_find_topic(table, name);

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
	HASH_ADD_KEYPTR_BYHASHVALUE(hh, table->topics, topic->name.data, topic->name.size, hash_of(table, topic->name), topic);
	if (table_took(topic))
		return topic;
	free_span(topic->name);
	free(topic);
	return NULL;
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

/* Said over an earlier connection than the last registration, soon after that: delivered late. Whoever still speaks over it after
 * a while does live, and the later connection was somebody's that was delayed itself. */
static bool is_late(const struct live *live, uint64_t conn_id, int64_t now_ms)
{
	return live != NULL && live->conn_id > conn_id && now_ms - live->seen_ms < LATE_MS;
}

bool route_table_late(const struct route_table *table, struct span addr, uint64_t conn_id, int64_t now_ms)
{
	return is_late(find_live(table, addr), conn_id, now_ms);
}

enum status route_table_register(struct route_table *table, const struct broker_header *header,
				 const struct topic_config_table *topics, uint64_t conn_id, int64_t now_ms, bool *is_new,
				 struct errinfo *err)
{
	const struct live *known = find_live(table, header->broker_addr);
	const struct live *member = find_member(route_find_broker(table, header->broker_name), header->broker_id);

	*is_new = false;
	if (member == NULL && topics->topic_count == 1)
		return errinfo_set(err, ST_DENIED, "Can't register topicConfigWrapper because broker[%.*s]=%lld has not registered",
				   SPAN_ARGS(header->broker_addr), (long long)header->broker_id);
	/* A master that was replaced and does not know it yet: it is answered, but it does not come back. */
	if (member != NULL && member != known && member->version.state_version > topics->version.state_version)
		return ST_OK;
	if (is_late(known, conn_id, now_ms) || is_late(member, conn_id, now_ms))
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
		struct topic_config config = topics->topics[i];

		if (live->broker_id != MASTER_ID) /* Acts for its master, for readers only. */
			config.perm &= ~PERM_WRITE;
		if (!set_row(table, live->broker, &config, changed))
			return errinfo_set(err, ST_TOOBIG, "no room for topic %.*s", SPAN_ARGS(topics->topics[i].name));
	}
	return ST_OK;
}

/* --- an operator's word -------------------------------------------------------------------------------------------- */

void route_table_delete_topic(struct route_table *table, struct span name, struct span cluster)
{
	struct route_topic *topic = route_find_topic(table, name);
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
	const struct broker *broker = route_find_broker(table, broker_name);
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

enum status route_table_add_topic(struct route_table *table, struct span topic, const struct queue_data *queues,
				  size_t count, struct errinfo *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct queue_data *queue = &queues[i];
		struct broker *broker = route_find_broker(table, queue->broker_name);
		struct topic_config config = { .name = topic, .read_queue_nums = queue->read_queue_nums,
					       .write_queue_nums = queue->write_queue_nums, .perm = queue->perm,
					       .sys_flag = queue->topic_sys_flag };

		if (broker != NULL && !set_row(table, broker, &config, true))
			return errinfo_set(err, ST_TOOBIG, "no room for topic %.*s", SPAN_ARGS(topic));
	}
	return ST_OK;
}
