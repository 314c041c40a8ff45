#include "lib/net/service.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum status service_signals(struct loop *loop, loop_callback stop, void *context, struct errinfo *err)
{
	signal(SIGPIPE, SIG_IGN);
	if (loop_on_signal(loop, SIGTERM, stop, context) != ST_OK || loop_on_signal(loop, SIGINT, stop, context) != ST_OK)
		return errinfo_set(err, ST_NOMEM, "no memory for the signal handlers");
	return ST_OK;
}

void service_ready(const char *name, const char *host, unsigned port)
{
	printf(strchr(host, ':') != NULL ? "ready %s [%s]:%u\n" : "ready %s %s:%u\n", name, host, port);
	fflush(stdout);
}

int service_fail(const char *name, const struct errinfo *err)
{
	fprintf(stderr, "%s: %s\n", name, err->text);
	return 1;
}
