#include "lib/wire/message.h"

#include <stdio.h>

#include <assert.h>
#include <libdeflate.h>

#define MAGIC_V1 0xDAA320A7u
#define MAGIC_V2 0xDAA320ABu
enum { BATCH_FIXED_SIZE = 22, HOST_V4_SIZE = 8, HOST_V6_SIZE = 20, STORE_TIMESTAMP_AT_V4 = 56 };

struct span host_text(const struct host *host, char out[HOST_TEXT_SIZE])
{
	const uint8_t *ip = host->ip;
	int size = 0;

	if (host->ip_size != 16) {
		size = snprintf(out, HOST_TEXT_SIZE, "%u.%u.%u.%u:%d", ip[0], ip[1], ip[2], ip[3], host->port);
	} else {
		/* Java splits at the last colon. */
		for (int i = 0; i < 16; i += 2)
			size += snprintf(out + size, HOST_TEXT_SIZE - (size_t)size, "%x:", (unsigned)ip[i] << 8 | ip[i + 1]);
		size += snprintf(out + size, HOST_TEXT_SIZE - (size_t)size, "%d", host->port);
	}
	return (struct span){ (const uint8_t *)out, (size_t)size };
}

struct host host_ipv4(uint32_t address, int32_t port)
{
	struct host host = { .ip_size = 4, .port = port };

	put_u32(host.ip, address);
	return host;
}

uint32_t message_body_crc(struct span body)
{
	return libdeflate_crc32(0, body.data, body.size) & 0x7FFFFFFF;
}

bool message_crc_matches(const struct message *message)
{
	return message_body_crc(message->body) == message->body_crc;
}

static bool is_v2(const struct message *message)
{
	return message->topic.size > MESSAGE_TOPIC_V1_MAX;
}

size_t message_size(const struct message *message)
{
	size_t size = MESSAGE_FIXED_SIZE + message->body.size + message->topic.size + message->properties.size;

	size += is_v2(message) ? 1 : 0;
	size += message->born_host.ip_size == 16 ? HOST_V6_SIZE - HOST_V4_SIZE : 0;
	size += message->store_host.ip_size == 16 ? HOST_V6_SIZE - HOST_V4_SIZE : 0;
	return size;
}

enum status message_check_limits(const struct message *message, struct errinfo *err)
{
	if (message->topic.size > MESSAGE_TOPIC_MAX)
		return errinfo_set(err, ST_TOOBIG, "topic of %zu bytes is over %d", message->topic.size,
				   MESSAGE_TOPIC_MAX);
	if (message->properties.size > MESSAGE_PROPERTIES_MAX)
		return errinfo_set(err, ST_TOOBIG, "properties of %zu bytes are over %d", message->properties.size,
				   MESSAGE_PROPERTIES_MAX);
	if (message->body.size > MESSAGE_SIZE_MAX || message_size(message) > MESSAGE_SIZE_MAX)
		return errinfo_set(err, ST_TOOBIG, "message of %zu bytes is over %d", message_size(message),
				   MESSAGE_SIZE_MAX);
	return ST_OK;
}

static uint8_t *write_u32(uint8_t *p, uint32_t v)
{
	put_u32(p, v);
	return p + 4;
}

static uint8_t *write_u64(uint8_t *p, uint64_t v)
{
	put_u64(p, v);
	return p + 8;
}

static uint8_t *write_span(uint8_t *p, struct span s)
{
	if (s.size > 0)
		memcpy(p, s.data, s.size);
	return p + s.size;
}

static uint8_t *write_host(uint8_t *p, const struct host *host)
{
	size_t ip_size = host->ip_size == 16 ? 16 : 4;

	memcpy(p, host->ip, ip_size);
	return write_u32(p + ip_size, (uint32_t)host->port);
}

static int32_t with_host_bits(const struct message *message)
{
	int32_t flags = message->sys_flag & ~(SYSFLAG_BORNHOST_V6 | SYSFLAG_STOREHOST_V6);

	flags |= message->born_host.ip_size == 16 ? SYSFLAG_BORNHOST_V6 : 0;
	flags |= message->store_host.ip_size == 16 ? SYSFLAG_STOREHOST_V6 : 0;
	return flags;
}

