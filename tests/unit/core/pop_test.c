/* Consuming by POP: what is given out and to whom, what is acknowledged, where that leaves the group; after restarts, too. */
#include "tests/unit/core/pop_fixture.h"

#include "broker/core/pop_waits.h"
#include "broker/core/removal.h"
#include "broker/core/resets.h"

static void test_each_message_is_given_out_once(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };

	send(f, "k0", 0);
	send(f, "k1", 1);
	send(f, "k2", 1);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 3);
	CU_ASSERT_EQUAL(popped.result.pop_ms, f->clock.wall_now_ms);
	CU_ASSERT_PTR_NOT_NULL(strstr(popped.start_info, "0 0 0"));
	CU_ASSERT_PTR_NOT_NULL(strstr(popped.offset_info, "0 1 0,1"));
	struct popped again = { 0 };
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &again), 0);
	CU_ASSERT_EQUAL(again.result.pop_ms, f->clock.wall_now_ms);
	for (size_t i = 0; i < 3; i++) {
		struct pop_handle handle = handle_of(&popped, i, false);
		CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
		CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
	}
	CU_ASSERT_EQUAL(position(f, "t", 1), 2);
	fixture_advance(f, 2 * INVISIBLE_MS);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &again), 0);
	buffer_deinit(&popped.bytes);
	buffer_deinit(&again.bytes);
	fixture_destroy(f);
}

