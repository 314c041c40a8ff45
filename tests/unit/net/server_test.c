/* lib/net's server against peers that behave and peers that do not. */
#include "tests/unit/net/net_fixture.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include "lib/net/address.h"
#include "tests/support/leap.h"

/* Descriptors as a test wants them: takes the place of the C library's for this program. */
static int failing_accepts;

int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags)
{
	if (failing_accepts == 0)
		return (int)syscall(SYS_accept4, fd, address, size, flags);
	failing_accepts--;
	errno = EMFILE;
	return -1;
}

static void test_pipelined_frames_are_answered_in_order(void)
{
	enum { COUNT = 1000 };
	struct server_config config = fixture_config();
	struct fixture f;
	struct buffer sent;

	fixture_open(&f, &config);
	buffer_init(&sent, 0);
	for (size_t i = 0; i < COUNT; i++) {
		size_t size;
		uint8_t *frame = make_frame(i % 97, &size);

		buffer_append(&sent, frame, size);
		free(frame);
	}
	size_t size = buffer_size(&sent);
	uint8_t *back = malloc(size);
	int fd = dial(server_port(f.server));
	put(&f, fd, sent.data, size);
	CU_ASSERT_FATAL(get(&f, fd, back, size));
	CU_ASSERT_EQUAL(memcmp(back, sent.data, size), 0);
	CU_ASSERT_EQUAL(f.frames, COUNT);
	free(back);
	buffer_deinit(&sent);
	close(fd);
	CU_ASSERT(TURN_UNTIL(f.loop, f.closes == 1));
	CU_ASSERT_EQUAL(server_connection_count(f.server), 0);
	fixture_close(&f);
	CU_ASSERT_EQUAL(f.closes, 1);
}

static void test_frame_in_random_pieces_is_one_frame(void)
{
	struct server_config config = fixture_config();
	uint64_t random = check_seed(7);
	struct fixture f;

	fixture_open(&f, &config);
	int fd = dial(server_port(f.server));
	for (int round = 0; round < 50; round++) {
		size_t size, at = 0;
		uint8_t *frame = make_frame(check_random(&random) % 3000, &size), *back = malloc(size);

		while (at < size) {
			size_t piece = 1 + check_random(&random) % (check_random(&random) % 2 == 0 ? 3 : 1000);

			piece = piece > size - at ? size - at : piece;
			put(&f, fd, frame + at, piece);
			at += piece;
			loop_turn(f.loop, 0);
		}
		CU_ASSERT_FATAL(get(&f, fd, back, size));
		CU_ASSERT_EQUAL(memcmp(back, frame, size), 0);
		CU_ASSERT_EQUAL(f.frames, (uint32_t)round + 1);
		free(frame);
		free(back);
	}
	close(fd);
	fixture_close(&f);
}

static void test_frame_of_the_greatest_size_passes_one_more_byte_closes(void)
{
	struct server_config config = fixture_config();
	struct fixture f;
	size_t size;

	fixture_open(&f, &config);
	int fd = dial(server_port(f.server));
	uint8_t *frame = make_frame(FRAME_MAX - 10, &size), *back = malloc(size);
	put(&f, fd, frame, size);
	CU_ASSERT(get(&f, fd, back, size));
	free(frame);
	frame = make_frame(FRAME_MAX - 9, &size);
	put(&f, fd, frame, size);
	CU_ASSERT(hangs_up(&f, fd));
	CU_ASSERT_EQUAL(f.frames, 1);
	free(frame);
	free(back);
	close(fd);
	fixture_close(&f);
}

static void test_hostile_bytes_close_their_connection_only(void)
{
	static const struct {
		uint8_t bytes[12];
		size_t size;
	} hostile[] = {
		{ { 0x16, 3, 1, 0, 5 }, 5 },                       /* TLS */
		{ { 0x16 }, 1 },
		{ { 0, 0, 0, 3, 0, 0, 0, 0 }, 8 },                 /* shorter than its header word */
		{ { 0xff, 0xff, 0xff, 0xff }, 4 },
		{ { 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 2 }, 8 },
		{ { 0, 0, 0, 6, 9, 0, 0, 2, '{', '}' }, 10 },      /* unknown serialize type */
		{ { 0, 0, 0, 6, 0, 0, 0, 3, '{', '}' }, 10 },      /* header over the frame */
		{ { 'G', 'E', 'T', ' ', '/', ' ', 'H', 'T' }, 8 },
	};
	struct server_config config = fixture_config();
	struct fixture f;
	size_t size;
	uint8_t *frame = make_frame(5, &size), back[64];

	fixture_open(&f, &config);
	int friendly = dial(server_port(f.server));
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		int fd = dial(server_port(f.server));

		put(&f, fd, hostile[i].bytes, hostile[i].size);
		CU_ASSERT(hangs_up(&f, fd));
		CU_ASSERT(TURN_UNTIL(f.loop, f.closes == i + 1));
		close(fd);
	}
	CU_ASSERT_EQUAL(f.frames, 0);
	put(&f, friendly, frame, size);
	CU_ASSERT(get(&f, friendly, back, size));
	free(frame);
	close(friendly);
	fixture_close(&f);
}

