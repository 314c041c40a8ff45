/* Which records does `dump` show? Those that fit all that was asked for.
 *
 * A key or a transaction id is in few kinds of records; the others are found because they name the offset of one that
 * was: a DECISION of its half, a DELIVER of its DECISION. So the offsets of what fitted are remembered (some 70 bytes each;
 * with a topic alone, its transactions only), and `--key K` gives the whole life of what was sent with that key.
 * Threads: one. */
#ifndef ESCROW_TOOLS_LOG_FILTER_H
#define ESCROW_TOOLS_LOG_FILTER_H

#include "tools/log/facts.h"

struct filter_offset;

struct filter {
	const char *topic, *key, *transaction; /* NULL: any. */
	uint32_t kinds;                        /* Bits of enum log_kind; 0: any. */
	int64_t since_ms, until_ms;            /* since <= time < until; 0: open. */
	int64_t last_ms;                       /* Time of the last record that had one: the others are as old. */
	struct filter_offset *named;
};

/* `kinds`: names with commas between, "half,decision"; NULL: any. ST_INVALID names the unknown one. */
enum status filter_init(struct filter *filter, const char *kinds, struct errinfo *err) MUST_USE;
void filter_deinit(struct filter *filter);
/* In log order. *past_out: this record, and so all later ones, is too late. ST_NOMEM. */
enum status filter_match(struct filter *filter, const struct record_facts *facts, bool *match_out, bool *past_out,
			 struct errinfo *err) MUST_USE;

#endif
