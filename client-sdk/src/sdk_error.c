/* See sdk_error.h and escrow/error.h. */
#include "client-sdk/src/sdk_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool may_succeed_later(enum escrow_code code)
{
	return code == ESCROW_NO_MEMORY || code == ESCROW_TIMEOUT || code == ESCROW_UNREACHABLE ||
	       code == ESCROW_NO_ROUTE || code == ESCROW_BUSY || code == ESCROW_DATABASE;
}

enum escrow_code sdk_fail(struct escrow_error *err, enum escrow_code code, const char *fmt, ...)
{
	va_list args;

	if (err == NULL)
		return code;
	memset(err, 0, sizeof(*err));
	err->code = code;
	err->retriable = may_succeed_later(code);
	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	return code;
}

enum escrow_code sdk_code_of(enum status status)
{
	switch (status) {
	case ST_OK: return ESCROW_OK;
	case ST_NOMEM: return ESCROW_NO_MEMORY;
	case ST_BUSY:
	case ST_FULL: return ESCROW_BUSY;
	case ST_TIMEOUT: return ESCROW_TIMEOUT;
	case ST_CLOSED:
	case ST_IO: return ESCROW_UNREACHABLE;
	case ST_CORRUPT: return ESCROW_PROTOCOL;
	default: return ESCROW_INVALID;
	}
}

const char *escrow_code_text(enum escrow_code code)
{
	switch (code) {
	case ESCROW_OK: return "ok";
	case ESCROW_INVALID: return "invalid argument or setting";
	case ESCROW_NO_MEMORY: return "out of memory";
	case ESCROW_TIMEOUT: return "the deadline passed";
	case ESCROW_UNREACHABLE: return "no server answers";
	case ESCROW_NO_ROUTE: return "no broker is known for the topic";
	case ESCROW_REFUSED: return "refused by the broker";
	case ESCROW_CONFLICT: return "the opposite is decided already";
	case ESCROW_BUSY: return "a limit is reached";
	case ESCROW_STOPPED: return "stopped";
	case ESCROW_DATABASE: return "MySQL failed";
	case ESCROW_PROTOCOL: return "an answer makes no sense";
	}
	return "unknown code";
}
