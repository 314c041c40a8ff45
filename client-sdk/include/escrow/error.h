/* What went wrong, and what may I do now? The error object of libescrow.
 *
 * Every call that can fail takes a `struct escrow_error *` of the caller's (NULL: not interested), fills it on failure
 * and returns its code. On success the object is not touched.
 *
 *     struct escrow_error err;
 *     if (escrow_send(producer, message, 3000, &result, &err) != ESCROW_OK)
 *         fprintf(stderr, "send: %s\n", err.text);
 *
 * Threads: an error object belongs to one thread; nothing here is shared. */
#ifndef ESCROW_ERROR_H
#define ESCROW_ERROR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define ESCROW_API __attribute__((visibility("default")))
#else
#define ESCROW_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum escrow_code {
	ESCROW_OK = 0,
	ESCROW_INVALID,     /* An argument or a setting is wrong; the text names it. */
	ESCROW_NO_MEMORY,
	ESCROW_TIMEOUT,     /* The deadline passed. */
	ESCROW_UNREACHABLE, /* No name server or no broker of the topic answers. */
	ESCROW_NO_ROUTE,    /* The name servers know no broker for the topic. */
	ESCROW_REFUSED,     /* The broker said no: broker_code and text. */
	ESCROW_CONFLICT,    /* The opposite is decided already (commit after rollback, or the other way round). */
	ESCROW_BUSY,        /* A limit is reached, here or at the broker. */
	ESCROW_STOPPED,     /* The producer or consumer is being stopped. */
	ESCROW_DATABASE,    /* MySQL failed; see outcome_unknown. */
	ESCROW_PROTOCOL     /* A peer's answer makes no sense. */
};

enum { ESCROW_ERROR_TEXT_SIZE = 512 };

struct escrow_error {
	enum escrow_code code;
	bool retriable;       /* The same call may succeed later. */
	bool outcome_unknown; /* It may have been done nevertheless (an answer was lost). */
	int broker_code;      /* RocketMQ's response code when a broker answered, otherwise 0. */
	char text[ESCROW_ERROR_TEXT_SIZE]; /* One line for an operator: what, where, why. Never a body or a secret. */
};

/* The fixed text of a code; never NULL. Any thread. */
ESCROW_API const char *escrow_code_text(enum escrow_code code);

#ifdef __cplusplus
}
#endif

#endif
