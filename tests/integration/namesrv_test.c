/* The program escrow-namesrv as an operator and a hostile network see it: its lines, its exit codes, raw frames. */
#include "tests/support/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/bytes.h"
#include "lib/wire/body_register.h"
#include "lib/wire/command.h"
#include "lib/wire/header_namesrv.h"

enum { ARGS_MAX = 16, PATIENCE_S = 10 };

struct child {
	pid_t pid;
	int out, err;
	unsigned port;
};

static void spawn(struct child *c, const char *const *args)
{
	const char *build = getenv("ESCROW_BUILD");
	char program[512], *argv[ARGS_MAX + 2] = { program };
	int out[2], err[2];

	snprintf(program, sizeof(program), "%s/escrow-namesrv", build == NULL ? "build" : build);
	for (int i = 0; i < ARGS_MAX && args[i] != NULL; i++)
		argv[i + 1] = (char *)args[i];
	CU_ASSERT_FATAL(pipe(out) == 0 && pipe(err) == 0);
	c->pid = fork();
	CU_ASSERT_FATAL(c->pid >= 0);
	if (c->pid == 0) {
		dup2(out[1], STDOUT_FILENO);
		dup2(err[1], STDERR_FILENO);
		close(out[0]);
		close(err[0]);
		execv(program, argv);
		_exit(127);
	}
	close(out[1]);
	close(err[1]);
	c->out = out[0];
	c->err = err[0];
	c->port = 0;
}

/* Everything until the end of file. */
static void read_all(int fd, char *text, size_t size)
{
	size_t have = 0;
	ssize_t got;

	while (have + 1 < size && (got = read(fd, text + have, size - 1 - have)) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		have += got > 0 ? (size_t)got : 0;
	}
	text[have] = '\0';
}

