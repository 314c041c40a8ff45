/* The real broker process: how it starts and ends, what a kill leaves, who asks whom afterwards, hostile peers. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/wire/headers.h"
#include "lib/wire/message.h"
#include "lib/wire/properties.h"
#include "tests/support/check.h"
#include "tests/support/rawclient.h"

static char *dir;
static char store[512], log_path[512];

static const char *option(char *out, size_t size, const char *key, const char *value)
{
	snprintf(out, size, "%s=%s", key, value);
	return out;
}

/* A broker on `port` (0: any) over the test's store; check-backs after `timeout_ms`. */
static struct program start_broker(unsigned port, const char *timeout_ms)
{
	char port_option[64], store_option[600], timeout_option[64];
	char number[16];

	snprintf(number, sizeof(number), "%u", port);
	const char *argv[] = { "escrow-broker", "-o", option(port_option, sizeof(port_option), "listenPort", number),
			       "-o", option(store_option, sizeof(store_option), "storePathRootDir", store),
			       "-o", option(timeout_option, sizeof(timeout_option), "transactionTimeOut", timeout_ms),
			       "-o", "brokerName=test", "-o", "mappedFileSizeCommitLog=33554432", "-o", "tailRingSize=16777216", NULL };
	return program_start(argv, log_path);
}

/* One with defaults but for this option. */
static struct program start_with(const char *key_value)
{
	char store_option[600];
	const char *argv[] = { "escrow-broker", "-o", "listenPort=0", "-o",
			       option(store_option, sizeof(store_option), "storePathRootDir", store), "-o", key_value, NULL };

	return program_start(argv, log_path);
}

static void fresh(void)
{
	dir = check_make_dir();
	snprintf(store, sizeof(store), "%s/store", dir);
	snprintf(log_path, sizeof(log_path), "%s/broker.log", dir);
}

/* --- start and end ----------------------------------------------------------------------------------------- */

static void test_ready_line_and_orderly_end(void)
{
	fresh();
	struct program broker = start_broker(0, "6000");
	int64_t took_ms;

	CU_ASSERT(strncmp(broker.ready, "ready escrow-broker 127.0.0.1:", 30) == 0);
	struct raw *raw = raw_must_connect(broker.port);
	struct raw_half half;
	CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", "K1", 100, &half), RESP_SUCCESS);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, &took_ms), 0);
	CU_ASSERT(took_ms < 5000);
	raw_close(raw);
	check_remove_dir(dir);
}

static void test_orderly_end_under_load(void)
{
	int64_t took_ms;
	int answered = 0;

	fresh();
	struct program broker = start_broker(0, "6000");
	struct raw *raw = raw_must_connect(broker.port);
	for (int i = 0; i < 5000; i++) {
		char key[16];

		snprintf(key, sizeof(key), "L%d", i);
		CU_ASSERT_FATAL(raw_half_post(raw, "g", "orders", key, 1000));
	}
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, &took_ms), 0);
	CU_ASSERT(took_ms < 5000);
	while (raw_receive(raw, 100) != NULL)
		answered++;
	CU_ASSERT(answered > 0);
	raw_close(raw);
	check_remove_dir(dir);
}

/* A consumer's last word before the broker stops, said one-way, is there after the next start. */
static void test_orderly_end_keeps_offsets(void)
{
	struct consumer_offset_header header = { .consumer_group = SPAN_LITERAL("readers"), .topic = SPAN_LITERAL("orders") };

	fresh();
	for (int64_t round = 1; round <= 3; round++) {
		struct program broker = start_broker(0, "6000");
		struct raw *raw = raw_must_connect(broker.port);
		struct raw_half half;

		CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", "K", 100, &half), RESP_SUCCESS);
		CU_ASSERT_TRUE(raw_read_queue(raw, "readers", "orders", 0, NULL, NULL) >= 0);
		usleep(50000); /* The first tick records offsets, too; the next one is half a second away. */
		CU_ASSERT_TRUE(round == 1 || raw_query_offset(raw, "readers", "orders") == round - 1);
		header.commit_offset = round;
		update_consumer_offset_encode(raw_begin(raw, REQ_UPDATE_CONSUMER_OFFSET, true), &header);
		CU_ASSERT_TRUE(raw_send(raw, NULL));
		/* An answer on the same connection: the word was heard. Not to a question for it, which would make it last. */
		CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", "L", 100, &half), RESP_SUCCESS);
		CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
		raw_close(raw);
	}
	check_remove_dir(dir);
}

