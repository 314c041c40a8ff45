/* What does a scrape of this broker say? Text for Prometheus, made in slices so that a broker of a hundred thousand queues
 * is not held up by it.
 *
 * Names and labels are RocketMQ 5's where it has the thing and we know it; what it has no name for begins with `escrow_`.
 * docs/metrics.md lists them. Counters begin at the start of the broker. Threads: the loop thread. */
#ifndef ESCROW_HANDLERS_METRICS_H
#define ESCROW_HANDLERS_METRICS_H

#include "broker/core/offsets.h"
#include "broker/handlers/handlers.h"

/* One scrape under way; zeroed at first but for `handlers`, which outlives it. */
struct metrics_walk {
	const struct handlers *handlers;
	unsigned family;
	const char *name;          /* Of the family. */
	bool begun;                /* Something of the family was written. */
	struct offsets_cursor rows;
	const struct topic *topic; /* The next one; topics and groups stay where they are. */
	const struct consumer_group *group;
	struct buffer *out;
	struct machine_facts machine;
};

/* Appends the next slice, of some 256 lines at most (the clients of a group together count as one). False: that was all. */
bool metrics_next(struct metrics_walk *walk, struct buffer *out);

#endif
