#include "tests/sim/cluster.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/state.h"
#include "lib/log/commitlog.h"
#include "tests/sim/admin.h"
#include "tests/sim/auditor.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/drive.h"
#include "tests/sim/engine.h"
#include "tests/sim/fairs.h"
#include "tests/sim/keys.h"
#include "tests/sim/ledger.h"
#include "tests/sim/leaving.h"
#include "tests/sim/mysql_node.h"
#include "tests/sim/net.h"
#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

/* At the end all clocks are set so far ahead that nothing delayed is still to come, however they jumped before. */
static const int64_t LAST_CLOCK_JUMP_MS = 3 * 24 * 3600 * 1000LL;
enum { REST_STEP_US = 500000, REST_STEPS_MAX = 600, RESUME_EVERY = 8,
       QUIET_STEPS = 40, LAST_WORDS_US = 5000000 };

static struct producer producers[PRODUCERS_MAX];
static struct consumer consumers[CONSUMERS_MAX];
static struct popper poppers[POPPERS_MAX];
static struct namesrv_node *name_servers[NAME_SERVERS];
static const char *name_server_addresses[NAME_SERVERS];

int cluster_producers(void)
{
	return PRODUCERS_MAX;
}

struct producer *cluster_producer(int index)
{
	return &producers[index];
}

int cluster_consumers(void)
{
	return CONSUMERS_MAX;
}

struct consumer *cluster_consumer(int index)
{
	return &consumers[index];
}

struct popper *cluster_popper(int index)
{
	return &poppers[index];
}

struct namesrv_node *cluster_namesrv(int index)
{
	return name_servers[index];
}

/* After every event. */
static void check_step(struct process *process)
{
	for (int i = 0; process != NULL && i < broker_node_count(); i++) {
		if (broker_node_process(broker_node(i)) == process)
			broker_node_check(broker_node(i));
	}
}

static void start_servers(void)
{
	static const char *const names[NAME_SERVERS] = { "namesrv-1", "namesrv-2" };
	char addresses[2 * NET_ADDRESS_SIZE];

	for (int i = 0; i < NAME_SERVERS; i++) {
		name_servers[i] = namesrv_node_create(names[i]);
		name_server_addresses[i] = namesrv_node_address(name_servers[i]);
		namesrv_node_start(name_servers[i]);
	}
	client_node_use(name_server_addresses);
	snprintf(addresses, sizeof(addresses), "%s;%s", name_server_addresses[0], name_server_addresses[1]);
	for (int i = 0; i < settings()->brokers; i++)
		broker_node_create(i, addresses);
	for (int i = 0; i < settings()->brokers; i++)
		broker_node_start(broker_node(i));
}

static void start_clients(void)
{
	static const char *const producer_names[PRODUCERS_MAX] = { "order-1", "order-2", "payment-1", "confused-1" };
	static const int producer_groups[PRODUCERS_MAX] = { 0, 0, 1, 2 };
	static const char *const consumer_names[CONSUMERS_MAX] = { "billing-1", "billing-2", "shipping-1", "shipping-2" };
	static const int consumer_groups[CONSUMERS_MAX] = { 0, 0, 1, 1 };
	static const char *const popper_names[POPPERS_MAX] = { "dispatch-1", "dispatch-2" };

	for (int i = 0; i < PRODUCERS_MAX; i++) {
		producer_init(&producers[i], producer_names[i], producer_groups[i]);
		producer_start(&producers[i]);
	}
	for (int i = 0; i < CONSUMERS_MAX; i++) {
		consumer_init(&consumers[i], consumer_names[i], consumer_groups[i]);
		consumer_start(&consumers[i]);
	}
	for (int i = 0; i < POPPERS_MAX; i++) {
		popper_init(&poppers[i], popper_names[i]);
		popper_start(&poppers[i]);
	}
	admin_begin();
	ledger_begin();
	fairs_begin();
	auditor_begin();
	keys_begin();
}

void cluster_begin(uint32_t item_max)
{
	model_begin(item_max);
	business_begin();
	leaving_begin();
	net_begin();
	mysql_begin(settings()->seed);
	engine_on_step(check_step);
	start_servers();
	start_clients();
}

void cluster_end(void)
{
	virtual_log_mute(true);
	keys_end();
	auditor_end();
	fairs_end();
	ledger_end();
	admin_end();
	for (int i = 0; i < PRODUCERS_MAX; i++)
		producer_die(&producers[i]);
	for (int i = 0; i < CONSUMERS_MAX; i++)
		consumer_die(&consumers[i]);
	for (int i = 0; i < POPPERS_MAX; i++)
		popper_die(&poppers[i]);
	for (int i = 0; i < settings()->brokers; i++)
		broker_node_destroy(broker_node(i));
	for (int i = 0; i < NAME_SERVERS; i++)
		namesrv_node_destroy(name_servers[i]);
	mysql_end();
	net_end_all();
	business_end();
	model_end();
}

