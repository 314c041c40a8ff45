/* The real escrow-log over stores of the real broker, which is killed, and whose files are then damaged in every way: what
 * the tool says a start will do is what a start does; what it says was in the log is what the clients know. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/audit/audit.h"
#include "lib/base/bytes.h"
#include "lib/base/crc32c.h"
#include "lib/base/logging.h"
#include "lib/index/snapshot_file.h"
#include "lib/index/snapshot_sections.h"
#include "lib/log/commitlog.h"
#include "lib/record/record_settings.h"
#include "lib/record/record_transaction.h"
#include "lib/wire/codes.h"
#include "tests/support/check.h"
#include "tests/support/rawclient.h"

enum { TRANSACTIONS = 1500, OPEN_EACH = 50, BODY = 1500, DAMAGES = 24, TEXT_MAX = 8 << 20 };

static char *dir, store[512], copy[512], log_path[512];
static uint64_t committed, rolled_back, undecided;
static char text[TEXT_MAX]; /* Output of the tool, standard error behind it. */

static const char *build_dir(void)
{
	return getenv("ESCROW_BUILD") != NULL ? getenv("ESCROW_BUILD") : "build";
}

/* Runs it, behind another command's words; its exit code. The output is in `text`. */
PRINTF_LIKE(2, 3)
static int tool_behind(const char *words, const char *fmt, ...)
{
	char arguments[1500], command[2200], errors[600];
	va_list args;

	va_start(args, fmt);
	vsnprintf(arguments, sizeof(arguments), fmt, args);
	va_end(args);
	snprintf(errors, sizeof(errors), "%s/tool.err", dir);
	snprintf(command, sizeof(command), "%s %s/escrow-log %s 2>%s", words, build_dir(), arguments, errors);
	FILE *out = popen(command, "r");
	CU_ASSERT_FATAL(out != NULL);
	size_t size = fread(text, 1, sizeof(text) - 4096, out);
	int code = pclose(out);
	FILE *err = fopen(errors, "r");
	if (err != NULL) {
		size += fread(text + size, 1, 4000, err);
		fclose(err);
	}
	text[size] = '\0';
	return WIFEXITED(code) ? WEXITSTATUS(code) : 255;
}
#define tool(...) tool_behind("", __VA_ARGS__)

static void expect_text(const char *what, int line)
{
	bool there = strstr(text, what) != NULL;

	if (!there)
		fprintf(stderr, "line %d: expected \"%s\" in:\n%.3000s\n", line, what, text);
	CU_ASSERT(there);
}
#define EXPECT_TEXT(what) expect_text(what, __LINE__)

PRINTF_LIKE(1, 2)
static void shell(const char *fmt, ...)
{
	char command[1200];
	va_list args;

	va_start(args, fmt);
	vsnprintf(command, sizeof(command), fmt, args);
	va_end(args);
	if (system(command) != 0) {
		fprintf(stderr, "failed: %s\n", command);
		exit(2);
	}
}

/* The last line of JSON output, or the first with this kind. Free with cJSON_Delete; NULL for none. */
static cJSON *line_of_kind(const char *kind)
{
	for (char *line = text; *line != '\0';) {
		char *end = strchr(line, '\n');
		cJSON *object = cJSON_ParseWithLength(line, end == NULL ? strlen(line) : (size_t)(end - line));
		const cJSON *found = cJSON_GetObjectItem(object, "kind");

		if (cJSON_IsString(found) && strcmp(found->valuestring, kind) == 0)
			return object;
		cJSON_Delete(object);
		if (end == NULL)
			break;
		line = end + 1;
	}
	return NULL;
}

static uint64_t number_in(const cJSON *object, const char *key)
{
	const cJSON *value = cJSON_GetObjectItem(object, key);

	CU_ASSERT(cJSON_IsNumber(value));
	return cJSON_IsNumber(value) ? (uint64_t)value->valuedouble : UINT64_MAX;
}

/* --- the store ----------------------------------------------------------------------------------------------------- */

static const char *const small_parts[] = { "mappedFileSizeCommitLog=1048576", "tailRingSize=1048576", "maxMessageSize=65536",
					   "snapshotIntervalBytes=600000", "transactionTimeOut=3600000", "logLevel=error",
					   "brokerName=log-test", "listenPort=0" };
enum { SMALL_PARTS = sizeof(small_parts) / sizeof(small_parts[0]) };

static void broker_arguments(const char *at_store, char store_option[600], const char *argv[2 * SMALL_PARTS + 4])
{
	int count = 0;

	argv[count++] = "escrow-broker";
	for (int i = 0; i < SMALL_PARTS; i++) {
		argv[count++] = "-o";
		argv[count++] = small_parts[i];
	}
	snprintf(store_option, 600, "storePathRootDir=%s", at_store);
	argv[count++] = "-o";
	argv[count++] = store_option;
	argv[count] = NULL;
}

static struct program start_broker(const char *at_store)
{
	const char *argv[2 * SMALL_PARTS + 4];
	char option[600];

	broker_arguments(at_store, option, argv);
	return program_start(argv, log_path);
}

