#include "tests/sim/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/crc32c.h"
#include "tests/sim/engine.h"

static struct report *current;
static bool telling;

void report_begin(struct report *report, uint64_t seed, bool told)
{
	*report = (struct report){ .seed = seed, .trace = 0xcbf29ce484222325ULL };
	current = report;
	telling = told;
}

struct report *report_current(void)
{
	return current;
}

void trace_add(uint64_t value)
{
	current->trace = (current->trace ^ value) * 0x100000001b3ULL;
	current->trace ^= current->trace >> 29;
}

void trace_bytes(const void *data, size_t size)
{
	trace_add((uint64_t)crc32c(0, data, size) << 32 | size);
}

bool note_wanted(void)
{
	return telling;
}

void note_line(const char *fmt, ...)
{
	int64_t now = engine_now_us();
	va_list args;

	printf("%6" PRId64 ".%06" PRId64 "  ", now / 1000000, now % 1000000);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

void violation(const char *invariant, const char *fmt, ...)
{
	va_list args;

	if (violated())
		return;
	snprintf(current->invariant, sizeof(current->invariant), "%s", invariant);
	va_start(args, fmt);
	vsnprintf(current->text, sizeof(current->text), fmt, args);
	va_end(args);
	note("VIOLATION of %s: %s", current->invariant, current->text);
}

bool violated(void)
{
	return current->invariant[0] != '\0';
}

void fault_seen(enum sim_fault fault)
{
	current->fault_count[fault]++;
}

void event_seen(enum sim_event event)
{
	current->event_count[event]++;
}

#define SIM_TEXT(name, text) [name] = text,

const char *sim_fault_text(enum sim_fault fault)
{
	static const char *const texts[] = { SIM_FAULT_MAP(SIM_TEXT) };

	return texts[fault];
}

const char *sim_event_text(enum sim_event event)
{
	static const char *const texts[] = { SIM_EVENT_MAP(SIM_TEXT) };

	return texts[event];
}
