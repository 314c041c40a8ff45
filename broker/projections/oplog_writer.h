/* The writer: how does a batch reach MySQL so that rows and cursor move together, whatever happens in between?
 *
 * One MySQL transaction per batch: the cursor's UPDATE, which matches only our own epoch and the position that we know,
 * then the rows. A COMMIT whose answer was lost is no problem: on the next connection the cursor tells whether it
 * happened, and rows are guarded by state_offset so that a repetition changes nothing.
 *
 * Ownership of the cursor: the first connection of a writer raises cursor_epoch; an older writer then finds its epoch
 * gone and stops (ST_CONFLICT). A writer never takes the cursor back from a younger one.
 *
 * Threads: one. */
#ifndef ESCROW_OPLOG_WRITER_H
#define ESCROW_OPLOG_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/projections/oplog_batch.h"
#include "broker/projections/oplog_config.h"
#include "broker/projections/oplog_witness.h"
#include "lib/mysql/db_conn.h"

struct oplog_writer;

/* Copies nothing: config and broker_name must outlive the writer. NULL without memory. */
struct oplog_writer *oplog_writer_new(const struct oplog_config *config, const char *broker_name);
void oplog_writer_free(struct oplog_writer *writer);

/* What the log says of itself. */
struct oplog_log_identity {
	const uint8_t *log_id; /* LOG_ID_SIZE bytes */
	const char *cluster;
};

/* Connects, migrates (opLogMysqlMigrate) or checks the schema, takes or verifies the cursor, maintains partitions.
 * *position_out is where MySQL's cursor stands: everything below is there. It may be below what was written before,
 * when MySQL was restored from a backup or emptied. *witness_out is what was written with it; empty when it is 0.
 * ST_CONFLICT: another projector owns the cursor now: stop for good. Anything else: try again later. */
enum status oplog_writer_connect(struct oplog_writer *writer, const struct oplog_log_identity *identity,
				 uint64_t *position_out, struct oplog_witness *witness_out, struct errinfo *err) MUST_USE;
void oplog_writer_disconnect(struct oplog_writer *writer);
bool oplog_writer_connected(const struct oplog_writer *writer);

/* Writes the batch and moves the cursor from where it is to `position` (not below it), with the witness of all that was read.
 * On failure nothing is there, or, with a lost connection, everything may be: disconnect, connect again and see. */
enum status oplog_writer_write(struct oplog_writer *writer, const struct oplog_batch *batch, uint64_t position,
			       const struct oplog_witness *witness, struct errinfo *err) MUST_USE;

/* The log no longer holds [cursor, position): notes the loss and moves the cursor. */
enum status oplog_writer_skip(struct oplog_writer *writer, uint64_t position, const struct oplog_witness *witness,
			      struct errinfo *err) MUST_USE;

/* Partitions for the days to come, and retention. A failure is no reason to stop writing. */
enum status oplog_writer_maintain(struct oplog_writer *writer, struct errinfo *err) MUST_USE;

/* Fills `password` from opLogMysqlPasswordFile (its first line) or opLogMysqlPassword. ST_IO, ST_TOOBIG. */
enum status oplog_password(const struct oplog_config *config, char password[CONFIG_TEXT_SIZE], struct errinfo *err) MUST_USE;
/* Connects with the options; no database is selected. For escrow-log too. */
enum status oplog_connect(const struct oplog_config *config, struct db_conn **out, struct errinfo *err) MUST_USE;

#endif
