/* How do the parts of the SDK fill the caller's error object?
 * Threads: as the object: one at a time. */
#ifndef ESCROW_SDK_ERROR_H
#define ESCROW_SDK_ERROR_H

#include "escrow/error.h"
#include "lib/base/status.h"

/* Fills *err (may be NULL) and returns `code`. retriable follows from the code; outcome_unknown is false. */
enum escrow_code sdk_fail(struct escrow_error *err, enum escrow_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The SDK's code for a failure below it. */
enum escrow_code sdk_code_of(enum status status);

#endif
