/* The real broker on a disk that hangs, fails or is full (tests/support/diskshim.h, and a small tmpfs).
 *
 * Nothing is acknowledged before its sync has returned. After the first failure of the log's file nothing is acknowledged
 * any more and the process ends with code 1 and one line that says why; what was acknowledged before is there at the next
 * start. On a full disk the broker stays, and starts. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/wire/headers.h"
#include "tests/support/check.h"
#include "tests/support/diskshim.h"
#include "tests/support/rawclient.h"

enum { PATIENCE_MS = 10000, SEEN_MAX = 4096 };

static char *dir;
static char store[512], log_path[512], shim_path[512];
static struct diskshim *shim;
static const char *snapshots = "snapshotIntervalBytes=268435456";

/* --- a broker behind the shim --------------------------------------------------------------------------------- */

static void fresh(void)
{
	dir = check_make_dir();
	snprintf(store, sizeof(store), "%s/store", dir);
	snprintf(log_path, sizeof(log_path), "%s/broker.log", dir);
	snprintf(shim_path, sizeof(shim_path), "%s/shim", dir);
	shim = diskshim_open(shim_path);
}

static void done(void)
{
	diskshim_close(shim);
	check_remove_dir(dir);
}

static struct program start_plain_broker(void)
{
	char store_option[600];

	snprintf(store_option, sizeof(store_option), "storePathRootDir=%s", store);
	const char *argv[] = { "escrow-broker", "-o", "listenPort=0", "-o", store_option, "-o", "brokerName=disk",
			       "-o", "mappedFileSizeCommitLog=8388608", "-o", "tailRingSize=4194304", "-o", "maxMessageSize=65536", "-o",
			       "flushConsumerOffsetInterval=1000", "-o", snapshots, NULL };
	return program_start(argv, log_path);
}

static struct program start_broker(void)
{
	diskshim_enter(shim_path);
	struct program broker = start_plain_broker();
	diskshim_leave();
	return broker;
}

/* --- a disk that hangs ---------------------------------------------------------------------------------------- */

static void post_offset(struct raw *raw, int64_t offset)
{
	struct consumer_offset_header header = { .consumer_group = SPAN_LITERAL("readers"), .topic = SPAN_LITERAL("orders"),
						 .commit_offset = offset };

	update_consumer_offset_encode(raw_begin(raw, REQ_UPDATE_CONSUMER_OFFSET, false), &header);
	CU_ASSERT_TRUE(raw_send(raw, NULL));
}

/* One of each: none may be answered while the disk hangs, in this order afterwards. */
static void post_everything(struct raw *raw, int round, const struct raw_half *commit, const struct raw_half *rollback)
{
	char key[16];

	snprintf(key, sizeof(key), "R%d", round);
	int syncs = shim->syncs;
	/* The first goes with the sync that hangs, the others wait for the next one. */
	CU_ASSERT_TRUE(raw_half_post(raw, "g", "orders", key, 100));
	CU_ASSERT_TRUE(diskshim_wait(&shim->syncs, syncs + 1));
	CU_ASSERT_TRUE(raw_half_post(raw, "g", "orders", key, 100)); /* A resend. */
	post_offset(raw, round);
	CU_ASSERT_TRUE(raw_end_post(raw, "g", commit, 8));
	CU_ASSERT_TRUE(raw_end_post(raw, "g", commit, 8));
	CU_ASSERT_TRUE(raw_end_post(raw, "g", rollback, 12));
	CU_ASSERT_TRUE(raw_end_post(raw, "g", commit, 12)); /* The opposite: refused, but not before the decision is safe. */
}

static void test_nothing_is_acknowledged_before_its_sync(void)
{
	static const int32_t codes[] = { RESP_SUCCESS, RESP_SUCCESS, RESP_SUCCESS, RESP_SUCCESS, RESP_SUCCESS, RESP_SUCCESS,
					 RESP_ILLEGAL_OPERATION };

	fresh();
	struct program broker = start_broker();
	struct raw *raw = raw_must_connect(broker.port), *reader = raw_must_connect(broker.port);
	for (int round = 0; round < 5; round++) {
		struct raw_half commit, rollback;
		char key[16];

		snprintf(key, sizeof(key), "C%d", round);
		CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", key, 100, &commit), RESP_SUCCESS);
		snprintf(key, sizeof(key), "B%d", round);
		CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", key, 100, &rollback), RESP_SUCCESS);
		CU_ASSERT_EQUAL(raw_read_queue(reader, "readers", "orders", 0, NULL, NULL), round);
		shim->mode = DISKSHIM_HOLD;
		post_everything(raw, round, &commit, &rollback);
		CU_ASSERT_PTR_NULL(raw_receive(raw, 60));
		CU_ASSERT_EQUAL(raw_read_queue(reader, "readers", "orders", 0, NULL, NULL), round);
		shim->mode = DISKSHIM_PASS;
		for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
			const struct command *answer = raw_receive(raw, PATIENCE_MS);

			CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
			CU_ASSERT_EQUAL(answer->code, codes[i]);
		}
		CU_ASSERT_EQUAL(raw_read_queue(reader, "readers", "orders", 0, NULL, NULL), round + 1);
	}
	CU_ASSERT_EQUAL(raw_query_offset(raw, "readers", "orders"), 4);
	raw_close(raw);
	raw_close(reader);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	done();
}

