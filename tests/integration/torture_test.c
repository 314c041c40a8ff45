/* Kill and cut everything, then count: a broker killed at random, producers that die between local commit and END or
 * whose answers are lost, consumers that come and go, all through a proxy that cuts and delays. In the end
 *   - every order whose local transaction committed is visible exactly once, the others never;
 *   - the log holds at most one half and one final decision of each transaction;
 *   - no acknowledged consumer offset is forgotten.
 * TORTURE_SECONDS (8) says for how long, SEED which one. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log/logreader.h"
#include "lib/record/record_transaction.h"
#include "lib/wire/headers.h"
#include "lib/wire/properties.h"
#include "tests/support/check.h"
#include "tests/support/faultproxy.h"
#include "tests/support/rawclient.h"

enum { PRODUCERS = 4, ORDERS_MAX = 400000 };

/* The services' database: what an order's local transaction became. */
enum { ORDER_NONE, ORDER_COMMITTED, ORDER_ROLLED_BACK };
static atomic_uchar orders[ORDERS_MAX];
static uint8_t visible[ORDERS_MAX];
static atomic_int next_order, producing, answering, acked_offset, killed;
static unsigned broker_port, proxy_port;
static char *dir;
static char store[512], log_path[512];

static struct program start_broker(void)
{
	char port_option[64], store_option[600];

	snprintf(port_option, sizeof(port_option), "listenPort=%u", broker_port);
	snprintf(store_option, sizeof(store_option), "storePathRootDir=%s", store);
	const char *argv[] = { "escrow-broker", "-o", port_option, "-o", store_option, "-o", "brokerName=torture",
			       "-o", "transactionTimeOut=300", "-o", "transactionCheckInterval=300",
			       "-o", "transactionCheckAnswerTimeout=500", "-o", "transactionCheckMax=1000",
			       "-o", "mappedFileSizeCommitLog=33554432", "-o", "tailRingSize=16777216", "-o", "logLevel=error", NULL };
	return program_start(argv, log_path);
}

static int order_of_key(struct span key)
{
	int64_t number;

	key.data++;
	key.size--;
	return span_to_i64(key, &number) == ST_OK && number >= 0 && number < ORDERS_MAX ? (int)number : -1;
}

/* --- producers ------------------------------------------------------------------------------------------------ */

/* Answers what is asked on this connection from the database; an order it does not hold was never placed: roll back. */
static bool answer_checks(struct raw *raw, int64_t for_ms)
{
	int64_t until = raw_now_ms() + for_ms;
	const struct command *command;

	while ((command = raw_receive(raw, until - raw_now_ms())) != NULL) {
		struct check_transaction_header asked;

		if (command->code != REQ_CHECK_TRANSACTION_STATE || command_is_response(command) ||
		    check_transaction_decode(command, &asked, NULL) != ST_OK)
			continue;
		int order = order_of_key(asked.transaction_id);
		if (order < 0)
			continue;
		/* A half whose sender has not decided locally yet: the mark in the database makes a late commit lose. */
		unsigned char none = ORDER_NONE;
		atomic_compare_exchange_strong(&orders[order], &none, ORDER_ROLLED_BACK);
		if (!raw_answer_check(raw, "torture", &asked, orders[order] == ORDER_COMMITTED ? 8 : 12))
			return false;
	}
	return true;
}

/* One order. False: the connection is to be given up. */
static bool place_order(struct raw *raw, uint64_t *random)
{
	int order = next_order++;
	bool commit = check_random(random) % 3 != 0;
	unsigned char none = ORDER_NONE;
	struct raw_half half;
	char key[24];
	int code;

	if (order >= ORDERS_MAX)
		return false;
	snprintf(key, sizeof(key), "O%d", order);
	code = raw_half_send(raw, "torture", "orders", key, 200, &half);
	if (code != RESP_SUCCESS)
		return code >= 0; /* Not stored, or nobody knows: no local transaction then. */
	if (!atomic_compare_exchange_strong(&orders[order], &none, commit ? ORDER_COMMITTED : ORDER_ROLLED_BACK))
		return true; /* A check was faster. */
	uint64_t fate = check_random(random) % 50;
	if (fate == 0)
		return false; /* Killed between local commit and END. */
	code = raw_end(raw, "torture", key, &half, commit ? 8 : 12);
	if (code == RESP_SUCCESS && fate == 1)
		code = raw_end(raw, "torture", key, &half, commit ? 8 : 12);
	return code >= 0;
}

static void *producer_main(void *context)
{
	uint64_t random = *(uint64_t *)context;
	char client_id[32];

	while (answering) {
		struct raw *raw = raw_connect(proxy_port);
		bool good = raw != NULL;

		snprintf(client_id, sizeof(client_id), "p@%d", (int)(check_random(&random) % 1000));
		if (good)
			good = raw_heartbeat(raw, client_id, "torture");
		while (good && answering) {
			int64_t chunk_end = raw_now_ms() + 100;

			while (good && producing && raw_now_ms() < chunk_end)
				good = place_order(raw, &random);
			good = good && answer_checks(raw, producing ? 5 : 100);
		}
		raw_close(raw);
		usleep(20000);
	}
	return NULL;
}

/* --- a consumer that acknowledges offsets --------------------------------------------------------------------------- */

