/* Requests to the name server: decode, ask the tables, answer. Pure but for log lines. Threads: the loop thread. */
#ifndef ESCROW_NAMESRV_HANDLERS_H
#define ESCROW_NAMESRV_HANDLERS_H

#include "lib/base/logging.h"
#include "lib/wire/command.h"
#include "namesrv/kv.h"
#include "namesrv/route_table.h"

struct namesrv {
	struct route_table *routes;
	struct kv *kv;
	/* The options, which are the program's: appends key=value lines; takes such lines in, all or none (ST_DENIED: one that
	 * cannot be changed, ST_INVALID). NULL: there are none. */
	void *context;
	void (*print_config)(void *context, struct buffer *out);
	enum status (*update_config)(void *context, struct span text, struct errinfo *err);
	bool order_message_enable; /* Routes name the topic's entry in ORDER_TOPIC_CONFIG. */
	struct log_gate refusal_gate;
};

/* Serves one request; appends the answer to `out` unless it is one-way. */
void namesrv_serve(struct namesrv *namesrv, const struct command *request, uint64_t conn_id, const char *peer,
		   int64_t now_ms, struct buffer *out);
/* Log lines of brokers that go; for route_table_expire and route_table_connection_gone. */
void namesrv_broker_gone(void *context, struct span broker_name, struct span addr);

#endif
