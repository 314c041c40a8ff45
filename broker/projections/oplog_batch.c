/* See oplog_batch.h. */
#include "broker/projections/oplog_batch.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_SIZE = 64 * 1024 };

struct oplog_batch_chunk {
	struct oplog_batch_chunk *next;
	size_t used;
	size_t size;
	uint8_t bytes[];
};

enum status oplog_batch_init(struct oplog_batch *batch, size_t row_max)
{
	*batch = (struct oplog_batch){ .row_max = row_max };
	batch->txns = calloc(row_max, sizeof(*batch->txns));
	batch->events = calloc(row_max, sizeof(*batch->events));
	if (batch->txns == NULL || batch->events == NULL) {
		oplog_batch_deinit(batch);
		return ST_NOMEM;
	}
	return ST_OK;
}

static void free_chunks(struct oplog_batch *batch)
{
	while (batch->chunks != NULL) {
		struct oplog_batch_chunk *next = batch->chunks->next;
		free(batch->chunks);
		batch->chunks = next;
	}
}

void oplog_batch_deinit(struct oplog_batch *batch)
{
	free_chunks(batch);
	free(batch->txns);
	free(batch->events);
	*batch = (struct oplog_batch){ 0 };
}

void oplog_batch_reset(struct oplog_batch *batch)
{
	free_chunks(batch);
	batch->txn_count = 0;
	batch->event_count = 0;
}

static enum status keep_span(struct oplog_batch *batch, struct span *field)
{
	struct oplog_batch_chunk *chunk = batch->chunks;

	if (field->size == 0) {
		*field = SPAN_NONE;
		return ST_OK;
	}
	if (chunk == NULL || chunk->size - chunk->used < field->size) {
		size_t size = field->size > CHUNK_SIZE ? field->size : CHUNK_SIZE;
		chunk = malloc(sizeof(*chunk) + size);
		if (chunk == NULL)
			return ST_NOMEM;
		*chunk = (struct oplog_batch_chunk){ batch->chunks, 0, size };
		batch->chunks = chunk;
	}
	memcpy(chunk->bytes + chunk->used, field->data, field->size);
	field->data = chunk->bytes + chunk->used;
	chunk->used += field->size;
	return ST_OK;
}

enum status oplog_batch_add_txn(struct oplog_batch *batch, const struct oplog_txn *txn)
{
	struct oplog_txn *copy = &batch->txns[batch->txn_count];

	if (batch->txn_count == batch->row_max)
		return ST_FULL;
	*copy = *txn;
	if (keep_span(batch, &copy->transaction_id) != ST_OK || keep_span(batch, &copy->group) != ST_OK ||
	    keep_span(batch, &copy->topic) != ST_OK || keep_span(batch, &copy->decider) != ST_OK ||
	    keep_span(batch, &copy->reason) != ST_OK)
		return ST_NOMEM;
	batch->txn_count++;
	return ST_OK;
}

enum status oplog_batch_add_event(struct oplog_batch *batch, const struct oplog_event *event)
{
	struct oplog_event *copy = &batch->events[batch->event_count];

	if (batch->event_count == batch->row_max)
		return ST_FULL;
	*copy = *event;
	if (keep_span(batch, &copy->actor_name) != ST_OK || keep_span(batch, &copy->reason) != ST_OK)
		return ST_NOMEM;
	batch->event_count++;
	return ST_OK;
}
