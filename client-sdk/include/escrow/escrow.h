/* libescrow: the client library of EscrowMQ, which also works with RocketMQ brokers. docs/sdk.md is the guide.
 * Only escrow/mysql.h is not included here: it is for those who use MySQL. */
#ifndef ESCROW_ESCROW_H
#define ESCROW_ESCROW_H

#include "escrow/consumer.h"
#include "escrow/error.h"
#include "escrow/message.h"
#include "escrow/producer.h"

#define ESCROW_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* The library's version, which may differ from the header's. Any thread. */
ESCROW_API const char *escrow_version(void);

enum escrow_log_level { ESCROW_LOG_DEBUG, ESCROW_LOG_INFO, ESCROW_LOG_WARN, ESCROW_LOG_ERROR };
/* The library writes events to standard error from this level on (default WARN). Call before starting anything. */
ESCROW_API void escrow_set_log_level(enum escrow_log_level level);

#ifdef __cplusplus
}
#endif

#endif
