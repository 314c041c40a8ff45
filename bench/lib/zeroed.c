/* See zeroed.h. */
#include "bench/lib/zeroed.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 1024 * 1024 };

static enum status write_at(int fd, const uint8_t *data, size_t size, size_t at, struct errinfo *err)
{
	while (size > 0) {
		ssize_t n = pwrite(fd, data, size, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return errinfo_set(err, errno == ENOSPC ? ST_FULL : ST_IO, "write at %zu: %s", at, strerror(errno));
		data += n;
		at += (size_t)n;
		size -= (size_t)n;
	}
	return ST_OK;
}

enum status zeroed_open(struct zeroed *file, const char *path, size_t size, struct errinfo *err)
{
	enum status status = ST_OK;
	uint8_t *zeros = calloc(1, CHUNK);

	if (zeros == NULL)
		return errinfo_set(err, ST_NOMEM, "open %s: out of memory", path);
	file->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	file->size = size;
	file->at = 0;
	if (file->fd < 0)
		status = errinfo_set(err, ST_IO, "open: %s", strerror(errno));
	for (size_t at = 0; at < size && status == ST_OK; at += CHUNK)
		status = write_at(file->fd, zeros, size - at < CHUNK ? size - at : CHUNK, at, err);
	if (status == ST_OK && fsync(file->fd) != 0)
		status = errinfo_set(err, ST_IO, "fsync: %s", strerror(errno));
	free(zeros);
	if (status == ST_OK)
		return ST_OK;
	zeroed_close(file);
	return errinfo_wrap(err, status, "zero-fill %s", path);
}

enum status zeroed_append(struct zeroed *file, const void *data, size_t size, struct errinfo *err)
{
	assert(size <= file->size);
	if (file->at + size > file->size)
		file->at = 0;
	enum status status = write_at(file->fd, data, size, file->at, err);
	if (status == ST_OK && fdatasync(file->fd) != 0)
		status = errinfo_set(err, ST_IO, "fdatasync: %s", strerror(errno));
	file->at += size;
	return status;
}

void zeroed_close(struct zeroed *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}
