/* A TCP proxy on loopback that misbehaves: it cuts connections, holds bytes back, and loses the rest of what it was
 * passing on, at random. One thread per connection.
 * Threads: start and stop by one thread. */
#ifndef ESCROW_TESTS_FAULTPROXY_H
#define ESCROW_TESTS_FAULTPROXY_H

#include <stdint.h>

struct faultproxy;

/* Listens on a free port and forwards to 127.0.0.1:target_port. */
struct faultproxy *faultproxy_start(unsigned target_port, uint64_t seed);
unsigned faultproxy_port(const struct faultproxy *proxy);
/* Chances per forwarded chunk, in a thousand: to cut the connection, to hold the chunk back for up to 100 ms. */
void faultproxy_set(struct faultproxy *proxy, int cut_permille, int delay_permille);
void faultproxy_stop(struct faultproxy *proxy);

#endif
