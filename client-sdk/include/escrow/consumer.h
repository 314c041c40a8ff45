/* How does a service receive messages? A concurrent push consumer: the members of a group share the queues of its
 * topics, messages are fetched ahead within limits, and a pool of threads hands them to a callback.
 *
 * Delivery is at least once: after a crash, or when queues move to another member, a message may come again. With
 * escrow_once (escrow/mysql.h) inside the callback's own database transaction the effect is exactly once.
 * Threads: the callback runs on up to `threads` threads at once. The other functions: any thread, but
 * escrow_consumer_stop not from the callback. */
#ifndef ESCROW_CONSUMER_H
#define ESCROW_CONSUMER_H

#include "escrow/message.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct escrow_consumer escrow_consumer;

/* Retry is zero: forgetting to answer never loses a message. */
enum escrow_consume_result {
	ESCROW_CONSUME_RETRY = 0, /* Comes again after a while (10 s, 30 s, 1 min, ...), then goes to the dead letters. */
	ESCROW_CONSUME_DONE
};
typedef enum escrow_consume_result (*escrow_consume_fn)(const escrow_message *message, void *context);

/* Where a group starts in a queue that it has no position in. */
enum escrow_start_offset {
	ESCROW_START_LAST = 0, /* With what arrives from now on (a young queue from its beginning, as in RocketMQ). */
	ESCROW_START_FIRST,
	ESCROW_START_TIMESTAMP
};

struct escrow_subscription {
	const char *topic;
	const char *expression; /* Tags: NULL or "*" for all, or "a || b". */
};

struct escrow_consumer_config {
	size_t size;               /* Set by escrow_consumer_config_init. */
	const char *name_servers;  /* "host:port;host:port". Mandatory. */
	const char *group;         /* Mandatory. */
	const struct escrow_subscription *subscriptions; /* Mandatory, at least one. Copied. */
	size_t subscription_count;
	escrow_consume_fn consume; /* Mandatory. */
	void *context;
	int threads;               /* Default 4. */
	enum escrow_start_offset start;
	int64_t start_timestamp_ms; /* With ESCROW_START_TIMESTAMP: since 1970, UTC. */
	int max_reconsume_times;   /* Retries before the dead letters; default 16. */
	int retry_delay_level;     /* Delay level of retries; 0: the broker's growing delays. */
	int pull_batch;            /* Messages asked for at once, default 32. */
	int queue_messages_max;    /* Fetched and not consumed, per queue; default 1000. */
	size_t queue_bytes_max;    /* The same in bytes; default 16 MiB. */
	/* Positions that changed are stored at the broker this often (default 1000); others are repeated after five such
	 * intervals, should the broker have lost them. */
	int64_t commit_interval_ms;
	const char *instance_name;
};

/* Zero is the default of every setting. `size` is sizeof(*config). */
ESCROW_API void escrow_consumer_config_init(struct escrow_consumer_config *config, size_t size);
/* Starts the I/O thread and the pool; does not wait for servers. ESCROW_INVALID, ESCROW_NO_MEMORY. */
ESCROW_API enum escrow_code escrow_consumer_start(const struct escrow_consumer_config *config, escrow_consumer **out,
						  struct escrow_error *err);
/* Running callbacks are waited for, fetched messages are let go, positions are stored (acknowledged) and the brokers
 * told, the latter for at most deadline_ms. NULL is allowed. */
ESCROW_API void escrow_consumer_stop(escrow_consumer *consumer, int64_t deadline_ms);

struct escrow_consumer_stats {
	uint64_t messages_received;
	uint64_t messages_done;
	uint64_t messages_retried;   /* Sent back to the retry topic. */
	uint64_t send_backs_failed;  /* Kept here and tried again after 5 s. */
	uint64_t positions_committed; /* Acknowledged by the broker. */
	uint64_t queues_assigned;    /* Now. */
	uint64_t rebalances;
};
/* Each number is exact; together they are not one moment's. Any thread. */
ESCROW_API void escrow_consumer_get_stats(const escrow_consumer *consumer, struct escrow_consumer_stats *out);

#ifdef __cplusplus
}
#endif

#endif
