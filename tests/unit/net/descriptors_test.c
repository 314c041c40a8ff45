/* Connections do not take the descriptors that the process needs for its files, however few there are. */
#include "tests/unit/net/net_fixture.h"

#include <sys/resource.h>
#include <sys/wait.h>

enum { DESCRIPTORS = 120, PEERS = 200, FILES = 30 };

static bool opens_files(void)
{
	bool opened = true;

	for (int i = 0; i < FILES; i++)
		opened = opened && open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0;
	return opened;
}

/* A process of its own, because of its limit. The exit code is 0 when all peers were heard and files can be opened. */
static _Noreturn void serve(int port_pipe)
{
	const struct rlimit few = { DESCRIPTORS, DESCRIPTORS };
	struct server_config config = fixture_config();
	struct server_callbacks callbacks = { NULL, fixture_on_frame, fixture_on_close };
	struct fixture f = { 0 };
	struct errinfo err;

	callbacks.context = &f;
	config.connections_max = config.connections_per_address_max = 1000;
	f.loop = loop_create();
	if (f.loop == NULL || setrlimit(RLIMIT_NOFILE, &few) != 0 ||
	    server_create(f.loop, &config, &callbacks, &f.server, &err) != ST_OK)
		_exit(2);
	uint16_t port = server_port(f.server);
	if (write(port_pipe, &port, sizeof(port)) != sizeof(port))
		_exit(3);
	if (!TURN_UNTIL(f.loop, server_connection_count(f.server) + f.closes == PEERS))
		_exit(4);
	_exit(opens_files() && server_connection_count(f.server) >= DESCRIPTORS / 4 ? 0 : 5);
}

static void test_files_can_be_opened_however_many_connect(void)
{
	int ends[2], peers[PEERS], status = -1;
	uint16_t port = 0;

	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	pid_t child = fork();
	CU_ASSERT_FATAL(child >= 0);
	if (child == 0)
		serve(ends[1]);
	close(ends[1]);
	CU_ASSERT_EQUAL_FATAL(read(ends[0], &port, sizeof(port)), (ssize_t)sizeof(port));
	for (int i = 0; i < PEERS; i++)
		peers[i] = dial(port);
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
	for (int i = 0; i < PEERS; i++)
		close(peers[i]);
	close(ends[0]);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_files_can_be_opened_however_many_connect),
	};
	return check_main("descriptors", tests, sizeof(tests) / sizeof(tests[0]));
}
