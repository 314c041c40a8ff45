#include "tests/sim/final_oplog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/projections/oplog_facts.h"
#include "lib/log/logreader.h"
#include "lib/mysql/db_rows.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/drive.h"
#include "tests/sim/mysql_node.h"
#include "tests/sim/report.h"
#include "tests/sim/settings.h"
#include "tests/sim/sql_table.h"
#include "tests/support/memdisk.h"

/* Reads the log and keeps, for each transaction, its latest state; then compares. Texts are short, so rows are compared as
 * text: one line of what the log says, one of what the table says. */
enum { LINE_SIZE = 1024 };

struct latest {
	uint64_t half_offset, state_offset;
	char line[LINE_SIZE];
};

struct comparison {
	struct sql_base *base;
	uint64_t log_no;
	uint64_t from;            /* Halves and events of records before here may be missing. */
	struct latest *latest;
	size_t count, capacity;
	size_t event_count;
	int64_t time_ms;
};

static uint64_t forgiven_to[BROKERS_MAX];

void final_oplog_forgive(void)
{
	for (int i = 0; i < broker_node_count(); i++)
		forgiven_to[i] = broker_node_log_end_max(broker_node(i));
}

static uint64_t known_from(const struct broker_node *node)
{
	uint64_t start = broker_node_log_start_max(node), end = forgiven_to[broker_index_of_address(broker_node_address(node))];

	return start < end ? start : end;
}

/* --- what the log says -------------------------------------------------------------------------------------------------- */

static void time_or_null(int64_t ms, char out[DB_TIME_TEXT_SIZE])
{
	if (ms == 0)
		snprintf(out, DB_TIME_TEXT_SIZE, "NULL");
	else
		db_time_text(ms, out);
}

static void text_of_txn(const struct oplog_txn *txn, char line[LINE_SIZE])
{
	char created[DB_TIME_TEXT_SIZE], decided[DB_TIME_TEXT_SIZE], deliver[DB_TIME_TEXT_SIZE], offset[24] = "NULL";

	db_time_text(txn->created_ms, created);
	time_or_null(txn->decided_ms, decided);
	time_or_null(txn->deliver_at_ms, deliver);
	if (txn->has_queue_offset)
		snprintf(offset, sizeof(offset), "%" PRIu64, txn->queue_offset);
	snprintf(line, LINE_SIZE,
		 "%" PRIu64 " %s n=%" PRIu64 " id=%.*s group=%.*s topic=%.*s queue=%u size=%u state=%d by=%d who=%.*s at=%s checks=%u"
		 " place=%s due=%s state_offset=%" PRIu64,
		 txn->half_offset, created, txn->half_queue_offset, SPAN_ARGS(txn->transaction_id), SPAN_ARGS(txn->group),
		 SPAN_ARGS(txn->topic), txn->queue_id, txn->size, (int)txn->state, (int)txn->decided_by, SPAN_ARGS(txn->decider),
		 decided, txn->checks, offset, deliver, txn->state_offset);
}

/* Half offsets ascend along the log, so the array is sorted by them. */
static struct latest *find_latest(const struct comparison *c, uint64_t half_offset)
{
	size_t low = 0, high = c->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (c->latest[middle].half_offset < half_offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < c->count && c->latest[low].half_offset == half_offset ? &c->latest[low] : NULL;
}

static enum status take_half(void *context, const struct oplog_txn *half, struct errinfo *err)
{
	struct comparison *c = context;

	(void)err;
	if (half->half_offset < c->from)
		return ST_OK;
	if (c->count == c->capacity) {
		c->capacity = c->capacity == 0 ? 256 : 2 * c->capacity;
		c->latest = realloc(c->latest, c->capacity * sizeof(*c->latest));
		if (c->latest == NULL)
			abort();
	}
	struct latest *latest = &c->latest[c->count++];
	latest->half_offset = half->half_offset;
	latest->state_offset = half->state_offset;
	text_of_txn(half, latest->line);
	return ST_OK;
}

static enum status take_txn(void *context, const struct oplog_txn *txn, struct errinfo *err)
{
	const struct comparison *c = context;
	struct latest *latest = find_latest(context, txn->half_offset);

