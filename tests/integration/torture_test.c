/* Kill, stop and cut everything, then count: a broker and a name server killed at random moments, a broker stopped in its
 * tracks, producers that die between local commit and END or whose answers are lost, consumers that come and go, all through
 * a proxy that cuts and delays.
 *
 * After each kill what was acknowledged is asked for again; at the end of a round (a store's life) everything is counted,
 * see tests/support/orders.h. CYCLES (10) says how many kills, SEED which ones, ROUND (100) how many kills a store lives. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/wire/headers.h"
#include "lib/wire/message.h"
#include "tests/support/check.h"
#include "tests/support/faultproxy.h"
#include "tests/support/orders.h"
#include "tests/support/rawclient.h"

enum { PRODUCERS = 4, CONSUMERS = 2, THREADS = PRODUCERS + CONSUMERS, REST_LIMIT_MS = 30000, ROUTE_LIMIT_MS = 5000 };

static atomic_int producing, answering;
static unsigned broker_port, proxy_port, names_port;
static char store[512], log_path[512];

/* What a producer or consumer begins with. */
struct thread_seed {
	uint64_t random;
	int first_queue; /* Of a consumer's two. */
};

struct counts {
	int kills, pauses, name_server_kills, rounds;
	uint64_t orders;
	int64_t worst_start_ms;
};

/* --- programs ----------------------------------------------------------------------------------------------------- */

static struct program start_broker(struct counts *counts)
{
	char port_option[64], store_option[600], names_option[64];
	int64_t begun = raw_now_ms();

	snprintf(port_option, sizeof(port_option), "listenPort=%u", broker_port);
	snprintf(store_option, sizeof(store_option), "storePathRootDir=%s", store);
	snprintf(names_option, sizeof(names_option), "namesrvAddr=127.0.0.1:%u", names_port);
	/* Segments, memory and what lies between two snapshots are small: kills meet their ends, starts meet snapshots, reads the disk. */
	const char *argv[] = { "escrow-broker", "-o", port_option, "-o", store_option, "-o", names_option, "-o", "brokerName=torture",
			       "-o", "registerBrokerPeriod=1000", "-o", "transactionTimeOut=300", "-o", "transactionCheckInterval=300",
			       "-o", "transactionCheckAnswerTimeout=500", "-o", "transactionCheckMax=1000", "-o", "maxMessageSize=65536",
			       "-o", "mappedFileSizeCommitLog=8388608", "-o", "tailRingSize=1048576",
			       "-o", "snapshotIntervalBytes=1048576", "-o", "logLevel=error", NULL };
	struct program broker = program_start(argv, log_path);
	if (raw_now_ms() - begun > counts->worst_start_ms)
		counts->worst_start_ms = raw_now_ms() - begun;
	return broker;
}

static struct program start_names(void)
{
	char port_option[64];

	snprintf(port_option, sizeof(port_option), "listenPort=%u", names_port);
	const char *argv[] = { "escrow-namesrv", "-o", port_option, "-o", "logLevel=error", NULL };
	return program_start(argv, log_path);
}

static unsigned free_port(void)
{
	struct faultproxy *taken = faultproxy_start(1, 1);
	unsigned port = faultproxy_port(taken);

	faultproxy_stop(taken);
	return port;
}

/* --- producers ---------------------------------------------------------------------------------------------------- */

/* Answers what is asked on this connection from the database. An order whose sender has not decided locally yet is rolled
 * back there: a late local commit then loses. */
static bool answer_checks(struct raw *raw, int64_t for_ms)
{
	int64_t until = raw_now_ms() + for_ms;
	const struct command *command;

	while ((command = raw_receive(raw, until - raw_now_ms())) != NULL) {
		struct check_transaction_header asked;

		if (command->code != REQ_CHECK_TRANSACTION_STATE || command_is_response(command) ||
		    check_transaction_decode(command, &asked, NULL) != ST_OK)
			continue;
		int order = orders_find(asked.transaction_id.data, asked.transaction_id.size);
		if (order < 0)
			orders_violated(ORDER_GHOST, "a check of what nobody sent", order);
		else if (!raw_answer_check(raw, "torture", &asked, orders_decide(order, ORDER_ROLLED_BACK) == ORDER_COMMITTED ? 8 : 12))
			return false;
	}
	return true;
}

static int send_message(struct raw *raw, int order, bool half, int delay_level, struct raw_half *out)
{
	char key[ORDER_KEY_SIZE];

	orders_key(order, key);
	struct raw_message message = { .group = "torture", .topic = "orders", .key = key, .size = 200 + (size_t)order % 600,
				       .queue_id = order % ORDERS_QUEUES, .delay_level = delay_level, .half = half };
	return raw_send_message(raw, &message, out);
}

/* One transaction; `*order_io` >= 0: the half whose answer was lost with the last connection, sent again as clients do.
 * False: the connection is to be given up. */