static void test_close_inside_a_callback_ends_the_frames(void)
{
	struct server_config config = fixture_config();
	struct fixture f;
	size_t size;
	uint8_t *frame = make_frame(5, &size);

	fixture_open(&f, &config);
	f.mode = CLOSE_ON_FRAME;
	int fd = dial(server_port(f.server));
	uint8_t *three = malloc(size * 3);
	for (int i = 0; i < 3; i++)
		memcpy(three + (size_t)i * size, frame, size);
	put(&f, fd, three, size * 3);
	CU_ASSERT(hangs_up(&f, fd));
	CU_ASSERT_EQUAL(f.frames, 1);
	CU_ASSERT_EQUAL(f.closes, 1);
	CU_ASSERT_PTR_NULL(server_find(f.server, f.last_conn));
	free(three);
	free(frame);
	close(fd);
	fixture_close(&f);
}

/* A connection's end writes to another one, which may end in the same turn. */
static void test_on_close_may_write_to_and_close_another(void)
{
	for (int chain = 0; chain < 2; chain++) {
		struct server_config config = fixture_config();
		struct fixture f;
		size_t size;
		uint8_t *frame = make_frame(0, &size), back[16];

		fixture_open(&f, &config);
		int neighbour = dial(server_port(f.server));
		put(&f, neighbour, frame, size);
		CU_ASSERT_FATAL(get(&f, neighbour, back, size));
		f.neighbour = f.last_conn;
		f.chain = chain == 1;
		int fd = dial(server_port(f.server));
		put(&f, fd, frame, size);
		CU_ASSERT_FATAL(get(&f, fd, back, size));
		close(fd);
		if (chain == 1) {
			CU_ASSERT(hangs_up(&f, neighbour));
			CU_ASSERT_EQUAL(f.closes, 2);
		} else {
			CU_ASSERT(get(&f, neighbour, back, 3));
			CU_ASSERT_EQUAL(memcmp(back, "bye", 3), 0);
		}
		loop_turn(f.loop, 0);
		free(frame);
		close(neighbour);
		fixture_close(&f);
	}
}

static void test_ids_are_not_used_again(void)
{
	struct server_config config = fixture_config();
	struct fixture f;
	uint64_t before = 0;
	size_t size;
	uint8_t *frame = make_frame(0, &size), back[16];

	fixture_open(&f, &config);
	for (int i = 0; i < 5; i++) {
		int fd = dial(server_port(f.server));

		put(&f, fd, frame, size);
		CU_ASSERT_FATAL(get(&f, fd, back, size));
		CU_ASSERT(f.last_conn > before);
		struct conn *conn = server_find(f.server, f.last_conn);
		CU_ASSERT_PTR_NOT_NULL_FATAL(conn);
		CU_ASSERT_EQUAL(conn_peer(conn)->ip_size, 4);
		CU_ASSERT_EQUAL(get_u32(conn_peer(conn)->ip), INADDR_LOOPBACK);
		CU_ASSERT(strncmp(conn_peer(conn)->text, "127.0.0.1:", 10) == 0);
		before = f.last_conn;
		close(fd);
		CU_ASSERT(TURN_UNTIL(f.loop, server_find(f.server, before) == NULL));
	}
	free(frame);
	fixture_close(&f);
}

