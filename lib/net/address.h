/* Addresses: the texts of options and requests to socket addresses, and a peer's socket address to its text.
 * Threads: pure, but address_resolve asks the system's resolver and may block. */
#ifndef ESCROW_NET_ADDRESS_H
#define ESCROW_NET_ADDRESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/base/status.h"

struct socket_address {
	struct sockaddr_storage storage;
	socklen_t size;
};

struct peer_address {
	uint8_t ip[16];
	uint8_t ip_size; /* 4 or 16; an IPv4-mapped IPv6 address is given as IPv4. */
	uint16_t port;
	char text[64];   /* "127.0.0.1:4711", "[::1]:4711" */
};

enum { ADDRESS_SIZE = 288, ADDRESS_CANDIDATES_MAX = 4 };

/* An IPv4 or IPv6 literal without a port. ST_INVALID. */
enum status address_of_literal(const char *literal, uint16_t port, struct socket_address *out,
			       struct errinfo *err) MUST_USE;
/* "host:port" (the host may be a name, a literal, or an IPv6 literal in brackets) to the addresses to try, in the
 * resolver's order; *count is at least 1 after ST_OK. ST_INVALID, ST_IO. */
enum status address_resolve(const char *host_port, struct socket_address out[ADDRESS_CANDIDATES_MAX], int *count,
			    struct errinfo *err) MUST_USE;
void address_describe(const struct sockaddr_storage *from, struct peer_address *out);

#endif
