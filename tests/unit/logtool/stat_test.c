/* `escrow-log stat`: the bytes that it shows of each kind are those of the log, and a transaction's are all of its records. */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/record/record_message.h"
#include "lib/record/record_transaction.h"
#include "tests/unit/log/log_fixture.h"
#include "tools/log/command.h"
#include "tools/log/lines.h"

static struct made {
	struct commitlog *log;
	unsigned count[LOG_KIND_END];
	uint64_t bytes[LOG_KIND_END]; /* Of the records that were put. */
	uint64_t carried_half;
} made;

static uint64_t put(enum log_kind kind, const uint8_t *payload, size_t size)
{
	uint64_t offset = 0;
	uint8_t *p = commitlog_begin(made.log, kind, size, &offset);

	assert(p != NULL);
	memcpy(p, payload, size);
	made.count[kind]++;
	made.bytes[kind] += commitlog_commit(made.log) - offset;
	return offset;
}

/* What it says does not matter. */
static void put_any(enum log_kind kind, size_t size)
{
	static const uint8_t payload[4096] = { 0 };

	put(kind, payload, size);
}

static size_t encode_half(uint64_t n, uint8_t payload[512])
{
	static const uint8_t message[100] = { 0 };
	struct record_half half = { .half_queue_offset = n, .store_time_ms = 1000, .topic = SPAN_LITERAL("t"),
				    .group = SPAN_LITERAL("g"), .transaction_id = SPAN_LITERAL("id"),
				    .global = { .part_count = 1 }, .message = { message, sizeof(message) } };

	record_half_encode(&half, payload);
	return record_half_size(&half);
}

static void carry(uint64_t original, uint8_t kind, const uint8_t *payload, size_t size)
{
	struct record_carry r = { original, kind, { payload, size } };
	uint8_t encoded[1024];

	record_carry_encode(&r, encoded);
	put(LOG_CARRY, encoded, record_carry_size(&r));
}

static void begin_log(const char *root)
{
	struct commitlog_config config = small_config();

	config.root = root;
	made = (struct made){ 0 };
	CU_ASSERT_EQUAL_FATAL(commitlog_open(&config, vfs_posix(), &made.log, NULL), ST_OK);
}

static void end_log(void)
{
	flush_all(made.log);
	CU_ASSERT_EQUAL(commitlog_close(made.log, true, NULL), ST_OK);
}

/* Two transactions, of which one was carried, decided, contradicted and asked for; and a message that waits was carried. */
static void make_log(const char *root)
{
	struct record_message message = { .store_time_ms = 5000, .deliver_at_ms = 9000, .topic = SPAN_LITERAL("t") };
	uint8_t payload[512];

	begin_log(root);
	size_t size = encode_half(1, payload);
	put(LOG_HALF, payload, size);
	size = encode_half(0, payload);
	carry(put(LOG_HALF, payload, size), CARRY_HALF, payload, size);
	made.carried_half = made.bytes[LOG_CARRY];
	put_any(LOG_DECISION, 200);
	put_any(LOG_CONFLICT, 1000);
	put_any(LOG_CHECK, 3000);
	size = record_message_size(&message);
	record_message_encode(&message, payload);
	carry(put(LOG_MESSAGE, payload, size), CARRY_MESSAGE, payload, size);
	end_log();
}

static void put_park(uint64_t half, uint64_t n)
{
	struct record_decision r = { .half_offset = half, .half_queue_offset = n, .half_store_time_ms = 1000, .outcome = OUTCOME_PARK,
				     .who = WHO_OPERATOR, .when_ms = 2000, .topic = SPAN_LITERAL("t"), .group = SPAN_LITERAL("g"),
				     .transaction_id = SPAN_LITERAL("id"), .global = { .part_count = 1 } };
	uint8_t payload[512];

	record_decision_encode(&r, payload);
	put(LOG_DECISION, payload, record_decision_size(&r));
}

/* Two open transactions and a parked one. */
static void make_log_with_parked(const char *root)
{
	uint8_t payload[512];
	uint64_t half = 0;

	begin_log(root);
	for (uint64_t n = 0; n < 3; n++) {
		size_t size = encode_half(n, payload);
		half = put(LOG_HALF, payload, size);
	}
	put_park(half, 2);
	end_log();
}

/* What the command prints. Freed by the caller. */
static char *output_of(char *root, char *option)
{
	char *argv[] = { root, option };
	bool found = false;
	struct errinfo err;
	FILE *file = tmpfile();
	int kept = dup(STDOUT_FILENO);

	CU_ASSERT_FATAL(file != NULL && kept >= 0);
	(void)fflush(stdout);
	CU_ASSERT_EQUAL_FATAL(dup2(fileno(file), STDOUT_FILENO), STDOUT_FILENO);
	enum status status = command_stat.run(option == NULL ? 1 : 2, argv, &found, &err);
	(void)fflush(stdout);
	dup2(kept, STDOUT_FILENO);
	close(kept);
	CU_ASSERT_EQUAL(status, ST_OK);
	long size = lseek(fileno(file), 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);
	assert(text != NULL);
	CU_ASSERT_EQUAL(pread(fileno(file), text, (size_t)size, 0), size);
	(void)fclose(file);
	return text;
}

