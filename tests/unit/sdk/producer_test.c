/* The producer against a broker in this process that loses answers, dies, refuses and asks back. */
#include <pthread.h>
#include <stdatomic.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "escrow/escrow.h"
#include "lib/wire/codes.h"
#include "tests/support/check.h"
#include "tests/support/stub_broker.h"

enum { LONG_MS = 15000 };

static const char *const topics[] = { "orders" };

static struct escrow_producer_config usual(const struct stub *stub)
{
	struct escrow_producer_config config;

	escrow_producer_config_init(&config, sizeof(config));
	config.name_servers = stub_address(stub);
	config.group = "order_service";
	config.topics = topics;
	config.topic_count = 1;
	config.check_threads = 1;
	config.attempt_timeout_ms = 200;
	return config;
}

static escrow_producer *start_as(const struct escrow_producer_config *config)
{
	struct escrow_error err;
	escrow_producer *producer = NULL;

	if (escrow_producer_start(config, &producer, &err) != ESCROW_OK) {
		fprintf(stderr, "start: %s\n", err.text);
		CU_FAIL_FATAL("producer does not start");
	}
	return producer;
}

static escrow_producer *start(struct stub *stub, escrow_check_fn check, void *context, int queue_max)
{
	struct escrow_producer_config config = usual(stub);

	config.check = check;
	config.check_context = context;
	config.check_queue_max = queue_max;
	return start_as(&config);
}

static bool has_routes(const struct stub *stub, void *context)
{
	return stub_counts_now(stub)->requests[STUB_ROUTE] >= *(int *)context;
}

static bool is_known(const struct stub *stub, void *context)
{
	return stub_counts_now(stub)->requests[STUB_BEAT] >= *(int *)context;
}

/* Until so many brokers know it, and it knows what kind of brokers they are. */
static void wait_known(escrow_producer *producer, uint64_t brokers)
{
	struct escrow_producer_stats stats;

	do
		escrow_producer_get_stats(producer, &stats);
	while (stats.heartbeats_acknowledged < brokers);
}

static escrow_producer *start_known(struct stub *stub, escrow_check_fn check, void *context, int queue_max)
{
	int beats = 1;
	escrow_producer *producer = start(stub, check, context, queue_max);

	CU_ASSERT_TRUE_FATAL(stub_wait(stub, is_known, &beats));
	wait_known(producer, 1);
	return producer;
}

static escrow_message *make(const char *topic)
{
	escrow_message *message = NULL;

	CU_ASSERT_EQUAL_FATAL(escrow_message_create(topic, "hello", 5, &message, NULL), ESCROW_OK);
	return message;
}

struct local {
	enum escrow_local_result say;
	int calls;
	char id[ESCROW_ID_SIZE];
};

static enum escrow_local_result run_local(escrow_transaction *transaction, const escrow_message *message, void *context)
{
	struct local *local = context;

	CU_ASSERT_STRING_EQUAL(escrow_message_topic(message), "orders");
	snprintf(local->id, sizeof(local->id), "%s", escrow_transaction_id(transaction));
	local->calls++;
	return local->say;
}

static enum escrow_code send_one(escrow_producer *producer, enum escrow_local_result say, int64_t deadline_ms,
				 struct escrow_transaction_result *result, struct escrow_error *err)
{
	struct local local = { .say = say };
	escrow_message *message = make("orders");

	*result = (struct escrow_transaction_result){ .state = ESCROW_PENDING };
	enum escrow_code code = escrow_producer_send_in_transaction(producer, message, run_local, &local, deadline_ms, result, err);
	CU_ASSERT_EQUAL(local.calls, code == ESCROW_OK || code == ESCROW_CONFLICT);
	if (local.calls > 0)
		CU_ASSERT_STRING_EQUAL(local.id, result->transaction_id);
	escrow_message_destroy(message);
	return code;
}

/* --- outcomes ---------------------------------------------------------------------------------------------------- */

static void expect_property(struct stub *stub, const char *name, const char *expected)
{
	char value[64];

	stub_half_property(stub, 0, name, value, sizeof(value));
	CU_ASSERT_STRING_EQUAL(value, expected);
}

static void test_commit_rollback_and_unknown(void)
{
	struct stub *stub = stub_start(4, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	struct escrow_transaction_result result;
	struct escrow_error err;
	char id[64];

	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", id), 1);
	CU_ASSERT_STRING_EQUAL(id, result.transaction_id);
	CU_ASSERT_STRING_EQUAL(result.broker_name, "stub");
	expect_property(stub, "PGROUP", "order_service");
	expect_property(stub, "TRAN_MSG", "true");
	expect_property(stub, "WAIT", "true"); /* For the disk. */

	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_ROLLBACK, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_ROLLED_BACK);
	CU_ASSERT_EQUAL(stub_half_decision(stub, 1), STUB_ROLLED_BACK);

	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_UNKNOWN, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_PENDING);
	CU_ASSERT_EQUAL(stub_half_ends(stub, 2, NULL, NULL), 0);
	CU_ASSERT_EQUAL(send_one(producer, (enum escrow_local_result)77, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_PENDING);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL), 1);
	escrow_producer_stop(producer, 1000);
	CU_ASSERT_EQUAL(stub_counts(stub).unregistered, 1);
	stub_stop(stub);
}

