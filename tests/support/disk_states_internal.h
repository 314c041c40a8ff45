/* What disk_states.c (walking a trace), disk_build.c (choosing and building) and disk_hash.c share. Internal to them. */
#ifndef ESCROW_TESTS_DISK_STATES_INTERNAL_H
#define ESCROW_TESTS_DISK_STATES_INTERNAL_H

#include "tests/support/disk_states.h"
#include "tests/support/memdisk_internal.h"

enum { MADE_LATER = 1 << 20 }; /* Ids of nodes that are not the trace's. */

/* A file of the trace, by its node id. */
struct file {
	struct node *node;
	size_t size;       /* Synced. */
	uint64_t content;  /* Sum of the hashes of its synced sectors. */
	uint64_t delta, durable_delta; /* Scratch of a hash. */
};

struct pending_write { /* TRACE_WRITE or TRACE_TRUNCATE that no sync has covered. */
	const struct trace_op *op;
	bool lost;          /* A failed sync was to cover it. */
	bool size_settled;  /* A later sync has settled the file's size. */
	uint8_t *live;      /* By sector of the write: 1 if keeping or dropping it makes a difference. */
	size_t live_count;
};

enum factor_type { FACTOR_WRITE, FACTOR_SIZE, FACTOR_NAME };
enum { DROP = 0, KEEP = 1, SIZES_MAX = 16 };

/* One thing to choose. Option 0 drops it, 1 keeps it, the others are in between. */
struct factor {
	enum factor_type type;
	size_t index;       /* Of the pending write, file, or change of names. */
	uint64_t options;
	uint64_t choice;    /* Of a write, beyond `options`: sectors by chance, this is the seed. */
	size_t sizes[SIZES_MAX];
};

struct disk_states {
	const struct disk_trace *trace;
	size_t position;
	struct trace_note note;
	struct memdisk *disk;
	struct undo undo;
	struct file *files;
	size_t file_count, file_capacity;
	struct name_table names;              /* Durable. */
	char **dirs;                          /* Durable. */
	size_t dir_count, dir_capacity;
	struct pending_write *writes;
	size_t write_count, write_capacity;
	const struct trace_op **name_ops;     /* Not durable. */
	size_t name_op_count, name_op_capacity;

	struct factor *factors;
	size_t factor_count, factor_capacity;
	uint64_t left, made, random;
	bool exhaustive;
};

/* Sum of the hashes of a file's sectors: 0 for zeros, so that what was never written costs nothing. */
uint64_t disk_sector_hash(const uint8_t *sector, size_t index);
uint64_t disk_content_hash(const uint8_t *data, size_t capacity);

/* Takes back everything done to the disk since it was built. */
void disk_states_undo(struct disk_states *states);
/* Does one change of names in a table. */
void disk_apply_name(struct disk_states *states, const struct trace_op *op, struct name_table *names);
/* Bytes of a path's directory; 1 ("/") for what has no other. */
size_t disk_parent_size(const char *path);

#endif
