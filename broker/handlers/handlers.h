/* Requests of clients: one function per request code, one file per family.
 *
 * A handler decodes the request's header, calls the core, and writes the answer through `struct replies`. It keeps
 * nothing: a request that cannot be served now (ST_AGAIN) is run again from its frame. All handlers are listed in
 * dispatch.c. Pure as the core is: no socket is seen here.
 * Threads: the loop thread. */
#ifndef ESCROW_HANDLERS_H
#define ESCROW_HANDLERS_H

#include "broker/core/core.h"
#include "broker/handlers/relays.h"
#include "lib/base/logging.h"
#include "lib/wire/body_config.h"
#include "lib/wire/command.h"
#include "lib/wire/message.h"

struct hold;
struct pop_wait;
struct topic_queues;

/* Where answers go; the shell's. An answer with wait_offset leaves once that is committed. */
struct replies {
	void *context;
	/* The buffer to append one whole command to, or NULL when the connection is gone. Follow with `end`. */
	struct buffer *(*begin)(void *context, uint64_t conn_id, uint64_t wait_offset);
	void (*end)(void *context);
	/* Does so much wait to be read by the peer that more of what can wait is to come later? NULL: never. */
	bool (*full)(void *context, uint64_t conn_id);
};

/* The options of the broker; the shell's, and not there in tests without one. */
struct config_port {
	void *context;
	/* Takes in "key=value" lines, all of them or none. ST_OK, or a refusal. */
	enum status (*update)(void *context, struct span properties, struct outcome *outcome);
	/* Appends such lines. */
	void (*print)(void *context, struct buffer *out);
	struct data_version (*version)(void *context);
};

/* What the shell sees of the machine; not there in tests without one. */
struct machine_facts {
	uint64_t disk_bytes, disk_free_bytes; /* Of the file system of the store. */
	uint32_t connections;
	unsigned disk_level;                  /* enum disk_level. */
	bool oplog;                           /* There is an op log in MySQL: how far it is behind the log, ... */
	uint64_t oplog_lag_bytes, oplog_rows, oplog_failures;
};
struct machine_port {
	void *context;
	struct machine_facts (*look)(void *context);
};

struct key_hits;
struct key_query;
struct request;

/* The key index; the shell's. */
struct key_port {
	void *context;
	/* The answer to a request's search, valid until `done`. ST_AGAIN: it is under way, run the request again. */
	enum status (*find)(void *context, const struct request *request, const struct key_query *query,
			    struct key_hits *out);
	/* The hits before those; run the request again. */
	void (*find_more)(void *context, const struct request *request);
	void (*done)(void *context, const struct request *request);
};

/* The routes of other brokers' queues; the shell's, and not there in tests without one, nor without name servers. */
struct route_port {
	void *context;
	/* A topic's queues, valid during this turn; NULL: no route is known. ST_AGAIN: the name servers are being asked, run the
	 * request again. */
	enum status (*find)(void *context, struct span topic, const struct topic_queues **out);
};

/* What all handlers share; one per broker. */
struct handlers {
	struct core *core;
	struct replies replies;
	const char *broker_name;
	int32_t next_opaque;     /* Of requests that the broker begins. */
	struct relays relays;
	struct consume_report *reports; /* Answers to GET_BROKER_CONSUME_STATS that are being made. */
	struct config_port config;
	struct machine_port machine;
	struct key_port keys;
	struct route_port routes;
	struct log_gate unreadable_gate;
};

/* One request. */
struct request {
	const struct command *command;
	uint64_t conn_id;
	struct host peer;        /* bornHost of what it sends. */
	bool again;              /* It was parked and is run again. */
};

/* Serves a request. ST_OK: answered, or an answer is under way (a held pull), or none is due (one-way).
 * ST_AGAIN: nothing was done, run it again when what the core misses is there. */
enum status handlers_serve(struct handlers *handlers, const struct request *request) MUST_USE;

/* Refuses a request before it is looked at ("system busy"). */
void handlers_refuse(struct handlers *handlers, const struct request *request, int32_t code, const char *remark);

/* What was being made for a connection that is gone; everything. */
void reports_connection_gone(struct handlers *handlers, uint64_t conn_id);
void reports_clear(struct handlers *handlers);

/* Requests that the broker begins, and answers that come late; the core's effects. */
bool handlers_ask(struct handlers *handlers, uint64_t conn_id, uint64_t half_queue_offset, uint64_t half_offset);
void handlers_notify_consumer(struct handlers *handlers, uint64_t conn_id, struct span group);
void handlers_hold_ready(struct handlers *handlers, const struct hold *hold, bool expired);
bool handlers_pop_ready(struct handlers *handlers, const struct pop_wait *wait, bool expired);

/* --- for the handlers themselves ------------------------------------------------------------------------ */

typedef enum status (*handler)(struct handlers *handlers, const struct request *request);

/* Begins an answer; NULL when none is due or the connection is gone. */
struct buffer *answer_begin(struct handlers *handlers, const struct request *request, int32_t code, uint64_t wait_offset,
			    struct span remark, struct encoder *encoder);
