/* What a snapshot says is undecided or delayed, and whose message went with a segment since: what became of it?
 *
 * A start loads the snapshot and replays the records behind it. A DECISION, DELIVER or TIMER_CANCEL closes such an entry, a
 * CARRY gives it another body; if none of them does, the message is lost and the start refuses. The same is done here, for
 * those entries alone whose body is not in the log any more: after a broker's life that is what it carried or closed since
 * its newest snapshot.
 * Memory: 32 bytes each such entry, 16 each record that closes or carries one. Threads: one. */
#ifndef ESCROW_TOOLS_LOG_BODIES_H
#define ESCROW_TOOLS_LOG_BODIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/log/commitlog.h"
#include "lib/log/vfs.h"

/* Open, and its body lies before the log's start. */
struct gone_body {
	uint64_t name;   /* Log offset of the record that opened it: HALF; MESSAGE or DECISION with a delay. */
	uint64_t origin; /* Under which its body is carried: HALF or MESSAGE. */
	uint64_t body;
	uint64_t since;  /* The record behind the snapshot that says so; 0: the snapshot does. */
};

/* A record at `by` closes or carries what bears this name. */
struct settled {
	uint64_t name, by;
};

struct settled_list {
	struct settled *items;
	size_t count, capacity;
};

struct bodies {
	uint64_t from;   /* The snapshot: records before it are in it. */
	uint64_t start;  /* The log begins here. */
	struct gone_body *gone;
	size_t gone_count, gone_capacity;
	struct settled_list closed, carried;
	char problem[200]; /* The snapshot's items are not what they should be: a start refuses them. Empty: they are. */
};

/* Reads the snapshot of `from`, which must be whole. ST_OK with a problem, too. ST_IO, ST_NOMEM; ST_CORRUPT, ST_NOTFOUND when it
 * changes meanwhile. Free with bodies_free in any case. */
enum status bodies_read(const struct vfs *vfs, const char *root, uint64_t from, uint64_t start, struct bodies *out,
			struct errinfo *err) MUST_USE;
void bodies_free(struct bodies *bodies);
/* Each sound record, in any order. ST_NOMEM. */
enum status bodies_see(struct bodies *bodies, const struct log_record *record, struct errinfo *err) MUST_USE;
/* Is something open whose message is gone, for a start that replays the records before `end`? *body_out: where it was. */
bool bodies_lost(struct bodies *bodies, uint64_t end, uint64_t *body_out);

#endif