static void test_explicit_form_may_be_repeated_but_not_reversed(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	struct escrow_transaction_result result;
	struct escrow_error err;
	escrow_transaction *transaction;
	escrow_message *message = make("orders");

	CU_ASSERT_EQUAL_FATAL(escrow_prepare(producer, message, LONG_MS, &transaction, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(strlen(escrow_transaction_id(transaction)), 32);
	CU_ASSERT_EQUAL(escrow_commit(transaction, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_commit(transaction, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
	CU_ASSERT_EQUAL(escrow_rollback(transaction, LONG_MS, &result, &err), ESCROW_INVALID);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL), 1);
	escrow_transaction_release(transaction);
	escrow_message_destroy(message);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

static void test_the_opposite_decided_before_is_told_with_its_reason(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	struct escrow_transaction_result result;
	struct escrow_error err;
	escrow_transaction *transaction;
	escrow_message *message = make("orders");

	CU_ASSERT_EQUAL_FATAL(escrow_prepare(producer, message, LONG_MS, &transaction, &err), ESCROW_OK);
	stub_decide(stub, 0, STUB_ROLLED_BACK);
	CU_ASSERT_EQUAL(escrow_commit(transaction, LONG_MS, &result, &err), ESCROW_CONFLICT);
	CU_ASSERT_EQUAL(result.state, ESCROW_CONFLICTING);
	CU_ASSERT_EQUAL(err.broker_code, RESP_ILLEGAL_OPERATION);
	CU_ASSERT_PTR_NOT_NULL(strstr(result.text, "operator bob"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "operator bob"));
	escrow_transaction_release(transaction);
	escrow_message_destroy(message);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

/* --- lost answers --------------------------------------------------------------------------------------------------- */

static void test_a_lost_commit_answer_is_asked_for_again(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	struct escrow_transaction_result result;
	struct escrow_error err;

	stub_fault(stub, STUB_END, STUB_DROP_ANSWER, 2, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
	CU_ASSERT_EQUAL(stub_half_ends(stub, 0, NULL, NULL), 3);
	stub_fault(stub, STUB_END, STUB_CLOSE_AFTER, 1, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL), 2);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

static void test_a_decision_that_is_never_confirmed_is_pending_not_an_error(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	struct escrow_transaction_result result;
	struct escrow_producer_stats stats;
	struct escrow_error err;

	stub_fault(stub, STUB_END, STUB_DROP_REQUEST, 1000, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, 600, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_PENDING);
	CU_ASSERT_EQUAL(result.local, ESCROW_LOCAL_COMMIT);
	CU_ASSERT_PTR_NOT_NULL(strstr(result.text, "check-back"));
	escrow_producer_get_stats(producer, &stats);
	CU_ASSERT_EQUAL(stats.decisions_pending, 1);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

static void test_a_lost_half_answer_leaves_one_half(void)
{
	struct stub *stub = stub_start(4, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	struct escrow_transaction_result result;
	struct escrow_error err;

	stub_fault(stub, STUB_SEND, STUB_DROP_ANSWER, 1, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	stub_fault(stub, STUB_SEND, STUB_CLOSE_AFTER, 1, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(stub_half_count(stub), 2);
	CU_ASSERT_EQUAL(stub_counts(stub).requests[STUB_SEND], 4);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL), 2);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

/* RocketMQ keeps every copy of a half and delivers on every commit. */
static void test_nothing_is_repeated_at_a_stock_broker_that_may_have_done_it(void)
{
	struct stub *stub = stub_start(1, true);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	struct escrow_transaction_result result;
	struct escrow_error err;

	stub_fault(stub, STUB_SEND, STUB_DROP_ANSWER, 1, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, 400, &result, &err), ESCROW_TIMEOUT);
	CU_ASSERT_TRUE(err.outcome_unknown);
	CU_ASSERT_EQUAL(stub_half_count(stub), 1);
	stub_fault(stub, STUB_END, STUB_CLOSE_AFTER, 1, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_PENDING);
	CU_ASSERT_EQUAL(stub_half_ends(stub, 1, NULL, NULL), 1);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL), 1);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

/* --- failing brokers ------------------------------------------------------------------------------------------------- */

static void test_a_half_refused_for_the_moment_is_tried_again_and_one_refused_for_good_is_not(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	struct escrow_transaction_result result;
	struct escrow_error err;

	stub_fault(stub, STUB_SEND, STUB_REFUSE, 2, RESP_SYSTEM_BUSY);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	stub_fault(stub, STUB_SEND, STUB_REFUSE, 1, RESP_MESSAGE_ILLEGAL);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_REFUSED);
	CU_ASSERT_EQUAL(err.broker_code, RESP_MESSAGE_ILLEGAL);
	CU_ASSERT_FALSE(err.retriable);
	CU_ASSERT_FALSE(err.outcome_unknown);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "refused by the test"));
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

static void test_a_half_that_is_stored_but_not_synced_is_rolled_back(void)
{
	static const int codes[] = { RESP_FLUSH_DISK_TIMEOUT, RESP_FLUSH_SLAVE_TIMEOUT, RESP_SLAVE_NOT_AVAILABLE };
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	struct escrow_transaction_result result;
	struct escrow_error err;

	for (size_t i = 0; i < 3; i++) {
		stub_fault(stub, STUB_SEND, STUB_ANSWER_CODE, 1, codes[i]);
		CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_REFUSED);
		CU_ASSERT_EQUAL(err.broker_code, codes[i]);
		CU_ASSERT_TRUE(err.retriable);
		CU_ASSERT_EQUAL(stub_half_decision(stub, i), STUB_ROLLED_BACK);
	}
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

struct crasher {
	struct stub *stub;
	bool crash_before_end;
};

static enum escrow_local_result crash_broker(escrow_transaction *transaction, const escrow_message *message,
					     void *context)
{
	(void)transaction;
	(void)message;
	stub_crash(((struct crasher *)context)->stub);
	return ESCROW_LOCAL_COMMIT;
}

static void *return_soon(void *argument)
{
	stub_return(argument);
	return NULL;
}

static void test_a_broker_that_restarts_is_decided_at_and_knows_the_producer_again(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	struct escrow_transaction_result result;
	struct escrow_error err;
	struct crasher crasher = { .stub = stub };
	escrow_message *message = make("orders");
	escrow_transaction *transaction;
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(escrow_prepare(producer, message, LONG_MS, &transaction, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(crash_broker(transaction, message, &crasher), ESCROW_LOCAL_COMMIT);
	CU_ASSERT_EQUAL(escrow_commit(transaction, 300, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_PENDING);
	int beats = stub_counts(stub).requests[STUB_BEAT] + 1;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, return_soon, stub), 0);
	CU_ASSERT_EQUAL(escrow_commit(transaction, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
	pthread_join(thread, NULL);
	CU_ASSERT_TRUE(stub_wait(stub, is_known, &beats));
	escrow_transaction_release(transaction);
	escrow_message_destroy(message);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

static void test_a_broker_that_is_down_is_passed_over_for_one_that_is_up(void)
{
	struct stub *stub = stub_start(1, false), *other = stub_start(1, false);
	struct escrow_transaction_result result;
	struct escrow_error err;

	/* A port where nobody listens. */
	stub_add_peer(stub, "away", stub_address(other));
	stub_crash(other);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	for (int i = 0; i < 6; i++) {
		CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
		CU_ASSERT_STRING_EQUAL(result.broker_name, "stub");
	}
	CU_ASSERT_EQUAL(stub_half_count(stub), 6);
	escrow_producer_stop(producer, 1000);
	stub_stop(other);
	stub_stop(stub);
}

/* Half of the sends go to a broker that loses answers: not one half may be left behind at the other. */
static void test_a_half_whose_answer_is_lost_stays_with_its_broker(void)
{
	struct stub *stub = stub_start(1, false), *other = stub_start(1, false);
	struct escrow_transaction_result result;
	struct escrow_error err;

	stub_add_peer(stub, "other", stub_address(other));
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	wait_known(producer, 2);
	stub_fault(stub, STUB_SEND, STUB_CLOSE_AFTER, 3, 0);
	stub_fault(other, STUB_SEND, STUB_DROP_ANSWER, 1, 0);
	for (int i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
		CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
	}
	CU_ASSERT_TRUE(stub_half_count(stub) > 0 && stub_half_count(other) > 0);
	CU_ASSERT_EQUAL(stub_half_count(stub) + stub_half_count(other), 8);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL) + stub_visible(other, "orders", NULL), 8);
	escrow_producer_stop(producer, 1000);
	stub_stop(other);
	stub_stop(stub);
}

/* The first answer is lost, then the broker refuses for the moment: the half may lie there, and stays there. */
static void test_a_half_whose_fate_is_unknown_goes_nowhere_else_whatever_comes_later(void)
{
	struct stub *stub = stub_start(1, false), *other = stub_start(1, false);
	struct escrow_transaction_result result;
	struct escrow_error err;

	stub_add_peer(stub, "other", stub_address(other));
	escrow_producer *producer = start(stub, NULL, NULL, 0);
	wait_known(producer, 2);
	for (int i = 0; i < 2; i++) {
		struct stub *at = i == 0 ? stub : other;

		stub_fault(at, STUB_SEND, STUB_DROP_ANSWER, 1, 0);
		stub_then(at, STUB_SEND, STUB_REFUSE, 2, RESP_SYSTEM_BUSY);
	}
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(stub_half_count(stub) + stub_half_count(other), 1);
	/* Refused for good in the end: what the first attempt left there is there all the same. */
	for (int i = 0; i < 2; i++) {
		struct stub *at = i == 0 ? stub : other;

		stub_fault(at, STUB_SEND, STUB_DROP_ANSWER, 1, 0);
		stub_then(at, STUB_SEND, STUB_REFUSE, 1, RESP_MESSAGE_ILLEGAL);
	}
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_REFUSED);
	CU_ASSERT_TRUE(err.outcome_unknown);
	escrow_producer_stop(producer, 1000);
	stub_stop(other);
	stub_stop(stub);
}

/* The very first request to a broker leaves with the connection, which ends without an answer: it may have arrived. */
static void test_a_half_whose_connection_came_and_went_is_not_sent_elsewhere(void)
{
	struct stub *stub = stub_start(1, false), *other = stub_start(1, false);
	struct escrow_producer_config config = usual(stub);
	struct escrow_transaction_result result;
	struct escrow_error err;

	/* Sorts before "stub": the first send is its. */
	stub_add_peer(stub, "other", stub_address(other));
	stub_fault(other, STUB_SEND, STUB_CLOSE_AFTER, 1, 0);
	config.topic_count = 0;
	escrow_producer *producer = start_as(&config);
	enum escrow_code code = send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err);
	CU_ASSERT_TRUE(code == ESCROW_OK || err.outcome_unknown);
	CU_ASSERT_EQUAL(stub_half_count(other), 1);
	CU_ASSERT_EQUAL(stub_half_count(stub), 0);
	escrow_producer_stop(producer, 1000);
	stub_stop(other);
	stub_stop(stub);
}

/* A socket that takes one connection and leaves others waiting; that one is made, too. */
struct closed_door {
	int listener, first;
	char address[64];
};

static void shut_door(struct closed_door *door)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { 20, 0 };
	socklen_t size = sizeof(address);

	door->listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(door->listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	CU_ASSERT_EQUAL_FATAL(bind(door->listener, (struct sockaddr *)&address, size), 0);
	CU_ASSERT_EQUAL_FATAL(listen(door->listener, 0), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(door->listener, (struct sockaddr *)&address, &size), 0);
	snprintf(door->address, sizeof(door->address), "127.0.0.1:%d", ntohs(address.sin_port));
	door->first = socket(AF_INET, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL_FATAL(connect(door->first, (struct sockaddr *)&address, size), 0);
}

/* Lets the next one in, and gives what it says up to its first heartbeat. */
static void open_door(struct closed_door *door, char *said, size_t size)
{
	struct timeval limit = { 20, 0 };
	size_t used = 0;

	close(accept(door->listener, NULL, NULL));
	close(door->first);
	int fd = accept(door->listener, NULL, NULL);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	do {
		ssize_t got = recv(fd, said + used, size - 1 - used, 0);
		CU_ASSERT_TRUE_FATAL(got > 0);
		for (ssize_t i = 0; i < got; i++, used++)
			said[used] = said[used] == '\0' ? '.' : said[used];
		said[used] = '\0';
	} while (strstr(said, "clientID") == NULL);
	close(fd);
	close(door->listener);
}

/* A half that waited for a connection until its deadline does not leave when the connection is made after all. */
static void test_a_half_that_was_given_up_does_not_leave_later(void)
{
	struct stub *stub = stub_start(1, false);
	struct escrow_producer_config config = usual(stub);
	struct escrow_transaction_result result;
	struct escrow_error err;
	struct closed_door door;
	char said[8192];

	shut_door(&door);
	stub_add_peer(stub, "other", door.address); /* Sorts before "stub": the first send is its. */
	config.topic_count = 0;
	escrow_producer *producer = start_as(&config);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, 300, &result, &err), ESCROW_TIMEOUT);
	CU_ASSERT_FALSE(err.outcome_unknown);
	open_door(&door, said, sizeof(said));
	CU_ASSERT_PTR_NULL(strstr(said, "TRAN_MSG"));
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

static void test_an_answer_that_makes_no_sense_leaves_the_outcome_unknown(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	struct escrow_transaction_result result;
	struct escrow_error err;

	stub_fault(stub, STUB_SEND, STUB_NONSENSE, 1, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_PROTOCOL);
	CU_ASSERT_TRUE(err.outcome_unknown);
	CU_ASSERT_EQUAL(stub_half_count(stub), 1);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

/* A broker keeps its name: what was prepared there is decided where it is now. */
static void test_a_broker_that_moves_is_decided_at(void)
{
	struct stub *stub = stub_start(1, false), *other = stub_start(1, false);
	escrow_transaction *transactions[2];
	struct escrow_transaction_result result;
	struct escrow_error err;
	escrow_message *message = make("orders");

	stub_add_peer(stub, "other", stub_address(other));
	escrow_producer *producer = start(stub, NULL, NULL, 0);
	wait_known(producer, 2);
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(escrow_prepare(producer, message, LONG_MS, &transactions[i], &err), ESCROW_OK);
	CU_ASSERT_EQUAL_FATAL(stub_half_count(other), 1);
	stub_move(other);
	stub_add_peer(stub, "other", stub_address(other));
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(escrow_commit(transactions[i], LONG_MS, &result, &err), ESCROW_OK);
		CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
		escrow_transaction_release(transactions[i]);
	}
	CU_ASSERT_EQUAL(stub_half_decision(other, 0), STUB_COMMITTED);
	escrow_message_destroy(message);
	escrow_producer_stop(producer, 1000);
	stub_stop(other);
	stub_stop(stub);
}

/* A topic whose brokers are gone from the name server has no fewer queues than before, and none of the template's. */
static void test_a_route_that_was_known_is_not_replaced_by_the_template(void)
{
	struct stub *stub = stub_start(8, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	escrow_message *message = make("orders");
	struct escrow_send_result result;
	struct escrow_error err;
	bool seen[8] = { false };

	stub_forget_topic(stub, "orders");
	int routes = stub_counts(stub).requests[STUB_ROUTE] + 2; /* The topic, and the template. */
	stub_fault(stub, STUB_SEND, STUB_REFUSE, 1, RESP_SYSTEM_BUSY);
	CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, NULL, &err), ESCROW_OK); /* Has the route looked at again. */
	CU_ASSERT_TRUE(stub_wait(stub, has_routes, &routes));
	CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, NULL, &err), ESCROW_OK);
	for (int i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, &result, &err), ESCROW_OK);
		seen[result.queue_id & 7] = true;
	}
	for (int i = 0; i < 8; i++)
		CU_ASSERT_TRUE(seen[i]);
	escrow_message_destroy(message);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

/* A broker that is back may have other queues: its routes are looked at again, long before their time. */
static void test_routes_are_looked_at_again_when_a_broker_is_back(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);

	stub_crash(stub);
	stub_return(stub);
	int routes = stub_counts(stub).requests[STUB_ROUTE] + 1;
	CU_ASSERT_TRUE(stub_wait(stub, has_routes, &routes));
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

static void test_a_name_server_that_is_down_is_passed_over(void)
{
	struct stub *stub = stub_start(1, false), *dead = stub_start(1, false);
	struct escrow_producer_config config;
	escrow_producer *producer = NULL;
	escrow_message *message = make("orders");
	struct escrow_error err;
	char servers[128];

	snprintf(servers, sizeof(servers), "%s;%s", stub_address(dead), stub_address(stub));
	stub_crash(dead);
	escrow_producer_config_init(&config, sizeof(config));
	config.name_servers = servers;
	config.group = "g";
	CU_ASSERT_EQUAL_FATAL(escrow_producer_start(&config, &producer, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, NULL, &err), ESCROW_OK);
	escrow_message_destroy(message);
	escrow_producer_stop(producer, 1000);
	stub_stop(dead);
	stub_stop(stub);
}

static void test_deadlines_and_missing_routes(void)
{
	struct stub *stub = stub_start(1, true);
	escrow_producer *producer = start(stub, NULL, NULL, 0);
	escrow_message *message = make("absent"), *there = make("orders");
	struct escrow_error err;

	CU_ASSERT_EQUAL(escrow_send(producer, message, 300, NULL, &err), ESCROW_NO_ROUTE);
	CU_ASSERT_TRUE(err.retriable);
	CU_ASSERT_FALSE(err.outcome_unknown);
	stub_fault(stub, STUB_SEND, STUB_DROP_REQUEST, 1000, 0);
	CU_ASSERT_EQUAL(escrow_send(producer, there, 300, NULL, &err), ESCROW_TIMEOUT);
	CU_ASSERT_TRUE(err.outcome_unknown);
	escrow_producer_stop(producer, 1000);
	stub_crash(stub);
	producer = start(stub, NULL, NULL, 0);
	CU_ASSERT_EQUAL(escrow_send(producer, there, 300, NULL, &err), ESCROW_UNREACHABLE);
	CU_ASSERT_FALSE(err.outcome_unknown);
	escrow_producer_stop(producer, 100);
	escrow_message_destroy(message);
	escrow_message_destroy(there);
	stub_stop(stub);
}

static void test_plain_messages_are_stored_with_their_properties(void)
{
	struct stub *stub = stub_start(4, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	struct escrow_send_result result;
	struct escrow_error err;
	escrow_message *message = make("orders");
	char id[64];

	CU_ASSERT_EQUAL(escrow_message_set_tag(message, "paid", &err), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_TRUE(result.durable);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", id), 1);
	CU_ASSERT_STRING_EQUAL(id, result.message_id);
	stub_fault(stub, STUB_SEND, STUB_ANSWER_CODE, 1, RESP_FLUSH_SLAVE_TIMEOUT);
	CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_FALSE(result.durable);
	/* With an ordering key all go to one queue. */
	CU_ASSERT_EQUAL(escrow_message_set_ordering_key(message, "customer 7", &err), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, &result, &err), ESCROW_OK);
	int queue = result.queue_id;
	for (int i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, &result, &err), ESCROW_OK);
		CU_ASSERT_EQUAL(result.queue_id, queue);
	}
	escrow_message_destroy(message);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

/* --- check-backs ------------------------------------------------------------------------------------------------------- */

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool open;
	int running, calls;
	enum escrow_local_result say;
};

