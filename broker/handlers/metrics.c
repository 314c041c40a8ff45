#include "broker/handlers/metrics.h"

#include <stdio.h>

#include "broker/core/clients.h"
#include "broker/core/inspect.h"
#include "broker/core/settings.h"
#include "lib/wire/languages.h"
#include "lib/wire/names.h"

enum { SLICE = 256, CLIENT_KINDS_MAX = 32 };

/* Exactly one of the four functions is set. */
struct family {
	const char *name, *type, *help;
	void (*once)(struct metrics_walk *walk);
	void (*topic)(struct metrics_walk *walk, const struct topic *topic);
	void (*group)(struct metrics_walk *walk, const struct consumer_group *group);
	void (*reading)(struct metrics_walk *walk, const struct inspected_reading *reading);
};

/* --- lines ------------------------------------------------------------------------------------------------------------ */

static void label(struct metrics_walk *walk, const char *key, struct span value)
{
	buffer_printf(walk->out, ",%s=\"", key);
	for (size_t i = 0; i < value.size; i++) {
		if (value.data[i] == '\n') {
			buffer_append_text(walk->out, "\\n");
			continue;
		}
		if (value.data[i] == '\\' || value.data[i] == '"')
			buffer_put_u8(walk->out, '\\');
		buffer_put_u8(walk->out, value.data[i]);
	}
	buffer_put_u8(walk->out, '"');
}

static void flag(struct metrics_walk *walk, const char *key, bool value)
{
	label(walk, key, span_of(value ? "true" : "false"));
}

/* The labels that all have; further ones follow, then the value. */
static void begin_line(struct metrics_walk *walk)
{
	buffer_printf(walk->out, "%s{node_type=\"broker\"", walk->name);
	label(walk, "cluster", span_of(core_configuration(walk->handlers->core)->cluster_name));
	label(walk, "node_id", span_of(walk->handlers->broker_name));
}

static void end_line(struct metrics_walk *walk, uint64_t value)
{
	buffer_printf(walk->out, "} %llu\n", (unsigned long long)value);
}

static void plain(struct metrics_walk *walk, uint64_t value)
{
	begin_line(walk);
	end_line(walk, value);
}

/* --- the broker --------------------------------------------------------------------------------------------------------- */

static void permission(struct metrics_walk *walk)
{
	plain(walk, (PERM_READ | PERM_WRITE) & ~core_configuration(walk->handlers->core)->forbidden);
}

static void topic_number(struct metrics_walk *walk)
{
	plain(walk, topics_count(core_topics(walk->handlers->core)));
}

static void group_number(struct metrics_walk *walk)
{
	plain(walk, groups_count(core_groups(walk->handlers->core)));
}

static void stored(struct metrics_walk *walk, uint64_t value)
{
	begin_line(walk);
	label(walk, "storage_type", SPAN_LITERAL("local"));
	label(walk, "storage_medium", SPAN_LITERAL("disk"));
	end_line(walk, value);
}

static void storage_size(struct metrics_walk *walk)
{
	struct inspected_store store = inspect_store(walk->handlers->core);

	stored(walk, store.log_end - store.log_start);
}

static void flush_behind(struct metrics_walk *walk)
{
	struct inspected_store store = inspect_store(walk->handlers->core);

	stored(walk, store.log_end - store.log_durable);
}

/* A message is in its queue as soon as it is in the log. */
static void dispatch_behind(struct metrics_walk *walk)
{
	stored(walk, 0);
}

static void reserve_time(struct metrics_walk *walk)
{
	int64_t earliest_ms = inspect_store(walk->handlers->core).earliest_ms, now_ms = core_wall_ms(walk->handlers->core);

	stored(walk, earliest_ms > 0 && now_ms > earliest_ms ? (uint64_t)(now_ms - earliest_ms) : 0);
}

static void timing_messages(struct metrics_walk *walk)
{
	plain(walk, inspect_store(walk->handlers->core).delayed_count);
}

/* --- transactions ------------------------------------------------------------------------------------------------------- */

static void half_messages(struct metrics_walk *walk) { plain(walk, core_stats(walk->handlers->core).pending_now); }
static void commits(struct metrics_walk *walk) { plain(walk, core_stats(walk->handlers->core).commit_count); }
static void rollbacks(struct metrics_walk *walk) { plain(walk, core_stats(walk->handlers->core).rollback_count); }
static void halves(struct metrics_walk *walk) { plain(walk, core_stats(walk->handlers->core).half_count); }
static void in_doubt(struct metrics_walk *walk) { plain(walk, core_stats(walk->handlers->core).in_doubt_now); }
static void checks(struct metrics_walk *walk) { plain(walk, core_stats(walk->handlers->core).check_count); }
static void refused(struct metrics_walk *walk) { plain(walk, core_stats(walk->handlers->core).refused_count); }
static void resends(struct metrics_walk *walk) { plain(walk, core_stats(walk->handlers->core).resend_count); }