static uint64_t number_in(const cJSON *object, const char *key)
{
	const cJSON *value = cJSON_GetObjectItem(object, key);

	return cJSON_IsNumber(value) ? (uint64_t)value->valuedouble : UINT64_MAX;
}

static uint64_t transaction_bytes(void)
{
	return made.bytes[LOG_HALF] + made.carried_half + made.bytes[LOG_DECISION] + made.bytes[LOG_CONFLICT] +
	       made.bytes[LOG_CHECK];
}

static void test_bytes_of_each_kind_for_programs(void)
{
	char *root = check_make_dir(), option[] = "--json";
	uint64_t total = 0, kinds = 0;
	const cJSON *record;

	make_log(root);
	char *text = output_of(root, option);
	cJSON *stat = cJSON_Parse(text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(stat);
	cJSON_ArrayForEach(record, cJSON_GetObjectItem(stat, "records")) {
		const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(record, "kind"));

		total += number_in(record, "bytes");
		for (unsigned kind = LOG_MESSAGE; name != NULL && kind < LOG_KIND_END; kind++) {
			if (strcmp(name, log_kind_text(kind)) == 0) {
				CU_ASSERT_EQUAL(number_in(record, "bytes"), made.bytes[kind]);
				kinds++;
			}
		}
	}
	CU_ASSERT_EQUAL(kinds, 6);
	CU_ASSERT_EQUAL(total, number_in(stat, "end") - number_in(stat, "start")); /* In one segment. */
	CU_ASSERT_EQUAL(number_in(stat, "transactions"), 2);
	CU_ASSERT_EQUAL(number_in(stat, "bytes_per_transaction"), transaction_bytes() / 2);
	cJSON_Delete(stat);
	free(text);
	check_remove_dir(root);
}

static void test_bytes_of_each_kind_for_people(void)
{
	char *root = check_make_dir(), expected[200], number[32];

	make_log(root);
	char *text = output_of(root, NULL);
	for (unsigned kind = LOG_MESSAGE; kind < LOG_KIND_END; kind++) {
		number_text(made.bytes[kind], number);
		snprintf(expected, sizeof(expected), "\n%-14s %15u %18s ", log_kind_text(kind), made.count[kind], number);
		CU_ASSERT_EQUAL(strstr(text, expected) != NULL, made.count[kind] > 0);
	}
	snprintf(expected, sizeof(expected),
		 " %" PRIu64 " bytes of log each: half %" PRIu64 " (its message 100), decision %" PRIu64
		 ", checks %" PRIu64 "\n", transaction_bytes() / 2, made.bytes[LOG_HALF] / 2, made.bytes[LOG_DECISION] / 2,
		 made.bytes[LOG_CHECK] / 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, expected));
	free(text);
	check_remove_dir(root);
}

static void test_parked_ones_are_told(void)
{
	char *root = check_make_dir(), option[] = "--json";

	make_log_with_parked(root);
	char *text = output_of(root, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "3: 0 committed, 0 rolled back, 2 open, 1 parked\n"));
	free(text);
	text = output_of(root, option);
	cJSON *stat = cJSON_Parse(text);
	CU_ASSERT_EQUAL(number_in(stat, "open"), 2);
	CU_ASSERT_EQUAL(number_in(stat, "parked"), 1);
	CU_ASSERT_EQUAL(number_in(stat, "unknown"), 0);
	cJSON_Delete(stat);
	free(text);
	check_remove_dir(root);
}

/* A segment's file grows with what is in it. */
static void test_files_are_as_large_as_they_are(void)
{
	char *root = check_make_dir(), path[600], expected[100], size[32];
	struct stat file;

	make_log(root);
	snprintf(path, sizeof(path), "%s/commitlog/%020d", root, 0);
	CU_ASSERT_FATAL(stat(path, &file) == 0 && file.st_size < LOG_SEGMENT_SIZE_MIN);
	char *text = output_of(root, NULL);
	size_text((uint64_t)file.st_size, size);
	snprintf(expected, sizeof(expected), " in 1 segment files of %s\n", size);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, expected));
	free(text);
	check_remove_dir(root);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_bytes_of_each_kind_for_programs),
		CHECK_TEST(test_bytes_of_each_kind_for_people),
		CHECK_TEST(test_parked_ones_are_told),
		CHECK_TEST(test_files_are_as_large_as_they_are),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("stat", tests, sizeof(tests) / sizeof(tests[0]));
}
