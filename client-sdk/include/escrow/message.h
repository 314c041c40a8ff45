/* A message: topic, body, tag, keys and properties. The same type for what is sent and what arrives.
 *
 * Messages that the application creates are its own until escrow_message_destroy; sending copies what it needs.
 * Messages handed to a callback are borrowed for the call.
 * Texts are UTF-8. The bytes 1 and 2 cannot be in property names and values (they separate them on the wire).
 * Threads: a message belongs to one thread at a time; reading it from several is fine. */
#ifndef ESCROW_MESSAGE_H
#define ESCROW_MESSAGE_H

#include "escrow/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct escrow_message escrow_message;

/* --- to be sent ------------------------------------------------------------------------------------------- */

/* Copies the body. Up to 4 MiB unless the broker allows more. ESCROW_INVALID (bad topic name), ESCROW_NO_MEMORY. */
ESCROW_API enum escrow_code escrow_message_create(const char *topic, const void *body, size_t body_size,
						  escrow_message **out, struct escrow_error *err);
/* NULL is allowed. */
ESCROW_API void escrow_message_destroy(escrow_message *message);
/* The tag that consumers filter by; one per message. */
ESCROW_API enum escrow_code escrow_message_set_tag(escrow_message *message, const char *tag, struct escrow_error *err);
/* Business keys (separated by blanks) by which operators find the message. */
ESCROW_API enum escrow_code escrow_message_set_keys(escrow_message *message, const char *keys,
						    struct escrow_error *err);
/* A property of the application's. Names that RocketMQ reserves (TAGS, KEYS, UNIQ_KEY, ...) are refused. */
ESCROW_API enum escrow_code escrow_message_set_property(escrow_message *message, const char *name, const char *value,
							struct escrow_error *err);
/* RocketMQ's delay level, 1 (1 s) to 18 (2 h); 0 none. Of a transactional message the delay starts at commit. */
ESCROW_API enum escrow_code escrow_message_set_delay_level(escrow_message *message, int level,
							   struct escrow_error *err);
/* Messages with the same key go to the same queue of a topic, as long as its queues stay the same. */
ESCROW_API enum escrow_code escrow_message_set_ordering_key(escrow_message *message, const char *key,
							    struct escrow_error *err);
/* Transactional only: no check-back before this many seconds have passed; 0: the broker's default. */
ESCROW_API enum escrow_code escrow_message_set_check_immunity(escrow_message *message, int seconds,
							      struct escrow_error *err);

/* --- to be read; texts are never NULL, "" when absent -------------------------------------------------------- */

ESCROW_API const char *escrow_message_topic(const escrow_message *message);
/* The body: *size_out bytes (size_out may be NULL), any content, no 0 after it; inflated if it came compressed. */
ESCROW_API const void *escrow_message_body(const escrow_message *message, size_t *size_out);
/* The tag that consumers filter by. */
ESCROW_API const char *escrow_message_tag(const escrow_message *message);
/* The business keys, separated by blanks. */
ESCROW_API const char *escrow_message_keys(const escrow_message *message);
/* NULL when there is no such property. */
ESCROW_API const char *escrow_message_property(const escrow_message *message, const char *name);
/* The unique id that the producer gave (UNIQ_KEY): the same in every copy of the message, also in retries. For a
 * transactional message it is the transaction's id. */
ESCROW_API const char *escrow_message_id(const escrow_message *message);
/* The id of this stored copy: broker's address and log offset. Of arrived messages only. */
ESCROW_API const char *escrow_message_offset_id(const escrow_message *message);
/* The queue of the topic (in a retry, of the group's retry topic) that holds this copy. Of arrived messages only. */
ESCROW_API int escrow_message_queue_id(const escrow_message *message);
/* Its position in that queue, from 0. Of arrived messages only. */
ESCROW_API int64_t escrow_message_queue_offset(const escrow_message *message);
/* How often it was handed out before to this group, 0 the first time. */
ESCROW_API int escrow_message_reconsume_times(const escrow_message *message);
/* When the producer made it: milliseconds since 1970, UTC, by the producer's clock. */
ESCROW_API int64_t escrow_message_born_ms(const escrow_message *message);
/* When the broker stored this copy, by the broker's clock. Of arrived messages only. */
ESCROW_API int64_t escrow_message_stored_ms(const escrow_message *message);

#ifdef __cplusplus
}
#endif

#endif
