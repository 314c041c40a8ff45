/* Scrapes over real sockets: whole answers, peers that leave in the middle, more at once than allowed. */
#include <arpa/inet.h>
#include <event2/http.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/shell/metrics_server.h"
#include "tests/unit/core/core_fixture.h"

/* Silence is short here. */
void evhttp_set_timeout(struct evhttp *http, int seconds)
{
	struct timeval timeout = { 0, seconds * 10000 };

	evhttp_set_timeout_tv(http, &timeout);
}

struct bed {
	struct fixture *f;
	struct handlers handlers;
	struct loop *loop;
	struct metrics_server *server;
};

/* `topics`: so many lines, each more than once. */
static void open_bed(struct bed *bed, int topics)
{
	char topic[32];
	struct errinfo err;

	bed->f = fixture_create(NULL);
	for (int i = 0; i < topics; i++) {
		snprintf(topic, sizeof(topic), "topic-%d", i);
		must_send(bed->f, (struct sent){ .topic = topic, .key = "k", .queue_id = 1 });
		fixture_disk(bed->f, true);
	}
	bed->handlers = (struct handlers){ .core = bed->f->core, .broker_name = "a" };
	bed->loop = loop_create();
	CU_ASSERT_PTR_NOT_NULL_FATAL(bed->loop);
	CU_ASSERT_EQUAL_FATAL(metrics_server_create(bed->loop, "127.0.0.1", 0, &bed->handlers, &bed->server, &err), ST_OK);
}

static void close_bed(struct bed *bed)
{
	metrics_server_destroy(bed->server);
	loop_turn(bed->loop, 0);
	loop_destroy(bed->loop);
	fixture_destroy(bed->f);
}

static int ask(const struct bed *bed, const char *text)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(metrics_server_port(bed->server)),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	CU_ASSERT_EQUAL(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static const char get[] = "GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/* All that comes until the server closes. */
static void read_all(const struct bed *bed, int fd, struct buffer *out)
{
	ssize_t size = -1;

	buffer_reset(out);
	for (int turns = 0; size != 0 && turns < 3000; turns++) {
		uint8_t *room = buffer_reserve(out, 65536);
		CU_ASSERT_PTR_NOT_NULL_FATAL(room);
		loop_turn(bed->loop, 1);
		size = read(fd, room, 65536);
		if (size > 0)
			buffer_commit(out, (size_t)size);
	}
	CU_ASSERT_EQUAL(size, 0);
	close(fd);
}

static bool has(const struct buffer *text, const char *part)
{
	struct span all = buffer_span(text);

	return all.size > 0 && memmem(all.data, all.size, part, strlen(part)) != NULL;
}

static void test_whole_answers(void)
{
	struct bed bed;
	struct buffer text;

	open_bed(&bed, 90);
	buffer_init(&text, 0);
	for (int i = 0; i < 3; i++) {
		read_all(&bed, ask(&bed, get), &text);
		CU_ASSERT_TRUE(has(&text, "HTTP/1.1 200 OK\r\n"));
		CU_ASSERT_TRUE(has(&text, "Content-Type: text/plain; version=0.0.4"));
		CU_ASSERT_TRUE(has(&text, "topic=\"topic-89\",is_system=\"false\"} 1\n"));
		CU_ASSERT_TRUE(has(&text, "\r\n0\r\n\r\n"));
	}
	read_all(&bed, ask(&bed, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), &text);
	CU_ASSERT_TRUE(has(&text, "HTTP/1.1 404 "));
	read_all(&bed, ask(&bed, "POST /metrics HTTP/1.1\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"), &text);
	CU_ASSERT_FALSE(has(&text, " 200 "));
	buffer_deinit(&text);
	close_bed(&bed);
}

static void test_peers_that_leave(void)
{
	struct bed bed;
	struct buffer text;

	open_bed(&bed, 90);
	buffer_init(&text, 0);
	for (int turns = 0; turns < 20; turns++) {
		int fd = ask(&bed, get);
		for (int i = 0; i < turns; i++)
			loop_turn(bed.loop, 0);
		close(fd);
		for (int i = 0; i < 10; i++)
			loop_turn(bed.loop, 1);
	}
	read_all(&bed, ask(&bed, get), &text);
	CU_ASSERT_TRUE(has(&text, "\r\n0\r\n\r\n"));
	buffer_deinit(&text);
	/* The server goes while answers are under way. */
	int fds[3];
	for (int i = 0; i < 3; i++)
		fds[i] = ask(&bed, get);
	for (int i = 0; i < 4; i++)
		loop_turn(bed.loop, 0);
	close_bed(&bed);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

static void test_scrapes_at_once_are_bounded(void)
{
	enum { AT_ONCE = 8 };
	struct bed bed;
	struct buffer text;
	int fds[AT_ONCE + 1], refused = 0;

	open_bed(&bed, 90);
	buffer_init(&text, 0);
	for (int i = 0; i <= AT_ONCE; i++)
		fds[i] = ask(&bed, get);
	for (int i = 0; i <= AT_ONCE; i++) {
		read_all(&bed, fds[i], &text);
		refused += has(&text, "HTTP/1.1 503 ");
	}
	CU_ASSERT_EQUAL(refused, 1);
	buffer_deinit(&text);
	close_bed(&bed);
}

/* Or eight of them would keep the figures from everybody else. */
static void test_silent_peers_are_closed(void)
{
	struct bed bed;
	struct buffer text;

	open_bed(&bed, 1);
	buffer_init(&text, 0);
	read_all(&bed, ask(&bed, "GET /metr"), &text);
	CU_ASSERT_FALSE(has(&text, " 200 "));
	buffer_deinit(&text);
	close_bed(&bed);
}

static void test_a_port_that_is_taken(void)
{
	struct bed bed;
	struct metrics_server *second = NULL;
	struct errinfo err;

	open_bed(&bed, 0);
	CU_ASSERT_EQUAL(metrics_server_create(bed.loop, "127.0.0.1", metrics_server_port(bed.server), &bed.handlers, &second, &err),
			ST_IO);
	CU_ASSERT_PTR_NULL(second);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "metrics: listen on 127.0.0.1:"));
	close_bed(&bed);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_whole_answers), CHECK_TEST(test_peers_that_leave),
		CHECK_TEST(test_scrapes_at_once_are_bounded), CHECK_TEST(test_silent_peers_are_closed),
		CHECK_TEST(test_a_port_that_is_taken),
	};
	return check_main("metrics server", tests, sizeof(tests) / sizeof(tests[0]));
}