static int exit_code(struct child *c)
{
	int status = 0;

	CU_ASSERT_EQUAL(waitpid(c->pid, &status, 0), c->pid);
	close(c->out);
	close(c->err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void start(struct child *c, const char *const *more)
{
	const char *args[ARGS_MAX] = { "-o", "listenPort=0" };
	char line[256];
	size_t have = 0;

	for (int i = 0; more[i] != NULL; i++)
		args[i + 2] = more[i];
	spawn(c, args);
	while (have + 1 < sizeof(line) && read(c->out, line + have, 1) == 1 && line[have] != '\n')
		have++;
	line[have] = '\0';
	CU_ASSERT_EQUAL_FATAL(sscanf(line, "ready escrow-namesrv 127.0.0.1:%u", &c->port), 1);
}

/* SIGTERM: exit 0 in time, nothing more on standard output. */
static void stop(struct child *c)
{
	char rest[256];
	time_t before = time(NULL);

	kill(c->pid, SIGTERM);
	read_all(c->out, rest, sizeof(rest));
	CU_ASSERT_STRING_EQUAL(rest, "");
	CU_ASSERT_EQUAL(exit_code(c), 0);
	CU_ASSERT(time(NULL) - before <= 5);
}

/* Runs until it ends by itself: exit 1 and one line on standard error that holds `text`. */
static void expect_failure(const char *const *args, const char *text)
{
	struct child c;
	char out[256], err[4096];

	spawn(&c, args);
	read_all(c.out, out, sizeof(out));
	read_all(c.err, err, sizeof(err));
	CU_ASSERT_EQUAL(exit_code(&c), 1);
	CU_ASSERT_STRING_EQUAL(out, "");
	CU_ASSERT_PTR_NOT_NULL(strstr(err, text));
	char *newline = strchr(err, '\n');
	CU_ASSERT(newline != NULL && newline[1] == '\0');
	if (strstr(err, text) == NULL)
		fprintf(stderr, "got: %s\n", err);
}

static int dial(const struct child *c)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)c->port),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct timeval patience = { PATIENCE_S, 0 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CU_ASSERT_FATAL(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	CU_ASSERT_EQUAL(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	return fd;
}

static bool read_exactly(int fd, uint8_t *out, size_t size)
{
	size_t have = 0;

	while (have < size) {
		ssize_t got = recv(fd, out + have, size - have, 0);
		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	return true;
}

static uint8_t frame[1024 * 1024];
static struct command command;
static struct command_scratch scratch;

/* Sends what `bytes` holds, reads one frame into `command`. */
static bool exchange(int fd, struct buffer *bytes)
{
	struct errinfo err;
	size_t size = buffer_size(bytes);

	if (send(fd, bytes->data + bytes->start, size, MSG_NOSIGNAL) != (ssize_t)size || !read_exactly(fd, frame, 4))
		return false;
	size = get_u32(frame);
	if (size > sizeof(frame) - 4 || !read_exactly(fd, frame + 4, size))
		return false;
	return command_decode((struct span){ frame, size + 4 }, &scratch, &command, &err) == ST_OK;
}

static bool ask_route(int fd, uint8_t serialize_type, const char *topic)
{
	struct buffer bytes;
	struct encoder encoder;

	buffer_init(&bytes, 0);
	command_begin(&encoder, &bytes, serialize_type, REQ_GET_ROUTEINFO_BY_TOPIC, 7, 0, SPAN_NONE);
	route_header_encode(&encoder, &(struct route_header){ .topic = span_of(topic) });
	bool good = command_end(&encoder) && exchange(fd, &bytes) && command.opaque == 7;
	buffer_deinit(&bytes);
	return good && command.serialize_type == serialize_type;
}

static bool put_broker(int fd)
{
	static const struct topic_config topics[2] = {
		{ .name = { (const uint8_t *)"T1", 2 }, .read_queue_nums = 4, .write_queue_nums = 4, .perm = 6 },
		{ .name = { (const uint8_t *)"T2", 2 }, .read_queue_nums = 4, .write_queue_nums = 4, .perm = 6 },
	};
	struct broker_header header = { .broker_name = SPAN_LITERAL("broker-a"), .broker_addr = SPAN_LITERAL("127.0.0.1:10911"),
					.cluster_name = SPAN_LITERAL("c"), .ha_server_addr = SPAN_LITERAL("127.0.0.1:10912"),
					.heartbeat_timeout_ms = -1 };
	struct data_version version = { 0, 1, 1 };
	struct buffer bytes;
	struct encoder encoder;

	buffer_init(&bytes, 0);
	command_begin(&encoder, &bytes, SERIALIZE_JSON, REQ_REGISTER_BROKER, 8, 0, SPAN_NONE);
	register_broker_encode(&encoder, &header);
	command_body(&encoder);
	register_body_encode(&bytes, &version, topics, 2);
	bool good = command_end(&encoder) && exchange(fd, &bytes) && command.code == RESP_SUCCESS;
	buffer_deinit(&bytes);
	return good;
}

static void test_ready_serve_and_stop(void)
{
	static const char *const none[] = { NULL };
	struct child c;

	start(&c, none);
	int broker = dial(&c), client = dial(&c);
	CU_ASSERT(ask_route(client, SERIALIZE_JSON, "T1"));
	CU_ASSERT_EQUAL(command.code, RESP_TOPIC_NOT_EXIST);
	CU_ASSERT(put_broker(broker));
	CU_ASSERT(ask_route(client, SERIALIZE_JSON, "T1"));
	CU_ASSERT_EQUAL(command.code, RESP_SUCCESS);
	CU_ASSERT(ask_route(client, SERIALIZE_ROCKETMQ, "T1"));
	CU_ASSERT_EQUAL(command.code, RESP_SUCCESS);
	/* The broker's connection ends: its topics go. */
	close(broker);
	bool gone = false;
	for (int i = 0; i < 1000 && !gone; i++) {
		CU_ASSERT_FATAL(ask_route(client, SERIALIZE_JSON, "T1"));
		gone = command.code == RESP_TOPIC_NOT_EXIST;
		usleep(gone ? 0 : 2000);
	}
	CU_ASSERT(gone);
	stop(&c);
	CU_ASSERT_EQUAL(recv(client, frame, 1, 0), 0);
	close(client);
}

static bool call(int fd, int32_t code, const char *const fields[][2], size_t count, const char *body)
{
	struct buffer bytes;
	struct encoder encoder;

	buffer_init(&bytes, 0);
	command_begin(&encoder, &bytes, SERIALIZE_JSON, code, 9, 0, SPAN_NONE);
	for (size_t i = 0; i < count; i++)
		command_put(&encoder, fields[i][0], span_of(fields[i][1]));
	command_body(&encoder);
	buffer_append_text(&bytes, body);
	bool good = command_end(&encoder) && exchange(fd, &bytes) && command.code == RESP_SUCCESS;
	buffer_deinit(&bytes);
	return good;
}

/* Whether routes name the brokers of an ordered topic is an operator's word, at once. */
static void test_an_option_changed_from_remote_holds_at_once(void)
{
	static const char *const none[] = { NULL };
	static const char *const order[][2] = { { "namespace", "ORDER_TOPIC_CONFIG" }, { "key", "T1" }, { "value", "broker-a:4" } };
	static const char *const words[] = { "orderMessageEnable=true\n", "orderMessageEnable=false\n" };
	struct child c;

	start(&c, none);
	int fd = dial(&c);
	CU_ASSERT(put_broker(fd));
	CU_ASSERT(call(fd, REQ_PUT_KV_CONFIG, order, 3, ""));
	for (int i = 0; i < 2; i++) {
		CU_ASSERT(call(fd, REQ_UPDATE_NAMESRV_CONFIG, NULL, 0, words[i]));
		CU_ASSERT(ask_route(fd, SERIALIZE_JSON, "T1"));
		CU_ASSERT_EQUAL(memmem(command.body.data, command.body.size, "broker-a:4", 10) != NULL, i == 0);
	}
	close(fd);
	stop(&c);
}

/* Each change is told in the log, while the level lets it be. */
static void test_the_log_level_changes_at_once(void)
{
	static const char *const none[] = { NULL };
	struct child c;
	char err[4096];

	start(&c, none);
	int fd = dial(&c);
	CU_ASSERT(call(fd, REQ_UPDATE_NAMESRV_CONFIG, NULL, 0, "orderMessageEnable=true\n"));
	CU_ASSERT_FALSE(call(fd, REQ_UPDATE_NAMESRV_CONFIG, NULL, 0, "logLevel=loud\n"));
	CU_ASSERT(call(fd, REQ_UPDATE_NAMESRV_CONFIG, NULL, 0, "logLevel=error\n"));
	CU_ASSERT(call(fd, REQ_UPDATE_NAMESRV_CONFIG, NULL, 0, "orderMessageEnable=false\n"));
	close(fd);
	kill(c.pid, SIGTERM);
	read_all(c.err, err, sizeof(err));
	CU_ASSERT_EQUAL(exit_code(&c), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "to=\"true\""));
	CU_ASSERT_PTR_NULL(strstr(err, "to=\"false\""));
}

static void test_connections_of_one_address_are_bounded(void)
{
	static const char *const few[] = { "-o", "connectionsPerAddressMax=1", NULL };
	struct child c;

	start(&c, few);
	int first = dial(&c);
	CU_ASSERT(ask_route(first, SERIALIZE_JSON, "T1"));
	int second = dial(&c);
	CU_ASSERT_EQUAL(recv(second, frame, 1, 0), 0);
	CU_ASSERT(ask_route(first, SERIALIZE_JSON, "T1"));
	close(first);
	close(second);
	stop(&c);
}

/* Settings that could not be saved are saved when that is possible again: at the next scan, at the latest when it ends. */
static void save_when_possible(const char *scan, bool before_the_end)
{
	static const char *const setting[][2] = { { "namespace", "N" }, { "key", "K" }, { "value", "V" } };
	char *dir = check_make_dir(), later[600], option[700];
	const char *path = option + strlen("kvConfigPath=");
	const char *const options[] = { "-o", option, "-o", scan, NULL };
	struct child c;

	snprintf(later, sizeof(later), "%s/later", dir);
	snprintf(option, sizeof(option), "kvConfigPath=%s/kv.json", later);
	start(&c, options);
	int fd = dial(&c);
	CU_ASSERT(call(fd, REQ_PUT_KV_CONFIG, setting, 3, ""));
	close(fd);
	CU_ASSERT_EQUAL(mkdir(later, 0700), 0);
	for (int i = 0; i < 2000 && before_the_end && access(path, F_OK) != 0; i++)
		usleep(5000);
	CU_ASSERT_EQUAL(access(path, F_OK) == 0, before_the_end);
	stop(&c);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	check_remove_dir(dir);
}

static void test_settings_are_saved_when_that_is_possible(void)
{
	save_when_possible("scanNotActiveBrokerInterval=20", true);
	save_when_possible("scanNotActiveBrokerInterval=600000", false);
}

static void test_silent_broker_goes(void)
{
	static const char *const hasty[] = { "-o", "brokerTimeout=200", "-o", "scanNotActiveBrokerInterval=20", NULL };
	struct child c;
	bool gone = false;

	start(&c, hasty);
	int fd = dial(&c);
	CU_ASSERT(put_broker(fd));
	for (int i = 0; i < 1000 && !gone; i++) {
		CU_ASSERT_FATAL(ask_route(fd, SERIALIZE_JSON, "T1"));
		gone = command.code == RESP_TOPIC_NOT_EXIST;
		usleep(gone ? 0 : 5000);
	}
	CU_ASSERT(gone);
	close(fd);
	stop(&c);
}

static void test_random_bytes_hurt_nobody_else(void)
{
	static const char *const none[] = { NULL };
	uint64_t random = check_seed(20);
	struct child c;

	start(&c, none);
	int broker = dial(&c);
	CU_ASSERT(put_broker(broker));
	for (int i = 0; i < 200; i++) {
		uint8_t bytes[512];
		size_t size = 1 + check_random(&random) % sizeof(bytes);
		int fd = dial(&c);

		for (size_t j = 0; j < size; j++)
			bytes[j] = (uint8_t)check_random(&random);
		/* Half of them look like a frame at first. */
		if (i % 2 == 0 && size > 16) {
			put_u32(bytes, (uint32_t)size - 4);
			put_u32(bytes + 4, (uint32_t)(check_random(&random) % size));
		}
		(void)!send(fd, bytes, size, MSG_NOSIGNAL);
		close(fd);
	}
	CU_ASSERT(ask_route(broker, SERIALIZE_JSON, "T2"));
	CU_ASSERT_EQUAL(command.code, RESP_SUCCESS);
	close(broker);
	stop(&c);
}

static void test_failures_are_one_line_and_exit_1(void)
{
	static const char *const none[] = { NULL };
	static const char *const bad_value[] = { "-o", "listenPort=many", NULL };
	static const char *const bad_key[] = { "-o", "lisenPort=1", NULL };
	static const char *const no_file[] = { "-c", "/nonexistent/namesrv.conf", NULL };
	static const char *const wide[] = { "-o", "listenPort=0", "-o", "bindAddress=0.0.0.0", NULL };
	static const char *const bad_level[] = { "-o", "logLevel=loud", NULL };
	struct child c;
	char taken[64];

	expect_failure(bad_value, "listenPort");
	expect_failure(bad_key, "lisenPort");
	expect_failure(no_file, "/nonexistent/namesrv.conf");
	expect_failure(wide, "allowInsecure");
	expect_failure(bad_level, "logLevel");
	start(&c, none);
	snprintf(taken, sizeof(taken), "listenPort=%u", c.port);
	expect_failure((const char *const[]){ "-o", taken, NULL }, taken + strlen("listenPort="));
	stop(&c);
}

static void test_wide_address_when_allowed(void)
{
	static const char *const args[] = { "-o", "listenPort=0", "-o", "bindAddress=0.0.0.0", "-o", "allowInsecure=true", NULL };
	struct child c;
	char line[64] = "";

	spawn(&c, args);
	CU_ASSERT(read(c.out, line, sizeof(line) - 1) > 0);
	CU_ASSERT(strncmp(line, "ready escrow-namesrv 0.0.0.0:", 29) == 0);
	stop(&c);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_ready_serve_and_stop),
		CHECK_TEST(test_an_option_changed_from_remote_holds_at_once),
		CHECK_TEST(test_the_log_level_changes_at_once),
		CHECK_TEST(test_connections_of_one_address_are_bounded),
		CHECK_TEST(test_settings_are_saved_when_that_is_possible),
		CHECK_TEST(test_silent_broker_goes),
		CHECK_TEST(test_random_bytes_hurt_nobody_else),
		CHECK_TEST(test_failures_are_one_line_and_exit_1),
		CHECK_TEST(test_wide_address_when_allowed),
	};
	return check_main("namesrv", tests, sizeof(tests) / sizeof(tests[0]));
}