static void expect_refusal(const char *const argv[], const char *what)
{
	char err[4096];

	CU_ASSERT_EQUAL(program_run(argv, err, sizeof(err)), 1);
	if (strstr(err, what) == NULL) {
		fprintf(stderr, "expected \"%s\" in: %s\n", what, err);
		CU_FAIL("the error does not say what is wrong");
	}
}

static void test_bad_starts_say_why(void)
{
	char store_option[600], port_option[64], other[600], number[16];

	fresh();
	struct program broker = start_broker(0, "6000");
	snprintf(number, sizeof(number), "%u", broker.port);
	option(store_option, sizeof(store_option), "storePathRootDir", store);
	option(port_option, sizeof(port_option), "listenPort", number);
	snprintf(other, sizeof(other), "storePathRootDir=%s/other", dir);
	expect_refusal((const char *const[]){ "escrow-broker", "-o", "noSuchKey=1", NULL }, "noSuchKey");
	expect_refusal((const char *const[]){ "escrow-broker", "-o", "listenPort=abc", NULL }, "listenPort");
	expect_refusal((const char *const[]){ "escrow-broker", "-c", "/nonexistent/broker.conf", NULL }, "/nonexistent/broker.conf");
	expect_refusal((const char *const[]){ "escrow-broker", "-o", "bindAddress=0.0.0.0", NULL }, "allowInsecure");
	expect_refusal((const char *const[]){ "escrow-broker", "-o", "metricsExporterType=PROM", "-o", "metricsPromExporterHost=192.0.2.1",
					       "-o", other, NULL }, "allowInsecure");
	expect_refusal((const char *const[]){ "escrow-broker", "-o", port_option, "-o", other, NULL }, number);
	expect_refusal((const char *const[]){ "escrow-broker", "-o", "listenPort=0", "-o", store_option, "-o", "brokerName=test", NULL },
		       "is locked by process");
	expect_refusal((const char *const[]){ "escrow-broker", "-o", "listenPort=0", "-o", store_option, "-o", "brokerName=other", NULL },
		       "is the store of broker \"test\"");
	CU_ASSERT(program_alive(&broker));
	program_stop(&broker, SIGTERM, NULL);
	check_remove_dir(dir);
}

/* What waits for the disk is bounded for each connection: what comes on top is refused, and nothing is lost. */
static void test_requests_under_way_are_bounded(void)
{
	enum { COUNT = 50 };
	int codes[2] = { 0 };

	fresh();
	struct program broker = start_with("inFlightMax=1");
	struct raw *raw = raw_must_connect(broker.port);
	struct raw_half first;
	CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", "first", 100, &first), RESP_SUCCESS); /* The log is ready. */
	CU_ASSERT_FATAL(raw_half_post_many(raw, "g", "orders", "F", 100, COUNT));
	for (int i = 0; i < COUNT; i++) {
		const struct command *answer = raw_receive(raw, 5000);

		CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
		CU_ASSERT(answer->code == RESP_SUCCESS || answer->code == RESP_SYSTEM_BUSY);
		codes[answer->code == RESP_SYSTEM_BUSY]++;
	}
	CU_ASSERT_TRUE(codes[0] > 0);
	CU_ASSERT_TRUE(codes[1] > 0);
	raw_close(raw);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	check_remove_dir(dir);
}

