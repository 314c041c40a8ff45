/* What the projector does next; see oplog_projector.h, and oplog_projector_internal.h for the halves.
 *
 * A turn: connect if needed, fill the batch from the log, write it, say how long to sleep when there is nothing to do. A
 * batch whose write failed is kept and sealed (nothing is added), so that after the reconnection the cursor tells
 * whether exactly this batch is there. */
#include "broker/projections/oplog_projector_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/projections/oplog_facts.h"
#include "lib/base/clock.h"
#include "lib/base/logging.h"
#include "lib/record/record_transaction.h"

enum {
	BATCH_SLACK = RECORD_CHECKS_MAX + 1, /* Rows that one record may add to a batch that was not full before it. */
	IDLE_CURSOR_MS = 1000,               /* How often the cursor moves when there are no rows. */
	MAINTAIN_MS = 3600 * 1000,
	RETRY_FIRST_MS = 100,
	REPEAT_LINE_MS = 60 * 1000,          /* The same failure is logged again after this. */
	FILL_BYTES_MAX = 64 * 1024 * 1024,   /* Log read in one go, so that the cursor moves and a stop is heard. */
};

static int64_t now_mono(void)
{
	return clock_mono_ms(clock_system());
}

/* --- status and log lines ------------------------------------------------------------------------------------- */

static void set_state(struct oplog_projector *p, enum oplog_state state)
{
	uint64_t position = p->reader == NULL ? p->cursor : logreader_position(p->reader);

	pthread_mutex_lock(&p->lock);
	if (p->status.state != OPLOG_STOPPED)
		p->status.state = state;
	p->status.cursor = p->cursor;
	p->status.lag_bytes = atomic_load(&p->durable) > position ? atomic_load(&p->durable) - position : 0;
	p->status.young_count = oplog_young_count(p->young);
	pthread_mutex_unlock(&p->lock);
}

static void note_failure(struct oplog_projector *p, const struct errinfo *err)
{
	int64_t now = now_mono();

	pthread_mutex_lock(&p->lock);
	p->status.failure_count++;
	memcpy(p->status.last_error, err->text, sizeof(p->status.last_error));
	pthread_mutex_unlock(&p->lock);
	bool repeated = p->failing && strcmp(p->failure_text, err->text) == 0;
	p->failing = true;
	if (repeated && now - p->failure_logged_ms < REPEAT_LINE_MS)
		return;
	memcpy(p->failure_text, err->text, sizeof(p->failure_text));
	p->failure_logged_ms = now;
	log_warn("oplog", "MySQL op log cannot be written, trying again",
		 "cursor=%" PRIu64 " retry_ms=%" PRId64 " error=\"%s\"", p->cursor, p->retry_delay_ms, err->text);
}

static void note_success(struct oplog_projector *p, size_t rows)
{
	pthread_mutex_lock(&p->lock);
	p->status.last_error[0] = '\0';
	p->status.last_success_ms = clock_wall_ms(clock_system());
	p->status.row_count += rows;
	p->status.batch_count++;
	pthread_mutex_unlock(&p->lock);
	if (p->failing)
		log_info("oplog", "MySQL op log is written again", "cursor=%" PRIu64, p->cursor);
	p->failing = false;
	p->retry_delay_ms = RETRY_FIRST_MS;
}

void oplog_projector_stop_for_good(struct oplog_projector *p, const struct errinfo *err)
{
	pthread_mutex_lock(&p->lock);
	p->status.state = OPLOG_STOPPED;
	memcpy(p->status.last_error, err->text, sizeof(p->status.last_error));
	pthread_mutex_unlock(&p->lock);
	log_error("oplog", "MySQL op log stopped; the broker goes on without it until it is restarted",
		  "cursor=%" PRIu64 " error=\"%s\"", p->cursor, err->text);
}

/* --- from the log into the batch ------------------------------------------------------------------------------ */

static enum status take_txn(void *context, const struct oplog_txn *txn, struct errinfo *err)
{
	struct oplog_projector *p = context;
	enum status st = oplog_batch_add_txn(&p->batch, txn);

	/* A half that was carried is older than all young ones, so that the search fails. */
	oplog_young_remove(p->young, txn->half_offset);
	return st == ST_OK ? ST_OK : errinfo_set(err, st, "op log batch: %s", status_text(st));
}

