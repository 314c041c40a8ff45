/* The projector's turns around a writer that only notes what it gets: what becomes of a batch whose reading fails half-way,
 * what is done each hour, what is counted? */
#include "broker/projections/oplog_projector_internal.h"

#include <sys/stat.h>
#include <unistd.h>

#include "lib/record/record_transaction.h"
#include "tests/unit/log/log_fixture.h"

enum { HALVES_MAX = 2000 };

/* --- the writer ---------------------------------------------------------------------------------------------------- */

struct oplog_writer {
	bool connected;
	uint64_t cursor;
	struct oplog_witness witness;
	uint64_t rows[HALVES_MAX]; /* Offsets of the halves that rows were written for. */
	size_t row_count;
	unsigned maintained; /* So often. */
};

static struct oplog_writer server;

struct oplog_writer *oplog_writer_new(const struct oplog_config *config, const char *broker_name)
{
	(void)config;
	(void)broker_name;
	server = (struct oplog_writer){ 0 };
	return &server;
}

void oplog_writer_free(struct oplog_writer *writer)
{
	(void)writer;
}

enum status oplog_writer_connect(struct oplog_writer *writer, const struct oplog_log_identity *identity, uint64_t *position_out,
				 struct oplog_witness *witness_out, struct errinfo *err)
{
	(void)identity;
	(void)err;
	writer->connected = true;
	*position_out = writer->cursor;
	*witness_out = writer->witness;
	return ST_OK;
}

void oplog_writer_disconnect(struct oplog_writer *writer)
{
	writer->connected = false;
}

bool oplog_writer_connected(const struct oplog_writer *writer)
{
	return writer->connected;
}

enum status oplog_writer_write(struct oplog_writer *writer, const struct oplog_batch *batch, uint64_t position,
			       const struct oplog_witness *witness, struct errinfo *err)
{
	(void)err;
	for (size_t i = 0; i < batch->txn_count && writer->row_count < HALVES_MAX; i++)
		writer->rows[writer->row_count++] = batch->txns[i].half_offset;
	writer->cursor = position;
	writer->witness = *witness;
	return ST_OK;
}

enum status oplog_writer_skip(struct oplog_writer *writer, uint64_t position, const struct oplog_witness *witness,
			      struct errinfo *err)
{
	(void)writer;
	(void)position;
	(void)witness;
	return errinfo_set(err, ST_INVALID, "nothing is to be skipped here");
}

enum status oplog_writer_maintain(struct oplog_writer *writer, struct errinfo *err)
{
	(void)err;
	writer->maintained++;
	return ST_OK;
}

/* --- the log --------------------------------------------------------------------------------------------------------- */

