#include "lib/net/service.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/logging.h"

enum status service_signals(struct loop *loop, loop_callback stop, void *context, struct errinfo *err)
{
	signal(SIGPIPE, SIG_IGN);
	if (loop_on_signal(loop, SIGTERM, stop, context) != ST_OK || loop_on_signal(loop, SIGINT, stop, context) != ST_OK)
		return errinfo_set(err, ST_NOMEM, "no memory for the signal handlers");
	return ST_OK;
}

enum status service_log_level(const char *text, struct errinfo *err)
{
	enum log_level level;

	if (log_level_parse(text, &level) != ST_OK)
		return errinfo_set(err, ST_INVALID, "logLevel=%s: use debug, info, warn or error", text);
	log_set_level(level);
	return ST_OK;
}

static bool is_loopback(const char *address)
{
	return strncmp(address, "127.", 4) == 0 || strcmp(address, "localhost") == 0 || strcmp(address, "::1") == 0;
}

enum status service_check_exposure(const char *bind_address, bool allow_insecure, struct errinfo *err)
{
	if (is_loopback(bind_address) || allow_insecure)
		return ST_OK;
	return errinfo_set(err, ST_DENIED,
			   "bindAddress=%s: peers are not authenticated, so only loopback is served; "
			   "set allowInsecure=true to serve others all the same", bind_address);
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