/* Begins a success without fields: the body follows. NULL as answer_begin. */
struct buffer *answer_begin_body(struct handlers *handlers, const struct request *request, struct encoder *encoder);
void answer_end(struct handlers *handlers, struct encoder *encoder);
/* An answer without fields: success, or the refusal in `outcome`. */
enum status answer_outcome(struct handlers *handlers, const struct request *request, const struct outcome *outcome);
/* A header that does not decode: SYSTEM_ERROR with the reason. */
enum status answer_bad_header(struct handlers *handlers, const struct request *request, const struct errinfo *err);

enum status handle_send(struct handlers *handlers, const struct request *request);
enum status handle_send_reply(struct handlers *handlers, const struct request *request);
enum status handle_recall(struct handlers *handlers, const struct request *request);
enum status handle_send_back(struct handlers *handlers, const struct request *request);
enum status handle_end_transaction(struct handlers *handlers, const struct request *request);
enum status handle_resume_check(struct handlers *handlers, const struct request *request);
enum status handle_pull(struct handlers *handlers, const struct request *request);
enum status handle_pop(struct handlers *handlers, const struct request *request);
enum status handle_peek(struct handlers *handlers, const struct request *request);
enum status handle_notification(struct handlers *handlers, const struct request *request);
enum status handle_polling_info(struct handlers *handlers, const struct request *request);
enum status handle_pop_ack(struct handlers *handlers, const struct request *request);
enum status handle_pop_ack_batch(struct handlers *handlers, const struct request *request);
enum status handle_pop_change(struct handlers *handlers, const struct request *request);
enum status handle_query_assignment(struct handlers *handlers, const struct request *request);
enum status handle_set_request_mode(struct handlers *handlers, const struct request *request);
enum status handle_all_request_modes(struct handlers *handlers, const struct request *request);
enum status handle_query_offset(struct handlers *handlers, const struct request *request);
enum status handle_update_offset(struct handlers *handlers, const struct request *request);
enum status handle_search_offset(struct handlers *handlers, const struct request *request);
enum status handle_max_offset(struct handlers *handlers, const struct request *request);
enum status handle_min_offset(struct handlers *handlers, const struct request *request);
enum status handle_earliest_time(struct handlers *handlers, const struct request *request);
enum status handle_query_message(struct handlers *handlers, const struct request *request);
enum status handle_view_message(struct handlers *handlers, const struct request *request);
enum status handle_heartbeat(struct handlers *handlers, const struct request *request);
enum status handle_check_client(struct handlers *handlers, const struct request *request);
enum status handle_unregister(struct handlers *handlers, const struct request *request);
enum status handle_consumer_list(struct handlers *handlers, const struct request *request);
enum status handle_lock_queues(struct handlers *handlers, const struct request *request);
enum status handle_unlock_queues(struct handlers *handlers, const struct request *request);
enum status handle_create_topic(struct handlers *handlers, const struct request *request);
enum status handle_create_topics(struct handlers *handlers, const struct request *request);
enum status handle_get_topic(struct handlers *handlers, const struct request *request);
enum status handle_all_topics(struct handlers *handlers, const struct request *request);
enum status handle_create_group(struct handlers *handlers, const struct request *request);
enum status handle_create_groups(struct handlers *handlers, const struct request *request);
enum status handle_get_group(struct handlers *handlers, const struct request *request);
enum status handle_topic_stats(struct handlers *handlers, const struct request *request);
enum status handle_consume_stats(struct handlers *handlers, const struct request *request);
enum status handle_broker_consume_stats(struct handlers *handlers, const struct request *request);
enum status handle_time_span(struct handlers *handlers, const struct request *request);
enum status handle_query_queue(struct handlers *handlers, const struct request *request);
enum status handle_stats_data(struct handlers *handlers, const struct request *request);
enum status handle_consumer_connections(struct handlers *handlers, const struct request *request);
enum status handle_producer_connections(struct handlers *handlers, const struct request *request);
enum status handle_all_producers(struct handlers *handlers, const struct request *request);
enum status handle_consume_by_who(struct handlers *handlers, const struct request *request);
enum status handle_topics_by_consumer(struct handlers *handlers, const struct request *request);
enum status handle_subscription_by_consumer(struct handlers *handlers, const struct request *request);
enum status handle_runtime_info(struct handlers *handlers, const struct request *request);
enum status handle_ha_status(struct handlers *handlers, const struct request *request);
enum status handle_all_groups(struct handlers *handlers, const struct request *request);
enum status handle_delete_topic(struct handlers *handlers, const struct request *request);
enum status handle_delete_group(struct handlers *handlers, const struct request *request);
enum status handle_group_forbidden(struct handlers *handlers, const struct request *request);
enum status handle_clean(struct handlers *handlers, const struct request *request);
enum status handle_running_info(struct handlers *handlers, const struct request *request);
enum status handle_consume_directly(struct handlers *handlers, const struct request *request);
enum status handle_consumer_status(struct handlers *handlers, const struct request *request);
enum status handle_reset_offset(struct handlers *handlers, const struct request *request);
enum status handle_clone_offset(struct handlers *handlers, const struct request *request);
enum status handle_correction_offset(struct handlers *handlers, const struct request *request);
enum status handle_all_offsets(struct handlers *handlers, const struct request *request);
enum status handle_all_delay_offsets(struct handlers *handlers, const struct request *request);
enum status handle_update_config(struct handlers *handlers, const struct request *request);
enum status handle_get_config(struct handlers *handlers, const struct request *request);
enum status handle_system_topics(struct handlers *handlers, const struct request *request);

#endif