static void test_connections_of_one_address_are_bounded(void)
{
	fresh();
	struct program broker = start_with("connectionsPerAddressMax=2");
	struct raw *first = raw_must_connect(broker.port), *second = raw_must_connect(broker.port);
	CU_ASSERT(raw_heartbeat(second, "two", "g"));
	struct raw *third = raw_must_connect(broker.port);
	CU_ASSERT(raw_closed(third, 5000));
	raw_close(third);
	CU_ASSERT(raw_heartbeat(first, "one", "g"));
	raw_close(first);
	raw_close(second);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	check_remove_dir(dir);
}

/* Where RocketMQ's clients look with vipChannelEnabled. */
static void test_the_vip_channel_is_two_ports_below(void)
{
	fresh();
	struct program broker = start_broker(0, "6000");
	unsigned port = broker.port;
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	broker = start_broker(port, "6000");
	struct raw *raw = raw_connect(port - 2);
	CU_ASSERT(raw != NULL && raw_heartbeat(raw, "producer@1", "g"));
	raw_close(raw);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	check_remove_dir(dir);
}

static void test_damaged_store_is_refused(void)
{
	char path[600], store_option[600];
	uint8_t byte;

	fresh();
	struct program broker = start_broker(0, "6000");
	struct raw *raw = raw_must_connect(broker.port);
	struct raw_half half;
	for (int i = 0; i < 50; i++) {
		char key[16];

		snprintf(key, sizeof(key), "D%d", i);
		CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", key, 1000, &half), RESP_SUCCESS);
	}
	raw_close(raw);
	program_stop(&broker, SIGTERM, NULL);
	snprintf(path, sizeof(path), "%s/commitlog/00000000000000000000", store);
	int fd = open(path, O_RDWR);
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(pread(fd, &byte, 1, 20000), 1);
	byte ^= 0x10;
	CU_ASSERT_EQUAL(pwrite(fd, &byte, 1, 20000), 1);
	close(fd);
	option(store_option, sizeof(store_option), "storePathRootDir", store);
	expect_refusal((const char *const[]){ "escrow-broker", "-o", "listenPort=0", "-o", store_option, "-o", "brokerName=test", NULL },
		       "commitlog/00000000000000000000");
	check_remove_dir(dir);
}

/* --- transactions ------------------------------------------------------------------------------------------- */