static enum escrow_local_result slow_check(const escrow_message *message, const char *transaction_id, void *context)
{
	struct gate *gate = context;

	CU_ASSERT_STRING_EQUAL(escrow_message_topic(message), "orders");
	CU_ASSERT_STRING_EQUAL(escrow_message_id(message), transaction_id);
	pthread_mutex_lock(&gate->lock);
	gate->running++;
	gate->calls++;
	pthread_cond_broadcast(&gate->changed);
	while (!gate->open)
		pthread_cond_wait(&gate->changed, &gate->lock);
	gate->running--;
	enum escrow_local_result say = gate->say;
	pthread_mutex_unlock(&gate->lock);
	return say;
}

static void open_gate(struct gate *gate, bool open)
{
	pthread_mutex_lock(&gate->lock);
	gate->open = open;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

struct ends {
	struct stub *stub;
	int at_least;
};

static bool has_ends(const struct stub *stub, void *context)
{
	return stub_counts_now(stub)->requests[STUB_END] >= *(int *)context;
}

static void test_check_backs_are_answered_from_the_callback(void)
{
	struct stub *stub = stub_start(1, false);
	struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, true, 0, 0, ESCROW_LOCAL_COMMIT };
	escrow_producer *producer = start_known(stub, slow_check, &gate, 0);
	static const enum escrow_local_result says[] = { ESCROW_LOCAL_COMMIT, ESCROW_LOCAL_ROLLBACK, ESCROW_LOCAL_UNKNOWN };
	struct escrow_transaction_result result;
	struct escrow_producer_stats stats;
	struct escrow_error err;

	for (int i = 0; i < 3; i++) {
		int wanted = i + 1, unknown, from_check;

		CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_UNKNOWN, LONG_MS, &result, &err), ESCROW_OK);
		gate.say = says[i];
		CU_ASSERT_TRUE_FATAL(stub_check(stub, (size_t)i));
		CU_ASSERT_TRUE(stub_wait(stub, has_ends, &wanted));
		CU_ASSERT_EQUAL(stub_half_ends(stub, (size_t)i, &unknown, &from_check), 1);
		CU_ASSERT_EQUAL(from_check, 1);
		CU_ASSERT_EQUAL(unknown, i == 2);
	}
	CU_ASSERT_EQUAL(stub_half_decision(stub, 0), STUB_COMMITTED);
	CU_ASSERT_EQUAL(stub_half_decision(stub, 1), STUB_ROLLED_BACK);
	CU_ASSERT_EQUAL(stub_half_decision(stub, 2), STUB_OPEN);
	escrow_producer_get_stats(producer, &stats);
	CU_ASSERT_EQUAL(stats.checks_received, 3);
	CU_ASSERT_EQUAL(stats.checks_committed, 1);
	CU_ASSERT_EQUAL(stats.checks_rolled_back, 1);
	CU_ASSERT_EQUAL(stats.checks_unknown, 1);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

