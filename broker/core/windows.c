#include "broker/core/windows.h"

#include <stdlib.h>

enum {
	TRY_EACH = 32, /* So many windows are not read until one is nevertheless: their use may have changed. */
	MEAN_OF = 8,   /* Windows; the newest counts this part. */
};

struct window {
	uint64_t start;   /* NO_WINDOW: holds nothing. */
	uint64_t used_by; /* The last answer that took something from it. */
	uint32_t served;  /* Messages. */
	uint8_t *data;
};

struct windows {
	uint64_t answer;  /* Counts. */
	uint32_t mean;    /* Of the last windows: messages served by each. */
	uint32_t refused; /* Since the last try. */
	struct window all[WINDOWS_MAX];
};

struct windows *windows_create(void)
{
	struct windows *windows = calloc(1, sizeof(*windows));

	if (windows == NULL)
		return NULL;
	for (size_t i = 0; i < WINDOWS_MAX; i++)
		windows->all[i].start = NO_WINDOW;
	windows->mean = WINDOW_WORTH;
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

bool windows_have(struct windows *windows, uint64_t offset)
{
	return find(windows, window_start(offset)) != NULL;
}

bool windows_are_worth(struct windows *windows, size_t count)
{
	if (count < WINDOW_FEW)
		return false;
	if (count < WINDOW_WORTH && windows->mean < WINDOW_WORTH && ++windows->refused < TRY_EACH)
		return false;
	windows->refused = 0;
	return true;
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

static void give_up(struct windows *windows, struct window *window)
{
	if (window->start != NO_WINDOW)
		windows->mean = (windows->mean * (MEAN_OF - 1) + window->served) / MEAN_OF;
	window->start = NO_WINDOW;
	window->served = 0;
}

enum status windows_read(struct windows *windows, const struct commitlog *log, uint64_t offset)
{
	struct window *window = least_used(windows);

	if (window->used_by == windows->answer)
		return ST_FULL;
	if (window->data == NULL)
		window->data = malloc(WINDOW_SIZE);
	if (window->data == NULL)
		return ST_NOMEM;
	give_up(windows, window);
	enum status status = commitlog_try_read(log, window_start(offset), WINDOW_SIZE, false, window->data, NULL);
	if (status == ST_OK) {
		window->start = window_start(offset);
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
	window->served++;
	return window->data + (offset - start);
}