static enum status take_half(void *context, const struct oplog_txn *half, struct errinfo *err)
{
	struct oplog_projector *p = context;
	struct oplog_txn oldest;
	enum status st = ST_OK;

	while (st == ST_OK && oplog_young_full(p->young) && oplog_young_oldest(p->young, 0, true, &oldest))
		st = take_txn(p, &oldest, err);
	if (st != ST_OK)
		return st;
	st = oplog_young_add(p->young, half);
	return st == ST_OK ? ST_OK : errinfo_set(err, st, "op log's young transactions: %s", status_text(st));
}

static enum status take_event(void *context, const struct oplog_event *event, struct errinfo *err)
{
	struct oplog_projector *p = context;
	enum status st = oplog_batch_add_event(&p->batch, event);

	return st == ST_OK ? ST_OK : errinfo_set(err, st, "op log batch: %s", status_text(st));
}

static bool batch_full(const struct oplog_projector *p)
{
	return oplog_batch_rows(&p->batch) >= (size_t)p->config.batch_max;
}

/* A wall clock that was set back stands still in the log until it has caught up, for hours perhaps; how long ago something was
 * read tells, too. */
static void note_reading(struct oplog_projector *p)
{
	if (!p->caught_up || now_mono() - p->mark_ms < p->config.prepared_after_ms)
		return;
	p->due_below = p->mark;
	p->mark = logreader_position(p->reader);
	p->mark_ms = now_mono();
}

/* Rows for what has been open for long enough. In a backlog the log's own time counts: its decisions are yet to be
 * read. */
static enum status take_due(struct oplog_projector *p, struct errinfo *err)
{
	int64_t wall = clock_wall_ms(clock_system());
	int64_t now = p->caught_up && wall > p->log_time_ms ? wall : p->log_time_ms;
	struct oplog_txn half;
	enum status st = ST_OK;

	note_reading(p);
	while (st == ST_OK && !batch_full(p) &&
	       oplog_young_oldest(p->young, 0, true, &half) &&
	       (half.created_ms <= now - p->config.prepared_after_ms || half.half_offset < p->due_below))
		st = take_txn(p, &half, err);
	return st;
}

static enum status fill_batch(struct oplog_projector *p, struct errinfo *err)
{
	const struct oplog_sink sink = { take_half, take_txn, take_event, p };
	uint64_t begin = logreader_position(p->reader);
	enum status st = ST_OK;

	p->caught_up = false;
	while (!batch_full(p) && logreader_position(p->reader) - begin < FILL_BYTES_MAX) {
		struct log_record record;
		st = logreader_next(p->reader, atomic_load(&p->durable), &record, err);
		if (st == ST_AGAIN) {
			p->caught_up = true;
			break;
		}
		if (st != ST_OK)
			return errinfo_wrap(err, st, "read the log at %" PRIu64, logreader_position(p->reader));
		oplog_witness_note(&p->witness, &record);
		st = oplog_facts(&record, &sink, &p->log_time_ms, err);
		if (st != ST_OK)
			return errinfo_wrap(err, st, "%s record at %" PRIu64, log_kind_text(record.kind), record.offset);
	}
	return take_due(p, err);
}

/* Everything below is in MySQL once the batch is. The oldest young half holds it back. */
static uint64_t cursor_target(struct oplog_projector *p)
{
	struct oplog_txn oldest;

	if (oplog_young_oldest(p->young, 0, true, &oldest))
		return oldest.half_offset;
	return logreader_position(p->reader);
}

/* --- connecting ----------------------------------------------------------------------------------------------- */

static void forget_batch(struct oplog_projector *p)
{
	oplog_batch_reset(&p->batch);
	p->batch_sealed = false;
}

static void close_reader(struct oplog_projector *p)
{
	logreader_close(p->reader);
	p->reader = NULL;
	oplog_young_clear(p->young);
	forget_batch(p);
	p->log_time_ms = 0;
	p->mark = p->due_below = 0;
}

/* Reads from the cursor on, with empty hands. */
static enum status restart_at_cursor(struct oplog_projector *p, struct errinfo *err)
{
	uint64_t durable = atomic_load(&p->durable);

