/* Consuming by POP: long polls; what wakes them, what does not, and how they end. */
#include "tests/unit/core/pop_fixture.h"

#include "broker/core/pop_waits.h"
#include "broker/core/removal.h"

static size_t woken;

static bool count_wake(void *context, const struct pop_wait *wait, bool expired)
{
	struct pop_result result;
	struct outcome outcome;
	struct core *core = context;

	CU_ASSERT_EQUAL(core_pop(core, &wait->request, &result, &outcome), ST_OK);
	woken += result.count > 0;
	return result.count > 0 || expired;
}

/* From here on each waiting POP that is woken is tried, and those that get something are counted. */
static void count_wakes(struct fixture *f)
{
	f->core->effects.pop_ready = count_wake;
	f->core->effects.context = f->core; /* For this one only. */
	woken = 0;
}

static void wait_for(struct fixture *f, const struct pop_header *header)
{
	struct pop_wait wait = { .request = prepared(f, header), .conn_id = CONSUMER };

	CU_ASSERT_TRUE(pop_waits_add(f->core, &wait));
}

static void test_long_polls_wake(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	send_and_pop(f, &whole_topic, 1, &popped);
	ack_first(f, &popped, 1, false);
	count_wakes(f);
	header.poll_ms = 1000;
	for (int i = 0; i < 2; i++)
		wait_for(f, &header);
	CU_ASSERT_EQUAL(pop_waits_count(f->core, f->core->pop_waits.all->request.topic_id, f->core->pop_waits.all->request.group_id, -1), 2);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "h", .queue_id = 2, .half = true });
	fixture_disk(f, true);
	core_turn_end(f->core);
	CU_ASSERT_EQUAL(woken, 0);
	struct outcome outcome;
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	core_turn_end(f->core);
	CU_ASSERT_EQUAL(woken, 1);
	CU_ASSERT_EQUAL(f->core->pop_waits.count, 1);
	core_connection_gone(f->core, CONSUMER);
	CU_ASSERT_EQUAL(f->core->pop_waits.count, 0);
	wait_for(f, &header);
	fixture_advance(f, 1010);
	CU_ASSERT_EQUAL(f->core->pop_waits.count, 0);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* Polls of different queues are not alike: what wakes one for nothing is there for the other. */
static void test_long_polls_of_other_queues_wake(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;

	send(f, "k", 3); /* Makes the topic. */
	count_wakes(f);
	header.poll_ms = 1000;
	for (header.queue_id = 0; header.queue_id < 2; header.queue_id++)
		wait_for(f, &header);
	send(f, "k", 1);
	core_turn_end(f->core);
	CU_ASSERT_EQUAL(woken, 1);
	CU_ASSERT_EQUAL(f->core->pop_waits.count, 1);
	fixture_destroy(f);
}

/* Again and again, and once where several messages have come. */
static void test_long_polls_wake_each_time(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;

	send(f, "k", 3); /* Makes the topic. */
	count_wakes(f);
	header.queue_id = 0;
	header.poll_ms = 1000;
	for (size_t turn = 1; turn <= 3; turn++) {
		wait_for(f, &header);
		for (size_t i = 0; i < turn; i++)
			must_send(f, (struct sent){ .topic = "t", .key = "k", .queue_id = 0 });
		fixture_disk(f, true);
		core_turn_end(f->core);
		CU_ASSERT_EQUAL(woken, turn);
		CU_ASSERT_EQUAL_FATAL(f->core->pop_waits.count, 0);
	}
	fixture_destroy(f);
}