	(void)err;
	if (txn->half_offset < c->from)
		return ST_OK;
	if (latest == NULL) {
		violation("I8", "a decision of %.*s without its half", SPAN_ARGS(txn->transaction_id));
		return ST_OK;
	}
	if (txn->state_offset > latest->state_offset) {
		latest->state_offset = txn->state_offset;
		text_of_txn(txn, latest->line);
	}
	return ST_OK;
}

/* --- what MySQL says ---------------------------------------------------------------------------------------------------- */

static const struct sql_value *cell(const struct sql_table *table, const struct sql_row *row, const char *column)
{
	return sql_cell(row, sql_column(table, span_of(column)));
}

static void put_cell(const struct sql_value *value, char *out, size_t size)
{
	if (value->null)
		snprintf(out, size, "NULL");
	else if (value->is_text)
		snprintf(out, size, "%s", (const char *)value->text);
	else
		snprintf(out, size, "%" PRIu64, value->number);
}

/* A name by its number in a dictionary; "" for NULL. */
static const char *name_of(struct sql_base *base, const char *dictionary, const struct sql_value *id)
{
	struct sql_table *table = sql_table_find(base, span_of(dictionary));

	for (struct sql_row *row = sql_first_row(table); row != NULL && !id->null; row = sql_next_row(row)) {
		if (cell(table, row, "id")->number == id->number)
			return (const char *)cell(table, row, "name")->text;
	}
	return "";
}

static void text_of_row(struct sql_base *base, const struct sql_table *table, const struct sql_row *row, char line[LINE_SIZE])
{
	char decided[32], place[32], due[32];

	put_cell(cell(table, row, "decided_at"), decided, sizeof(decided));
	put_cell(cell(table, row, "queue_offset"), place, sizeof(place));
	put_cell(cell(table, row, "deliver_at"), due, sizeof(due));
	snprintf(line, LINE_SIZE,
		 "%" PRIu64 " %s n=%" PRIu64 " id=%s group=%s topic=%s queue=%" PRIu64 " size=%" PRIu64 " state=%" PRIu64 " by=%" PRIu64
		 " who=%s at=%s checks=%" PRIu64 " place=%s due=%s state_offset=%" PRIu64,
		 cell(table, row, "half_offset")->number, (const char *)cell(table, row, "created_at")->text,
		 cell(table, row, "half_queue_offset")->number, (const char *)cell(table, row, "transaction_id")->text,
		 name_of(base, "group_name", cell(table, row, "group_id")), name_of(base, "topic_name", cell(table, row, "topic_id")),
		 cell(table, row, "queue_id")->number, cell(table, row, "size")->number, cell(table, row, "state")->number,
		 cell(table, row, "decided_by")->number, name_of(base, "client_name", cell(table, row, "decider_id")), decided,
		 cell(table, row, "checks")->number, place, due, cell(table, row, "state_offset")->number);
}

/* --- events --------------------------------------------------------------------------------------------------------------- */

static enum status take_event(void *context, const struct oplog_event *event, struct errinfo *err)
{
	struct comparison *c = context;
	struct sql_table *table = sql_table_find(c->base, SPAN_LITERAL("txn_event"));
	struct sql_value key[SQL_COLUMNS_MAX] = { { 0 } };
	char at[DB_TIME_TEXT_SIZE];