static void oldest_age(struct metrics_walk *walk)
{
	int64_t oldest_ms = inspect_store(walk->handlers->core).oldest_open_ms, now_ms = core_wall_ms(walk->handlers->core);

	plain(walk, oldest_ms > 0 && now_ms > oldest_ms ? (uint64_t)(now_ms - oldest_ms) / 1000 : 0);
}

/* --- the machine -------------------------------------------------------------------------------------------------------- */

static void connections(struct metrics_walk *walk) { plain(walk, walk->machine.connections); }
static void disk_level(struct metrics_walk *walk) { plain(walk, walk->machine.disk_level); }
static void disk_size(struct metrics_walk *walk) { plain(walk, walk->machine.disk_bytes); }
static void disk_free(struct metrics_walk *walk) { plain(walk, walk->machine.disk_free_bytes); }

static void oplog_figure(struct metrics_walk *walk, uint64_t value)
{
	if (walk->machine.oplog)
		plain(walk, value);
}

static void oplog_lag(struct metrics_walk *walk) { oplog_figure(walk, walk->machine.oplog_lag_bytes); }
static void oplog_rows(struct metrics_walk *walk) { oplog_figure(walk, walk->machine.oplog_rows); }
static void oplog_failures(struct metrics_walk *walk) { oplog_figure(walk, walk->machine.oplog_failures); }

static void put_failures(struct metrics_walk *walk)
{
	plain(walk, statistics_totals(core_statistics(walk->handlers->core)).put_failed);
}

/* --- clients ------------------------------------------------------------------------------------------------------------ */

/* How many are of a language and version. Those beyond CLIENT_KINDS_MAX count as the last kind. */
struct client_count {
	struct metrics_walk *walk;
	struct {
		int32_t language, version;
		uint64_t count;
	} kinds[CLIENT_KINDS_MAX];
	size_t kind_count;
};

static void count_client(void *context, uint64_t conn_id, struct span client_id)
{
	struct client_count *clients = context;
	struct member_client client;
	size_t i = 0;

	(void)client_id;
	if (!core_client(clients->walk->handlers->core, conn_id, &client))
		return;
	while (i < clients->kind_count &&
	       (clients->kinds[i].language != client.language || clients->kinds[i].version != client.version))
		i++;
	if (i == CLIENT_KINDS_MAX)
		i--;
	if (i == clients->kind_count) {
		clients->kinds[i].language = client.language;
		clients->kinds[i].version = client.version;
		clients->kind_count++;
	}
	clients->kinds[i].count++;
}

static void begin_client_line(struct metrics_walk *walk, int32_t language, int32_t version)
{
	char text[16];

	begin_line(walk);
	label(walk, "language", span_of(language_name(language)));
	snprintf(text, sizeof(text), "%d", (int)version);
	label(walk, "version", span_of(text));
	label(walk, "protocol_type", SPAN_LITERAL("remoting"));
}

static void count_producers(void *context, uint32_t group_id)
{
	struct client_count *clients = context;

	members_each(core_members(clients->walk->handlers->core), group_id, MEMBER_PRODUCER, count_client, clients);
}

static void producer_connections(struct metrics_walk *walk)
{
	struct client_count clients = { .walk = walk };

	members_each_group(core_members(walk->handlers->core), MEMBER_PRODUCER, count_producers, &clients);
	for (size_t i = 0; i < clients.kind_count; i++) {
		begin_client_line(walk, clients.kinds[i].language, clients.kinds[i].version);
		end_line(walk, clients.kinds[i].count);
	}
}

static void consumer_connections(struct metrics_walk *walk, const struct consumer_group *group)
{
	const struct members *members = core_members(walk->handlers->core);
	const struct consumer_profile *profile = members_profile(members, group->id);
	struct client_count clients = { .walk = walk };

	if (profile == NULL)
		return;
	members_each(members, group->id, MEMBER_CONSUMER, count_client, &clients);
	for (size_t i = 0; i < clients.kind_count; i++) {
		begin_client_line(walk, clients.kinds[i].language, clients.kinds[i].version);
		label(walk, "consumer_group", group->name);
		label(walk, "consume_mode", consume_type_name(profile->consume_type));
		end_line(walk, clients.kinds[i].count);
	}
}

