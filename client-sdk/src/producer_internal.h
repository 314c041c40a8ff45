/* The parts of a producer, shared by producer.c (life), send.c (messages and halves), decision.c (END_TRANSACTION) and
 * check.c (check-backs).
 *
 * A send or a decision is a call: made on the application's thread, carried out by the loop, which has at most one
 * request or one timer under way for it and ends it by its deadline. Threads: said at each field. */
#ifndef ESCROW_SDK_PRODUCER_INTERNAL_H
#define ESCROW_SDK_PRODUCER_INTERNAL_H

#include <stdatomic.h>

#include "client-sdk/src/instance.h"
#include "client-sdk/src/message_internal.h"
#include "client-sdk/src/pool.h"
#include "client-sdk/src/retry.h"
#include "escrow/mysql.h"
#include "escrow/producer.h"
#include "lib/base/logging.h"
#include "lib/wire/msgid.h"
#include "lib/wire/names.h"

enum { PRODUCER_GROUP_SIZE = GROUP_NAME_MAX + 1 };

struct check_target; /* The barrier's database; barrier_check.c. */

struct producer_counters {
	atomic_uint_least64_t checks_received, checks_dropped, checks_committed, checks_rolled_back, checks_unknown,
		decisions_pending, decisions_conflicting, attempts_repeated;
};

struct escrow_producer {
	struct instance instance;
	struct letter start_letter;
	/* Settings: constant after the start. */
	char group[PRODUCER_GROUP_SIZE];
	struct span group_span;
	char **topics;
	size_t topic_count;
	escrow_check_fn check;
	void *check_context;
	struct check_target *barrier;
	int64_t send_timeout_ms;
	int64_t attempt_timeout_ms;
	size_t body_max;
	uint32_t calls_max;
	/* Any thread, under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t calls_ended;
	struct unique_id ids;
	uint32_t calls;
	bool stopping;
	struct producer_counters counters;
	struct pool *pool;
	/* The loop's. */
	struct send_call *waiting; /* Sends that wait for a route or a pause. */
	struct end_call *waiting_ends;
	uint32_t calls_in_loop;    /* With a request under way. */
	bool failing_calls;        /* Stopping: every call ends now. */
	uint32_t next_queue;
	struct log_gate drop_gate;
	struct check_job *checks;  /* Queued or running, by broker and offset. */
};

/* A message or a half on its way. */
struct send_call {
	struct call call;
	escrow_producer *producer;
	const escrow_message *message;
	enum attempt_kind kind;
	struct buffer properties;
	char unique_key[ESCROW_ID_SIZE];
	int64_t timeout_ms;
	/* The loop's. */
	struct send_call *prev, *next;
	bool in_list;
	struct loop_timer timer;
	int64_t deadline_ms;
	struct topic_route *route;
	unsigned attempts;
	bool pinned;                   /* What the last attempt did is unknown: to the same broker and queue, nowhere else. */
	char avoid[BROKER_NAME_SIZE];  /* Failed just now: another one if there is one. */
	/* The attempt under way. */
	char broker_name[BROKER_NAME_SIZE];
	char address[BROKER_ADDRESS_SIZE];
	uint32_t disconnects;
	bool stood;                    /* The connection stood when it was sent. */
	bool may_be_stored;            /* Some attempt's outcome is unknown. */
	/* The end. */
	enum escrow_code code;
	struct escrow_error err;
	int32_t reply_code;
	char offset_id[ESCROW_ID_SIZE];
	int32_t queue_id;
	int64_t queue_offset;
	int64_t half_offset;
};

/* A decision on its way. */
struct end_call {
	struct call call;
	escrow_producer *producer;
	const struct escrow_transaction *transaction;
	int32_t outcome; /* TRANSACTION_COMMIT or TRANSACTION_ROLLBACK. */
	int64_t timeout_ms;
	/* The loop's. */
	struct end_call *prev, *next;
	bool in_list;
	struct loop_timer timer;
	int64_t deadline_ms;
	unsigned attempts;
	char address[BROKER_ADDRESS_SIZE];
	uint32_t disconnects;
	bool stood;
	/* The end. */
	enum escrow_transaction_state state;
	int response_code;
	char text[ESCROW_ERROR_TEXT_SIZE];
};

struct escrow_transaction {
	escrow_producer *producer;
	char id[ESCROW_ID_SIZE];
	char broker_name[BROKER_NAME_SIZE];
	char address[BROKER_ADDRESS_SIZE];
	char *topic;
	int64_t half_offset;
	int64_t half_queue_offset;
	int32_t asked; /* The decision that was asked for first; 0 none. */
};

/* producer.c: every call is bracketed by these, so that stopping can wait for them. ESCROW_STOPPED, ESCROW_BUSY. */
enum escrow_code producer_enter(escrow_producer *producer, struct escrow_error *err);
void producer_leave(escrow_producer *producer);
static inline int64_t producer_deadline(const escrow_producer *producer, int64_t deadline_ms)
{
	return deadline_ms > 0 ? deadline_ms : producer->send_timeout_ms;
}
static inline void count(atomic_uint_least64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* send.c; in the loop. */
void sends_on_route(escrow_producer *producer, struct topic_route *route);
void sends_fail_all(escrow_producer *producer);
/* Sends one half and fills the call; on the caller's thread, between enter and leave. */
enum escrow_code send_half(escrow_producer *producer, const escrow_message *message, int64_t deadline_ms,
			   struct send_call *call, struct escrow_error *err);
/* decision.c; in the loop. */
void ends_fail_all(escrow_producer *producer);
/* True if a request to `address`, sent when the connection stood or not, cannot have left this process. */
bool attempt_never_left(struct instance *instance, const char *address, bool stood, uint32_t disconnects);

/* check.c. */
bool checks_on_request(escrow_producer *producer, struct client_conn *conn, const struct command *request);
enum status checks_start(escrow_producer *producer, int threads, size_t queue_max, struct errinfo *err) MUST_USE;
/* What is left after the pool has stopped and the loop has ended. */
void checks_free(escrow_producer *producer);

/* barrier_check.c: the barrier as a check handler, on threads of the check pool. */
enum escrow_code check_target_create(const struct escrow_mysql_target *target, struct check_target **out,
				     struct escrow_error *err);
void check_target_destroy(struct check_target *target);
/* One connection per thread, made when needed. */
struct check_session *check_session_create(const struct check_target *target);
void check_session_destroy(struct check_session *session);
enum escrow_local_result check_session_ask(struct check_session *session, const char *transaction_id);

#endif
