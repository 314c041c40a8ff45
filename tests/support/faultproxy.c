#include "tests/support/faultproxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/check.h"

struct faultproxy {
	int listener;
	unsigned port, target_port;
	pthread_t acceptor;
	atomic_int cut_permille, delay_permille, connections, stopping;
	uint64_t random; /* The acceptor's. */
};

struct link {
	struct faultproxy *proxy;
	int ends[2];
	uint64_t random;
};

/* One chunk from end i to the other. False: the connection is over, by the peers' will or by ours. */
static int pass(struct link *link, int i)
{
	uint8_t chunk[16 * 1024];
	ssize_t got = recv(link->ends[i], chunk, sizeof(chunk), 0);
	uint64_t dice = check_random(&link->random) % 1000;

	if (got <= 0)
		return 0;
	if (dice < (uint64_t)link->proxy->cut_permille) {
		/* A part arrives, the rest is lost. */
		(void)(send(link->ends[1 - i], chunk, (size_t)got / 2, MSG_NOSIGNAL) < 0);
		return 0;
	}
	if (dice < (uint64_t)(link->proxy->cut_permille + link->proxy->delay_permille))
		usleep((useconds_t)(check_random(&link->random) % 100000));
	for (ssize_t sent = 0; sent < got;) {
		ssize_t n = send(link->ends[1 - i], chunk + sent, (size_t)(got - sent), MSG_NOSIGNAL);

		if (n <= 0)
			return 0;
		sent += n;
	}
	return 1;
}

static void *link_main(void *context)
{
	struct link *link = context;
	struct pollfd fds[2] = { { link->ends[0], POLLIN, 0 }, { link->ends[1], POLLIN, 0 } };

	while (!link->proxy->stopping) {
		if (poll(fds, 2, 50) < 0 && errno != EINTR)
			break;
		if ((fds[0].revents != 0 && !pass(link, 0)) || (fds[1].revents != 0 && !pass(link, 1)))
			break;
	}
	close(link->ends[0]);
	close(link->ends[1]);
	link->proxy->connections--;
	free(link);
	return NULL;
}

static int connect_target(unsigned port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
		close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return fd;
}

static void start_link(struct faultproxy *proxy, int client)
{
	int target = connect_target(proxy->target_port);
	struct link *link = target < 0 ? NULL : calloc(1, sizeof(*link));
	pthread_t thread;

	if (link == NULL) {
		close(client);
		if (target >= 0)
			close(target);
		return;
	}
	*link = (struct link){ proxy, { client, target }, check_random(&proxy->random) };
	proxy->connections++;
	if (pthread_create(&thread, NULL, link_main, link) != 0)
		abort();
	pthread_detach(thread);
}

static void *accept_main(void *context)
{
	struct faultproxy *proxy = context;

	while (!proxy->stopping) {
		struct pollfd fd = { proxy->listener, POLLIN, 0 };

		if (poll(&fd, 1, 50) <= 0)
			continue;
		int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC);
		if (client >= 0)
			start_link(proxy, client);
	}
	return NULL;
}

struct faultproxy *faultproxy_start(unsigned target_port, uint64_t seed)
{
	struct faultproxy *proxy = calloc(1, sizeof(*proxy));
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t size = sizeof(at);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (proxy == NULL)
		abort();
	proxy->target_port = target_port;
	proxy->random = seed;
	proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(proxy->listener, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(proxy->listener, 64) != 0 ||
	    getsockname(proxy->listener, (struct sockaddr *)&at, &size) != 0 ||
	    pthread_create(&proxy->acceptor, NULL, accept_main, proxy) != 0) {
		perror("faultproxy");
		exit(2);
	}
	proxy->port = ntohs(at.sin_port);
	return proxy;
}

unsigned faultproxy_port(const struct faultproxy *proxy)
{
	return proxy->port;
}

void faultproxy_set(struct faultproxy *proxy, int cut_permille, int delay_permille)
{
	proxy->cut_permille = cut_permille;
	proxy->delay_permille = delay_permille;
}

void faultproxy_stop(struct faultproxy *proxy)
{
	proxy->stopping = 1;
	pthread_join(proxy->acceptor, NULL);
	while (proxy->connections > 0)
		usleep(1000);
	close(proxy->listener);
	free(proxy);
}
