/* What does a broker register? The body of REGISTER_BROKER (103), as JSON and in the compressed form.
 *
 * Decompression is bounded (REGISTER_BODY_SIZE_MAX), whatever the stream promises.
 * Threads: a decoded body belongs to one thread. */
#ifndef ESCROW_WIRE_BODY_REGISTER_H
#define ESCROW_WIRE_BODY_REGISTER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/wire/body_config.h"

enum { REGISTER_BODY_SIZE_MAX = 8 * 1024 * 1024, REGISTER_TOPICS_MAX = 100 * 1000 };

/* `compressed` and `body_crc32` are the header's; the checksum is compared unless 0. `version` is the command's:
 * brokers below VERSION_3_0_11 send something else (ST_INVALID). Filter servers and static-topic tables are left out.
 * ST_INVALID, ST_TOOBIG, ST_NOMEM. After ST_OK: topic_config_table_free. An empty body is an empty table. */
enum status register_body_decode(struct span body, bool compressed, int32_t body_crc32, int32_t version,
				 struct topic_config_table *out, struct errinfo *err) MUST_USE;

/* Appends the JSON form. */
void register_body_encode(struct buffer *out, const struct data_version *version, const struct topic_config *topics,
			  size_t topic_count);
/* Appends the compressed form (of a 5.x broker, with an empty mapping section). ST_NOMEM, ST_TOOBIG. */
enum status register_body_encode_compressed(struct buffer *out, const struct data_version *version,
					    const struct topic_config *topics, size_t topic_count,
					    struct errinfo *err) MUST_USE;
/* `bodyCrc32` of the header. */
int32_t register_body_crc(struct span body);

#endif
