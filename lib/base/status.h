/* Status codes and error context: the one way in which a call fails.
 *
 * A fallible function returns `enum status` and, on failure, fills the caller's
 * `struct errinfo` with a text made for an operator. Each layer adds its context
 * once with errinfo_wrap(), so that a text reads from the outside in:
 *
 *     load segment 3: read commitlog/00000000003221225472: short read at offset 1048576
 *
 * The layer that stops the error logs it; nobody both logs and returns.
 * Threads: an errinfo belongs to one caller at a time; nothing here is shared. */
#ifndef ESCROW_BASE_STATUS_H
#define ESCROW_BASE_STATUS_H

#include <stdarg.h>

#define STATUS_MAP(X)                                                  \
	X(ST_OK, "ok")                                                 \
	X(ST_NOMEM, "out of memory")                                   \
	X(ST_BUSY, "queue is full, retry later")                       \
	X(ST_AGAIN, "not ready yet, the answer follows as an event")   \
	X(ST_NOTFOUND, "not found")                                    \
	X(ST_EXISTS, "exists already")                                 \
	X(ST_INVALID, "invalid input")                                 \
	X(ST_TOOBIG, "exceeds a limit")                                \
	X(ST_CORRUPT, "stored data fails its checks")                  \
	X(ST_IO, "file or network I/O failed")                         \
	X(ST_FULL, "no space left")                                    \
	X(ST_LOCKED, "in use by another process")                      \
	X(ST_VERSION, "format version not supported")                  \
	X(ST_TIMEOUT, "timed out")                                     \
	X(ST_CLOSED, "closed")                                         \
	X(ST_CONFLICT, "contradicts an earlier decision")              \
	X(ST_DENIED, "not permitted")

#define STATUS_ENUM(code, text) code,
enum status { STATUS_MAP(STATUS_ENUM) STATUS_COUNT };
#undef STATUS_ENUM

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum { ERRINFO_TEXT_SIZE = 512 };

struct errinfo {
	enum status code;
	char text[ERRINFO_TEXT_SIZE]; /* NUL-terminated; cut with "..." when too long. */
};

/* The fixed text of a code, never NULL. */
const char *status_text(enum status code);

/* Fills *err (which may be NULL) and returns `code`, so that a failure is one line:
 *     return errinfo_set(err, ST_IO, "open %s: %s", path, strerror(errno)); */
enum status errinfo_set(struct errinfo *err, enum status code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "<context>: " before the text already there and returns `code` unchanged. */
enum status errinfo_wrap(struct errinfo *err, enum status code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