/* Transactions with every outcome. */
static void make_store(void)
{
	struct program broker = start_broker(store);
	struct raw *raw = raw_connect(broker.port);

	CU_ASSERT_FATAL(raw != NULL);
	for (int i = 0; i < TRANSACTIONS; i++) {
		struct raw_half half;
		char key[24];

		snprintf(key, sizeof(key), "TX%d", i);
		CU_ASSERT_EQUAL_FATAL(raw_half_send(raw, "payers", i % 3 == 0 ? "parcels" : "orders", key, BODY, &half), RESP_SUCCESS);
		if (i % OPEN_EACH == 0) {
			undecided++;
			continue;
		}
		bool commit = i % 7 != 0;
		CU_ASSERT_EQUAL_FATAL(raw_end(raw, "payers", key, &half, commit ? 8 : 12), RESP_SUCCESS);
		committed += commit;
		rolled_back += !commit;
		if (i == 1) /* The opposite, which is refused and recorded. */
			CU_ASSERT_EQUAL(raw_end(raw, "payers", key, &half, 12), 604);
	}
	/* Beside the running broker. */
	CU_ASSERT_EQUAL(tool("check %s", store), 0);
	EXPECT_TEXT("in use by process");
	CU_ASSERT_EQUAL(tool("audit %s", store), 0);
	EXPECT_TEXT("no violations");
	CU_ASSERT_EQUAL(tool("repair %s --cut-at 8192", store), 2);
	EXPECT_TEXT("is in use by process");
	raw_close(raw);
	program_stop(&broker, SIGKILL, NULL);
}

static void copy_store(void)
{
	shell("rm -rf %s", copy);
	shell("cp -a --sparse=always %s %s", store, copy);
}

/* Does a broker start on the copy? It is stopped again. */
static bool broker_starts(char why[1024])
{
	const char *argv[2 * SMALL_PARTS + 4];
	char option[600], path[600];
	int fds[2], status = 0;

	broker_arguments(copy, option, argv);
	snprintf(path, sizeof(path), "%s/escrow-broker", build_dir());
	CU_ASSERT_FATAL(pipe(fds) == 0);
	pid_t pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (dup2(fds[1], 1) < 0 || dup2(fds[1], 2) < 0)
			_exit(126);
		close(fds[0]);
		close(fds[1]);
		execv(path, (char *const *)argv);
		_exit(127);
	}
	close(fds[1]);
	/* Until it is ready, or its output ends with it. */
	size_t size = 0;
	bool ready = false;
	for (ssize_t got; !ready && size < 1000 && (got = read(fds[0], why + size, 1000 - size)) > 0; size += (size_t)got) {
		why[size + (size_t)got] = '\0';
		ready = strstr(why, "ready ") != NULL;
	}
	why[size] = '\0';
	if (ready)
		kill(pid, SIGTERM);
	close(fds[0]);
	CU_ASSERT(waitpid(pid, &status, 0) == pid);
	return ready;
}

/* --- a sound store --------------------------------------------------------------------------------------------------- */

static void test_a_killed_brokers_store_is_sound(void)
{
	make_store();
	CU_ASSERT_EQUAL(tool("check %s", store), 0);
	EXPECT_TEXT("ok: ");
	EXPECT_TEXT(": whole");
	CU_ASSERT_EQUAL(tool("audit %s --json", store), 0);
	cJSON *sum = line_of_kind("audit");
	CU_ASSERT_EQUAL(number_in(sum, "violations"), 0);
	CU_ASSERT_EQUAL(number_in(sum, "transactions"), TRANSACTIONS);
	CU_ASSERT_EQUAL(number_in(sum, "committed"), committed);
	CU_ASSERT_EQUAL(number_in(sum, "rolled_back"), rolled_back);
	CU_ASSERT_EQUAL(number_in(sum, "open"), undecided);
	CU_ASSERT_EQUAL(number_in(sum, "published"), committed);
	cJSON_Delete(sum);
	CU_ASSERT_EQUAL(tool("stat %s --json", store), 0);
	sum = line_of_kind("stat");
	CU_ASSERT_EQUAL(number_in(sum, "transactions"), TRANSACTIONS);
	CU_ASSERT(number_in(sum, "bytes_per_transaction") > BODY);
	uint64_t in_queues = 0;
	const cJSON *queue;
	cJSON_ArrayForEach(queue, cJSON_GetObjectItem(sum, "queues"))
		in_queues += number_in(queue, "messages");
	CU_ASSERT_EQUAL(in_queues, committed);
	cJSON_Delete(sum);
	CU_ASSERT_EQUAL(tool("stat %s", store), 0);
	EXPECT_TEXT("topic/queue");
}

/* Its last records were acknowledged, but no later one says so. */
static void test_check_tells_programs_how_much_had_been_durable(void)
{
	char expected[160];

	CU_ASSERT_EQUAL(tool("check %s --json", store), 0);
	cJSON *sum = line_of_kind("check");
	uint64_t end = number_in(sum, "log_end"), durable = number_in(sum, "durable");
	cJSON_Delete(sum);
	CU_ASSERT(durable < end);
	snprintf(expected, sizeof(expected), " to %" PRIu64 ", epoch 1, durable up to %" PRIu64 " at least", end, durable);
	CU_ASSERT_EQUAL(tool("check %s", store), 0);
	EXPECT_TEXT(expected);
}

static int count_lines(const char *word)
{
	int count = 0;

	for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
		count++;
	return count;
}