static void test_first_decision_wins(void)
{
	fresh();
	struct program broker = start_broker(0, "60000");
	struct raw *raw = raw_must_connect(broker.port);
	struct raw_half half, again;

	CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", "T1", 100, &half), RESP_SUCCESS);
	CU_ASSERT_EQUAL(raw_read_queue(raw, "readers", "orders", 0, NULL, NULL), 0);
	CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", "T1", 100, &again), RESP_SUCCESS);
	CU_ASSERT_EQUAL(again.queue_offset, half.queue_offset);
	CU_ASSERT_EQUAL(again.log_offset, half.log_offset);
	CU_ASSERT_EQUAL(raw_end(raw, "other", "T1", &half, 8), RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(raw_end(raw, "g", "T1", &half, 8), RESP_SUCCESS);
	CU_ASSERT_EQUAL(raw_end(raw, "g", "T1", &half, 8), RESP_SUCCESS);
	CU_ASSERT_EQUAL(raw_end(raw, "g", "T1", &half, 12), RESP_ILLEGAL_OPERATION);
	CU_ASSERT_EQUAL(raw_read_queue(raw, "readers", "orders", 0, NULL, NULL), 1);
	CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", "T2", 100, &half), RESP_SUCCESS);
	CU_ASSERT_EQUAL(raw_end(raw, "g", "T2", &half, 12), RESP_SUCCESS);
	CU_ASSERT_EQUAL(raw_end(raw, "g", "T2", &half, 8), RESP_ILLEGAL_OPERATION);
	CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", "T2", 100, &again), RESP_MESSAGE_ILLEGAL);
	CU_ASSERT_EQUAL(raw_read_queue(raw, "readers", "orders", 0, NULL, NULL), 1);
	raw_close(raw);
	program_stop(&broker, SIGTERM, NULL);
	check_remove_dir(dir);
}

enum { ROUNDS = 5, PER_ROUND = 400 };
static uint8_t commit_acked[ROUNDS * PER_ROUND], rollback_acked[ROUNDS * PER_ROUND], visible[ROUNDS * PER_ROUND];

static void count_visible(void *context, struct span key)
{
	int64_t number;

	(void)context;
	key.data++;
	key.size--;
	CU_ASSERT_FATAL(span_to_i64(key, &number) == ST_OK && number >= 0 && number < ROUNDS * PER_ROUND);
	visible[number]++;
}

/* Sends, commits and rolls back until the broker is killed under it. */
static void work_until_killed(struct program *broker, int first, int kill_at)
{
	struct raw *raw = raw_must_connect(broker->port);
	struct raw_half half;

	for (int i = first; i < first + PER_ROUND; i++) {
		char key[16];
		bool commit = i % 3 != 0;

		if (i == kill_at)
			kill(broker->pid, SIGKILL); /* Asynchronous: the next requests race with it. */
		snprintf(key, sizeof(key), "N%d", i);
		if (raw_half_send(raw, "g", "orders", key, 500, &half) != RESP_SUCCESS)
			break;
		int code = raw_end(raw, "g", key, &half, commit ? 8 : 12);
		if (code == RESP_SUCCESS)
			(commit ? commit_acked : rollback_acked)[i] = 1;
	}
	raw_close(raw);
}

static void test_kill_loses_nothing_acknowledged(void)
{
	uint64_t random = check_seed(7);
	int64_t acked_offset = 0;

	fresh();
	memset(commit_acked, 0, sizeof(commit_acked));
	for (int round = 0; round < ROUNDS; round++) {
		struct program broker = start_broker(0, "600000");
		struct raw *raw = raw_must_connect(broker.port);

		if (round > 0)
			CU_ASSERT_EQUAL(raw_query_offset(raw, "readers", "orders"), acked_offset);
		int kill_at = round * PER_ROUND + 50 + (int)(check_random(&random) % (PER_ROUND - 60));
		struct raw_half half;
		char maker[16];
		snprintf(maker, sizeof(maker), "M%d", round); /* Makes the topic; never decided. */
		CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", maker, 10, &half), RESP_SUCCESS);
		CU_ASSERT_EQUAL(raw_read_queue(raw, "readers", "orders", 0, NULL, NULL) >= 0, 1);
		CU_ASSERT(raw_update_offset(raw, "readers", "orders", round + 100));
		acked_offset = round + 100;
		work_until_killed(&broker, round * PER_ROUND, kill_at);
		program_stop(&broker, SIGKILL, NULL);
		raw_close(raw);
	}
	struct program broker = start_broker(0, "600000");
	struct raw *raw = raw_must_connect(broker.port);
	CU_ASSERT(raw_read_queue(raw, "readers", "orders", 0, count_visible, NULL) > 0);
	for (int i = 1; i < ROUNDS * PER_ROUND; i++) {
		if (commit_acked[i] && visible[i] != 1)
			CU_FAIL("a committed message is lost or doubled");
		if (rollback_acked[i] && visible[i] != 0)
			CU_FAIL("a rolled-back message is visible");
		CU_ASSERT(visible[i] <= 1);
	}
	raw_close(raw);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	check_remove_dir(dir);
}

/* --- check-back ------------------------------------------------------------------------------------------------- */

enum { IN_DOUBT = 1000 };

/* Answers a check: commit. */
static bool answer_check(struct raw *raw, const struct command *check)
{
	struct check_transaction_header asked;
	struct message message;
	struct errinfo err;

	if (check_transaction_decode(check, &asked, &err) != ST_OK || message_decode(check->body, &message, &err) != ST_OK) {
		CU_FAIL("a check that does not decode");
		return false;
	}
	CU_ASSERT(span_is(property_get(message.properties, PROPERTY_PGROUP), "g"));
	return raw_answer_check(raw, "g", &asked, 8);
}

static void test_in_doubt_resolve_within_a_second_of_the_first_heartbeat(void)
{
	struct raw_half half;

	fresh();
	struct program broker = start_broker(0, "500");
	struct raw *raw = raw_must_connect(broker.port);
	for (int i = 0; i < IN_DOUBT; i++) {
		char key[16];

		snprintf(key, sizeof(key), "C%d", i);
		CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", key, 1024, &half), RESP_SUCCESS);
	}
	raw_close(raw);
	program_stop(&broker, SIGKILL, NULL);
	broker = start_broker(0, "500");
	int64_t started = raw_now_ms();
	raw = raw_must_connect(broker.port);
	while (raw_now_ms() < started + 700)
		usleep(10000); /* Their deadline passes; nobody of the group is there. */
	CU_ASSERT_EQUAL(raw_read_queue(raw, "readers", "orders", 0, NULL, NULL), 0);
	int64_t back = raw_now_ms();
	CU_ASSERT(raw_heartbeat(raw, "producer@1", "g"));
	int asked = 0;
	for (const struct command *check; asked < IN_DOUBT && (check = raw_receive(raw, 2000)) != NULL;) {
		if (check->code != REQ_CHECK_TRANSACTION_STATE || command_is_response(check))
			continue;
		asked++;
		answer_check(raw, check);
	}
	CU_ASSERT_EQUAL(asked, IN_DOUBT);
	int seen = 0;
	while (seen < IN_DOUBT && raw_now_ms() < back + 3000)
		seen = raw_read_queue(raw, "readers", "orders", 0, NULL, NULL);
	printf(" [%d resolved %lld ms after the heartbeat]", seen, (long long)(raw_now_ms() - back));
	CU_ASSERT_EQUAL(seen, IN_DOUBT);
	raw_close(raw);
	program_stop(&broker, SIGTERM, NULL);
	check_remove_dir(dir);
}

/* --- name servers ------------------------------------------------------------------------------------------------- */

static struct program start_namesrv(unsigned port)
{
	char port_option[64];

	snprintf(port_option, sizeof(port_option), "listenPort=%u", port);
	return program_start((const char *const[]){ "escrow-namesrv", "-o", port_option, NULL }, log_path);
}

/* Waits for the broker's route; how long that took, -1 after three seconds. */
static int64_t wait_for_route(unsigned port)
{
	int64_t start = raw_now_ms();

	while (!raw_has_route(port, "TBW102")) {
		if (raw_now_ms() - start > 3000)
			return -1;
		usleep(10000);
	}
	return raw_now_ms() - start;
}

static void test_registers_with_all_name_servers_and_again_when_one_returns(void)
{
	char servers[128], store_option[600];

	fresh();
	struct program first = start_namesrv(0), second = start_namesrv(0);
	snprintf(servers, sizeof(servers), "namesrvAddr=127.0.0.1:%u;127.0.0.1:%u", first.port, second.port);
	option(store_option, sizeof(store_option), "storePathRootDir", store);
	struct program broker = program_start((const char *const[]){ "escrow-broker", "-o", "listenPort=0", "-o", store_option,
								      "-o", servers, NULL }, log_path);
	CU_ASSERT(wait_for_route(first.port) >= 0);
	CU_ASSERT(wait_for_route(second.port) >= 0);
	unsigned port = first.port;
	program_stop(&first, SIGKILL, NULL);
	usleep(1500000); /* Long enough for the broker to have given up on it for now. */
	first = start_namesrv(port);
	int64_t took_ms = wait_for_route(port);
	printf(" [registered again after %lld ms]", (long long)took_ms);
	CU_ASSERT(took_ms >= 0 && took_ms < 1000);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	CU_ASSERT_FALSE(raw_has_route(port, "TBW102")); /* It unregistered. */
	CU_ASSERT_EQUAL(program_stop(&first, SIGTERM, NULL), 0);
	CU_ASSERT_EQUAL(program_stop(&second, SIGTERM, NULL), 0);
	check_remove_dir(dir);
}

/* --- hostile peers ------------------------------------------------------------------------------------------------ */

static void test_hostile_bytes_hurt_nobody_else(void)
{
	static const char *const hostile[] = {
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"\x7f\xff\xff\xff\x00\x00\x00\x10",
		"\x00\x00\x00\x02zz",
		"\x00\x00\x00\x10\x00\x00\x00\xff{}..........",
		"\x00\x00\x00\x06\x00\x00\x00\x02{]",
		"\x00\x00\x00\x06\x07\x00\x00\x02{}",
	};
	static const size_t sizes[] = { 27, 11, 8, 6, 20, 10, 10 };
	uint64_t random = check_seed(11);

	fresh();
	struct program broker = start_broker(0, "60000");
	struct raw *good = raw_must_connect(broker.port);
	struct raw_half half;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		struct raw *raw = raw_must_connect(broker.port);

		CU_ASSERT(raw_send_bytes(raw, hostile[i], sizes[i]));
		CU_ASSERT(raw_closed(raw, 3000));
		raw_close(raw);
	}
	for (int i = 0; i < 200; i++) {
		struct raw *raw = raw_must_connect(broker.port);
		uint8_t noise[300];

		for (size_t j = 0; j < sizeof(noise); j++)
			noise[j] = (uint8_t)check_random(&random);
		raw_send_bytes(raw, noise, sizeof(noise));
		raw_close(raw);
	}
	CU_ASSERT_EQUAL(raw_half_send(good, "g", "orders", "H1", 100, &half), RESP_SUCCESS);
	CU_ASSERT_EQUAL(raw_half_send(good, "g", "../x", "H2", 100, &half), RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(raw_half_send(good, "g", "RMQ_SYS_TRANS_HALF_TOPIC", "H3", 100, &half), RESP_NO_PERMISSION);
	CU_ASSERT_EQUAL(raw_half_send(good, "g", "orders", "H4", 5 * 1024 * 1024, &half), RESP_MESSAGE_ILLEGAL);
	raw_begin(good, 9999, false);
	const struct command *answer = raw_call(good, 3000);
	CU_ASSERT(answer != NULL && answer->code == RESP_REQUEST_CODE_NOT_SUPPORTED);
	CU_ASSERT(program_alive(&broker));
	raw_close(good);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	check_remove_dir(dir);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_ready_line_and_orderly_end),
		CHECK_TEST(test_orderly_end_under_load),
		CHECK_TEST(test_orderly_end_keeps_offsets),
		CHECK_TEST(test_bad_starts_say_why),
		CHECK_TEST(test_requests_under_way_are_bounded),
		CHECK_TEST(test_connections_of_one_address_are_bounded),
		CHECK_TEST(test_the_vip_channel_is_two_ports_below),
		CHECK_TEST(test_damaged_store_is_refused),
		CHECK_TEST(test_first_decision_wins),
		CHECK_TEST(test_kill_loses_nothing_acknowledged),
		CHECK_TEST(test_in_doubt_resolve_within_a_second_of_the_first_heartbeat),
		CHECK_TEST(test_registers_with_all_name_servers_and_again_when_one_returns),
		CHECK_TEST(test_hostile_bytes_hurt_nobody_else),
	};

	return check_main("broker process", tests, sizeof(tests) / sizeof(tests[0]));
}
