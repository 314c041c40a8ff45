/* What the operating system gives: clocks and files of the process that runs, and log lines, which become part of the
 * history. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/logging.h"
#include "lib/log/vfs.h"
#include "tests/sim/engine.h"
#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

static int64_t wall_ms(void *context)
{
	(void)context;
	return engine_true_wall_ms() + process_current()->wall_ahead_ms;
}

static int64_t mono_ms(void *context)
{
	(void)context;
	return engine_now_ms() + process_current()->mono_ahead_ms;
}

const struct clock *clock_system(void)
{
	static const struct clock virtual_clock = { wall_ms, mono_ms, NULL };

	return &virtual_clock;
}

const struct vfs *vfs_posix(void)
{
	assert(process_current() != NULL && process_current()->vfs != NULL);
	return process_current()->vfs;
}

/* --- log lines ------------------------------------------------------------------------------------------------------ */

static bool muted;
static void (*watcher)(void *context, const char *module, const char *event);
static void *watcher_context;

void virtual_log_mute(bool mute)
{
	muted = mute;
}

void virtual_log_watch(void (*seen)(void *context, const char *module, const char *event), void *context)
{
	watcher = seen;
	watcher_context = context;
}

void log_set_level(enum log_level level)
{
	(void)level;
}

enum status log_level_parse(const char *text, enum log_level *out)
{
	*out = strcasecmp(text, "error") == 0 ? LOGLEVEL_ERROR : LOGLEVEL_INFO;
	return ST_OK;
}

void log_event(enum log_level level, const char *module, const char *event, const char *fmt, ...)
{
	const struct process *process = process_current();
	char text[1024] = "";
	va_list args;

	if (strcmp(event, "torn tail cut") == 0)
		event_seen(SEEN_TORN_TAIL);
	if (watcher != NULL)
		watcher(watcher_context, module, event);
	if (!note_wanted() || muted || level < LOGLEVEL_INFO)
		return;
	if (fmt != NULL) {
		va_start(args, fmt);
		vsnprintf(text, sizeof(text), fmt, args);
		va_end(args);
	}
	note("%s: [%s] %s %s", process == NULL ? "-" : process->name, module, event, text);
}

bool log_gate_pass(struct log_gate *gate, int64_t now_ms, uint32_t *suppressed_out)
{
	(void)gate;
	(void)now_ms;
	*suppressed_out = 0;
	return true;
}