static bool place_order(struct raw *raw, uint64_t *random, int *order_io)
{
	int order = *order_io >= 0 ? *order_io : orders_new(ORDER_TRANSACTION);
	bool commit = check_random(random) % 3 != 0;
	enum order_local wanted = commit ? ORDER_COMMITTED : ORDER_ROLLED_BACK;
	struct raw_half half;
	char key[ORDER_KEY_SIZE];

	*order_io = -1;
	if (order < 0)
		return false;
	orders_key(order, key);
	int code = send_message(raw, order, true, 0, &half);
	if (code < 0 && check_random(random) % 2 == 0)
		*order_io = order;
	if (code != RESP_SUCCESS)
		return code >= 0; /* Not stored, or nobody knows: no local transaction. */
	orders_promise(order, PROMISED_HALF, &half);
	if (orders_decide(order, wanted) != wanted)
		return true; /* A check was faster. */
	uint64_t fate = check_random(random) % 50;
	if (fate == 0)
		return false; /* Dies between local commit and END. */
	code = raw_end(raw, "torture", key, &half, commit ? 8 : 12);
	if (code == RESP_SUCCESS) {
		orders_promise(order, commit ? PROMISED_COMMIT : PROMISED_ROLLBACK, NULL);
		if (fate == 1)
			code = raw_end(raw, "torture", key, &half, commit ? 8 : 12);
	} else if (code == RESP_ILLEGAL_OPERATION) {
		orders_violated(ORDER_TURNED, "END is refused although the database agrees with it", order);
	}
	return code >= 0;
}

static bool place_plain(struct raw *raw, uint64_t *random)
{
	bool delayed = check_random(random) % 8 == 0;
	int order = orders_new(delayed ? ORDER_DELAYED : ORDER_PLAIN);
	struct raw_half half;
	int code = order < 0 ? -1 : send_message(raw, order, false, delayed ? 1 : 0, &half);

	if (code == RESP_SUCCESS)
		orders_promise(order, PROMISED_MESSAGE, NULL);
	return code >= 0;
}

static void *producer_main(void *context)
{
	uint64_t random = ((const struct thread_seed *)context)->random;
	char client_id[32];
	int unanswered = -1;

	while (answering) {
		struct raw *raw = raw_connect(proxy_port);
		bool good = raw != NULL;

		snprintf(client_id, sizeof(client_id), "p@%d", (int)(check_random(&random) % 1000));
		if (good)
			good = raw_heartbeat(raw, client_id, "torture");
		while (good && answering) {
			int64_t chunk_end = raw_now_ms() + 60;

			while (good && producing && raw_now_ms() < chunk_end)
				good = check_random(&random) % 5 == 0 ? place_plain(raw, &random) : place_order(raw, &random, &unanswered);
			good = good && answer_checks(raw, producing ? 5 : 50);
		}
		raw_close(raw);
		usleep(5000);
	}
	return NULL;
}

/* --- consumers ---------------------------------------------------------------------------------------------------- */

struct consuming {
	int queue;
	int64_t offset;
};

static void consume_one(void *context, const struct message *message)
{
	struct consuming *at = context;

	orders_seen(at->queue, at->offset++, message);
}

/* A pull that may wait, then a word of how far it came. */
static bool consume(struct raw *raw, struct consuming *at)
{
	int64_t asked = at->offset, next = raw_pull(raw, "readers", "orders", at->queue, asked, 50, consume_one, at);

	if (next < 0)
		return false;
	at->offset = next;
	if (next == asked)
		return true;
	orders_offset_asked(at->queue, next);
	if (!raw_update_queue_offset(raw, "readers", "orders", at->queue, next))
		return false;
	orders_offset_promised(at->queue, next);
	return true;
}

static void *consumer_main(void *context)
{
	const struct thread_seed *seed = context;
	uint64_t random = seed->random;
	struct consuming at[2] = { { seed->first_queue, 0 }, { seed->first_queue + 1, 0 } };

	while (producing) {
		struct raw *raw = raw_connect(proxy_port);
		bool good = raw != NULL;

		while (good && producing)
			good = consume(raw, &at[check_random(&random) % 2]);
		raw_close(raw);
		usleep(5000);
	}
	return NULL;
}

/* --- a round ------------------------------------------------------------------------------------------------------ */

struct torture {
	struct program broker, names;
	struct faultproxy *proxy;
	uint64_t random;
	struct counts counts;
};

/* What happens to the broker before it is killed, or besides. */
static void torment(struct torture *t)
{
	uint64_t dice = check_random(&t->random) % 10;

	usleep((useconds_t)(100000 + check_random(&t->random) % 500000));
	faultproxy_set(t->proxy, (int)(check_random(&t->random) % 6), (int)(check_random(&t->random) % 10));
	if (dice < 2) { /* It stands still for a while, and goes on or dies. */
		kill(t->broker.pid, SIGSTOP);
		usleep((useconds_t)(50000 + check_random(&t->random) % 200000));
		if (dice == 0)
			kill(t->broker.pid, SIGCONT);
		t->counts.pauses++;
	}
	if (dice == 9) {
		program_stop(&t->names, SIGKILL, NULL);
		t->names = start_names();
		t->counts.name_server_kills++;
	}
}

