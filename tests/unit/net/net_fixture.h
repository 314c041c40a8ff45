/* A loop with a server, sockets of hostile and friendly peers, all in one thread. */
#ifndef ESCROW_TESTS_NET_FIXTURE_H
#define ESCROW_TESTS_NET_FIXTURE_H

#include "tests/support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/net/server.h"
#include "tests/support/turns.h"

enum { FRAME_MAX = 64 * 1024 };

struct fixture {
	struct loop *loop;
	struct server *server;
	/* What on_frame does. */
	enum { ECHO, SILENT, CLOSE_ON_FRAME, FLOOD } mode;
	size_t flood_size;
	void (*seen)(struct fixture *f); /* Each frame, before anything is done with it. NULL: nobody is told. */
	uint64_t last_conn;
	uint32_t frames, closes;
	/* on_close writes to this connection and, with `chain`, closes it afterwards. */
	uint64_t neighbour;
	bool chain;
};

/* So many bytes to a peer, whether or not it asked for them. */
static inline void flood(struct conn *conn, size_t size)
{
	uint8_t *room = buffer_reserve(conn_output(conn), size);

	if (room != NULL) {
		memset(room, 'x', size);
		buffer_commit(conn_output(conn), size);
	}
	conn_written(conn);
}

static void fixture_on_frame(void *context, struct conn *conn, struct span frame)
{
	struct fixture *f = context;

	f->frames++;
	f->last_conn = conn_id(conn);
	CU_ASSERT(!conn_is_closing(conn));
	if (f->seen != NULL)
		f->seen(f);
	switch (f->mode) {
	case ECHO:
		buffer_append_span(conn_output(conn), frame);
		conn_written(conn);
		break;
	case FLOOD:
		flood(conn, f->flood_size);
		break;
	case CLOSE_ON_FRAME:
		conn_close(conn, NULL);
		CU_ASSERT_PTR_NULL(server_find(f->server, conn_id(conn)));
		conn_close(conn, "twice");
		break;
	case SILENT:
		break;
	}
}

static void fixture_on_close(void *context, struct conn *conn)
{
	struct fixture *f = context;

	f->closes++;
	CU_ASSERT_PTR_NULL(server_find(f->server, conn_id(conn)));
	struct conn *other = f->neighbour == 0 ? NULL : server_find(f->server, f->neighbour);
	if (other == NULL)
		return;
	buffer_append_text(conn_output(other), "bye");
	conn_written(other);
	if (f->chain)
		conn_close(other, NULL);
}

static inline struct server_config fixture_config(void)
{
	return (struct server_config){ .name = "net", .bind_address = "127.0.0.1", .frame_size_max = FRAME_MAX,
				       .connections_max = 100, .connections_per_address_max = 100,
				       .output_bytes_max = 1024 * 1024 };
}

static inline void fixture_open(struct fixture *f, const struct server_config *config)
{
	struct server_callbacks callbacks = { f, fixture_on_frame, fixture_on_close };
	struct errinfo err;

	memset(f, 0, sizeof(*f));
	f->loop = loop_create();
	CU_ASSERT_PTR_NOT_NULL_FATAL(f->loop);
	CU_ASSERT_EQUAL_FATAL(server_create(f->loop, config, &callbacks, &f->server, &err), ST_OK);
}

static inline void fixture_close(struct fixture *f)
{
	server_destroy(f->server);
	loop_destroy(f->loop);
}

static inline int dial(uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_FATAL(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	CU_ASSERT_EQUAL_FATAL(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* A frame with header {} and `body_size` bytes of body; the caller frees. */
static inline uint8_t *make_frame(size_t body_size, size_t *size)
{
	uint8_t *frame = malloc(10 + body_size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
	put_u32(frame, (uint32_t)(6 + body_size));
	put_u32(frame + 4, 2);
	memcpy(frame + 8, "{}", 2);
	for (size_t i = 0; i < body_size; i++)
		frame[10 + i] = (uint8_t)(i * 7);
	*size = 10 + body_size;
	return frame;
}

/* Sends all of it, turning the loop while the socket is full. */
static inline void put(struct fixture *f, int fd, const void *data, size_t size)
{
	size_t sent = 0;

	while (sent < size) {
		ssize_t n = send(fd, (const uint8_t *)data + sent, size - sent, MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
		else if (errno != EAGAIN)
			return;
		else
			loop_turn(f->loop, 5);
	}
}

/* Reads exactly `size` bytes while turning; false when they do not come. */
static inline bool get(struct fixture *f, int fd, uint8_t *out, size_t size)
{
	size_t have = 0;

	return TURN_UNTIL(f->loop, ({
		ssize_t n = have < size ? recv(fd, out + have, size - have, 0) : 0;
		have += n > 0 ? (size_t)n : 0;
		have == size;
	}));
}

/* True once the peer has closed; bytes before that are dropped. */
static inline bool hangs_up(struct fixture *f, int fd)
{
	static uint8_t waste[65536];

	return TURN_UNTIL(f->loop, ({
		ssize_t n;
		do
			n = recv(fd, waste, sizeof(waste), 0);
		while (n > 0);
		n == 0 || errno == ECONNRESET;
	}));
}

#endif