static void *consumer_main(void *context)
{
	int64_t offset = 0;

	(void)context;
	while (producing) {
		struct raw *raw = raw_connect(proxy_port);

		if (raw != NULL && raw_read_queue(raw, "readers", "orders", 3, NULL, NULL) >= 0) {
			while (producing && raw_update_offset(raw, "readers", "orders", ++offset)) {
				acked_offset = (int)offset;
				usleep(2000);
			}
		}
		raw_close(raw);
		usleep(20000);
	}
	return NULL;
}

/* --- the counting ------------------------------------------------------------------------------------------------------ */

static void count_visible(void *context, struct span key)
{
	int order = order_of_key(key);

	(void)context;
	if (order >= 0)
		visible[order]++;
}

static void check_visible(void)
{
	int committed = 0, lost = 0, doubled = 0, wrong = 0;

	for (int i = 0; i < next_order && i < ORDERS_MAX; i++) {
		committed += orders[i] == ORDER_COMMITTED;
		lost += orders[i] == ORDER_COMMITTED && visible[i] == 0;
		wrong += orders[i] != ORDER_COMMITTED && visible[i] != 0;
		doubled += visible[i] > 1;
	}
	printf(" [%d orders, %d committed, %d kills]", (int)next_order, committed, (int)killed);
	CU_ASSERT(committed > 0);
	CU_ASSERT_EQUAL(lost, 0);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(doubled, 0);
}

/* At most one HALF and one final DECISION of each transaction in the log. */
static void check_log(void)
{
	static uint8_t halves[ORDERS_MAX], decisions[ORDERS_MAX];
	struct logreader *reader;
	struct log_record record;
	struct errinfo err;
	int doubled = 0;

	CU_ASSERT_FATAL(logreader_open(vfs_posix(), store, 0, &reader, &err) == ST_OK);
	while (logreader_next(reader, LOG_NO_LIMIT, &record, &err) == ST_OK) {
		struct record_half half;
		struct record_decision decision;
		int order = -1;

		if (record.kind == LOG_HALF && record_half_decode(record.payload, &half, &err) == ST_OK &&
		    (order = order_of_key(half.transaction_id)) >= 0)
			doubled += ++halves[order] > 1;
		if (record.kind == LOG_DECISION && record_decision_decode(record.payload, &decision, &err) == ST_OK &&
		    (order = order_of_key(decision.transaction_id)) >= 0)
			doubled += ++decisions[order] > 1;
	}
	logreader_close(reader);
	CU_ASSERT_EQUAL(doubled, 0);
}

static unsigned free_port(void)
{
	struct faultproxy *taken = faultproxy_start(1, 1);
	unsigned port = faultproxy_port(taken);

	faultproxy_stop(taken);
	return port;
}

/* Reads all queues until two readings agree: nothing is open any more. */
static void read_until_rest(void)
{
	int before = -1, count = 0;

	for (int tries = 0; tries < 60 && (count != before || count == 0); tries++) {
		before = count;
		sleep(1);
		struct raw *raw = raw_connect(broker_port);
		memset(visible, 0, sizeof(visible));
		count = 0;
		for (int queue = 0; raw != NULL && queue < 4; queue++) {
			int n = raw_read_queue(raw, "readers", "orders", queue, count_visible, NULL);

			CU_ASSERT(n >= 0);
			count += n;
		}
		raw_close(raw);
	}
}

static void test_money_and_goods_agree(void)
{
	uint64_t seed = check_seed((uint64_t)getpid()), seeds[PRODUCERS];
	const char *seconds = getenv("TORTURE_SECONDS");
	int64_t end = raw_now_ms() + 1000 * (seconds == NULL ? 8 : atoi(seconds));
	pthread_t producers[PRODUCERS], consumer;

	dir = check_make_dir();
	snprintf(store, sizeof(store), "%s/store", dir);
	snprintf(log_path, sizeof(log_path), "%s/broker.log", dir);
	broker_port = free_port();
	struct faultproxy *proxy = faultproxy_start(broker_port, seed);
	proxy_port = faultproxy_port(proxy);
	faultproxy_set(proxy, 2, 5);
	producing = answering = 1;
	struct program broker = start_broker();
	for (int i = 0; i < PRODUCERS; i++) {
		seeds[i] = check_random(&seed);
		pthread_create(&producers[i], NULL, producer_main, &seeds[i]);
	}
	pthread_create(&consumer, NULL, consumer_main, NULL);
	while (raw_now_ms() < end) {
		usleep((useconds_t)(200000 + check_random(&seed) % 800000));
		program_stop(&broker, SIGKILL, NULL);
		killed++;
		broker = start_broker();
	}
	producing = 0;
	faultproxy_set(proxy, 0, 0);
	pthread_join(consumer, NULL);
	read_until_rest();
	struct raw *raw = raw_connect(broker_port);
	CU_ASSERT(raw != NULL && raw_query_offset(raw, "readers", "orders") >= acked_offset);
	raw_close(raw);
	answering = 0;
	for (int i = 0; i < PRODUCERS; i++)
		pthread_join(producers[i], NULL);
	faultproxy_stop(proxy);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	check_visible();
	check_log();
	check_remove_dir(dir);
}

int main(void)
{
	static const struct check_test tests[] = { CHECK_TEST(test_money_and_goods_agree) };

	return check_main("torture", tests, 1);
}