static void test_connections_over_a_limit_are_closed(void)
{
	for (int round = 0; round < 2; round++) {
		struct server_config config = fixture_config();
		struct fixture f;
		int fds[4];

		config.connections_max = round == 0 ? 2 : 100;
		config.connections_per_address_max = round == 0 ? 100 : 2;
		fixture_open(&f, &config);
		for (int i = 0; i < 4; i++)
			fds[i] = dial(server_port(f.server));
		CU_ASSERT(hangs_up(&f, fds[2]));
		CU_ASSERT(hangs_up(&f, fds[3]));
		CU_ASSERT_EQUAL(server_connection_count(f.server), 2);
		close(fds[0]);
		CU_ASSERT(TURN_UNTIL(f.loop, server_connection_count(f.server) == 1));
		/* Its place is free again. */
		int fd = dial(server_port(f.server));
		size_t size;
		uint8_t *frame = make_frame(0, &size), back[16];
		put(&f, fd, frame, size);
		CU_ASSERT(get(&f, fd, back, size));
		free(frame);
		close(fd);
		for (int i = 1; i < 4; i++)
			close(fds[i]);
		fixture_close(&f);
	}
}

static void test_reader_that_does_not_read_makes_its_requests_wait(void)
{
	struct server_config config = fixture_config();
	struct fixture f;
	size_t size;
	uint8_t *frame = make_frame(0, &size);

	config.output_bytes_max = 16 * 1024 * 1024;
	fixture_open(&f, &config);
	f.mode = FLOOD;
	f.flood_size = 12 * 1024 * 1024; /* More than sockets hold and a quarter of the limit together. */
	int fd = dial(server_port(f.server));
	put(&f, fd, frame, size);
	CU_ASSERT(TURN_UNTIL(f.loop, f.frames == 1));
	for (int i = 0; i < 20; i++)
		loop_turn(f.loop, 0);
	uint32_t before = f.frames;
	if (server_has_output(f.server)) {
		put(&f, fd, frame, size);
		for (int i = 0; i < 20; i++)
			loop_turn(f.loop, 1);
		CU_ASSERT_EQUAL(f.frames, before);
		CU_ASSERT_EQUAL(f.closes, 0);
	} else {
		CU_FAIL("the socket took all of the output");
	}
	/* It reads: the second request is served. */
	uint8_t *back = malloc(2 * f.flood_size);
	CU_ASSERT(get(&f, fd, back, 2 * f.flood_size));
	CU_ASSERT_EQUAL(f.frames, 2);
	CU_ASSERT(TURN_UNTIL(f.loop, !server_has_output(f.server)));
	free(back);
	free(frame);
	close(fd);
	fixture_close(&f);
}

/* Also when the output could not even be written to memory: what is left of an answer is none. */
static void test_output_over_the_limit_closes(void)
{
	struct server_config config = fixture_config();
	const size_t floods[] = { config.output_bytes_max + 1, config.output_bytes_max + FRAME_MAX + 1 };
	struct fixture f;
	size_t size;
	uint8_t *frame = make_frame(0, &size);

	fixture_open(&f, &config);
	f.mode = FLOOD;
	for (uint32_t i = 0; i < 2; i++) {
		f.flood_size = floods[i];
		int fd = dial(server_port(f.server));
		put(&f, fd, frame, size);
		CU_ASSERT(hangs_up(&f, fd));
		CU_ASSERT_EQUAL(f.closes, i + 1);
		close(fd);
	}
	free(frame);
	fixture_close(&f);
}

/* The requests of one read must not make more output than a limit holds: the peer reads, it only asks much at once. */
static void test_many_requests_at_once_wait_for_room(void)
{
	enum { COUNT = 200 };
	struct server_config config = fixture_config();
	struct fixture f;
	size_t size;
	uint8_t *frame = make_frame(0, &size), *all = malloc(size * COUNT);

	fixture_open(&f, &config);
	f.mode = FLOOD;
	f.flood_size = 50 * 1000; /* 10 MB in all, the limit is 1 MiB. */
	for (size_t i = 0; i < COUNT; i++)
		memcpy(all + i * size, frame, size);
	int fd = dial(server_port(f.server));
	put(&f, fd, all, size * COUNT);
	uint8_t *back = malloc(f.flood_size * COUNT);
	CU_ASSERT(get(&f, fd, back, f.flood_size * COUNT));
	CU_ASSERT_EQUAL(f.frames, COUNT);
	CU_ASSERT_EQUAL(f.closes, 0);
	free(back);
	free(all);
	free(frame);
	close(fd);
	fixture_close(&f);
}

