/* Levelled, structured log lines for operators, on standard error.
 *
 *     2026-11-25T03:26:34.123Z WARN  net: frame rejected peer=127.0.0.1:4711 reason="length 99999999 over 16777216"
 *
 * One line an event: who (module), what (event), then key=value pairs. Message bodies,
 * properties and secrets never go into a log. Lines that a peer can provoke go through a
 * `struct log_gate`, which lets a few through and counts the rest.
 * Threads: any; a line is written with one write(2). */
#ifndef ESCROW_BASE_LOGGING_H
#define ESCROW_BASE_LOGGING_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/status.h"

/* Prefixed: syslog.h, which other libraries include, owns LOG_INFO and friends. */
enum log_level { LOGLEVEL_DEBUG, LOGLEVEL_INFO, LOGLEVEL_WARN, LOGLEVEL_ERROR };

/* Lines below this level are dropped. Default INFO. Set before threads start. */
void log_set_level(enum log_level level);
/* Parses "debug", "info", "warn", "error" (any case). */
enum status log_level_parse(const char *text, enum log_level *out) MUST_USE;

/* `fmt` holds the key=value pairs ("peer=%s size=%u"); NULL for none. Control bytes in the
 * formatted text are replaced, so that a peer cannot forge lines. */
void log_event(enum log_level level, const char *module, const char *event, const char *fmt, ...)
	PRINTF_LIKE(4, 5);

#define log_debug(...) log_event(LOGLEVEL_DEBUG, __VA_ARGS__)
#define log_info(...) log_event(LOGLEVEL_INFO, __VA_ARGS__)
#define log_warn(...) log_event(LOGLEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_event(LOGLEVEL_ERROR, __VA_ARGS__)

/* Rate limit for one kind of line: at most `LOG_GATE_BURST` a second. Zero-initialise. One thread. */
enum { LOG_GATE_BURST = 5 };
struct log_gate {
	int64_t window_start_ms;
	uint32_t passed_count;
	uint32_t suppressed_count;
};

/* True if a line may be written at `now_ms` (monotonic). *suppressed_out gets the number of lines
 * dropped since the last one that passed, to be shown in it. */
bool log_gate_pass(struct log_gate *gate, int64_t now_ms, uint32_t *suppressed_out);

#endif