/* --- topics and groups -------------------------------------------------------------------------------------------------- */

static void put_line(struct metrics_walk *walk, const struct topic *topic, bool bytes)
{
	struct statistics_flow flow;

	/* What waits in one of these counts when it comes to its own topic: a sum over all topics has each message once. */
	if (topic_is_unsendable(topic->name) || !statistics_flow(core_statistics(walk->handlers->core), topic->id, 0, &flow))
		return;
	begin_line(walk);
	label(walk, "topic", topic->name);
	flag(walk, "is_system", topic->system);
	end_line(walk, bytes ? flow.bytes : flow.count);
}

static void messages_in(struct metrics_walk *walk, const struct topic *topic) { put_line(walk, topic, false); }
static void throughput_in(struct metrics_walk *walk, const struct topic *topic) { put_line(walk, topic, true); }

static void dead_letters(struct metrics_walk *walk, const struct topic *topic)
{
	struct statistics_flow flow;

	if (!topic_is_dlq(topic->name) || !statistics_flow(core_statistics(walk->handlers->core), topic->id, 0, &flow))
		return;
	begin_line(walk);
	label(walk, "consumer_group", topic_group(topic->name));
	label(walk, "topic", topic->name);
	flag(walk, "is_system", false);
	end_line(walk, flow.count);
}

static void begin_reading(struct metrics_walk *walk, const struct inspected_reading *reading)
{
	begin_line(walk);
	label(walk, "consumer_group", reading->group->name);
	label(walk, "topic", reading->topic->name);
	flag(walk, "is_system", reading->topic->system);
}

static void got_line(struct metrics_walk *walk, const struct inspected_reading *reading, bool bytes)
{
	struct statistics_flow flow;

	if (!statistics_flow(core_statistics(walk->handlers->core), reading->topic->id, reading->group->id, &flow))
		return;
	begin_reading(walk, reading);
	end_line(walk, bytes ? flow.bytes : flow.count);
}

static void messages_out(struct metrics_walk *walk, const struct inspected_reading *reading) { got_line(walk, reading, false); }
static void throughput_out(struct metrics_walk *walk, const struct inspected_reading *reading) { got_line(walk, reading, true); }

static void lag_line(struct metrics_walk *walk, const struct inspected_reading *reading, uint64_t value)
{
	begin_reading(walk, reading);
	flag(walk, "is_retry", topic_is_retry(reading->topic->name));
	end_line(walk, value);
}

static void lag(struct metrics_walk *walk, const struct inspected_reading *reading)
{
	lag_line(walk, reading, reading->behind);
}

static void inflight(struct metrics_walk *walk, const struct inspected_reading *reading)
{
	lag_line(walk, reading, reading->inflight);
}

static void ready(struct metrics_walk *walk, const struct inspected_reading *reading)
{
	lag_line(walk, reading, reading->behind > reading->inflight ? reading->behind - reading->inflight : 0);
}

/* --- all of them -------------------------------------------------------------------------------------------------------- */

#define ONCE(n, t, f, h) { .name = n, .type = t, .once = f, .help = h }
#define TOPICS(n, t, f, h) { .name = n, .type = t, .topic = f, .help = h }
#define GROUPS(n, t, f, h) { .name = n, .type = t, .group = f, .help = h }
#define READINGS(n, t, f, h) { .name = n, .type = t, .reading = f, .help = h }