/* The log has no room for the check-out: nothing was given out, and nothing may be passed over. */
static void test_without_room_nothing_is_passed_over(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_request request;
	struct pop_result result;
	struct popped popped = { 0 };
	struct send_result sent;
	struct outcome outcome;

	send(f, "k0", 0);
	request = prepared(f, &whole_topic);
	while (fixture_send(f, (struct sent){ .topic = "t", .key = "more", .queue_id = 1 }, &sent, &outcome) == ST_OK)
		; /* Until the ring is full: the disk stands still. */
	enum status status = core_pop(f->core, &request, &result, &outcome);
	for (int i = 0; i < 10000 && status == ST_OK; i++) /* A record of POP is smaller. */
		status = core_pop(f->core, &request, &result, &outcome);
	CU_ASSERT_EQUAL(status, ST_AGAIN);
	CU_ASSERT_EQUAL(f->core->pops.live, 0);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(position(f, "t", 0), 0);
	CU_ASSERT_TRUE(pop(f, &whole_topic, &popped) > 0);
	CU_ASSERT_TRUE(span_is(property_get(popped.messages[0].properties, PROPERTY_UNIQ_KEY), "k0"));
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* A queue that always has something, and a topic that always has, leave the others their turn. */
static void test_nothing_starves(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header one = whole_topic;
	struct popped popped = { 0 };
	bool again = false, other_queue = false;

	one.max_msg_nums = 1;
	send(f, "lapses", 0);
	CU_ASSERT_EQUAL(pop(f, &one, &popped), 1);
	lapse(f);
	send_several(f, 20);
	send(f, "other", 3);
	for (int i = 0; i < 10; i++) {
		CU_ASSERT_EQUAL_FATAL(pop(f, &one, &popped), 1);
		again |= is_retried(&popped.messages[0]);
		other_queue |= popped.messages[0].queue_id == 3;
	}
	CU_ASSERT_TRUE(again);
	CU_ASSERT_TRUE(other_queue);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_tags_and_first_positions(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	for (int i = 0; i < 6; i++)
		must_send(f, (struct sent){ .topic = "t", .key = "k", .tag = i % 2 == 0 ? "A" : "B", .queue_id = 0 });
	fixture_disk(f, true);
	header.expression = SPAN_LITERAL("B");
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 3);
	CU_ASSERT_STRING_EQUAL(popped.offset_info, "0 0 1,3,5");
	ack_first(f, &popped, 3, false);
	CU_ASSERT_EQUAL(position(f, "t", 0), 6);
	must_send(f, (struct sent){ .topic = "t", .key = "k", .tag = "A", .queue_id = 0 });
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 0);
	CU_ASSERT_EQUAL(position(f, "t", 0), 7);
	CU_ASSERT_FALSE(popped.result.unseen);
	/* More of what is not wanted than is looked at in one go: there is no waiting for what may be behind it. */
	for (int i = 0; i <= PULL_SCAN_MAX; i++)
		must_send(f, (struct sent){ .topic = "t", .key = "k", .tag = i < PULL_SCAN_MAX ? "A" : "B", .queue_id = 0 });
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 0);
	CU_ASSERT_TRUE(popped.result.unseen);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_FALSE(popped.result.unseen);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_a_new_group_may_begin_at_the_last_message(void)
{
	enum { MANY = 60 }; /* More than a young queue has. */
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	send_several(f, MANY);
	header.init_mode = 1;
	CU_ASSERT_EQUAL_FATAL(pop(f, &header, &popped), 1);
	CU_ASSERT_EQUAL(popped.messages[0].queue_offset, MANY - 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_limits_of_pops(void)
{
	struct core_config config = fixture_config();
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };
	struct outcome outcome = { 0 };
	struct pop_result result;

	config.pop_max = POP_MESSAGES_MAX + 1; /* A POP may want as many as it can. */
	config.hold_max = 2;
	struct fixture *f = fixture_create(&config);
	send_and_pop(f, &whole_topic, 2, &popped);
	send(f, "k", 0);
	struct pop_request request = prepared(f, &whole_topic);
	CU_ASSERT_EQUAL(core_pop(f->core, &request, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_POLLING_FULL);
	ack_first(f, &popped, 1, false);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
	header.poll_ms = 1000;
	for (int i = 0; i < 3; i++) {
		struct pop_wait wait = { .request = prepared(f, &header), .conn_id = CONSUMER };
		CU_ASSERT_EQUAL(pop_waits_add(f->core, &wait), i < 2);
	}
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_no_message_is_invisible_for_less_than_nothing_or_for_ever(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };
	struct pop_request request;
	struct pop_changed changed;
	struct outcome outcome = { 0 };

	send_and_pop(f, &whole_topic, 1, &popped);
	struct pop_handle handle = handle_of(&popped, 0, false);
	for (int too_long = 0; too_long < 2; too_long++) {
		outcome = (struct outcome){ 0 };
		CU_ASSERT_EQUAL(core_pop_change(f->core, &handle, too_long ? INT64_MAX : -1, &changed, &outcome), ST_DENIED);
		CU_ASSERT_EQUAL(outcome.code, RESP_INVALID_PARAMETER);
	}
	header.invisible_ms = -1;
	outcome = (struct outcome){ 0 };
	CU_ASSERT_EQUAL(core_prepare_pop(f->core, &header, &request, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_INVALID_PARAMETER);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* An answer has its limit over all queues, and what is left is there for the next one. */
static void test_an_answer_from_several_queues_has_a_limit(void)
{
	enum { LARGE = 100 * 1000, EACH = 2 };
	static char body[LARGE];
	struct core_config config = fixture_config();
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("t"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.body = { (const uint8_t *)body, LARGE }, .max_reconsume_times = -1 };
	struct send_result sent = { 0 };
	struct outcome outcome = { 0 };
	struct popped popped = { 0 };

	config.max_message_size = LARGE;
	struct fixture *f = fixture_create(&config);
	for (int i = 0; i < 4 * EACH; i++) {
		request.queue_id = i / EACH;
		CU_ASSERT_EQUAL_FATAL(core_send(f->core, &request, &sent, &outcome), ST_OK);
		fixture_disk(f, true);
	}
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 2 * EACH);
		CU_ASSERT_TRUE(popped.result.body.size < 2 * PULL_BYTES_MAX);
	}
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* As a result, not as the exception that clients take SYSTEM_BUSY for. */
static void test_a_pop_without_a_place_for_its_offset_is_refused(void)
{
	struct core_config config = fixture_config();
	struct pop_header other = whole_topic;
	struct popped popped = { 0 };
	struct pop_result result;
	struct outcome outcome = { 0 };

	config.offset_row_max = 1;
	struct fixture *f = fixture_create(&config);
	send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
	other.consumer_group = SPAN_LITERAL("others");
	struct pop_request request = prepared(f, &other);
	CU_ASSERT_EQUAL(core_pop(f->core, &request, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_POLLING_FULL);
	CU_ASSERT_EQUAL(f->core->pops.live, 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* There is a message, and the group may have it. */
static struct fixture *readable(void)
{
	struct fixture *f = fixture_create(NULL);

	send(f, "k", 0);
	(void)prepared(f, &whole_topic);
	return f;
}

static void check_forbidden(struct fixture *f)
{
	struct pop_request request;
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_prepare_pop(f->core, &whole_topic, &request, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_NO_PERMISSION);
	fixture_destroy(f);
}

static void test_a_group_that_is_forbidden_a_topic_gets_nothing(void)
{
	struct fixture *f = readable();
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_set_group_readable(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), false, &outcome), ST_OK);
	check_forbidden(f);
}

static void test_a_group_that_may_not_consume_gets_nothing(void)
{
	struct fixture *f = readable();
	struct group_config group = group_config_default();
	struct outcome outcome = { 0 };

	group.consume_enable = false;
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &group, &outcome), ST_OK);
	check_forbidden(f);
}

static void test_a_topic_that_may_not_be_read_gives_nothing(void)
{
	struct fixture *f = readable();
	struct topic_settings settings = { .read_queue_nums = 4, .write_queue_nums = 4, .perm = PERM_WRITE };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_put_topic(f->core, SPAN_LITERAL("t"), &settings, &outcome), ST_OK);
	check_forbidden(f);
}

static void test_a_broker_that_may_not_be_read_gives_nothing(void)
{
	struct fixture *f = readable();
	struct core_config config = f->config;

	config.forbidden = PERM_READ;
	core_reconfigure(f->core, &config);
	check_forbidden(f);
}

static void test_the_number_of_request_modes_is_bounded(void)
{
	static const char *const topics[] = { "t0", "t1", "t2" };
	struct core_config config = fixture_config();
	struct outcome outcome = { 0 };

	config.offset_row_max = 2;
	struct fixture *f = fixture_create(&config);
	for (size_t i = 0; i < 3; i++) {
		(void)must_send(f, (struct sent){ .topic = topics[i], .key = "k" });
		CU_ASSERT_EQUAL(core_set_request_mode(f->core, span_of(topics[i]), SPAN_LITERAL("readers"), 1, 0, &outcome),
				i < 2 ? ST_OK : ST_DENIED);
	}
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_BUSY);
	CU_ASSERT_EQUAL(core_set_request_mode(f->core, span_of(topics[1]), SPAN_LITERAL("readers"), 0, 0, &outcome), ST_OK);
	fixture_destroy(f);
}

