/* How does a service send a message that exists if, and only if, its local transaction committed?
 *
 * First the message goes to the broker in escrow (a "half": stored, invisible). Then the local transaction runs. Then
 * the decision, commit or rollback, goes to the broker and is acknowledged. If the decision never arrives, the broker
 * asks back (check-back), and the producer answers from a callback of yours, or, with escrow/mysql.h, from a row that
 * the local transaction wrote: no code of yours at all.
 *
 * Two forms. With a callback:
 *
 *     escrow_producer_send_in_transaction(producer, message, place_order, &order, 3000, &result, &err);
 *
 * or step by step, where the local transaction cannot be put into a function:
 *
 *     escrow_prepare(producer, message, 3000, &transaction, &err);
 *     ... the local transaction, with escrow_transaction_id(transaction) ...
 *     escrow_commit(transaction, 3000, &result, &err);
 *     escrow_transaction_release(transaction);
 *
 * A deadline is a number of milliseconds from the call; 0 means the producer's send_timeout_ms.
 * Threads: a producer may be used by any number of threads at once. Callbacks run on threads of the producer's check
 * pool (check) or on the calling thread (local transaction); they may use the producer, but not stop it. */
#ifndef ESCROW_PRODUCER_H
#define ESCROW_PRODUCER_H

#include "escrow/message.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct escrow_producer escrow_producer;
typedef struct escrow_transaction escrow_transaction;
struct escrow_mysql_target; /* escrow/mysql.h */

enum { ESCROW_ID_SIZE = 64 };

/* What became of the local transaction. Unknown is zero: forgetting to answer never commits. */
enum escrow_local_result { ESCROW_LOCAL_UNKNOWN = 0, ESCROW_LOCAL_COMMIT, ESCROW_LOCAL_ROLLBACK };

/* Answers a check-back: did the local transaction of this message commit? Runs on a thread of the check pool; may
 * block. UNKNOWN makes the broker ask again later. */
typedef enum escrow_local_result (*escrow_check_fn)(const escrow_message *message, const char *transaction_id,
						    void *context);

struct escrow_producer_config {
	size_t size;               /* Set by escrow_producer_config_init. */
	const char *name_servers;  /* "host:port;host:port"; all of them are tried. Mandatory. */
	const char *group;         /* The producer group: its members answer each other's check-backs. Mandatory. */
	/* Topics of the group: their brokers get heartbeats from the start, so that a restarted service that has not sent
	 * anything yet is asked about the transactions it left open. */
	const char *const *topics;
	size_t topic_count;
	/* How check-backs are answered: by a callback, or from the barrier table in the business database (which wins).
	 * With neither, check-backs are answered UNKNOWN. */
	escrow_check_fn check;
	void *check_context;
	const struct escrow_mysql_target *barrier; /* Copied. */
	int check_threads;         /* Default 4; with a barrier each has a database connection of its own once used. */
	int check_queue_max;       /* Check-backs waiting for a thread, default 2000; more are dropped and counted. */
	int64_t send_timeout_ms;   /* The default deadline, 3000. */
	int64_t attempt_timeout_ms; /* Wait for one answer before the next attempt, where repeating is safe; 1000. */
	size_t body_max;           /* Default 4 MiB. */
	int calls_max;             /* Calls in progress over all threads, default 4096; more fail with ESCROW_BUSY. */
	const char *instance_name; /* Part of the client id; default the process id and a counter. */
};

/* Zero is the default of every setting. `size` is sizeof(*config). */
ESCROW_API void escrow_producer_config_init(struct escrow_producer_config *config, size_t size);

/* Starts the I/O thread and the check pool. Does not wait for name servers or brokers: they may come later.
 * ESCROW_INVALID (a setting), ESCROW_NO_MEMORY. Any thread. */
ESCROW_API enum escrow_code escrow_producer_start(const struct escrow_producer_config *config, escrow_producer **out,
						  struct escrow_error *err);
/* Calls in progress end with ESCROW_STOPPED, running check callbacks are waited for, the brokers are told (for at most
 * deadline_ms), everything is freed. Transactions must have been released. NULL is allowed. Not from a callback. */
ESCROW_API void escrow_producer_stop(escrow_producer *producer, int64_t deadline_ms);

/* --- plain messages ------------------------------------------------------------------------------------------ */

struct escrow_send_result {
	char message_id[ESCROW_ID_SIZE]; /* UNIQ_KEY. */
	char offset_id[ESCROW_ID_SIZE];  /* Of the stored copy. */
	char broker_name[128];
	int queue_id;
	int64_t queue_offset;
	bool durable; /* False if the broker stored it but did not sync or replicate it in time. */
};

