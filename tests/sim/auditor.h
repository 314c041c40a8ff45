/* Reads every queue of every broker from its beginning, as a consumer would, when all has come to rest. What it sees goes to
 * the model.
 * Threads: one. */
#ifndef ESCROW_SIM_AUDITOR_H
#define ESCROW_SIM_AUDITOR_H

#include <stdbool.h>
#include <stdint.h>

void auditor_begin(void);
void auditor_end(void);
/* Begins to read all; it is done when auditor_is_done. */
void auditor_read_all(void);
bool auditor_is_done(void);
/* Where the queue begins and ends; known when it is done. */
uint64_t auditor_queue_begin(int broker, int place, int queue);
uint64_t auditor_queue_end(int broker, int place, int queue);

#endif