static void test_rest_of_a_frame_has_a_deadline(void)
{
	struct server_config config = fixture_config();
	struct fixture f;
	size_t size;
	uint8_t *frame = make_frame(30 * 1000, &size);

	config.partial_frame_ms = 200;
	fixture_open(&f, &config);
	int drip = dial(server_port(f.server)), idle = dial(server_port(f.server));
	size_t at = 0;
	int64_t next_ms = 0;
	/* A byte now and then does not extend it. */
	CU_ASSERT(TURN_UNTIL(f.loop, ({
		if (loop_now_ms(f.loop) >= next_ms && at < size - 1 && send(drip, frame + at, 1, MSG_NOSIGNAL) == 1) {
			next_ms = loop_now_ms(f.loop) + 20;
			at++;
		}
		f.closes == 1;
	})));
	CU_ASSERT(hangs_up(&f, drip));
	CU_ASSERT_EQUAL(server_connection_count(f.server), 1);
	free(frame);
	close(drip);
	close(idle);
	fixture_close(&f);
}

/* The peer asks before it reads: while we do not read on, its rest cannot come, and the deadline is not its. */
static void test_rest_of_a_frame_may_wait_as_long_as_we_do_not_read(void)
{
	struct server_config config = fixture_config();
	struct fixture f;
	size_t size;
	uint8_t *frame = make_frame(100, &size), *back;

	const size_t flooded = 12 * 1024 * 1024; /* More than sockets hold and a quarter of the limit together. */

	config.output_bytes_max = 16 * 1024 * 1024;
	back = malloc(flooded);
	fixture_open(&f, &config);
	int fd = dial(server_port(f.server));
	put(&f, fd, frame, size);
	CU_ASSERT_FATAL(get(&f, fd, back, size));
	put(&f, fd, frame, size / 2);
	for (int i = 0; i < 5; i++)
		loop_turn(f.loop, 1);
	flood(server_find(f.server, f.last_conn), flooded);
	loop_turn(f.loop, 1);
	CU_ASSERT_TRUE(server_has_output(f.server));
	leap(60 * 1000);
	loop_turn(f.loop, 1);
	CU_ASSERT_EQUAL(f.closes, 0);
	CU_ASSERT(get(&f, fd, back, flooded));
	put(&f, fd, frame + size / 2, size - size / 2);
	CU_ASSERT(get(&f, fd, back, size));
	CU_ASSERT_EQUAL(memcmp(back, frame, size), 0);
	free(back);
	free(frame);
	close(fd);
	fixture_close(&f);
}

static int64_t seen_ms[2];

/* The process stands still right after it. */
static void see_and_stand_still(struct fixture *f)
{
	seen_ms[f->frames - 1] = loop_now_ms(f->loop);
	leap(1000);
}