/* The process that sent the halves is gone; another one of the group, which has sent nothing yet, answers. */
static void test_a_producer_that_has_sent_nothing_is_asked(void)
{
	struct stub *stub = stub_start(1, false);
	struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, true, 0, 0, ESCROW_LOCAL_COMMIT };
	escrow_producer *producer = start_known(stub, slow_check, &gate, 0);
	struct escrow_transaction_result result;
	struct escrow_error err;
	int wanted = 1;

	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_UNKNOWN, LONG_MS, &result, &err), ESCROW_OK);
	escrow_producer_stop(producer, 1000);
	int beats = stub_counts(stub).requests[STUB_BEAT] + 1;
	producer = start(stub, slow_check, &gate, 0);
	CU_ASSERT_TRUE_FATAL(stub_wait(stub, is_known, &beats));
	CU_ASSERT_TRUE_FATAL(stub_check(stub, 0));
	CU_ASSERT_TRUE(stub_wait(stub, has_ends, &wanted));
	CU_ASSERT_EQUAL(stub_half_decision(stub, 0), STUB_COMMITTED);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

/* Statistics have no wake-up; the counters move within a moment of the check's arrival. */
static bool wait_stats(escrow_producer *producer, uint64_t received)
{
	struct escrow_producer_stats stats = { 0 };

	for (long i = 0; i < 200000000L && stats.checks_received < received; i++)
		escrow_producer_get_stats(producer, &stats);
	return stats.checks_received >= received;
}

