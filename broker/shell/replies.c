#include "broker/shell/replies.h"

#include <assert.h>

enum { ENTRY_HEAD = 20 };

void replies_init(struct parked_replies *replies, struct server *server)
{
	*replies = (struct parked_replies){ .server = server };
	buffer_init(&replies->parked, 0);
}

void replies_deinit(struct parked_replies *replies)
{
	buffer_deinit(&replies->parked);
}

/* The connection's user pointer counts its parked answers. */
uint32_t replies_in_flight(const struct conn *conn)
{
	return (uint32_t)(uintptr_t)conn_user(conn);
}

static void count_in_flight(struct conn *conn, int change)
{
	conn_set_user(conn, (void *)((uintptr_t)conn_user(conn) + (uintptr_t)change));
}

static struct buffer *begin(void *context, uint64_t conn_id_wanted, uint64_t wait_offset)
{
	struct parked_replies *replies = context;
	struct conn *conn = server_find(replies->server, conn_id_wanted);

	if (conn == NULL)
		return NULL;
	replies->current = conn;
	replies->current_parked = wait_offset > replies->committed;
	if (!replies->current_parked)
		return conn_output(conn);
	replies->current_at = buffer_size(&replies->parked);
	buffer_put_u64(&replies->parked, conn_id_wanted);
	buffer_put_u64(&replies->parked, wait_offset);
	buffer_put_u32(&replies->parked, 0);
	return &replies->parked;
}

static void end(void *context)
{
	struct parked_replies *replies = context;
	struct buffer *parked = &replies->parked;

	if (!replies->current_parked) {
		conn_written(replies->current);
		return;
	}
	if (parked->failed) {
		parked->failed = false;
		parked->end = parked->start + replies->current_at;
		conn_close(replies->current, "no memory for its answer");
		return;
	}
	size_t size = buffer_size(parked) - replies->current_at - ENTRY_HEAD;
	put_u32(parked->data + parked->start + replies->current_at + 16, (uint32_t)size);
	count_in_flight(replies->current, 1);
}

static bool full(void *context, uint64_t conn_id_wanted)
{
	const struct parked_replies *replies = context;
	const struct conn *conn = server_find(replies->server, conn_id_wanted);

	return conn != NULL && conn_output_full(conn);
}

struct replies replies_sink(struct parked_replies *replies)
{
	return (struct replies){ replies, begin, end, full };
}

void replies_release(struct parked_replies *replies, uint64_t committed)
{
	struct buffer *parked = &replies->parked;

	replies->committed = committed;
	while (buffer_size(parked) > 0) {
		const uint8_t *entry = parked->data + parked->start;
		uint32_t size = get_u32(entry + 16);

		assert(buffer_size(parked) >= ENTRY_HEAD + (size_t)size);
		if (get_u64(entry + 8) > committed)
			return;
		struct conn *conn = server_find(replies->server, get_u64(entry));
		if (conn != NULL) {
			count_in_flight(conn, -1);
			buffer_append(conn_output(conn), entry + ENTRY_HEAD, size);
			conn_written(conn);
		}
		buffer_consume(parked, ENTRY_HEAD + (size_t)size);
	}
	buffer_trim(parked, 1024 * 1024);
}

size_t replies_parked_bytes(const struct parked_replies *replies)
{
	return buffer_size(&replies->parked);
}