/* --- acknowledging -------------------------------------------------------------------------------------------------------- */

/* What was forgotten with its topic or its group does not come back with another's end. */
static void test_a_forgotten_request_mode_stays_forgotten(void)
{
	struct pops pops;

	pops_init(&pops);
	struct request_mode *of_group = pops_mode_make(&pops, 1, 2), *of_topic = pops_mode_make(&pops, 3, 4);
	CU_ASSERT_FATAL(of_group != NULL && of_topic != NULL);
	of_group->known = of_topic->known = true;
	pops_forget_group(&pops, 2);
	pops_forget_topic(&pops, 3);
	CU_ASSERT_FALSE(of_group->known || of_topic->known);
	pops_forget_group(&pops, 99);
	pops_forget_topic(&pops, 99);
	CU_ASSERT_FALSE(of_group->known || of_topic->known);
	pops_deinit(&pops);
}

static void test_position_stays_behind_the_oldest(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };

	send_and_pop(f, &whole_topic, 4, &popped);
	CU_ASSERT_EQUAL(position(f, "t", 0), 0);
	for (size_t i = 3; i > 0; i--) {
		struct pop_handle handle = handle_of(&popped, i, false);
		CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
		CU_ASSERT_EQUAL(position(f, "t", 0), 0);
	}
	fixture_restart(f);
	CU_ASSERT_EQUAL(position(f, "t", 0), 0);
	ack_first(f, &popped, 1, false);
	CU_ASSERT_EQUAL(position(f, "t", 0), 4);
	fixture_restart(f); /* No record of an offset says so: those of the POP do. */
	CU_ASSERT_EQUAL(position(f, "t", 0), 4);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_handles_that_do_not_fit_are_refused(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };
	struct outcome outcome = { 0 };
	struct pop_changed changed;

	send_several(f, 2);
	struct pop_header one = whole_topic;
	one.max_msg_nums = 1;
	CU_ASSERT_EQUAL(pop(f, &one, &popped), 1);
	struct pop_handle good = handle_of(&popped, 0, false), bad = good;
	bad.pop_ms--;
	CU_ASSERT_EQUAL(ack(f, &bad), RESP_NO_MESSAGE);
	CU_ASSERT_EQUAL(core_pop_change(f->core, &bad, 1000, &changed, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_NO_MESSAGE);
	bad = good;
	bad.offset = 1; /* Not given out. */
	CU_ASSERT_EQUAL(ack(f, &bad), RESP_NO_MESSAGE);
	bad.offset = 99;
	CU_ASSERT_EQUAL(ack(f, &bad), RESP_NO_MESSAGE);
	bad = good;
	bad.group = SPAN_LITERAL("others");
	CU_ASSERT_EQUAL(ack(f, &bad), RESP_NO_MESSAGE);
	bad = good;
	bad.queue_id = 17;
	CU_ASSERT_EQUAL(ack(f, &bad), RESP_MESSAGE_ILLEGAL);
	bad.topic = SPAN_LITERAL("elsewhere");
	CU_ASSERT_EQUAL(ack(f, &bad), RESP_TOPIC_NOT_EXIST);
	CU_ASSERT_EQUAL(pop_handle_parse(SPAN_LITERAL("0 x 1 0 0 a 0 0"), &bad, &outcome.err), ST_INVALID);
	CU_ASSERT_EQUAL(pop_handle_parse(SPAN_LITERAL("x 1 1 0 0 a 0 0"), &bad, &outcome.err), ST_INVALID);
	CU_ASSERT_EQUAL(position(f, "t", 0), 0);
	CU_ASSERT_EQUAL(ack(f, &good), RESP_SUCCESS);
	CU_ASSERT_EQUAL(position(f, "t", 0), 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* A batch passes over what its handle does not name: that is with somebody else by now. */
static void test_a_batch_with_an_old_handle_acknowledges_nothing(void)
{
	static const uint8_t both[] = { 3 };
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };
	struct outcome outcome = { 0 };
	struct pop_changed changed;

	send_and_pop(f, &whole_topic, 2, &popped);
	struct pop_handle first = handle_of(&popped, 0, false), second = handle_of(&popped, 1, false);
	fixture_advance(f, 100);
	CU_ASSERT_EQUAL(core_pop_change(f->core, &second, INVISIBLE_MS, &changed, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_pop_ack_batch(f->core, &first, (struct span){ both, sizeof(both) }, &outcome), ST_OK);
	CU_ASSERT_EQUAL(position(f, "t", 0), 1);
	second.pop_ms = changed.pop_ms;
	CU_ASSERT_EQUAL(ack(f, &second), RESP_SUCCESS);
	CU_ASSERT_EQUAL(position(f, "t", 0), 2);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* The first one's answer may be lost, and the next one comes before its record is safe: it rests on that record, too. */
static void test_a_batch_that_is_repeated_waits_for_the_first(void)
{
	static const uint8_t both[] = { 3 };
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };
	struct outcome outcome = { 0 };

	send_and_pop(f, &whole_topic, 2, &popped);
	struct pop_handle first = handle_of(&popped, 0, false);
	CU_ASSERT_EQUAL(core_pop_ack_batch(f->core, &first, (struct span){ both, sizeof(both) }, &outcome), ST_OK);
	CU_ASSERT_TRUE(outcome.wait_offset > core_committed_offset(f->core));
	outcome = (struct outcome){ 0 };
	CU_ASSERT_EQUAL(core_pop_ack_batch(f->core, &first, (struct span){ both, sizeof(both) }, &outcome), ST_OK);
	CU_ASSERT_TRUE(outcome.wait_offset > core_committed_offset(f->core));
	CU_ASSERT_TRUE(outcome.wait_offset <= commitlog_appended(f->log));
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* Acknowledged twice in one turn: the second answer rests on the first one's record. Neither takes a group back that is further
 * on by another word. */
static void test_a_repeated_ack_waits_and_moves_nothing_back(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };
	struct outcome first = { 0 }, again = { 0 };

	send_and_pop(f, &whole_topic, 4, &popped);
	struct pop_handle handle = handle_of(&popped, 0, false);
	CU_ASSERT_EQUAL(core_update_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), 0, 3, true, &first), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(core_pop_ack(f->core, &handle, &first), ST_OK);
	CU_ASSERT_EQUAL(core_pop_ack(f->core, &handle, &again), ST_OK);
	CU_ASSERT_TRUE(again.wait_offset >= first.wait_offset);
	CU_ASSERT_TRUE(again.wait_offset > core_committed_offset(f->core));
	CU_ASSERT_EQUAL(position(f, "t", 0), 3);
	fixture_disk(f, true);
	fixture_restart(f);
	CU_ASSERT_EQUAL(position(f, "t", 0), 3);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* --- check-outs that are forgotten ---------------------------------------------------------------------------------------- */

/* What a group had checked out when it was deleted does not count for ever against what others may check out. When the group
 * is there again it begins with that if its offsets were kept, else with the first message. */
static void check_deleted(bool clean, bool restart)
{
	struct core_config config = fixture_config();
	struct popped popped = { 0 };
	struct outcome outcome = { 0 };

	config.pop_max = 64;
	struct fixture *f = fixture_create(&config);
	send_several(f, 40);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 32);
	ack_first(f, &popped, 2, false);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 8);
	CU_ASSERT_EQUAL(core_delete_group(f->core, SPAN_LITERAL("readers"), clean, &outcome), ST_OK);
	fixture_disk(f, true);
	if (restart)
		fixture_restart(f);
	CU_ASSERT_EQUAL(f->core->pops.live, 0);
	struct pop_header header = whole_topic;
	header.consumer_group = SPAN_LITERAL("others");
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 32);
	CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &popped), 32);
	CU_ASSERT_EQUAL(popped.messages[0].queue_offset, clean ? 0 : 2);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_a_deleted_group_leaves_no_check_outs(void)
{
	for (int clean = 0; clean < 2; clean++) {
		check_deleted(clean, false);
		check_deleted(clean, true);
	}
}

