/* What check says of the index pages (pages.h): it looks at them while it reads the log, and prints what is damaged.
 * Threads: one. */
#ifndef ESCROW_TOOLS_LOG_CHECK_PAGES_H
#define ESCROW_TOOLS_LOG_CHECK_PAGES_H

#include <stdbool.h>

#include "tools/log/lines.h"
#include "tools/log/pages.h"
#include "tools/log/snapshots.h"

struct check_pages { /* Zeros at first, but for these three: */
	const char *store;
	bool in_use;               /* By a broker. */
	const struct snapshot_items *snapshots; /* Read before the first record is seen. */
	struct pages_look *look;   /* NULL: there is no snapshot, or the index is lost. */
	bool begun;
	char problem[256];         /* The snapshot contradicts itself: a start refuses it. */
	const struct page_damage *damages; /* The first PAGES_DAMAGES_MAX of */
	size_t count;                      /* damaged pages. */
};

/* Each sound record. ST_IO, ST_NOMEM. */
enum status check_pages_see(struct check_pages *pages, const struct log_record *record, struct errinfo *err) MUST_USE;
/* Behind the last record: looks at the pages. ST_IO. */
enum status check_pages_run(struct check_pages *pages, struct errinfo *err) MUST_USE;
/* Nothing when nothing is damaged. What to do depends on whether a start could read all of the log. */
void check_pages_print(const struct check_pages *pages, bool log_damaged, struct lines *lines);
void check_pages_free(struct check_pages *pages);

#endif
