/* See oplog_writer.h. */
#include "broker/projections/oplog_writer.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/projections/oplog_names.h"
#include "broker/projections/oplog_schema.h"
#include "lib/base/logging.h"
#include "lib/mysql/db_rows.h"

enum {
	STATEMENT_MAX = 4 * 1024 * 1024, /* Larger ones are not faster. */
	TRANSACTION_ID_CHARS = 128,      /* Column widths. */
	CLUSTER_CHARS = 64,
	REASON_CHARS = 255,
	WRITER_NAME_SIZE = 96,
	PARTITION_DAYS_AHEAD = 7,
};

struct oplog_writer {
	const struct oplog_config *config;
	const char *broker_name;
	struct db_conn *conn;
	struct oplog_names *names;
	bool owns_cursor;       /* `epoch` is ours. */
	uint64_t log_no;
	uint64_t epoch;
	uint64_t position;      /* Of the cursor, as far as we know. */
	uint64_t next_position; /* Of a transaction whose outcome is unknown; else == position. */
	uint64_t claimed_epoch; /* Of the last claim, whose answer may have been lost. */
	char name[WRITER_NAME_SIZE]; /* host:pid */
};

struct oplog_writer *oplog_writer_new(const struct oplog_config *config, const char *broker_name)
{
	struct oplog_writer *writer = calloc(1, sizeof(*writer));
	char host[64] = "";

	if (writer == NULL)
		return NULL;
	writer->config = config;
	writer->broker_name = broker_name;
	writer->names = oplog_names_new();
	if (writer->names == NULL) {
		free(writer);
		return NULL;
	}
	if (gethostname(host, sizeof(host) - 1) != 0)
		strcpy(host, "?");
	snprintf(writer->name, sizeof(writer->name), "%s:%ld", host, (long)getpid());
	return writer;
}

void oplog_writer_free(struct oplog_writer *writer)
{
	if (writer == NULL)
		return;
	db_conn_close(writer->conn);
	oplog_names_free(writer->names);
	free(writer);
}

/* --- connecting ----------------------------------------------------------------------------------------------- */

enum status oplog_password(const struct oplog_config *config, char password[CONFIG_TEXT_SIZE], struct errinfo *err)
{
	if (config->password_file[0] == '\0') {
		strcpy(password, config->password);
		return ST_OK;
	}
	FILE *file = fopen(config->password_file, "re");
	if (file == NULL)
		return errinfo_set(err, ST_IO, "opLogMysqlPasswordFile: open %s: %s", config->password_file,
				   strerror(errno));
	if (fgets(password, CONFIG_TEXT_SIZE, file) == NULL)
		password[0] = '\0';
	bool failed = ferror(file) != 0;
	fclose(file);
	if (failed)
		return errinfo_set(err, ST_IO, "opLogMysqlPasswordFile: cannot read %s", config->password_file);
	size_t size = strcspn(password, "\r\n");
	if (password[size] == '\0' && size == CONFIG_TEXT_SIZE - 1)
		return errinfo_set(err, ST_TOOBIG, "opLogMysqlPasswordFile: first line of %s is over %d bytes",
				   config->password_file, CONFIG_TEXT_SIZE - 2);
	password[size] = '\0';
	return ST_OK;
}

enum status oplog_connect(const struct oplog_config *config, struct db_conn **out, struct errinfo *err)
{
	char password[CONFIG_TEXT_SIZE];
	enum status st = oplog_password(config, password, err);

	if (st != ST_OK)
		return st;
	struct db_target target = {
		.host = config->host, .port = (unsigned)config->port, .socket = config->socket, .user = config->user,
		.password = password, .timeout_ms = (unsigned)config->timeout_ms,
	};
	st = db_conn_open(&target, out, NULL, err);
	explicit_bzero(password, sizeof(password));
	return st;
}

/* The server must give up on a lock before we give up on the server, or the answer would be lost with it. */
static enum status limit_lock_wait(struct oplog_writer *writer, struct errinfo *err)
{
	char statement[96];
	int64_t seconds = writer->config->timeout_ms / 2000;

	snprintf(statement, sizeof(statement), "SET SESSION innodb_lock_wait_timeout=%" PRId64, seconds > 0 ? seconds : 1);
	return db_conn_exec_text(writer->conn, statement, err);
}