/* What other connections bring in the same turn may have been sent long after the turn began. */
static void test_time_passes_between_connections(void)
{
	struct server_config config = fixture_config();
	struct fixture f;
	int fds[2];
	size_t size;
	uint8_t *frame = make_frame(0, &size);

	fixture_open(&f, &config);
	f.seen = see_and_stand_still;
	for (int i = 0; i < 2; i++)
		fds[i] = dial(server_port(f.server));
	CU_ASSERT(TURN_UNTIL(f.loop, server_connection_count(f.server) == 2));
	for (int i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(send(fds[i], frame, size, MSG_NOSIGNAL), (ssize_t)size);
	CU_ASSERT(TURN_UNTIL(f.loop, f.frames > 0));
	CU_ASSERT_EQUAL_FATAL(f.frames, 2);
	CU_ASSERT_TRUE(seen_ms[1] - seen_ms[0] >= 1000);
	for (int i = 0; i < 2; i++)
		close(fds[i]);
	free(frame);
	fixture_close(&f);
}

static void test_idle_connection_is_closed(void)
{
	struct server_config config = fixture_config();
	struct fixture f;

	config.idle_ms = 100;
	fixture_open(&f, &config);
	int fd = dial(server_port(f.server));
	CU_ASSERT(hangs_up(&f, fd));
	CU_ASSERT_EQUAL(f.closes, 1);
	close(fd);
	fixture_close(&f);
}

/* Peers that do not read, each within its own limit: together they are over the sum, and a third has to wait. */
static void test_unread_output_of_all_is_bounded(void)
{
	struct server_config config = fixture_config();
	struct fixture f;
	size_t size;
	uint8_t *frame = make_frame(0, &size);
	int fds[3];

	config.output_bytes_max = 128 * 1024 * 1024; /* A quarter is far above what one gets here. */
	config.output_total_max = 4 * 1024 * 1024;
	fixture_open(&f, &config);
	f.mode = FLOOD;
	f.flood_size = 12 * 1024 * 1024;
	for (uint32_t i = 0; i < 3; i++) {
		fds[i] = dial(server_port(f.server));
		put(&f, fds[i], frame, size);
		CU_ASSERT(TURN_UNTIL(f.loop, f.frames == i + 1));
	}
	for (int i = 0; i < 3; i++)
		put(&f, fds[i], frame, size);
	for (int i = 0; i < 20; i++)
		loop_turn(f.loop, 1);
	CU_ASSERT_EQUAL(f.frames, 3); /* Alone, each would have been served again: see the limit. */
	CU_ASSERT_EQUAL(f.closes, 0);
	free(frame);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	fixture_close(&f);
}

/* What peers that left had not read is free again, as often as one likes: another one is not made to wait for them. */
static void test_unread_output_of_those_who_left_is_free(void)
{
	struct server_config config = fixture_config();
	struct fixture f;
	size_t size;
	uint8_t *frame = make_frame(0, &size);

	config.output_bytes_max = 128 * 1024 * 1024;
	config.output_total_max = 16 * 1024 * 1024;
	fixture_open(&f, &config);
	f.mode = FLOOD;
	f.flood_size = 12 * 1024 * 1024;
	for (uint32_t i = 0; i < 10; i++) {
		int fd = dial(server_port(f.server));

		put(&f, fd, frame, size);
		CU_ASSERT(TURN_UNTIL(f.loop, f.frames == i + 1));
		close(fd);
		CU_ASSERT(TURN_UNTIL(f.loop, f.closes == i + 1));
	}
	int fd = dial(server_port(f.server));
	put(&f, fd, frame, size);
	CU_ASSERT(TURN_UNTIL(f.loop, f.frames == 11));
	put(&f, fd, frame, size);
	CU_ASSERT(TURN_UNTIL(f.loop, f.frames == 12));
	free(frame);
	close(fd);
	fixture_close(&f);
}

/* Frames begun and not finished, each within its limit: who holds most of the memory goes, the others finish theirs. */
static void test_begun_frames_of_all_are_bounded(void)
{
	static const size_t begun[] = { 20 * 1000, 50 * 1000, 30 * 1000 };
	struct server_config config = fixture_config();
	struct fixture f;
	size_t size;
	uint8_t *frame = make_frame(60 * 1000, &size), *back = malloc(size);
	size_t begun_late = 35 * 1000;
	int fds[3];

	config.input_total_max = 90 * 1000; /* The second begun frame, with either other one, would still fit. */
	fixture_open(&f, &config);
	for (int i = 0; i < 3; i++) {
		fds[i] = dial(server_port(f.server));
		put(&f, fds[i], frame, begun[i]);
	}
	CU_ASSERT(hangs_up(&f, fds[1]));
	close(fds[1]);
	CU_ASSERT_EQUAL(f.closes, 1);
	CU_ASSERT_EQUAL(server_connection_count(f.server), 2);
	/* What the closed one held is free again, as often as one likes. */
	for (int round = 0; round < 10; round++) {
		int late = dial(server_port(f.server));

		put(&f, late, frame, begun_late);
		CU_ASSERT(TURN_UNTIL(f.loop, server_connection_count(f.server) == 3));
		close(late);
		CU_ASSERT(TURN_UNTIL(f.loop, server_connection_count(f.server) == 2));
	}
	CU_ASSERT_EQUAL(f.closes, 11);
	fds[1] = dial(server_port(f.server));
	put(&f, fds[1], frame, begun_late);
	for (int i = 0; i < 10; i++)
		loop_turn(f.loop, 1);
	put(&f, fds[1], frame + begun_late, size - begun_late);
	CU_ASSERT(get(&f, fds[1], back, size));
	for (int i = 0; i < 3; i += 2) {
		put(&f, fds[i], frame + begun[i], size - begun[i]);
		CU_ASSERT(get(&f, fds[i], back, size));
		CU_ASSERT_EQUAL(memcmp(back, frame, size), 0);
	}
	CU_ASSERT_EQUAL(f.frames, 3);
	free(back);
	free(frame);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	fixture_close(&f);
}

/* Not by as many as there may be connections: the log's segments have descriptors, too. */
static void test_descriptor_limit_is_raised(void)
{
	struct server_config config = fixture_config();
	struct rlimit before, low, after;
	struct fixture f;

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 64;
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &low), 0);
	config.connections_max = 300;
	fixture_open(&f, &config);
	CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &after), 0);
	CU_ASSERT_EQUAL(after.rlim_cur, after.rlim_max);
	CU_ASSERT_EQUAL(after.rlim_max, before.rlim_max);
	fixture_close(&f);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
}

