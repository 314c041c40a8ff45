#include "broker/shell/metrics_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/handlers/metrics.h"
#include "lib/base/logging.h"

enum { SCRAPES_MAX = 8, SILENCE_MAX_S = 10, HEADERS_MAX = 8 * 1024 };

struct scrape {
	struct scrape *prev, *next;
	struct metrics_server *server;
	struct evhttp_request *request;
	struct event *turn; /* The next slice is made from here, not from within libevent's answer to the last. */
	struct metrics_walk walk;
};

struct metrics_server {
	struct loop *loop;
	struct evhttp *http;
	const struct handlers *handlers;
	struct scrape *scrapes;
	unsigned scrape_count;
	uint16_t port;
	struct buffer text; /* Scratch of one slice. */
};

static void end_scrape(struct scrape *scrape)
{
	struct metrics_server *server = scrape->server;

	event_free(scrape->turn);
	DL_DELETE(server->scrapes, scrape);
	server->scrape_count--;
	free(scrape);
}

/* The peer is gone. libevent frees the request with the connection, unless it has taken the one from the other. */
static void on_close(struct evhttp_connection *connection, void *context)
{
	struct scrape *scrape = context;
	struct evhttp_request *request = scrape->request;

	evhttp_connection_set_closecb(connection, NULL, NULL);
	end_scrape(scrape);
	if (evhttp_request_get_connection(request) == NULL)
		evhttp_send_reply_end(request);
}

static void on_sent(struct evhttp_connection *connection, void *context)
{
	struct scrape *scrape = context;

	(void)connection;
	event_active(scrape->turn, EV_TIMEOUT, 0);
}

static void send_slice(evutil_socket_t fd, short what, void *context)
{
	struct scrape *scrape = context;
	struct evhttp_request *request = scrape->request;
	struct buffer *text = &scrape->server->text;
	struct evbuffer *chunk = evbuffer_new();

	(void)fd;
	(void)what;
	buffer_reset(text);
	bool more = chunk != NULL && metrics_next(&scrape->walk, text);
	/* An answer that lacks memory ends early; Prometheus keeps what it has understood. */
	if (chunk != NULL && buffer_size(text) > 0 && evbuffer_add(chunk, text->data + text->start, buffer_size(text)) != 0)
		more = false;
	if (more && !text->failed) {
		evhttp_send_reply_chunk_with_cb(request, chunk, on_sent, scrape);
	} else {
		if (chunk != NULL)
			evhttp_send_reply_chunk(request, chunk);
		evhttp_connection_set_closecb(evhttp_request_get_connection(request), NULL, NULL);
		end_scrape(scrape);
		evhttp_send_reply_end(request);
	}
	if (chunk != NULL)
		evbuffer_free(chunk);
}

static struct scrape *begin_scrape(struct metrics_server *server, struct evhttp_request *request)
{
	struct scrape *scrape = server->scrape_count < SCRAPES_MAX ? calloc(1, sizeof(*scrape)) : NULL;

	if (scrape == NULL)
		return NULL;
	scrape->server = server;
	scrape->request = request;
	scrape->walk.handlers = server->handlers;
	scrape->turn = event_new(loop_base(server->loop), -1, 0, send_slice, scrape);
	if (scrape->turn == NULL) {
		free(scrape);
		return NULL;
	}
	DL_APPEND(server->scrapes, scrape);
	server->scrape_count++;
	return scrape;
}

static void on_metrics(struct evhttp_request *request, void *context)
{
	struct scrape *scrape = begin_scrape(context, request);

	if (scrape == NULL) {
		evhttp_send_error(request, HTTP_SERVUNAVAIL, "too many scrapes at once");
		return;
	}
	evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type", "text/plain; version=0.0.4; charset=utf-8");
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_close, scrape);
	evhttp_send_reply_start(request, HTTP_OK, "OK");
	event_active(scrape->turn, EV_TIMEOUT, 0);
}

static void on_other(struct evhttp_request *request, void *context)
{
	(void)context;
	evhttp_send_error(request, HTTP_NOTFOUND, "see /metrics");
}

static enum status listen_on(struct metrics_server *server, const char *host, uint16_t port, struct errinfo *err)
{
	struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(server->http, host, port);
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	if (bound == NULL)
		return errinfo_set(err, ST_IO, "metrics: listen on %s:%u: %s", host, port, strerror(errno));
	if (getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &size) != 0)
		return errinfo_set(err, ST_IO, "metrics: port: %s", strerror(errno));
	server->port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
							   : ((struct sockaddr_in *)&address)->sin_port);
	log_info("metrics", "serving", "url=http://%s:%u/metrics", host, server->port);
	return ST_OK;
}

enum status metrics_server_create(struct loop *loop, const char *host, uint16_t port, const struct handlers *handlers,
				  struct metrics_server **out, struct errinfo *err)
{
	struct metrics_server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory");
	server->loop = loop;
	server->handlers = handlers;
	buffer_init(&server->text, 0);
	server->http = evhttp_new(loop_base(loop));
	enum status status = server->http == NULL ? errinfo_set(err, ST_NOMEM, "no memory for the metrics' server") : ST_OK;
	if (status == ST_OK) {
		evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET);
		evhttp_set_max_headers_size(server->http, HEADERS_MAX);
		evhttp_set_max_body_size(server->http, 0);
		evhttp_set_timeout(server->http, SILENCE_MAX_S);
		evhttp_set_gencb(server->http, on_other, server);
		status = evhttp_set_cb(server->http, "/metrics", on_metrics, server) == 0
				 ? listen_on(server, host, port, err)
				 : errinfo_set(err, ST_NOMEM, "no memory for the metrics' server");
	}
	if (status != ST_OK) {
		metrics_server_destroy(server);
		return status;
	}
	*out = server;
	return ST_OK;
}

uint16_t metrics_server_port(const struct metrics_server *server)
{
	return server->port;
}

void metrics_server_destroy(struct metrics_server *server)
{
	struct scrape *scrape, *next;

	if (server == NULL)
		return;
	DL_FOREACH_SAFE(server->scrapes, scrape, next) {
		evhttp_connection_set_closecb(evhttp_request_get_connection(scrape->request), NULL, NULL);
		end_scrape(scrape);
	}
	if (server->http != NULL)
		evhttp_free(server->http);
	buffer_deinit(&server->text);
	free(server);
}