/* Whose turn has not come holds nobody up who does not ask in order. */
static void test_long_polls_out_of_order_wake(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = in_order;
	struct popped popped = { 0 };

	send_and_pop(f, &header, 1, &popped);
	header.poll_ms = 5000;
	wait_for(f, &header);
	header.order = false;
	wait_for(f, &header);
	count_wakes(f);
	send(f, "k", 0);
	core_turn_end(f->core);
	CU_ASSERT_EQUAL(woken, 1);
	CU_ASSERT_EQUAL_FATAL(f->core->pop_waits.count, 1);
	CU_ASSERT_TRUE(f->core->pop_waits.all->request.order);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_waits_are_counted_for_each_queue(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;

	send(f, "k", 3); /* Makes the topic. */
	header.poll_ms = 1000;
	for (int i = 0; i < 3; i++) {
		header.queue_id = i == 1 ? 1 : 0;
		wait_for(f, &header);
	}
	struct pop_request request = prepared(f, &header);
	CU_ASSERT_EQUAL(pop_waits_count(f->core, request.topic_id, request.group_id, 0), 2);
	CU_ASSERT_EQUAL(pop_waits_count(f->core, request.topic_id, request.group_id, 1), 1);
	CU_ASSERT_EQUAL(pop_waits_count(f->core, request.topic_id, request.group_id, -1), 0);
	CU_ASSERT_EQUAL(pop_waits_count(f->core, request.topic_id, request.group_id + 1, 0), 0);
	fixture_destroy(f);
}

/* Nor are those of different attempts: the one that has what came before may have it again, others may not. */
static void test_long_polls_of_other_attempts_wake(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = in_order;
	struct popped popped = { 0 };

	header.attempt_id = SPAN_LITERAL("attempt-1");
	send_and_pop(f, &header, 1, &popped);
	header.poll_ms = 5000;
	header.attempt_id = SPAN_LITERAL("attempt-2");
	wait_for(f, &header);
	header.attempt_id = SPAN_LITERAL("attempt-1");
	wait_for(f, &header);
	count_wakes(f);
	send(f, "k", 0);
	core_turn_end(f->core);
	CU_ASSERT_EQUAL(woken, 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* What lapses in order stays where it is, and wakes who waits for his turn. */
static void test_what_lapses_in_order_wakes(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = in_order;
	struct popped popped = { 0 };

	send_and_pop(f, &header, 1, &popped);
	header.poll_ms = 5 * INVISIBLE_MS;
	wait_for(f, &header);
	count_wakes(f);
	fixture_advance(f, INVISIBLE_MS - 200);
	CU_ASSERT_EQUAL(woken, 0);
	fixture_advance(f, 500);
	CU_ASSERT_EQUAL(woken, 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* What was given out just now lapses, and wakes one who found nothing and waits. */
static void check_lapse_wakes(struct fixture *f)
{
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	header.poll_ms = 5 * INVISIBLE_MS;
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 0);
	wait_for(f, &header);
	count_wakes(f);
	lapse(f);
	core_turn_end(f->core);
	CU_ASSERT_EQUAL(woken, 1);
	CU_ASSERT_EQUAL(f->core->pop_waits.count, 0);
	buffer_deinit(&popped.bytes);
}

/* It comes by another topic, which is made for the first one. */
static void test_what_comes_again_wakes(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };

	send_and_pop(f, &whole_topic, 1, &popped);
	check_lapse_wakes(f);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* The second time it comes by that topic into the same one. */
static void test_what_comes_once_more_after_a_start_wakes(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };

	send_and_pop(f, &whole_topic, 1, &popped);
	lapse(f);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
	fixture_restart(f);
	check_lapse_wakes(f);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* In order, acknowledgements in a batch let others have what comes next, as single ones do. */
static void test_a_batch_of_acks_wakes_who_waits_for_his_turn(void)
{
	static const uint8_t both[] = { 3 };
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = in_order;
	struct popped popped = { 0 };
	struct outcome outcome;

	header.max_msg_nums = 2;
	send_several(f, 3);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 2);
	header.poll_ms = 5000;
	wait_for(f, &header);
	core_turn_end(f->core);
	CU_ASSERT_PTR_NOT_NULL(f->core->pop_waits.all);
	count_wakes(f);
	struct pop_handle handle = handle_of(&popped, 0, true);
	CU_ASSERT_EQUAL(core_pop_ack_batch(f->core, &handle, (struct span){ both, 1 }, &outcome), ST_OK);
	core_turn_end(f->core);
	CU_ASSERT_PTR_NULL(f->core->pop_waits.all);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* --- the end -------------------------------------------------------------------------------------------------------------- */

/* Nobody waits for the answer any more; nobody waits for more than a minute. */
static void test_how_long_a_poll_waits(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct pop_request request;
	struct outcome outcome = { 0 };

	send(f, "k", 3);
	header.queue_id = 0;
	header.poll_ms = 1000;
	header.born_ms = f->clock.wall_now_ms - 2000;
	CU_ASSERT_EQUAL(core_prepare_pop(f->core, &header, &request, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_POLLING_TIMEOUT);
	header.born_ms = f->clock.wall_now_ms - 1501;
	CU_ASSERT_EQUAL(core_prepare_pop(f->core, &header, &request, &outcome), ST_DENIED);
	/* Clocks differ a little: half a second late is not too late, and from the future is now. */
	static const struct { int64_t age_ms, wait_ms; } polls[] = { { 1500, 0 }, { 300, 700 }, { 0, 1000 }, { -5000, 1000 } };
	for (size_t i = 0; i < sizeof(polls) / sizeof(polls[0]); i++) {
		header.born_ms = f->clock.wall_now_ms - polls[i].age_ms;
		CU_ASSERT_EQUAL(prepared(f, &header).wait_ms, polls[i].wait_ms);
	}
	header.born_ms = f->clock.wall_now_ms - 2000;
	header.poll_ms = 600 * 1000;
	wait_for(f, &header);
	fixture_advance(f, 59 * 1000);
	CU_ASSERT_EQUAL(f->core->pop_waits.count, 1);
	fixture_advance(f, 1100);
	CU_ASSERT_EQUAL(f->core->pop_waits.count, 0);
	fixture_destroy(f);
}

/* Who has left its group takes nothing more, though its connection stays: what a poll of its were given would be nobody's until it
 * lapses. The polls of its other groups stay. */
static void test_a_poll_ends_with_its_membership(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	send(f, "k0", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
	fixture_heartbeat(f, false);
	count_wakes(f);
	header.poll_ms = 1000;
	for (int i = 0; i < 3; i++) {
		header.consumer_group = i == 1 ? SPAN_LITERAL("others") : SPAN_LITERAL("readers");
		wait_for(f, &header);
	}
	core_unregister(f->core, CONSUMER, SPAN_NONE, SPAN_LITERAL("readers"));
	CU_ASSERT_EQUAL_FATAL(f->core->pop_waits.count, 1);
	CU_ASSERT_TRUE(span_is(names_text(f->core->names, f->core->pop_waits.all->request.group_id), "others"));
	send(f, "k1", 0);
	core_turn_end(f->core);
	CU_ASSERT_EQUAL(f->core->pop_waits.count, 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
	CU_ASSERT_TRUE(span_is(popped.messages[0].body, "k1"));
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* When their topic goes, and when the broker stops: nobody waits for nothing. */
static void test_waiting_pops_are_told_of_the_end(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct outcome outcome = { 0 };

	header.queue_id = 0;
	header.poll_ms = 5000;
	for (int end = 0; end < 2; end++) {
		send(f, "k", 3); /* Makes the topic. */
		wait_for(f, &header);
		CU_ASSERT_EQUAL(f->core->pop_waits.count, 1);
		if (end == 0)
			(void)!core_delete_topic(f->core, header.topic, &outcome);
		else
			core_answer_holds(f->core);
		CU_ASSERT_EQUAL(f->core->pop_waits.count, 0);
	}
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_long_polls_wake),
		CHECK_TEST(test_long_polls_of_other_queues_wake),
		CHECK_TEST(test_long_polls_wake_each_time),
		CHECK_TEST(test_long_polls_out_of_order_wake),
		CHECK_TEST(test_waits_are_counted_for_each_queue),
		CHECK_TEST(test_long_polls_of_other_attempts_wake),
		CHECK_TEST(test_what_lapses_in_order_wakes),
		CHECK_TEST(test_what_comes_again_wakes),
		CHECK_TEST(test_what_comes_once_more_after_a_start_wakes),
		CHECK_TEST(test_a_batch_of_acks_wakes_who_waits_for_his_turn),
		CHECK_TEST(test_how_long_a_poll_waits),
		CHECK_TEST(test_a_poll_ends_with_its_membership),
		CHECK_TEST(test_waiting_pops_are_told_of_the_end),
	};
	return check_main("pop long polls", tests, sizeof(tests) / sizeof(tests[0]));
}