static void test_a_slow_handler_neither_blocks_sends_nor_takes_more_than_the_pool_holds(void)
{
	struct stub *stub = stub_start(1, false);
	struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, 0, ESCROW_LOCAL_COMMIT };
	escrow_producer *producer = start_known(stub, slow_check, &gate, 2);
	struct escrow_transaction_result result;
	struct escrow_producer_stats stats;
	struct escrow_error err;

	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_UNKNOWN, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_TRUE_FATAL(stub_check(stub, 0));
	pthread_mutex_lock(&gate.lock);
	while (gate.running == 0)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
	/* One is running, two wait, two find no place; the one that is running is not taken again. */
	for (size_t i = 0; i < 5; i++)
		CU_ASSERT_TRUE_FATAL(stub_check(stub, i));
	CU_ASSERT_TRUE(wait_stats(producer, 6));
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
	escrow_producer_get_stats(producer, &stats);
	CU_ASSERT_EQUAL(stats.checks_dropped, 2);
	open_gate(&gate, true);
	int wanted = 4; /* Three checks and the commit. */
	CU_ASSERT_TRUE(stub_wait(stub, has_ends, &wanted));
	CU_ASSERT_EQUAL(gate.calls, 3);
	/* Asked again, the dropped ones are answered. */
	CU_ASSERT_TRUE_FATAL(stub_check(stub, 3));
	wanted = 5;
	CU_ASSERT_TRUE(stub_wait(stub, has_ends, &wanted));
	CU_ASSERT_EQUAL(stub_half_decision(stub, 3), STUB_COMMITTED);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

