/* What of the prepared log is set aside, and for whom?
 *
 * While the disk is full the log is not prepared any further, and what is ahead of its tail must last until there is space
 * again. Shares of it are set aside, so that nothing less urgent takes what something more urgent will need:
 *
 *     decisions     a commit or rollback of every open half; parking is no end, and counts as progress
 *     deliveries    of every delayed message that waits
 *     progress      offsets, POP, settings, marks; half of it also check-backs and conflicts, of which there may be many
 *     carrying      open bodies in expired segments, which lets those go: space comes back
 *     new messages  stop when only these shares are left
 *
 * Each may use the shares below its own, none of those above. The shares hold at any time, not on a full disk only: whoever
 * finds no room waits until more is prepared. Together they take no more than is certainly prepared while there is space.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_ROOM_H
#define ESCROW_CORE_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"
#include "lib/log/kinds.h"

struct core;
struct outcome;

/* The most urgent first. */
enum room { ROOM_DECISION, ROOM_DELIVERY, ROOM_PROGRESS, ROOM_CHECK, ROOM_CARRY, ROOM_NEW };

/* Bytes ahead of the log's tail that must stay for what is more urgent. */
uint64_t room_kept(const struct core *core, enum room room);
/* Room for a record, with what is more urgent keeping its shares; the ring may still be full. */
bool room_has(const struct core *core, enum room room, size_t payload_size);
/* commitlog_begin, if what is more urgent keeps its shares; else NULL. */
uint8_t *room_begin(struct core *core, enum room room, enum log_kind kind, size_t payload_size, uint64_t *offset_out) MUST_USE;
/* After one of them gave NULL: ST_AGAIN, or the refusal when waiting would not help. */
enum status core_no_room(struct core *core, size_t payload_size, struct outcome *outcome);
/* Before something new is taken in: is there room besides what is set aside? ST_AGAIN: not yet; there will be. */
enum status core_check_disk(struct core *core, size_t payload_size, struct outcome *outcome) MUST_USE;

#endif