static void test_dump_finds_what_is_asked_for(void)
{
	CU_ASSERT_EQUAL(tool("dump %s --txn TX1", store), 0);
	CU_ASSERT_EQUAL(count_lines(" half "), 1);
	CU_ASSERT_EQUAL(count_lines(" decision "), 1);
	CU_ASSERT_EQUAL(count_lines(" conflict "), 1);
	CU_ASSERT_EQUAL(count_lines("\n"), 3);
	EXPECT_TEXT("outcome=committed by=producer");
	EXPECT_TEXT("asked=\"rolled back\"");
	CU_ASSERT_EQUAL(tool("dump %s --key TX1 --json", store), 0);
	CU_ASSERT_EQUAL(count_lines("\n"), 3);
	cJSON *decision = line_of_kind("decision");
	uint64_t offset = number_in(decision, "offset"), half = number_in(decision, "half");
	cJSON_Delete(decision);
	CU_ASSERT_EQUAL(tool("dump %s --from %" PRIu64 " --limit 1", store, half), 0);
	CU_ASSERT_EQUAL(count_lines("transaction=TX1 "), 1);
	CU_ASSERT_EQUAL(tool("dump %s --from %" PRIu64 " --to %" PRIu64 " --kind half", store, half, offset), 0);
	CU_ASSERT(count_lines("\n") >= 1);
	/* Before that one: the decision at `offset` is not shown. */
	CU_ASSERT_EQUAL(tool("dump %s --txn TX1 --kind half,decision --to %" PRIu64, store, offset), 0);
	CU_ASSERT_EQUAL(count_lines("\n"), 1);
	CU_ASSERT_EQUAL(tool("dump %s --txn TX1 --kind half,decision --to %" PRIu64, store, offset + 1), 0);
	CU_ASSERT_EQUAL(count_lines("\n"), 2);
	CU_ASSERT_EQUAL(tool("dump %s --from %" PRIu64, store, half + 8), 2);
	EXPECT_TEXT("no record starts at log offset");
	CU_ASSERT_EQUAL(tool("dump %s --topic parcels --kind half", store), 0);
	CU_ASSERT_EQUAL(count_lines("\n"), (TRANSACTIONS + 2) / 3);
	CU_ASSERT_EQUAL(tool("dump %s --kind epoch,snapshot_mark", store), 0);
	CU_ASSERT(count_lines(" snapshot_mark ") > 0);
	/* Times: none of tomorrow, all since long ago. */
	CU_ASSERT_EQUAL(tool("dump %s --since 2099-01-01", store), 0);
	CU_ASSERT_EQUAL(count_lines("\n"), 0);
	CU_ASSERT_EQUAL(tool("dump %s --until 2001-01-01T00:00", store), 0);
	CU_ASSERT_EQUAL(count_lines("\n"), 0);
	CU_ASSERT_EQUAL(tool("dump %s --since 2001-01-01 --kind half --json", store), 0);
	CU_ASSERT_EQUAL(count_lines("\n"), TRANSACTIONS);
	/* Bodies are never shown: raw_half_send fills them with x. */
	CU_ASSERT_EQUAL(tool("dump %s", store), 0);
	CU_ASSERT(count_lines("\n") > 2 * TRANSACTIONS);
	CU_ASSERT_PTR_NULL(strstr(text, "xxxxxxxx"));
}

static void test_oplog_shows_what_is_asked_for(void)
{
	CU_ASSERT_EQUAL(tool("oplog %s --group payers --json", store), 0);
	CU_ASSERT_EQUAL(count_lines("\n"), TRANSACTIONS);
	CU_ASSERT_EQUAL(tool("oplog %s --group payees --json", store), 0);
	CU_ASSERT_EQUAL(count_lines("\n"), 0);
	CU_ASSERT_EQUAL(tool("oplog %s --txn TX1 --group payers --json", store), 0);
	CU_ASSERT_EQUAL(count_lines("\n"), 1);
	EXPECT_TEXT("\"transaction_id\":\"TX1\"");
}

/* Whoever keeps its output must hear that it was not kept; line by line, nothing is left to fail at the end. */
static void test_output_that_is_lost_is_told(void)
{
	/* stdbuf preloads a library, which AddressSanitizer would refuse. */
	static const char by_lines[] = "ASAN_OPTIONS=$ASAN_OPTIONS:verify_asan_link_order=0 stdbuf -oL";

	CU_ASSERT_EQUAL(tool("stat %s > /dev/full", store), 2);
	EXPECT_TEXT("escrow-log: write the output: ");
	CU_ASSERT_EQUAL(tool_behind(by_lines, "stat %s > /dev/full", store), 2);
	EXPECT_TEXT("escrow-log: write the output: ");
}

static void test_bad_commands_say_why(void)
{
	static const struct { const char *arguments; int code; const char *what; } cases[] = {
		{ "", 2, "no verb" }, { "frobnicate x", 2, "unknown verb frobnicate" }, { "check", 2, "STORE_DIR is missing" },
		{ "check /nonexistent", 2, "/nonexistent/commitlog" }, { "check /nonexistent --fast", 2, "unknown option --fast" },
		{ "check a b", 2, "one argument too many: b" }, { "dump x --from", 2, "a value is missing behind --from" },
		{ "dump x --from 1x", 2, "not an offset: 1x" }, { "dump x --limit 0", 2, "not a count: 0" },
		{ "dump x --since yesterday", 2, "not a time" }, { "dump x --kind halve", 2, "no such kind: halve" },
		{ "repair x", 2, "--cut-at OFFSET is missing" }, { "backup x", 2, "TARGET_DIR is missing" },
		{ "--help", 0, "usage: escrow-log COMMAND" }, { "check --help", 0, "torn tail" }, { "dump -h", 0, "--since" },
		{ "repair --help", 0, "--yes" }, { "audit --help", 0, "I4" }, { "migrate --help", 0, "opLogMysqlHost" },
		{ "migrate -p -o opLogMysqlSocket=/nonexistent", 0, "opLogMysqlSocket=/nonexistent" }, /* And no more than that. */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int code = tool("%s", cases[i].arguments);

		CU_ASSERT_EQUAL(code, cases[i].code);
		EXPECT_TEXT(cases[i].what);
		if (code != cases[i].code)
			fprintf(stderr, "escrow-log %s: exit code %d\n", cases[i].arguments, code);
	}
}

/* --- damage ------------------------------------------------------------------------------------------------------------ */