/* While we hold a lock, the server gives up on us soon after we would have given up on it: it may never hear of the end of a
 * connection, and would keep the cursor's row locked for the hours that it waits otherwise. */
static enum status limit_silence(struct oplog_writer *writer, struct errinfo *err)
{
	char statement[64];

	snprintf(statement, sizeof(statement), "SET SESSION wait_timeout=%" PRId64, (2 * writer->config->timeout_ms + 999) / 1000);
	return db_conn_exec_text(writer->conn, statement, err);
}

static enum status allow_silence(struct oplog_writer *writer, struct errinfo *err)
{
	return db_conn_exec_text(writer->conn, "SET SESSION wait_timeout=DEFAULT", err);
}

static enum status prepare_schema(struct oplog_writer *writer, struct errinfo *err)
{
	unsigned applied = 0;
	char statement[CONFIG_TEXT_SIZE + 8];

	if (!writer->config->migrate) {
		snprintf(statement, sizeof(statement), "USE %s", writer->config->database);
		enum status st = db_conn_exec_text(writer->conn, statement, err);
		return st == ST_OK ? oplog_schema_check(writer->conn, err) : st;
	}
	enum status st = oplog_schema_use(writer->conn, writer->config->database, err);
	if (st == ST_OK)
		st = oplog_schema_migrate(writer->conn, &applied, err);
	if (applied > 0)
		log_info("oplog", "schema migrated", "database=%s migrations=%u", writer->config->database, applied);
	return st == ST_OK ? oplog_schema_check(writer->conn, err) : st;
}

/* --- the cursor ----------------------------------------------------------------------------------------------- */

struct cursor {
	uint64_t log_no;
	uint64_t position;
	uint64_t epoch;
	bool names_us; /* As its writer. */
	struct oplog_witness witness;
};

enum { LOG_ID_LITERAL_SIZE = 2 * LOG_ID_SIZE + 4 };

static void log_id_literal(const uint8_t *log_id, char out[LOG_ID_LITERAL_SIZE])
{
	int at = sprintf(out, "x'");

	for (int i = 0; i < LOG_ID_SIZE; i++)
		at += sprintf(out + at, "%02x", log_id[i]);
	sprintf(out + at, "'");
}

static enum status exec_buffer(struct oplog_writer *writer, struct buffer *statement, uint64_t *affected_out,
			       struct errinfo *err)
{
	enum status st = statement->failed ? errinfo_set(err, ST_NOMEM, "op log statement: out of memory")
					   : db_conn_exec(writer->conn, buffer_span(statement), affected_out, err);
	buffer_deinit(statement);
	return st;
}

static void append_clean(struct oplog_writer *writer, struct buffer *out, const char *text, size_t char_max)
{
	struct buffer clean;

	buffer_init(&clean, 0);
	db_text_clean(span_of(text), char_max, &clean);
	db_conn_append_quoted(writer->conn, out, buffer_span(&clean));
	out->failed |= clean.failed;
	buffer_deinit(&clean);
}

/* Waits for whoever is about to change it: a COMMIT of ours that was given up may still be under way, and is settled then.
 * ST_NOTFOUND with DB_ERROR_NONE: no such row. */
static enum status read_cursor(struct oplog_writer *writer, const struct oplog_log_identity *identity,
			       struct cursor *out, struct errinfo *err)
{
	char literal[LOG_ID_LITERAL_SIZE];
	struct buffer query;
	uint64_t cells[8] = { 0 };

	log_id_literal(identity->log_id, literal);
	buffer_init(&query, 0);
	buffer_append_text(&query, "SELECT log_no, cursor_position, cursor_epoch, writer = ");
	append_clean(writer, &query, writer->name, OPLOG_NAME_CHARS);
	buffer_printf(&query,
		      ", last_record, last_record_crc, start_record, start_record_crc FROM broker_log WHERE log_id = %s FOR UPDATE",
		      literal);
	enum status st = query.failed ? errinfo_set(err, ST_NOMEM, "op log statement: out of memory")
				      : db_conn_query_u64(writer->conn, buffer_span(&query), cells, 8, err);
	buffer_deinit(&query);
	if (st != ST_OK)
		return errinfo_wrap(err, st, "read the cursor");
	*out = (struct cursor){ cells[0], cells[1], cells[2], cells[3] != 0, { 0 } };
	/* At 0 nothing was projected, or somebody has set it back to give the tables to another log. */
	if (out->position != 0)
		out->witness = (struct oplog_witness){ .last_offset = cells[4], .last_crc = (uint32_t)cells[5],
						       .start_offset = cells[6], .start_crc = (uint32_t)cells[7] };
	return ST_OK;
}

