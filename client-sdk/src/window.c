#include "client-sdk/src/window.h"

#include <utlist.h>

void window_add(struct window *window, struct window_entry *entry)
{
	entry->done = false;
	DL_APPEND(window->head, entry);
	window->count++;
	window->bytes += entry->size;
}

void window_finish(struct window *window, struct window_entry *entry,
		   void (*taken)(void *context, struct window_entry *entry), void *context)
{
	entry->done = true;
	while (window->head != NULL && window->head->done) {
		struct window_entry *first = window->head;

		DL_DELETE(window->head, first);
		window->count--;
		window->bytes -= first->size;
		taken(context, first);
	}
}

int64_t window_position(const struct window *window)
{
	return window->head == NULL ? window->next_offset : window->head->offset;
}
