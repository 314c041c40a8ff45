/* What goes over the wire? Requests of a transactional producer, encoded once and patched per transaction, and a
 * scanner that takes from a header only what a load generator or an echo server needs.
 *
 * It shares no code with the broker's codecs on purpose: a generator that decodes with the broker's own decoder
 * cannot notice that both are wrong in the same way. Widths are fixed (an opaque always has ten digits, a key 32 hex
 * digits), so patching writes a few bytes into a copy of the template.
 * Threads: templates are read-only once made; the rest is pure. */
#ifndef ESCROW_BENCH_FRAMES_H
#define ESCROW_BENCH_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"

enum {
	CODE_PULL = 11,
	CODE_HEART_BEAT = 34,
	CODE_END_TRANSACTION = 37,
	CODE_CHECK_TRANSACTION_STATE = 39,
	CODE_GET_ROUTE = 105,
	CODE_SEND_V2 = 310,
	FLAG_RESPONSE = 1,
	FLAG_ONEWAY = 2,
	RESPONSE_TOPIC_NOT_EXIST = 17,
	RESPONSE_PULL_NOT_FOUND = 19,
	RESPONSE_PULL_RETRY = 20,
	RESPONSE_PULL_OFFSET_MOVED = 21,
	OPAQUE_BASE = 1000000000, /* The smallest number with ten digits. */
	UNIQ_KEY_SIZE = 32,
	FRAME_LIMIT = 16 * 1024 * 1024,
};

/* What one run sends. Texts are borrowed while the templates are made. */
struct frames_options {
	const char *group;
	const char *topic;
	uint32_t queue_count;  /* 1..10: a queue id is one digit. */
	size_t body_size;
	uint64_t run_id;       /* First half of every unique key. */
	bool transactional;    /* Half messages; otherwise plain sends. */
	bool end_oneway;
};

struct frames {
	struct buffer send;      /* The whole frame, body included. */
	size_t send_opaque_at, send_queue_at, send_born_at, send_key_at;
	struct end_template {
		struct buffer head;  /* Up to the commit log offset. */
		struct buffer middle; /* Up to the half-queue offset. */
		struct buffer tail;
		size_t message_id_at, transaction_id_at, opaque_at; /* In middle, tail, tail. */
	} ends[2];               /* [0] commit, [1] rollback. */
};

enum status frames_init(struct frames *frames, const struct frames_options *options, struct errinfo *err) MUST_USE;
void frames_deinit(struct frames *frames);

/* Append one request. False if memory is short. */
bool frames_put_send(const struct frames *frames, struct buffer *out, uint32_t opaque, uint32_t queue_id,
		     int64_t born_ms, uint64_t key) MUST_USE;
bool frames_put_end(const struct frames *frames, struct buffer *out, uint32_t opaque, bool commit, int64_t half_offset,
		    int64_t queue_offset, uint64_t run_id, uint64_t key) MUST_USE;
bool frames_put_heartbeat(struct buffer *out, uint32_t opaque, const char *client_id, const char *group) MUST_USE;
/* Asks for at most `count` messages of one queue from `offset` on, of any tag, without waiting for what is to come. */
bool frames_put_pull(struct buffer *out, uint32_t opaque, const char *group, const char *topic, uint32_t queue_id,
		     int64_t offset, uint32_t count) MUST_USE;
bool frames_put_route_request(struct buffer *out, uint32_t opaque, const char *topic) MUST_USE;

/* run_id and key as 32 upper-case hex digits. No NUL. */
void frames_key_text(char out[UNIQ_KEY_SIZE], uint64_t run_id, uint64_t key);
/* `value` as `digits` decimal digits, leading zeros included. No NUL. */
void frames_decimal(char *out, uint32_t digits, uint64_t value);

/* Of one header, what is of use here. Spans borrow from the frame and hold JSON escapes as they came. */
struct header {
	int32_t code;
	uint32_t opaque;
	uint32_t flag;
	bool has_queue_offset;
	int64_t queue_offset;
	int64_t next_offset;        /* nextBeginOffset of a pull; -1: none. */
	struct span remark;
	struct span message_id;     /* msgId */
	struct span transaction_id; /* transactionId */
	struct span properties;     /* "i" of a V2 send */
	struct span body;
};

/* The size of the first frame in `input`, 0 while its length word is incomplete, SIZE_MAX if it is no frame. */
size_t frames_next(struct span input);
/* Scans a complete frame. False with *reason set if it is not a JSON command. */
bool frames_scan(struct span frame, struct header *out, const char **reason) MUST_USE;
/* The commit log offset in an offset message id (its last 16 hex digits); -1 if it is none. */
int64_t frames_log_offset(struct span message_id);

#endif