size_t message_encode(const struct message *message, uint8_t *out)
{
	size_t size = message_size(message);
	uint8_t *p = out;

	assert(message->topic.size <= MESSAGE_TOPIC_MAX && message->properties.size <= MESSAGE_PROPERTIES_MAX);
	assert(size <= MESSAGE_SIZE_MAX);
	p = write_u32(p, (uint32_t)size);
	p = write_u32(p, is_v2(message) ? MAGIC_V2 : MAGIC_V1);
	p = write_u32(p, message_body_crc(message->body));
	p = write_u32(p, (uint32_t)message->queue_id);
	p = write_u32(p, (uint32_t)message->flag);
	p = write_u64(p, (uint64_t)message->queue_offset);
	p = write_u64(p, (uint64_t)message->physical_offset);
	p = write_u32(p, (uint32_t)with_host_bits(message));
	p = write_u64(p, (uint64_t)message->born_timestamp);
	p = write_host(p, &message->born_host);
	p = write_u64(p, (uint64_t)message->store_timestamp);
	p = write_host(p, &message->store_host);
	p = write_u32(p, (uint32_t)message->reconsume_times);
	p = write_u64(p, (uint64_t)message->prepared_transaction_offset);
	p = write_u32(p, (uint32_t)message->body.size);
	p = write_span(p, message->body);
	if (is_v2(message))
		*p++ = (uint8_t)(message->topic.size >> 8);
	*p++ = (uint8_t)message->topic.size;
	p = write_span(p, message->topic);
	put_u16(p, (uint16_t)message->properties.size);
	p = write_span(p + 2, message->properties);
	assert((size_t)(p - out) == size);
	return size;
}

static struct host read_host(struct reader *r, bool v6)
{
	struct host host = { .ip_size = v6 ? 16 : 4 };
	struct span ip = reader_take(r, host.ip_size);

	if (ip.size > 0)
		memcpy(host.ip, ip.data, ip.size);
	host.port = (int32_t)reader_u32(r);
	return host;
}

static enum status corrupt(struct errinfo *err, const char *what)
{
	return errinfo_set(err, ST_CORRUPT, "message record: %s", what);
}

enum status message_decode(struct span input, struct message *out, struct errinfo *err)
{
	if (input.size < MESSAGE_FIXED_SIZE)
		return corrupt(err, "shorter than its fixed part");
	out->size = get_u32(input.data);
	if (out->size < MESSAGE_FIXED_SIZE || out->size > MESSAGE_SIZE_MAX || out->size > input.size)
		return corrupt(err, "its size is out of range");
	struct reader r = reader_of((struct span){ input.data + 4, out->size - 4 });
	uint32_t magic = reader_u32(&r);

	if (magic != MAGIC_V1 && magic != MAGIC_V2)
		return corrupt(err, "unknown magic");
	out->body_crc = reader_u32(&r);
	out->queue_id = (int32_t)reader_u32(&r);
	out->flag = (int32_t)reader_u32(&r);
	out->queue_offset = (int64_t)reader_u64(&r);
	out->physical_offset = (int64_t)reader_u64(&r);
	out->sys_flag = (int32_t)reader_u32(&r);
	out->born_timestamp = (int64_t)reader_u64(&r);
	out->born_host = read_host(&r, (out->sys_flag & SYSFLAG_BORNHOST_V6) != 0);
	out->store_timestamp = (int64_t)reader_u64(&r);
	out->store_host = read_host(&r, (out->sys_flag & SYSFLAG_STOREHOST_V6) != 0);
	out->reconsume_times = (int32_t)reader_u32(&r);
	out->prepared_transaction_offset = (int64_t)reader_u64(&r);
	out->body = reader_take(&r, reader_u32(&r));
	size_t topic_size = magic == MAGIC_V2 ? reader_u16(&r) : reader_u8(&r);
	out->topic = reader_take(&r, topic_size);
	size_t properties_size = reader_u16(&r);
	out->properties = reader_take(&r, properties_size);
	if (r.failed)
		return corrupt(err, "a part runs past its end");
	if (r.left > 0)
		return corrupt(err, "bytes after the properties");
	if (topic_size > MESSAGE_TOPIC_MAX || properties_size > MESSAGE_PROPERTIES_MAX)
		return corrupt(err, "topic or properties over their limits");
	return ST_OK;
}