/* What another group's database knows is nothing that this one could answer for. */
static void test_a_check_back_for_another_group_is_not_answered(void)
{
	struct stub *stub = stub_start(1, false);
	struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, true, 0, 0, ESCROW_LOCAL_ROLLBACK };
	escrow_producer *producer = start_known(stub, slow_check, &gate, 0);
	struct escrow_producer_config config = usual(stub);
	struct escrow_transaction_result result;
	struct escrow_producer_stats stats;
	struct escrow_error err;

	config.group = "payment_service";
	config.check = slow_check;
	config.check_context = &gate;
	escrow_producer *stranger = start_as(&config);
	wait_known(stranger, 1);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_UNKNOWN, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_TRUE_FATAL(stub_check_by(stub, 0, "payment_service"));
	CU_ASSERT_TRUE(wait_stats(stranger, 1));
	escrow_producer_stop(producer, 1000);
	/* Its own message behind the check's: by then an answer would have left. */
	CU_ASSERT_EQUAL(send_one(stranger, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	escrow_producer_get_stats(stranger, &stats);
	CU_ASSERT_EQUAL(stats.checks_dropped, 1);
	escrow_producer_stop(stranger, 1000);
	CU_ASSERT_EQUAL(gate.calls, 0);
	CU_ASSERT_EQUAL(stub_half_decision(stub, 0), STUB_OPEN);
	stub_stop(stub);
}

static void test_without_a_handler_check_backs_are_unknown(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	struct escrow_transaction_result result;
	struct escrow_error err;
	int wanted = 1, unknown;

	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_UNKNOWN, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_TRUE_FATAL(stub_check(stub, 0));
	CU_ASSERT_TRUE(stub_wait(stub, has_ends, &wanted));
	(void)stub_half_ends(stub, 0, &unknown, NULL);
	CU_ASSERT_EQUAL(unknown, 1);
	CU_ASSERT_EQUAL(stub_half_decision(stub, 0), STUB_OPEN);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

/* --- stopping, many threads, settings ------------------------------------------------------------------------------------ */

struct sender {
	escrow_producer *producer;
	enum escrow_code code;
	struct escrow_error err;
	atomic_bool begun;
};

static void *send_without_answer(void *argument)
{
	struct sender *sender = argument;
	escrow_message *message = make("orders");

	atomic_store(&sender->begun, true);
	sender->code = escrow_send(sender->producer, message, 60000, NULL, &sender->err);
	escrow_message_destroy(message);
	return NULL;
}

static bool has_sends(const struct stub *stub, void *context)
{
	return stub_counts_now(stub)->requests[STUB_SEND] >= *(int *)context;
}

static void test_stopping_ends_calls_in_progress(void)
{
	struct stub *stub = stub_start(1, true);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	struct sender sender = { .producer = producer };
	pthread_t thread;
	int wanted = 1;

	stub_fault(stub, STUB_SEND, STUB_DROP_REQUEST, 1000, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, send_without_answer, &sender), 0);
	CU_ASSERT_TRUE(stub_wait(stub, has_sends, &wanted));
	escrow_producer_stop(producer, 1000);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(sender.code, ESCROW_STOPPED);
	CU_ASSERT_TRUE(sender.err.outcome_unknown);
	stub_stop(stub);
}

struct decider {
	escrow_transaction *transaction;
	enum escrow_code code;
	struct escrow_transaction_result result;
};

static void *commit_without_answer(void *argument)
{
	struct decider *decider = argument;
	struct escrow_error err;

	decider->code = escrow_commit(decider->transaction, LONG_MS, &decider->result, &err);
	return NULL;
}

/* It is pending; check-back finishes it. Nothing is sent again while the producer stops. */
static void test_stopping_ends_a_decision_in_progress(void)
{
	struct stub *stub = stub_start(1, false);
	struct escrow_producer_config config = usual(stub);
	struct decider decider = { .code = ESCROW_PROTOCOL };
	escrow_message *message = make("orders");
	struct escrow_error err;
	pthread_t thread;
	int wanted = 1;

	config.attempt_timeout_ms = LONG_MS;
	escrow_producer *producer = start_as(&config);
	wait_known(producer, 1);
	CU_ASSERT_EQUAL_FATAL(escrow_prepare(producer, message, LONG_MS, &decider.transaction, &err), ESCROW_OK);
	stub_fault(stub, STUB_END, STUB_DROP_REQUEST, 1000, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, commit_without_answer, &decider), 0);
	CU_ASSERT_TRUE(stub_wait(stub, has_ends, &wanted));
	escrow_producer_stop(producer, 1000);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(decider.code, ESCROW_OK);
	CU_ASSERT_EQUAL(decider.result.state, ESCROW_PENDING);
	CU_ASSERT_EQUAL(stub_half_ends(stub, 0, NULL, NULL), 1);
	escrow_transaction_release(decider.transaction);
	escrow_message_destroy(message);
	stub_stop(stub);
}

