/* The producer's insides, shared by its files: producer.c (life), send.c (messages and halves), transaction.c
 * (decisions), check.c (check-backs).
 *
 * A call of the application's makes an operation on its stack, posts it to the loop and sleeps until the loop has
 * finished it. An operation is finished only while no request of it is under way, so the transport never holds a
 * pointer to a finished one. Threads: the loop thread, unless said otherwise. */
#ifndef ESCROW_SDK_PRODUCER_H
#define ESCROW_SDK_PRODUCER_H

#include "client-sdk/src/sdk_instance.h"
#include "client-sdk/src/sdk_message.h"
#include "client-sdk/src/sdk_pool.h"
#include "escrow/mysql.h"
#include "escrow/producer.h"
#include "lib/wire/msgid.h"

struct operation {
	struct letter letter;
	struct operation *prev, *next; /* In producer->waiting. */
	struct escrow_producer *producer;
	void (*step)(struct operation *operation); /* Tries (again). */
	int64_t started_ms;  /* Set by the loop. */
	int64_t deadline_ms; /* Relative in the call, absolute in the loop. */
	int64_t next_step_ms;
	bool waiting;
	pthread_mutex_t lock;
	pthread_cond_t finished;
	bool done;
	struct escrow_error err; /* code ESCROW_OK: success. */
};

struct send_operation {
	struct operation operation;
	const struct escrow_message *message;
	struct buffer properties;
	char id[UNIQUE_ID_TEXT_SIZE];
	bool half;
	/* The attempt under way. */
	struct sdk_topic *topic;
	struct sdk_broker *broker;
	int32_t queue_id;
	bool was_connected;
	uint64_t disconnects_before;
	/* The attempts before. */
	struct sdk_broker *uncertain; /* This broker may hold the message. */
	int uncertain_attempts;
	int refusals;
	uint64_t route_failures_before;
	bool stepped;
	/* The answer. */
	struct escrow_send_result result;
	int64_t log_offset;
};

struct end_operation {
	struct operation operation;
	const struct escrow_transaction *transaction;
	bool commit;
	enum escrow_transaction_state state;
	char text[ESCROW_ERROR_TEXT_SIZE];
};

struct escrow_transaction {
	struct escrow_producer *producer;
	char id[UNIQUE_ID_TEXT_SIZE];
	char topic[MESSAGE_TOPIC_MAX + 1];
	char broker_name[SDK_BROKER_NAME_SIZE];
	int64_t half_queue_offset;
	int64_t log_offset;
	enum escrow_local_result asked; /* What commit or rollback was called for. */
};

struct producer_counters {
	atomic_uint_fast64_t received, dropped, committed, rolled_back, unknown, pending, conflicting, repeated;
};

struct escrow_producer {
	struct sdk_instance instance;
	char *group;
	struct span group_span;
	escrow_check_fn check;
	void *check_context;
	bool has_barrier;
	struct escrow_mysql_target barrier; /* Owned texts. */
	int64_t send_timeout_ms;
	int64_t attempt_timeout_ms;
	size_t body_max;
	long calls_max;
	atomic_long calls;
	atomic_bool stopping;
	struct letter stop_letter;
	int64_t stop_deadline_ms;
	int64_t stop_at_ms; /* Loop: when to give up waiting for the brokers; 0: not stopping. */
	struct operation *waiting;
	struct sdk_pool *pool;
	atomic_long checks_out; /* Check jobs that have not come back to the loop. */
	pthread_mutex_t ids_lock;
	struct unique_id ids;
	struct producer_counters counters;
};

/* Any thread: runs the operation and returns its code; *err (may be NULL) gets the failure. */
enum escrow_code operation_run(struct escrow_producer *producer, struct operation *operation, int64_t deadline_ms,
			       struct escrow_error *err);
/* Ends the operation; operation->err says how. */
void operation_finish(struct operation *operation);
/* Steps again at `at_ms`, or ends with ESCROW_STOPPED / ESCROW_TIMEOUT: `why` is the text of the latter. */
void operation_wait(struct operation *operation, int64_t at_ms);
/* How long the next attempt may take. */
int64_t operation_attempt_ms(const struct operation *operation);

/* Any thread. */
enum escrow_code send_and_wait(struct escrow_producer *producer, const struct escrow_message *message, bool half,
			       int64_t deadline_ms, struct send_operation *operation, struct escrow_error *err);
/* CHECK_TRANSACTION_STATE arrived. */
void check_request(struct escrow_producer *producer, struct client_conn *conn, const struct command *request);
/* Fills the check pool's configuration. */
enum status check_pool_create(struct escrow_producer *producer, int threads, size_t queue_max, struct errinfo *err);

/* Any thread of the check pool; `conn` is its own connection, opened when NULL. */
struct db_conn;
enum escrow_local_result barrier_check(const struct escrow_mysql_target *target, struct db_conn **conn,
				       const char *transaction_id);

#endif
