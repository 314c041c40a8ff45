/* Record kinds: the one byte in an envelope that says whose payload follows.
 *
 * All kinds are fixed in the format from the first day, also those that nothing writes yet. lib/log reads
 * only PAD, BATCH and EPOCH, which are its own; every other payload is opaque to it (lib/record has the codecs). */
#ifndef ESCROW_LOG_KINDS_H
#define ESCROW_LOG_KINDS_H

#include <stdbool.h>

#define LOG_KIND_MAP(X)                                                        \
	X(LOG_PAD, 1, "pad")                     /* The rest of a segment. */  \
	X(LOG_BATCH, 2, "batch")                 /* Opens a write: durable up to. */ \
	X(LOG_EPOCH, 3, "epoch")                 /* Opens each start of the log. */ \
	X(LOG_MESSAGE, 4, "message")                                           \
	X(LOG_HALF, 5, "half")                                                 \
	X(LOG_DECISION, 6, "decision")                                         \
	X(LOG_CONFLICT, 7, "conflict")                                         \
	X(LOG_DELIVER, 8, "deliver")                                           \
	X(LOG_TIMER_CANCEL, 9, "timer_cancel")                                 \
	X(LOG_CARRY, 10, "carry")                                              \
	X(LOG_CHECK, 11, "check")                                              \
	X(LOG_OFFSETS, 12, "offsets")                                          \
	X(LOG_POP, 13, "pop")                                                  \
	X(LOG_TOPIC, 14, "topic")                                              \
	X(LOG_GROUP, 15, "group")                                              \
	X(LOG_SNAPSHOT_MARK, 16, "snapshot_mark")

enum log_kind {
#define LOG_KIND_ENUM(name, value, text) name = value,
	LOG_KIND_MAP(LOG_KIND_ENUM)
#undef LOG_KIND_ENUM
	LOG_KIND_END /* One past the last known kind. */
};

/* "message", "half", ...; "unknown" for anything else. Any thread. */
const char *log_kind_text(unsigned kind);

/* True for the kinds that belong to lib/log itself. */
static inline bool log_kind_is_internal(unsigned kind)
{
	return kind >= LOG_PAD && kind <= LOG_EPOCH;
}

#endif