struct crowd {
	struct stub *stub;
	struct sender sender;
	pthread_t thread;
};

/* Takes the only place, and keeps it. */
static enum escrow_local_result take_place(escrow_transaction *transaction, const escrow_message *message, void *context)
{
	struct crowd *crowd = context;
	int wanted = 2;

	(void)transaction;
	(void)message;
	stub_fault(crowd->stub, STUB_SEND, STUB_DROP_REQUEST, 1000, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&crowd->thread, NULL, send_without_answer, &crowd->sender), 0);
	CU_ASSERT_TRUE(stub_wait(crowd->stub, has_sends, &wanted));
	return ESCROW_LOCAL_COMMIT;
}

/* The half is there: that there is no place for its decision is no failure of the transaction. */
static void test_calls_have_a_limit_and_a_decision_that_finds_no_place_is_pending(void)
{
	struct stub *stub = stub_start(1, false);
	struct escrow_producer_config config = usual(stub);
	struct escrow_transaction_result result;
	struct escrow_error err;
	escrow_message *message = make("orders");

	config.calls_max = 1;
	escrow_producer *producer = start_as(&config);
	struct crowd crowd = { .stub = stub, .sender = { .producer = producer } };
	wait_known(producer, 1);
	CU_ASSERT_EQUAL(escrow_producer_send_in_transaction(producer, message, take_place, &crowd, LONG_MS, &result, &err),
			ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_PENDING);
	CU_ASSERT_EQUAL(result.local, ESCROW_LOCAL_COMMIT);
	CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, NULL, &err), ESCROW_BUSY);
	CU_ASSERT_TRUE(err.retriable);
	escrow_producer_stop(producer, 1000);
	pthread_join(crowd.thread, NULL);
	escrow_message_destroy(message);
	stub_stop(stub);
}

enum { THREADS = 8, EACH = 40 };

static void *send_many(void *argument)
{
	struct escrow_transaction_result result;
	struct escrow_error err;

	for (int i = 0; i < EACH; i++) {
		enum escrow_local_result say = i % 4 == 3 ? ESCROW_LOCAL_ROLLBACK : ESCROW_LOCAL_COMMIT;

		CU_ASSERT_EQUAL(send_one(argument, say, LONG_MS, &result, &err), ESCROW_OK);
		CU_ASSERT_EQUAL(result.state, say == ESCROW_LOCAL_COMMIT ? ESCROW_COMMITTED : ESCROW_ROLLED_BACK);
	}
	return NULL;
}