static void check_route(void)
{
	int64_t since = raw_now_ms();

	while (!raw_has_route(names_port, "orders")) {
		if (raw_now_ms() - since > ROUTE_LIMIT_MS) {
			orders_violated(ORDER_NO_ROUTE, "of the topic", -1);
			return;
		}
		usleep(10000);
	}
}

static void check_tool(const char *verb)
{
	char said[4096];
	const char *argv[] = { "escrow-log", verb, store, NULL };

	if (program_run(argv, said, sizeof(said)) != 0)
		orders_violated(ORDER_BAD_END, said, -1);
}

/* At what the kill has left, or beside the broker: nothing is wrong with it. */
static void look_sometimes(struct torture *t)
{
	if (check_random(&t->random) % 4 == 0)
		check_tool("check");
}

static void cycle(struct torture *t)
{
	torment(t);
	if (!program_alive(&t->broker)) {
		orders_violated(ORDER_BAD_END, "the broker ended by itself", -1);
		exit(1);
	}
	program_stop(&t->broker, SIGKILL, NULL);
	t->counts.kills++;
	look_sometimes(t);
	t->broker = start_broker(&t->counts);
	orders_check_promises(broker_port);
	look_sometimes(t);
}

/* Producers answer until nothing is open; delayed messages come. */
static void come_to_rest(void)
{
	for (int64_t since = raw_now_ms(); !orders_at_rest() && raw_now_ms() - since < REST_LIMIT_MS;) {
		usleep(100000);
		orders_check_promises(broker_port);
	}
}

static void round_of(struct torture *t, int cycles)
{
	pthread_t threads[THREADS];
	struct thread_seed seeds[THREADS];
	char *dir = check_make_dir();

	snprintf(store, sizeof(store), "%s/store", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	orders_reset();
	t->names = start_names();
	t->broker = start_broker(&t->counts);
	producing = answering = 1;
	for (int i = 0; i < THREADS; i++) {
		seeds[i] = (struct thread_seed){ check_random(&t->random), 2 * (i % 2) };
		pthread_create(&threads[i], NULL, i < PRODUCERS ? producer_main : consumer_main, &seeds[i]);
	}
	for (int i = 0; i < cycles && orders_count() < ORDERS_MAX; i++)
		cycle(t);
	check_route();
	producing = 0;
	faultproxy_set(t->proxy, 0, 0);
	come_to_rest();
	answering = 0;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	orders_check_promises(broker_port);
	if (program_stop(&t->broker, SIGTERM, NULL) != 0 || program_stop(&t->names, SIGTERM, NULL) != 0)
		orders_violated(ORDER_BAD_END, "exit code", -1);
	orders_check_all();
	orders_check_log(store);
	check_tool("check");
	check_tool("audit");
	t->counts.orders += (uint64_t)orders_count();
	t->counts.rounds++;
	check_remove_dir(dir);
}

static int number_or(const char *name, int fallback)
{
	const char *text = getenv(name);

	return text == NULL || atoi(text) <= 0 ? fallback : atoi(text);
}

static void note(uint64_t seed, const struct counts *counts, uint64_t violations, int64_t took_ms)
{
	const char *path = getenv("TORTURE_RESULT");
	FILE *out = path == NULL ? NULL : fopen(path, "w");

	printf(" [seed %llu: %d kills, %d pauses, %d kills of the name server, %d rounds, %llu orders, %llu violations, %lld ms a "
	       "cycle, slowest start %lld ms]",
	       (unsigned long long)seed, counts->kills, counts->pauses, counts->name_server_kills, counts->rounds,
	       (unsigned long long)counts->orders, (unsigned long long)violations, (long long)(took_ms / counts->kills),
	       (long long)counts->worst_start_ms);
	if (out == NULL)
		return;
	fprintf(out, "seed=%llu kills=%d pauses=%d name_server_kills=%d orders=%llu violations=%llu ms_a_cycle=%lld slowest_start_ms=%lld\n",
		(unsigned long long)seed, counts->kills, counts->pauses, counts->name_server_kills, (unsigned long long)counts->orders,
		(unsigned long long)violations, (long long)(took_ms / counts->kills), (long long)counts->worst_start_ms);
	fclose(out);
}

static void test_money_and_goods_agree(void)
{
	struct torture t = { 0 };
	uint64_t seed = t.random = check_seed((uint64_t)getpid());
	int cycles = number_or("CYCLES", 10), round = number_or("ROUND", 100);
	int64_t since = raw_now_ms();

	broker_port = free_port();
	names_port = free_port();
	t.proxy = faultproxy_start(broker_port, seed);
	proxy_port = faultproxy_port(t.proxy);
	while (t.counts.kills < cycles)
		round_of(&t, cycles - t.counts.kills < round ? cycles - t.counts.kills : round);
	faultproxy_stop(t.proxy);
	uint64_t violations = orders_violations();
	note(seed, &t.counts, violations, raw_now_ms() - since);
	CU_ASSERT_EQUAL(violations, 0);
	CU_ASSERT_TRUE(t.counts.orders > (uint64_t)t.counts.kills);
}

int main(void)
{
	static const struct check_test tests[] = { CHECK_TEST(test_money_and_goods_agree) };

	return check_main("torture", tests, 1);
}
