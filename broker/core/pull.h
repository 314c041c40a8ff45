/* Reading a queue for a consumer: which messages does a pull get?
 *
 * Two steps, because the answer's header comes before its body: core_pull chooses and makes sure that every body is at
 * hand; core_pull_copy appends them, each with its place and name patched in. Only what is committed is seen.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_PULL_H
#define ESCROW_CORE_PULL_H

#include "broker/core/core.h"
#include "broker/core/pull_request.h"

struct cq_entry;
struct message;

/* One chosen message. */
struct pull_item {
	const uint8_t *message; /* In the log's tail; NULL: at cold_at of the scratch. */
	size_t cold_at;
	uint32_t size;
	uint64_t log_offset;      /* Its name. */
	uint64_t queue_offset;
	uint64_t prepared_offset; /* Of a transactional message: its half's; else 0. */
	int64_t store_time_ms;
};

struct pull_result {
	int32_t code;          /* SUCCESS, PULL_NOT_FOUND, PULL_RETRY_IMMEDIATELY, PULL_OFFSET_MOVED. */
	const char *remark;    /* RocketMQ's name of the status. */
	uint64_t next_offset;
	uint64_t min_offset;
	uint64_t max_offset;
	uint32_t item_count;
	size_t body_size;
};

/* ST_AGAIN: the first body is on disk only. Otherwise ST_OK, with the answer's code in the result, or a refusal. */
enum status core_pull(struct core *core, const struct pull_request *request, struct pull_result *result,
		      struct outcome *outcome) MUST_USE;
/* --- for wake.c: the message of an entry, if the log's tail has it. Borrowed until the next record is begun. */
bool pull_peek(const struct core *core, const struct cq_entry *entry, struct message *out);

/* Right after core_pull: appends the messages. */
void core_pull_copy(struct core *core, const struct pull_result *result, struct buffer *out);

#endif