enum status message_next(struct span *rest, struct message *out, struct errinfo *err)
{
	if (rest->size == 0)
		return ST_NOTFOUND;
	enum status status = message_decode(*rest, out, err);

	if (status == ST_OK)
		*rest = (struct span){ rest->data + out->size, rest->size - out->size };
	return status;
}

void message_patch_queue_id(uint8_t *record, int32_t queue_id)
{
	put_u32(record + MESSAGE_QUEUE_ID_AT, (uint32_t)queue_id);
}

void message_patch_queue_offset(uint8_t *record, int64_t queue_offset)
{
	put_u64(record + MESSAGE_QUEUE_OFFSET_AT, (uint64_t)queue_offset);
}

void message_patch_physical_offset(uint8_t *record, int64_t physical_offset)
{
	put_u64(record + MESSAGE_PHYSICAL_OFFSET_AT, (uint64_t)physical_offset);
}

static size_t store_timestamp_at(const uint8_t *record)
{
	bool v6 = (get_u32(record + MESSAGE_SYS_FLAG_AT) & SYSFLAG_BORNHOST_V6) != 0;

	return STORE_TIMESTAMP_AT_V4 + (v6 ? HOST_V6_SIZE - HOST_V4_SIZE : 0);
}

static size_t reconsume_times_at(const uint8_t *record)
{
	bool v6 = (get_u32(record + MESSAGE_SYS_FLAG_AT) & SYSFLAG_STOREHOST_V6) != 0;

	return store_timestamp_at(record) + 8 + (v6 ? HOST_V6_SIZE : HOST_V4_SIZE);
}

void message_patch_sys_flag(uint8_t *record, int32_t sys_flag)
{
	uint32_t host_bits = SYSFLAG_BORNHOST_V6 | SYSFLAG_STOREHOST_V6;
	uint32_t old = get_u32(record + MESSAGE_SYS_FLAG_AT);

	put_u32(record + MESSAGE_SYS_FLAG_AT, ((uint32_t)sys_flag & ~host_bits) | (old & host_bits));
}

void message_patch_store_timestamp(uint8_t *record, int64_t store_timestamp)
{
	put_u64(record + store_timestamp_at(record), (uint64_t)store_timestamp);
}

void message_patch_reconsume_times(uint8_t *record, int32_t reconsume_times)
{
	put_u32(record + reconsume_times_at(record), (uint32_t)reconsume_times);
}

void message_patch_prepared_offset(uint8_t *record, int64_t prepared_transaction_offset)
{
	put_u64(record + reconsume_times_at(record) + 4, (uint64_t)prepared_transaction_offset);
}

enum status batch_next(struct span *rest, struct batch_message *out, struct errinfo *err)
{
	if (rest->size == 0)
		return ST_NOTFOUND;
	if (rest->size < BATCH_FIXED_SIZE)
		return errinfo_set(err, ST_INVALID, "batch: %zu bytes left over at its end", rest->size);
	uint32_t size = get_u32(rest->data);

	if (size < BATCH_FIXED_SIZE || size > rest->size)
		return errinfo_set(err, ST_INVALID, "batch: record size %u out of range", size);
	/* Magic and CRC are 0 from every client and mean nothing. */
	struct reader r = reader_of((struct span){ rest->data + 12, size - 12 });
	out->flag = (int32_t)reader_u32(&r);
	out->body = reader_take(&r, reader_u32(&r));
	out->properties = reader_take(&r, reader_u16(&r));
	if (r.failed || r.left > 0)
		return errinfo_set(err, ST_INVALID, "batch: lengths in a record disagree with its size");
	*rest = (struct span){ rest->data + size, rest->size - size };
	return ST_OK;
}

void batch_append(struct buffer *out, const struct batch_message *message)
{
	assert(message->properties.size <= MESSAGE_PROPERTIES_MAX && message->body.size <= MESSAGE_SIZE_MAX);
	buffer_put_u32(out, (uint32_t)(BATCH_FIXED_SIZE + message->body.size + message->properties.size));
	buffer_put_u64(out, 0);
	buffer_put_u32(out, (uint32_t)message->flag);
	buffer_put_u32(out, (uint32_t)message->body.size);
	buffer_append_span(out, message->body);
	buffer_put_u16(out, (uint16_t)message->properties.size);
	buffer_append_span(out, message->properties);
}