/* Path of the n-th file of a kind: segments or snapshots, in order of their names. */
static bool nth_file(const char *where, unsigned n, char path[900])
{
	char command[800], name[64];

	snprintf(command, sizeof(command), "ls %s/%s | sed -n %up", copy, where, n + 1);
	FILE *list = popen(command, "r");
	bool found = list != NULL && fgets(name, sizeof(name), list) != NULL;
	if (list != NULL)
		pclose(list);
	name[found ? strcspn(name, "\n") : 0] = '\0';
	snprintf(path, 900, "%s/%s/%s", copy, where, name);
	return found;
}

static void change_bytes(const char *path, off_t at, unsigned kind, size_t size)
{
	static uint8_t bytes[1 << 16];
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0 && fstat(fd, &st) == 0);
	if (at >= st.st_size)
		at = st.st_size - 1;
	if (size > sizeof(bytes) || (off_t)size > st.st_size - at)
		size = (size_t)(st.st_size - at) < sizeof(bytes) ? (size_t)(st.st_size - at) : sizeof(bytes);
	switch (kind) {
	case 0: /* One bit. */
		CU_ASSERT(pread(fd, bytes, 1, at) == 1);
		bytes[0] ^= 0x04;
		CU_ASSERT(pwrite(fd, bytes, 1, at) == 1);
		break;
	case 1:
	case 2:
		memset(bytes, kind == 1 ? 0 : 0xa5, size);
		CU_ASSERT(pwrite(fd, bytes, size, at) == (ssize_t)size);
		break;
	default:
		CU_ASSERT(ftruncate(fd, at) == 0);
		break;
	}
	close(fd);
}

/* Something random happens to the copy; says what. */
static void damage_copy(uint64_t *random, unsigned run, char what[1000])
{
	unsigned segments = 0, kind = (unsigned)(check_random(random) % 4);
	char path[900];

	while (nth_file("commitlog", segments, path))
		segments++;
	if (run % 8 == 6) { /* A snapshot, or both. */
		for (unsigned i = 0; i < 1 + check_random(random) % 2 && nth_file("snapshots", 1 - i, path); i++)
			change_bytes(path, (off_t)(check_random(random) % 2000), kind % 3, 10);
		snprintf(what, 1000, "snapshots, kind %u", kind);
		return;
	}
	CU_ASSERT_FATAL(nth_file("commitlog", (unsigned)(check_random(random) % segments), path));
	if (run % 8 == 7) {
		snprintf(what, 1000, "%s removed", path);
		CU_ASSERT(unlink(path) == 0);
		return;
	}
	off_t at = (off_t)(check_random(random) % (1 << 20));
	if (run % 8 == 5)
		at %= 4096; /* In the header. */
	change_bytes(path, at, kind, 1 + check_random(random) % 5000);
	snprintf(what, 1000, "%s at %ld, kind %u", path, (long)at, kind);
}

/* The offset that check names for a cut is one that repair takes; the result opens, and is sound. */
static void try_repair(uint64_t at, unsigned *repaired)
{
	char why[1024];

	int code = tool("repair %s --cut-at %" PRIu64, copy, at);
	if (code == 2) /* Bad headers, no snapshot below, ...: then it says so. */
		return;
	CU_ASSERT_EQUAL(code, 0);
	EXPECT_TEXT("Nothing was changed");
	CU_ASSERT_EQUAL(tool("check %s", copy), 1); /* Indeed. */
	code = tool("repair %s --cut-at %" PRIu64 " --yes", copy, at);
	CU_ASSERT(code == 0 || strstr(text, "a segment's header is bad") != NULL);
	if (code != 0)
		return;
	EXPECT_TEXT("the log ends at");
	++*repaired;
	CU_ASSERT_EQUAL(tool("check %s", copy), 0);
	CU_ASSERT(broker_starts(why));
	CU_ASSERT_EQUAL(tool("audit %s", copy), 0);
}

static void test_what_check_says_is_what_a_start_does(void)
{
	uint64_t random = check_seed(7);
	unsigned refused = 0, cut = 0, clean = 0, repaired = 0;

	for (unsigned run = 0; run < DAMAGES; run++) {
		char what[1000], why[1024] = "";

		copy_store();
		if (check_random(&random) % 2 == 0) /* A start then reads all of the log. */
			shell("rm -rf %s/snapshots", copy);
		damage_copy(&random, run, what);
		int code = tool("check %s --json", copy);
		cJSON *sum = line_of_kind("check");
		CU_ASSERT_FATAL(sum != NULL);
		const char *start = cJSON_GetStringValue(cJSON_GetObjectItem(sum, "start"));
		bool refuses = strcmp(start, "refuses") == 0;
		uint64_t first_bad = number_in(sum, "first_bad");
		CU_ASSERT(code == 0 || code == 1);
		CU_ASSERT_EQUAL(code == 0, cJSON_IsTrue(cJSON_GetObjectItem(sum, "ok")));
		refused += refuses;
		cut += strcmp(start, "cuts") == 0;
		clean += strcmp(start, "clean") == 0;
		bool starts = broker_starts(why);
		if (starts == refuses && strcmp(start, "cuts damage") != 0) {
			fprintf(stderr, "%s: check says \"%s\", but the broker %s: %s\n", what, start, starts ? "starts" : "does not start", why);
			CU_FAIL("check was wrong");
		}
		cJSON_Delete(sum);
		if (starts && code == 0)
			CU_ASSERT_EQUAL(tool("audit %s", copy), 0);
		if (refuses && first_bad != 0)
			try_repair(first_bad, &repaired);
	}
	printf(" [%u refused, %u cut, %u clean, %u repaired]", refused, cut, clean, repaired);
	CU_ASSERT(refused > 0 && repaired > 0 && cut + clean > 0);
}

