/* Consuming by POP: check-outs, acks, invisible time, retries, order, long polls; after restarts and from snapshots, too. */
#include "tests/unit/core/core_fixture.h"

#include "broker/core/pop.h"
#include "broker/core/pop_waits.h"
#include "broker/core/removal.h"
#include "broker/core/resets.h"
#include "broker/core/state.h"
#include "lib/wire/headers.h"

enum { INVISIBLE_MS = 10 * 1000 };

struct popped {
	struct pop_result result;
	struct message messages[POP_MESSAGES_MAX];
	size_t count;
	struct buffer bytes;
	char order_info[512], start_info[512], offset_info[512];
};

static const struct pop_header whole_topic = {
	.consumer_group = SPAN_LITERAL("readers"), .topic = SPAN_LITERAL("t"), .queue_id = -1, .max_msg_nums = 32,
	.invisible_ms = INVISIBLE_MS,
};

static struct pop_request prepared(struct fixture *f, const struct pop_header *header)
{
	struct pop_request request;
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL_FATAL(core_prepare_pop(f->core, header, &request, &outcome), ST_OK);
	return request;
}

static void keep_text(char *out, size_t size, struct span text)
{
	snprintf(out, size, "%.*s", SPAN_ARGS(text));
}

static size_t pop(struct fixture *f, const struct pop_header *header, struct popped *out)
{
	struct pop_request request = prepared(f, header);
	struct outcome outcome;

	CU_ASSERT_EQUAL_FATAL(core_pop(f->core, &request, &out->result, &outcome), ST_OK);
	buffer_deinit(&out->bytes);
	buffer_init(&out->bytes, 0);
	buffer_append_span(&out->bytes, out->result.body);
	keep_text(out->order_info, sizeof(out->order_info), out->result.order_info);
	keep_text(out->start_info, sizeof(out->start_info), out->result.start_info);
	keep_text(out->offset_info, sizeof(out->offset_info), out->result.offset_info);
	struct span rest = buffer_span(&out->bytes);
	for (out->count = 0; out->count < POP_MESSAGES_MAX && message_next(&rest, &out->messages[out->count], NULL) == ST_OK;)
		out->count++;
	CU_ASSERT_EQUAL(out->count, out->result.count);
	fixture_disk(f, true);
	return out->count;
}

static bool is_retried(const struct message *message)
{
	return property_get(message->properties, PROPERTY_POP_CK).size > 0;
}

static struct pop_handle handle_of(const struct popped *popped, size_t i, bool order)
{
	const struct message *message = &popped->messages[i];

	return (struct pop_handle){
		.group = SPAN_LITERAL("readers"), .topic = is_retried(message) ? span_of("%RETRY%readers_t") : span_of("t"),
		.queue_id = message->queue_id, .offset = message->queue_offset, .pop_ms = popped->result.pop_ms,
		.invisible_ms = INVISIBLE_MS, .order = order,
	};
}

static int32_t ack(struct fixture *f, const struct pop_handle *handle)
{
	struct outcome outcome = { 0 };

	CU_ASSERT_NOT_EQUAL(core_pop_ack(f->core, handle, &outcome), ST_AGAIN);
	fixture_disk(f, true);
	return outcome.code;
}

static int64_t position(struct fixture *f, const char *topic, int32_t queue_id)
{
	struct outcome outcome = { 0 };
	int64_t offset = -1;

	(void)!core_query_offset(f->core, SPAN_LITERAL("readers"), span_of(topic), queue_id, false, &offset, &outcome);
	return offset;
}

static void send(struct fixture *f, const char *key, int32_t queue_id)
{
	must_send(f, (struct sent){ .topic = "t", .key = key, .tag = "A", .queue_id = queue_id });
	fixture_disk(f, true);
}

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

static void test_position_stays_behind_the_oldest(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };

	for (int i = 0; i < 4; i++)
		send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 4);
	CU_ASSERT_EQUAL(position(f, "t", 0), 0);
	for (size_t i = 3; i > 0; i--) {
		struct pop_handle handle = handle_of(&popped, i, false);
		CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
		CU_ASSERT_EQUAL(position(f, "t", 0), 0);
	}
	fixture_restart(f);
	CU_ASSERT_EQUAL(position(f, "t", 0), 0);
	struct pop_handle first = handle_of(&popped, 0, false);
	CU_ASSERT_EQUAL(ack(f, &first), RESP_SUCCESS);
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

	send(f, "k", 0);
	send(f, "k", 0);
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
	CU_ASSERT_EQUAL(position(f, "t", 0), 0);
	CU_ASSERT_EQUAL(ack(f, &good), RESP_SUCCESS);
	CU_ASSERT_EQUAL(position(f, "t", 0), 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_what_lapses_comes_again(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped first = { 0 }, again = { 0 };

	send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &first), 1);
	CU_ASSERT_EQUAL(first.messages[0].reconsume_times, 0);
	fixture_advance(f, INVISIBLE_MS - 200);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &again), 0);
	fixture_advance(f, 400);
	CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &again), 1);
	CU_ASSERT_EQUAL(again.messages[0].reconsume_times, 1);
	CU_ASSERT_TRUE(span_is(again.messages[0].topic, "t"));
	CU_ASSERT_TRUE(is_retried(&again.messages[0]));
	CU_ASSERT_EQUAL(property_get_i64(again.messages[0].properties, PROPERTY_FIRST_POP_TIME, 0), first.result.pop_ms);
	CU_ASSERT_STRING_EQUAL(again.start_info, "1 0 0");
	CU_ASSERT_EQUAL(position(f, "t", 0), 1);
	/* The old handle is done with and harms nobody; the new one counts. */
	struct pop_handle old = handle_of(&first, 0, false), good = handle_of(&again, 0, false);
	CU_ASSERT_EQUAL(ack(f, &old), RESP_SUCCESS);
	CU_ASSERT_EQUAL(position(f, "%RETRY%readers_t", 0), 0);
	CU_ASSERT_EQUAL(ack(f, &good), RESP_SUCCESS);
	CU_ASSERT_EQUAL(position(f, "%RETRY%readers_t", 0), 1);
	buffer_deinit(&first.bytes);
	buffer_deinit(&again.bytes);
	fixture_destroy(f);
}

