/* The parts of a push consumer: consumer.c (life, settings), rebalance.c (which queues are mine), queue.c (a queue's life
 * and its position at the broker), pull.c (fetching), consume.c (handing to the application, sending back).
 *
 * All state is the loop's; the pool's threads see a job's message, and whether its queue was dropped. */
#ifndef ESCROW_SDK_CONSUMER_INTERNAL_H
#define ESCROW_SDK_CONSUMER_INTERNAL_H

#include <stdatomic.h>

#include "client-sdk/src/instance.h"
#include "client-sdk/src/message_internal.h"
#include "client-sdk/src/pool.h"
#include "client-sdk/src/window.h"
#include "escrow/consumer.h"
#include "lib/wire/names.h"

enum {
	REQUEST_TIMEOUT_MS = 3000,
	PAUSE_MS = 1000,       /* After an answer that stops a queue. */
	PAUSE_BROKEN_MS = 200, /* After a lost connection. */
};

struct subscription {
	struct escrow_consumer *consumer;
	char topic[ROUTE_TOPIC_SIZE];
	char *expression;
	int64_t version;
	bool retry;                /* %RETRY%group: the library's own. */
	bool asking;               /* For the group's members. */
	struct topic_route *route;
};

struct queue_key {
	uint32_t subscription; /* Index. */
	int32_t queue_id;
	char broker_name[BROKER_NAME_SIZE]; /* Zero-filled. */
};

/* A queue assigned to us. */
struct queue {
	UT_hash_handle hh;
	struct queue *prev, *next; /* Among the dropped ones. */
	struct queue_key key;
	struct escrow_consumer *consumer;
	struct subscription *subscription;
	bool kept;             /* In the rebalance under way. */
	bool started;          /* Knows where to fetch from. */
	atomic_bool dropped;   /* Read by the pool's threads. */
	uint32_t requests;     /* Under way, of any kind. */
	uint32_t jobs;         /* In the pool, being sent back, or waiting for another try. */
	bool pulling;
	bool committing;
	bool last_word;        /* Given up while committing: where it is now is stored after that. */
	int64_t pulled_at_ms;
	int64_t committed;     /* Position that the broker has acknowledged. */
	int64_t committing_to;
	int64_t committed_at_ms; /* When it was last tried. */
	int64_t suggested_broker_id;
	struct window window;
	struct loop_timer timer;
};

/* One fetched message. */
struct consume_job {
	struct pool_job job; /* First: casts. */
	struct letter letter;
	struct window_entry entry;
	struct queue *queue;
	escrow_message *message; /* NULL: undecodable, goes to the dead letters. */
	int64_t physical_offset;
	enum escrow_consume_result result;
	bool discarded;          /* The pool stopped first, or the queue is not ours any more. */
	struct loop_timer timer;
};

struct consumer_counters {
	atomic_uint_least64_t received, done, retried, send_backs_failed, committed, rebalances;
	atomic_int_least64_t assigned;
};

struct escrow_consumer {
	struct instance instance;
	struct letter start_letter;
	/* Settings: constant after the start. */
	char group[GROUP_NAME_MAX + 1];
	struct span group_span;
	escrow_consume_fn consume;
	void *context;
	enum escrow_start_offset start;
	int64_t start_timestamp_ms;
	int max_reconsume_times;
	int retry_delay_level;
	int pull_batch;
	size_t queue_messages_max;
	size_t queue_bytes_max;
	size_t bytes_max;      /* Over all queues. */
	int64_t commit_interval_ms;
	struct pool *pool;
	struct consumer_counters counters;
	/* The loop's. */
	struct subscription *subscriptions;
	size_t subscription_count;
	struct subscription_data *heartbeat_subscriptions; /* Borrowing from the former. */
	struct consumer_data heartbeat_data;
	struct queue *queues;
	struct queue *dropped;
	size_t bytes;
	bool starved;          /* Some queue did not pull because of bytes_max. */
	bool stopping;
	struct loop_timer rebalance_timer;
	struct loop_timer rebalance_soon;
	struct loop_timer commit_timer;
};

static inline void count(atomic_uint_least64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* rebalance.c */
void rebalance_all(struct escrow_consumer *consumer);
void rebalance_topic(struct subscription *subscription);
void rebalance_in(struct escrow_consumer *consumer, int64_t after_ms);

/* queue.c */
struct queue *queue_find(struct escrow_consumer *consumer, const struct queue_key *key);
void queue_assign(struct subscription *subscription, const struct queue_key *key);
/* Gives the queue up: stores its position, lets its messages go. */
void queue_drop(struct queue *queue);
/* The same without a word of where we are: the broker knows better. */
void queue_let_go(struct queue *queue);
enum commit_reason {
	COMMIT_PROGRESS, /* A position that is stored already is stored again from time to time only. */
	COMMIT_GIVEN_UP, /* In any case: the next owner asks for it now. */
	COMMIT_GOODBYE,  /* In any case, and the end waits for it. */
};
void queue_commit(struct queue *queue, enum commit_reason reason);
/* Frees a dropped queue when nothing refers to it any more. */
void queue_release(struct queue *queue);
/* Frees it at the end, when no request, job or loop is left. */
void queue_destroy(struct queue *queue);
/* Calls `step` in a while, unless the queue is dropped. */
void queue_later(struct queue *queue, int64_t after_ms, loop_callback step);
/* Where its messages are: the broker that the last pull suggested, if `any`, or the master. NULL: unknown now. */
const char *queue_address(const struct queue *queue, bool any);

/* pull.c */
void queue_pull(void *queue);

/* consume.c */
enum status consume_start(struct escrow_consumer *consumer, int threads, struct errinfo *err) MUST_USE;
/* Takes the message over. ST_NOMEM: nothing was taken. */
enum status consume_submit(struct queue *queue, escrow_message *message, int64_t queue_offset, int64_t physical_offset,
			   size_t size) MUST_USE;
/* Queues that waited for memory of others are pulled again. */
void consume_pull_starved(struct escrow_consumer *consumer);
void consume_free_job(struct consume_job *job);

#endif