/* A place in the second of several segments: where it is in its file, and which files go with what is behind it. */
static void test_a_damaged_place_is_told_by_file(void)
{
	enum { PLACE = 500000 };
	char second[900], third[900], expected[200];

	copy_store();
	shell("rm -rf %s/snapshots", copy);
	CU_ASSERT_TRUE_FATAL(nth_file("commitlog", 1, second) && nth_file("commitlog", 2, third));
	change_bytes(second, PLACE, 0, 1);
	CU_ASSERT_EQUAL(tool("check %s --json", copy), 1);
	cJSON *damage = line_of_kind("damage");
	const char *file = cJSON_GetStringValue(cJSON_GetObjectItem(damage, "file"));
	uint64_t byte = number_in(damage, "byte"), bytes = number_in(damage, "bytes"), offset = number_in(damage, "offset");
	CU_ASSERT(file != NULL && strcmp(file, second + strlen(copy) + 1) == 0);
	CU_ASSERT(byte <= PLACE && PLACE < byte + bytes);
	CU_ASSERT_EQUAL(offset, strtoull(strrchr(second, '/') + 1, NULL, 10) + byte);
	cJSON_Delete(damage);
	CU_ASSERT_EQUAL(tool("repair %s --cut-at %" PRIu64, copy, offset), 0);
	snprintf(expected, sizeof(expected), "segment files from %s on are removed", strrchr(third, '/') + 1);
	EXPECT_TEXT(expected);
}

/* --- backups -------------------------------------------------------------------------------------------------------------- */

/* A start passes it over, but somebody should hear of it. */
static void test_a_damaged_snapshot_is_something_wrong(void)
{
	char path[900], why[1024];

	copy_store();
	CU_ASSERT_EQUAL(tool("check %s", copy), 0);
	CU_ASSERT_TRUE_FATAL(nth_file("snapshots", 0, path));
	change_bytes(path, 70, 0, 1);
	CU_ASSERT_EQUAL(tool("check %s", copy), 1);
	EXPECT_TEXT("BAD");
	EXPECT_TEXT("A start passes it over");
	CU_ASSERT(broker_starts(why));
}

/* The newest snapshot once more, with right checksums, but with a half index page that no file has. */
static void misname_half_page(const char *path)
{
	struct snapshot_reader *reader = NULL;
	struct snapshot_chunk chunk;
	struct buffer out;
	uint64_t from = strtoull(strrchr(path, '/') + 1, NULL, 10);
	unsigned changed = 0;

	buffer_init(&out, 0);
	CU_ASSERT_EQUAL_FATAL(snapshot_open(vfs_posix(), copy, from, &reader, NULL), ST_OK);
	snapshot_put_header(&out, snapshot_header(reader));
	while (snapshot_next(reader, &chunk, NULL) == ST_OK) {
		size_t begun = snapshot_begin_chunk(&out, chunk.section), at = buffer_size(&out);

		buffer_append_span(&out, chunk.payload);
		if (chunk.section == SECTION_HALVES && chunk.payload.size > 17 && changed++ == 0)
			put_u32(out.data + out.start + at + 13, 0x00ffffff); /* Behind last, group, count. */
		snapshot_end_chunk(&out, begun, chunk.item_count);
	}
	snapshot_put_end(&out, snapshot_end(reader));
	snapshot_close(reader);
	CU_ASSERT_EQUAL_FATAL(changed, 1);
	FILE *file = fopen(path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	CU_ASSERT_EQUAL(fwrite(buffer_span(&out).data, 1, buffer_size(&out), file), buffer_size(&out));
	CU_ASSERT_EQUAL(fclose(file), 0);
	buffer_deinit(&out);
}

/* All else is told, too. */
static void test_a_snapshot_that_contradicts_itself_is_refused(void)
{
	char path[900], newest[900] = "", why[1024];

	copy_store();
	for (unsigned i = 0; nth_file("snapshots", i, path); i++)
		memcpy(newest, path, sizeof(path));
	CU_ASSERT_FATAL(newest[0] != '\0');
	misname_half_page(newest);
	CU_ASSERT_EQUAL(tool("check %s", copy), 1);
	EXPECT_TEXT("segment     0");
	EXPECT_TEXT("A broker refuses to start: the newest snapshot contradicts itself: an index page lies beyond the index file");
	CU_ASSERT_EQUAL(tool("check %s --json", copy), 1);
	cJSON_Delete(line_of_kind("segment"));
	EXPECT_TEXT("contradicts itself");
	CU_ASSERT_FALSE(broker_starts(why));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "an index page lies beyond the index file"));
}

/* A broker meets it only when somebody reads the entry. */
static void test_a_damaged_index_page_is_something_wrong(void)
{
	char path[900], why[1024];

	copy_store();
	snprintf(path, sizeof(path), "%s/index.pages", copy);
	change_bytes(path, 20, 0, 1);
	CU_ASSERT_EQUAL(tool("check %s", copy), 1);
	EXPECT_TEXT("index.pages byte 0: entry 0 of ");
	EXPECT_TEXT("its checksum is wrong");
	EXPECT_TEXT("remove index.pages and start");
	EXPECT_TEXT("1 damaged index page");
	EXPECT_TEXT("A broker starts");
	CU_ASSERT_EQUAL(tool("check %s --json", copy), 1);
	cJSON *damage = line_of_kind("index_damage");
	CU_ASSERT_EQUAL(number_in(damage, "entries"), 1);
	cJSON_Delete(damage);
	CU_ASSERT(broker_starts(why));
	CU_ASSERT_EQUAL(tool("check %s", copy), 1);
	shell("rm %s", path);
	CU_ASSERT(broker_starts(why));
	CU_ASSERT_EQUAL(tool("check %s", copy), 0);
}