/* --- rest --------------------------------------------------------------------------------------------------------------- */

static void run_for(int64_t us)
{
	int64_t until = engine_now_us() + us;

	while (engine_step(until))
		;
}

static void heal(void)
{
	struct process *process;

	note("all faults end");
	net_unblock_all();
	net_slow_down(1, 0);
	mysql_heal();
	business_be_truthful();
	for (int i = 0; (process = engine_process(i)) != NULL; i++) {
		process->paused_until_us = 0;
		process->wall_ahead_ms = LAST_CLOCK_JUMP_MS;
	}
	for (int i = 0; i < settings()->brokers; i++) {
		drive_set_full(broker_node_drive(broker_node(i)), false);
		drive_fail_sync(broker_node_drive(broker_node(i)), 0);
		model_clock_jumped(i);
	}
	for (int i = 0; i < PRODUCERS_MAX; i++) {
		if (producers[i].node.leaving)
			producer_die(&producers[i]);
		producer_start(&producers[i]);
	}
	for (int i = 0; i < CONSUMERS_MAX; i++) {
		if (consumers[i].node.leaving)
			consumer_die(&consumers[i]);
		consumer_start(&consumers[i]);
	}
	for (int i = 0; i < POPPERS_MAX; i++)
		popper_start(&poppers[i]);
}

/* Halves that are parked stay so until somebody acts: most are resumed, a few are left. */
static void resume_parked(void)
{
	for (uint32_t i = 0; i < model_item_end(); i++) {
		struct item *item = model_item(i);

		if (item != NULL && item->transactional && item->half_acked && item->acked == 0 && i % RESUME_EVERY != 0)
			admin_resume(item);
	}
}

static bool producers_are_idle(void)
{
	for (int i = 0; i < PRODUCERS_MAX; i++) {
		if (!producer_runs(&producers[i]) || !producer_is_idle(&producers[i]))
			return false;
	}
	return true;
}

/* What keeps this broker from its rest; NULL: nothing. */
static const char *broker_is_busy(struct broker_node *node)
{
	struct core *core = broker_node_core(node);

	if (core == NULL)
		return "it does not run";
	struct core_stats stats = core_stats(core);
	if (stats.in_doubt_now > 0)
		return "transactions are in doubt";
	if (core->pops.live > 0)
		return "messages that POP gave out are not settled";
	if (core->delays.count > 0)
		return "delayed messages wait";
	if (commitlog_durable(core->log) < commitlog_appended(core->log))
		return "its log is not durable";
	return NULL;
}

static const char *who_is_busy(void)
{
	for (int i = 0; i < settings()->brokers; i++) {
		const char *why = broker_is_busy(broker_node(i));

		if (why != NULL)
			return why;
	}
	return producers_are_idle() ? NULL : "producers are";
}

void cluster_come_to_rest(void)
{
	const char *why = "";
	int quiet = 0;

	heal();
	run_for(10 * REST_STEP_US);
	resume_parked();
	for (int step = 0; step < REST_STEPS_MAX && !violated(); step++) {
		run_for(REST_STEP_US);
		why = who_is_busy();
		quiet = why == NULL ? quiet + 1 : 0;
		/* So long that consumers and projectors have had their time too. */
		if (quiet > QUIET_STEPS)
			return;
	}
	if (!violated())
		violation("I5", "no rest after %d s: %s", REST_STEPS_MAX * REST_STEP_US / 1000000, why == NULL ? "" : why);
}

void cluster_read_all(void)
{
	for (int i = 0; i < settings()->brokers; i++) {
		model_closing(i, commitlog_appended(broker_node_core(broker_node(i))->log));
		broker_node_kill(broker_node(i), true, 300000);
	}
	run_for(3000000);
	ledger_ask_all();
	auditor_read_all();
	for (int step = 0; step < REST_STEPS_MAX && !violated(); step++) {
		bool fairs_are_read = fairs_read_on();

		run_for(REST_STEP_US);
		if (fairs_are_read && auditor_is_done() && ledger_is_idle() && keys_ask_on()) {
			run_for(LAST_WORDS_US); /* The projectors' last batches. */
			return;
		}
	}
	if (!violated())
		violation("I1", "what was stored cannot be read to its end");
}
