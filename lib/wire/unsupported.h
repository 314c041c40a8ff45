/* What is the answer to a request that nobody here serves? RocketMQ's words, and what the operator who sent it can do.
 *
 * Threads: pure. */
#ifndef ESCROW_WIRE_UNSUPPORTED_H
#define ESCROW_WIRE_UNSUPPORTED_H

#include <stddef.h>
#include <stdint.h>

enum asked_peer { ASKED_BROKER, ASKED_NAMESRV };

enum { UNSUPPORTED_REMARK_SIZE = 256 };

/* The remark of REQUEST_CODE_NOT_SUPPORTED: " request type 1007 not supported: there is no controller ...". */
void unsupported_remark(int32_t code, enum asked_peer asked, char out[UNSUPPORTED_REMARK_SIZE]);

#endif
