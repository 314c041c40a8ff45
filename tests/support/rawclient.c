#include "tests/support/rawclient.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/wire/body_heartbeat.h"
#include "lib/wire/headers.h"
#include "lib/wire/message.h"
#include "lib/wire/msgid.h"
#include "lib/wire/properties.h"

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "rawclient: %s %s: %s\n", what, detail, strerror(errno));
	exit(2);
}

int64_t raw_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- programs --------------------------------------------------------------------------------------------- */

static pid_t spawn(const char *const argv[], int out_fd, const char *err_path)
{
	const char *build = getenv("ESCROW_BUILD");
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", build == NULL ? "build" : build, argv[0]);
	pid_t pid = fork();
	if (pid < 0)
		die("fork", path);
	if (pid > 0)
		return pid;
	/* A test that is stopped or fails half-way leaves no program behind. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	int err = open(err_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (err < 0 || dup2(out_fd, 1) < 0 || dup2(err, 2) < 0)
		_exit(126);
	execv(path, (char *const *)argv);
	_exit(127);
}

struct program program_start(const char *const argv[], const char *log_path)
{
	struct program program = { 0 };
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		die("pipe", argv[0]);
	program.pid = spawn(argv, fds[1], log_path);
	close(fds[1]);
	FILE *out = fdopen(fds[0], "r");
	if (out == NULL || fgets(program.ready, sizeof(program.ready), out) == NULL || strncmp(program.ready, "ready ", 6) != 0) {
		fprintf(stderr, "%s did not start; see %s\n", argv[0], log_path);
		exit(2);
	}
	const char *colon = strrchr(program.ready, ':');
	program.port = colon == NULL ? 0 : (unsigned)strtoul(colon + 1, NULL, 10);
	fclose(out);
	return program;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			die("waitpid", "");
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int program_stop(struct program *program, int signal_number, int64_t *took_ms)
{
	int64_t start = raw_now_ms();

	kill(program->pid, signal_number);
	int code = wait_for(program->pid);
	if (took_ms != NULL)
		*took_ms = raw_now_ms() - start;
	program->pid = 0;
	return code;
}

bool program_alive(const struct program *program)
{
	return waitpid(program->pid, NULL, WNOHANG) == 0;
}

int program_run(const char *const argv[], char *said, size_t said_size)
{
	char path[] = "/tmp/escrow-said-XXXXXX";
	int fd = mkostemp(path, O_APPEND | O_CLOEXEC);

	if (fd < 0)
		die("open", path);
	int code = wait_for(spawn(argv, fd, path));
	off_t size = lseek(fd, 0, SEEK_END), room = (off_t)said_size - 1;
	ssize_t got = pread(fd, said, said_size - 1, size > room ? size - room : 0);
	said[got < 0 ? 0 : got] = '\0';
	close(fd);
	unlink(path);
	return code;
}

/* --- connections ------------------------------------------------------------------------------------------------ */

struct raw {
	int fd;
	int32_t opaque;
	struct encoder encoder;
	struct buffer out;
	struct buffer in;
	size_t in_used; /* Of the command handed out last. */
	struct command command;
	struct command_scratch scratch;
};

struct raw *raw_connect(unsigned port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct raw *raw = calloc(1, sizeof(*raw));
	int on = 1;

	if (raw == NULL)
		die("calloc", "");
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(raw->fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		close(raw->fd);
		free(raw);
		return NULL;
	}
	setsockopt(raw->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	buffer_init(&raw->out, 0);
	buffer_init(&raw->in, 0);
	return raw;
}

struct raw *raw_must_connect(unsigned port)
{
	struct raw *raw = raw_connect(port);

	if (raw == NULL) {
		fprintf(stderr, "cannot connect to port %u\n", port);
		exit(2);
	}
	return raw;
}

void raw_close(struct raw *raw)
{
	if (raw == NULL)
		return;
	close(raw->fd);
	buffer_deinit(&raw->out);
	buffer_deinit(&raw->in);
	free(raw);
}

struct encoder *raw_begin(struct raw *raw, int32_t code, bool oneway)
{
	buffer_reset(&raw->out);
	command_begin(&raw->encoder, &raw->out, SERIALIZE_JSON, code, ++raw->opaque, oneway ? COMMAND_ONEWAY : 0, SPAN_NONE);
	return &raw->encoder;
}

bool raw_send_bytes(struct raw *raw, const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size > 0) {
		ssize_t sent = send(raw->fd, at, size, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		at += sent;
		size -= (size_t)sent;
	}
	return true;
}

bool raw_send(struct raw *raw, int32_t *opaque_out)
{
	if (opaque_out != NULL)
		*opaque_out = raw->opaque;
	if (!command_end(&raw->encoder))
		die("encode", "");
	struct span frame = buffer_span(&raw->out);
	return raw_send_bytes(raw, frame.data, frame.size);
}

/* More bytes, within the time; false: none came or the peer has closed. */
static bool receive_more(struct raw *raw, int64_t deadline)
{
	struct pollfd poll_fd = { raw->fd, POLLIN, 0 };
	int64_t left = deadline - raw_now_ms();
	uint8_t *room = buffer_reserve(&raw->in, 64 * 1024);

	if (room == NULL || left < 0 || poll(&poll_fd, 1, (int)left) <= 0)
		return false;
	ssize_t got = recv(raw->fd, room, 64 * 1024, 0);
	if (got <= 0)
		return false;
	buffer_commit(&raw->in, (size_t)got);
	return true;
}

const struct command *raw_receive(struct raw *raw, int64_t timeout_ms)
{
	int64_t deadline = raw_now_ms() + timeout_ms;
	const char *reason;
	struct errinfo err;
	size_t size;

	buffer_consume(&raw->in, raw->in_used);
	raw->in_used = 0;
	for (;;) {
		enum frame_verdict verdict = frame_scan(buffer_span(&raw->in), 64 << 20, &size, &reason);

		if (verdict == FRAME_COMPLETE)
			break;
		if (verdict == FRAME_BAD || !receive_more(raw, deadline))
			return NULL;
	}
	struct span frame = { raw->in.data + raw->in.start, size };
	if (command_decode(frame, &raw->scratch, &raw->command, &err) != ST_OK)
		die("decode", err.text);
	raw->in_used = size;
	return &raw->command;
}

const struct command *raw_call(struct raw *raw, int64_t timeout_ms)
{
	int64_t deadline = raw_now_ms() + timeout_ms;
	const struct command *command;
	int32_t opaque;

	if (!raw_send(raw, &opaque))
		return NULL;
	while ((command = raw_receive(raw, deadline - raw_now_ms())) != NULL) {
		if (command_is_response(command) && command->opaque == opaque)
			return command;
	}
	return NULL;
}

bool raw_closed(struct raw *raw, int64_t timeout_ms)
{
	struct pollfd poll_fd = { raw->fd, POLLIN, 0 };
	uint8_t byte;

	return poll(&poll_fd, 1, (int)timeout_ms) > 0 && recv(raw->fd, &byte, 1, MSG_PEEK) <= 0;
}

/* --- requests ------------------------------------------------------------------------------------------------------ */

bool raw_heartbeat(struct raw *raw, const char *client_id, const char *group)
{
	struct span groups[] = { span_of(group) };
	struct heartbeat beat = { .client_id = span_of(client_id), .producer_groups = groups, .producer_count = 1 };
	struct encoder *encoder = raw_begin(raw, REQ_HEART_BEAT, false);

	command_body(encoder);
	heartbeat_encode(encoder->out, &beat);
	const struct command *answer = raw_call(raw, 5000);
	return answer != NULL && answer->code == RESP_SUCCESS;
}

static void begin_message(struct raw *raw, const struct raw_message *message)
{
	struct buffer properties;
	struct send_header header = {
		.producer_group = span_of(message->group), .topic = span_of(message->topic), .default_topic = SPAN_LITERAL("TBW102"),
		.default_topic_queue_nums = 4, .queue_id = message->queue_id,
		.sys_flag = message->half ? SYSFLAG_TRANSACTION_PREPARED : 0, .born_timestamp = 1, .max_reconsume_times = -1,
	};

	buffer_init(&properties, 4096);
	if (message->half) {
		property_put(&properties, PROPERTY_TRAN_MSG, SPAN_LITERAL("true"));
		property_put(&properties, PROPERTY_PGROUP, span_of(message->group));
	}
	if (message->delay_level > 0)
		property_put_i64(&properties, PROPERTY_DELAY, message->delay_level);
	property_put(&properties, PROPERTY_UNIQ_KEY, span_of(message->key));
	header.properties = buffer_span(&properties);
	struct encoder *encoder = raw_begin(raw, REQ_SEND_MESSAGE_V2, false);
	send_header_encode(encoder, REQ_SEND_MESSAGE_V2, &header);
	command_body(encoder);
	uint8_t *body = buffer_reserve(encoder->out, message->size);
	memset(body, 'x', message->size);
	buffer_commit(encoder->out, message->size);
	buffer_deinit(&properties);
}

static struct raw_message half_of(const char *group, const char *topic, const char *key, size_t size)
{
	return (struct raw_message){ .group = group, .topic = topic, .key = key, .size = size, .half = true };
}

bool raw_half_post(struct raw *raw, const char *group, const char *topic, const char *key, size_t size)
{
	struct raw_message half = half_of(group, topic, key, size);

	begin_message(raw, &half);
	return raw_send(raw, NULL);
}

bool raw_half_post_many(struct raw *raw, const char *group, const char *topic, const char *key, size_t size, unsigned count)
{
	struct buffer all;
	char text[64];

	buffer_init(&all, 0);
	for (unsigned i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "%s%u", key, i);
		struct raw_message half = half_of(group, topic, text, size);
		begin_message(raw, &half);
		if (!command_end(&raw->encoder))
			die("encode", "");
		buffer_append_span(&all, buffer_span(&raw->out));
	}
	bool sent = raw_send_bytes(raw, all.data + all.start, buffer_size(&all));
	buffer_deinit(&all);
	return sent;
}

int raw_send_message(struct raw *raw, const struct raw_message *message, struct raw_half *out)
{
	struct send_reply_header reply;
	struct host host;
	struct errinfo err;

	begin_message(raw, message);
	const struct command *answer = raw_call(raw, 5000);
	if (answer == NULL || answer->code != RESP_SUCCESS)
		return answer == NULL ? -1 : answer->code;
	if (send_reply_decode(answer, &reply, &err) != ST_OK ||
	    offset_msg_id_decode(reply.msg_id, &host, &out->log_offset) != ST_OK)
		die("answer of a send", err.text);
	out->queue_offset = reply.queue_offset;
	return RESP_SUCCESS;
}

int raw_half_send(struct raw *raw, const char *group, const char *topic, const char *key, size_t size, struct raw_half *out)
{
	struct raw_message half = half_of(group, topic, key, size);

	return raw_send_message(raw, &half, out);
}

int raw_end(struct raw *raw, const char *group, const char *key, const struct raw_half *half, int outcome)
{
	struct end_transaction_header header = {
		.producer_group = span_of(group), .tran_state_table_offset = half->queue_offset,
		.commit_log_offset = half->log_offset, .commit_or_rollback = outcome, .msg_id = span_of(key),
		.transaction_id = span_of(key),
	};

	end_transaction_encode(raw_begin(raw, REQ_END_TRANSACTION, false), &header);
	const struct command *answer = raw_call(raw, 5000);
	return answer == NULL ? -1 : answer->code;
}

bool raw_end_post(struct raw *raw, const char *group, const struct raw_half *half, int outcome)
{
	struct end_transaction_header header = {
		.producer_group = span_of(group), .tran_state_table_offset = half->queue_offset,
		.commit_log_offset = half->log_offset, .commit_or_rollback = outcome,
	};

	end_transaction_encode(raw_begin(raw, REQ_END_TRANSACTION, false), &header);
	return raw_send(raw, NULL);
}

bool raw_answer_check(struct raw *raw, const char *group, const struct check_transaction_header *asked, int outcome)
{
	struct end_transaction_header header = {
		.producer_group = span_of(group), .tran_state_table_offset = asked->tran_state_table_offset,
		.commit_log_offset = asked->commit_log_offset, .commit_or_rollback = outcome, .from_transaction_check = true,
		.msg_id = asked->msg_id, .transaction_id = asked->transaction_id,
	};

	end_transaction_encode(raw_begin(raw, REQ_END_TRANSACTION, true), &header);
	return raw_send(raw, NULL);
}

bool raw_update_queue_offset(struct raw *raw, const char *group, const char *topic, int queue_id, int64_t offset)
{
	struct consumer_offset_header header = { .consumer_group = span_of(group), .topic = span_of(topic), .queue_id = queue_id,
						 .commit_offset = offset };

	update_consumer_offset_encode(raw_begin(raw, REQ_UPDATE_CONSUMER_OFFSET, false), &header);
	const struct command *answer = raw_call(raw, 5000);
	return answer != NULL && answer->code == RESP_SUCCESS;
}

int64_t raw_query_queue_offset(struct raw *raw, const char *group, const char *topic, int queue_id)
{
	struct consumer_offset_header header = { .consumer_group = span_of(group), .topic = span_of(topic), .queue_id = queue_id };
	int64_t offset = -1;

	query_consumer_offset_encode(raw_begin(raw, REQ_QUERY_CONSUMER_OFFSET, false), &header);
	const struct command *answer = raw_call(raw, 5000);
	if (answer == NULL || answer->code != RESP_SUCCESS || offset_reply_decode(answer, &offset, NULL) != ST_OK)
		return -1;
	return offset;
}

bool raw_update_offset(struct raw *raw, const char *group, const char *topic, int64_t offset)
{
	return raw_update_queue_offset(raw, group, topic, 0, offset);
}

int64_t raw_query_offset(struct raw *raw, const char *group, const char *topic)
{
	return raw_query_queue_offset(raw, group, topic, 0);
}

int64_t raw_pull(struct raw *raw, const char *group, const char *topic, int queue_id, int64_t offset, int64_t wait_ms,
		 void (*visit)(void *context, const struct message *message), void *context)
{
	struct pull_header header = { .consumer_group = span_of(group), .topic = span_of(topic), .queue_id = queue_id,
				      .queue_offset = offset, .max_msg_nums = 32, .subscription = SPAN_LITERAL("*"),
				      .sys_flag = PULL_SUBSCRIPTION | (wait_ms > 0 ? PULL_SUSPEND : 0),
				      .suspend_timeout_ms = wait_ms, .max_msg_bytes = -1 };
	struct pull_reply_header reply;
	struct message message;
	struct errinfo err;

	pull_header_encode(raw_begin(raw, REQ_PULL_MESSAGE, false), &header);
	const struct command *answer = raw_call(raw, 5000 + wait_ms);
	if (answer == NULL)
		return -1;
	if (answer->code == RESP_PULL_NOT_FOUND || answer->code == RESP_TOPIC_NOT_EXIST)
		return offset;
	if (answer->code != RESP_SUCCESS && answer->code != RESP_PULL_RETRY_IMMEDIATELY)
		return -1;
	if (pull_reply_decode(answer, &reply, &err) != ST_OK)
		die("answer of a pull", err.text);
	struct span rest = answer->body;
	while (message_next(&rest, &message, &err) == ST_OK)
		visit(context, &message);
	return reply.next_begin_offset;
}

struct key_visit {
	void (*visit)(void *context, struct span key);
	void *context;
	int count;
};

static void visit_key(void *context, const struct message *message)
{
	struct key_visit *keys = context;

	keys->count++;
	if (keys->visit != NULL)
		keys->visit(keys->context, property_get(message->properties, PROPERTY_UNIQ_KEY));
}

int raw_read_queue(struct raw *raw, const char *group, const char *topic, int queue_id,
		   void (*visit)(void *context, struct span key), void *context)
{
	struct key_visit keys = { visit, context, 0 };

	for (int64_t offset = 0;;) {
		int64_t next = raw_pull(raw, group, topic, queue_id, offset, 0, visit_key, &keys);

		if (next < 0)
			return -1;
		if (next == offset)
			return keys.count;
		offset = next;
	}
}

bool raw_has_route(unsigned port, const char *topic)
{
	struct route_header header = { .topic = span_of(topic) };
	struct raw *raw = raw_connect(port);
	bool found = false;

	if (raw != NULL) {
		route_header_encode(raw_begin(raw, REQ_GET_ROUTEINFO_BY_TOPIC, false), &header);
		const struct command *answer = raw_call(raw, 1000);
		found = answer != NULL && answer->code == RESP_SUCCESS;
	}
	raw_close(raw);
	return found;
}
