/* Consuming by POP, as the tests of it do it: one group, "readers", pops one topic, "t", through a core over a memory disk. Each
 * question of POP (what is given out, what lapses, order, long polls, all of it at random) has a file of its own; what they share
 * is here, so that a test says what matters to it and not how a POP is put together. */
#ifndef ESCROW_TESTS_POP_FIXTURE_H
#define ESCROW_TESTS_POP_FIXTURE_H

#include "tests/unit/core/core_fixture.h"

#include "broker/core/pop.h"
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

/* Its first queue, in order. */
static const struct pop_header in_order = {
	.consumer_group = SPAN_LITERAL("readers"), .topic = SPAN_LITERAL("t"), .queue_id = 0, .max_msg_nums = 32,
	.invisible_ms = INVISIBLE_MS, .order = true,
};

static inline struct pop_request prepared(struct fixture *f, const struct pop_header *header)
{
	struct pop_request request;
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL_FATAL(core_prepare_pop(f->core, header, &request, &outcome), ST_OK);
	return request;
}

static inline void keep_text(char *out, size_t size, struct span text)
{
	snprintf(out, size, "%.*s", SPAN_ARGS(text));
}

static inline size_t pop(struct fixture *f, const struct pop_header *header, struct popped *out)
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

static inline bool is_retried(const struct message *message)
{
	return property_get(message->properties, PROPERTY_POP_CK).size > 0;
}

static inline struct pop_handle handle_of(const struct popped *popped, size_t i, bool order)
{
	const struct message *message = &popped->messages[i];

	return (struct pop_handle){
		.group = SPAN_LITERAL("readers"), .topic = is_retried(message) ? span_of("%RETRY%readers_t") : span_of("t"),
		.queue_id = message->queue_id, .offset = message->queue_offset, .pop_ms = popped->result.pop_ms,
		.invisible_ms = INVISIBLE_MS, .order = order,
	};
}

static inline int32_t ack(struct fixture *f, const struct pop_handle *handle)
{
	struct outcome outcome = { 0 };

	CU_ASSERT_NOT_EQUAL(core_pop_ack(f->core, handle, &outcome), ST_AGAIN);
	fixture_disk(f, true);
	return outcome.code;
}

/* The first `count` of what was given out; each must be taken. */
static inline void ack_first(struct fixture *f, const struct popped *popped, size_t count, bool order)
{
	for (size_t i = 0; i < count; i++) {
		struct pop_handle handle = handle_of(popped, i, order);
		CU_ASSERT_EQUAL(ack(f, &handle), RESP_SUCCESS);
	}
}

static inline int64_t position(struct fixture *f, const char *topic, int32_t queue_id)
{
	struct outcome outcome = { 0 };
	int64_t offset = -1;

	(void)!core_query_offset(f->core, SPAN_LITERAL("readers"), span_of(topic), queue_id, false, &offset, &outcome);
	return offset;
}

static inline void send(struct fixture *f, const char *key, int32_t queue_id)
{
	must_send(f, (struct sent){ .topic = "t", .key = key, .tag = "A", .queue_id = queue_id });
	fixture_disk(f, true);
}

static inline void send_several(struct fixture *f, int count)
{
	for (int i = 0; i < count; i++)
		send(f, "k", 0);
}

/* So many messages, which are all that there is to be given out. */
static inline void send_and_pop(struct fixture *f, const struct pop_header *header, int count, struct popped *out)
{
	send_several(f, count);
	CU_ASSERT_EQUAL_FATAL(pop(f, header, out), (size_t)count);
}

/* The invisible time of what was given out just now is over, and the core has seen that. */
static inline void lapse(struct fixture *f)
{
	fixture_advance(f, INVISIBLE_MS + 200);
}

/* How often the group's messages come again. */
static inline void set_retries(struct fixture *f, int32_t times)
{
	struct group_config group = group_config_default();
	struct outcome outcome = { 0 };

	group.retry_max_times = times;
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &group, &outcome), ST_OK);
}

#endif