/* Three are checked out; then so much is stored that the ring does not hold them any more. */
static struct send_result pop_three(struct fixture *f, const char *first)
{
	static char text[8 * 1024];
	struct popped popped = { 0 };
	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = first, .queue_id = 0 });

	fixture_disk(f, true);
	send(f, "k1", 0);
	send(f, "k2", 0);
	CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &popped), 3);
	buffer_deinit(&popped.bytes);
	memset(text, 'x', sizeof(text) - 1);
	for (int i = 0; i < 60; i++) {
		must_send(f, (struct sent){ .topic = "other", .key = text });
		fixture_disk(f, true);
	}
	return sent;
}

/* The first of three that have lapsed cannot be given: the others are. */
static void check_others_come_again(struct fixture *f)
{
	struct popped again = { 0 };

	fixture_advance(f, INVISIBLE_MS + 200);
	CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &again), 2);
	CU_ASSERT_TRUE(span_is(property_get(again.messages[0].properties, PROPERTY_UNIQ_KEY), "k1"));
	CU_ASSERT_TRUE(span_is(property_get(again.messages[1].properties, PROPERTY_UNIQ_KEY), "k2"));
	buffer_deinit(&again.bytes);
}

/* Several at once, and they come when they have been read. */
static void test_what_lapses_is_read_from_the_disk(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped again = { 0 };
	struct send_result first = pop_three(f, "k0");
	uint64_t offset;
	uint32_t size;

	memdisk_set_cold(f->disk, true);
	fixture_advance(f, INVISIBLE_MS + 200);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_TRUE_FATAL(core_take_own_read(f->core, &offset, &size));
		CU_ASSERT_TRUE(offset >= first.log_offset && (i > 0 || offset == first.log_offset));
	}
	CU_ASSERT_FALSE(core_take_own_read(f->core, &offset, &size));
	memdisk_set_cold(f->disk, false);
	fixture_advance(f, 200);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &again), 3);
	buffer_deinit(&again.bytes);
	fixture_destroy(f);
}

/* Nobody will ever be given it again: it must not hold the group's position. */
static void test_a_damaged_message_is_passed_over(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result damaged = pop_three(f, "k0");
	size_t size;

	memdisk_data(f->disk, "/store/commitlog/00000000000000000000", &size)[damaged.log_offset + 100] ^= 1;
	check_others_come_again(f);
	CU_ASSERT_EQUAL(position(f, "t", 0), 3);
	fixture_destroy(f);
}

/* The log takes less at once than it did: what does not fit now stays checked out, and comes when it fits. */
static void test_a_message_that_became_too_large_waits(void)
{
	static char large[16 * 1024];
	struct core_config config = fixture_config();
	struct popped again = { 0 };

	memset(large, 'x', sizeof(large) - 500);
	config.max_message_size = 100 * 1024;
	struct fixture *f = fixture_create(&config);
	(void)pop_three(f, large);
	f->segment_size = LOG_SEGMENT_SIZE_MIN;
	fixture_restart(f);
	check_others_come_again(f);
	CU_ASSERT_EQUAL(position(f, "t", 0), 0);
	f->segment_size = 0;
	fixture_restart(f);
	fixture_advance(f, 61 * 1000);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &again), 3);
	CU_ASSERT_EQUAL(position(f, "t", 0), 3);
	buffer_deinit(&again.bytes);
	fixture_destroy(f);
}

static void test_invisible_time_is_changed(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };
	struct outcome outcome = { 0 };
	struct pop_changed changed = { 0 };

	send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
	fixture_advance(f, 5000);
	struct pop_handle handle = handle_of(&popped, 0, false), old = handle;
	CU_ASSERT_EQUAL(core_pop_change(f->core, &handle, 60 * 1000, &changed, &outcome), ST_OK);
	CU_ASSERT_EQUAL(changed.pop_ms, f->clock.wall_now_ms);
	CU_ASSERT_EQUAL(changed.invisible_ms, 60 * 1000);
	fixture_advance(f, 2 * INVISIBLE_MS);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 0);
	CU_ASSERT_EQUAL(ack(f, &old), RESP_NO_MESSAGE);
	fixture_restart(f);
	handle.pop_ms = changed.pop_ms;
	fixture_advance(f, 300); /* What is due when has been looked at. */
	CU_ASSERT_EQUAL(core_pop_change(f->core, &handle, 0, &changed, &outcome), ST_OK);
	fixture_advance(f, 300);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_after_the_last_retry_it_is_dead(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };
	struct group_config group = group_config_default();
	struct outcome outcome = { 0 };
	struct pulled dead = { 0 };

	group.retry_max_times = 2;
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &group, &outcome), ST_OK);
	send(f, "k", 0);
	for (int times = 0; times <= 2; times++) {
		CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &popped), 1);
		CU_ASSERT_EQUAL(popped.messages[0].reconsume_times, times);
		fixture_advance(f, INVISIBLE_MS + 200);
	}
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 0);
	CU_ASSERT_EQUAL(fixture_pull(f, "%DLQ%readers", 0, 0, "*", &dead), 1);
	pulled_free(&dead);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* A message with as many bytes of properties as are taken. */
