/* Fuzz target: the name server's whole way of a request, from bytes to answer. The input is a stream of frames as one
 * connection sends it; what cannot be cut into frames ends it, as it ends a connection.
 *
 * Properties: every answer is one whole command with the request's opaque; one-way requests have none; when the
 * connection goes, its brokers and all their topics are gone. */
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/logging.h"
#include "lib/wire/frame.h"
#include "namesrv/handlers.h"

enum { FRAME_MAX = 1024 * 1024, CONN_ID = 7 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_answer(const struct command *request, const struct buffer *out)
{
	static struct command_scratch scratch;
	static struct command answer;
	struct errinfo err;
	size_t size;
	const char *reason;

	must(!out->failed);
	if (command_is_oneway(request)) {
		must(buffer_size(out) == 0);
		return;
	}
	must(frame_scan(buffer_span(out), 64 * 1024 * 1024, &size, &reason) == FRAME_COMPLETE && size == buffer_size(out));
	must(command_decode(buffer_span(out), &scratch, &answer, &err) == ST_OK);
	must(command_is_response(&answer) && answer.opaque == request->opaque);
}

/* Topics outlive their brokers never: a name server that has lost all its connections knows nothing. */
static void check_empty(struct namesrv *namesrv, struct buffer *out)
{
	buffer_reset(out);
	route_table_topics(namesrv->routes, out);
	must(span_is(buffer_span(out), "{\"topicList\":[]}"));
	buffer_reset(out);
	route_table_cluster_info(namesrv->routes, true, out);
	must(span_is(buffer_span(out), "{\"brokerAddrTable\":{},\"clusterAddrTable\":{}}"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct command_scratch scratch;
	static struct command request;
	struct namesrv namesrv = { .routes = route_table_create(1000), .kv = kv_create(),
				   .order_message_enable = true };
	struct span rest = { data, size };
	struct buffer out;
	struct errinfo err;
	const char *reason;
	size_t frame_size;

	log_set_level(LOGLEVEL_ERROR);
	must(namesrv.routes != NULL && namesrv.kv != NULL);
	buffer_init(&out, 0);
	for (int64_t now_ms = 1; frame_scan(rest, FRAME_MAX, &frame_size, &reason) == FRAME_COMPLETE; now_ms += 100) {
		/* A copy of its own, so that reading past the frame, or after it is gone, is seen. */
		uint8_t *frame = malloc(frame_size);

		must(frame != NULL);
		memcpy(frame, rest.data, frame_size);
		rest = (struct span){ rest.data + frame_size, rest.size - frame_size };
		bool whole = command_decode((struct span){ frame, frame_size }, &scratch, &request, &err) == ST_OK;
		if (whole && !command_is_response(&request)) {
			buffer_reset(&out);
			namesrv_serve(&namesrv, &request, CONN_ID, "peer", now_ms, &out);
			check_answer(&request, &out);
		}
		free(frame);
		if (!whole)
			break;
	}
	route_table_connection_gone(namesrv.routes, CONN_ID, NULL, NULL);
	check_empty(&namesrv, &out);
	buffer_deinit(&out);
	kv_destroy(namesrv.kv);
	route_table_destroy(namesrv.routes);
	return 0;
}