enum { FEW_DESCRIPTORS = 64, MANY_PEERS = 100 };

/* A process of its own, with a hard limit: serves until all peers have come, and gives how many it has kept. */
static int serve_with_few_descriptors(int tell_port)
{
	struct server_config config = fixture_config();
	struct rlimit few = { FEW_DESCRIPTORS, FEW_DESCRIPTORS };
	struct fixture f;

	if (setrlimit(RLIMIT_NOFILE, &few) != 0)
		return 0;
	config.connections_max = 3 * MANY_PEERS;
	fixture_open(&f, &config);
	uint16_t port = server_port(f.server);
	if (write(tell_port, &port, sizeof(port)) != sizeof(port) ||
	    !TURN_UNTIL(f.loop, server_connection_count(f.server) + f.closes == MANY_PEERS))
		return 0;
	return (int)server_connection_count(f.server);
}

/* Peers that take all descriptors would leave the log none for its next segment, which ends the broker. */
static void test_connections_leave_descriptors_to_others(void)
{
	int pipes[2], peers[MANY_PEERS], result = 0;
	uint16_t port = 0;

	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	pid_t child = fork();
	if (child == 0)
		_exit(serve_with_few_descriptors(pipes[1]));
	close(pipes[1]);
	CU_ASSERT_EQUAL_FATAL(read(pipes[0], &port, sizeof(port)), sizeof(port));
	for (int i = 0; i < MANY_PEERS; i++)
		peers[i] = dial(port);
	CU_ASSERT_EQUAL_FATAL(waitpid(child, &result, 0), child);
	CU_ASSERT_TRUE(WIFEXITED(result));
	CU_ASSERT_EQUAL(WEXITSTATUS(result), FEW_DESCRIPTORS / 2);
	for (int i = 0; i < MANY_PEERS; i++)
		close(peers[i]);
	close(pipes[0]);
}

static void test_port_taken_and_bad_address_are_named(void)
{
	struct server_config config = fixture_config();
	struct server_callbacks callbacks = { NULL, fixture_on_frame, NULL };
	struct server *second = NULL;
	struct fixture f;
	struct errinfo err;

	fixture_open(&f, &config);
	config.port = server_port(f.server);
	CU_ASSERT_EQUAL(server_create(f.loop, &config, &callbacks, &second, &err), ST_IO);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "127.0.0.1:"));
	config.bind_address = "localhost.example";
	CU_ASSERT_EQUAL(server_create(f.loop, &config, &callbacks, &second, &err), ST_INVALID);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "localhost.example"));
	CU_ASSERT_PTR_NULL(second);
	fixture_close(&f);
}

/* A port that nobody has: of a server that is gone again. */
static uint16_t free_port(void)
{
	struct server_config config = fixture_config();
	struct fixture f;

	fixture_open(&f, &config);
	uint16_t port = server_port(f.server);
	fixture_close(&f);
	return port;
}

static void test_a_second_port_leads_to_the_same_server(void)
{
	struct server_config config = fixture_config();
	struct fixture f, other;
	size_t size;
	uint8_t *frame = make_frame(0, &size), back[16];

	config.second_port = free_port();
	fixture_open(&f, &config);
	int fd = dial(server_port(f.server)), fast = dial(config.second_port);
	put(&f, fast, frame, size);
	CU_ASSERT(get(&f, fast, back, size));
	put(&f, fd, frame, size);
	CU_ASSERT(get(&f, fd, back, size));
	CU_ASSERT_EQUAL(server_connection_count(f.server), 2);
	/* Taken: the other server goes without. */
	fixture_open(&other, &config);
	CU_ASSERT_NOT_EQUAL(server_port(other.server), config.second_port);
	fixture_close(&other);
	free(frame);
	close(fast);
	close(fd);
	fixture_close(&f);
}