/* The first projection of this log into this server. */
static enum status insert_cursor(struct oplog_writer *writer, const struct oplog_log_identity *identity,
				 struct errinfo *err)
{
	char literal[LOG_ID_LITERAL_SIZE];
	struct buffer statement;

	log_id_literal(identity->log_id, literal);
	buffer_init(&statement, 0);
	buffer_printf(&statement,
		      "INSERT INTO broker_log (log_id, cursor_position, cursor_epoch, first_seen, writer_since, projected_at,"
		      " cluster, broker_name, writer) VALUES (%s, 0, 0, UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), UTC_TIMESTAMP(3), ",
		      literal);
	append_clean(writer, &statement, identity->cluster, CLUSTER_CHARS);
	buffer_append_text(&statement, ", ");
	append_clean(writer, &statement, writer->broker_name, OPLOG_NAME_CHARS);
	buffer_append_text(&statement, ", '')");
	enum status st = exec_buffer(writer, &statement, NULL, err);
	/* Another projector of the same log was faster: the claim decides. */
	return st == ST_EXISTS ? ST_OK : st;
}

/* Makes the cursor ours, unless somebody claimed it since it was read. */
static enum status claim_cursor(struct oplog_writer *writer, const struct cursor *cursor, struct errinfo *err)
{
	struct buffer statement;
	uint64_t affected = 0;

	writer->claimed_epoch = cursor->epoch + 1;
	buffer_init(&statement, 0);
	buffer_append_text(&statement, "UPDATE broker_log SET broker_name = ");
	append_clean(writer, &statement, writer->broker_name, OPLOG_NAME_CHARS);
	buffer_append_text(&statement, ", writer = ");
	append_clean(writer, &statement, writer->name, OPLOG_NAME_CHARS);
	buffer_printf(&statement,
		      ", writer_since = UTC_TIMESTAMP(3), cursor_epoch = %" PRIu64 " WHERE log_no = %" PRIu64
		      " AND cursor_epoch = %" PRIu64 " AND cursor_position = %" PRIu64,
		      cursor->epoch + 1, cursor->log_no, cursor->epoch, cursor->position);
	enum status st = exec_buffer(writer, &statement, &affected, err);
	if (st != ST_OK)
		return st;
	if (affected != 1)
		return errinfo_set(err, ST_BUSY, "take over the op log's cursor: it moved meanwhile");
	writer->owns_cursor = true;
	writer->log_no = cursor->log_no;
	writer->epoch = cursor->epoch + 1;
	writer->position = writer->next_position = cursor->position;
	return ST_OK;
}

static enum status taken_over(struct oplog_writer *writer, struct errinfo *err)
{
	return errinfo_set(err, ST_CONFLICT,
			   "another projector of this log has taken over the cursor in MySQL (broker_log.writer of log_no "
			   "%" PRIu64 " names it; this one is %s): only one broker may run on a log, stop one of the two",
			   writer->log_no, writer->name);
}

/* After a reconnection. The cursor stands where we left it, or where the transaction with the unknown outcome took it,
 * or further back on a server that lost what it had; further ahead is somebody else's work. */
static enum status verify_cursor(struct oplog_writer *writer, const struct cursor *cursor, struct errinfo *err)
{
	/* Our own claim, whose answer was lost. */
	if (cursor->epoch == writer->claimed_epoch && cursor->names_us)
		writer->epoch = cursor->epoch;
	if (cursor->epoch > writer->epoch)
		return taken_over(writer, err);
	if (cursor->epoch == writer->epoch &&
	    (cursor->position == writer->position || cursor->position == writer->next_position)) {
		writer->position = writer->next_position = cursor->position;
		return ST_OK;
	}
	if (cursor->position > writer->next_position)
		return taken_over(writer, err);
	log_warn("oplog", "MySQL's cursor went back (restored from a backup?), projecting again from there",
		 "cursor=%" PRIu64 " expected=%" PRIu64, cursor->position, writer->position);
	return claim_cursor(writer, cursor, err);
}

