/* What a log is known by: the last record that was read, ever, and the start in front of it. */
#include "broker/projections/oplog_witness.h"

#include "tests/support/check.h"

static void note(struct oplog_witness *witness, enum log_kind kind, uint64_t offset, uint32_t crc)
{
	struct log_record record = { .kind = kind, .offset = offset, .crc = crc };

	oplog_witness_note(witness, &record);
}

static void check(const struct oplog_witness *witness, uint64_t last, uint32_t last_crc, uint64_t start, uint32_t start_crc)
{
	CU_ASSERT_EQUAL(witness->last_offset, last);
	CU_ASSERT_EQUAL(witness->last_crc, last_crc);
	CU_ASSERT_EQUAL(witness->start_offset, start);
	CU_ASSERT_EQUAL(witness->start_crc, start_crc);
}

static void test_the_last_record_and_the_last_start_are_kept(void)
{
	struct oplog_witness witness = { 0 };

	note(&witness, LOG_HALF, 4096, 11);
	check(&witness, 4096, 11, 0, 0);
	note(&witness, LOG_EPOCH, 5000, 12);
	check(&witness, 5000, 12, 5000, 12);
	note(&witness, LOG_BATCH, 5064, 13);
	note(&witness, LOG_HALF, 5112, 14);
	check(&witness, 5112, 14, 5000, 12);
	note(&witness, LOG_EPOCH, 6000, 15);
	check(&witness, 6000, 15, 6000, 15);
}

/* Rows of what is read again are there, and of more. */
static void test_what_is_read_again_does_not_count(void)
{
	struct oplog_witness witness = { .last_offset = 6000, .last_crc = 20, .start_offset = 5000, .start_crc = 21 };

	note(&witness, LOG_EPOCH, 4096, 1);
	note(&witness, LOG_HALF, 5500, 2);
	note(&witness, LOG_HALF, 6000, 3);
	check(&witness, 6000, 20, 5000, 21);
	note(&witness, LOG_HALF, 6100, 4);
	check(&witness, 6100, 4, 5000, 21);
}

static void test_nothing_is_known_of_nothing(void)
{
	struct oplog_witness witness = { 0 };
	struct errinfo err;

	CU_ASSERT_EQUAL(oplog_witness_check(&witness, "/nonexistent", 0, &err), ST_OK);
}

static void test_what_is_ahead_of_the_end_is_another_log(void)
{
	struct oplog_witness witness = { .last_offset = 6000 };
	struct errinfo err;

	CU_ASSERT_EQUAL(oplog_witness_check(&witness, "/nonexistent", 6000, &err), ST_CONFLICT);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_the_last_record_and_the_last_start_are_kept),
		CHECK_TEST(test_what_is_read_again_does_not_count),
		CHECK_TEST(test_nothing_is_known_of_nothing),
		CHECK_TEST(test_what_is_ahead_of_the_end_is_another_log),
	};

	return check_main("oplog-witness", tests, sizeof(tests) / sizeof(tests[0]));
}
