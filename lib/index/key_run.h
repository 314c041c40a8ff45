/* Which log records have this key? A part of the answer: one file, written once, of (hash, log offset) pairs in order.
 *
 * A run covers the records of one stretch of the log, [from, to). It is a projection: what it names is looked at before it is
 * believed, a run that is lost is written anew from the log, and one that is damaged hides messages from searches and
 * does no other harm. Bytes: docs/formats/keys.md.
 * Threads: a run belongs to one at a time. Every function blocks on the disk. */
#ifndef ESCROW_INDEX_KEY_RUN_H
#define ESCROW_INDEX_KEY_RUN_H

#include <stddef.h>
#include <stdint.h>

#include "lib/log/vfs.h"

enum { KEY_RUN_LOG_ID_SIZE = 16, KEY_RUN_PATH_SIZE = 600 };

struct key_entry {
	uint64_t hash;
	uint64_t offset; /* Of the record in the log. */
};

struct key_run_head {
	uint8_t log_id[KEY_RUN_LOG_ID_SIZE];
	uint64_t from, to;          /* Log offsets. */
	uint64_t count;             /* Entries. */
	int64_t oldest_ms, newest_ms; /* Store times of its records; both 0 without any. */
};

struct key_run {
	struct key_run_head head;
	struct vfs_file *file;
};

/* <root>/keys */
void key_run_dir(const char *root, char out[KEY_RUN_PATH_SIZE]);
/* Sorts `entries` and writes them under <dir>/<to, 20 digits>, durable on return. An older one of that name is replaced. */
enum status key_run_write(const struct vfs *vfs, const char *dir, const struct key_run_head *head, struct key_entry *entries,
			  struct errinfo *err) MUST_USE;
/* ST_NOTFOUND; ST_CORRUPT: not a run, or cut short; ST_VERSION. */
enum status key_run_open(const struct vfs *vfs, const char *dir, uint64_t to, struct key_run *out, struct errinfo *err) MUST_USE;
void key_run_close(struct key_run *run);
/* Removes the file of that name; none is fine. */
enum status key_run_remove(const struct vfs *vfs, const char *dir, uint64_t to, struct errinfo *err) MUST_USE;
/* The names of all runs in `dir`, ascending, at most `max` of the highest; 0 without the directory. */
enum status key_run_list(const struct vfs *vfs, const char *dir, uint64_t *out, size_t max, size_t *count_out,
			 struct errinfo *err) MUST_USE;
/* The entries with this hash: `count` from number `first` on, their offsets ascending. */
enum status key_run_find(struct key_run *run, uint64_t hash, uint64_t *first, uint64_t *count, struct errinfo *err) MUST_USE;
/* The offset in entry `number`, which key_run_find gave for this hash. ST_CORRUPT: it is another's. */
enum status key_run_offset(struct key_run *run, uint64_t hash, uint64_t number, uint64_t *offset, struct errinfo *err) MUST_USE;

#endif