/* The file says that it is of this version, and its checksum is right. */
static void set_version(const char *path, size_t header_size, uint32_t version)
{
	uint8_t header[4096];
	int fd = open(path, O_RDWR | O_CLOEXEC);

	CU_ASSERT_FATAL(fd >= 0 && pread(fd, header, header_size, 0) == (ssize_t)header_size);
	put_u32(header + 8, version);
	put_u32(header + 12, 0);
	put_u32(header + 12, crc32c(0, header, header_size));
	CU_ASSERT(pwrite(fd, header, header_size, 0) == (ssize_t)header_size);
	close(fd);
}

/* Refused, and not called damage. */
static void expect_other_version(const char *path, size_t header_size, uint32_t version, const char *version_text)
{
	char why[1024];

	copy_store();
	set_version(path, header_size, version);
	CU_ASSERT_EQUAL(tool("check %s", copy), 1);
	EXPECT_TEXT(version_text);
	EXPECT_TEXT("OTHER VERSION");
	EXPECT_TEXT("0 damaged places in the log, 0 damaged snapshots");
	EXPECT_TEXT("1 file of another format version");
	EXPECT_TEXT("A broker refuses to start");
	CU_ASSERT_PTR_NULL(strstr(text, "DAMAGE"));
	CU_ASSERT_PTR_NULL(strstr(text, "BAD"));
	CU_ASSERT_EQUAL(tool("check %s --json", copy), 1);
	CU_ASSERT_PTR_NULL(line_of_kind("damage"));
	cJSON *sum = line_of_kind("check");
	CU_ASSERT_EQUAL(number_in(sum, "other_version"), 1);
	cJSON_Delete(sum);
	CU_ASSERT_FALSE(broker_starts(why));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, version_text));
}

static void test_another_version_is_no_damage(void)
{
	char path[900];

	copy_store();
	CU_ASSERT_TRUE_FATAL(nth_file("commitlog", 0, path));
	expect_other_version(path, 4096, 1, "format version 1, this program reads 2: use the program that wrote it");
	expect_other_version(path, 4096, 3, "format version 3, this program reads 2: use a newer program");
	CU_ASSERT_TRUE_FATAL(nth_file("snapshots", 1, path));
	expect_other_version(path, 64, 2, "format version 2, this program reads 1: use a newer program");
	expect_other_version(path, 64, 0, "unknown format version 0, this program reads 1");
}

static void test_a_backup_is_a_store(void)
{
	char backup[600], why[1024];
	struct program broker = start_broker(store);

	snprintf(backup, sizeof(backup), "%s/backup", dir);
	CU_ASSERT_EQUAL(tool("backup %s %s", store, backup), 0);
	EXPECT_TEXT("copied to");
	CU_ASSERT_EQUAL(tool("backup %s %s", store, backup), 2);
	EXPECT_TEXT("not empty");
	program_stop(&broker, SIGKILL, NULL);
	CU_ASSERT_EQUAL(tool("audit %s --json", backup), 0);
	cJSON *sum = line_of_kind("audit");
	CU_ASSERT_EQUAL(number_in(sum, "transactions"), TRANSACTIONS);
	cJSON_Delete(sum);
	shell("rm -rf %s", copy);
	CU_ASSERT_EQUAL(tool("restore %s %s/", backup, copy), 0);
	shell("test -d %s && test ! -e %s.unfinished", copy, copy);
	shell("ln -s nowhere %s/link", dir);
	CU_ASSERT_EQUAL(tool("restore %s %s/link", backup, dir), 2);
	EXPECT_TEXT("/link is a symbolic link");
	shell("test ! -e %s/link.unfinished", dir);
	shell("rm -rf %s && mkdir %s", copy, copy);
	CU_ASSERT_EQUAL(tool("restore %s %s", backup, copy), 0);
	/* One that a broker runs on is no backup any more. */
	broker = start_broker(backup);
	shell("rm -rf %s", copy);
	CU_ASSERT_EQUAL(tool("restore %s %s", backup, copy), 2);
	EXPECT_TEXT("is in use by process");
	program_stop(&broker, SIGKILL, NULL);
	CU_ASSERT_EQUAL(tool("restore %s %s", backup, copy), 0);
	CU_ASSERT(broker_starts(why));
	CU_ASSERT_EQUAL(tool("check %s", copy), 0);
	/* A damaged backup is refused before anything is copied. */
	shell("printf Z | dd of=%s/commitlog/00000000000000000000 bs=1 seek=9000 conv=notrunc 2>/dev/null", backup);
	shell("rm -rf %s", copy);
	CU_ASSERT_EQUAL(tool("restore %s %s", backup, copy), 1);
	EXPECT_TEXT("nothing was copied");
}

/* What was acknowledged behind it would be missing in a copy that opens. */
static void test_a_damaged_store_is_not_backed_up(void)
{
	copy_store();
	shell("rm -rf %s/snapshots", copy);
	shell("printf Z | dd of=%s/commitlog/00000000000000000000 bs=1 seek=9000 conv=notrunc 2>/dev/null", copy);
	CU_ASSERT_EQUAL(tool("backup %s %s/none", copy, dir), 1);
	EXPECT_TEXT("commitlog/00000000000000000000");
	EXPECT_TEXT("this is damage, not a torn tail");
	CU_ASSERT_EQUAL(tool("check %s/none", dir), 1);
	EXPECT_TEXT("is an unfinished copy");
}

/* Damage below the durable mark is not called a torn write as well. */
static void test_damage_is_told_once(void)
{
	copy_store();
	shell("printf Z | dd of=%s/commitlog/00000000000000000000 bs=1 seek=9000 conv=notrunc 2>/dev/null", copy);
	CU_ASSERT_EQUAL(tool("audit %s", copy), 1);
	EXPECT_TEXT("this is damage, not a torn tail");
	CU_ASSERT_PTR_NULL(strstr(text, "in a torn write"));
}

