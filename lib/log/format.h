/* The bytes of the log: envelopes, segment headers, file names (docs/formats/commitlog.md has the tables).
 *
 * Internal to lib/log. Encoding writes where the caller has room; decoding trusts nothing.
 * Threads: values. */
#ifndef ESCROW_LOG_FORMAT_H
#define ESCROW_LOG_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/log/commitlog.h"

enum {
	LOG_FORMAT_VERSION = 2,         /* 1: the CRC of records did not begin with the log's id. */
	LOG_PAYLOAD_LIMIT = 64 << 20,   /* A length above this is not a record. */
	LOG_BATCH_PAYLOAD = 16,         /* durable u64, window u64 */
	LOG_EPOCH_PAYLOAD = 32,         /* previous epoch u32, 0 u32, previous end u64, window u64, wall time i64 */
	LOG_BATCH_SIZE = LOG_ENVELOPE_SIZE + LOG_BATCH_PAYLOAD,
	LOG_EPOCH_SIZE = LOG_ENVELOPE_SIZE + LOG_EPOCH_PAYLOAD,
	LOG_HEADER_USED = 128,          /* Bytes of the header page that mean something; the rest is zero. */
	LOG_PATH_SIZE = 512,
	LOG_NAME_SIZE = 32,
};

/* --- envelopes --- */

/* Seals a record in place: envelope at `p`, payload already behind it, padding zeroed, CRC over all. A PAD's CRC
 * covers the envelope only. Returns its size in the log.
 *
 * The CRC begins with the log's id (LOG_ID_SIZE bytes), which is random and which clients are not told: bytes of a message's body that
 * look like a record, at the offset where they come to lie, are none, neither behind a torn tail, nor in a segment used again, nor
 * when a client asks for what lies there. */
uint64_t log_seal(const uint8_t *log_id, uint8_t *p, unsigned kind, uint32_t epoch, uint64_t offset, uint64_t payload_size);

/* Reads an envelope of LOG_ENVELOPE_SIZE bytes that should lie at `offset` with `room` bytes to its segment's end.
 * NULL when it may be a record (its CRC is still to be checked), else the reason why not. `out->payload` points
 * behind the envelope. */
const char *log_parse_envelope(const uint8_t *p, uint64_t offset, uint64_t room, struct log_record *out);
/* Of the whole record at `p` as parsed; only the envelope's bytes are touched for a PAD. */
bool log_crc_matches(const uint8_t *log_id, const uint8_t *p, const struct log_record *record);
/* Bytes that must be in memory for log_crc_matches. */
static inline uint64_t log_checked_size(const struct log_record *record)
{
	return record->kind == LOG_PAD ? LOG_ENVELOPE_SIZE : record->size;
}
/* Checks a run of whole records that starts at `offset`; `room` as above. NULL or the reason, *bad_out its offset. */
const char *log_verify_run(const uint8_t *log_id, const uint8_t *data, size_t size, uint64_t offset, uint64_t room,
			   uint64_t *bad_out);

struct log_mark {
	uint64_t durable; /* Everything below is durable. */
	uint64_t window;  /* Never more than this is appended beyond what is durable. */
};
/* The mark in a BATCH or EPOCH record; false for other kinds and malformed payloads. */
bool log_mark_of(const struct log_record *record, struct log_mark *out);

/* --- segments --- */

struct log_segment_header {
	uint8_t log_id[LOG_ID_SIZE];
	uint64_t base;
	uint64_t segment_size;
	uint32_t first_epoch;
	int64_t created_ms;
	bool recycled; /* Bytes of the file's former life lie behind the records. */
	char cluster[LOG_CLUSTER_SIZE]; /* NUL-terminated. */
};

/* Fills the LOG_HEADER_USED bytes; the CRC assumes zeros in the rest of the page. */
void log_encode_header(const struct log_segment_header *header, uint8_t *used);
/* ST_VERSION: what is wrong with a file of version `found` for a program that reads `known` (1 or more), and what to do. */
enum status log_refuse_version(uint32_t found, uint32_t known, struct errinfo *err);
/* A whole page. ST_CORRUPT, ST_VERSION; out->log_id is what stands there then, too, right or not. */
enum status log_decode_header(const uint8_t *page, struct log_segment_header *out, struct errinfo *err) MUST_USE;

struct log_segment {
	struct log_segment_header header;
	struct vfs_file *file;
	uint64_t file_size;
};

/* "<dir>/<20 digits>" */
void log_segment_path(const char *dir, uint64_t base, char *out, size_t out_size);
void log_segment_name(uint64_t base, char out[LOG_NAME_SIZE]);
/* The offset that a file is named after; snapshots are named alike. False: not 20 digits, or too much for 64 bits. */
bool log_parse_name(const char *name, uint64_t *offset_out) MUST_USE;
/* <root>/commitlog; ST_TOOBIG for a root that is too long. */
enum status log_dir_path(const char *root, char out[LOG_PATH_SIZE], struct errinfo *err) MUST_USE;
/* Base offsets of all segment files in `dir`, ascending; caller frees. ST_NOTFOUND without any. */
enum status log_list_segments(const struct vfs *vfs, const char *dir, uint64_t **bases_out, size_t *count_out,
			      struct errinfo *err) MUST_USE;
/* Opens one (flags as vfs_open) and checks its header, name and size. Close the file after use. */
enum status log_open_segment(const struct vfs *vfs, const char *dir, uint64_t base, unsigned flags,
			     struct log_segment *out, struct errinfo *err) MUST_USE;

static inline uint64_t log_segment_end(const struct log_segment *segment)
{
	return segment->header.base + segment->header.segment_size;
}

#endif
