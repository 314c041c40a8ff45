#include <stddef.h>

#include "tests/sim/broker_node.h"
#include "tests/sim/cluster.h"
#include "tests/sim/drive.h"
#include "tests/sim/engine.h"
#include "tests/sim/final_oplog.h"
#include "tests/sim/mysql_node.h"
#include "tests/sim/net.h"
#include "tests/sim/operations.h"
#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

static const int64_t SECOND_US = 1000000, MINUTE_MS = 60000, HOUR_MS = 3600000, DAY_MS = 24 * 3600000LL;

static struct broker_node *some_broker(struct chance *chance)
{
	return broker_node((int)chance_below(chance, (uint64_t)settings()->brokers));
}

static int64_t restart_us(struct chance *chance)
{
	return chance_skewed(chance, 100000, 8 * SECOND_US);
}

/* --- brokers -------------------------------------------------------------------------------------------------------------- */

/* Mostly while it writes. */
static void end_broker(struct broker_node *node, bool power, struct chance *chance)
{
	if (chance_percent(chance, 70))
		broker_node_kill_in_write(node, power, restart_us(chance));
	else
		broker_node_kill(node, power, restart_us(chance));
}

void operation_power_cut(uint32_t number, struct chance *chance)
{
	struct broker_node *node = some_broker(chance);

	(void)number;
	/* Sometimes all machines at once. */
	bool all = chance_one_in(chance, 4);
	for (int i = 0; i < settings()->brokers; i++) {
		if (all || broker_node(i) == node)
			end_broker(broker_node(i), true, chance);
	}
}

void operation_kill(uint32_t number, struct chance *chance)
{
	struct broker_node *node = some_broker(chance);

	(void)number;
	end_broker(node, false, chance);
}

void operation_stop(uint32_t number, struct chance *chance)
{
	struct broker_node *node = some_broker(chance);

	(void)number;
	broker_node_stop(node, restart_us(chance));
}

void operation_cut_in_start(uint32_t number, struct chance *chance)
{
	struct broker_node *node = some_broker(chance);

	(void)number;
	broker_node_cut_in_start(node, (uint32_t)chance_skewed(chance, 0, 40), restart_us(chance));
}

void operation_sync_fails(uint32_t number, struct chance *chance)
{
	struct broker_node *node = some_broker(chance);

	(void)number;
	drive_fail_sync(broker_node_drive(node), 1 + (uint32_t)chance_below(chance, 6));
}

static void on_space(void *context)
{
	note("%s: there is space again", broker_node_process(context)->name);
	drive_set_full(broker_node_drive(context), false);
}

void operation_disk(uint32_t number, struct chance *chance)
{
	struct broker_node *node = some_broker(chance);
	int64_t for_us = chance_skewed(chance, 100000, 6 * SECOND_US);

	(void)number;
	if (chance_one_in(chance, 3)) {
		note("%s: the disk is full", broker_node_process(node)->name);
		fault_seen(FAULT_DISK_FULL);
		drive_set_full(broker_node_drive(node), true);
		broker_node_disturb(node, engine_now_us() + for_us);
		engine_after(NULL, for_us, on_space, node);
	} else {
		note("%s: the disk stalls", broker_node_process(node)->name);
		fault_seen(FAULT_DISK_STALL);
		virtual_workers_stall(broker_node_process(node), engine_now_us() + for_us);
		broker_node_disturb(node, engine_now_us() + for_us + 10 * SECOND_US); /* A job that is begun at its end takes long. */
	}
}

void operation_cache(uint32_t number, struct chance *chance)
{
	struct broker_node *node = some_broker(chance);

	(void)number;
	fault_seen(FAULT_CACHE_COLD);
	drive_drop_cache(broker_node_drive(node));
}

void operation_clock(uint32_t number, struct chance *chance)
{
	struct broker_node *node = some_broker(chance);
	int index = node == broker_node(0) ? 0 : 1;
	int64_t jumps[] = { HOUR_MS, DAY_MS, MINUTE_MS, HOUR_MS };
	int64_t jump_ms = jumps[chance_below(chance, 4)];

	(void)number;
	if (chance_one_in(chance, 2))
		jump_ms = -jump_ms;
	note("%s: the wall clock jumps by %lld s", broker_node_process(node)->name, (long long)(jump_ms / 1000));
	fault_seen(jump_ms > 0 ? FAULT_CLOCK_FORWARD : FAULT_CLOCK_BACK);
	/* It does not drift away for ever: back to the truth now and then. */
	struct process *process = broker_node_process(node);
	bool too_far = process->wall_ahead_ms + jump_ms > DAY_MS || process->wall_ahead_ms + jump_ms < -DAY_MS;
	process->wall_ahead_ms = too_far ? 0 : process->wall_ahead_ms + jump_ms;
	model_clock_jumped(index);
}

