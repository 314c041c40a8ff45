/* A broker's machine and its life: starts, stops, kills, power cuts, failing disks. The broker itself is the real one
 * (broker/shell); all that opens and closes its store is in there and in broker_node.c.
 * Threads: one. */
#ifndef ESCROW_SIM_BROKER_NODE_H
#define ESCROW_SIM_BROKER_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

struct broker_node;
struct core;
struct drive;
struct log_record;
struct process;

enum { BROKER_PORT = 10911 };

struct broker_node *broker_node_create(int index, const char *name_servers);
void broker_node_destroy(struct broker_node *node);
int broker_node_count(void);
struct broker_node *broker_node(int index);
/* By the "ip:port" that clients connect to, or by its name; -1: none. */
int broker_index_of_address(const char *address);
int broker_index_of_name(struct span name);

struct process *broker_node_process(struct broker_node *node);
struct drive *broker_node_drive(struct broker_node *node);
const char *broker_node_address(const struct broker_node *node);
/* NULL while it does not run. */
struct core *broker_node_core(struct broker_node *node);
bool broker_node_serves(const struct broker_node *node);
/* Up to here answers may have left; of the broker that runs. */
uint64_t broker_node_committed(const struct broker_node *node);
/* Where its log begins, as last seen, and the furthest place at which it ever began: after a crash it may begin before that. */
uint64_t broker_node_log_start(const struct broker_node *node);
uint64_t broker_node_log_start_max(const struct broker_node *node);
/* The furthest place at which it ever ended. */
uint64_t broker_node_log_end_max(const struct broker_node *node);
/* Need the log not hold any more what lies here? It was past its size from here on. A message may go when its name, or a
 * decision that refers to it, is that old. */
bool broker_node_let_go(const struct broker_node *node, uint64_t log_offset);
/* Which process this is: raised by each start. */
uint32_t broker_node_life(const struct broker_node *node);
/* Until then it cannot be expected to do what it does in good time: it is paused, its disk stalls or is full. */
void broker_node_disturb(struct broker_node *node, int64_t until_us);
int64_t broker_node_disturbed_until(const struct broker_node *node);

void broker_node_start(struct broker_node *node);
/* The process ends at once and is started again after a while, or, if that is negative, never. Without sync_flush a power
 * cut is only a kill. */
void broker_node_kill(struct broker_node *node, bool power, int64_t again_after_us);
/* The same, in the middle of its next write to the log. */
void broker_node_kill_in_write(struct broker_node *node, bool power, int64_t again_after_us);
/* As power, but the next start is cut off too, after `operations` changes of the disk. */
void broker_node_cut_in_start(struct broker_node *node, uint32_t operations, int64_t again_after_us);
/* SIGTERM; it is started again after a while. */
void broker_node_stop(struct broker_node *node, int64_t again_after_us);

/* Calls back with every record that the log ever held, of all kinds, up to its valid end. Call while it does not run. */
typedef void (*broker_record_visit)(void *context, const struct log_record *record);
enum status broker_node_read_log(struct broker_node *node, broker_record_visit visit, void *context, struct errinfo *err);
/* After each step. */
void broker_node_check(struct broker_node *node);

#endif
