/* Which messages have this key? The index behind QUERY_MESSAGE: a projection of the log, made beside the loop.
 *
 * A thread of its own reads the log's files below the durable mark, takes KEYS, UNIQ_KEY and TAGS of each message and half message,
 * and keeps (hash of topic and key, log offset) pairs: in memory, and every KEY_INDEX_RUN pairs in a run on disk
 * (lib/index/key_run.h). A start goes on behind the last run. So messages cost the loop nothing, at the price that a key is found
 * a moment after its message was acknowledged, as with RocketMQ.
 *
 * An undecided half is in it as well: whoever looks a pair up in the log sees what became of it. Runs go with the part of the log
 * that they speak of. That the index is lost or damaged never stops the broker.
 *
 * Threads: all functions are the loop's; `found` is called on the index's thread. */
#ifndef ESCROW_PROJECTIONS_KEY_INDEX_H
#define ESCROW_PROJECTIONS_KEY_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/log/vfs.h"

struct key_index;

enum { KEY_INDEX_HITS_MAX = 256, KEY_INDEX_RUN = 1 << 20, KEY_INDEX_WAIT_MS = 2000 };

/* RocketMQ has one index for keys and unique keys, and another for tags. */
enum key_kind { KEY_OF_MESSAGE, KEY_TAG };

/* A search: the caller's memory, the index's between key_index_search and `found`. */
struct key_search {
	struct key_search *next;
	uint64_t hash;             /* key_index_hash */
	int64_t end_ms;            /* What was stored later does not matter. */
	uint64_t below;            /* Nor do records from here on. */
	uint64_t wait_for;         /* The index's own: the log as far as it was durable when it was asked, and */
	int64_t wait_until_ms;     /* how long it may take to get there (monotonic). */
	void (*found)(struct key_search *search);
	/* The answer: log offsets of records, the highest first. */
	uint64_t hits[KEY_INDEX_HITS_MAX];
	size_t hit_count;
	uint64_t indexed_to;       /* Records below were looked at. */
	int64_t indexed_ms;        /* Store time of the last one of them. */
};

/* Of what is looked for. */
uint64_t key_index_hash(struct span topic, enum key_kind kind, struct span key);

/* `root` is storePathRootDir; `durable` the log's durable end. ST_NOMEM. */
enum status key_index_start(const struct vfs *vfs, const char *root, uint64_t durable, struct key_index **out,
			    struct errinfo *err) MUST_USE;
/* Everything below `durable` is safe, everything below `log_start` gone. Cheap. NULL is allowed, here and below. */
void key_index_advance(struct key_index *index, uint64_t durable, uint64_t log_start);
/* Looks it up once everything that is durable now was read, or after KEY_INDEX_WAIT_MS in what was; `found` follows, in
 * any case but a stop. */
void key_index_search(struct key_index *index, struct key_search *search);
/* Joins the thread and frees; searches under way are not answered. */
void key_index_stop(struct key_index *index);

/* --- for tests: the same without a thread ---------------------------------------------------------------------------- */
enum status key_index_open(const struct vfs *vfs, const char *root, uint64_t run_entries, struct key_index **out,
			   struct errinfo *err) MUST_USE;
/* Reads on up to the durable mark. */
enum status key_index_catch_up(struct key_index *index, struct errinfo *err) MUST_USE;
void key_index_answer(struct key_index *index, struct key_search *search);
size_t key_index_run_count(const struct key_index *index);
void key_index_close(struct key_index *index);

#endif
