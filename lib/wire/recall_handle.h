/* What does the sender of a timer message get to recall it with? RocketMQ's RecallMessageHandle: URL-safe base64 of
 * `v1 topic brokerName timestamp uniqKey`. Clients hand it back as it is; Java's and the gRPC proxy look into it for the
 * broker. Threads: pure. */
#ifndef ESCROW_WIRE_RECALL_HANDLE_H
#define ESCROW_WIRE_RECALL_HANDLE_H

#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

enum { RECALL_HANDLE_RAW_MAX = 1024, RECALL_HANDLE_TEXT_MAX = 4 * ((RECALL_HANDLE_RAW_MAX + 2) / 3) };

struct recall_handle {
	struct span topic;
	struct span broker_name;
	int64_t timestamp_ms;   /* TIMER_OUT_MS + 1; -1 when it is no number. */
	struct span unique_key;
};

/* Appends the handle's text. ST_TOOBIG when the names are too long for one; nothing is appended then. */
enum status recall_handle_append(struct buffer *out, const struct recall_handle *handle) MUST_USE;
/* The spans point into `raw`. ST_INVALID: not a handle. */
enum status recall_handle_parse(struct span text, uint8_t raw[RECALL_HANDLE_RAW_MAX], struct recall_handle *out,
				struct errinfo *err) MUST_USE;

#endif
