/* How is a message named? The two kinds of message id, both upper-case hex.
 *
 * - The offset id (offsetMsgId): store address and log offset. Tools connect to the address in it.
 * - The unique id (UNIQ_KEY): made by the producer, the same over resends and for a transaction's half and message.
 * They have equal lengths, so an id cannot be told by its looks.
 * Threads: a struct unique_id belongs to one thread; the rest is pure. */
#ifndef ESCROW_WIRE_MSGID_H
#define ESCROW_WIRE_MSGID_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/wire/message.h"

enum { MSGID_TEXT_SIZE = 57, UNIQUE_ID_TEXT_SIZE = 33 }; /* NUL included; the IPv4 form takes 33. */

/* Writes the NUL-terminated id and returns its length: 32 for IPv4, 56 for IPv6. */
size_t offset_msg_id_encode(const struct host *store_host, int64_t physical_offset, char out[MSGID_TEXT_SIZE]);
/* Either form, either case. ST_INVALID if it is not an id or the offset is negative. */
enum status offset_msg_id_decode(struct span id, struct host *store_host, int64_t *physical_offset) MUST_USE;

/* A source of unique ids for one process, in RocketMQ's layout: address, process id, `salt` (another number for each
 * source of a process), milliseconds since the start of the month (UTC), counter. */
struct unique_id {
	uint8_t prefix[10];
	int64_t month_start_ms;
	int64_t month_end_ms;
	uint16_t counter;
};
void unique_id_init(struct unique_id *source, uint32_t ipv4, uint32_t process_id, uint32_t salt);
/* The next id at `now_ms` (wall clock), 32 characters and a NUL. Distinct for 65,536 ids a millisecond. */
void unique_id_next(struct unique_id *source, int64_t now_ms, char out[UNIQUE_ID_TEXT_SIZE]);

#endif
