/* Which topic and group names are allowed? RocketMQ's rules (TopicValidator, Validators).
 *
 * Letters, digits, '%', '-', '_', '|'. Topics up to 127 bytes, %RETRY% and %DLQ% topics and groups up to 255.
 * Threads: pure. */
#ifndef ESCROW_WIRE_NAMES_H
#define ESCROW_WIRE_NAMES_H

#include <stdbool.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

enum { TOPIC_NAME_MAX = 127, LONG_TOPIC_NAME_MAX = 255, GROUP_NAME_MAX = 255 };

/* ST_INVALID with a remark fit for the client: empty, a bad character, too long. */
enum status topic_name_check(struct span topic, struct errinfo *err) MUST_USE;
enum status group_name_check(struct span group, struct errinfo *err) MUST_USE;
/* Topics of the system: they cannot be created or deleted by a client. */
bool topic_is_system(struct span topic);
/* Topics that no client may send to (half, op, schedule, ...). */
bool topic_is_unsendable(struct span topic);
bool topic_is_retry(struct span topic);
bool topic_is_dlq(struct span topic);
/* The group of a %RETRY% or %DLQ% topic; empty for any other topic. */
struct span topic_group(struct span topic);

/* "%RETRY%group" and "%DLQ%group" into `out` (room for LONG_TOPIC_NAME_MAX bytes). The span borrows from `out`;
 * SPAN_NONE if the group is too long. */
struct span retry_topic_name(struct span group, uint8_t out[LONG_TOPIC_NAME_MAX]);
struct span dlq_topic_name(struct span group, uint8_t out[LONG_TOPIC_NAME_MAX]);

#endif
