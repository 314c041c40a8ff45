#include "lib/net/output.h"

#include <errno.h>
#include <sys/socket.h>

enum status output_send(int fd, struct buffer *out, bool *progress)
{
	if (progress != NULL)
		*progress = false;
	while (buffer_size(out) > 0) {
		struct span rest = buffer_span(out);
		ssize_t sent = send(fd, rest.data, rest.size, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN ? ST_AGAIN : ST_CLOSED;
		buffer_consume(out, (size_t)sent);
		if (progress != NULL)
			*progress = true;
		if ((size_t)sent < rest.size)
			return ST_AGAIN;
	}
	return ST_OK;
}
