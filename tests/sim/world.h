/* One broker in a test tube: core, log, index and check-back over a memory disk, on virtual time, without threads or
 * sockets. The driver decides when disk jobs run, when they are reported, and when the power goes.
 *
 * Answers are held back as the shell holds them: `world_wait` calls back once what the answer rests on is committed, and
 * never if the broker dies before. */
#ifndef ESCROW_SIM_WORLD_H
#define ESCROW_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/core.h"
#include "broker/core/transactions.h"
#include "lib/log/commitlog.h"
#include "tests/support/memdisk.h"

struct world;

/* A question that check-back asked. */
struct world_ask {
	uint64_t conn_id;
	uint64_t half_queue_offset;
	uint64_t half_offset;
};

struct world *world_create(uint64_t *random_state, bool sync_flush);
void world_destroy(struct world *world);

struct core *world_core(struct world *world);
int64_t world_now_ms(const struct world *world);
/* Lets time pass: ticks, and disk work as chance has it. */
void world_advance(struct world *world, int64_t by_ms);
/* Disk work until nothing is left to write. */
void world_settle(struct world *world);
/* Power cut (or, with `kill`, the end of the process only), then a new start. */
void world_crash(struct world *world, bool kill);
uint32_t world_crash_count(const struct world *world);

typedef void (*world_acked)(void *context, uint64_t tag);
/* Calls back when `wait_offset` is committed (perhaps at once). */
void world_wait(struct world *world, uint64_t wait_offset, world_acked acked, void *context, uint64_t tag);
/* Questions asked since the last call; 0 when none are left. */
bool world_take_ask(struct world *world, struct world_ask *out);

/* Counts the records of each kind in the log into counts[LOG_KIND_END]. */
void world_count_kinds(struct world *world, uint64_t *counts);
/* The disk, for a last look. */
const struct vfs *world_vfs(struct world *world);

#endif
