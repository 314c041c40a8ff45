/* Where does one frame end? The envelope of the remoting protocol:
 *
 *     length u32 | serialize type u8, header length u24 | header | body        (length counts what follows it)
 *
 * Threads: pure. */
#ifndef ESCROW_WIRE_FRAME_H
#define ESCROW_WIRE_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"

enum { FRAME_PREFIX = 8, FRAME_HEADER_MAX = 256 * 1024 };

enum frame_verdict {
	FRAME_PARTIAL,  /* Wait for more bytes; *frame_size is how many the frame will have, 0 if not known yet. */
	FRAME_COMPLETE, /* The first *frame_size bytes are one frame. */
	FRAME_BAD,      /* Not this protocol or over a limit: close the connection; *reason says why. */
};

/* Looks at the bytes received so far. `size_max` bounds a whole frame. */
enum frame_verdict frame_scan(struct span input, uint32_t size_max, size_t *frame_size, const char **reason);

#endif
