/* What check says of the index pages (pages.h): it looks at them while it reads the log, and prints what is damaged.
 * Threads: one. */
#ifndef ESCROW_TOOLS_LOG_CHECK_PAGES_H
#define ESCROW_TOOLS_LOG_CHECK_PAGES_H

#include <stdbool.h>

#include "tools/log/lines.h"
#include "tools/log/pages.h"
#include "tools/log/snapshots.h"

struct check_pages { /* Zeros at first, but for these two: */
	const char *store;
	const struct snapshot_items *snapshots; /* Read before the first record is seen. */
	struct pages_look *look;   /* NULL: there is no snapshot, or the index is lost. */
	bool begun;
	const struct page_damage *damages; /* The first PAGES_DAMAGES_MAX of */
	size_t count;                      /* damaged pages. */
};

/* Each sound record. Errors as pages_open. */
enum status check_pages_see(struct check_pages *pages, const struct log_record *record, struct errinfo *err) MUST_USE;
/* Behind the last record: looks at the pages. */
enum status check_pages_run(struct check_pages *pages, struct errinfo *err) MUST_USE;
/* Nothing when nothing is damaged. What to do depends on whether a start could read all of the log. */
void check_pages_print(const struct check_pages *pages, bool log_damaged, struct lines *lines);
void check_pages_free(struct check_pages *pages);

#endif
