#include "client-sdk/src/fail.h"

#include <stdatomic.h>
#include <stdio.h>

#include "escrow/escrow.h"
#include "lib/base/logging.h"
#include "lib/wire/codes.h"

const char *escrow_code_text(enum escrow_code code)
{
	switch (code) {
	case ESCROW_OK: return "ok";
	case ESCROW_INVALID: return "invalid argument or setting";
	case ESCROW_NO_MEMORY: return "out of memory";
	case ESCROW_TIMEOUT: return "deadline passed";
	case ESCROW_UNREACHABLE: return "no server reachable";
	case ESCROW_NO_ROUTE: return "no broker for the topic";
	case ESCROW_REFUSED: return "refused by the broker";
	case ESCROW_CONFLICT: return "the opposite is decided already";
	case ESCROW_BUSY: return "a limit is reached";
	case ESCROW_STOPPED: return "stopped";
	case ESCROW_DATABASE: return "the database failed";
	case ESCROW_PROTOCOL: return "an answer makes no sense";
	}
	return "unknown code";
}

const char *escrow_version(void)
{
	return ESCROW_VERSION;
}

/* The process's own choice, as the level itself is. */
static atomic_bool level_chosen;

void sdk_default_log_level(void)
{
	if (!atomic_exchange(&level_chosen, true))
		log_set_level(LOGLEVEL_WARN);
}

void escrow_set_log_level(enum escrow_log_level level)
{
	static const enum log_level levels[] = { LOGLEVEL_DEBUG, LOGLEVEL_INFO, LOGLEVEL_WARN, LOGLEVEL_ERROR };

	atomic_store(&level_chosen, true);
	if ((unsigned)level < sizeof(levels) / sizeof(levels[0]))
		log_set_level(levels[level]);
}

static bool code_is_retriable(enum escrow_code code)
{
	return code == ESCROW_TIMEOUT || code == ESCROW_UNREACHABLE || code == ESCROW_NO_ROUTE || code == ESCROW_BUSY ||
	       code == ESCROW_NO_MEMORY || code == ESCROW_DATABASE;
}

enum escrow_code sdk_fail(struct escrow_error *err, enum escrow_code code, const char *fmt, ...)
{
	va_list args;

	if (err == NULL)
		return code;
	*err = (struct escrow_error){ .code = code, .retriable = code_is_retriable(code) };
	va_start(args, fmt);
	int length = vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	if (length >= (int)sizeof(err->text))
		memcpy(err->text + sizeof(err->text) - 4, "...", 4);
	return code;
}

enum escrow_code sdk_fail_status(struct escrow_error *err, const char *what, enum status status,
				 const struct errinfo *cause)
{
	const char *text = cause != NULL && cause->text[0] != '\0' ? cause->text : status_text(status);
	enum escrow_code code;

	switch (status) {
	case ST_NOMEM: code = ESCROW_NO_MEMORY; break;
	case ST_BUSY: case ST_FULL: code = ESCROW_BUSY; break;
	case ST_TIMEOUT: code = ESCROW_TIMEOUT; break;
	case ST_CLOSED: case ST_IO: case ST_AGAIN: code = ESCROW_UNREACHABLE; break;
	case ST_INVALID: case ST_TOOBIG: case ST_EXISTS: code = ESCROW_INVALID; break;
	case ST_CONFLICT: code = ESCROW_CONFLICT; break;
	default: code = ESCROW_PROTOCOL; break;
	}
	return sdk_fail(err, code, "%s: %s", what, text);
}

enum escrow_code sdk_fail_response(struct escrow_error *err, const char *what, const char *broker, int response_code,
				   struct span remark)
{
	enum escrow_code code = ESCROW_REFUSED;

	if (response_code == RESP_SYSTEM_BUSY || response_code == RESP_FLOW_CONTROL)
		code = ESCROW_BUSY;
	else if (response_code == RESP_TOPIC_NOT_EXIST)
		code = ESCROW_NO_ROUTE;
	else if (response_code == RESP_ILLEGAL_OPERATION)
		code = ESCROW_CONFLICT;
	int shown = remark.size > 300 ? 300 : (int)remark.size;
	sdk_fail(err, code, "%s: broker %s answers %s (%d)%s%.*s", what, broker, response_code_name(response_code),
		 response_code, shown > 0 ? ": " : "", shown, shown > 0 ? (const char *)remark.data : "");
	if (err != NULL) {
		err->broker_code = response_code;
		err->retriable = err->retriable || response_code == RESP_SYSTEM_ERROR ||
				 response_code == RESP_SERVICE_NOT_AVAILABLE || response_code == RESP_GO_AWAY;
	}
	return code;
}
