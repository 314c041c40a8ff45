/* See echo.h. */
#include "bench/lib/echo.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/lib/frames.h"
#include "bench/lib/zeroed.h"

enum { READ_SIZE = 1024 * 1024, EVENTS_MAX = 128, CONNECTIONS_MAX = 10000, LOG_BATCH_MAX = 64 * 1024 * 1024 };
/* Queue offsets start here so that they have thirteen digits always. */
#define FIRST_OFFSET 1000000000000ULL

struct peer {
	int fd;
	uint32_t place;           /* In the server's list. */
	bool blocked;
	bool closed;              /* Freed after the turn: later events of it may be at hand. */
	struct buffer partial;
	struct buffer replies[2]; /* [server->filling] waits for the next batch, the other for the one being synced. */
	struct buffer out;
};

struct server {
	int epoll, listener, signals;
	struct peer **peers;
	uint32_t peer_count;
	uint8_t *input;
	struct buffer half_answer; /* Templates. */
	struct buffer plain_answer;
	size_t half_offset_at, half_key_at, half_queue_at, half_opaque_at, plain_opaque_at;
	uint64_t halves;
	/* The log; unused without one. */
	bool has_log;
	struct zeroed file;
	struct buffer log[2];
	int filling;
	bool syncing;            /* The loop's view: log[1 - filling] is with the flusher. */
	int synced;              /* eventfd: the flusher is done. */
	pthread_t flusher;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool job, stop;          /* Under lock. */
	enum status log_status;  /* Set by the flusher before it signals. */
	struct errinfo log_error;
};

/* --- the flusher ------------------------------------------------------------------------------------ */