/* Sends and waits for the broker's answer. At least once: after a lost answer the message is sent again (first to
 * the same broker, then to others), so consumers may see two copies with one message id.
 * ESCROW_TIMEOUT, ESCROW_UNREACHABLE, ESCROW_NO_ROUTE, ESCROW_REFUSED, ESCROW_BUSY, ESCROW_STOPPED. Any thread. */
ESCROW_API enum escrow_code escrow_send(escrow_producer *producer, const escrow_message *message, int64_t deadline_ms,
					struct escrow_send_result *result, struct escrow_error *err);

/* --- transactions -------------------------------------------------------------------------------------------- */

/* Pending is zero, and no error: the decision is not confirmed, and the broker's check-back will finish it. */
enum escrow_transaction_state {
	ESCROW_PENDING = 0,
	ESCROW_COMMITTED,   /* Durable at the broker; consumers will see the message. */
	ESCROW_ROLLED_BACK, /* Durable at the broker; nobody will see it. */
	ESCROW_CONFLICTING  /* The opposite was decided before; `text` says what, when and by whom. */
};

struct escrow_transaction_result {
	enum escrow_transaction_state state;
	enum escrow_local_result local;      /* What the local transaction said. */
	char transaction_id[ESCROW_ID_SIZE]; /* UNIQ_KEY, also the delivered message's id. */
	char broker_name[128];
	char text[ESCROW_ERROR_TEXT_SIZE];   /* Why pending, or what is decided; "" otherwise. */
};

/* Runs the local transaction; called once, on the calling thread, after the message is in escrow. */
typedef enum escrow_local_result (*escrow_local_fn)(escrow_transaction *transaction, const escrow_message *message,
						    void *context);

/* Prepares, runs `local`, decides as it says. UNKNOWN leaves the transaction pending. The deadline holds for the
 * preparing and again for the deciding; the time of `local` is not counted.
 * ESCROW_OK with result->state; ESCROW_CONFLICT with state ESCROW_CONFLICTING; any other code: the message is not in
 * escrow and `local` was not called (with err->outcome_unknown a half may exist; check-back will roll it back, as the
 * barrier, or your check callback, finds no local transaction). Any thread. */
ESCROW_API enum escrow_code escrow_producer_send_in_transaction(escrow_producer *producer,
								const escrow_message *message, escrow_local_fn local,
								void *context, int64_t deadline_ms,
								struct escrow_transaction_result *result,
								struct escrow_error *err);

/* Puts the message in escrow. On ESCROW_OK the transaction must be released, before the producer is stopped.
 * After a lost answer the half is offered again to the same broker, which answers with the same half; another broker is
 * tried only when it is certain that the first stored nothing. Errors as escrow_send. Any thread. */
ESCROW_API enum escrow_code escrow_prepare(escrow_producer *producer, const escrow_message *message,
					   int64_t deadline_ms, escrow_transaction **out, struct escrow_error *err);
/* The id to store with the business data (escrow_barrier_insert). Valid as long as the transaction. */
ESCROW_API const char *escrow_transaction_id(const escrow_transaction *transaction);
/* Decides that the message becomes visible. Repeating is allowed: the same decision again is a no-op at the broker, so
 * a PENDING may be retried. ESCROW_OK with result->state COMMITTED / ROLLED_BACK / PENDING; ESCROW_CONFLICT with
 * CONFLICTING; ESCROW_INVALID after the opposite was asked for on this handle. One thread at a time per transaction. */
ESCROW_API enum escrow_code escrow_commit(escrow_transaction *transaction, int64_t deadline_ms,
					  struct escrow_transaction_result *result, struct escrow_error *err);
/* As escrow_commit; nothing becomes visible. */
ESCROW_API enum escrow_code escrow_rollback(escrow_transaction *transaction, int64_t deadline_ms,
					    struct escrow_transaction_result *result, struct escrow_error *err);
/* Frees the handle. An undecided transaction stays pending and is resolved by check-back. NULL is allowed. */
ESCROW_API void escrow_transaction_release(escrow_transaction *transaction);

/* --- what happened so far -------------------------------------------------------------------------------------- */

struct escrow_producer_stats {
	uint64_t checks_received;
	uint64_t checks_dropped;       /* The pool was full; the broker asks again. */
	uint64_t checks_committed;     /* Answers given. */
	uint64_t checks_rolled_back;
	uint64_t checks_unknown;
	uint64_t decisions_pending;    /* Decisions that ended as ESCROW_PENDING. */
	uint64_t decisions_conflicting;
	uint64_t attempts_repeated;    /* Requests sent again after a failure. */
	uint64_t heartbeats_acknowledged;
};
/* Any thread. */
ESCROW_API void escrow_producer_get_stats(const escrow_producer *producer, struct escrow_producer_stats *out);

#ifdef __cplusplus
}
#endif

#endif