static enum status find_cursor(struct oplog_writer *writer, const struct oplog_log_identity *identity,
			       struct oplog_witness *witness_out, struct errinfo *err)
{
	struct cursor cursor;
	enum status st = read_cursor(writer, identity, &cursor, err);

	if (st == ST_NOTFOUND && db_conn_error_class(writer->conn) == DB_ERROR_NONE) {
		/* New to this server, or the tables were emptied under us: from the start of the log. */
		writer->owns_cursor = false;
		st = insert_cursor(writer, identity, err);
		if (st == ST_OK)
			st = read_cursor(writer, identity, &cursor, err);
	}
	if (st != ST_OK)
		return st;
	*witness_out = cursor.witness;
	return writer->owns_cursor ? verify_cursor(writer, &cursor, err) : claim_cursor(writer, &cursor, err);
}

enum status oplog_writer_connect(struct oplog_writer *writer, const struct oplog_log_identity *identity,
				 uint64_t *position_out, struct oplog_witness *witness_out, struct errinfo *err)
{
	assert(writer->conn == NULL);
	enum status st = oplog_connect(writer->config, &writer->conn, err);
	if (st != ST_OK)
		return errinfo_wrap(err, st, "connect");
	oplog_names_clear(writer->names);
	st = limit_lock_wait(writer, err);
	if (st == ST_OK)
		st = limit_silence(writer, err);
	if (st == ST_OK)
		st = prepare_schema(writer, err);
	if (st == ST_OK)
		st = find_cursor(writer, identity, witness_out, err);
	if (st == ST_OK)
		st = allow_silence(writer, err);
	if (st != ST_OK) {
		oplog_writer_disconnect(writer);
		return st;
	}
	*position_out = writer->position;
	return ST_OK;
}

void oplog_writer_disconnect(struct oplog_writer *writer)
{
	db_conn_close(writer->conn);
	writer->conn = NULL;
}

bool oplog_writer_connected(const struct oplog_writer *writer)
{
	return writer->conn != NULL;
}

/* --- writing -------------------------------------------------------------------------------------------------- */

static enum status resolve_names(struct oplog_writer *writer, const struct oplog_batch *batch, struct errinfo *err)
{
	enum status st = ST_OK;

	oplog_names_trim(writer->names);
	for (size_t i = 0; st == ST_OK && i < batch->txn_count; i++) {
		const struct oplog_txn *txn = &batch->txns[i];
		st = oplog_names_resolve(writer->names, writer->conn, OPLOG_TOPIC_NAME, txn->topic, err);
		if (st == ST_OK)
			st = oplog_names_resolve(writer->names, writer->conn, OPLOG_GROUP_NAME, txn->group, err);
		if (st == ST_OK && txn->decider.size > 0)
			st = oplog_names_resolve(writer->names, writer->conn, OPLOG_CLIENT_NAME, txn->decider, err);
	}
	for (size_t i = 0; st == ST_OK && i < batch->event_count; i++) {
		if (batch->events[i].actor_name.size > 0)
			st = oplog_names_resolve(writer->names, writer->conn, OPLOG_CLIENT_NAME,
						 batch->events[i].actor_name, err);
	}
	return st;
}

static void append_record(struct buffer *out, const char *name, uint64_t offset, uint32_t crc)
{
	if (offset == 0)
		buffer_printf(out, ", %s = NULL, %s_crc = NULL", name, name);
	else
		buffer_printf(out, ", %s = %" PRIu64 ", %s_crc = %" PRIu32, name, offset, name, crc);
}

