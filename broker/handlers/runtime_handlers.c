/* GET_BROKER_RUNTIME_INFO (28): the figures that clusterList, brokerStatus, the dashboard and the exporter read.
 * GET_BROKER_HA_STATUS (907). */
#include <stdarg.h>
#include <stdio.h>

#include "broker/core/inspect.h"
#include "broker/handlers/handlers.h"
#include "lib/wire/body_route.h"

enum { PREFETCH_SECONDS = 600 };

static void put(struct json_writer *w, const char *key, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void put(struct json_writer *w, const char *key, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	kv_table_put(w, span_of(key), span_of(text));
}

static void put_i64(struct json_writer *w, const char *key, int64_t value)
{
	put(w, key, "%lld", (long long)value);
}

/* As RocketMQ writes sizes for people, and its exporter reads them. */
static void put_size(struct json_writer *w, const char *key, uint64_t bytes)
{
	static const char units[] = "KMGTPE";
	double value = (double)bytes;
	int unit = -1;

	for (; value >= 1024; unit++)
		value /= 1024;
	if (unit < 0)
		put(w, key, "%llu B", (unsigned long long)bytes);
	else
		put(w, key, "%.1f %ciB", value, units[unit]);
}

/* --- rates ---------------------------------------------------------------------------------------------------------- */

typedef uint64_t (*total_of)(const struct statistics_totals *totals);

static uint64_t puts_of(const struct statistics_totals *t) { return t->put_count; }
static uint64_t got_of(const struct statistics_totals *t) { return t->got_count; }
static uint64_t found_of(const struct statistics_totals *t) { return t->found; }
static uint64_t missed_of(const struct statistics_totals *t) { return t->missed; }
static uint64_t pulls_of(const struct statistics_totals *t) { return t->found + t->missed; }

static double rate(const struct statistics *statistics, unsigned seconds, total_of total)
{
	double took;
	struct statistics_totals now = statistics_totals_before(statistics, 0, &took);
	struct statistics_totals before = statistics_totals_before(statistics, seconds, &took);

	return took < 0.5 ? 0 : (double)(total(&now) - total(&before)) / took;
}

/* Of 10, 60, 600 seconds. */
static void put_rates(struct json_writer *w, const char *key, const struct statistics *statistics, total_of total)
{
	put(w, key, "%.4f %.4f %.4f", rate(statistics, 10, total), rate(statistics, 60, total),
	    rate(statistics, PREFETCH_SECONDS, total));
}

static void put_traffic(struct json_writer *w, const struct statistics *statistics)
{
	struct statistics_totals now = statistics_totals(statistics), today = statistics_totals_at_midnight(statistics, false),
				 yesterday = statistics_totals_at_midnight(statistics, true);

	put_rates(w, "putTps", statistics, puts_of);
	put_rates(w, "getFoundTps", statistics, found_of);
	put_rates(w, "getMissTps", statistics, missed_of);
	put_rates(w, "getTotalTps", statistics, pulls_of);
	/* As RocketMQ spells it, and as it spelled it before 4.9.5. */
	put_rates(w, "getTransferredTps", statistics, got_of);
	put_rates(w, "getTransferedTps", statistics, got_of);
	put_i64(w, "putMessageTimesTotal", (int64_t)now.put_count);
	put_i64(w, "putMessageSizeTotal", (int64_t)now.put_bytes);
	put_i64(w, "putMessageFailedTimes", (int64_t)now.put_failed);
	put(w, "putMessageAverageSize", "%.2f", now.put_count == 0 ? 0.0 : (double)now.put_bytes / (double)now.put_count);
	put_i64(w, "msgPutTotalTodayNow", (int64_t)now.put_count);
	put_i64(w, "msgPutTotalTodayMorning", (int64_t)today.put_count);
	put_i64(w, "msgPutTotalYesterdayMorning", (int64_t)yesterday.put_count);
	put_i64(w, "msgGetTotalTodayNow", (int64_t)now.got_count);
	put_i64(w, "msgGetTotalTodayMorning", (int64_t)today.got_count);
	put_i64(w, "msgGetTotalYesterdayMorning", (int64_t)yesterday.got_count);
}

static void put_latencies(struct json_writer *w, const struct statistics *statistics)
{
	static const char *const names[STATISTICS_LATENCIES] = {
		"<=0ms", "0~10ms", "10~50ms", "50~100ms", "100~200ms", "200~500ms", "500ms~1s", "1~2s", "2~3s", "3~4s", "4~5s",
		"5~10s", "10s~",
	};
	const uint64_t *counts = statistics_latencies(statistics);
	char text[512];
	size_t used = 0;

	for (size_t i = 0; i < STATISTICS_LATENCIES; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s[%s]:%llu", i == 0 ? "" : " ", names[i],
					 (unsigned long long)counts[i]);
	put(w, "putMessageDistributeTime", "%s", text);
	put_i64(w, "putMessageEntireTimeMax", statistics_longest_ms(statistics));
	put_i64(w, "putLatency99", statistics_latency_ms(statistics, 0.99));
	put_i64(w, "putLatency999", statistics_latency_ms(statistics, 0.999));
	put_i64(w, "getMessageEntireTimeMax", 0);
}

/* --- state ---------------------------------------------------------------------------------------------------------- */

static double used_ratio(const struct machine_facts *machine)
{
	return machine->disk_bytes == 0 ? 0 : 1 - (double)machine->disk_free_bytes / (double)machine->disk_bytes;
}

static void put_store(struct json_writer *w, struct core *core, const struct machine_facts *machine)
{
	struct inspected_store store = inspect_store(core);

	put_i64(w, "commitLogMinOffset", (int64_t)store.log_start);
	put_i64(w, "commitLogMaxOffset", (int64_t)store.log_end);
	put(w, "commitLogDiskRatio", "%.4f", used_ratio(machine));
	put(w, "consumeQueueDiskRatio", "%.4f", used_ratio(machine));
	put(w, "commitLogDirCapacity", "Total : %.1f GiB, Free : %.1f GiB.", (double)machine->disk_bytes / 1073741824.0,
	    (double)machine->disk_free_bytes / 1073741824.0);
	put_size(w, "remainHowManyDataToFlush", store.log_end - store.log_durable);
	put_i64(w, "dispatchBehindBytes", 0);
	put_i64(w, "dispatchMaxBuffer", 0);
	put_i64(w, "earliestMessageTimeStamp", store.earliest_ms);
	put_i64(w, "timerReadBehind", 0);
	put_i64(w, "timerOffsetBehind", 0);
	put_i64(w, "timerCongestNum", (int64_t)store.delayed_count);
	put(w, "timerEnqueueTps", "0.0");
	put(w, "timerDequeueTps", "0.0");
}

/* Requests are served as they come: nothing ever waits in a thread pool's queue. */
static void put_queues(struct json_writer *w)
{
	static const char *const pools[] = { "sendThreadPoolQueue", "pullThreadPoolQueue", "queryThreadPoolQueue",
					     "ackThreadPoolQueue",  "EndTransactionQueue", "litePullThreadPoolQueue" };
	char key[64];

	for (size_t i = 0; i < sizeof(pools) / sizeof(pools[0]); i++) {
		snprintf(key, sizeof(key), "%sSize", pools[i]);
		put_i64(w, key, 0);
		snprintf(key, sizeof(key), "%sHeadWaitTimeMills", pools[i]);
		put_i64(w, key, 0);
		snprintf(key, sizeof(key), "%sCapacity", pools[i]);
		put_i64(w, key, 100000);
	}
	/* The two that RocketMQ spells otherwise. */
	put_i64(w, "EndTransactionThreadPoolQueueCapacity", 100000);
	put_i64(w, "pageCacheLockTimeMills", 0);
	put_i64(w, "remainTransientStoreBufferNumbs", 2147483647);
}

static void put_identity(struct json_writer *w, struct core *core, const struct statistics *statistics)
{
	int64_t started = statistics_started_wall_ms(statistics), lived_s = (core_wall_ms(core) - started) / 1000;

	put(w, "brokerVersionDesc", "%s", VERSION_OURS_TEXT);
	put_i64(w, "brokerVersion", VERSION_OURS);
	put(w, "brokerActive", "true");
	put_i64(w, "bootTimestamp", started);
	put_i64(w, "startAcceptSendRequestTimeStamp", started);
	put(w, "runtime", "[ %lld days, %lld hours, %lld minutes, %lld seconds ]", (long long)(lived_s / 86400),
	    (long long)(lived_s / 3600 % 24), (long long)(lived_s / 60 % 60), (long long)(lived_s % 60));
}

/* What RocketMQ has no name for. */
static void put_ours(struct json_writer *w, struct core *core, const struct machine_facts *machine)
{
	struct core_stats stats = core_stats(core);

	put_i64(w, "escrowTransactionsPending", (int64_t)stats.pending_now);
	put_i64(w, "escrowTransactionsInDoubt", (int64_t)stats.in_doubt_now);
	put_i64(w, "escrowHalfMessages", (int64_t)stats.half_count);
	put_i64(w, "escrowCommits", (int64_t)stats.commit_count);
	put_i64(w, "escrowRollbacks", (int64_t)stats.rollback_count);
	put_i64(w, "escrowRefusedDecisions", (int64_t)stats.refused_count);
	put_i64(w, "escrowDelayedMessages", (int64_t)inspect_store(core).delayed_count);
	put_i64(w, "escrowConnections", machine->connections);
}

enum status handle_runtime_info(struct handlers *handlers, const struct request *request)
{
	const struct statistics *statistics = core_statistics(handlers->core);
	struct machine_facts machine = { 0 };
	struct encoder encoder;
	struct json_writer w;
	struct buffer *out = answer_begin_body(handlers, request, &encoder);

	if (out == NULL)
		return ST_OK;
	if (handlers->machine.look != NULL)
		machine = handlers->machine.look(handlers->machine.context);
	kv_table_begin(&w, out);
	put_identity(&w, handlers->core, statistics);
	put_traffic(&w, statistics);
	put_latencies(&w, statistics);
	put_store(&w, handlers->core, &machine);
	put_queues(&w);
	put_ours(&w, handlers->core, &machine);
	kv_table_end(&w);
	answer_end(handlers, &encoder);
	return ST_OK;
}

/* That of a master without replicas, which is what every broker here is. */
enum status handle_ha_status(struct handlers *handlers, const struct request *request)
{
	static const char *const client[] = { "lastReadTimestamp", "lastWriteTimestamp", "masterFlushOffset", "maxOffset",
					      "transferredByteInSecond" };
	struct encoder encoder;
	struct buffer *out = answer_begin_body(handlers, request, &encoder);

	if (out == NULL)
		return ST_OK;
	struct json_writer w = json_writer_of(out);
	json_open(&w, '{');
	json_key(&w, "haClientRuntimeInfo");
	json_open(&w, '{');
	for (size_t i = 0; i < sizeof(client) / sizeof(client[0]); i++)
		json_member_put_i64(&w, client[i], 0);
	json_close(&w, '}');
	json_key(&w, "haConnectionInfo");
	json_put_raw(&w, SPAN_LITERAL("[]"));
	json_member_put_i64(&w, "inSyncSlaveNums", 0);
	json_member_put_bool(&w, "master", true);
	json_member_put_i64(&w, "masterCommitLogMaxOffset", (int64_t)inspect_store(handlers->core).log_durable);
	json_close(&w, '}');
	answer_end(handlers, &encoder);
	return ST_OK;
}
