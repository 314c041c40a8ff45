/* See oplog_table.h. */
#include "broker/projections/oplog_table.h"

#include <stdlib.h>
#include <string.h>


#include "lib/base/table.h"

struct event_node {
	struct event_node *next;
	struct oplog_event event;
	uint8_t bytes[]; /* Of the spans. */
};

struct entry {
	UT_hash_handle hh;
	uint64_t half_offset;
	struct oplog_txn *txn; /* With the bytes of its spans behind it; NULL: only events so far. */
	struct event_node *first, *last;
	size_t event_count;
};

struct oplog_table {
	struct entry *entries;
	struct span transaction_id;
	struct span group;
	int64_t time_ms;
};

struct oplog_table *oplog_table_new(struct span transaction_id, struct span group)
{
	struct oplog_table *table = calloc(1, sizeof(*table));

	if (table != NULL) {
		table->transaction_id = transaction_id;
		table->group = group;
	}
	return table;
}

void oplog_table_free(struct oplog_table *table)
{
	struct entry *entry, *next_entry;

	if (table == NULL)
		return;
	HASH_ITER(hh, table->entries, entry, next_entry) {
		HASH_DEL(table->entries, entry);
		while (entry->first != NULL) {
			struct event_node *next = entry->first->next;
			free(entry->first);
			entry->first = next;
		}
		free(entry->txn);
		free(entry);
	}
	free(table);
}

static enum status no_memory(struct errinfo *err)
{
	return errinfo_set(err, ST_NOMEM, "op log table: out of memory; choose fewer with --txn or --group");
}

/* NULL without memory. */
static struct entry *entry_of(struct oplog_table *table, uint64_t half_offset)
{
	struct entry *entry;

	HASH_FIND(hh, table->entries, &half_offset, sizeof(half_offset), entry);
	if (entry != NULL)
		return entry;
	entry = calloc(1, sizeof(*entry));
	if (entry == NULL)
		return NULL;
	entry->half_offset = half_offset;
	HASH_ADD(hh, table->entries, half_offset, sizeof(entry->half_offset), entry);
	if (table_took(entry))
		return entry;
	free(entry);
	return NULL;
}

static void move_span(struct span *field, uint8_t **room)
{
	if (field->size > 0)
		memcpy(*room, field->data, field->size);
	field->data = *room;
	*room += field->size;
}

static enum status take_txn(void *context, const struct oplog_txn *txn, struct errinfo *err)
{
	struct oplog_table *table = context;

	if ((table->transaction_id.size > 0 && !span_equal(table->transaction_id, txn->transaction_id)) ||
	    (table->group.size > 0 && !span_equal(table->group, txn->group)))
		return ST_OK;
	struct entry *entry = entry_of(table, txn->half_offset);
	struct oplog_txn *copy = malloc(sizeof(*copy) + txn->transaction_id.size + txn->group.size + txn->topic.size +
					txn->decider.size + txn->reason.size);
	if (entry == NULL || copy == NULL) {
		free(copy);
		return no_memory(err);
	}
	if (entry->txn != NULL && entry->txn->state_offset >= txn->state_offset) {
		free(copy);
		return ST_OK;
	}
	uint8_t *room = (uint8_t *)(copy + 1);
	*copy = *txn;
	move_span(&copy->transaction_id, &room);
	move_span(&copy->group, &room);
	move_span(&copy->topic, &room);
	move_span(&copy->decider, &room);
	move_span(&copy->reason, &room);
	free(entry->txn);
	entry->txn = copy;
	return ST_OK;
}

static enum status take_event(void *context, const struct oplog_event *event, struct errinfo *err)
{
	struct oplog_table *table = context;
	struct entry *entry = entry_of(table, event->half_offset);
	struct event_node *node = malloc(sizeof(*node) + event->actor_name.size + event->reason.size);

	if (entry == NULL || node == NULL) {
		free(node);
		return no_memory(err);
	}
	uint8_t *room = node->bytes;
	node->next = NULL;
	node->event = *event;
	move_span(&node->event.actor_name, &room);
	move_span(&node->event.reason, &room);
	if (entry->last == NULL)
		entry->first = node;
	else
		entry->last->next = node;
	entry->last = node;
	entry->event_count++;
	return ST_OK;
}

enum status oplog_table_add(struct oplog_table *table, const struct log_record *record, struct errinfo *err)
{
	const struct oplog_sink sink = { take_txn, take_txn, take_event, table };

	return oplog_facts(record, &sink, &table->time_ms, err);
}

/* --- walking -------------------------------------------------------------------------------------------------- */

static int by_offset(struct entry *a, struct entry *b)
{
	return a->half_offset < b->half_offset ? -1 : a->half_offset > b->half_offset;
}

static int by_time(const void *left, const void *right)
{
	const struct oplog_step *a = left, *b = right;

	if (a->at_ms != b->at_ms)
		return a->at_ms < b->at_ms ? -1 : 1;
	if (a->log_offset != b->log_offset)
		return a->log_offset < b->log_offset ? -1 : 1;
	return a->part < b->part ? -1 : a->part > b->part;
}

static struct oplog_step step_of_event(const struct oplog_event *event)
{
	bool has_detail = event->event == OPLOG_CHECK_ANSWERED || event->event == OPLOG_REFUSED;

	return (struct oplog_step){
		.at_ms = event->at_ms, .log_offset = event->record_offset, .part = event->part,
		.event = oplog_event_text(event->event), .actor = oplog_actor_text(event->actor),
		.actor_name = event->actor_name, .checks = event->checks,
		.detail = has_detail ? oplog_detail_text(event->detail) : NULL, .repeats = event->repeats,
		.reason = event->reason,
	};
}

static size_t make_steps(const struct entry *entry, struct oplog_step *steps)
{
	const struct oplog_txn *txn = entry->txn;
	size_t count = 0;

	steps[count++] = (struct oplog_step){
		.at_ms = txn->created_ms, .log_offset = txn->half_offset, .event = oplog_txn_state_text(OPLOG_PREPARED),
		.actor = oplog_actor_text(OPLOG_PRODUCER),
	};
	if ((txn->state == OPLOG_COMMITTED || txn->state == OPLOG_ROLLED_BACK) && txn->decided_by == OPLOG_PRODUCER)
		steps[count++] = (struct oplog_step){
			.at_ms = txn->decided_ms, .log_offset = txn->state_offset,
			.event = oplog_txn_state_text(txn->state), .actor = oplog_actor_text(OPLOG_PRODUCER),
			.actor_name = txn->decider, .checks = txn->checks, .reason = txn->reason,
		};
	for (const struct event_node *node = entry->first; node != NULL; node = node->next)
		steps[count++] = step_of_event(&node->event);
	qsort(steps, count, sizeof(*steps), by_time);
	return count;
}

enum status oplog_table_walk(struct oplog_table *table, oplog_table_visit visit, void *context, struct errinfo *err)
{
	struct entry *entry, *next;
	enum status st = ST_OK;

	HASH_SORT(table->entries, by_offset);
	HASH_ITER(hh, table->entries, entry, next) {
		if (entry->txn == NULL)
			continue;
		struct oplog_step *steps = calloc(entry->event_count + 2, sizeof(*steps));
		if (steps == NULL)
			return no_memory(err);
		size_t count = make_steps(entry, steps);
		st = visit(context, entry->txn, steps, count, err);
		free(steps);
		if (st != ST_OK)
			break;
	}
	return st;
}
