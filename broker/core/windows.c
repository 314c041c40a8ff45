#include "broker/core/windows.h"

#include <stdlib.h>

struct window {
	uint64_t start;   /* NO_WINDOW: holds nothing. */
	uint64_t used_by; /* The last answer that took something from it. */
	uint8_t *data;
};

struct windows {
	uint64_t answer; /* Counts. */
	struct window all[WINDOWS_MAX];
};

struct windows *windows_create(void)
{
	struct windows *windows = calloc(1, sizeof(*windows));

	for (size_t i = 0; windows != NULL && i < WINDOWS_MAX; i++)
		windows->all[i].start = NO_WINDOW;
	return windows;
}

void windows_destroy(struct windows *windows)
{
	if (windows == NULL)
		return;
	for (size_t i = 0; i < WINDOWS_MAX; i++)
		free(windows->all[i].data);
	free(windows);
}

void windows_begin(struct windows *windows)
{
	windows->answer++;
}

static struct window *find(struct windows *windows, uint64_t start)
{
	for (size_t i = 0; i < WINDOWS_MAX; i++) {
		if (windows->all[i].start == start)
			return &windows->all[i];
	}
	return NULL;
}

static struct window *least_used(struct windows *windows)
{
	struct window *least = &windows->all[0];

	for (size_t i = 1; i < WINDOWS_MAX; i++) {
		if (windows->all[i].used_by < least->used_by)
			least = &windows->all[i];
	}
	return least;
}

enum status windows_read(struct windows *windows, const struct commitlog *log, uint64_t offset)
{
	uint64_t start = window_start(offset);
	struct window *window = find(windows, start);
	enum status status;

	if (window != NULL)
		return ST_OK;
	window = least_used(windows);
	if (window->used_by == windows->answer)
		return ST_FULL;
	if (window->data == NULL)
		window->data = malloc(WINDOW_SIZE);
	if (window->data == NULL)
		return ST_NOMEM;
	window->start = NO_WINDOW;
	status = commitlog_try_read(log, start, WINDOW_SIZE, false, window->data, NULL);
	if (status == ST_OK) {
		window->start = start;
		window->used_by = windows->answer;
	}
	return status;
}

const uint8_t *windows_find(struct windows *windows, uint64_t offset, size_t size)
{
	uint64_t start = window_start(offset);
	struct window *window = size > WINDOW_SIZE || offset - start > WINDOW_SIZE - size ? NULL : find(windows, start);

	if (window == NULL)
		return NULL;
	window->used_by = windows->answer;
	return window->data + (offset - start);
}