	close_reader(p);
	if (p->cursor > durable)
		return errinfo_set(err, ST_CONFLICT,
				   "the cursor in MySQL (%" PRIu64 ") is ahead of the log's end (%" PRIu64
				   "): " OPLOG_OLDER_COPY,
				   p->cursor, durable);
	enum status st = oplog_witness_check(&p->witness, p->store_root, durable, err);
	if (st != ST_OK)
		return st;
	st = logreader_open(vfs_posix(), p->store_root, p->cursor, &p->reader, err);
	if (st != ST_NOTFOUND || p->cursor == 0)
		return st;
	st = logreader_open(vfs_posix(), p->store_root, 0, &p->reader, err);
	if (st != ST_OK)
		return st;
	uint64_t start = logreader_position(p->reader);
	log_warn("oplog", "the log no longer holds what was to be projected, going on with what it holds",
		 "cursor=%" PRIu64 " oldest=%" PRIu64, p->cursor, start);
	st = start < p->cursor ? errinfo_set(err, ST_CORRUPT, "cursor %" PRIu64 " is not a place in the log", p->cursor)
			       : oplog_writer_skip(p->writer, start, &p->witness, err);
	if (st == ST_OK)
		p->cursor = start;
	return st;
}

/* Was what is to be read dropped meanwhile, because the log waits no longer (oplog_hold.h)? Then what looks like damage is none:
 * the file is gone, or another segment's. */
static bool was_overtaken(const struct oplog_projector *p)
{
	return oplog_log_begins_behind(p->store_root, logreader_position(p->reader));
}

static enum status connect_writer(struct oplog_projector *p, struct errinfo *err)
{
	uint64_t position;
	enum status st = ST_OK;

	/* For the log's identity only; the place comes from MySQL. */
	if (p->reader == NULL)
		st = logreader_open(vfs_posix(), p->store_root, 0, &p->reader, err);
	if (st != ST_OK)
		return st;
	struct oplog_log_identity identity = { logreader_log_id(p->reader), logreader_cluster(p->reader) };
	st = oplog_writer_connect(p->writer, &identity, &position, &p->witness, err);
	if (st != ST_OK)
		return st;
	p->maintain_at_ms = now_mono();
	p->cursor_moved_ms = now_mono();
	if (p->batch_sealed && position == p->batch_target && position != p->cursor) {
		p->cursor = position;
		forget_batch(p);
		return ST_OK;
	}
	/* A cursor that has not moved does not tell which rows are there: young halves may have held it while batches were
	 * written, and the server may have lost the last of them. What is there already does not mind to come again. */
	p->cursor = position;
	return restart_at_cursor(p, err);
}

/* --- the loop ------------------------------------------------------------------------------------------------- */

static void maintain(struct oplog_projector *p)
{
	struct errinfo err;

	if (now_mono() < p->maintain_at_ms)
		return;
	p->maintain_at_ms = now_mono() + MAINTAIN_MS;
	if (oplog_writer_maintain(p->writer, &err) != ST_OK)
		log_warn("oplog", "day partitions not maintained, rows go to p_max meanwhile", "error=\"%s\"", err.text);
}

static enum status write_batch(struct oplog_projector *p, struct errinfo *err)
{
	size_t rows = oplog_batch_rows(&p->batch);

	if (!p->batch_sealed)
		p->batch_target = cursor_target(p);
	p->batch_sealed = true;
	enum status st = oplog_writer_write(p->writer, &p->batch, p->batch_target, &p->witness, err);
	if (st != ST_OK)
		return st;
	p->cursor = p->batch_target;
	p->cursor_moved_ms = now_mono();
	forget_batch(p);
	note_success(p, rows);
	return ST_OK;
}

static int64_t sleep_time(struct oplog_projector *p)
{
	int64_t until = p->maintain_at_ms - now_mono();
	struct oplog_txn oldest;

	if (oplog_young_oldest(p->young, 0, true, &oldest)) {
		int64_t due = oldest.created_ms + p->config.prepared_after_ms - clock_wall_ms(clock_system());
		int64_t look = p->mark_ms + p->config.prepared_after_ms - now_mono();
		until = due < until ? due : until;
		until = look < until ? look : until;
	}
	if (cursor_target(p) > p->cursor) {
		int64_t move = p->cursor_moved_ms + IDLE_CURSOR_MS - now_mono();
		until = move < until ? move : until;
	}
	/* A clock that jumps must not make this a busy loop. */
	return until < 1 ? 1 : until;
}

