/* A socket that takes one connection and leaves the others waiting, as a host does that swallows what is sent to it. The one is
 * made here. */
#ifndef ESCROW_TESTS_CLOSED_DOOR_H
#define ESCROW_TESTS_CLOSED_DOOR_H

#include <CUnit/CUnit.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct closed_door {
	int listener, first;
	char address[64];
};

/* `port` 0: any that is free. */
static inline void shut_door(struct closed_door *door, const char *ip, uint16_t port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct timeval limit = { 20, 0 };
	socklen_t size = sizeof(address);

	inet_pton(AF_INET, ip, &address.sin_addr);
	door->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(door->listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	CU_ASSERT_EQUAL_FATAL(bind(door->listener, (struct sockaddr *)&address, size), 0);
	CU_ASSERT_EQUAL_FATAL(listen(door->listener, 0), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(door->listener, (struct sockaddr *)&address, &size), 0);
	snprintf(door->address, sizeof(door->address), "%s:%d", ip, ntohs(address.sin_port));
	door->first = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(connect(door->first, (struct sockaddr *)&address, size), 0);
}

/* Lets nobody in. */
static inline void leave_door(struct closed_door *door)
{
	close(door->first);
	close(door->listener);
}

#endif
