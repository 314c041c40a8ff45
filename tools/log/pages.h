/* Does index.pages hold what was written?
 *
 * Which page belongs to whom is in the newest whole snapshot. A start believes what lies there, but for the entries that the
 * records behind the snapshot put again; damage is only met by whoever reads the entry. Here all that are believed are looked at:
 * each has a checksum (docs/formats/index.md), those of an array name records one behind the other, none of a queue is missing, and
 * no half that the log has, but for half index pages that were dropped as a whole.
 * What a power cut may leave of entries that are put again says nothing.
 *
 * Beside a running broker a page may be met in the middle of a write: what seems damaged is looked at again when all has been.
 * Memory: that of page_owners.h. Threads: one. */
#ifndef ESCROW_TOOLS_LOG_PAGES_H
#define ESCROW_TOOLS_LOG_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/log/commitlog.h"
#include "lib/log/vfs.h"

enum { PAGES_DAMAGES_MAX = 20 };

/* Of one page, or of neighbouring ones that are not there. */
struct page_damage {
	uint64_t byte;       /* In the file: where its first bad entry begins. */
	uint64_t entry;      /* Its number in the array. */
	uint64_t count;      /* Bad entries of the page. */
	bool no_page;        /* It has none: `byte` says nothing. */
	const char *reason;  /* Of the first. Static text. */
	struct span topic;   /* Valid as long as the look; empty: the half index. */
	uint32_t queue_id;
};

struct pages_look;

/* What belongs to whom, as the snapshot of `from` says, which must be whole. ST_IO, ST_NOMEM; ST_CORRUPT, ST_NOTFOUND when it
 * changes meanwhile. Free with pages_free; `root` stays until then. */
enum status pages_open(const struct vfs *vfs, const char *root, uint64_t from, struct pages_look **out,
		       struct errinfo *err) MUST_USE;
/* NULL is allowed. */
void pages_free(struct pages_look *look);
/* How the snapshot contradicts itself, though its checksums are right: a start refuses it, and of the pages nothing can be said.
 * NULL: it does not. Static text. */
const char *pages_problem(const struct pages_look *look);
/* Each sound record, in any order: what a replay puts again is not looked at. */
void pages_see(struct pages_look *look, const struct log_record *record);
/* Reads the pages. With *suspects_out some seem damaged: a writer that is in the middle of them wants a moment. ST_IO. */
enum status pages_check(struct pages_look *look, bool *suspects_out, struct errinfo *err) MUST_USE;
/* After it, once: reads those again. damages_out: the first PAGES_DAMAGES_MAX, owned by the look; *count_out: all. None when the
 * snapshot was replaced meanwhile: its pages may be somebody else's. ST_IO. */
enum status pages_check_again(struct pages_look *look, const struct page_damage **damages_out, size_t *count_out,
			      struct errinfo *err) MUST_USE;

#endif