static const struct family families[] = {
	ONCE("rocketmq_broker_permission", "gauge", permission, "What clients may do: the sum of 4 (read) and 2 (write)."),
	ONCE("rocketmq_topic_number", "gauge", topic_number, "Topics."),
	ONCE("rocketmq_consumer_group_number", "gauge", group_number, "Consumer groups."),
	TOPICS("rocketmq_messages_in_total", "counter", messages_in, "Messages put to a topic."),
	TOPICS("rocketmq_throughput_in_total", "counter", throughput_in, "Bytes of them, as stored."),
	READINGS("rocketmq_messages_out_total", "counter", messages_out, "Messages that a group's consumers pulled."),
	READINGS("rocketmq_throughput_out_total", "counter", throughput_out, "Bytes of them."),
	READINGS("rocketmq_consumer_lag_messages", "gauge", lag, "Messages that a group has not confirmed."),
	READINGS("rocketmq_consumer_inflight_messages", "gauge", inflight, "Those of them that its consumers have pulled."),
	READINGS("rocketmq_consumer_ready_messages", "gauge", ready, "Those of them that nobody has pulled."),
	TOPICS("rocketmq_send_to_dlq_messages_total", "counter", dead_letters, "Dead letters of a group."),
	ONCE("rocketmq_producer_connections", "gauge", producer_connections, "Producers, by language and version."),
	GROUPS("rocketmq_consumer_connections", "gauge", consumer_connections, "Consumers of a group."),
	ONCE("rocketmq_half_messages", "gauge", half_messages, "Transactions that are not decided."),
	ONCE("rocketmq_commit_messages_total", "counter", commits, "Transactions committed."),
	ONCE("rocketmq_rollback_messages_total", "counter", rollbacks, "Transactions rolled back."),
	ONCE("rocketmq_storage_size_bytes", "gauge", storage_size, "Size of the log."),
	ONCE("rocketmq_storage_flush_behind_bytes", "gauge", flush_behind, "Log that is not durable yet."),
	ONCE("rocketmq_storage_dispatch_behind_bytes", "gauge", dispatch_behind, "Log that is not in the queues yet."),
	ONCE("rocketmq_storage_message_reserve_time_milliseconds", "gauge", reserve_time, "Age of the oldest record of the log."),
	ONCE("rocketmq_timing_messages", "gauge", timing_messages, "Messages that wait for their time."),
	ONCE("escrow_half_messages_total", "counter", halves, "Half messages accepted."),
	ONCE("escrow_transactions_in_doubt", "gauge", in_doubt, "Undecided transactions past their first deadline."),
	ONCE("escrow_transaction_oldest_age_seconds", "gauge", oldest_age, "Age of the oldest undecided transaction."),
	ONCE("escrow_checks_total", "counter", checks, "Questions to producers about a transaction."),
	ONCE("escrow_decisions_refused_total", "counter", refused, "Decisions that contradict an earlier one, and the like."),
	ONCE("escrow_resends_total", "counter", resends, "Half messages that were there already."),
	ONCE("escrow_put_failures_total", "counter", put_failures, "Messages refused because the disk was full."),
	ONCE("escrow_connections", "gauge", connections, "Connections of clients."),
	ONCE("escrow_disk_level", "gauge", disk_level, "0: enough space, 1: low, 2: full, new messages are refused."),
	ONCE("escrow_disk_size_bytes", "gauge", disk_size, "Of the store's file system, as far as it may be used."),
	ONCE("escrow_disk_free_bytes", "gauge", disk_free, "Free there."),
	ONCE("escrow_oplog_lag_bytes", "gauge", oplog_lag, "Log that is not in MySQL yet."),
	ONCE("escrow_oplog_rows_total", "counter", oplog_rows, "Rows sent to MySQL."),
	ONCE("escrow_oplog_failures_total", "counter", oplog_failures, "Failed tries to write to MySQL."),
};

/* One step of the family under way; false at its end. */
static bool step(struct metrics_walk *walk, const struct family *family, bool first)
{
	struct core *core = walk->handlers->core;
	struct inspected_reading reading;

	if (family->once != NULL) {
		family->once(walk);
		return false;
	}
	if (family->topic != NULL) {
		walk->topic = first ? topics_first(core_topics(core)) : topics_next(walk->topic);
		if (walk->topic != NULL)
			family->topic(walk, walk->topic);
		return walk->topic != NULL;
	}
	if (family->group != NULL) {
		walk->group = first ? groups_first(core_groups(core)) : groups_next(walk->group);
		if (walk->group != NULL)
			family->group(walk, walk->group);
		return walk->group != NULL;
	}
	if (first)
		walk->rows = (struct offsets_cursor){ 0 };
	if (!inspect_next_reading(core, &walk->rows, &reading))
		return false;
	family->reading(walk, &reading);
	return true;
}

bool metrics_next(struct metrics_walk *walk, struct buffer *out)
{
	const struct handlers *handlers = walk->handlers;

	walk->out = out;
	if (handlers->machine.look != NULL)
		walk->machine = handlers->machine.look(handlers->machine.context);
	for (int i = 0; i < SLICE && walk->family < sizeof(families) / sizeof(families[0]); i++) {
		const struct family *family = &families[walk->family];
		bool first = !walk->begun;

		walk->name = family->name;

		if (first)
			buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name, family->help, family->name, family->type);
		walk->begun = step(walk, family, first);
		walk->family += !walk->begun;
	}
	return walk->family < sizeof(families) / sizeof(families[0]);
}
