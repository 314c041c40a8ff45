/* A client for tests that shows every byte: one blocking connection, requests by hand, and programs of ours started and
 * killed. Aborts the test program with a message when something is not as it must be (a broker that does not start). */
#ifndef ESCROW_TESTS_RAWCLIENT_H
#define ESCROW_TESTS_RAWCLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/wire/command.h"

/* --- programs --- */

struct program {
	pid_t pid;
	unsigned port;     /* From its "ready" line. */
	char ready[256];   /* That line. */
};
/* Starts $ESCROW_BUILD/<argv[0]> (default build/) with its standard error in `log_path`, waits for "ready". */
struct program program_start(const char *const argv[], const char *log_path);
/* Runs it to its end: exit code, and the end of what it said, on either output, into `said`. */
int program_run(const char *const argv[], char *said, size_t said_size);
/* Sends the signal and waits; returns the exit code, or 128 + signal. *took_ms (may be NULL): how long that took. */
int program_stop(struct program *program, int signal_number, int64_t *took_ms);
bool program_alive(const struct program *program);

/* --- connections --- */

struct raw;

/* NULL if nobody listens. */
struct raw *raw_connect(unsigned port);
/* Ends the test program with status 2 instead. */
struct raw *raw_must_connect(unsigned port);
void raw_close(struct raw *raw);
/* Begins a request; put fields and body, then raw_send. */
struct encoder *raw_begin(struct raw *raw, int32_t code, bool oneway);
/* Sends it; returns its opaque. False: the connection is gone. */
bool raw_send(struct raw *raw, int32_t *opaque_out);
/* Sends bytes as they are. */
bool raw_send_bytes(struct raw *raw, const void *data, size_t size);
/* The next command, request or response; valid until the next call. NULL: time is up, or the connection is gone. */
const struct command *raw_receive(struct raw *raw, int64_t timeout_ms);
/* raw_send, then the response to it. */
const struct command *raw_call(struct raw *raw, int64_t timeout_ms);
/* True if the peer has closed. */
bool raw_closed(struct raw *raw, int64_t timeout_ms);

/* --- requests that tests need everywhere --- */

/* Registers as a producer of the group. */
bool raw_heartbeat(struct raw *raw, const char *client_id, const char *group);
struct raw_half {
	int64_t queue_offset;
	int64_t log_offset;
};
struct raw_message {
	const char *group, *topic, *key;
	size_t size;     /* Of the body. */
	int queue_id;
	int delay_level; /* 0: none. */
	bool half;
};
/* Sends any message; the response code, -1 if none came. */
int raw_send_message(struct raw *raw, const struct raw_message *message, struct raw_half *out);
/* A half of queue 0 without waiting for its answer. */
bool raw_half_post(struct raw *raw, const char *group, const char *topic, const char *key, size_t size);
/* `count` of them in one piece, with the keys "<key>0", "<key>1", ... */
bool raw_half_post_many(struct raw *raw, const char *group, const char *topic, const char *key, size_t size, unsigned count);
/* Sends a half message of queue 0 (UNIQ_KEY `key`, body of `size` bytes); the response code, -1 if none came. */
int raw_half_send(struct raw *raw, const char *group, const char *topic, const char *key, size_t size, struct raw_half *out);
/* END_TRANSACTION (8 commit, 12 rollback, 0 unknown), two-way; the response code, -1 if none came. */
int raw_end(struct raw *raw, const char *group, const char *key, const struct raw_half *half, int outcome);
/* The same without naming the transaction and without waiting for the answer. */
bool raw_end_post(struct raw *raw, const char *group, const struct raw_half *half, int outcome);
struct check_transaction_header;
/* Answers a check-back one-way. False: the connection is gone. */
bool raw_answer_check(struct raw *raw, const char *group, const struct check_transaction_header *asked, int outcome);
/* A consumer group's offset of queue 0. Update: two-way, true if acknowledged. Query: -1 if none came. */
bool raw_update_offset(struct raw *raw, const char *group, const char *topic, int64_t offset);
int64_t raw_query_offset(struct raw *raw, const char *group, const char *topic);
bool raw_update_queue_offset(struct raw *raw, const char *group, const char *topic, int queue_id, int64_t offset);
int64_t raw_query_queue_offset(struct raw *raw, const char *group, const char *topic, int queue_id);
/* One pull from `offset`, waiting up to `wait_ms` for something to come. Calls back with each message; returns the next
 * offset to ask for, -1 on failure. */
struct message;
int64_t raw_pull(struct raw *raw, const char *group, const char *topic, int queue_id, int64_t offset, int64_t wait_ms,
		 void (*visit)(void *context, const struct message *message), void *context);
/* Reads a queue from its beginning to its end; calls back with each message's UNIQ_KEY. Returns the count, -1 on failure. */
int raw_read_queue(struct raw *raw, const char *group, const char *topic, int queue_id,
		   void (*visit)(void *context, struct span key), void *context);

/* True if the name server at `port` knows a route of the topic. */
bool raw_has_route(unsigned port, const char *topic);

int64_t raw_now_ms(void);

#endif
