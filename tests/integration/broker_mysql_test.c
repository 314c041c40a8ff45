/* The real broker beside a real MySQL server that is killed and started: the broker does not notice, and MySQL ends up with
 * exactly one row of each transaction. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/wire/codes.h"
#include "tests/support/check.h"
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

static void test_mysql_comes_and_goes(void)
{
	char socket_path[256], socket_option[300], store_option[300], log_path[256], ignored[256];

	dir = check_make_dir();
	snprintf(log_path, sizeof(log_path), "%s/broker.log", dir);
	snprintf(store_option, sizeof(store_option), "storePathRootDir=%s/store", dir);
	mariadb(socket_path, sizeof(socket_path), "start %s/mysql", dir);
	CU_ASSERT_FATAL(socket_path[0] == '/');
	snprintf(socket_option, sizeof(socket_option), "opLogMysqlSocket=%s", socket_path);
	mariadb(ignored, sizeof(ignored), "sql %s/mysql -e 'CREATE DATABASE IF NOT EXISTS escrow_oplog'", dir);
	const char *argv[] = { "escrow-broker", "-o", "listenPort=0", "-o", store_option, "-o", "brokerName=test",
			       "-o", "opLogMysqlEnable=true", "-o", "opLogMysqlMigrate=true", "-o", "opLogMysqlUser=root",
			       "-o", socket_option, "-o", "opLogRetryMaxMs=300", NULL };
	struct program broker = program_start(argv, log_path);

	run_phase(broker.port, 1);
	CU_ASSERT(wait_for_rows("1", PER_PHASE));
	mariadb(ignored, sizeof(ignored), "kill %s/mysql", dir);
	run_phase(broker.port, 2); /* Unaffected. */
	program_stop(&broker, SIGKILL, NULL);
	broker = program_start(argv, log_path); /* Starts without MySQL, too. */
	run_phase(broker.port, 3);
	mariadb(socket_path, sizeof(socket_path), "start %s/mysql", dir);
	CU_ASSERT(wait_for_rows("1", 3 * PER_PHASE));
	CU_ASSERT_EQUAL(count_rows("state = 2 AND decided_by = 1"), 2 * PER_PHASE);
	CU_ASSERT_EQUAL(count_rows("state = 3 AND decided_by = 1"), PER_PHASE);
	CU_ASSERT_EQUAL(program_stop(&broker, SIGTERM, NULL), 0);
	mariadb(ignored, sizeof(ignored), "stop %s/mysql", dir);
	check_remove_dir(dir);
}

int main(void)
{
	static const struct check_test tests[] = { CHECK_TEST(test_mysql_comes_and_goes) };

	return check_main("broker with MySQL", tests, 1);
}