static void test_many_threads_share_a_producer(void)
{
	struct stub *stub = stub_start(4, false);
	escrow_producer *producer = start_known(stub, NULL, NULL, 0);
	pthread_t threads[THREADS];

	stub_fault(stub, STUB_END, STUB_DROP_ANSWER, 5, 0);
	for (int i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, send_many, producer), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(stub_half_count(stub), THREADS * EACH);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL), THREADS * EACH * 3 / 4);
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

static void test_a_body_over_the_limit_is_not_sent(void)
{
	struct stub *stub = stub_start(1, false);
	struct escrow_producer_config config = usual(stub);
	struct escrow_error err;
	escrow_message *message = make("orders"); /* Of five bytes. */

	for (size_t limit = 4; limit <= 5; limit++) {
		config.body_max = limit;
		escrow_producer *producer = start_as(&config);
		CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, NULL, &err), limit == 4 ? ESCROW_INVALID : ESCROW_OK);
		escrow_producer_stop(producer, 1000);
	}
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL), 1);
	escrow_message_destroy(message);
	stub_stop(stub);
}

static void expect_invalid(struct escrow_producer_config *config, const char *named)
{
	escrow_producer *producer = NULL;
	struct escrow_error err = { .code = ESCROW_OK };

	CU_ASSERT_EQUAL(escrow_producer_start(config, &producer, &err), ESCROW_INVALID);
	CU_ASSERT_PTR_NULL(producer);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, named));
}

static void test_settings_are_checked_by_name(void)
{
	struct escrow_producer_config config;

	escrow_producer_config_init(&config, sizeof(config));
	config.name_servers = "127.0.0.1:1";
	expect_invalid(&config, "group");
	config.group = "bad group";
	expect_invalid(&config, "group");
	config.group = "g";
	config.name_servers = NULL;
	expect_invalid(&config, "name_servers");
	config.name_servers = "localhost";
	expect_invalid(&config, "localhost");
	config.name_servers = "h:1;h:99999";
	expect_invalid(&config, "h:99999");
	config.name_servers = "h:1";
	config.topic_count = 1;
	expect_invalid(&config, "topics");
	config.topic_count = 0;
	config.check_threads = -1;
	expect_invalid(&config, "check_threads");
	config.size = 1;
	expect_invalid(&config, "config_init");
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_commit_rollback_and_unknown),
		CHECK_TEST(test_explicit_form_may_be_repeated_but_not_reversed),
		CHECK_TEST(test_the_opposite_decided_before_is_told_with_its_reason),
		CHECK_TEST(test_a_lost_commit_answer_is_asked_for_again),
		CHECK_TEST(test_a_decision_that_is_never_confirmed_is_pending_not_an_error),
		CHECK_TEST(test_a_lost_half_answer_leaves_one_half),
		CHECK_TEST(test_nothing_is_repeated_at_a_stock_broker_that_may_have_done_it),
		CHECK_TEST(test_a_half_refused_for_the_moment_is_tried_again_and_one_refused_for_good_is_not),
		CHECK_TEST(test_a_half_that_is_stored_but_not_synced_is_rolled_back),
		CHECK_TEST(test_a_broker_that_restarts_is_decided_at_and_knows_the_producer_again),
		CHECK_TEST(test_a_broker_that_is_down_is_passed_over_for_one_that_is_up),
		CHECK_TEST(test_a_half_whose_answer_is_lost_stays_with_its_broker),
		CHECK_TEST(test_a_half_whose_fate_is_unknown_goes_nowhere_else_whatever_comes_later),
		CHECK_TEST(test_a_half_whose_connection_came_and_went_is_not_sent_elsewhere),
		CHECK_TEST(test_a_half_that_was_given_up_does_not_leave_later),
		CHECK_TEST(test_an_answer_that_makes_no_sense_leaves_the_outcome_unknown),
		CHECK_TEST(test_a_broker_that_moves_is_decided_at),
		CHECK_TEST(test_a_route_that_was_known_is_not_replaced_by_the_template),
		CHECK_TEST(test_routes_are_looked_at_again_when_a_broker_is_back),
		CHECK_TEST(test_a_name_server_that_is_down_is_passed_over),
		CHECK_TEST(test_deadlines_and_missing_routes),
		CHECK_TEST(test_plain_messages_are_stored_with_their_properties),
		CHECK_TEST(test_check_backs_are_answered_from_the_callback),
		CHECK_TEST(test_a_producer_that_has_sent_nothing_is_asked),
		CHECK_TEST(test_a_slow_handler_neither_blocks_sends_nor_takes_more_than_the_pool_holds),
		CHECK_TEST(test_a_check_back_for_another_group_is_not_answered),
		CHECK_TEST(test_without_a_handler_check_backs_are_unknown),
		CHECK_TEST(test_stopping_ends_calls_in_progress),
		CHECK_TEST(test_stopping_ends_a_decision_in_progress),
		CHECK_TEST(test_calls_have_a_limit_and_a_decision_that_finds_no_place_is_pending),
		CHECK_TEST(test_many_threads_share_a_producer),
		CHECK_TEST(test_a_body_over_the_limit_is_not_sent),
		CHECK_TEST(test_settings_are_checked_by_name),
	};
	return check_main("sdk/producer", tests, sizeof(tests) / sizeof(tests[0]));
}
