/* The producer's transactions where brokers go, come back and move: a half is at one broker only, and is decided there. */
#include <pthread.h>

#include "tests/support/closed_door.h"
#include "tests/unit/sdk/producer_fixture.h"

static void *return_soon(void *argument)
{
	stub_return(argument);
	return NULL;
}

static void test_a_broker_that_restarts_is_decided_at_and_knows_the_producer_again(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub);
	struct escrow_transaction_result result;
	struct escrow_error err;
	escrow_message *message = make("orders");
	escrow_transaction *transaction;
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(escrow_prepare(producer, message, LONG_MS, &transaction, &err), ESCROW_OK);
	stub_crash(stub);
	CU_ASSERT_EQUAL(escrow_commit(transaction, 300, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_PENDING);
	int beats = stub_counts(stub).requests[STUB_BEAT] + 1;
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, return_soon, stub), 0);
	CU_ASSERT_EQUAL(escrow_commit(transaction, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
	pthread_join(thread, NULL);
	CU_ASSERT_TRUE(wait_requests(stub, STUB_BEAT, beats));
	escrow_transaction_release(transaction);
	escrow_message_destroy(message);
	stop_both(producer, stub);
}

/* Two brokers that both have the topic, and a producer that both know. */
static escrow_producer *start_with_two(struct stub **stub, struct stub **other)
{
	*stub = stub_start(1, false);
	*other = stub_start(1, false);
	stub_add_peer(*stub, "other", stub_address(*other));
	escrow_producer *producer = start_known(*stub);
	wait_known(producer, 2);
	return producer;
}

static void stop_all(escrow_producer *producer, struct stub *stub, struct stub *other)
{
	escrow_producer_stop(producer, 1000);
	stub_stop(other);
	stub_stop(stub);
}

/* A broker keeps its name: what was prepared there is decided where it is now. */
static void test_a_broker_that_moves_is_decided_at(void)
{
	struct stub *stub, *other;
	escrow_producer *producer = start_with_two(&stub, &other);
	escrow_transaction *transactions[2];
	struct escrow_transaction_result result;
	struct escrow_error err;
	escrow_message *message = make("orders");

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
	stop_all(producer, stub, other);
}

static void test_a_broker_that_is_down_is_passed_over_for_one_that_is_up(void)
{
	struct stub *stub = stub_start(1, false), *other = stub_start(1, false);
	struct escrow_transaction_result result;
	struct escrow_error err;

	/* A port where nobody listens. */
	stub_add_peer(stub, "away", stub_address(other));
	stub_crash(other);
	escrow_producer *producer = start_known(stub);
	for (int i = 0; i < 6; i++) {
		CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
		CU_ASSERT_STRING_EQUAL(result.broker_name, "stub");
	}
	CU_ASSERT_EQUAL(stub_half_count(stub), 6);
	stop_all(producer, stub, other);
}

/* Half of the sends go to a broker that loses answers: not one half may be left behind at the other. */
static void test_a_half_whose_answer_is_lost_stays_with_its_broker(void)
{
	struct stub *stub, *other;
	escrow_producer *producer = start_with_two(&stub, &other);
	struct escrow_transaction_result result;
	struct escrow_error err;

	stub_fault(stub, STUB_SEND, STUB_CLOSE_AFTER, 3, 0);
	stub_fault(other, STUB_SEND, STUB_DROP_ANSWER, 1, 0);
	for (int i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
		CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
	}
	CU_ASSERT_TRUE(stub_half_count(stub) > 0 && stub_half_count(other) > 0);
	CU_ASSERT_EQUAL(stub_half_count(stub) + stub_half_count(other), 8);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL) + stub_visible(other, "orders", NULL), 8);
	stop_all(producer, stub, other);
}

/* The first answer is lost, then the broker refuses for the moment: the half may lie there, and stays there. */
static void test_a_half_whose_fate_is_unknown_goes_nowhere_else_whatever_comes_later(void)
{
	struct stub *stub, *other;
	escrow_producer *producer = start_with_two(&stub, &other);
	struct escrow_transaction_result result;
	struct escrow_error err;

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
	stop_all(producer, stub, other);
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
	stop_all(producer, stub, other);
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

	shut_door(&door, "127.0.0.1", 0);
	stub_add_peer(stub, "other", door.address); /* Sorts before "stub": the first send is its. */
	config.topic_count = 0;
	escrow_producer *producer = start_as(&config);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, 300, &result, &err), ESCROW_TIMEOUT);
	CU_ASSERT_FALSE(err.outcome_unknown);
	open_door(&door, said, sizeof(said));
	CU_ASSERT_PTR_NULL(strstr(said, "TRAN_MSG"));
	stop_both(producer, stub);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_broker_that_restarts_is_decided_at_and_knows_the_producer_again),
		CHECK_TEST(test_a_broker_that_moves_is_decided_at),
		CHECK_TEST(test_a_broker_that_is_down_is_passed_over_for_one_that_is_up),
		CHECK_TEST(test_a_half_whose_answer_is_lost_stays_with_its_broker),
		CHECK_TEST(test_a_half_whose_fate_is_unknown_goes_nowhere_else_whatever_comes_later),
		CHECK_TEST(test_a_half_whose_connection_came_and_went_is_not_sent_elsewhere),
		CHECK_TEST(test_a_half_that_was_given_up_does_not_leave_later),
	};
	return check_main("sdk/producer failover", tests, sizeof(tests) / sizeof(tests[0]));
}