	(void)err;
	if (event->record_offset < c->from)
		return ST_OK;
	c->event_count++;
	db_time_text(event->at_ms, at);
	key[sql_column(table, SPAN_LITERAL("log_no"))] = sql_number(c->log_no);
	key[sql_column(table, SPAN_LITERAL("record_offset"))] = sql_number(event->record_offset);
	key[sql_column(table, SPAN_LITERAL("part"))] = sql_number(event->part);
	struct sql_value *time = &key[sql_column(table, SPAN_LITERAL("at"))];
	*time = sql_text(span_of(at));
	const struct sql_row *row = sql_find_duplicate(table, key);
	sql_free(time);
	if (row == NULL)
		violation("I8", "event %s of record %" PRIu64 ", part %u of log %" PRIu64 " is not in txn_event",
			  oplog_event_text(event->event), event->record_offset, event->part, c->log_no);
	else if (cell(table, row, "half_offset")->number != event->half_offset ||
		 cell(table, row, "event")->number != (uint64_t)event->event ||
		 cell(table, row, "actor")->number != (uint64_t)event->actor ||
		 cell(table, row, "checks")->number != event->checks || cell(table, row, "detail")->number != (uint64_t)event->detail ||
		 cell(table, row, "repeats")->number != event->repeats ||
		 !span_is(event->actor_name, name_of(c->base, "client_name", cell(table, row, "actor_id"))))
		violation("I8", "event %s of record %" PRIu64 " is another in txn_event", oplog_event_text(event->event),
			  event->record_offset);
	return ST_OK;
}

static size_t count_events(const struct comparison *c)
{
	struct sql_table *table = sql_table_find(c->base, SPAN_LITERAL("txn_event"));
	size_t count = 0;

	for (struct sql_row *row = sql_first_row(table); row != NULL; row = sql_next_row(row))
		count += cell(table, row, "log_no")->number == c->log_no && cell(table, row, "record_offset")->number >= c->from;
	return count;
}

/* --- all ------------------------------------------------------------------------------------------------------------------ */

static bool find_log(struct comparison *c, const uint8_t *log_id)
{
	struct sql_table *table = sql_table_find(c->base, SPAN_LITERAL("broker_log"));
	char hex[2 * LOG_ID_SIZE + 1];

	for (int i = 0; i < LOG_ID_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", log_id[i]);
	for (struct sql_row *row = sql_first_row(table); row != NULL; row = sql_next_row(row)) {
		if (strcmp((const char *)cell(table, row, "log_id")->text, hex) == 0) {
			c->log_no = cell(table, row, "log_no")->number;
			return true;
		}
	}
	return false;
}

static void compare_transactions(struct comparison *c)
{
	struct sql_table *table = sql_table_find(c->base, SPAN_LITERAL("txn"));
	size_t count = 0;

	for (struct sql_row *row = sql_first_row(table); row != NULL && !violated(); row = sql_next_row(row)) {
		struct latest *latest;
		char line[LINE_SIZE];

		if (cell(table, row, "log_no")->number != c->log_no || cell(table, row, "half_offset")->number < c->from)
			continue;
		count++;
		latest = find_latest(c, cell(table, row, "half_offset")->number);
		text_of_row(c->base, table, row, line);
		if (latest == NULL)
			violation("I8", "MySQL has a transaction that the log has not: %s", line);
		else if (strcmp(latest->line, line) != 0)
			violation("I8", "the log says \"%s\", MySQL \"%s\"", latest->line, line);
	}
	if (count != c->count)
		violation("I8", "the log holds %zu transactions, MySQL %zu", c->count, count);
}

static void check_log(struct memdisk *disk, uint64_t from)
{
	struct comparison c = { .base = mysql_base(), .from = from };
	const struct oplog_sink sink = { take_half, take_txn, take_event, &c };
	struct logreader *reader;
	struct log_record record;
	struct errinfo err;
	enum status status = logreader_open(memdisk_vfs(disk), ".", 0, &reader, &err);

	if (status != ST_OK || !find_log(&c, logreader_log_id(reader))) {
		violation("I8", "broker_log does not know the log: %s", status != ST_OK ? err.text : "no row");
		return;
	}
	while (!violated() && (status = logreader_next(reader, LOG_NO_LIMIT, &record, &err)) == ST_OK) {
		if (oplog_facts(&record, &sink, &c.time_ms, &err) != ST_OK)
			violation("F", "record at %" PRIu64 ": %s", record.offset, err.text);
	}
	logreader_close(reader);
	if (!violated())
		compare_transactions(&c);
	if (!violated() && count_events(&c) != c.event_count)
		violation("I8", "the log tells %zu events, MySQL has %zu", c.event_count, count_events(&c));
	free(c.latest);
}

void final_check_oplog(struct broker_node *node)
{
	struct memdisk *whole = drive_whole(broker_node_drive(node));

	check_log(whole, known_from(node));
	memdisk_destroy(whole);
}
