/* How do failures of the libraries below become the caller's error object?
 * Threads: pure. */
#ifndef ESCROW_SDK_FAIL_H
#define ESCROW_SDK_FAIL_H

#include "escrow/error.h"
#include "lib/base/bytes.h"

/* Fills *err (may be NULL) and returns `code`. `retriable` follows from the code, outcome_unknown is false. */
enum escrow_code sdk_fail(struct escrow_error *err, enum escrow_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A status of lib/ with its text. */
enum escrow_code sdk_fail_status(struct escrow_error *err, const char *what, enum status status,
				 const struct errinfo *cause);
/* A broker's answer that is not success. */
enum escrow_code sdk_fail_response(struct escrow_error *err, const char *what, const char *broker, int response_code,
				   struct span remark);

/* WARN, unless the application has chosen a level. Any thread. */
void sdk_default_log_level(void);

#endif