/* To a program: one object, and nothing but it. */
static void expect_refusal_json(const char *why)
{
	CU_ASSERT_EQUAL(tool("check %s --json", copy), 1);
	CU_ASSERT_EQUAL(count_lines("\n"), 1);
	cJSON *sum = line_of_kind("check");
	CU_ASSERT_TRUE(cJSON_IsFalse(cJSON_GetObjectItem(sum, "ok")));
	const char *start = cJSON_GetStringValue(cJSON_GetObjectItem(sum, "start"));
	CU_ASSERT_TRUE(start != NULL && strcmp(start, "refuses") == 0);
	const char *told = cJSON_GetStringValue(cJSON_GetObjectItem(sum, "why"));
	CU_ASSERT_TRUE(told != NULL && strstr(told, why) != NULL);
	cJSON_Delete(sum);
}

/* The tool is killed: what it leaves is refused by all that would take it for a store, and can still be looked at. */
static void test_an_unfinished_copy_is_refused(void)
{
	char why[1024];

	copy_store();
	shell("mkdir %s/half && cp -r %s/commitlog %s/half && echo x > %s/half/unfinished", dir, copy, dir, dir);
	shell("rm -rf %s && mv %s/half %s", copy, dir, copy);
	CU_ASSERT_EQUAL(tool("check %s", copy), 1);
	EXPECT_TEXT("is an unfinished copy");
	expect_refusal_json("is an unfinished copy");
	CU_ASSERT_EQUAL(tool("audit %s", copy), 1);
	EXPECT_TEXT("remove the directory and run it again");
	CU_ASSERT_EQUAL(tool("repair %s --cut-at 4096", copy), 1);
	EXPECT_TEXT("is an unfinished copy");
	CU_ASSERT_EQUAL(tool("repair %s --cut-at 4096 --yes", copy), 1);
	CU_ASSERT_EQUAL(tool("backup %s %s/again", copy, dir), 1);
	EXPECT_TEXT("is an unfinished copy");
	CU_ASSERT_EQUAL(tool("restore %s %s/again", copy, dir), 1);
	EXPECT_TEXT("nothing was copied");
	CU_ASSERT_EQUAL(tool("restore %s %s", store, copy), 2);
	EXPECT_TEXT("is an unfinished copy");
	CU_ASSERT_FALSE(broker_starts(why));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "is an unfinished copy"));
	CU_ASSERT_EQUAL(tool("stat %s", copy), 0);
	EXPECT_TEXT("is an unfinished copy");
	CU_ASSERT_EQUAL(tool("dump %s --limit 1", copy), 0);
	EXPECT_TEXT("is an unfinished copy");
	EXPECT_TEXT("epoch");
	shell("rm -rf %s", copy);
}

/* Its file system is not mounted. */
static void test_a_lost_log_is_not_made_anew(void)
{
	char why[1024], path[900];

	copy_store();
	shell("rm -rf %s/commitlog && mkdir %s/commitlog", copy, copy);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_FALSE(broker_starts(why));
		CU_ASSERT_PTR_NOT_NULL(strstr(why, "has lost its log"));
		CU_ASSERT_EQUAL(tool("check %s", copy), 1);
		EXPECT_TEXT("has lost its log");
		expect_refusal_json("has lost its log");
	}
	CU_ASSERT_FALSE(nth_file("commitlog", 0, path));
}

/* Nobody waits for whoever is at the other end of it. */
static void expect_fifo_refused(const char *name)
{
	char why[1024];

	copy_store();
	shell("cd %s && rm %s && mkfifo %s", copy, name, name);
	CU_ASSERT_EQUAL(tool("check %s", copy), 2);
	EXPECT_TEXT(name);
	EXPECT_TEXT("is a FIFO, not a regular file");
	CU_ASSERT_FALSE(broker_starts(why));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "is a FIFO, not a regular file"));
}

static void test_a_fifo_is_no_file_of_a_store(void)
{
	char path[900];

	copy_store();
	expect_fifo_refused("commitlog/00000000000000000000");
	CU_ASSERT_TRUE_FATAL(nth_file("snapshots", 1, path));
	expect_fifo_refused(path + strlen(copy) + 1);
	expect_fifo_refused("index.pages");
}

/* --- a log that lies ---------------------------------------------------------------------------------------------------- */

static uint64_t put(struct commitlog *log, enum log_kind kind, const uint8_t *payload, size_t size)
{
	uint64_t offset = 0;
	uint8_t *p = commitlog_begin(log, kind, size, &offset);

	CU_ASSERT_FATAL(p != NULL);
	memcpy(p, payload, size);
	commitlog_commit(log);
	return offset;
}