static void test_every_port_accepts_again_when_there_are_descriptors(void)
{
	struct server_config config = fixture_config();
	struct fixture f;
	size_t size;
	uint8_t *frame = make_frame(0, &size), back[16];

	config.second_port = free_port();
	fixture_open(&f, &config);
	uint16_t ports[] = { server_port(f.server), config.second_port };
	failing_accepts = 1;
	for (int i = 0; i < 2; i++) {
		int fd = dial(ports[i]);

		CU_ASSERT(TURN_UNTIL(f.loop, failing_accepts == 0));
		put(&f, fd, frame, size);
		CU_ASSERT(get(&f, fd, back, size));
		close(fd);
	}
	free(frame);
	fixture_close(&f);
}

static void test_an_ipv4_peer_of_a_socket_for_both_has_its_ipv4_address(void)
{
	struct socket_address address;
	struct peer_address peer = { 0 };

	CU_ASSERT_EQUAL(address_of_literal("::ffff:10.1.2.3", 4711, &address, NULL), ST_OK);
	address_describe(&address.storage, &peer);
	CU_ASSERT_EQUAL(peer.ip_size, 4);
	CU_ASSERT_EQUAL(get_u32(peer.ip), 0x0A010203);
	CU_ASSERT_STRING_EQUAL(peer.text, "10.1.2.3:4711");
	CU_ASSERT_EQUAL(address_of_literal("2001:db8::1", 4711, &address, NULL), ST_OK);
	address_describe(&address.storage, &peer);
	CU_ASSERT_EQUAL(peer.ip_size, 16);
	CU_ASSERT_STRING_EQUAL(peer.text, "[2001:db8::1]:4711");
}

static void test_stop_accepting_serves_who_is_there(void)
{
	struct server_config config = fixture_config();
	struct fixture f;
	size_t size;
	uint8_t *frame = make_frame(0, &size), back[16];

	fixture_open(&f, &config);
	int fd = dial(server_port(f.server));
	put(&f, fd, frame, size);
	CU_ASSERT_FATAL(get(&f, fd, back, size));
	server_stop_accepting(f.server);
	int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(server_port(f.server)),
				  .sin_addr = { htonl(INADDR_LOOPBACK) } };
	CU_ASSERT_EQUAL(connect(late, (struct sockaddr *)&to, sizeof(to)), -1);
	put(&f, fd, frame, size);
	CU_ASSERT(get(&f, fd, back, size));
	free(frame);
	close(late);
	close(fd);
	fixture_close(&f);
	CU_ASSERT_EQUAL(f.closes, 1);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_pipelined_frames_are_answered_in_order),
		CHECK_TEST(test_frame_in_random_pieces_is_one_frame),
		CHECK_TEST(test_frame_of_the_greatest_size_passes_one_more_byte_closes),
		CHECK_TEST(test_hostile_bytes_close_their_connection_only),
		CHECK_TEST(test_close_inside_a_callback_ends_the_frames),
		CHECK_TEST(test_on_close_may_write_to_and_close_another),
		CHECK_TEST(test_ids_are_not_used_again),
		CHECK_TEST(test_connections_over_a_limit_are_closed),
		CHECK_TEST(test_reader_that_does_not_read_makes_its_requests_wait),
		CHECK_TEST(test_output_over_the_limit_closes),
		CHECK_TEST(test_many_requests_at_once_wait_for_room),
		CHECK_TEST(test_rest_of_a_frame_has_a_deadline),
		CHECK_TEST(test_rest_of_a_frame_may_wait_as_long_as_we_do_not_read),
		CHECK_TEST(test_time_passes_between_connections),
		CHECK_TEST(test_idle_connection_is_closed),
		CHECK_TEST(test_unread_output_of_all_is_bounded),
		CHECK_TEST(test_unread_output_of_those_who_left_is_free),
		CHECK_TEST(test_begun_frames_of_all_are_bounded),
		CHECK_TEST(test_descriptor_limit_is_raised),
		CHECK_TEST(test_connections_leave_descriptors_to_others),
		CHECK_TEST(test_port_taken_and_bad_address_are_named),
		CHECK_TEST(test_a_second_port_leads_to_the_same_server),
		CHECK_TEST(test_every_port_accepts_again_when_there_are_descriptors),
		CHECK_TEST(test_an_ipv4_peer_of_a_socket_for_both_has_its_ipv4_address),
		CHECK_TEST(test_stop_accepting_serves_who_is_there),
	};
	return check_main("server", tests, sizeof(tests) / sizeof(tests[0]));
}
