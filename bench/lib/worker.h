/* What a worker of load.h consists of: shared by what sets workers up (load.c) and what they do (worker.c).
 *
 * Threads: a worker belongs to its thread from load_start to load_join, but for `completed` and `finished`. */
#ifndef ESCROW_BENCH_WORKER_H
#define ESCROW_BENCH_WORKER_H

#include "bench/lib/load.h"

enum {
	WORKER_INPUT_SIZE = 1024 * 1024,
	WORKER_HEARTBEAT_SLOT = 0xffff, /* In an opaque; windows end below it. */
};

enum slot_state { SLOT_FREE, SLOT_HALF, SLOT_END, SLOT_SEND };

struct slot {
	uint32_t opaque; /* Of the outstanding request. */
	uint16_t generation;
	uint8_t state;
	bool commit;
	uint64_t key;
	int64_t due_ns;  /* The transaction's beginning, for its latency. */
	int64_t sent_ns; /* The outstanding request's. */
};

struct connection {
	int fd;
	uint32_t index;
	bool dirty;       /* In the worker's list of connections to write. */
	bool blocked;     /* The socket is full: waits for EPOLLOUT. */
	struct buffer out;
	struct buffer partial; /* The beginning of a frame whose rest has not come. */
	struct slot *slots;
	uint16_t *free_slots;  /* Open loop only. */
	uint32_t free_count;
};

struct refused {
	struct connection *connection;
	uint32_t slot;
};

struct worker {
	struct load *load;
	uint32_t index;
	pthread_t thread;
	int epoll;
	struct connection *connections;
	uint32_t connection_count;
	struct connection **dirty;
	uint32_t dirty_count;
	struct refused *refused;
	uint32_t refused_count;
	uint8_t *input;
	uint64_t started;       /* Numbers the keys. */
	uint32_t next_queue;
	uint32_t next_connection;
	uint32_t outstanding;
	int64_t now_ns, wall_offset_ms, begin_ns, retry_at_ns, heartbeat_at_ns;
	double interval_ns;     /* Open loop: between two of this worker's transactions. */
	uint64_t due_count;     /* Open loop: transactions whose time has been used. */
	enum load_phase phase;
	atomic_uint_fast64_t completed;
	atomic_bool finished;
	enum status status;
	struct errinfo error;
	struct load_totals totals;
};

struct load {
	struct load_options options;
	struct frames frames;
	uint64_t run_id;
	atomic_int phase;
	uint32_t workers_started;
	struct worker *workers;
};

/* The thread: runs until the phase is LOAD_STOP, or LOAD_DRAIN and all is answered, or a connection is lost. */
void *worker_main(void *worker);
/* epoll_ctl for a connection; on failure w->error says why. */
enum status worker_watch(struct worker *w, struct connection *c, uint32_t events, int operation) MUST_USE;
void load_count_error(struct load_totals *totals, const char *stage, int32_t code, uint64_t count, struct span remark);

#endif