static bool must_write(struct oplog_projector *p)
{
	if (p->batch_sealed || oplog_batch_rows(&p->batch) > 0)
		return true;
	bool idle_over = now_mono() - p->cursor_moved_ms >= IDLE_CURSOR_MS || atomic_load(&p->stopping);
	return idle_over && cursor_target(p) > p->cursor;
}

enum status oplog_projector_turn(struct oplog_projector *p, int64_t *sleep_ms, struct errinfo *err)
{
	enum status st = ST_OK;

	*sleep_ms = 0;
	if (!oplog_writer_connected(p->writer)) {
		set_state(p, OPLOG_CONNECTING);
		st = connect_writer(p, err);
	}
	if (st != ST_OK)
		return st;
	maintain(p);
	if (!p->batch_sealed)
		st = fill_batch(p, err);
	if (st == ST_CORRUPT && was_overtaken(p))
		return restart_at_cursor(p, err);
	if (st != ST_OK)
		return st;
	if (must_write(p)) {
		set_state(p, p->caught_up ? OPLOG_CURRENT : OPLOG_CATCHING_UP);
		return write_batch(p, err);
	}
	set_state(p, p->caught_up ? OPLOG_CURRENT : OPLOG_CATCHING_UP);
	if (p->caught_up && !atomic_load(&p->stopping))
		*sleep_ms = sleep_time(p);
	return ST_OK;
}

bool oplog_projector_may_end(struct oplog_projector *p)
{
	if (!atomic_load(&p->stopping))
		return false;
	return now_mono() >= atomic_load(&p->stop_until_ms) || !oplog_writer_connected(p->writer) ||
	       (p->caught_up && !must_write(p));
}

static bool is_final(enum status st)
{
	return st == ST_CONFLICT || st == ST_CORRUPT || st == ST_VERSION;
}

bool oplog_projector_after_failure(struct oplog_projector *p, enum status st, const struct errinfo *err, int64_t *pause_ms)
{
	/* A schema of another version comes while connecting, and somebody may migrate it; a record of a newer version
	 * stays what it is. */
	bool was_connected = oplog_writer_connected(p->writer);

	oplog_writer_disconnect(p->writer);
	if (is_final(st) && (st != ST_VERSION || was_connected)) {
		oplog_projector_stop_for_good(p, err);
		return false;
	}
	/* What was read without being kept (memory, disk) is read again. */
	if (!p->batch_sealed)
		close_reader(p);
	note_failure(p, err);
	set_state(p, OPLOG_CONNECTING);
	*pause_ms = p->retry_delay_ms;
	p->retry_delay_ms = p->retry_delay_ms * 2 < p->config.retry_max_ms ? p->retry_delay_ms * 2 : p->config.retry_max_ms;
	return true;
}

/* --- life ----------------------------------------------------------------------------------------------------- */

void oplog_projector_destroy(struct oplog_projector *p)
{
	logreader_close(p->reader);
	oplog_batch_deinit(&p->batch);
	oplog_young_free(p->young);
	oplog_writer_free(p->writer);
	pthread_cond_destroy(&p->finished_cond);
	pthread_mutex_destroy(&p->lock);
	explicit_bzero(p->config.password, sizeof(p->config.password));
	free(p->store_root);
	free(p->broker_name);
	free(p);
}

struct oplog_projector *oplog_projector_create(const struct oplog_config *config, const char *store_root,
					       const char *broker_name, uint64_t durable)
{
	struct oplog_projector *p = calloc(1, sizeof(*p));
	pthread_condattr_t attributes;

	if (p == NULL)
		return NULL;
	p->config = *config;
	atomic_store(&p->durable, durable);
	p->retry_delay_ms = RETRY_FIRST_MS;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&p->finished_cond, &attributes);
	pthread_condattr_destroy(&attributes);
	p->wake_fd = -1;
	p->store_root = strdup(store_root);
	p->broker_name = strdup(broker_name);
	p->young = oplog_young_new((uint32_t)config->open_max);
	enum status batch = oplog_batch_init(&p->batch, (size_t)config->batch_max + BATCH_SLACK);
	if (p->broker_name != NULL)
		p->writer = oplog_writer_new(&p->config, p->broker_name);
	if (p->store_root == NULL || p->young == NULL || batch != ST_OK || p->writer == NULL) {
		oplog_projector_destroy(p);
		return NULL;
	}
	return p;
}
