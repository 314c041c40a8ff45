/* Writing a buffer to a non-blocking socket: the step that server and client share. Threads: the socket's. */
#ifndef ESCROW_NET_OUTPUT_H
#define ESCROW_NET_OUTPUT_H

#include <stdbool.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

/* Sends what the socket takes now and drops that from the buffer. ST_OK: all of it; ST_AGAIN: the rest when the socket is
 * writable; ST_CLOSED: the connection is broken. *progress (may be NULL): something was sent. */
enum status output_send(int fd, struct buffer *out, bool *progress) MUST_USE;

#endif
