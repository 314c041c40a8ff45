/* broker/shell/replies: which answers leave when, and that those of a connection which is gone hurt nobody. */
#include "tests/unit/net/net_fixture.h"

#include "broker/shell/replies.h"

struct shell {
	struct fixture net;
	struct parked_replies parked;
	struct replies sink;
	int fd;
	uint64_t conn;
};

/* A connection that the server knows by an id. */
static void open_peer(struct shell *s, int *fd_out, uint64_t *conn_out)
{
	size_t size;
	uint8_t *frame = make_frame(0, &size);
	uint32_t frames = s->net.frames;

	*fd_out = dial(server_port(s->net.server));
	put(&s->net, *fd_out, frame, size);
	free(frame);
	CU_ASSERT_FATAL(TURN_UNTIL(s->net.loop, s->net.frames > frames));
	*conn_out = s->net.last_conn;
}

static void shell_open(struct shell *s)
{
	struct server_config config = fixture_config();

	fixture_open(&s->net, &config);
	s->net.mode = SILENT;
	replies_init(&s->parked, s->net.server);
	s->sink = replies_sink(&s->parked);
	open_peer(s, &s->fd, &s->conn);
}

static void shell_close(struct shell *s)
{
	replies_deinit(&s->parked);
	fixture_close(&s->net);
	close(s->fd);
}

static void answer(struct shell *s, uint64_t conn, uint64_t wait_offset, char what)
{
	struct buffer *out = s->sink.begin(s->sink.context, conn, wait_offset);

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	buffer_append(out, &what, 1);
	s->sink.end(s->sink.context);
}

/* What has arrived after all that is to be sent was sent. */
static void check_arrived(struct shell *s, int fd, const char *expected)
{
	uint8_t bytes[64];
	ssize_t got;

	CU_ASSERT_TRUE(TURN_UNTIL(s->net.loop, !server_has_output(s->net.server)));
	got = recv(fd, bytes, sizeof(bytes), 0);
	CU_ASSERT_EQUAL((size_t)(got < 0 ? 0 : got), strlen(expected));
	CU_ASSERT_TRUE(got <= 0 || memcmp(bytes, expected, (size_t)got) == 0);
}

static void test_each_answer_waits_for_its_own_offset(void)
{
	struct shell s = { 0 };

	shell_open(&s);
	replies_release(&s.parked, 1000);
	answer(&s, s.conn, 0, 'a');
	answer(&s, s.conn, 1000, 'b');
	answer(&s, s.conn, 1001, 'c');
	answer(&s, s.conn, 1500, 'd');
	answer(&s, s.conn, 2000, 'e');
	check_arrived(&s, s.fd, "ab");
	struct conn *conn = server_find(s.net.server, s.conn);
	CU_ASSERT_EQUAL(replies_in_flight(conn), 3);
	replies_release(&s.parked, 1000);
	check_arrived(&s, s.fd, "");
	replies_release(&s.parked, 1500);
	check_arrived(&s, s.fd, "cd");
	CU_ASSERT_EQUAL(replies_in_flight(conn), 1);
	replies_release(&s.parked, 1999);
	check_arrived(&s, s.fd, "");
	replies_release(&s.parked, 2000);
	check_arrived(&s, s.fd, "e");
	CU_ASSERT_EQUAL(replies_in_flight(conn), 0);
	CU_ASSERT_EQUAL(replies_parked_bytes(&s.parked), 0);
	shell_close(&s);
}

static void test_answers_of_a_connection_that_is_gone_are_dropped(void)
{
	struct shell s = { 0 };
	uint64_t other;
	int fd;

	shell_open(&s);
	open_peer(&s, &fd, &other);
	answer(&s, other, 10, 'x');
	answer(&s, s.conn, 10, 'y');
	close(fd);
	CU_ASSERT_TRUE(TURN_UNTIL(s.net.loop, server_find(s.net.server, other) == NULL));
	CU_ASSERT_PTR_NULL(s.sink.begin(s.sink.context, other, 10));
	replies_release(&s.parked, 10);
	check_arrived(&s, s.fd, "y");
	CU_ASSERT_EQUAL(replies_parked_bytes(&s.parked), 0);
	shell_close(&s);
}

/* A quarter of what ends a connection is much. */
static void test_much_to_read_is_told(void)
{
	struct shell s = { 0 };

	shell_open(&s);
	size_t much = fixture_config().output_bytes_max / 4;
	CU_ASSERT_FALSE(s.sink.full(s.sink.context, s.conn));
	for (size_t i = 0; i < much; i++)
		answer(&s, s.conn, 0, 'a');
	CU_ASSERT_FALSE(s.sink.full(s.sink.context, s.conn));
	answer(&s, s.conn, 0, 'a');
	CU_ASSERT_TRUE(s.sink.full(s.sink.context, s.conn));
	CU_ASSERT_FALSE(s.sink.full(s.sink.context, s.conn + 1000));
	shell_close(&s);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_each_answer_waits_for_its_own_offset),
		CHECK_TEST(test_answers_of_a_connection_that_is_gone_are_dropped),
		CHECK_TEST(test_much_to_read_is_told),
	};
	return check_main("replies", tests, sizeof(tests) / sizeof(tests[0]));
}