static void *flusher_main(void *context)
{
	struct server *s = context;
	const uint64_t one = 1;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->job && !s->stop)
			pthread_cond_wait(&s->wake, &s->lock);
		if (!s->job)
			break;
		s->job = false;
		pthread_mutex_unlock(&s->lock);
		/* `filling` does not change while a batch is here. */
		struct span batch = buffer_span(&s->log[1 - s->filling]);
		s->log_status = zeroed_append(&s->file, batch.data, batch.size, &s->log_error);
		ssize_t n = write(s->synced, &one, sizeof(one));
		assert(n == sizeof(one));
		(void)n;
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void hand_to_flusher(struct server *s)
{
	if (s->syncing || buffer_size(&s->log[s->filling]) == 0)
		return;
	s->filling = 1 - s->filling;
	s->syncing = true;
	pthread_mutex_lock(&s->lock);
	s->job = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

/* --- answers ---------------------------------------------------------------------------------------- */

static size_t place(struct buffer *b, const char *text, size_t size)
{
	buffer_append_text(b, text);
	size_t at = buffer_size(b);
	for (size_t i = 0; i < size; i++)
		buffer_put_u8(b, '0');
	return at;
}

static void finish(struct buffer *b)
{
	if (b->failed)
		return;
	put_u32(b->data, (uint32_t)(buffer_size(b) - 4));
	put_u32(b->data + 4, (uint32_t)(buffer_size(b) - 8));
}

static enum status make_answers(struct server *s, struct errinfo *err)
{
	struct buffer *b = &s->half_answer;

	buffer_init(b, 0);
	buffer_put_u64(b, 0);
	s->half_offset_at = place(b, "{\"code\":0,\"extFields\":{\"queueId\":\"0\",\"TRACE_ON\":\"true\",\"MSG_REGION\":"
				     "\"DefaultRegion\",\"msgId\":\"7F00000100002A9F", 16);
	s->half_key_at = place(b, "\",\"transactionId\":\"", UNIQ_KEY_SIZE);
	s->half_queue_at = place(b, "\",\"queueOffset\":\"", 13);
	s->half_opaque_at = place(b, "\"},\"flag\":1,\"language\":\"JAVA\",\"opaque\":", 10);
	buffer_append_text(b, ",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":479}");
	finish(b);
	buffer_init(&s->plain_answer, 0);
	buffer_put_u64(&s->plain_answer, 0);
	s->plain_opaque_at = place(&s->plain_answer, "{\"code\":0,\"flag\":1,\"language\":\"JAVA\",\"opaque\":", 10);
	buffer_append_text(&s->plain_answer, ",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":479}");
	finish(&s->plain_answer);
	if (b->failed || s->plain_answer.failed)
		return errinfo_set(err, ST_NOMEM, "answer templates: out of memory");
	return ST_OK;
}

static bool answer_half(struct server *s, struct buffer *out, const struct header *request)
{
	static const char mark[] = "UNIQ_KEY\\u0001";
	size_t size = buffer_size(&s->half_answer);
	uint8_t *p = buffer_reserve(out, size);
	const uint8_t *key = request->properties.size == 0 ? NULL :
		memmem(request->properties.data, request->properties.size, mark, sizeof(mark) - 1);

	if (p == NULL)
		return false;
	memcpy(p, s->half_answer.data, size);
	if (key != NULL && key + sizeof(mark) - 1 + UNIQ_KEY_SIZE <= request->properties.data + request->properties.size)
		memcpy(p + s->half_key_at, key + sizeof(mark) - 1, UNIQ_KEY_SIZE);
	/* Decimal digits are hex digits too: any number serves as a log offset here. */
	frames_decimal((char *)p + s->half_offset_at, 16, s->halves * 1500);
	frames_decimal((char *)p + s->half_queue_at, 13, FIRST_OFFSET + s->halves++);
	frames_decimal((char *)p + s->half_opaque_at, 10, request->opaque);
	buffer_commit(out, size);
	return true;
}

static bool answer_plain(const struct server *s, struct buffer *out, const struct header *request)
{
	size_t size = buffer_size(&s->plain_answer);
	uint8_t *p = buffer_reserve(out, size);

	if (p == NULL)
		return false;
	memcpy(p, s->plain_answer.data, size);
	frames_decimal((char *)p + s->plain_opaque_at, 10, request->opaque);
	buffer_commit(out, size);
	return true;
}

/* What a broker would have to make durable for this request. */
static bool log_request(struct server *s, const struct header *request)
{
	static const uint8_t filler[ECHO_HALF_OVERHEAD];
	struct buffer *log = &s->log[s->filling];

	if (request->code == CODE_SEND_V2) {
		buffer_append_span(log, request->body);
		buffer_append(log, filler, ECHO_HALF_OVERHEAD);
	} else {
		buffer_append(log, filler, ECHO_DECISION_SIZE);
	}
	return !log->failed;
}

/* --- connections ------------------------------------------------------------------------------------ */

static bool watch(const struct server *s, int operation, int fd, uint32_t events, void *data)
{
	struct epoll_event event = { .events = events, .data.ptr = data };

	return epoll_ctl(s->epoll, operation, fd, &event) == 0;
}

/* False: close the connection. */
static bool write_peer(const struct server *s, struct peer *p)
{
	while (buffer_size(&p->out) > 0) {
		ssize_t n = send(p->fd, p->out.data + p->out.start, buffer_size(&p->out), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) {
			if (p->blocked)
				return true;
			p->blocked = true;
			return watch(s, EPOLL_CTL_MOD, p->fd, EPOLLIN | EPOLLOUT, p);
		}
		if (n <= 0)
			return false;
		buffer_consume(&p->out, (size_t)n);
	}
	if (!p->blocked)
		return true;
	p->blocked = false;
	return watch(s, EPOLL_CTL_MOD, p->fd, EPOLLIN, p);
}

static bool handle_frame(struct server *s, struct peer *p, struct span frame)
{
	struct header request;
	const char *reason;

	if (!frames_scan(frame, &request, &reason))
		return false;
	bool stored = request.code == CODE_SEND_V2 || request.code == CODE_END_TRANSACTION;
	struct buffer *out = stored && s->has_log ? &p->replies[s->filling] : &p->out;
	if (stored && s->has_log && !log_request(s, &request))
		return false;
	if (request.flag & FLAG_ONEWAY)
		return true;
	return request.code == CODE_SEND_V2 ? answer_half(s, out, &request) : answer_plain(s, out, &request);
}

static bool read_peer(struct server *s, struct peer *p)
{
	size_t kept = buffer_size(&p->partial), at = 0;

	if (kept > 0)
		memcpy(s->input, p->partial.data + p->partial.start, kept);
	buffer_reset(&p->partial);
	ssize_t n = recv(p->fd, s->input + kept, READ_SIZE - kept, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		return false;
	size_t size = kept + (n > 0 ? (size_t)n : 0);
	while (at < size) {
		size_t frame_size = frames_next((struct span){ s->input + at, size - at });
		if (frame_size == SIZE_MAX)
			return false;
		if (frame_size == 0 || frame_size > size - at)
			break;
		if (!handle_frame(s, p, (struct span){ s->input + at, frame_size }))
			return false;
		at += frame_size;
	}
	buffer_append(&p->partial, s->input + at, size - at);
	return !p->partial.failed && (p->blocked || write_peer(s, p));
}

static void peer_free(struct server *s, struct peer *p)
{
	s->peers[p->place] = s->peers[--s->peer_count];
	s->peers[p->place]->place = p->place;
	close(p->fd);
	buffer_deinit(&p->partial);
	buffer_deinit(&p->replies[0]);
	buffer_deinit(&p->replies[1]);
	buffer_deinit(&p->out);
	free(p);
}

static void accept_peer(struct server *s)
{
	int one = 1;
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	struct peer *p = s->peer_count < CONNECTIONS_MAX ? calloc(1, sizeof(*p)) : NULL;
	if (p == NULL || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
	    !watch(s, EPOLL_CTL_ADD, fd, EPOLLIN, p)) {
		free(p);
		close(fd);
		return;
	}
	p->fd = fd;
	buffer_init(&p->partial, READ_SIZE / 2);
	buffer_init(&p->replies[0], 0);
	buffer_init(&p->replies[1], 0);
	buffer_init(&p->out, 0);
	p->place = s->peer_count;
	s->peers[s->peer_count++] = p;
}

/* --- the loop --------------------------------------------------------------------------------------- */

static enum status batch_synced(struct server *s, struct errinfo *err)
{
	uint64_t count;

	if (read(s->synced, &count, sizeof(count)) != sizeof(count))
		return errinfo_set(err, ST_IO, "eventfd: %s", strerror(errno));
	if (s->log_status != ST_OK)
		return errinfo_set(err, s->log_status, "log: %s", s->log_error.text);
	int done = 1 - s->filling;
	s->syncing = false;
	buffer_reset(&s->log[done]);
	for (uint32_t i = 0; i < s->peer_count; i++) {
		struct peer *p = s->peers[i];
		buffer_append_span(&p->out, buffer_span(&p->replies[done]));
		buffer_reset(&p->replies[done]);
		if (!p->closed && !p->blocked && (p->out.failed || !write_peer(s, p)))
			p->closed = true;
	}
	return ST_OK;
}

static void free_closed(struct server *s)
{
	for (uint32_t i = s->peer_count; i-- > 0;)
		if (s->peers[i]->closed)
			peer_free(s, s->peers[i]);
}

static enum status loop(struct server *s, struct errinfo *err)
{
	struct epoll_event events[EVENTS_MAX];
	enum status status = ST_OK;
	bool stop = false;

	while (!stop && status == ST_OK) {
		int count = epoll_wait(s->epoll, events, EVENTS_MAX, -1);
		bool any_closed = false;
		for (int i = 0; i < count && status == ST_OK; i++) {
			void *source = events[i].data.ptr;
			if (source == &s->signals) {
				stop = true;
			} else if (source == &s->listener) {
				accept_peer(s);
			} else if (source == &s->synced) {
				status = batch_synced(s, err);
				any_closed = true;
			} else {
				struct peer *p = source;
				bool fine = !(events[i].events & EPOLLOUT) || write_peer(s, p);
				if (!fine || (events[i].events & ~(uint32_t)EPOLLOUT && !read_peer(s, p)))
					any_closed = p->closed = true;
			}
		}
		if (any_closed)
			free_closed(s);
		if (s->has_log)
			hand_to_flusher(s);
	}
	return status;
}

static enum status open_log(struct server *s, const struct echo_options *options, struct errinfo *err)
{
	s->file.fd = -1;
	if (options->log_path == NULL)
		return ST_OK;
	enum status status = zeroed_open(&s->file, options->log_path, options->log_size, err);
	if (status != ST_OK)
		return status;
	for (int i = 0; i < 2; i++)
		buffer_init(&s->log[i], options->log_size < LOG_BATCH_MAX ? options->log_size : LOG_BATCH_MAX);
	s->synced = eventfd(0, EFD_CLOEXEC);
	if (s->synced < 0 || !watch(s, EPOLL_CTL_ADD, s->synced, EPOLLIN, &s->synced))
		return errinfo_set(err, ST_IO, "eventfd: %s", strerror(errno));
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	int error = pthread_create(&s->flusher, NULL, flusher_main, s);
	if (error != 0)
		return errinfo_set(err, ST_IO, "start the flusher: %s", strerror(error));
	s->has_log = true;
	return ST_OK;
}

static enum status open_sockets(struct server *s, uint16_t port, struct errinfo *err)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	sigset_t signals;
	int one = 1;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->epoll < 0 || s->listener < 0 || sigprocmask(SIG_BLOCK, &signals, NULL) != 0 ||
	    setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    bind(s->listener, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(s->listener, 1024) != 0)
		return errinfo_set(err, ST_IO, "listen on 127.0.0.1:%u: %s", port, strerror(errno));
	s->signals = signalfd(-1, &signals, SFD_CLOEXEC);
	if (s->signals < 0 || !watch(s, EPOLL_CTL_ADD, s->signals, EPOLLIN, &s->signals) ||
	    !watch(s, EPOLL_CTL_ADD, s->listener, EPOLLIN, &s->listener))
		return errinfo_set(err, ST_IO, "signalfd: %s", strerror(errno));
	return ST_OK;
}

static void stop_flusher(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	int error = pthread_join(s->flusher, NULL);
	assert(error == 0);
	(void)error;
}

enum status echo_serve(const struct echo_options *options, struct errinfo *err)
{
	struct server *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return errinfo_set(err, ST_NOMEM, "server: out of memory");
	s->peers = calloc(CONNECTIONS_MAX, sizeof(struct peer *));
	s->input = malloc(READ_SIZE);
	enum status status = s->peers == NULL || s->input == NULL ? errinfo_set(err, ST_NOMEM, "server: out of memory")
								  : make_answers(s, err);
	s->file.fd = -1;
	if (status == ST_OK)
		status = open_sockets(s, options->port, err);
	if (status == ST_OK)
		status = open_log(s, options, err);
	if (status == ST_OK) {
		printf("ready floor 127.0.0.1:%u\n", options->port);
		if (fflush(stdout) != 0)
			status = errinfo_set(err, ST_IO, "standard output: %s", strerror(errno));
		else
			status = loop(s, err);
	}
	if (s->has_log)
		stop_flusher(s);
	while (s->peer_count > 0)
		peer_free(s, s->peers[0]);
	zeroed_close(&s->file);
	/* The process ends here: the kernel closes the loop's descriptors. */
	buffer_deinit(&s->log[0]);
	buffer_deinit(&s->log[1]);
	buffer_deinit(&s->half_answer);
	buffer_deinit(&s->plain_answer);
	free(s->peers);
	free(s->input);
	free(s);
	return status;
}