/* --- network and processes ------------------------------------------------------------------------------------------------ */

static struct process *some_client(struct chance *chance)
{
	uint64_t dice = chance_below(chance, (uint64_t)(cluster_producers() + cluster_consumers()));

	if (dice < (uint64_t)cluster_producers())
		return cluster_producer((int)dice)->node.process;
	return cluster_consumer((int)(dice - (uint64_t)cluster_producers()))->node.process;
}

static struct process *some_process(struct chance *chance)
{
	if (chance_one_in(chance, 2))
		return broker_node_process(some_broker(chance));
	if (chance_one_in(chance, 6))
		return namesrv_node_process(cluster_namesrv((int)chance_below(chance, NAME_SERVERS)));
	return some_client(chance);
}

void operation_pause(uint32_t number, struct chance *chance)
{
	struct process *process = some_process(chance);
	int64_t for_us = chance_skewed(chance, 50000, (chance_one_in(chance, 6) ? 40 : 4) * SECOND_US);

	(void)number;
	note("%s is paused for %lld ms", process->name, (long long)(for_us / 1000));
	fault_seen(FAULT_PAUSE);
	process->paused_until_us = engine_now_us() + for_us;
	for (int i = 0; i < settings()->brokers; i++) {
		if (broker_node_process(broker_node(i)) == process)
			broker_node_disturb(broker_node(i), process->paused_until_us);
	}
}

void operation_cut(uint32_t number, struct chance *chance)
{
	struct process *process = some_process(chance);

	(void)number;
	if (!net_cut(process, chance_next(chance)))
		return;
	note("a connection of %s is cut", process->name);
	fault_seen(FAULT_CUT);
}

/* A pair of processes whose partition ends. */
struct cut_off {
	struct process *a, *b;
};

static struct cut_off partitions[64];
static size_t next_partition;

static void on_healed(void *context)
{
	struct cut_off *pair = context;

	net_block(pair->a, pair->b, false);
	net_block(pair->b, pair->a, false);
}

void operation_partition(uint32_t number, struct chance *chance)
{
	struct process *broker = broker_node_process(some_broker(chance)), *other = some_client(chance);
	bool one_way = chance_one_in(chance, 2), towards = chance_one_in(chance, 2);
	int64_t for_us = chance_skewed(chance, 50000, 10 * SECOND_US);

	(void)number;
	if (chance_one_in(chance, 6))
		other = namesrv_node_process(cluster_namesrv((int)chance_below(chance, NAME_SERVERS)));
	note("partition between %s and %s%s for %lld ms", broker->name, other->name,
	     !one_way ? "" : towards ? ", towards the broker only" : ", from the broker only", (long long)(for_us / 1000));
	fault_seen(one_way ? FAULT_ONE_WAY : FAULT_PARTITION);
	if (!one_way || towards)
		net_block(other, broker, true);
	if (!one_way || !towards)
		net_block(broker, other, true);
	struct cut_off *pair = &partitions[next_partition++ % (sizeof(partitions) / sizeof(partitions[0]))];
	*pair = (struct cut_off){ broker, other };
	engine_after(NULL, for_us, on_healed, pair);
}

void operation_slow(uint32_t number, struct chance *chance)
{
	struct consumer *consumer = cluster_consumer((int)chance_below(chance, (uint64_t)cluster_consumers()));

	(void)number;
	if (chance_one_in(chance, 2)) {
		note("the network is slow");
		net_slow_down(20, engine_now_us() + chance_skewed(chance, 200000, 5 * SECOND_US));
	} else if (consumer_runs(consumer) && !consumer->greedy) {
		consumer_be_greedy(consumer, chance_between(chance, 1000, 8000));
	}
}

void operation_namesrv(uint32_t number, struct chance *chance)
{
	struct namesrv_node *node = cluster_namesrv((int)chance_below(chance, NAME_SERVERS));

	(void)number;
	namesrv_node_restart(node, restart_us(chance));
}

