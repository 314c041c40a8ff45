/* What was done to a memory disk, in order: every operation that changes it, with its bytes, and notes of the test about
 * what had been promised by then.
 *
 * Recording starts with memdisk_trace() on a fresh disk. A trace is plain data; disk_states.h makes of each prefix of it
 * the disks that a power cut at that moment may leave.
 * Threads: values. */
#ifndef ESCROW_TESTS_DISK_TRACE_H
#define ESCROW_TESTS_DISK_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memdisk;
struct node;

enum trace_type {
	TRACE_CREATE,    /* path -> node */
	TRACE_TRUNCATE,  /* node */
	TRACE_WRITE,     /* node, sectors */
	TRACE_SYNC,      /* node */
	TRACE_SYNC_LOST, /* node: a sync that failed; what was written since the last one stays in doubt for ever. */
	TRACE_RENAME,    /* path_too -> path (node) */
	TRACE_UNLINK,    /* path */
	TRACE_MKDIR,     /* path */
	TRACE_SYNC_DIR,  /* path */
	TRACE_CRASH,     /* The power went here, too: `survivors` is all that was left. */
	TRACE_NOTE,      /* note */
};

struct trace_note {
	uint32_t life;    /* Starts so far. */
	uint64_t promised; /* Everything below this log offset has been acknowledged. */
	uint64_t gone;     /* What lies below may have been given up. */
};

struct trace_survivor {
	char *path;
	uint32_t node;
	uint8_t *data;
	size_t size;
};

struct trace_op {
	enum trace_type type;
	uint32_t node;
	char *path, *path_too;
	size_t first_sector, sector_count; /* TRACE_WRITE */
	size_t size_after;                 /* The file's visible size after it. */
	uint8_t *sectors;                  /* Visible content of those sectors after it. */
	struct trace_survivor *survivors;
	size_t survivor_count;
	struct trace_note note;
};

struct disk_trace {
	struct trace_op *ops;
	size_t count, capacity;
};

struct disk_trace *disk_trace_create(void);
/* NULL is allowed. */
void disk_trace_destroy(struct disk_trace *trace);
void disk_trace_note(struct disk_trace *trace, struct trace_note note);

/* --- for memdisk.c; `trace` may be NULL --- */
void trace_names(struct disk_trace *trace, enum trace_type type, const char *path, const char *path_too,
		 const struct node *node);
void trace_write(struct disk_trace *trace, const struct node *node, uint64_t offset, size_t size);
void trace_node(struct disk_trace *trace, enum trace_type type, const struct node *node);
void trace_crash(struct disk_trace *trace, const struct memdisk *disk);

#endif