static enum status move_cursor(struct oplog_writer *writer, uint64_t position, uint64_t skipped,
			       const struct oplog_witness *witness, struct errinfo *err)
{
	struct buffer statement;
	uint64_t affected = 0;

	buffer_init(&statement, 0);
	buffer_printf(&statement,
		      "UPDATE broker_log SET cursor_position = %" PRIu64 ", skipped_bytes = skipped_bytes + %" PRIu64
		      ", projected_at = UTC_TIMESTAMP(3)",
		      position, skipped);
	append_record(&statement, "last_record", witness->last_offset, witness->last_crc);
	append_record(&statement, "start_record", witness->start_offset, witness->start_crc);
	buffer_printf(&statement,
		      " WHERE log_no = %" PRIu64 " AND cursor_position = %" PRIu64
		      " AND cursor_epoch = %" PRIu64,
		      writer->log_no, writer->position, writer->epoch);
	enum status st = exec_buffer(writer, &statement, &affected, err);
	if (st != ST_OK)
		return errinfo_wrap(err, st, "move the cursor");
	/* Who it was is found out at the next connection (verify_cursor). */
	if (affected != 1)
		return errinfo_set(err, ST_BUSY, "move the cursor: it is not where this projector left it");
	return ST_OK;
}

static void name_or_null(struct oplog_writer *writer, struct db_rows *rows, struct span name)
{
	if (name.size == 0)
		db_rows_null(rows);
	else
		db_rows_u64(rows, oplog_names_id(writer->names, OPLOG_CLIENT_NAME, name));
}

static void reason_or_null(struct db_rows *rows, struct span reason)
{
	if (reason.size == 0)
		db_rows_null(rows);
	else
		db_rows_text(rows, reason, REASON_CHARS);
}

static void put_txn(struct oplog_writer *writer, struct db_rows *rows, const struct oplog_txn *txn)
{
	db_rows_begin(rows);
	db_rows_u64(rows, writer->log_no);
	db_rows_u64(rows, txn->half_offset);
	db_rows_time(rows, txn->created_ms);
	db_rows_u64(rows, txn->half_queue_offset);
	db_rows_text(rows, txn->transaction_id, TRANSACTION_ID_CHARS);
	db_rows_u64(rows, oplog_names_id(writer->names, OPLOG_GROUP_NAME, txn->group));
	db_rows_u64(rows, oplog_names_id(writer->names, OPLOG_TOPIC_NAME, txn->topic));
	db_rows_u64(rows, txn->queue_id);
	db_rows_u64(rows, txn->size);
	db_rows_u64(rows, txn->state);
	db_rows_u64(rows, txn->decided_by);
	name_or_null(writer, rows, txn->decider);
	if (txn->decided_ms == 0)
		db_rows_null(rows);
	else
		db_rows_time(rows, txn->decided_ms);
	db_rows_u64(rows, txn->checks);
	if (txn->has_queue_offset)
		db_rows_u64(rows, txn->queue_offset);
	else
		db_rows_null(rows);
	if (txn->deliver_at_ms == 0)
		db_rows_null(rows);
	else
		db_rows_time(rows, txn->deliver_at_ms);
	if (txn->request_id == 0)
		db_rows_null(rows);
	else
		db_rows_u64(rows, txn->request_id);
	reason_or_null(rows, txn->reason);
	db_rows_u64(rows, txn->state_offset);
}

/* Assignments are made from left to right, so state_offset, which guards the others, comes last. */
#define NEWER(column) column " = IF(VALUES(state_offset) > state_offset, VALUES(" column "), " column "), "

static enum status write_txns(struct oplog_writer *writer, const struct oplog_batch *batch, size_t size_max,
			      struct errinfo *err)
{
	struct db_rows rows;
	enum status st = ST_OK;

	db_rows_init(&rows, writer->conn,
		     "INSERT INTO txn (log_no, half_offset, created_at, half_queue_offset, transaction_id, group_id, topic_id,"
		     " queue_id, size, state, decided_by, decider_id, decided_at, checks, queue_offset, deliver_at, request_id,"
		     " reason, state_offset) VALUES ",
		     " ON DUPLICATE KEY UPDATE " NEWER("state") NEWER("decided_by") NEWER("decider_id") NEWER("decided_at")
		     NEWER("checks") NEWER("queue_offset") NEWER("deliver_at") NEWER("request_id") NEWER("reason")
		     "state_offset = GREATEST(state_offset, VALUES(state_offset))",
		     size_max);
	for (size_t i = 0; st == ST_OK && i < batch->txn_count; i++) {
		put_txn(writer, &rows, &batch->txns[i]);
		st = db_rows_end(&rows, err);
	}
	if (st == ST_OK)
		st = db_rows_flush(&rows, err);
	db_rows_deinit(&rows);
	return st == ST_OK ? ST_OK : errinfo_wrap(err, st, "write transactions");
}

