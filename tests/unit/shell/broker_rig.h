/* A whole broker (broker/shell) on the simulator's loop, network and disk, with a few clients: what modules promise holds only
 * if the broker calls them, in time and with the options it was given. Time is virtual, so time-outs cost nothing. */
#ifndef ESCROW_TESTS_BROKER_RIG_H
#define ESCROW_TESTS_BROKER_RIG_H

#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "broker/core/state.h"
#include "broker/shell/broker.h"
#include "lib/net/client.h"
#include "lib/wire/body_heartbeat.h"
#include "lib/wire/headers.h"
#include "tests/sim/drive.h"
#include "tests/sim/engine.h"
#include "tests/sim/net.h"
#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

enum { RIG_PORT = 10911, RIG_BODY_MAX = 64 * 1024, PATIENCE_MS = 60 * 1000, FOR_EVER_MS = 24 * 3600 * 1000 };

struct rig {
	struct report report;
	struct process *process;
	struct drive *drive;
	struct broker_config config; /* May be changed before rig_start. */
	struct broker *broker;       /* NULL: it has ended. */
	enum status end;
	char address[NET_ADDRESS_SIZE];
	int in_doubt_lines;          /* Of its log. */
};

/* A process with one connection to each address that it asks. */
struct peer {
	struct process *process;
	struct loop *loop;
	struct client *client;
	int answered;               /* Answers that came, */
	int refused;                /* and those of them that were SYSTEM_BUSY. */
	int32_t asked;              /* The last request that the broker made; 0: none. */
	int32_t code;               /* Of the last answer; -1: none came. */
	char body[RIG_BODY_MAX];    /* Of it; a text. */
	struct process *before;
};

/* What the machine's disk has: 1 TiB, and of that free. */
static uint64_t rig_free_bytes = (uint64_t)512 << 30;

int statvfs(const char *restrict path, struct statvfs *restrict out)
{
	(void)path;
	*out = (struct statvfs){ .f_frsize = 4096, .f_blocks = ((uint64_t)1 << 40) / 4096, .f_bfree = rig_free_bytes / 4096,
				 .f_bavail = rig_free_bytes / 4096 };
	return 0;
}

/* --- the broker -------------------------------------------------------------------------------------------------------- */

static inline void rig_on_loop_stopped(void *owner)
{
	struct rig *r = owner;
	struct process *before = process_switch(r->process);
	struct errinfo err;

	r->end = broker_close(r->broker, &err);
	r->broker = NULL;
	process_switch(before);
	net_process_died(r->process, false);
	process_end(r->process);
}

static inline void rig_on_log(void *context, const char *module, const char *event)
{
	(void)module;
	((struct rig *)context)->in_doubt_lines += strcmp(event, "transactions in doubt") == 0;
}

static inline void rig_begin(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	report_begin(&r->report, 1, false);
	engine_begin(1);
	net_begin();
	virtual_log_watch(rig_on_log, r);
	r->process = engine_add_process("broker");
	r->process->owner = r;
	r->process->loop_stopped = rig_on_loop_stopped;
	r->drive = drive_create();
	r->process->vfs = drive_vfs(r->drive);
	net_address(r->process, RIG_PORT, r->address);
	config_init(broker_config_spec(), &r->config);
	snprintf(r->config.broker_name, sizeof(r->config.broker_name), "broker-a");
	snprintf(r->config.broker_ip1, sizeof(r->config.broker_ip1), "%.*s", (int)strcspn(r->address, ":"), r->address);
	r->config.listen_port = RIG_PORT;
	r->config.mapped_file_size_commit_log = 4 << 20;
	r->config.tail_ring_size = 1 << 20;
	r->config.max_message_size = 256 * 1024;
}

static inline void rig_start(struct rig *r)
{
	struct errinfo err;

	process_begin(r->process);
	struct process *before = process_switch(r->process);
	CU_ASSERT_EQUAL_FATAL(broker_open(&r->config, &r->broker, &err), ST_OK);
	process_switch(before);
}

static inline void rig_open(struct rig *r)
{
	rig_begin(r);
	rig_start(r);
}

static inline void rig_on_signal(void *context)
{
	virtual_loop_signal(((struct rig *)context)->process->loop);
}

/* SIGTERM. */
static inline void rig_stop(struct rig *r)
{
	engine_at(r->process, engine_now_us(), rig_on_signal, r);
}

static inline void pass(int64_t ms)
{
	int64_t until_us = engine_now_us() + ms * 1000;

	while (engine_step(until_us))
		;
}

/* Lets time pass until `condition`, for PATIENCE_MS at most; gives the condition. */
#define PASS_UNTIL(condition)                                                                 \
	({                                                                                    \
		int64_t until_us_ = engine_now_us() + (int64_t)PATIENCE_MS * 1000;            \
		while (!(condition) && engine_step(until_us_))                                \
			;                                                                     \
		(condition);                                                                  \
	})

/* All peers have gone before. */
static inline void rig_close(struct rig *r)
{
	if (r->broker != NULL) {
		rig_stop(r);
		CU_ASSERT_TRUE(PASS_UNTIL(r->broker == NULL));
	}
	CU_ASSERT_EQUAL(r->end, ST_OK);
	drive_destroy(r->drive);
	net_end_all();
	engine_end();
	virtual_log_watch(NULL, NULL);
}

/* --- peers ------------------------------------------------------------------------------------------------------------- */

static inline void peer_on_request(void *context, struct client_conn *conn, const struct command *request)
{
	(void)conn;
	((struct peer *)context)->asked = request->code;
}

