/* How far has each consumer group read? One row per (topic, group), one value per queue.
 *
 * A value is *live* when a consumer said it and *stored* once an OFFSETS record carries it. An acknowledged update
 * (a two-way UPDATE_CONSUMER_OFFSET) appends its record at once; one-way updates and those that ride on pulls only
 * become live and dirty, and the next periodic OFFSETS record stores all dirty ones together, unless somebody asks for
 * one before (QUERY_CONSUMER_OFFSET).
 * Only stored values are kept in snapshots.
 * Going backwards is allowed: reset and skip tools rely on it.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_OFFSETS_H
#define ESCROW_CORE_OFFSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"

struct offsets;

/* Without limits at first, so that a log is taken in whole. NULL when out of memory. */
struct offsets *offsets_create(void);
/* From now on: `row_max` bounds the (topic, group) pairs, `place_max` the queues of all of them together (a row has a place
 * for each queue up to the highest that was named). */
void offsets_set_limits(struct offsets *offsets, size_t row_max, size_t place_max);
void offsets_destroy(struct offsets *offsets);

/* The live value; false if the group never said one for this queue. Ids are those of the core's name table. */
bool offsets_get(const struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id, int64_t *out);
/* Makes room for offsets_note / offsets_apply of this queue, so that they cannot fail. ST_FULL, ST_NOMEM. */
enum status offsets_reserve(struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id) MUST_USE;
/* A consumer's word: live now, dirty until a record stores it. Needs a reserved place. */
void offsets_note(struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id, int64_t value);
/* A record carries this value already, and nobody has said another since. */
bool offsets_is_stored(const struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id, int64_t value);
/* What an OFFSETS record says: live and stored. Needs a reserved place. */
void offsets_apply(struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id, int64_t value);

/* What the groups, or one group, said is forgotten, and makes room: nobody ever read the topic. */
void offsets_forget_topic(struct offsets *offsets, uint32_t topic_id);
void offsets_forget_group(struct offsets *offsets, uint32_t group_id);

/* The consumers of the group are still to be told that their offset was set to what it is now. */
void offsets_mark_reset(struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id);
/* Where to; -1: nothing is to be told. */
int64_t offsets_reset_target(const struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id);
void offsets_reset_told(struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id);

/* A pull of the group was answered, and its next one will be at `next`. Soft, and kept only where the group has said an offset. */
void offsets_note_pulled(struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id, int64_t next);
/* Messages below this are with the group's consumers: the live value, or beyond it what was pulled since; 0: not known. */
int64_t offsets_pulled(const struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id);

/* Visits each topic that the group has a live value of, or each group that has one of the topic; once, in no order. The visit may
 * not add any. */
typedef void (*offsets_visit)(void *context, uint32_t id);
void offsets_each_topic_of(const struct offsets *offsets, uint32_t group_id, offsets_visit visit, void *context);
void offsets_each_group_of(const struct offsets *offsets, uint32_t topic_id, offsets_visit visit, void *context);

struct offsets_entry {
	uint32_t topic_id;
	uint32_t group_id;
	uint32_t queue_id;
	int64_t value;
};
/* Up to `max` dirty values, oldest change first. They stay dirty until offsets_apply says the same value. */
size_t offsets_dirty(const struct offsets *offsets, struct offsets_entry *out, size_t max);
/* Queues that have a place. */
size_t offsets_place_count(const struct offsets *offsets);
size_t offsets_dirty_count(const struct offsets *offsets);

/* A walk over all stored values; { 0 } at first. False at the end. Rows keep their places, whoever's they become, so what is
 * there during the whole walk is met exactly once. */
struct offsets_cursor {
	const void *row;
	uint32_t queue_id;
	bool begun;
};
bool offsets_next(const struct offsets *offsets, struct offsets_cursor *cursor, struct offsets_entry *out);
/* The same over the live values. */
bool offsets_next_live(const struct offsets *offsets, struct offsets_cursor *cursor, struct offsets_entry *out);
/* The next (topic, group) of which a live value is known. */
bool offsets_next_row(const struct offsets *offsets, struct offsets_cursor *cursor, uint32_t *topic_id_out,
		      uint32_t *group_id_out);

#endif