static enum status write_events(struct oplog_writer *writer, const struct oplog_batch *batch, size_t size_max,
				struct errinfo *err)
{
	struct db_rows rows;
	enum status st = ST_OK;

	db_rows_init(&rows, writer->conn,
		     "INSERT INTO txn_event (log_no, record_offset, part, at, half_offset, event, actor, actor_id, checks,"
		     " detail, repeats, reason) VALUES ",
		     " ON DUPLICATE KEY UPDATE part = VALUES(part)", size_max);
	for (size_t i = 0; st == ST_OK && i < batch->event_count; i++) {
		const struct oplog_event *event = &batch->events[i];
		db_rows_begin(&rows);
		db_rows_u64(&rows, writer->log_no);
		db_rows_u64(&rows, event->record_offset);
		db_rows_u64(&rows, event->part);
		db_rows_time(&rows, event->at_ms);
		db_rows_u64(&rows, event->half_offset);
		db_rows_u64(&rows, event->event);
		db_rows_u64(&rows, event->actor);
		name_or_null(writer, &rows, event->actor_name);
		db_rows_u64(&rows, event->checks);
		db_rows_u64(&rows, event->detail);
		db_rows_u64(&rows, event->repeats);
		reason_or_null(&rows, event->reason);
		st = db_rows_end(&rows, err);
	}
	if (st == ST_OK)
		st = db_rows_flush(&rows, err);
	db_rows_deinit(&rows);
	return st == ST_OK ? ST_OK : errinfo_wrap(err, st, "write events");
}

static enum status write_in_transaction(struct oplog_writer *writer, const struct oplog_batch *batch, uint64_t position,
					uint64_t skipped, const struct oplog_witness *witness, struct errinfo *err)
{
	size_t packet_max = db_conn_packet_max(writer->conn);
	size_t size_max = packet_max < STATEMENT_MAX ? packet_max : STATEMENT_MAX;
	enum status st = limit_silence(writer, err);

	if (st == ST_OK)
		st = db_conn_begin(writer->conn, err);
	if (st != ST_OK)
		return st;
	st = move_cursor(writer, position, skipped, witness, err);
	if (st == ST_OK && batch != NULL)
		st = write_txns(writer, batch, size_max, err);
	if (st == ST_OK && batch != NULL)
		st = write_events(writer, batch, size_max, err);
	if (st != ST_OK) {
		db_conn_rollback(writer->conn);
		return st;
	}
	writer->next_position = position;
	st = db_conn_commit(writer->conn, err);
	if (st != ST_OK)
		return errinfo_wrap(err, st, "commit");
	writer->position = position;
	return allow_silence(writer, err);
}

enum status oplog_writer_write(struct oplog_writer *writer, const struct oplog_batch *batch, uint64_t position,
			       const struct oplog_witness *witness, struct errinfo *err)
{
	assert(writer->conn != NULL && writer->owns_cursor && position >= writer->position);
	enum status st = resolve_names(writer, batch, err);
	return st == ST_OK ? write_in_transaction(writer, batch, position, 0, witness, err) : errinfo_wrap(err, st, "write names");
}

enum status oplog_writer_skip(struct oplog_writer *writer, uint64_t position, const struct oplog_witness *witness,
			      struct errinfo *err)
{
	assert(writer->conn != NULL && writer->owns_cursor && position >= writer->position);
	/* A log whose start was gone before we first saw it has lost nothing that we were to write. */
	uint64_t skipped = writer->position == 0 ? 0 : position - writer->position;
	return write_in_transaction(writer, NULL, position, skipped, witness, err);
}

enum status oplog_writer_maintain(struct oplog_writer *writer, struct errinfo *err)
{
	char statement[96];

	assert(writer->conn != NULL);
	snprintf(statement, sizeof(statement), "CALL maintain_partitions(%d, %" PRId64 ")", PARTITION_DAYS_AHEAD,
		 writer->config->retention_days);
	enum status st = db_conn_exec_text(writer->conn, statement, err);
	return st == ST_OK ? ST_OK : errinfo_wrap(err, st, "maintain partitions");
}
