/* What the operations of a plan do: traffic (operations.c) and faults (operation_faults.c).
 * Threads: one. */
#ifndef ESCROW_SIM_OPERATIONS_H
#define ESCROW_SIM_OPERATIONS_H

#include <stdint.h>

#include "tests/sim/chance.h"

/* `number` is the operation's; items that it makes have numbers from (number + 1) * ITEMS_PER_OPERATION. */
typedef void (*operation_run)(uint32_t number, struct chance *chance);

void operation_transaction(uint32_t number, struct chance *chance);
void operation_message(uint32_t number, struct chance *chance);
void operation_recall(uint32_t number, struct chance *chance);
void operation_batch(uint32_t number, struct chance *chance);
void operation_send_again(uint32_t number, struct chance *chance);
void operation_end_again(uint32_t number, struct chance *chance);
void operation_decide(uint32_t number, struct chance *chance);
void operation_resume(uint32_t number, struct chance *chance);
void operation_look(uint32_t number, struct chance *chance);
void operation_ledger(uint32_t number, struct chance *chance);
void operation_fairs(uint32_t number, struct chance *chance);
void operation_settings(uint32_t number, struct chance *chance);

void operation_power_cut(uint32_t number, struct chance *chance);
void operation_kill(uint32_t number, struct chance *chance);
void operation_stop(uint32_t number, struct chance *chance);
void operation_cut_in_start(uint32_t number, struct chance *chance);
void operation_pause(uint32_t number, struct chance *chance);
void operation_clock(uint32_t number, struct chance *chance);
void operation_disk(uint32_t number, struct chance *chance);
void operation_sync_fails(uint32_t number, struct chance *chance);
void operation_cache(uint32_t number, struct chance *chance);
void operation_cut(uint32_t number, struct chance *chance);
void operation_partition(uint32_t number, struct chance *chance);
void operation_slow(uint32_t number, struct chance *chance);
void operation_namesrv(uint32_t number, struct chance *chance);
void operation_client_dies(uint32_t number, struct chance *chance);
void operation_client_leaves(uint32_t number, struct chance *chance);
void operation_mysql(uint32_t number, struct chance *chance);

#endif
