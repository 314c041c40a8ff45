/* See status.h. The text is built in place; when wrapping does not fit, the innermost
 * (most specific) end is what gets cut, and the cut is marked. */
#include "lib/base/status.h"

#include <stdio.h>
#include <string.h>

const char *status_text(enum status code)
{
#define STATUS_TEXT(code, text) [code] = text,
	static const char *const texts[STATUS_COUNT] = { STATUS_MAP(STATUS_TEXT) };
#undef STATUS_TEXT
	if ((unsigned)code >= STATUS_COUNT)
		return "unknown status";
	return texts[code];
}

static void mark_cut(struct errinfo *err, int written)
{
	if (written >= ERRINFO_TEXT_SIZE)
		memcpy(err->text + ERRINFO_TEXT_SIZE - 4, "...", 4);
}

enum status errinfo_set(struct errinfo *err, enum status code, const char *fmt, ...)
{
	va_list args;

	if (err == NULL)
		return code;
	err->code = code;
	va_start(args, fmt);
	mark_cut(err, vsnprintf(err->text, sizeof(err->text), fmt, args));
	va_end(args);
	return code;
}

enum status errinfo_wrap(struct errinfo *err, enum status code, const char *fmt, ...)
{
	char context[ERRINFO_TEXT_SIZE], inner[ERRINFO_TEXT_SIZE];
	va_list args;

	if (err == NULL)
		return code;
	va_start(args, fmt);
	vsnprintf(context, sizeof(context), fmt, args);
	va_end(args);
	memcpy(inner, err->text, sizeof(inner));
	mark_cut(err, snprintf(err->text, sizeof(err->text), "%s: %s", context, inner));
	return code;
}