static void on_producer_back(void *context)
{
	producer_start(context);
}

static void on_consumer_back(void *context)
{
	consumer_start(context);
}

static void on_popper_back(void *context)
{
	popper_start(context);
}

void operation_client_dies(uint32_t number, struct chance *chance)
{
	struct producer *producer = cluster_producer((int)chance_below(chance, (uint64_t)cluster_producers()));
	struct consumer *consumer = cluster_consumer((int)chance_below(chance, (uint64_t)cluster_consumers()));
	struct popper *popper = cluster_popper((int)chance_below(chance, POPPERS_MAX));
	int64_t away_us = chance_skewed(chance, 100000, 20 * SECOND_US);

	(void)number;
	if (popper_runs(popper) && chance_one_in(chance, 3)) {
		note("%s dies", popper->node.process->name);
		fault_seen(FAULT_CONSUMER);
		popper_die(popper);
		engine_after(NULL, away_us, on_popper_back, popper);
		return;
	}
	if (chance_one_in(chance, 2)) {
		if (!producer_runs(producer))
			return;
		note("%s dies", producer->node.process->name);
		fault_seen(FAULT_PRODUCER);
		producer_die(producer);
		engine_after(NULL, away_us, on_producer_back, producer);
		return;
	}
	if (!consumer_runs(consumer))
		return;
	note("%s dies", consumer->node.process->name);
	fault_seen(FAULT_CONSUMER);
	consumer_die(consumer);
	engine_after(NULL, away_us, on_consumer_back, consumer);
}

/* Time for the brokers to hear of it, and to do what they must not do any more. */
static int64_t linger_us(struct chance *chance)
{
	return chance_between(chance, 100000, 4 * SECOND_US);
}

static void on_producer_left(void *context)
{
	struct producer *producer = context;

	if (!producer_runs(producer) || !producer->node.leaving)
		return;
	producer_die(producer);
	engine_after(NULL, producer->node.away_us, on_producer_back, producer);
}

static void on_consumer_left(void *context)
{
	struct consumer *consumer = context;

	if (!consumer_runs(consumer) || !consumer->node.leaving)
		return;
	consumer_die(consumer);
	engine_after(NULL, consumer->node.away_us, on_consumer_back, consumer);
}

static bool may_leave(const struct client_node *node)
{
	return node->loop != NULL && !node->leaving && node->process->paused_until_us <= engine_now_us();
}

void operation_client_leaves(uint32_t number, struct chance *chance)
{
	struct producer *producer = cluster_producer((int)chance_below(chance, (uint64_t)cluster_producers()));
	struct consumer *consumer = cluster_consumer((int)chance_below(chance, (uint64_t)cluster_consumers()));
	int64_t away_us = chance_skewed(chance, 100000, 15 * SECOND_US);

	(void)number;
	if (chance_one_in(chance, 2) && may_leave(&producer->node)) {
		producer->node.away_us = away_us;
		producer_leave(producer);
		engine_after(NULL, linger_us(chance), on_producer_left, producer);
	} else if (may_leave(&consumer->node) && !consumer->greedy) {
		consumer->node.away_us = away_us;
		consumer_leave(consumer);
		engine_after(NULL, linger_us(chance), on_consumer_left, consumer);
	}
}

/* --- MySQL ------------------------------------------------------------------------------------------------------------------ */

void operation_mysql(uint32_t number, struct chance *chance)
{
	int64_t for_us = chance_skewed(chance, 50000, 5 * SECOND_US);

	(void)number;
	switch (chance_below(chance, 7)) {
	case 0:
		note("mysql: down for %lld ms", (long long)(for_us / 1000));
		fault_seen(FAULT_MYSQL_DOWN);
		mysql_down(engine_now_us() + for_us);
		break;
	case 1: mysql_kill_in_commit(true, for_us); break;
	case 2: mysql_kill_in_commit(false, for_us); break;
	case 3: mysql_lose_statement(1 + (uint32_t)chance_below(chance, 12)); break;
	case 4: mysql_trouble(engine_now_us() + for_us); break;
	case 5:
		note("mysql: a backup is taken");
		mysql_backup();
		break;
	default:
		if (mysql_restore()) {
			note("mysql: the backup is restored");
			fault_seen(FAULT_MYSQL_RESTORED);
			final_oplog_forgive();
		}
		break;
	}
}
