/* See oplog_witness.h. */
#include "broker/projections/oplog_witness.h"

#include <inttypes.h>

#include "lib/log/logreader.h"

void oplog_witness_note(struct oplog_witness *witness, const struct log_record *record)
{
	if (record->offset <= witness->last_offset)
		return;
	witness->last_offset = record->offset;
	witness->last_crc = record->crc;
	if (record->kind == LOG_EPOCH) {
		witness->start_offset = record->offset;
		witness->start_crc = record->crc;
	}
}

bool oplog_log_begins_behind(const char *root, uint64_t offset)
{
	struct logreader *first;
	struct errinfo err;

	if (logreader_open(vfs_posix(), root, 0, &first, &err) != ST_OK)
		return false;
	uint64_t start = logreader_position(first);
	logreader_close(first);
	return start > offset;
}

/* ST_CORRUPT: another record is there, or none. ST_NOTFOUND: the log begins behind it. */
static enum status find_record(const char *root, uint64_t durable, uint64_t offset, uint32_t crc, struct errinfo *err)
{
	struct logreader *reader;
	struct log_record record;
	enum status st = logreader_open(vfs_posix(), root, offset, &reader, err);

	if (st != ST_OK)
		return st;
	st = logreader_next(reader, durable, &record, err);
	if (st == ST_OK && (record.offset != offset || record.crc != crc))
		st = errinfo_set(err, ST_CORRUPT, "another record");
	logreader_close(reader);
	return st;
}

static enum status check_record(const char *root, uint64_t durable, uint64_t offset, uint32_t crc, struct errinfo *err)
{
	struct errinfo why;

	if (offset == 0)
		return ST_OK;
	if (offset >= durable)
		return errinfo_set(err, ST_CONFLICT,
				   "the rows in MySQL, which tell of the record at %" PRIu64 ", are ahead of the log's end (%" PRIu64
				   "): " OPLOG_OLDER_COPY,
				   offset, durable);
	enum status st = find_record(root, durable, offset, crc, &why);
	/* Gone, or about to be used again by a broker that runs. */
	if (st == ST_NOTFOUND || (st == ST_CORRUPT && oplog_log_begins_behind(root, offset)))
		return ST_OK;
	if (st != ST_CORRUPT)
		return st == ST_OK ? ST_OK : errinfo_set(err, st, "%s", why.text);
	return errinfo_set(err, ST_CONFLICT,
			   "the log is not the one that was projected: at %" PRIu64 " is not the record that MySQL has rows up to "
			   "(%s): this store was restored from an older backup, or cut; give it a database of its own "
			   "(opLogMysqlDatabase). If it was neither, `escrow-log check` tells of damage",
			   offset, why.text);
}

enum status oplog_witness_check(const struct oplog_witness *witness, const char *root, uint64_t durable, struct errinfo *err)
{
	enum status st = check_record(root, durable, witness->last_offset, witness->last_crc, err);

	return st == ST_OK ? check_record(root, durable, witness->start_offset, witness->start_crc, err) : st;
}
