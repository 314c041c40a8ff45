/* broker/shell/metrics_server.h without sockets: nobody scrapes a broker in the simulator. */
#include "broker/shell/metrics_server.h"

enum status metrics_server_create(struct loop *loop, const char *host, uint16_t port, const struct handlers *handlers,
				  struct metrics_server **out, struct errinfo *err)
{
	(void)loop, (void)host, (void)port, (void)handlers, (void)err;
	*out = NULL;
	return ST_OK;
}

uint16_t metrics_server_port(const struct metrics_server *server)
{
	(void)server;
	return 0;
}

void metrics_server_destroy(struct metrics_server *server)
{
	(void)server;
}