static void test_a_reset_forgets_check_outs(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 }, again = { 0 };
	struct outcome outcome = { 0 };

	send_and_pop(f, &whole_topic, 3, &popped);
	ack_first(f, &popped, 1, false);
	CU_ASSERT_EQUAL(core_update_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), 0, 0, true, &outcome), ST_OK);
	CU_ASSERT_EQUAL(f->core->pops.live, 0);
	fixture_disk(f, true);
	fixture_restart(f);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &again), 3);
	/* An operator's, forwards, too: what is passed over is not given out again. */
	struct reset_request skip = { SPAN_LITERAL("t"), SPAN_LITERAL("readers"), -1, 0, -1, true };
	struct reset_target targets[TOPIC_QUEUE_MAX];
	size_t count;
	CU_ASSERT_EQUAL(core_reset_offsets(f->core, &skip, targets, &count, &outcome), ST_OK);
	CU_ASSERT_EQUAL(f->core->pops.live, 0);
	fixture_disk(f, true);
	fixture_advance(f, 2 * INVISIBLE_MS);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &again), 0);
	CU_ASSERT_EQUAL(position(f, "t", 0), 3);
	buffer_deinit(&popped.bytes);
	buffer_deinit(&again.bytes);
	fixture_destroy(f);
}

/* A group that is sent where another one is goes there by POP, too, back as well as forth. */
static void test_a_clone_moves_a_group_that_pops(void)
{
	struct fixture *f = fixture_create(NULL);
	struct clone_request clone = { SPAN_LITERAL("others"), SPAN_LITERAL("readers"), SPAN_LITERAL("t"), true };
	struct group_config settings = group_config_default();
	struct popped popped = { 0 };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_put_group(f->core, clone.from, &settings, &outcome), ST_OK);
	send_and_pop(f, &whole_topic, 4, &popped);
	struct clone_request of_itself = { clone.to, clone.to, clone.topic, true };
	CU_ASSERT_EQUAL(core_clone_offsets(f->core, &of_itself, &outcome), ST_OK);
	CU_ASSERT_EQUAL(f->core->pops.live, 4);
	for (int64_t at = 1; at <= 3; at += 2) {
		ack_first(f, &popped, 1, false);
		CU_ASSERT_EQUAL(core_update_offset(f->core, clone.from, clone.topic, 0, at, true, &outcome), ST_OK);
		CU_ASSERT_EQUAL(core_clone_offsets(f->core, &clone, &outcome), ST_OK);
		CU_ASSERT_EQUAL(f->core->pops.live, 0);
		fixture_disk(f, true);
		fixture_restart(f);
		CU_ASSERT_EQUAL(position(f, "t", 0), at);
		CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 4 - at);
	}
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* An offset that is where the group is already says nothing new. */
static void test_an_offset_at_the_position_forgets_nothing(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };
	struct outcome outcome = { 0 };

	send_and_pop(f, &whole_topic, 3, &popped);
	for (size_t i = 0; i < 3; i++) {
		struct pop_handle handle = handle_of(&popped, i, false);
		CU_ASSERT_EQUAL(core_update_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), 0, (int64_t)i, true, &outcome), ST_OK);
		CU_ASSERT_EQUAL(f->core->pops.live, 3 - i);
		CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
	}
	CU_ASSERT_EQUAL(position(f, "t", 0), 3);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_each_message_is_given_out_once),
		CHECK_TEST(test_without_room_nothing_is_passed_over),
		CHECK_TEST(test_nothing_starves),
		CHECK_TEST(test_tags_and_first_positions),
		CHECK_TEST(test_a_new_group_may_begin_at_the_last_message),
		CHECK_TEST(test_limits_of_pops),
		CHECK_TEST(test_no_message_is_invisible_for_less_than_nothing_or_for_ever),
		CHECK_TEST(test_an_answer_from_several_queues_has_a_limit),
		CHECK_TEST(test_a_pop_without_a_place_for_its_offset_is_refused),
		CHECK_TEST(test_a_group_that_is_forbidden_a_topic_gets_nothing),
		CHECK_TEST(test_a_group_that_may_not_consume_gets_nothing),
		CHECK_TEST(test_a_topic_that_may_not_be_read_gives_nothing),
		CHECK_TEST(test_a_broker_that_may_not_be_read_gives_nothing),
		CHECK_TEST(test_the_number_of_request_modes_is_bounded),
		CHECK_TEST(test_a_forgotten_request_mode_stays_forgotten),
		CHECK_TEST(test_position_stays_behind_the_oldest),
		CHECK_TEST(test_handles_that_do_not_fit_are_refused),
		CHECK_TEST(test_a_batch_with_an_old_handle_acknowledges_nothing),
		CHECK_TEST(test_a_batch_that_is_repeated_waits_for_the_first),
		CHECK_TEST(test_a_repeated_ack_waits_and_moves_nothing_back),
		CHECK_TEST(test_a_deleted_group_leaves_no_check_outs),
		CHECK_TEST(test_a_reset_forgets_check_outs),
		CHECK_TEST(test_a_clone_moves_a_group_that_pops),
		CHECK_TEST(test_an_offset_at_the_position_forgets_nothing),
	};
	return check_main("pop", tests, sizeof(tests) / sizeof(tests[0]));
}
