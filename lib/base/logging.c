/* See logging.h. A line is formatted into one stack buffer and written with a single write(2), so
 * that lines of several threads never mix; a line over LINE_MAX_SIZE is cut. */
#include "lib/base/logging.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_SIZE = 2048 };

static enum log_level log_threshold = LOGLEVEL_INFO;
static const char *const level_names[] = { "DEBUG", "INFO ", "WARN ", "ERROR" };

void log_set_level(enum log_level level)
{
	log_threshold = level;
}

enum status log_level_parse(const char *text, enum log_level *out)
{
	static const char *const names[] = { "debug", "info", "warn", "error" };

	for (unsigned i = 0; i < 4; i++) {
		if (strcasecmp(text, names[i]) == 0) {
			*out = (enum log_level)i;
			return ST_OK;
		}
	}
	return ST_INVALID;
}

static size_t put_timestamp(char *line)
{
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t used = strftime(line, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	return used + (size_t)sprintf(line + used, ".%03ldZ", now.tv_nsec / 1000000);
}

/* What vsnprintf reports, clamped to what it wrote into `room` bytes. */
static size_t clamp(int written, size_t room)
{
	if (written < 0)
		return 0;
	return (size_t)written < room ? (size_t)written : room - 1;
}

static void blank_controls(char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			text[i] = '?';
	}
}

void log_event(enum log_level level, const char *module, const char *event, const char *fmt, ...)
{
	char line[LINE_MAX_SIZE];
	va_list args;

	if (level < log_threshold)
		return;
	size_t used = put_timestamp(line);
	size_t text_start = used;
	used += clamp(snprintf(line + used, sizeof(line) - 1 - used, " %s %s: %s", level_names[level], module,
			       event), sizeof(line) - 1 - used);
	if (fmt != NULL) {
		line[used++] = ' ';
		va_start(args, fmt);
		used += clamp(vsnprintf(line + used, sizeof(line) - 1 - used, fmt, args),
			      sizeof(line) - 1 - used);
		va_end(args);
	}
	blank_controls(line + text_start, used - text_start);
	line[used++] = '\n';
	/* A log that cannot be written has nowhere to complain to. */
	ssize_t ignored = write(STDERR_FILENO, line, used);
	(void)ignored;
}

bool log_gate_pass(struct log_gate *gate, int64_t now_ms, uint32_t *suppressed_out)
{
	if (now_ms - gate->window_start_ms >= 1000) {
		gate->window_start_ms = now_ms;
		gate->passed_count = 0;
	}
	if (gate->passed_count >= LOG_GATE_BURST) {
		gate->suppressed_count++;
		return false;
	}
	gate->passed_count++;
	*suppressed_out = gate->suppressed_count;
	gate->suppressed_count = 0;
	return true;
}
