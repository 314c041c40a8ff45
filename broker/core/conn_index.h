/* What waits on a connection? Found without a look at what waits on the others, for when it closes: thousands may at once.
 *
 * Whatever waits has a conn_link in itself; conn_index_first gives that of one, and the caller what it lies in.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_CONN_INDEX_H
#define ESCROW_CORE_CONN_INDEX_H

#include <stdint.h>

#include "lib/base/status.h"

struct conn_links;

struct conn_link {
	struct conn_link *prev, *next;
	struct conn_links *owner;
};

/* All zeros is an empty one; it holds no memory when nothing is in it. */
struct conn_index {
	struct conn_links *by_conn;
};

/* ST_NOMEM; the link is not in then. */
enum status conn_index_add(struct conn_index *index, uint64_t conn_id, struct conn_link *link) MUST_USE;
void conn_index_remove(struct conn_index *index, struct conn_link *link);
/* Any of them; NULL: there is none. */
struct conn_link *conn_index_first(const struct conn_index *index, uint64_t conn_id);

#endif