static struct send_result send_full(struct fixture *f, const char *key)
{
	char *more = malloc(MESSAGE_PROPERTIES_MAX + 1);
	struct send_result result;
	struct outcome outcome;
	enum status status = ST_DENIED;

	CU_ASSERT_PTR_NOT_NULL_FATAL(more);
	for (size_t size = MESSAGE_PROPERTIES_MAX; status != ST_OK && size > MESSAGE_PROPERTIES_MAX - 1000; size--) {
		memset(more, 'x', size);
		memcpy(more, "FULL\1", 5);
		more[size] = '\0';
		status = fixture_send(f, (struct sent){ .topic = "t", .key = key, .tag = "A", .queue_id = 0, .more = more }, &result, &outcome);
	}
	CU_ASSERT_EQUAL_FATAL(status, ST_OK);
	free(more);
	fixture_disk(f, true);
	return result;
}

/* A message whose properties leave no room for a handle comes again nevertheless, and can be acknowledged: what the broker
 * added to it makes room; where that is not enough, clients make the handle from the retry topic that it shows. */
static void check_full(const char *broker_name, const char *topic_shown)
{
	struct core_config config = fixture_config();
	struct popped popped = { 0 };

	config.broker_name = broker_name;
	struct fixture *f = fixture_create(&config);
	send_full(f, "k");
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
	fixture_advance(f, INVISIBLE_MS + 200);
	CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &popped), 1);
	CU_ASSERT_TRUE(span_is(popped.messages[0].topic, topic_shown));
	CU_ASSERT_EQUAL(is_retried(&popped.messages[0]), strcmp(topic_shown, "t") == 0);
	CU_ASSERT_TRUE(property_get(popped.messages[0].properties, "FULL").size > 32000);
	CU_ASSERT_TRUE(span_is(property_get(popped.messages[0].properties, PROPERTY_UNIQ_KEY), "k"));
	CU_ASSERT_STRING_EQUAL(popped.start_info, "1 0 0");
	struct pop_handle handle = handle_of(&popped, 0, false);
	handle.topic = SPAN_LITERAL("%RETRY%readers_t");
	CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
	CU_ASSERT_EQUAL(f->core->pops.live, 0);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* A request that is repeated after the wall clock was set back gets the same messages, not those behind them. */
