/* Which page of index.pages is whose, as a snapshot says. A reader of three of its sections (docs/formats/snapshots.md) beside the
 * core's, because tools read what a start would refuse, and say so.
 * Memory: 16 bytes and a bit a page, 100 bytes a queue. Threads: one. */
#ifndef ESCROW_TOOLS_LOG_PAGE_OWNERS_H
#define ESCROW_TOOLS_LOG_PAGE_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/log/vfs.h"

struct owned_page {
	uint64_t group;            /* Of entries. */
	uint32_t page;
	bool suspect;              /* For who looks at it. */
};

struct array_pages {               /* Of a queue, or of the half index. */
	uint32_t topic_id, queue_id;
	struct span topic;         /* Of `texts`; empty: the half index. */
	uint32_t per_page;         /* Entries. */
	uint64_t born;             /* Log offset of the topic's deletion; 0: none. */
	uint64_t min, end;         /* Its entries: [min, end). */
	uint64_t first_group, end_group; /* Have places in the page table. */
	struct owned_page *pages;  /* By group; not those that have none. */
	size_t count, capacity;
};

struct owner_name {                /* A span of `texts`, which moves while it grows. */
	size_t at, size;
};

struct page_owners {
	struct buffer texts;
	struct owner_name *names;  /* By id; 0 is no name's. */
	size_t name_count, name_capacity;
	struct array_pages *queues; /* By topic and number, when all is read. */
	size_t queue_count, queue_capacity;
	struct array_pages halves;
	uint8_t *used;             /* A bit for each page that is somebody's. */
	uint32_t page_count;
	uint64_t durable;          /* Nothing in the snapshot is from behind it. */
	const char *problem;       /* The snapshot contradicts itself: a start refuses it, nothing else here is of use. NULL: no. */
};

/* Of the snapshot of `from`. Errors as snapshot_open; ST_NOMEM. Free with page_owners_free in any case. */
enum status page_owners_read(const struct vfs *vfs, const char *root, uint64_t from, struct page_owners *out,
			     struct errinfo *err) MUST_USE;
void page_owners_free(struct page_owners *owners);

/* Orders a place and a queue, as memcmp. */
int page_owners_compare(struct span topic, uint32_t queue_id, const struct array_pages *queue);
/* The number of the first queue that is not before this place; queue_count: there is none. */
size_t page_owners_find(const struct page_owners *owners, struct span topic, uint32_t queue_id);

#endif
