/* A name server: the real route table and handlers behind the memory network. It keeps nothing over a restart.
 * Threads: one. */
#ifndef ESCROW_SIM_NAMESRV_NODE_H
#define ESCROW_SIM_NAMESRV_NODE_H

#include <stdbool.h>
#include <stdint.h>

struct namesrv_node;
struct process;

enum { NAMESRV_PORT = 9876 };

struct namesrv_node *namesrv_node_create(const char *name);
void namesrv_node_destroy(struct namesrv_node *node);
struct process *namesrv_node_process(struct namesrv_node *node);
const char *namesrv_node_address(const struct namesrv_node *node);
void namesrv_node_start(struct namesrv_node *node);
/* kill -9, and a start after a while. */
void namesrv_node_restart(struct namesrv_node *node, int64_t again_after_us);

#endif