static void test_the_same_attempt_after_the_clock_was_set_back(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	header.order = true;
	header.attempt_id = SPAN_LITERAL("attempt-1");
	send(f, "k0", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	struct pop_handle old = handle_of(&popped, 0, true);
	send(f, "k1", 0);
	f->clock.wall_now_ms -= 1000;
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
	CU_ASSERT_EQUAL_FATAL(pop(f, &header, &popped), 2);
	CU_ASSERT_TRUE(span_is(popped.messages[0].body, "k0"));
	CU_ASSERT_STRING_EQUAL(popped.offset_info, "0 0 0,1");
	CU_ASSERT_EQUAL(ack(f, &old), RESP_NO_MESSAGE);
	for (size_t i = 0; i < 2; i++) {
		struct pop_handle handle = handle_of(&popped, i, true);
		CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
	}
	/* Nothing is left that it would have to come after. */
	send(f, "k2", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_EQUAL(popped.result.pop_ms, f->clock.wall_now_ms);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* The time that a check-out bears is ahead of the clock then; the wait is no longer for that. */
static void test_a_clock_that_was_set_back_makes_no_wait_longer(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	header.order = true;
	header.attempt_id = SPAN_LITERAL("attempt-1");
	send(f, "k0", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	f->clock.wall_now_ms -= INVISIBLE_MS / 2;
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_TRUE(popped.result.pop_ms > f->clock.wall_now_ms);
	header.attempt_id = SPAN_LITERAL("attempt-2");
	fixture_advance(f, INVISIBLE_MS - 100);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 0);
	fixture_advance(f, 200);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* What lapses within the millisecond it was given out in keeps its place, too. After a start as well. */
static void test_order_within_a_millisecond(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	header.order = true;
	header.max_msg_nums = 1;
	header.invisible_ms = 0;
	send(f, "k0", 0);
	send(f, "k1", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_TRUE(span_is(popped.messages[0].body, "k0"));
	for (int i = 0; i < 2; i++) {
		int64_t before = popped.result.pop_ms;

		fixture_snapshot(f);
		fixture_restart(f);
		f->clock.wall_now_ms = before;
		core_set_time(f->core, before, f->clock.mono_now_ms);
		CU_ASSERT_EQUAL_FATAL(pop(f, &header, &popped), 1);
		CU_ASSERT_TRUE(span_is(popped.messages[0].body, "k0"));
		CU_ASSERT_EQUAL(popped.result.pop_ms, before + 1);
	}
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_full_properties_come_again(void)
{
	check_full("a", "t");
	check_full("a-broker-with-a-name-that-takes-more-room-than-all-that-the-broker-has-added-to-the-message-itself",
		   "%RETRY%readers_t");
}

static void test_full_properties_become_a_dead_letter(void)
{
	struct fixture *f = fixture_create(NULL);
	struct group_config group = group_config_default();
	struct outcome outcome = { 0 };
	struct popped popped = { 0 };
	struct pulled dead = { 0 };

	group.retry_max_times = 0;
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &group, &outcome), ST_OK);
	send_full(f, "k0");
	send(f, "k1", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 2);
	fixture_advance(f, INVISIBLE_MS + 200);
	CU_ASSERT_EQUAL(f->core->pops.live, 0);
	CU_ASSERT_EQUAL(position(f, "t", 0), 2);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%DLQ%readers", 0, 0, "*", &dead), 2);
	CU_ASSERT_TRUE(span_is(dead.messages[0].body, "k0"));
	CU_ASSERT_TRUE(property_get(dead.messages[0].properties, "FULL").size > 32000);
	pulled_free(&dead);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* The same by a consumer's word: what its client needs to show the message's own topic stays as long as it can. */
static void test_full_properties_are_sent_back(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	struct pulled again = { 0 };
	struct send_result sent = send_full(f, "k");
	struct send_back_request request = { .group = SPAN_LITERAL("readers"), .log_offset = sent.log_offset, .delay_level = 1,
					     .max_reconsume_times = -1 };

	fixture_heartbeat(f, false);
	CU_ASSERT_EQUAL(core_send_back(f->core, &request, &outcome), ST_OK);
	fixture_advance(f, 1100);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &again), 1);
	CU_ASSERT_EQUAL(again.messages[0].reconsume_times, 1);
	CU_ASSERT_TRUE(span_is(property_get(again.messages[0].properties, PROPERTY_RETRY_TOPIC), "t"));
	CU_ASSERT_TRUE(property_get(again.messages[0].properties, "FULL").size > 32000);
	pulled_free(&again);
	fixture_destroy(f);
}

/* What a group had checked out when it was deleted does not count for ever against what others may check out. When the group
 * is there again, and its offsets were kept, it begins with that. */
static void check_deleted(bool restart)
{
	struct core_config config = fixture_config();
	struct popped popped = { 0 };
	struct outcome outcome = { 0 };

	config.pop_max = 64;
	struct fixture *f = fixture_create(&config);
	for (int i = 0; i < 40; i++)
		send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 32);
	for (size_t i = 0; i < 2; i++) {
		struct pop_handle handle = handle_of(&popped, i, false);
		CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
	}
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 8);
	CU_ASSERT_EQUAL(core_delete_group(f->core, SPAN_LITERAL("readers"), false, &outcome), ST_OK);
	fixture_disk(f, true);
	if (restart)
		fixture_restart(f);
	CU_ASSERT_EQUAL(f->core->pops.live, 0);
	struct pop_header header = whole_topic;
	header.consumer_group = SPAN_LITERAL("others");
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 32);
	CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &popped), 32);
	CU_ASSERT_EQUAL(popped.messages[0].queue_offset, 2);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_a_deleted_group_leaves_no_check_outs(void)
{
	check_deleted(false);
	check_deleted(true);
}

static void test_order_holds_the_queue_up(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped first = { 0 }, again = { 0 };

	header.order = true;
	header.queue_id = 0;
	header.max_msg_nums = 2;
	for (int i = 0; i < 4; i++)
		send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &first), 2);
	CU_ASSERT_STRING_EQUAL(first.order_info, "0 0 0");
	CU_ASSERT_EQUAL(pop(f, &header, &again), 0);
	struct pop_handle handle = handle_of(&first, 0, true);
	CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
	CU_ASSERT_EQUAL(pop(f, &header, &again), 0);
	fixture_advance(f, INVISIBLE_MS + 200);
	CU_ASSERT_EQUAL_FATAL(pop(f, &header, &again), 2);
	CU_ASSERT_EQUAL(again.messages[0].queue_offset, 1);
	CU_ASSERT_EQUAL(again.messages[1].queue_offset, 2);
	CU_ASSERT_STRING_EQUAL(again.order_info, "0 qo0%1 1;0 0 0");
	struct pop_handle old = handle_of(&first, 1, true);
	CU_ASSERT_EQUAL(ack(f, &old), RESP_NO_MESSAGE);
	for (size_t i = 0; i < 2; i++) {
		handle = handle_of(&again, i, true);
		CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
	}
	CU_ASSERT_EQUAL(position(f, "t", 0), 3);
	CU_ASSERT_EQUAL(pop(f, &header, &again), 1);
	/* Who does not ask in order holds nobody up. */
	header.queue_id = 1;
	send(f, "k", 1);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &first), 1);
	send(f, "k", 1);
	CU_ASSERT_EQUAL(pop(f, &header, &again), 1);
	buffer_deinit(&first.bytes);
	buffer_deinit(&again.bytes);
	fixture_destroy(f);
}

static void test_the_same_attempt_gets_the_same(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	header.order = true;
	header.attempt_id = SPAN_LITERAL("attempt-1");
	send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	fixture_advance(f, 10);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_STRING_EQUAL(popped.order_info, "0 0 0");
	header.attempt_id = SPAN_LITERAL("attempt-2");
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 0);
	fixture_advance(f, INVISIBLE_MS + 200);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_STRING_EQUAL(popped.order_info, "0 qo0%0 1;0 0 1"); /* The first attempt was one, however often it came. */
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_a_reset_forgets_check_outs(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 }, again = { 0 };
	struct outcome outcome = { 0 };

	for (int i = 0; i < 3; i++)
		send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 3);
	struct pop_handle handle = handle_of(&popped, 0, false);
	CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
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

