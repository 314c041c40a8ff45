/* Handlers over a core fixture: requests go in as commands, and what leaves on each connection is kept. */
#ifndef ESCROW_TESTS_HANDLERS_FIXTURE_H
#define ESCROW_TESTS_HANDLERS_FIXTURE_H

#include "broker/handlers/handlers.h"
#include "tests/unit/core/core_fixture.h"

enum { LINES = 16, OPERATOR = 3 };

/* What was written to a connection, one command each. */
struct outgoing {
	uint64_t conn_id;
	uint64_t wait_offset; /* It leaves once that is committed. */
	struct buffer frame;
	struct command command;
	struct command_scratch scratch;
};

struct bench {
	struct fixture *f;
	struct handlers handlers;
	struct outgoing out[LINES];
	size_t count;
	uint64_t gone; /* A connection that cannot be written to. */
	uint64_t full; /* One that has much to read already. */
	struct buffer in;
	struct command request;
	struct command_scratch scratch;
};

static inline struct buffer *sink_begin(void *context, uint64_t conn_id, uint64_t wait_offset)
{
	struct bench *b = context;

	if (conn_id == b->gone)
		return NULL;
	CU_ASSERT_TRUE_FATAL(b->count < LINES);
	b->out[b->count].conn_id = conn_id;
	b->out[b->count].wait_offset = wait_offset;
	buffer_reset(&b->out[b->count].frame);
	return &b->out[b->count].frame;
}

static inline void sink_end(void *context)
{
	struct bench *b = context;
	struct outgoing *out = &b->out[b->count++];

	CU_ASSERT_EQUAL_FATAL(command_decode(buffer_span(&out->frame), &out->scratch, &out->command, NULL), ST_OK);
}

static inline bool sink_full(void *context, uint64_t conn_id)
{
	return conn_id == ((struct bench *)context)->full;
}

/* The fixture is the bench's from now on. */
static inline struct bench *bench_over(struct fixture *f)
{
	struct bench *b = calloc(1, sizeof(*b));

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	b->f = f;
	b->handlers = (struct handlers){ .core = b->f->core, .replies = { b, sink_begin, sink_end, sink_full }, .broker_name = "a" };
	buffer_init(&b->in, 0);
	for (size_t i = 0; i < LINES; i++)
		buffer_init(&b->out[i].frame, 0);
	return b;
}

static inline struct bench *bench_open(void)
{
	return bench_over(fixture_create(NULL));
}

static inline void bench_close(struct bench *b)
{
	relays_clear(&b->handlers);
	reports_clear(&b->handlers);
	for (size_t i = 0; i < LINES; i++)
		buffer_deinit(&b->out[i].frame);
	buffer_deinit(&b->in);
	fixture_destroy(b->f);
	free(b);
}

/* The power goes, and comes again. */
static inline void bench_restart(struct bench *b)
{
	relays_clear(&b->handlers);
	reports_clear(&b->handlers);
	fixture_restart(b->f);
	b->handlers.core = b->f->core;
}

/* Serves a request with these fields (name, value, ..., NULL). */
static inline enum status bench_ask(struct bench *b, uint64_t conn_id, int32_t code, const char *const *fields, const char *body)
{
	struct encoder encoder;

	buffer_reset(&b->in);
	command_begin(&encoder, &b->in, SERIALIZE_JSON, code, 42, 0, SPAN_NONE);
	for (; fields != NULL && fields[0] != NULL; fields += 2)
		command_put_text(&encoder, fields[0], fields[1]);
	command_body(&encoder);
	buffer_append_text(&b->in, body);
	CU_ASSERT_TRUE_FATAL(command_end(&encoder));
	CU_ASSERT_EQUAL_FATAL(command_decode(buffer_span(&b->in), &b->scratch, &b->request, NULL), ST_OK);
	struct request request = { .command = &b->request, .conn_id = conn_id };
	b->count = 0;
	return handlers_serve(&b->handlers, &request);
}

/* Runs the request of the last bench_ask again. */
static inline enum status bench_ask_again(struct bench *b, uint64_t conn_id)
{
	struct request request = { .command = &b->request, .conn_id = conn_id, .again = true };

	return handlers_serve(&b->handlers, &request);
}

/* A client's response to what went out as number `to`. */
static inline bool bench_answer(struct bench *b, size_t to, int32_t code, const char *body)
{
	uint64_t conn_id = b->out[to].conn_id;
	struct encoder encoder;

	buffer_reset(&b->in);
	command_begin(&encoder, &b->in, SERIALIZE_JSON, code, b->out[to].command.opaque, COMMAND_RESPONSE, SPAN_LITERAL("said"));
	command_put_text(&encoder, "extra", "1");
	command_body(&encoder);
	buffer_append_text(&b->in, body);
	CU_ASSERT_TRUE_FATAL(command_end(&encoder));
	CU_ASSERT_EQUAL_FATAL(command_decode(buffer_span(&b->in), &b->scratch, &b->request, NULL), ST_OK);
	b->count = 0;
	return relays_answered(&b->handlers, conn_id, &b->request);
}

/* Consumers of "readers", on connections from 100 on. */
static inline void bench_consumer(struct bench *b, uint64_t conn_id, const char *client_id, int32_t language, int32_t version)
{
	struct consumer_data consumer = { .group_name = SPAN_LITERAL("readers"), .consume_type = CONSUME_PASSIVELY,
					  .message_model = MODEL_CLUSTERING };
	struct heartbeat heartbeat = { .client_id = span_of(client_id), .consumers = &consumer, .consumer_count = 1 };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_heartbeat(b->f->core, conn_id, &(struct host){ 0 }, language, version, &heartbeat, &outcome), ST_OK);
	fixture_disk(b->f, true);
}

#endif
