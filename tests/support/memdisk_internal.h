/* The insides of the memory disk, for memdisk.c (the file layer), memdisk_node.c (files and names), disk_trace.c (what was
 * done to it) and disk_states.c (what a power cut can make of it). Nothing else includes this. */
#ifndef ESCROW_TESTS_MEMDISK_INTERNAL_H
#define ESCROW_TESTS_MEMDISK_INTERNAL_H

#include "tests/support/memdisk.h"

enum { NODE_BLOCK = 4096, NODE_BLOCK_SECTORS = NODE_BLOCK / MEMDISK_SECTOR };

struct disk_trace;

/* Blocks of files as they were before the first change: disk_states.c takes them back. */
struct undo {
	struct undo_entry {
		struct node *node;
		size_t block;
		uint8_t bytes[NODE_BLOCK]; /* Visible and durable alike. */
	} *entries;
	size_t count, capacity;
};

/* A file without its names. */
struct node {
	uint32_t id;         /* Unique on its disk. */
	uint8_t *data;       /* Visible content; capacity bytes, zero beyond size. */
	uint8_t *durable;    /* Same capacity. */
	uint8_t *dirty;      /* One byte a sector: written since the last sync. */
	size_t size, durable_size, capacity;
	unsigned references; /* Names, durable names, pending operations, open files. */
	bool locked;
	struct undo *undo;   /* NULL: changes are for good. */
	uint8_t *touched;    /* With undo: one byte a block that is in it. */
};

struct name {
	char *path;
	struct node *node;
};

struct name_table {
	struct name *names;
	size_t count, capacity;
};

struct pending_op { /* A change of names that no directory sync has made durable. */
	enum pending_op_type { OP_LINK, OP_UNLINK } type;
	char *path;
	struct node *node; /* OP_LINK */
	char *path_too;    /* OP_LINK of a rename: the name that goes in the same step. */
};

struct memdisk {
	struct vfs vfs;
	struct name_table visible, durable;
	struct pending_op *pending;
	size_t pending_count, pending_capacity;
	char **dirs;
	size_t dir_count, dir_capacity;
	struct vfs_file **open;
	size_t open_count, open_capacity;
	uint32_t next_node_id;
	uint64_t countdown, read_countdown, look_countdown;
	enum memdisk_fault fault;
	bool sticky, struck, cold, full;
	struct memdisk_stats stats;
	struct disk_trace *trace; /* NULL: nobody listens. */
};

/* --- memory: aborts when there is none, and is not counted by a test that makes allocations fail ------------- */

void *mem_alloc(size_t size); /* Zeroed. */
void *mem_grow(void *old, size_t size);
char *mem_text(const char *text);
/* Grows an array by one element. */
void *mem_one_more(void *array, size_t count, size_t *capacity, size_t element);
uint64_t mem_random(uint64_t *state);

/* --- files --------------------------------------------------------------------------------------------------- */

struct node *node_create(struct memdisk *disk);
void node_release(struct node *node);
void node_ensure(struct node *node, size_t size);
/* Before bytes change: keeps their blocks for the undo. */
void node_touch(struct node *node, size_t offset, size_t size);
void node_write(struct node *node, uint64_t offset, const void *data, size_t size);
void node_truncate(struct node *node);
void node_sync(struct node *node);
/* What Linux does after a failed writeback: the pages count as clean, the disk does not have them. */
void node_lose_sync(struct node *node);
/* keep: chance in 256 that an unsynced sector reached the disk. */
void node_crash(struct node *node, uint64_t *random, unsigned keep);

/* --- names --------------------------------------------------------------------------------------------------- */

struct name *name_find(struct name_table *table, const char *path);
void name_drop(struct name_table *table, const char *path);
void name_set(struct name_table *table, const char *path, struct node *node);
void name_clear(struct name_table *table);
/* Changes of names that are not durable are forgotten; the visible names stay. */
void names_forget_pending(struct memdisk *disk);
bool dir_exists(const struct memdisk *disk, const char *path);
void dir_add(struct memdisk *disk, const char *path);

#endif
