/* How much goes through, in all and of late? The figures behind RocketMQ's BrokerStatsManager and StoreStatsService.
 *
 * Flows are counted for each topic (what was put) and for each group of it (what it got, what it sent back), over the last
 * minute, hour and day; totals of the broker are sampled each second for ten minutes. Cheap where messages pass: one table
 * look-up a message or pull. Soft: counts begin at the start. Bounded by `flow_max`; what finds no room is not counted apart.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_STATISTICS_H
#define ESCROW_CORE_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"

struct statistics;

enum { STATISTICS_LATENCIES = 13 }; /* RocketMQ's classes of put times. */

/* Since the start. */
struct statistics_totals {
	uint64_t put_count, put_bytes, put_failed;
	uint64_t got_count, got_bytes; /* Messages that pulls took. */
	uint64_t found, missed;        /* Pulls. */
};

struct statistics *statistics_create(size_t flow_max, int64_t wall_ms, int64_t mono_ms);
void statistics_destroy(struct statistics *statistics);

/* --- what happens --------------------------------------------------------------------------------------------------- */
/* A message got its place in a queue of the topic. */
void statistics_put(struct statistics *statistics, uint32_t topic_id, uint64_t bytes, int64_t mono_ms);
/* A half or a delayed message was stored: it gets its place later, if ever. It counts for this system topic only. */
void statistics_put_aside(struct statistics *statistics, uint32_t topic_id, uint64_t bytes);
void statistics_put_failed(struct statistics *statistics);
/* A pull of the group (0: of nobody in particular) took so many messages; none: it found nothing. */
void statistics_got(struct statistics *statistics, uint32_t topic_id, uint32_t group_id, uint64_t count, uint64_t bytes);
/* The group sent one message back. */
void statistics_sent_back(struct statistics *statistics, uint32_t topic_id, uint32_t group_id);
/* What was put before has become durable (or what else an answer waits for). */
void statistics_committed(struct statistics *statistics, int64_t mono_ms);
/* Takes samples that are due. */
void statistics_tick(struct statistics *statistics, int64_t wall_ms, int64_t mono_ms);
/* The topic is gone. */
void statistics_forget_topic(struct statistics *statistics, uint32_t topic_id);

/* --- what there was --------------------------------------------------------------------------------------------------- */
struct statistics_window {
	uint64_t sum;
	double per_second;
	double per_call; /* Of a call (a send, a pull): RocketMQ's avgpt. */
};

enum statistics_kind { STATISTICS_COUNT, STATISTICS_BYTES, STATISTICS_BACK };

struct statistics_view {
	struct statistics_window minute, hour, day;
};

/* Of what was put to the topic (group 0), or what the group got of it. False: nothing was ever counted. */
bool statistics_view(const struct statistics *statistics, uint32_t topic_id, uint32_t group_id, enum statistics_kind kind,
		     int64_t mono_ms, struct statistics_view *out);
/* The messages of all topics together: put, or got by anybody. */
struct statistics_view statistics_view_all(const struct statistics *statistics, bool got, int64_t mono_ms);
/* What was put to the topic (group 0) since the start, or what the group got of it. False: nothing was ever counted. */
struct statistics_flow {
	uint64_t count, bytes, back;
};
bool statistics_flow(const struct statistics *statistics, uint32_t topic_id, uint32_t group_id, struct statistics_flow *out);
struct statistics_totals statistics_totals(const struct statistics *statistics);
/* The totals so many seconds before the last sample (0 to 600, or as long as there were samples), and how many seconds that
 * really is. */
struct statistics_totals statistics_totals_before(const struct statistics *statistics, unsigned seconds, double *seconds_out);
/* Totals at the last midnight (UTC) and the one before; those of the start when it is younger. */
struct statistics_totals statistics_totals_at_midnight(const struct statistics *statistics, bool yesterday);
int64_t statistics_started_wall_ms(const struct statistics *statistics);
/* How many messages became durable within each class of time, in the last whole minute: 0 ms, up to 10, 50, 100, 200, 500 ms,
 * 1, 2, 3, 4, 5, 10 s, longer. */
const uint64_t *statistics_latencies(const struct statistics *statistics);
int64_t statistics_longest_ms(const struct statistics *statistics);
/* The time within which `share` (0..1) of all messages since the start became durable, as the upper end of its class. */
int64_t statistics_latency_ms(const struct statistics *statistics, double share);

#endif
