/* What the virtual versions of lib/net and lib/base show to the simulator, beyond the headers that they implement.
 *
 * The simulator links the broker's own shell (broker/shell, all but main.c), and gives it, instead of libevent, sockets,
 * threads, files and clocks, other implementations of the same headers:
 *
 *     lib/net/loop.h, mailbox.h, service.h       virtual_loop.c
 *     lib/net/worker.h                           virtual_worker.c
 *     lib/net/server.h                           virtual_server.c
 *     lib/net/client.h                           virtual_client.c
 *     clock_system(), vfs_posix(), lib/base/logging.h   virtual_system.c
 *     broker/projections/oplog_projector.h       virtual_projector.c
 *     broker/projections/key_index.h             virtual_key_index.c (its thread)
 *     lib/mysql/db_conn.h                        virtual_mysql.c
 *
 * The linker takes these definitions, and so never opens the archives' members that hold the real ones. A function that is
 * missing here shows as one defined twice.
 * Threads: one. */
#ifndef ESCROW_SIM_VIRTUAL_H
#define ESCROW_SIM_VIRTUAL_H

#include <stdbool.h>
#include <stdint.h>

struct client;
struct loop;
struct process;

/* The turn-end hooks. */
void virtual_loop_end_turn(struct loop *loop);
/* loop_stop was called. */
bool virtual_loop_is_stopped(const struct loop *loop);
/* What SIGTERM does: calls what service_signals was given, in the process. */
void virtual_loop_signal(struct loop *loop);

/* The process dies: jobs on their way may be done before, in part or not at all. Call while its disk still takes them. */
void virtual_workers_die(struct process *process);
/* Calls back in the world once, in the middle of the next write of the process's log. */
void virtual_workers_trap(struct process *process, void (*sprung)(void *context), void *context);
/* Jobs take this many times as long until `until_us`. */
void virtual_workers_stall(struct process *process, int64_t until_us);
/* None that begins from now on is done before `until_us`. */
void virtual_workers_hold(struct process *process, int64_t until_us);

/* While false the client takes nothing from its connections (those that stand now). */
void virtual_client_read(struct client *client, bool reads);

/* Whether warnings and errors of the code under test are wanted in the history. */
void virtual_log_mute(bool mute);
/* Calls back with each line of the code under test. NULL: no more. */
void virtual_log_watch(void (*seen)(void *context, const char *module, const char *event), void *context);

#endif
