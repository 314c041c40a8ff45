/* From hostile record payloads to rows of the op log: facts, the table of `escrow-log oplog`, and texts that go to MySQL.
 * The input is a sequence of records: kind (1 byte), payload size (2), payload. What the table says of a transaction must
 * be printable: valid UTF-8 of at most so many characters, times that parse. */
#include <stdlib.h>
#include <string.h>

#include "broker/projections/oplog_table.h"
#include "lib/mysql/db_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHAR_MAX_OF_NAMES = 255 };

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Length of the well-formed sequence at `p`, 0 if there is none (RFC 3629). */
static size_t utf8_length(const uint8_t *p, size_t left)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
							    : p[0] >= 0xf0 && p[0] < 0xf5		? 4
													: 0;
	uint32_t code = length <= 1 ? p[0] : p[0] & (0x7fu >> length);

	if (length == 0 || length > left)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (p[i] & 0x3f);
	}
	if (code < lowest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	return length;
}

static void check_text(struct span text, size_t char_max)
{
	struct buffer clean;
	size_t chars = 0;

	buffer_init(&clean, 0);
	db_text_clean(text, char_max, &clean);
	struct span out = buffer_span(&clean);
	for (size_t at = 0; at < out.size; chars++) {
		size_t length = utf8_length(out.data + at, out.size - at);

		must(length > 0);
		at += length;
	}
	must(chars <= char_max);
	buffer_deinit(&clean);
}

static void check_time(int64_t wall_ms)
{
	char text[DB_TIME_TEXT_SIZE];

	db_time_text(wall_ms, text);
	must(strlen(text) == DB_TIME_TEXT_SIZE - 1 && text[4] == '-' && text[10] == ' ' && text[19] == '.');
}

static enum status visit(void *context, const struct oplog_txn *txn, const struct oplog_step *steps, size_t step_count,
			 struct errinfo *err)
{
	(void)context, (void)err;
	check_text(txn->transaction_id, 128);
	check_text(txn->group, CHAR_MAX_OF_NAMES);
	check_text(txn->topic, CHAR_MAX_OF_NAMES);
	check_text(txn->decider, CHAR_MAX_OF_NAMES);
	check_time(txn->created_ms);
	check_time(txn->decided_ms);
	must(*oplog_txn_state_text(txn->state) != '\0');
	for (size_t i = 0; i < step_count; i++) {
		check_text(steps[i].actor_name, CHAR_MAX_OF_NAMES);
		check_text(steps[i].reason, CHAR_MAX_OF_NAMES);
		check_time(steps[i].at_ms);
		must(steps[i].event != NULL && steps[i].actor != NULL);
	}
	return ST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned kinds[] = { LOG_HALF, LOG_DECISION, LOG_CONFLICT, LOG_CHECK, LOG_CARRY, LOG_MESSAGE };
	struct oplog_table *table = oplog_table_new(SPAN_NONE, SPAN_NONE);
	struct reader reader = reader_of((struct span){ data, size });
	uint64_t offset = 4096;
	struct errinfo err;

	must(table != NULL);
	check_text((struct span){ data, size }, 1 + size / 2);
	while (reader.left > 0) {
		unsigned kind = kinds[reader_u8(&reader) % 6];
		struct span payload = reader_take(&reader, reader_u16(&reader));

		if (reader.failed)
			break;
		/* A copy of its own, so that a borrowed text that outlives its record is seen. */
		uint8_t *copy = malloc(payload.size + 1);
		must(copy != NULL);
		if (payload.size > 0)
			memcpy(copy, payload.data, payload.size);
		struct log_record record = { .kind = kind, .epoch = 1, .offset = offset, .size = (uint32_t)commitlog_record_size(payload.size),
					     .payload = { copy, payload.size } };
		enum status status = oplog_table_add(table, &record, &err);
		must(status == ST_OK || status == ST_CORRUPT || status == ST_VERSION);
		free(copy);
		offset += record.size;
	}
	must(oplog_table_walk(table, visit, NULL, &err) == ST_OK);
	oplog_table_free(table);
	return 0;
}
