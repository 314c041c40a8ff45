/* What does a stored message look like? RocketMQ's message record: the body of pulls, check-backs and views, and the
 * payload of our own log's MESSAGE and HALF records.
 *
 *     size u32 | magic u32 | body CRC u32 | queueId | flag | queueOffset u64 @20 | physicalOffset u64 @28 |
 *     sysFlag @36 | bornTimestamp u64 | bornHost 8 or 20 | storeTimestamp u64 | storeHost 8 or 20 | reconsumeTimes |
 *     preparedTransactionOffset u64 | bodyLen u32, body | topicLen u8 (V2: u16), topic | propertiesLen i16, properties
 *
 * A topic over 127 bytes makes a V2 record, which only Java reads. Hosts are IPv4 unless sysFlag says otherwise.
 * Threads: pure. */
#ifndef ESCROW_WIRE_MESSAGE_H
#define ESCROW_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/wire/codes.h"

enum {
	MESSAGE_QUEUE_ID_AT = 12,
	MESSAGE_QUEUE_OFFSET_AT = 20,
	MESSAGE_PHYSICAL_OFFSET_AT = 28,
	MESSAGE_SYS_FLAG_AT = 36,
	MESSAGE_FIXED_SIZE = 91, /* V1, IPv4: a record is this + body + topic + properties. */
	MESSAGE_SIZE_MAX = 16 * 1024 * 1024,
	MESSAGE_TOPIC_V1_MAX = 127,
	MESSAGE_TOPIC_MAX = 255,
	MESSAGE_PROPERTIES_MAX = 32767,
};

/* An address as records hold it. */
struct host {
	uint8_t ip[16];
	uint8_t ip_size; /* 4 or 16; 0 is written as 0.0.0.0. */
	int32_t port;
};

struct host host_ipv4(uint32_t address, int32_t port); /* `address` in host byte order: 0x7F000001 = 127.0.0.1. */

enum { HOST_TEXT_SIZE = 64 };
/* "10.0.0.1:4711"; the port is behind the last colon. In `out`. */
struct span host_text(const struct host *host, char out[HOST_TEXT_SIZE]);

struct message {
	uint32_t size;     /* Of the record; set by message_decode. */
	uint32_t body_crc; /* Set by message_decode; message_encode computes it. */
	int32_t queue_id;
	int32_t flag;      /* The application's. */
	int64_t queue_offset;
	int64_t physical_offset;
	int32_t sys_flag;  /* SYSFLAG_*; message_encode sets the two host bits. */
	int64_t born_timestamp;
	struct host born_host;
	int64_t store_timestamp;
	struct host store_host;
	int32_t reconsume_times;
	int64_t prepared_transaction_offset;
	struct span body;
	struct span topic;
	struct span properties; /* See properties.h. */
};

/* Bytes of the record. The parts must be within the limits above (message_check_limits says so). */
size_t message_size(const struct message *message);
/* ST_TOOBIG, naming the part, if topic, properties or the whole are over the format's limits. */
enum status message_check_limits(const struct message *message, struct errinfo *err) MUST_USE;
/* Writes the record at `out`, which has room for message_size() bytes. Returns that size. */
size_t message_encode(const struct message *message, uint8_t *out);
/* Reads the record at the start of `input`, which may be longer (out->size tells). Spans borrow from `input`.
 * ST_CORRUPT with the reason when it is not a record. */
enum status message_decode(struct span input, struct message *out, struct errinfo *err) MUST_USE;
/* The next record of a body with records back to back; moves *rest on. ST_NOTFOUND at the end. */
enum status message_next(struct span *rest, struct message *out, struct errinfo *err) MUST_USE;
/* IEEE CRC-32 without its top bit: RocketMQ's checksum of bodies. */
uint32_t message_body_crc(struct span body);
/* Whether the body is what the record's checksum says. */
bool message_crc_matches(const struct message *message);

/* In-place changes of an encoded record's fixed-width fields; nothing else in it depends on them. The record must
 * have come from message_encode or passed message_decode. */
void message_patch_queue_id(uint8_t *record, int32_t queue_id);
void message_patch_queue_offset(uint8_t *record, int64_t queue_offset);
void message_patch_physical_offset(uint8_t *record, int64_t physical_offset);
/* The host bits stay as they are. */
void message_patch_sys_flag(uint8_t *record, int32_t sys_flag);
void message_patch_store_timestamp(uint8_t *record, int64_t store_timestamp);
void message_patch_reconsume_times(uint8_t *record, int32_t reconsume_times);
void message_patch_prepared_offset(uint8_t *record, int64_t prepared_transaction_offset);

/* One record of a batch send's body (code 320, or `m`=true): flag, body, properties; the rest is in the header. */
struct batch_message {
	int32_t flag;
	struct span body;
	struct span properties;
};

/* The next record of a batch body; moves *rest on. ST_NOTFOUND at the end, ST_INVALID with the reason. */
enum status batch_next(struct span *rest, struct batch_message *out, struct errinfo *err) MUST_USE;
void batch_append(struct buffer *out, const struct batch_message *message);

#endif
