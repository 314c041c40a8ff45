#include "lib/net/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum status address_of_literal(const char *literal, uint16_t port, struct socket_address *out, struct errinfo *err)
{
	struct sockaddr_in *in = (void *)&out->storage;
	struct sockaddr_in6 *in6 = (void *)&out->storage;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, literal, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		out->size = sizeof(*in);
		return ST_OK;
	}
	if (inet_pton(AF_INET6, literal, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		out->size = sizeof(*in6);
		return ST_OK;
	}
	return errinfo_set(err, ST_INVALID, "\"%.100s\" is not an IPv4 or IPv6 address", literal);
}

enum status address_resolve(const char *host_port, struct socket_address out[ADDRESS_CANDIDATES_MAX], int *count,
			    struct errinfo *err)
{
	char host[ADDRESS_SIZE];
	const char *colon = strrchr(host_port, ':');
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;

	*count = 0;
	if (colon == NULL || colon == host_port || strlen(host_port) >= sizeof(host))
		return errinfo_set(err, ST_INVALID, "address \"%.100s\" is not host:port", host_port);
	size_t size = (size_t)(colon - host_port);
	bool brackets = size > 2 && host_port[0] == '[' && host_port[size - 1] == ']';
	memcpy(host, host_port + brackets, size - 2 * (size_t)brackets);
	host[size - 2 * (size_t)brackets] = '\0';
	int error = getaddrinfo(host, colon + 1, &hints, &found);
	if (error != 0)
		return errinfo_set(err, ST_IO, "resolve %.100s: %s", host_port, gai_strerror(error));
	for (const struct addrinfo *at = found; at != NULL && *count < ADDRESS_CANDIDATES_MAX; at = at->ai_next) {
		struct socket_address *address = &out[(*count)++];

		memcpy(&address->storage, at->ai_addr, at->ai_addrlen);
		address->size = at->ai_addrlen;
	}
	freeaddrinfo(found);
	return ST_OK;
}

void address_describe(const struct sockaddr_storage *from, struct peer_address *out)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)from;

		memcpy(out->ip, &in->sin_addr, 4);
		out->ip_size = 4;
		out->port = ntohs(in->sin_port);
	} else {
		const struct sockaddr_in6 *in6 = (const void *)from;
		bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);

		out->ip_size = mapped ? 4 : 16;
		memcpy(out->ip, (const uint8_t *)&in6->sin6_addr + (mapped ? 12 : 0), out->ip_size);
		out->port = ntohs(in6->sin6_port);
	}
	inet_ntop(out->ip_size == 4 ? AF_INET : AF_INET6, out->ip, text, sizeof(text));
	snprintf(out->text, sizeof(out->text), out->ip_size == 4 ? "%s:%u" : "[%s]:%u", text, out->port);
}