static inline void peer_on_answer(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct peer *p = context;

	(void)err;
	if (status != ST_OK)
		return;
	p->answered++;
	p->refused += answer->code == RESP_SYSTEM_BUSY;
	p->code = answer->code;
	snprintf(p->body, sizeof(p->body), "%.*s", SPAN_ARGS(answer->body));
}

static inline void peer_start(struct peer *p, const char *name)
{
	struct client_config config = { .name = "client" };
	struct client_callbacks callbacks = { p, peer_on_request, NULL };

	memset(p, 0, sizeof(*p));
	p->code = -1;
	p->process = engine_add_process(name);
	process_begin(p->process);
	p->before = process_switch(p->process);
	p->loop = loop_create();
	p->client = client_create(p->loop, &config, &callbacks);
	process_switch(p->before);
}

/* As kill -9 does: the broker learns it from its connection. */
static inline void peer_die(struct peer *p)
{
	net_process_died(p->process, false);
	process_end(p->process);
	p->before = process_switch(p->process);
	client_destroy(p->client);
	loop_destroy(p->loop);
	process_switch(p->before);
}

/* Begins a request; put fields and body, then peer_post. */
static inline struct encoder *peer_begin(struct peer *p, const char *address, int32_t code)
{
	struct errinfo err;

	p->before = process_switch(p->process);
	struct encoder *encoder = client_begin(p->client, address, code, false, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(encoder);
	return encoder;
}

static inline void peer_post(struct peer *p)
{
	client_send(p->client, FOR_EVER_MS, peer_on_answer, p);
	virtual_loop_end_turn(p->loop);
	process_switch(p->before);
}

/* Sends what peer_begin began; the code of its answer, -1 if none came. */
static inline int32_t peer_wait(struct peer *p)
{
	int answered = p->answered;

	peer_post(p);
	return PASS_UNTIL(p->answered > answered) ? p->code : -1;
}

/* A request with these fields (name, value, ..., NULL; or NULL) and body. */
static inline void peer_put(struct peer *p, const char *address, int32_t code, const char *const *fields, const char *body)
{
	struct encoder *encoder = peer_begin(p, address, code);

	for (; fields != NULL && fields[0] != NULL; fields += 2)
		command_put_text(encoder, fields[0], fields[1]);
	command_body(encoder);
	buffer_append_text(encoder->out, body);
}

static inline int32_t peer_ask(struct peer *p, const char *address, int32_t code, const char *const *fields, const char *body)
{
	peer_put(p, address, code, fields, body);
	return peer_wait(p);
}

/* --- requests ---------------------------------------------------------------------------------------------------------- */

/* A message of `size` bytes for queue 0 of "orders", with the key "k". */
static inline void put_message(const struct rig *r, struct peer *p, size_t size, bool half)
{
	struct send_header header = { .producer_group = SPAN_LITERAL("g"), .topic = SPAN_LITERAL("orders"),
				      .default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
				      .born_timestamp = 1,
				      .sys_flag = half ? SYSFLAG_TRANSACTION_PREPARED : 0, .max_reconsume_times = -1,
				      .properties = half ? SPAN_LITERAL("TRAN_MSG\001true\002PGROUP\001g\002KEYS\001k\002")
							 : SPAN_LITERAL("KEYS\001k\002") };
	struct encoder *encoder = peer_begin(p, r->address, REQ_SEND_MESSAGE_V2);

	send_header_encode(encoder, REQ_SEND_MESSAGE_V2, &header);
	command_body(encoder);
	uint8_t *body = buffer_reserve(encoder->out, size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(body);
	memset(body, 'x', size);
	buffer_commit(encoder->out, size);
}

static inline int32_t send_message(const struct rig *r, struct peer *p, size_t size)
{
	put_message(r, p, size, false);
	return peer_wait(p);
}

/* A pull of the first messages of that queue. */
static inline void put_pull(const struct rig *r, struct peer *p)
{
	struct pull_header header = { .consumer_group = SPAN_LITERAL("readers"), .topic = SPAN_LITERAL("orders"),
				      .max_msg_nums = 32, .subscription = SPAN_LITERAL("*"), .sys_flag = PULL_SUBSCRIPTION, .max_msg_bytes = -1 };

	pull_header_encode(peer_begin(p, r->address, REQ_PULL_MESSAGE), &header);
}

static inline void put_key_query(const struct rig *r, struct peer *p)
{
	struct query_message_header header = { .topic = SPAN_LITERAL("orders"), .key = SPAN_LITERAL("k"), .max_num = 8,
					       .end_timestamp = INT64_MAX };

	query_message_encode(peer_begin(p, r->address, REQ_QUERY_MESSAGE), &header);
}

/* Makes the peer a consumer of "orders", in the group "readers". */
static inline int32_t beat_as_consumer(const struct rig *r, struct peer *p, const char *client_id)
{
	struct subscription_data subscription = { .topic = SPAN_LITERAL("orders"), .sub_string = SPAN_LITERAL("*") };
	struct consumer_data consumer = { .group_name = SPAN_LITERAL("readers"), .consume_type = CONSUME_PASSIVELY,
					  .message_model = MODEL_CLUSTERING, .subscriptions = &subscription,
					  .subscription_count = 1 };
	struct heartbeat beat = { .client_id = span_of(client_id), .consumers = &consumer, .consumer_count = 1 };
	struct encoder *encoder = peer_begin(p, r->address, REQ_HEART_BEAT);

	command_body(encoder);
	heartbeat_encode(encoder->out, &beat);
	return peer_wait(p);
}

#endif
