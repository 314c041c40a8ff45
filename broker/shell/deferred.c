#include "broker/shell/deferred.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct deferred *deferred_add(struct deferred_queue *queue, uint64_t conn_id, struct span frame, int64_t now_ms)
{
	if (queue->count >= DEFER_COUNT_MAX || queue->bytes + frame.size > DEFER_BYTES_MAX)
		return NULL;
	struct deferred *deferred = malloc(sizeof(*deferred) + frame.size);
	if (deferred == NULL)
		return NULL;
	*deferred = (struct deferred){ .conn_id = conn_id, .since_ms = now_ms, .frame_size = frame.size };
	memcpy(deferred->frame, frame.data, frame.size);
	DL_APPEND(queue->head, deferred);
	queue->count++;
	queue->bytes += frame.size;
	return deferred;
}

void deferred_take(struct deferred_queue *queue, struct deferred *deferred)
{
	DL_DELETE(queue->head, deferred);
	queue->count--;
	queue->bytes -= deferred->frame_size;
}

void deferred_clear(struct deferred_queue *queue)
{
	struct deferred *deferred, *next;

	DL_FOREACH_SAFE(queue->head, deferred, next) {
		deferred_take(queue, deferred);
		free(deferred);
	}
}