static void test_audit_finds_a_second_commit(void)
{
	static const uint8_t message[100] = { 0 };
	struct commitlog_config config = { .root = copy, .segment_size = 1 << 20, .ring_size = 1 << 20 };
	struct commitlog *log = NULL;
	struct errinfo err;
	uint8_t payload[512];

	shell("rm -rf %s", copy);
	CU_ASSERT_EQUAL_FATAL(commitlog_open(&config, vfs_posix(), &log, &err), ST_OK);
	struct record_topic topic = { .name = SPAN_LITERAL("orders"), .read_queue_nums = 1, .write_queue_nums = 1, .perm = 6 };
	record_topic_encode(&topic, payload);
	put(log, LOG_TOPIC, payload, record_topic_size(&topic));
	struct record_half half = { .store_time_ms = 1764072000000, .immunity_ms = -1, .topic = topic.name, .group = SPAN_LITERAL("g"),
				    .transaction_id = SPAN_LITERAL("T"), .unique_key = SPAN_LITERAL("T"),
				    .global = { .part_count = 1 }, .message = { message, sizeof(message) } };
	record_half_encode(&half, payload);
	size_t size = record_half_size(&half);
	uint64_t at = put(log, LOG_HALF, payload, size);
	struct record_decision r = { .half_offset = at, .body_offset = at, .half_store_time_ms = half.store_time_ms,
				     .message_size = sizeof(message), .message_delta = (uint16_t)(LOG_ENVELOPE_SIZE + size - sizeof(message)),
				     .outcome = OUTCOME_COMMIT, .who = WHO_PRODUCER, .when_ms = half.store_time_ms + 5,
				     .topic = topic.name, .group = half.group, .transaction_id = half.transaction_id,
				     .global = { .part_count = 1 } };
	for (int i = 0; i < 2; i++, r.queue_offset++) {
		record_decision_encode(&r, payload);
		put(log, LOG_DECISION, payload, record_decision_size(&r));
	}
	CU_ASSERT_EQUAL(commitlog_close(log, true, &err), ST_OK);
	CU_ASSERT_EQUAL(tool("check %s", copy), 0); /* Every byte is as it was written. */
	CU_ASSERT_EQUAL(tool("audit %s", copy), 1);
	EXPECT_TEXT("I2 violated");
	EXPECT_TEXT("which is committed already");
	EXPECT_TEXT("1 violation\n");
	CU_ASSERT_EQUAL(tool("audit %s --json", copy), 1);
	cJSON *violation = line_of_kind("violation");
	CU_ASSERT_STRING_EQUAL(cJSON_GetStringValue(cJSON_GetObjectItem(violation, "invariant")), "I2");
	cJSON_Delete(violation);
}

/* A file of `copy` with this in it. */
static void write_file(const char *name, struct span content)
{
	char path[700];

	snprintf(path, sizeof(path), "%s/%s", copy, name);
	FILE *file = fopen(path, "we");
	CU_ASSERT_FATAL(file != NULL);
	CU_ASSERT(content.size == 0 || fwrite(content.data, 1, content.size, file) == content.size);
	CU_ASSERT_EQUAL(fclose(file), 0);
}

/* A sound record whose payload nobody can read, in front of what a start replays. */
static void test_check_finds_what_cannot_be_read(void)
{
	static const uint8_t nonsense[20] = { 0xff, 0xff, 0xff };
	struct commitlog_config config = { .root = copy, .segment_size = 1 << 20, .ring_size = 1 << 20 };
	struct snapshot_header header = { .generation = 1 };
	struct commitlog *log = NULL;
	struct errinfo err;
	struct buffer snapshot;
	char name[64];

	shell("rm -rf %s", copy);
	CU_ASSERT_EQUAL_FATAL(commitlog_open(&config, vfs_posix(), &log, &err), ST_OK);
	put(log, LOG_DECISION, nonsense, sizeof(nonsense));
	header.from = commitlog_appended(log);
	memcpy(header.log_id, commitlog_id(log), LOG_ID_SIZE);
	CU_ASSERT_EQUAL(commitlog_close(log, true, &err), ST_OK);
	shell("mkdir %s/snapshots", copy);
	buffer_init(&snapshot, 0);
	snapshot_put_header(&snapshot, &header);
	snapshot_put_end(&snapshot, &(struct snapshot_end){ .durable = header.from });
	snprintf(name, sizeof(name), "snapshots/%020" PRIu64, header.from);
	write_file(name, buffer_span(&snapshot));
	buffer_deinit(&snapshot);
	write_file("index.pages", SPAN_NONE);
	CU_ASSERT_EQUAL(tool("check %s", copy), 1);
	EXPECT_TEXT("UNREADABLE  decision record");
	EXPECT_TEXT("1 unreadable records");
	EXPECT_TEXT("A broker starts");
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_killed_brokers_store_is_sound),
		CHECK_TEST(test_check_tells_programs_how_much_had_been_durable),
		CHECK_TEST(test_dump_finds_what_is_asked_for),
		CHECK_TEST(test_oplog_shows_what_is_asked_for),
		CHECK_TEST(test_output_that_is_lost_is_told),
		CHECK_TEST(test_bad_commands_say_why),
		CHECK_TEST(test_what_check_says_is_what_a_start_does),
		CHECK_TEST(test_a_damaged_place_is_told_by_file),
		CHECK_TEST(test_a_damaged_snapshot_is_something_wrong),
		CHECK_TEST(test_a_snapshot_that_contradicts_itself_is_refused),
		CHECK_TEST(test_a_damaged_index_page_is_something_wrong),
		CHECK_TEST(test_another_version_is_no_damage),
		CHECK_TEST(test_a_backup_is_a_store),
		CHECK_TEST(test_a_damaged_store_is_not_backed_up),
		CHECK_TEST(test_damage_is_told_once),
		CHECK_TEST(test_an_unfinished_copy_is_refused),
		CHECK_TEST(test_a_lost_log_is_not_made_anew),
		CHECK_TEST(test_a_fifo_is_no_file_of_a_store),
		CHECK_TEST(test_audit_finds_a_second_commit),
		CHECK_TEST(test_check_finds_what_cannot_be_read),
	};

	log_set_level(LOGLEVEL_ERROR);
	dir = check_make_dir();
	snprintf(store, sizeof(store), "%s/store", dir);
	snprintf(copy, sizeof(copy), "%s/copy", dir);
	snprintf(log_path, sizeof(log_path), "%s/broker.log", dir);
	int failed = check_main("escrow_log", tests, sizeof(tests) / sizeof(tests[0]));
	check_remove_dir(dir);
	return failed;
}
