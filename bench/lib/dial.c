/* See dial.h. */
#include "bench/lib/dial.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CALL_TIMEOUT_MS = 5000, READ_SIZE = 65536 };

int64_t dial_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

enum status dial_connect(const char *address, int *fd_out, struct errinfo *err)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	const char *colon = strrchr(address, ':');
	struct addrinfo *found;
	char host[DIAL_ADDRESS_SIZE];
	int one = 1;

	if (colon == NULL || colon == address || (size_t)(colon - address) >= sizeof(host))
		return errinfo_set(err, ST_INVALID, "address '%s': host:port expected", address);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
	int error = getaddrinfo(host, colon + 1, &hints, &found);
	if (error != 0)
		return errinfo_set(err, ST_INVALID, "address '%s': %s", address, gai_strerror(error));
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	error = fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ? errno : 0;
	freeaddrinfo(found);
	if (error == 0) {
		*fd_out = fd;
		return ST_OK;
	}
	if (fd >= 0)
		close(fd);
	return errinfo_set(err, ST_IO, "connect to %s: %s", address, strerror(error));
}

static enum status wait_for(int fd, short events, int64_t deadline_ns, struct errinfo *err)
{
	struct pollfd poller = { .fd = fd, .events = events };
	int64_t left_ms = (deadline_ns - dial_now_ns()) / 1000000;

	if (left_ms > 0 && poll(&poller, 1, (int)left_ms) == 1)
		return ST_OK;
	return errinfo_set(err, ST_TIMEOUT, "no answer within %d ms", CALL_TIMEOUT_MS);
}

enum status dial_call(int fd, struct buffer *request, struct buffer *answer, struct header *header,
		      struct errinfo *err)
{
	int64_t deadline = dial_now_ns() + (int64_t)CALL_TIMEOUT_MS * 1000000;
	const char *reason;

	while (buffer_size(request) > 0) {
		ssize_t n = send(fd, request->data + request->start, buffer_size(request), MSG_NOSIGNAL);
		if (n <= 0)
			return errinfo_set(err, ST_IO, "send: %s", strerror(errno));
		buffer_consume(request, (size_t)n);
	}
	buffer_reset(answer);
	for (;;) {
		size_t size = frames_next(buffer_span(answer));
		if (size == SIZE_MAX)
			return errinfo_set(err, ST_INVALID, "the answer is no frame of the remoting protocol");
		if (size != 0 && size <= buffer_size(answer)) {
			if (frames_scan((struct span){ answer->data, size }, header, &reason))
				return ST_OK;
			return errinfo_set(err, ST_INVALID, "the answer has %s", reason);
		}
		uint8_t *room = buffer_reserve(answer, READ_SIZE);
		if (room == NULL)
			return errinfo_set(err, ST_NOMEM, "answer: out of memory");
		enum status status = wait_for(fd, POLLIN, deadline, err);
		if (status != ST_OK)
			return status;
		ssize_t n = recv(fd, room, READ_SIZE, 0);
		if (n <= 0)
			return errinfo_set(err, ST_CLOSED, "receive: %s", n == 0 ? "closed by the peer" : strerror(errno));
		buffer_commit(answer, (size_t)n);
	}
}

static enum status parse_route(struct span body, struct route *out, struct errinfo *err)
{
	cJSON *root = cJSON_ParseWithLength((const char *)body.data, body.size);
	const cJSON *item;

	memset(out, 0, sizeof(*out));
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "brokerDatas")) {
		const cJSON *addresses = cJSON_GetObjectItemCaseSensitive(item, "brokerAddrs");
		const char *master = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(addresses, "0"));
		if (master != NULL && out->broker_count < DIAL_BROKERS_MAX && strlen(master) < DIAL_ADDRESS_SIZE)
			strcpy(out->brokers[out->broker_count++], master);
	}
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, "queueDatas")) {
		double queues = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(item, "writeQueueNums"));
		if (queues >= 1 && (out->queue_count == 0 || queues < out->queue_count))
			out->queue_count = (uint32_t)queues;
	}
	cJSON_Delete(root);
	if (out->broker_count == 0 || out->queue_count == 0)
		return errinfo_set(err, ST_NOTFOUND, "the route names no master with a queue to write to");
	return ST_OK;
}

enum status dial_route(const char *name_server, const char *topic, struct route *out, struct errinfo *err)
{
	const char *const names[] = { topic, "TBW102" };
	struct buffer request, answer;
	struct header header;
	int fd;
	enum status status = dial_connect(name_server, &fd, err);

	if (status != ST_OK)
		return status;
	buffer_init(&request, 0);
	buffer_init(&answer, FRAME_LIMIT);
	for (uint32_t i = 0; i < 2; i++) {
		if (!frames_put_route_request(&request, OPAQUE_BASE + i, names[i]))
			status = errinfo_set(err, ST_NOMEM, "route request: out of memory");
		else
			status = dial_call(fd, &request, &answer, &header, err);
		if (status != ST_OK || header.code != RESPONSE_TOPIC_NOT_EXIST)
			break;
	}
	if (status == ST_OK && header.code != 0)
		status = errinfo_set(err, ST_NOTFOUND, "code %d: %.*s", header.code, SPAN_ARGS(header.remark));
	else if (status == ST_OK)
		status = parse_route(header.body, out, err);
	buffer_deinit(&request);
	buffer_deinit(&answer);
	close(fd);
	return status == ST_OK ? ST_OK : errinfo_wrap(err, status, "route of %s from %s", topic, name_server);
}
