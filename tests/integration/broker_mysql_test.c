/* The real broker beside a real MySQL server that is killed and started: the broker does not notice, and MySQL ends up with
 * exactly one row of each transaction. What a power cut could still undo never gets there. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/wire/codes.h"
#include "tests/support/check.h"
#include "tests/support/diskshim.h"
#include "tests/support/rawclient.h"

enum { PER_PHASE = 300 };
static char *dir;

/* Runs tests/support/mariadb; its first line of output, "" if it failed. */
static void PRINTF_LIKE(3, 4) mariadb(char *out, size_t out_size, const char *fmt, ...)
{
	char command[1024] = "tests/support/mariadb ";
	va_list args;

	va_start(args, fmt);
	vsnprintf(command + strlen(command), sizeof(command) - strlen(command), fmt, args);
	va_end(args);
	FILE *pipe = popen(command, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(pipe);
	if (fgets(out, (int)out_size, pipe) == NULL)
		out[0] = '\0';
	out[strcspn(out, "\n")] = '\0';
	while (fgetc(pipe) != EOF)
		;
	pclose(pipe);
}

static int64_t count_rows(const char *where)
{
	char out[64];

	mariadb(out, sizeof(out), "sql %s/mysql --batch --skip-column-names escrow_oplog -e "
				  "'SELECT COUNT(*) FROM txn WHERE %s' 2>/dev/null", dir, where);
	return out[0] == '\0' ? -1 : strtoll(out, NULL, 10);
}

static bool wait_for_rows(const char *where, int64_t wanted)
{
	for (int i = 0; i < 200; i++) {
		if (count_rows(where) == wanted)
			return true;
		usleep(100000);
	}
	printf(" [%lld rows of %lld]", (long long)count_rows(where), (long long)wanted);
	return false;
}

/* PER_PHASE transactions, every third rolled back. */
static void run_phase(unsigned port, int phase)
{
	struct raw *raw = raw_connect(port);
	struct raw_half half;

	CU_ASSERT_PTR_NOT_NULL_FATAL(raw);
	for (int i = 0; i < PER_PHASE; i++) {
		char key[32];

		snprintf(key, sizeof(key), "P%d-%d", phase, i);
		CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", key, 100, &half), RESP_SUCCESS);
		CU_ASSERT_EQUAL(raw_end(raw, "g", key, &half, i % 3 == 0 ? 12 : 8), RESP_SUCCESS);
	}
	raw_close(raw);
}

struct setting {
	char socket_option[300], store_option[300], log_path[256];
};

static void start_mysql(struct setting *s)
{
	char socket_path[256];

	mariadb(socket_path, sizeof(socket_path), "start %s/mysql", dir);
	CU_ASSERT_FATAL(socket_path[0] == '/');
	snprintf(s->socket_option, sizeof(s->socket_option), "opLogMysqlSocket=%s", socket_path);
}

static void set_up(struct setting *s)
{
	char ignored[256];

	dir = check_make_dir();
	snprintf(s->log_path, sizeof(s->log_path), "%s/broker.log", dir);
	snprintf(s->store_option, sizeof(s->store_option), "storePathRootDir=%s/store", dir);
	start_mysql(s);
	mariadb(ignored, sizeof(ignored), "sql %s/mysql -e 'CREATE DATABASE IF NOT EXISTS escrow_oplog'", dir);
}

static void tear_down(void)
{
	char ignored[256];

	mariadb(ignored, sizeof(ignored), "stop %s/mysql", dir);
	check_remove_dir(dir);
}

static struct program start_broker(const struct setting *s)
{
	const char *argv[] = { "escrow-broker", "-o", "listenPort=0", "-o", s->store_option, "-o", "brokerName=test",
			       "-o", "opLogMysqlEnable=true", "-o", "opLogMysqlMigrate=true", "-o", "opLogMysqlUser=root",
			       "-o", s->socket_option, "-o", "opLogRetryMaxMs=300", NULL };

	return program_start(argv, s->log_path);
}

static void test_mysql_comes_and_goes(void)
{
	struct setting s;
	char ignored[256];

	set_up(&s);
	struct program broker = start_broker(&s);
	run_phase(broker.port, 1);
	CU_ASSERT(wait_for_rows("1", PER_PHASE));
	mariadb(ignored, sizeof(ignored), "kill %s/mysql", dir);
	run_phase(broker.port, 2); /* Unaffected. */
	program_stop(&broker, SIGKILL, NULL);
	broker = start_broker(&s); /* Starts without MySQL, too. */
	run_phase(broker.port, 3);
	start_mysql(&s);
	CU_ASSERT(wait_for_rows("1", 3 * PER_PHASE));
	CU_ASSERT_EQUAL(count_rows("state = 2 AND decided_by = 1"), 2 * PER_PHASE);
	CU_ASSERT_EQUAL(count_rows("state = 3 AND decided_by = 1"), PER_PHASE);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	tear_down();
}

static int answers(struct raw *raw)
{
	int count = 0;

	while (raw_receive(raw, 30) != NULL)
		count++;
	return count;
}

/* Commits behind each other, most appended while the sync of the one before hangs: a DBA must not read of what the power
 * could undo yet, so never of one that is not answered. Other syncs of the broker may hang, too: each step lets one go. */
static int commit_behind_each_other(struct raw *raw, struct diskshim *shim, const struct raw_half *halves, int count)
{
	int answered = 0;

	for (int i = 0; i < count; i++) {
		CU_ASSERT_TRUE(raw_end_post(raw, "g", &halves[i], 8));
		answered += answers(raw);
		shim->passes = i > 0;
		answered += answers(raw);
		int64_t told = count_rows("state = 2");
		/* The answer leaves at the end of the turn that let the row go, and may be the slower one. */
		while (answered < told && raw_receive(raw, 5000) != NULL)
			answered++;
		CU_ASSERT(told >= 0 && told <= answered);
	}
	return answered;
}

static void test_mysql_hears_of_nothing_before_its_sync(void)
{
	struct setting s;
	struct raw_half halves[10];
	char shim_path[256];

	set_up(&s);
	snprintf(shim_path, sizeof(shim_path), "%s/shim", dir);
	struct diskshim *shim = diskshim_open(shim_path);
	diskshim_enter(shim_path);
	struct program broker = start_broker(&s);
	diskshim_leave();
	struct raw *raw = raw_must_connect(broker.port);
	for (int i = 0; i < 10; i++) {
		char key[] = { 'K', (char)('0' + i), '\0' };

		CU_ASSERT_EQUAL(raw_half_send(raw, "g", "orders", key, 100, &halves[i]), RESP_SUCCESS);
	}
	CU_ASSERT(wait_for_rows("state <> 2", 10));
	shim->mode = DISKSHIM_HOLD;
	int answered = commit_behind_each_other(raw, shim, halves, 10);
	CU_ASSERT(answered > 0 && shim->syncs > 0); /* Else nothing was seen. */
	shim->mode = DISKSHIM_PASS;
	CU_ASSERT(wait_for_rows("state = 2", 10));
	raw_close(raw);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	diskshim_close(shim);
	tear_down();
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_mysql_comes_and_goes),
		CHECK_TEST(test_mysql_hears_of_nothing_before_its_sync),
	};

	return check_main("broker with MySQL", tests, sizeof(tests) / sizeof(tests[0]));
}