static uint64_t put_half(struct commitlog *log, uint64_t n)
{
	static const uint8_t message[1000] = { 0 };
	struct record_half half = { .half_queue_offset = n, .store_time_ms = 1700000000000, .topic = SPAN_LITERAL("t"),
				    .group = SPAN_LITERAL("g"), .transaction_id = SPAN_LITERAL("id"),
				    .global = { .part_count = 1 }, .message = { message, sizeof(message) } };
	uint64_t offset = 0;
	uint8_t *at = NULL;

	for (int tries = 0; tries < 100 && at == NULL; tries++) {
		at = commitlog_begin(log, LOG_HALF, record_half_size(&half), &offset);
		if (at == NULL) {
			flush_all(log);
			prepare_all(log);
		}
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	record_half_encode(&half, at);
	commitlog_commit(log);
	return offset;
}

/* Halves in two segments; returns how many. *durable_out: the log's end. */
static size_t make_log(const char *root, uint64_t halves[HALVES_MAX], uint64_t *durable_out)
{
	struct commitlog_config config = small_config();
	struct commitlog *log = NULL;
	size_t count = 0;

	config.root = root;
	CU_ASSERT_EQUAL_FATAL(commitlog_open(&config, vfs_posix(), &log, NULL), ST_OK);
	while (count < HALVES_MAX && (count == 0 || halves[count - 1] < LOG_SEGMENT_SIZE_MIN + 20000)) {
		halves[count] = put_half(log, count);
		count++;
	}
	flush_all(log);
	*durable_out = commitlog_durable(log);
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	return count;
}

/* --- tests ------------------------------------------------------------------------------------------------------------ */

static const struct oplog_config one_batch = { .batch_max = 2 * HALVES_MAX, .open_max = 2 * HALVES_MAX, .prepared_after_ms = 0,
					       .retry_max_ms = 100 };

static struct oplog_projector *must_create(const struct oplog_config *config, const char *root, uint64_t durable)
{
	struct oplog_projector *p = oplog_projector_create(config, root, "b", durable);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	return p;
}

/* Nothing of it counts as read, and all of it is written, once, when it can be read again. */
static void test_a_batch_whose_reading_fails_is_read_again(void)
{
	static uint64_t halves[HALVES_MAX];
	char *root = check_make_dir(), dir[LOG_PATH_SIZE], segment[600], away[620];
	struct errinfo err;
	uint64_t durable = 0;
	int64_t ms;
	size_t count = make_log(root, halves, &durable);

	CU_ASSERT_EQUAL_FATAL(log_dir_path(root, dir, &err), ST_OK);
	log_segment_path(dir, LOG_SEGMENT_SIZE_MIN, segment, sizeof(segment));
	snprintf(away, sizeof(away), "%s.away", segment);
	struct oplog_projector *p = must_create(&one_batch, root, durable);
	CU_ASSERT_EQUAL_FATAL(rename(segment, away), 0);
	CU_ASSERT_EQUAL_FATAL(mkdir(segment, 0700), 0); /* What cannot be read. */
	CU_ASSERT_EQUAL(oplog_projector_turn(p, &ms, &err), ST_IO);
	CU_ASSERT_TRUE(oplog_projector_after_failure(p, ST_IO, &err, &ms));
	CU_ASSERT_EQUAL(p->status.state, OPLOG_CONNECTING);
	CU_ASSERT_EQUAL(p->status.lag_bytes, durable);
	CU_ASSERT_EQUAL(p->status.young_count, 0);
	CU_ASSERT_EQUAL(server.row_count, 0);
	CU_ASSERT_EQUAL_FATAL(rmdir(segment), 0);
	CU_ASSERT_EQUAL_FATAL(rename(away, segment), 0);
	CU_ASSERT_EQUAL(oplog_projector_turn(p, &ms, &err), ST_OK);
	CU_ASSERT_EQUAL(p->status.lag_bytes, 0);
	CU_ASSERT_EQUAL(server.row_count, count);
	CU_ASSERT_EQUAL(memcmp(server.rows, halves, count * sizeof(halves[0])), 0);
	oplog_projector_destroy(p);
	check_remove_dir(root);
}

/* Days pass while a connection lasts: each hour there is a look whether another one is near. */
static void test_partitions_are_maintained_each_hour(void)
{
	enum { HOUR_MS = 3600 * 1000 };
	static uint64_t halves[HALVES_MAX];
	char *root = check_make_dir();
	struct errinfo err;
	uint64_t durable = 0;
	int64_t ms = 0;

	(void)make_log(root, halves, &durable);
	struct oplog_projector *p = must_create(&one_batch, root, durable);
	for (int turns = 0; turns < 100 && ms == 0; turns++)
		CU_ASSERT_EQUAL(oplog_projector_turn(p, &ms, &err), ST_OK);
	CU_ASSERT_EQUAL(server.maintained, 1);
	CU_ASSERT_TRUE(ms > HOUR_MS / 2 && ms <= HOUR_MS); /* There is nothing else to wake for. */
	p->maintain_at_ms -= HOUR_MS;
	CU_ASSERT_EQUAL(oplog_projector_turn(p, &ms, &err), ST_OK);
	CU_ASSERT_EQUAL(server.maintained, 2);
	oplog_projector_destroy(p);
	check_remove_dir(root);
}

static void test_rows_of_all_batches_are_counted(void)
{
	static uint64_t halves[HALVES_MAX];
	struct oplog_config small_batches = one_batch;
	char *root = check_make_dir();
	struct errinfo err;
	uint64_t durable = 0;
	int64_t ms = 0;
	size_t count = make_log(root, halves, &durable);

	small_batches.batch_max = 10;
	struct oplog_projector *p = must_create(&small_batches, root, durable);
	for (int turns = 0; turns < HALVES_MAX && ms == 0; turns++)
		CU_ASSERT_EQUAL(oplog_projector_turn(p, &ms, &err), ST_OK);
	CU_ASSERT_TRUE(p->status.batch_count > 1);
	CU_ASSERT_EQUAL(p->status.row_count, count);
	oplog_projector_destroy(p);
	check_remove_dir(root);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_batch_whose_reading_fails_is_read_again),
		CHECK_TEST(test_partitions_are_maintained_each_hour),
		CHECK_TEST(test_rows_of_all_batches_are_counted),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("oplog-projector", tests, sizeof(tests) / sizeof(tests[0]));
}
