/* Keeps every name server informed: full registrations (REGISTER_BROKER), periodically, on change, and again within a
 * second after a name server has returned; UNREGISTER_BROKER at the end.
 * Threads: the loop thread. */
#ifndef ESCROW_SHELL_REGISTRAR_H
#define ESCROW_SHELL_REGISTRAR_H

#include "lib/net/client.h"

struct registrar;
struct topics;

struct registrar_config {
	const char *name_servers;   /* "host:port;host:port"; "" = none. */
	const char *cluster_name;
	const char *broker_name;
	int64_t broker_id;
	char broker_addr[300];      /* What clients are told to connect to. */
	char ha_server_addr[300];
	int64_t interval_ms;
};

/* The texts of *config outlive the registrar. ST_INVALID names a bad address. */
enum status registrar_create(struct loop *loop, struct client *client, const struct registrar_config *config,
			     const struct topics *topics, struct registrar **out, struct errinfo *err) MUST_USE;
/* What the routes may not allow with any topic (PERM_*); from the next registration on. */
void registrar_forbid(struct registrar *registrar, uint32_t forbidden);
/* Begins to register: once the broker serves. */
void registrar_start(struct registrar *registrar);
/* The address of a name server that knows this broker: `turn` chooses among several. NULL: there is none now. */
const char *registrar_name_server(const struct registrar *registrar, uint32_t turn);
/* Topics changed: registers at the end of this turn. */
void registrar_changed(struct registrar *registrar);
/* Call at the end of each turn. */
void registrar_turn_end(struct registrar *registrar);
/* Tells all that the broker goes; answers come through the client as long as it lives. */
void registrar_unregister(struct registrar *registrar);
void registrar_destroy(struct registrar *registrar);

#endif
