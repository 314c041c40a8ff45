/* What brokers and name servers send to the client library: routes, pulled and checked messages with compressed bodies,
 * addresses. The first byte picks one. */
#include <stdlib.h>
#include <string.h>

#include "client-sdk/src/message_internal.h"
#include "client-sdk/src/route_view.h"
#include "client-sdk/src/routes.h"
#include "lib/wire/codes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INFLATED_MAX = 256 * 1024 };

static struct errinfo err;

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* A list points at brokers that are there, and at queues that the route has room for. */
static void check_queues(const struct route_view *view, const struct view_queue *queues, size_t count)
{
	must(count <= VIEW_QUEUES_MAX);
	for (size_t i = 0; i < count; i++)
		must(queues[i].broker < view->broker_count && queues[i].queue_id >= 0);
}

static void routes(struct span body, bool from_template)
{
	struct route route;
	struct route_view *view = NULL;

	if (route_decode(body, &route, &err) != ST_OK)
		return;
	if (route_view_make(&route, from_template ? 8 : 0, &view) == ST_OK) {
		must(view->broker_count <= VIEW_BROKERS_MAX);
		check_queues(view, view->publish, view->publish_count);
		check_queues(view, view->subscribe, view->subscribe_count);
		for (size_t i = 0; i < view->broker_count; i++) {
			must(view->brokers[i].address_count <= VIEW_ADDRESSES_MAX);
			must(strlen(view->brokers[i].name) < BROKER_NAME_SIZE);
			(void)view_broker_address(&view->brokers[i], 0);
		}
	}
	route_view_free(view);
	route_free(&route);
}

static void read_message(const escrow_message *message)
{
	size_t body_size = 0;
	const uint8_t *body = escrow_message_body(message, &body_size);

	if (body_size > 0)
		__asm__ volatile("" : : "r"(body[body_size - 1])); /* A read that stays. */
	must(escrow_message_topic(message) != NULL);
	(void)escrow_message_tag(message);
	(void)escrow_message_keys(message);
	(void)escrow_message_property(message, "a");
	(void)escrow_message_id(message);
	(void)escrow_message_offset_id(message);
}

static void messages(struct span rest)
{
	struct message record;

	while (message_next(&rest, &record, &err) == ST_OK) {
		escrow_message *message = NULL;

		if (message_from_record(&record, &message, &err) != ST_OK)
			continue;
		read_message(message);
		escrow_message_destroy(message);
	}
}

/* However small the bytes: never more than was allowed. */
static void bodies(struct span body, int32_t sys_flag)
{
	uint8_t *out = NULL;
	size_t out_size = 0;
	enum status status = body_inflate(body, sys_flag, INFLATED_MAX, &out, &out_size, &err);

	must(status == ST_OK || status == ST_CORRUPT || status == ST_TOOBIG || status == ST_VERSION || status == ST_NOMEM);
	must(status != ST_OK || out_size <= INFLATED_MAX);
	if (status == ST_OK)
		free(out);
}

static void addresses(struct span text)
{
	char copy[2048];
	struct name_servers servers;

	if (span_to_cstr(text, copy, sizeof(copy)) == ST_OK)
		(void)!name_servers_parse(copy, &servers, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	/* A copy of its own, so that reading past its end is seen. */
	uint8_t *copy = malloc(size);
	must(copy != NULL);
	memcpy(copy, data + 1, size - 1);
	struct span body = { copy, size - 1 };
	switch (data[0] % 8) {
	case 0: routes(body, false); break;
	case 1: routes(body, true); break;
	case 2: messages(body); break;
	case 3: bodies(body, SYSFLAG_COMPRESSION_ZLIB); break;
	case 4: bodies(body, SYSFLAG_COMPRESSION_LZ4); break;
	case 5: bodies(body, SYSFLAG_COMPRESSION_ZSTD); break;
	case 6: bodies(body, (int32_t)size); break;
	default: addresses(body); break;
	}
	free(copy);
	return 0;
}