static void test_long_polls_wake(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
	struct pop_handle handle = handle_of(&popped, 0, false);
	CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
	f->core->effects.pop_ready = count_wake;
	f->core->effects.context = f->core; /* For this one only. */
	header.poll_ms = 1000;
	for (int i = 0; i < 2; i++) {
		struct pop_wait wait = { .request = prepared(f, &header), .conn_id = CONSUMER };
		CU_ASSERT_TRUE(pop_waits_add(f->core, &wait));
	}
	CU_ASSERT_EQUAL(pop_waits_count(f->core, f->core->pop_waits.all->request.topic_id, f->core->pop_waits.all->request.group_id, -1), 2);
	woken = 0;
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
	struct pop_wait late = { .request = prepared(f, &header), .conn_id = CONSUMER };
	CU_ASSERT_TRUE(pop_waits_add(f->core, &late));
	fixture_advance(f, 1010);
	CU_ASSERT_EQUAL(f->core->pop_waits.count, 0);
	buffer_deinit(&popped.bytes);
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
	f->core->effects.pop_ready = count_wake;
	f->core->effects.context = f->core; /* For this one only. */
	header.poll_ms = 1000;
	for (int i = 0; i < 3; i++) {
		header.consumer_group = i == 1 ? SPAN_LITERAL("others") : SPAN_LITERAL("readers");
		struct pop_wait wait = { .request = prepared(f, &header), .conn_id = CONSUMER };
		CU_ASSERT_TRUE(pop_waits_add(f->core, &wait));
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
	for (size_t i = 0; i < 3; i++) {
		struct pop_handle handle = handle_of(&popped, i, false);
		CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
	}
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

/* A new group that wants only what comes last wants all that it did not get done, however much that is. */
static void test_retries_are_read_from_the_first_on(void)
{
	enum { COUNT = 30 };
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	for (int i = 0; i < COUNT; i++)
		send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), COUNT);
	fixture_advance(f, INVISIBLE_MS + 1000);
	const struct topic *retry = topics_find(core_topics(f->core), SPAN_LITERAL("%RETRY%readers_t"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(retry);
	CU_ASSERT_FALSE(progress_is_young(f->core, topic_queue(retry, 0)));
	header.init_mode = 1;
	CU_ASSERT_EQUAL(pop(f, &header, &popped), COUNT);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* An offset that is where the group is already says nothing new. */
static void test_an_offset_at_the_position_forgets_nothing(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };
	struct outcome outcome = { 0 };

	for (int i = 0; i < 3; i++)
		send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 3);
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
	send(f, "k", 0);
	send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 2);
	send(f, "k", 0);
	struct pop_request request = prepared(f, &whole_topic);
	CU_ASSERT_EQUAL(core_pop(f->core, &request, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_POLLING_FULL);
	struct pop_handle handle = handle_of(&popped, 0, false);
	CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
	header.poll_ms = 1000;
	for (int i = 0; i < 3; i++) {
		struct pop_wait wait = { .request = prepared(f, &header), .conn_id = CONSUMER };
		CU_ASSERT_EQUAL(pop_waits_add(f->core, &wait), i < 2);
	}
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

static void test_a_group_that_is_forbidden_a_topic_gets_nothing(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_request request;
	struct outcome outcome = { 0 };

	send(f, "k", 0);
	(void)prepared(f, &whole_topic);
	CU_ASSERT_EQUAL(core_set_group_readable(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_prepare_pop(f->core, &whole_topic, &request, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_NO_PERMISSION);
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

	send(f, "k", 0);
	send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 2);
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

	send(f, "k", 0);
	send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 2);
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

/* In order the handle stays what it was, and the time runs from the change on all the same. Whatever is still out holds the
 * queue up, also when one in front of it has lapsed. */
static void test_in_order_the_invisible_time_is_changed(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped first = { 0 }, again = { 0 };
	struct outcome outcome = { 0 };
	struct pop_changed changed = { 0 };

	header.order = true;
	header.queue_id = 0;
	for (int i = 0; i < 2; i++)
		send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &first), 2);
	fixture_advance(f, 5000);
	struct pop_handle second = handle_of(&first, 1, true);
	CU_ASSERT_EQUAL(core_pop_change(f->core, &second, INVISIBLE_MS, &changed, &outcome), ST_OK);
	CU_ASSERT_EQUAL(changed.pop_ms, first.result.pop_ms);
	fixture_advance(f, INVISIBLE_MS - 200);
	CU_ASSERT_EQUAL(pop(f, &header, &again), 0);
	fixture_advance(f, 400);
	CU_ASSERT_EQUAL(pop(f, &header, &again), 2);
	buffer_deinit(&first.bytes);
	buffer_deinit(&again.bytes);
	fixture_destroy(f);
}

/* What comes again was wanted once: no filter looks at it any more. */
static void test_what_comes_again_is_not_filtered(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	fixture_advance(f, INVISIBLE_MS + 200);
	header.expression = SPAN_LITERAL("B");
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* How often each was given out in order is in a snapshot, too. */
static void test_a_snapshot_knows_how_often_each_was_given_out(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	header.order = true;
	header.queue_id = 0;
	send(f, "k", 0);
	for (int times = 0; times < 3; times++) {
		CU_ASSERT_EQUAL_FATAL(pop(f, &header, &popped), 1);
		fixture_advance(f, INVISIBLE_MS + 200);
		fixture_snapshot(f);
		fixture_restart(f);
	}
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_STRING_EQUAL(popped.order_info, "0 qo0%0 3;0 0 3");
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* Given out while a snapshot was under way: replay finds it done, and counts it once. */
static void test_a_replay_over_a_snapshot_counts_once(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };
	struct pop_changed changed;
	struct outcome outcome = { 0 };

	header.order = true;
	header.queue_id = 0;
	send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	fixture_advance(f, INVISIBLE_MS + 200);
	snapshotter_want(f->snapshotter);
	fixture_snapshot_step(f);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	struct pop_handle handle = handle_of(&popped, 0, true);
	CU_ASSERT_EQUAL(core_pop_change(f->core, &handle, INVISIBLE_MS, &changed, &outcome), ST_OK);
	fixture_advance(f, INVISIBLE_MS + 200);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	for (int i = 0; i < 1000 && snapshotter_busy(f->snapshotter); i++) {
		fixture_snapshot_step(f);
		fixture_disk(f, true);
	}
	fixture_restart(f);
	CU_ASSERT_NOT_EQUAL(f->store.snapshot_from, 0);
	fixture_advance(f, INVISIBLE_MS + 200);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_STRING_EQUAL(popped.order_info, "0 qo0%0 3;0 0 3");
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

	for (int i = 0; i < 4; i++)
		send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 4);
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

/* In order, acknowledgements in a batch let others have what comes next, as single ones do. */
static void test_a_batch_of_acks_wakes_who_waits_for_his_turn(void)
{
	static const uint8_t both[] = { 3 };
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };
	struct outcome outcome;

	header.order = true;
	header.queue_id = 0;
	header.max_msg_nums = 2;
	for (int i = 0; i < 3; i++)
		send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 2);
	header.poll_ms = 5000;
	struct pop_wait wait = { .request = prepared(f, &header), .conn_id = CONSUMER };
	CU_ASSERT_TRUE(pop_waits_add(f->core, &wait));
	core_turn_end(f->core);
	CU_ASSERT_PTR_NOT_NULL(f->core->pop_waits.all);
	f->core->effects.pop_ready = count_wake;
	f->core->effects.context = f->core; /* For this one only. */
	struct pop_handle handle = handle_of(&popped, 0, true);
	CU_ASSERT_EQUAL(core_pop_ack_batch(f->core, &handle, (struct span){ both, 1 }, &outcome), ST_OK);
	core_turn_end(f->core);
	CU_ASSERT_PTR_NULL(f->core->pop_waits.all);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
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

/* Polls of different queues are not alike: what wakes one for nothing is there for the other. */
static void test_long_polls_of_other_queues_wake(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;

	send(f, "k", 3); /* Makes the topic. */
	f->core->effects.pop_ready = count_wake;
	f->core->effects.context = f->core; /* For this one only. */
	header.poll_ms = 1000;
	for (header.queue_id = 0; header.queue_id < 2; header.queue_id++) {
		struct pop_wait wait = { .request = prepared(f, &header), .conn_id = CONSUMER };
		CU_ASSERT_TRUE(pop_waits_add(f->core, &wait));
	}
	woken = 0;
	send(f, "k", 1);
	core_turn_end(f->core);
	CU_ASSERT_EQUAL(woken, 1);
	CU_ASSERT_EQUAL(f->core->pop_waits.count, 1);
	fixture_destroy(f);
}

static void wait_for(struct fixture *f, const struct pop_header *header)
{
	struct pop_wait wait = { .request = prepared(f, header), .conn_id = CONSUMER };

	CU_ASSERT_TRUE(pop_waits_add(f->core, &wait));
}

/* Nor are those of different attempts: the one that has what came before may have it again, others may not. */
static void test_long_polls_of_other_attempts_wake(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	header.order = true;
	header.queue_id = 0;
	header.attempt_id = SPAN_LITERAL("attempt-1");
	send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	header.poll_ms = 5000;
	header.attempt_id = SPAN_LITERAL("attempt-2");
	wait_for(f, &header);
	header.attempt_id = SPAN_LITERAL("attempt-1");
	wait_for(f, &header);
	f->core->effects.pop_ready = count_wake;
	f->core->effects.context = f->core; /* For this one only. */
	woken = 0;
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
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	header.order = true;
	header.queue_id = 0;
	send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	header.poll_ms = 5 * INVISIBLE_MS;
	wait_for(f, &header);
	f->core->effects.pop_ready = count_wake;
	f->core->effects.context = f->core; /* For this one only. */
	woken = 0;
	fixture_advance(f, INVISIBLE_MS - 200);
	CU_ASSERT_EQUAL(woken, 0);
	fixture_advance(f, 500);
	CU_ASSERT_EQUAL(woken, 1);
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

/* The log's room, down to some bytes more or less than `left`. */
static void fill_log(struct fixture *f, uint64_t left)
{
	static uint8_t body[8 * 1024];
	struct send_request filler = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("bulk"),
				       .default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
				       .body = { body, sizeof(body) }, .max_reconsume_times = -1 };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	uint64_t before = 0, around = 0;

	while (commitlog_room(f->log) > 3 * sizeof(body) + left) {
		before = commitlog_room(f->log);
		CU_ASSERT_EQUAL_FATAL(core_send(f->core, &filler, &result, &outcome), ST_OK);
		around = before - commitlog_room(f->log) - sizeof(body);
	}
	while (commitlog_room(f->log) > left + around + 8) {
		uint64_t size = commitlog_room(f->log) - left - around;
		filler.body.size = size < sizeof(body) ? size : sizeof(body);
		CU_ASSERT_EQUAL_FATAL(core_send(f->core, &filler, &result, &outcome), ST_OK);
	}
}

/* However little room the log has: a message that lapsed comes again with the word that it did, or later. */
static void test_what_lapses_in_a_full_log_comes_once(void)
{
	for (uint64_t left = 0; left < 400; left += 16) {
		struct fixture *f = fixture_create(NULL);
		struct popped popped = { 0 };

		send(f, "k", 0);
		CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
		fixture_advance(f, INVISIBLE_MS - 1000);
		must_send(f, (struct sent){ .topic = "%RETRY%readers_t", .key = "first" }); /* The topic is there. */
		fixture_disk(f, true);
		clock_manual_advance(&f->clock, 2000);
		core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
		fill_log(f, left);
		core_tick(f->core);
		fixture_disk(f, true);
		fixture_advance(f, 500);
		const struct topic *retry = topics_find(core_topics(f->core), SPAN_LITERAL("%RETRY%readers_t"));
		uint64_t count = 0;
		for (uint32_t i = 0; i < retry->queue_count; i++)
			count += retry->queues[i] == NULL ? 0 : retry->queues[i]->visible_offset;
		CU_ASSERT_EQUAL(count, 2);
		buffer_deinit(&popped.bytes);
		fixture_destroy(f);
	}
}

static void test_a_new_group_may_begin_at_the_last_message(void)
{
	enum { MANY = 60 }; /* More than a young queue has. */
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	for (int i = 0; i < MANY; i++)
		send(f, "k", 0);
	header.init_mode = 1;
	CU_ASSERT_EQUAL_FATAL(pop(f, &header, &popped), 1);
	CU_ASSERT_EQUAL(popped.messages[0].queue_offset, MANY - 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* What lapsed comes again by the retry topic alone, where it is counted, also to whoever asks before it is there. */
static void test_what_lapsed_is_not_given_out_in_its_place(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_request request = { 0 };
	struct popped popped = { 0 };

	send(f, "k", 0);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
	clock_manual_advance(&f->clock, INVISIBLE_MS + 1);
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 0);
	fixture_advance(f, 200);
	request = prepared(f, &whole_topic);
	CU_ASSERT_TRUE(core_pop_has_message(f->core, &request));
	CU_ASSERT_EQUAL_FATAL(pop(f, &whole_topic, &popped), 1);
	CU_ASSERT_EQUAL(popped.messages[0].reconsume_times, 1);
	CU_ASSERT_FALSE(core_pop_has_message(f->core, &request));
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
	fixture_advance(f, INVISIBLE_MS + 200);
	for (int i = 0; i < 20; i++)
		send(f, "k", 0);
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
	header.poll_ms = 600 * 1000;
	struct pop_wait wait = { .request = prepared(f, &header), .conn_id = CONSUMER };
	CU_ASSERT_TRUE(pop_waits_add(f->core, &wait));
	fixture_advance(f, 59 * 1000);
	CU_ASSERT_EQUAL(f->core->pop_waits.count, 1);
	fixture_advance(f, 1100);
	CU_ASSERT_EQUAL(f->core->pop_waits.count, 0);
	fixture_destroy(f);
}

/* --- at random ------------------------------------------------------------------------------------------------------------ */

enum { MODEL_MESSAGES = 400, MODEL_HELD = 512 };

struct held {
	struct pop_handle handle;
	unsigned number;
	int64_t due_ms;
};

struct model {
	struct fixture *f;
	uint64_t random;
	unsigned sent;
	int64_t taken_until[MODEL_MESSAGES];  /* Nobody else may get it before; 0: nobody has it. */
	bool acked[MODEL_MESSAGES];
	struct held held[MODEL_HELD];
	size_t held_count;
};

static uint32_t below(struct model *m, uint32_t limit)
{
	return (uint32_t)(check_random(&m->random) % limit);
}

static void model_pop(struct model *m)
{
	static struct popped popped;
	struct pop_header header = whole_topic;

	header.max_msg_nums = (int32_t)(1 + below(m, 32));
	header.queue_id = (int32_t)below(m, 5) - 1;
	pop(m->f, &header, &popped);
	for (size_t i = 0; i < popped.count; i++) {
		unsigned number = 0;
		for (size_t at = 0; at < popped.messages[i].body.size; at++)
			number = number * 10 + (popped.messages[i].body.data[at] - '0');
		CU_ASSERT_TRUE_FATAL(number < m->sent);
		CU_ASSERT_FALSE(m->acked[number]);
		CU_ASSERT_TRUE(m->taken_until[number] <= m->f->clock.wall_now_ms);
		m->taken_until[number] = m->f->clock.wall_now_ms + INVISIBLE_MS;
		if (m->held_count < MODEL_HELD)
			m->held[m->held_count++] = (struct held){ handle_of(&popped, i, false), number, m->taken_until[number] };
	}
}

static void model_settle(struct model *m)
{
	struct pop_changed changed;
	struct outcome outcome = { 0 };

	if (m->held_count == 0)
		return;
	size_t at = below(m, (uint32_t)m->held_count);
	struct held held = m->held[at];
	m->held[at] = m->held[--m->held_count];
	if (held.due_ms <= m->f->clock.wall_now_ms)
		return; /* Forgotten by its client. */
	if (below(m, 4) == 0) {
		CU_ASSERT_EQUAL(core_pop_change(m->f->core, &held.handle, 3000, &changed, &outcome), ST_OK);
		m->taken_until[held.number] = m->f->clock.wall_now_ms + 3000;
		return;
	}
	CU_ASSERT_EQUAL(ack(m->f, &held.handle), RESP_SUCCESS);
	m->acked[held.number] = true;
}

static void model_step(struct model *m)
{
	char key[16];

	switch (below(m, 12)) {
	case 0:
	case 1:
	case 2:
		if (m->sent == MODEL_MESSAGES)
			break;
		snprintf(key, sizeof(key), "%u", m->sent++);
		send(m->f, key, (int32_t)below(m, 4));
		break;
	case 3:
	case 4: model_pop(m); break;
	case 5: fixture_advance(m->f, 10 * (1 + below(m, 100))); break;
	case 6:
		if (below(m, 20) == 0)
			fixture_snapshot(m->f);
		if (below(m, 20) == 0)
			fixture_restart(m->f);
		break;
	default: model_settle(m); break;
	}
}

static void test_random_pops(void)
{
	struct model *m = calloc(1, sizeof(*m));
	struct group_config group = group_config_default();
	struct outcome outcome = { 0 };
	unsigned left = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	m->random = check_seed(610);
	m->f = fixture_create(NULL);
	group.retry_max_times = 10000;
	CU_ASSERT_EQUAL(core_put_group(m->f->core, SPAN_LITERAL("readers"), &group, &outcome), ST_OK);
	send(m->f, "0", 0);
	m->sent = 1;
	for (int i = 0; i < 4000; i++)
		model_step(m);
	/* Whatever is left comes in the end. */
	for (int i = 0; i < 40; i++) {
		m->held_count = 0;
		fixture_advance(m->f, INVISIBLE_MS + 200);
		for (int n = 0; n < 40; n++) {
			model_pop(m);
			while (m->held_count > 0)
				model_settle(m);
		}
	}
	for (unsigned i = 0; i < m->sent; i++)
		left += !m->acked[i];
	CU_ASSERT_EQUAL(left, 0);
	CU_ASSERT_EQUAL(m->f->core->pops.live, 0);
	fixture_destroy(m->f);
	free(m);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_each_message_is_given_out_once),
		CHECK_TEST(test_without_room_nothing_is_passed_over),
		CHECK_TEST(test_position_stays_behind_the_oldest),
		CHECK_TEST(test_handles_that_do_not_fit_are_refused),
		CHECK_TEST(test_what_lapses_comes_again),
		CHECK_TEST(test_what_lapses_is_read_from_the_disk),
		CHECK_TEST(test_a_damaged_message_is_passed_over),
		CHECK_TEST(test_a_message_that_became_too_large_waits),
		CHECK_TEST(test_invisible_time_is_changed),
		CHECK_TEST(test_after_the_last_retry_it_is_dead),
		CHECK_TEST(test_the_same_attempt_after_the_clock_was_set_back),
		CHECK_TEST(test_a_clock_that_was_set_back_makes_no_wait_longer),
		CHECK_TEST(test_order_within_a_millisecond),
		CHECK_TEST(test_full_properties_come_again),
		CHECK_TEST(test_full_properties_become_a_dead_letter),
		CHECK_TEST(test_full_properties_are_sent_back),
		CHECK_TEST(test_a_deleted_group_leaves_no_check_outs),
		CHECK_TEST(test_order_holds_the_queue_up),
		CHECK_TEST(test_the_same_attempt_gets_the_same),
		CHECK_TEST(test_a_reset_forgets_check_outs),
		CHECK_TEST(test_long_polls_wake),
		CHECK_TEST(test_a_poll_ends_with_its_membership),
		CHECK_TEST(test_tags_and_first_positions),
		CHECK_TEST(test_retries_are_read_from_the_first_on),
		CHECK_TEST(test_random_pops),
		CHECK_TEST(test_an_offset_at_the_position_forgets_nothing),
		CHECK_TEST(test_limits_of_pops),
		CHECK_TEST(test_a_group_that_is_forbidden_a_topic_gets_nothing),
		CHECK_TEST(test_a_batch_with_an_old_handle_acknowledges_nothing),
		CHECK_TEST(test_a_batch_that_is_repeated_waits_for_the_first),
		CHECK_TEST(test_in_order_the_invisible_time_is_changed),
		CHECK_TEST(test_what_comes_again_is_not_filtered),
		CHECK_TEST(test_a_snapshot_knows_how_often_each_was_given_out),
		CHECK_TEST(test_a_replay_over_a_snapshot_counts_once),
		CHECK_TEST(test_a_repeated_ack_waits_and_moves_nothing_back),
		CHECK_TEST(test_a_batch_of_acks_wakes_who_waits_for_his_turn),
		CHECK_TEST(test_the_number_of_request_modes_is_bounded),
		CHECK_TEST(test_long_polls_of_other_queues_wake),
		CHECK_TEST(test_long_polls_of_other_attempts_wake),
		CHECK_TEST(test_what_lapses_in_order_wakes),
		CHECK_TEST(test_waiting_pops_are_told_of_the_end),
		CHECK_TEST(test_what_lapses_in_a_full_log_comes_once),
		CHECK_TEST(test_a_new_group_may_begin_at_the_last_message),
		CHECK_TEST(test_what_lapsed_is_not_given_out_in_its_place),
		CHECK_TEST(test_nothing_starves),
		CHECK_TEST(test_how_long_a_poll_waits),
	};
	return check_main("pop", tests, sizeof(tests) / sizeof(tests[0]));
}