/* --- a disk that fails ---------------------------------------------------------------------------------------- */

static int count_lines(const char *part)
{
	size_t size;
	char *text = (char *)check_read_file(log_path, &size);
	int count = 0;

	text[size] = '\0'; /* check_read_file keeps room for more. */
	for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
		count++;
	free(text);
	return count;
}

static int wait_for_end(struct program *broker)
{
	int status = 0;

	for (int64_t until = raw_now_ms() + PATIENCE_MS; waitpid(broker->pid, &status, WNOHANG) == 0;) {
		if (raw_now_ms() > until)
			return -1;
		usleep(1000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void mark_seen(void *context, struct span key)
{
	uint8_t *seen = context;
	int64_t number;

	key.data++;
	key.size--;
	if (span_to_i64(key, &number) == ST_OK && number >= 0 && number < SEEN_MAX)
		seen[number]++;
}

/* Orders until the broker goes; returns how many commits were acknowledged. Order i is committed as i-th. */
static int orders_until_it_ends(struct raw *raw)
{
	struct raw_half half;
	char key[16];

	for (int i = 0; i < SEEN_MAX; i++) {
		snprintf(key, sizeof(key), "F%d", i);
		if (raw_half_send(raw, "g", "orders", key, 2000, &half) != RESP_SUCCESS ||
		    raw_end(raw, "g", key, &half, 8) != RESP_SUCCESS)
			return i;
	}
	return SEEN_MAX;
}

/* The k-th call from now on fails, for each kind of failure: whatever the broker was about to do, it stops. */
static void check_failure(enum diskshim_mode mode, int countdown)
{
	static uint8_t seen[SEEN_MAX];
	struct raw_half half;

	fresh();
	struct program broker = start_broker();
	struct raw *raw = raw_must_connect(broker.port);
	CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", "first", 100, &half), RESP_SUCCESS);
	shim->countdown = countdown;
	shim->mode = mode;
	int acknowledged = orders_until_it_ends(raw);
	CU_ASSERT_TRUE(acknowledged < SEEN_MAX);
	CU_ASSERT_EQUAL(wait_for_end(&broker), 1);
	CU_ASSERT_EQUAL(count_lines("write failed, stopping"), 1);
	CU_ASSERT_EQUAL(count_lines("escrow-broker: "), 1);
	CU_ASSERT_PTR_NULL(raw_receive(raw, 100)); /* No late word of success. */
	raw_close(raw);
	broker = start_plain_broker();
	raw = raw_must_connect(broker.port);
	memset(seen, 0, sizeof(seen));
	CU_ASSERT_TRUE(raw_read_queue(raw, "readers", "orders", 0, mark_seen, seen) >= acknowledged);
	for (int i = 0; i < acknowledged; i++)
		CU_ASSERT_EQUAL(seen[i], 1);
	raw_close(raw);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	done();
}

static void test_a_failed_sync_ends_the_broker(void)
{
	for (int countdown = 1; countdown <= 40; countdown += countdown < 4 ? 1 : 12)
		check_failure(DISKSHIM_FAIL_SYNC, countdown);
}

static void test_a_failed_write_ends_the_broker(void)
{
	for (int countdown = 1; countdown <= 40; countdown += countdown < 4 ? 1 : 12)
		check_failure(DISKSHIM_FAIL_WRITE, countdown);
}

/* --- a disk that is full -------------------------------------------------------------------------------------- */

static bool tmpfs_mounted(const char *path)
{
	char label[] = "no tmpfs for the full disk, skipped (needs root)";

	if (mkdir(path, 0755) == 0 && mount("tmpfs", path, "tmpfs", 0, "size=40m") == 0)
		return true;
	printf(" [%s]", label);
	return false;
}

/* A file that takes what is left; gone again, there is space. */
static void fill_disk(const char *path, bool fill)
{
	static char block[64 * 1024];
	int fd = fill ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644) : -1;

	if (!fill) {
		CU_ASSERT_EQUAL(unlink(path), 0);
		return;
	}
	while (fd >= 0 && write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

/* It ends without warning and is started again, still without space. */
static void restart_on_full_disk(struct program *broker, struct raw **raw, const char *ballast)
{
	raw_close(*raw);
	(void)program_stop(broker, SIGKILL, NULL);
	fill_disk(ballast, true);
	*broker = start_plain_broker();
	*raw = raw_must_connect(broker->port);
}

/* How many halves it took before. */
static int send_until_refused(struct raw *raw, const char *prefix)
{
	struct raw_half half;
	char key[16];
	int sent = 0, code = RESP_SUCCESS;

	for (; code == RESP_SUCCESS && sent < 100000; sent++) {
		snprintf(key, sizeof(key), "%s%d", prefix, sent);
		code = raw_half_send(raw, "g", "orders", key, 20000, &half);
		CU_ASSERT_FATAL(code >= 0); /* An answer in any case. */
	}
	CU_ASSERT_NOT_EQUAL(code, RESP_SUCCESS);
	return sent - 1;
}

static void test_a_full_disk_stops_nobody(void)
{
	struct raw_half half, open_half, late_half;
	char mounted[400], ballast[420];

	fresh();
	snprintf(mounted, sizeof(mounted), "%.300s/small", dir);
	if (!tmpfs_mounted(mounted)) {
		done();
		return;
	}
	snprintf(store, sizeof(store), "%s/store", mounted);
	snprintf(ballast, sizeof(ballast), "%s/ballast", mounted);
	struct program broker = start_plain_broker();
	struct raw *raw = raw_must_connect(broker.port);
	CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", "open", 100, &open_half), RESP_SUCCESS);
	CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", "late", 100, &late_half), RESP_SUCCESS);
	fill_disk(ballast, true);
	int sent = send_until_refused(raw, "S");
	CU_ASSERT_TRUE(program_alive(&broker));
	/* Decisions and pulls go on. */
	CU_ASSERT_EQUAL(raw_end(raw, "g", "open", &open_half, 8), RESP_SUCCESS);
	CU_ASSERT_EQUAL(raw_read_queue(raw, "readers", "orders", 0, NULL, NULL), 1);
	CU_ASSERT_TRUE(raw_heartbeat(raw, "p@1", "g"));
	restart_on_full_disk(&broker, &raw, ballast);
	CU_ASSERT_EQUAL(raw_end(raw, "g", "late", &late_half, 8), RESP_SUCCESS);
	CU_ASSERT_EQUAL(raw_read_queue(raw, "readers", "orders", 0, NULL, NULL), 2);
	(void)send_until_refused(raw, "M"); /* What is prepared and not set aside may have been left. */
	fill_disk(ballast, false);
	int64_t since = raw_now_ms();
	while (raw_half_send(raw, "g", "orders", "after", 20000, &half) != RESP_SUCCESS && raw_now_ms() < since + PATIENCE_MS)
		usleep(50000);
	printf(" [%d sent before the disk was full, again after %d ms]", sent, (int)(raw_now_ms() - since));
	CU_ASSERT_EQUAL(raw_end(raw, "g", "after", &half, 8), RESP_SUCCESS);
	CU_ASSERT_EQUAL(raw_read_queue(raw, "readers", "orders", 0, NULL, NULL), 3);
	raw_close(raw);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	CU_ASSERT_EQUAL(umount(mounted), 0);
	done();
}

/* --- damage ----------------------------------------------------------------------------------------------------- */

/* A client that meets it is told, and so is the operator: its error may be nobody's business there. */
static void test_damage_that_a_client_meets_is_logged(void)
{
	char command[4 * sizeof(store) + 100];
	struct raw_half half;

	fresh();
	snapshots = "snapshotIntervalBytes=20000"; /* Without one a start makes the index anew. */
	struct program broker = start_plain_broker();
	struct raw *raw = raw_must_connect(broker.port);
	for (int i = 0; i < 300; i++) {
		char key[16];

		snprintf(key, sizeof(key), "D%d", i);
		CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", key, 100, &half), RESP_SUCCESS);
		CU_ASSERT_EQUAL(raw_end(raw, "g", key, &half, 8), RESP_SUCCESS);
	}
	raw_close(raw);
	for (int i = 0; i < 2000 && count_lines("snapshot taken") == 0; i++)
		usleep(5000);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	snprintf(command, sizeof(command), "tr '\\000-\\377' 'Z' < %s/index.pages > %s/bad && mv %s/bad %s/index.pages", store, store, store, store);
	CU_ASSERT_EQUAL(system(command), 0);
	broker = start_plain_broker();
	raw = raw_must_connect(broker.port);
	CU_ASSERT_EQUAL(raw_read_queue(raw, "readers", "orders", 0, NULL, NULL), -1);
	CU_ASSERT(count_lines("ERROR store: damage met") > 0);
	raw_close(raw);
	program_stop(&broker, SIGTERM, NULL);
	snapshots = "snapshotIntervalBytes=268435456";
	done();
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_nothing_is_acknowledged_before_its_sync),
		CHECK_TEST(test_a_failed_sync_ends_the_broker),
		CHECK_TEST(test_a_failed_write_ends_the_broker),
		CHECK_TEST(test_a_full_disk_stops_nobody),
		CHECK_TEST(test_damage_that_a_client_meets_is_logged),
	};
	return check_main("disk faults", tests, sizeof(tests) / sizeof(tests[0]));
}
