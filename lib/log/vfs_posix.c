/* See vfs.h. One descriptor a file, positioned reads and writes only, EINTR and short transfers handled here. */
#include "lib/log/vfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { GATHER_MAX = 64 };

struct posix_file {
	struct vfs_file base;
	int fd;
};

static enum status fail(struct errinfo *err, const char *what, const char *path, int code)
{
	enum status status = ST_IO;

	if (code == ENOSPC || code == EDQUOT)
		status = ST_FULL;
	else if (code == ENOENT)
		status = ST_NOTFOUND;
	else if (code == ENOMEM)
		status = ST_NOMEM;
	return errinfo_set(err, status, "%s %s: %s", what, path, strerror(code));
}

static int file_fd(const struct vfs_file *file)
{
	return ((const struct posix_file *)file)->fd;
}

/* NULL: a regular file. */
static const char *other_kind(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG: return NULL;
	case S_IFDIR: return "directory";
	case S_IFIFO: return "FIFO";
	case S_IFSOCK: return "socket";
	case S_IFLNK: return "symbolic link";
	default: return "device";
	}
}

/* As open(2), but of regular files only: *other_out says what else is there, and then there is no descriptor. Without O_NONBLOCK
 * a FIFO would wait for its other end; to regular files it makes no difference. */
static int open_regular(const char *path, int mode, const char **other_out)
{
	struct stat info;
	int fd = open(path, mode | O_NONBLOCK, 0640), code = errno;
	bool known = fd >= 0 ? fstat(fd, &info) == 0 : lstat(path, &info) == 0;

	*other_out = known ? other_kind(info.st_mode) : NULL;
	if (fd >= 0 && *other_out != NULL) {
		(void)close(fd);
		fd = -1;
	}
	errno = code;
	return fd;
}

static enum status open_failure(const char *path, unsigned flags, const char *other, int code, struct errinfo *err)
{
	if (other != NULL)
		return errinfo_set(err, ST_IO, "%s is a %s, not a regular file", path, other);
	/* Without a descriptor there is no new file now, as on a full disk; later perhaps. */
	if ((flags & VFS_CREATE) && (code == EMFILE || code == ENFILE))
		return errinfo_set(err, ST_FULL, "open %s: %s", path, strerror(code));
	return fail(err, "open", path, code);
}

static enum status posix_open(void *context, const char *path, unsigned flags, struct vfs_file **out,
			      struct errinfo *err)
{
	int mode = O_CLOEXEC | O_NOFOLLOW;
	const char *other = NULL;
	struct posix_file *file = malloc(sizeof(*file));
	char *copy = strdup(path);

	(void)context;
	if (file == NULL || copy == NULL) {
		free(file);
		free(copy);
		return errinfo_set(err, ST_NOMEM, "open %s: out of memory", path);
	}
	mode |= (flags & VFS_WRITE) ? O_RDWR : O_RDONLY;
	mode |= (flags & VFS_CREATE) ? O_CREAT : 0;
	mode |= (flags & VFS_TRUNCATE) ? O_TRUNC : 0;
	*file = (struct posix_file){ { vfs_posix(), copy }, open_regular(path, mode, &other) };
	if (file->fd < 0) {
		enum status status = open_failure(path, flags, other, errno, err);
		free(copy);
		free(file);
		return status;
	}
	*out = &file->base;
	return ST_OK;
}

/* A failure of close(2) says nothing that the last sync did not. */
static void posix_close(struct vfs_file *file)
{
	(void)close(file_fd(file));
	free(file->path);
	free(file);
}

static enum status posix_read(struct vfs_file *file, uint64_t offset, void *data, size_t size, size_t *got_out,
			      struct errinfo *err)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = pread(file_fd(file), (uint8_t *)data + got, size - got, (off_t)(offset + got));
		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(err, "read", file->path, errno);
		got += (size_t)n;
	}
	*got_out = got;
	return ST_OK;
}

static enum status posix_read_nowait(struct vfs_file *file, uint64_t offset, void *data, size_t size)
{
	struct iovec piece = { data, size };
	ssize_t n = preadv2(file_fd(file), &piece, 1, (off_t)offset, RWF_NOWAIT);

	/* Some file systems (tmpfs, NFS, ZFS) cannot say what would wait. To come again would never help there. */
	if (n < 0 && errno == EOPNOTSUPP)
		n = pread(file_fd(file), data, size, (off_t)offset);
	return n == (ssize_t)size ? ST_OK : ST_AGAIN;
}

static void posix_read_ahead(struct vfs_file *file, uint64_t offset, uint64_t size)
{
	(void)posix_fadvise(file_fd(file), (off_t)offset, (off_t)size, POSIX_FADV_WILLNEED);
}

static enum status posix_write(struct vfs_file *file, uint64_t offset, const struct vfs_piece *pieces, size_t count,
			       struct errinfo *err)
{
	struct iovec batch[GATHER_MAX];
	size_t piece = 0, done = 0; /* `done` bytes of pieces[piece] are written. */

	while (piece < count) {
		int used = 0;
		for (size_t i = piece; i < count && used < GATHER_MAX; i++, used++) {
			size_t skip = i == piece ? done : 0;
			batch[used].iov_base = (uint8_t *)(uintptr_t)pieces[i].data + skip;
			batch[used].iov_len = pieces[i].size - skip;
		}
		ssize_t n = pwritev(file_fd(file), batch, used, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(err, "write", file->path, errno);
		offset += (size_t)n;
		done += (size_t)n;
		while (piece < count && done >= pieces[piece].size) {
			done -= pieces[piece].size;
			piece++;
		}
		if (n == 0 && piece < count)
			return fail(err, "write", file->path, EIO);
	}
	return ST_OK;
}

static enum status posix_sync(struct vfs_file *file, struct errinfo *err)
{
	if (fdatasync(file_fd(file)) != 0)
		return errinfo_set(err, ST_IO, "sync %s: %s", file->path, strerror(errno));
	return ST_OK;
}

static enum status posix_size(struct vfs_file *file, uint64_t *size_out, struct errinfo *err)
{
	struct stat info;

	if (fstat(file_fd(file), &info) != 0)
		return fail(err, "stat", file->path, errno);
	*size_out = (uint64_t)info.st_size;
	return ST_OK;
}

static enum status posix_rename(void *context, const char *from, const char *to, struct errinfo *err)
{
	(void)context;
	return rename(from, to) == 0 ? ST_OK : fail(err, "rename", from, errno);
}

static enum status posix_unlink(void *context, const char *path, struct errinfo *err)
{
	(void)context;
	return unlink(path) == 0 ? ST_OK : fail(err, "unlink", path, errno);
}

static enum status posix_mkdir(void *context, const char *path, struct errinfo *err)
{
	struct stat info;

	(void)context;
	if (mkdir(path, 0750) == 0)
		return ST_OK;
	if (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode))
		return ST_OK;
	return fail(err, "mkdir", path, errno);
}

static enum status posix_list(void *context, const char *dir, vfs_list_callback callback, void *callback_context,
			      struct errinfo *err)
{
	enum status status = ST_OK;
	DIR *stream = opendir(dir);
	struct dirent *entry;

	(void)context;
	if (stream == NULL)
		return fail(err, "list", dir, errno);
	while (status == ST_OK && (errno = 0, entry = readdir(stream)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			status = callback(callback_context, entry->d_name);
	}
	if (status == ST_OK && errno != 0)
		status = fail(err, "list", dir, errno);
	else if (status != ST_OK)
		errinfo_set(err, status, "list %s: %s", dir, status_text(status));
	(void)closedir(stream);
	return status;
}

/* A name that is not on the disk ends the broker, and a directory cannot be synced without a descriptor: one is kept for the
 * time when all are in use. Any thread. */
static struct {
	pthread_mutex_t lock;
	int fd; /* -1: none. */
} spare = { PTHREAD_MUTEX_INITIALIZER, -1 };

static int open_dir(const char *dir)
{
	enum { FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC };
	int fd = open(dir, FLAGS);

	if (fd < 0 && errno == EMFILE && spare.fd >= 0) {
		(void)close(spare.fd);
		spare.fd = -1;
		fd = open(dir, FLAGS);
	}
	return fd;
}

static void close_dir(int fd)
{
	(void)close(fd);
	if (spare.fd < 0)
		spare.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static enum status posix_sync_dir(void *context, const char *dir, struct errinfo *err)
{
	enum status status = ST_OK;

	(void)context;
	pthread_mutex_lock(&spare.lock);
	int fd = open_dir(dir);
	if (fd < 0)
		status = fail(err, "open", dir, errno);
	else if (fsync(fd) != 0)
		status = errinfo_set(err, ST_IO, "sync directory %s: %s", dir, strerror(errno));
	if (fd >= 0)
		close_dir(fd);
	pthread_mutex_unlock(&spare.lock);
	return status;
}

/* Tells who holds the lock, as far as its file says so. */
static enum status locked(struct vfs_file *file, struct errinfo *err)
{
	char holder[32] = "";
	size_t got = 0;

	if (posix_read(file, 0, holder, sizeof(holder) - 1, &got, NULL) != ST_OK)
		got = 0;
	holder[got] = '\0';
	holder[strcspn(holder, "\n")] = '\0';
	return errinfo_set(err, ST_LOCKED, "%s is locked by process %s: stop it, or choose another store directory",
			   file->path, holder[0] != '\0' ? holder : "(unknown)");
}

static enum status posix_lock(void *context, const char *path, struct vfs_file **out, struct errinfo *err)
{
	struct vfs_file *file;
	enum status status = posix_open(context, path, VFS_WRITE | VFS_CREATE, &file, err);
	char pid[32];

	if (status != ST_OK)
		return status;
	if (flock(file_fd(file), LOCK_EX | LOCK_NB) != 0) {
		status = errno == EWOULDBLOCK ? locked(file, err) : fail(err, "lock", path, errno);
		goto err_after_open;
	}
	struct vfs_piece piece = { pid, (size_t)snprintf(pid, sizeof(pid), "%ld\n", (long)getpid()) };
	status = posix_write(file, 0, &piece, 1, err);
	if (status == ST_OK && ftruncate(file_fd(file), (off_t)piece.size) != 0)
		status = fail(err, "truncate", path, errno);
	if (status != ST_OK && status != ST_FULL) /* Full: it may name an older holder, and is a lock all the same. */
		goto err_after_open;
	*out = file;
	return ST_OK;

err_after_open:
	posix_close(file);
	return status;
}

const struct vfs *vfs_posix(void)
{
	static const struct vfs posix = {
		.open = posix_open,
		.close = posix_close,
		.read = posix_read,
		.read_nowait = posix_read_nowait,
		.read_ahead = posix_read_ahead,
		.write = posix_write,
		.sync = posix_sync,
		.size = posix_size,
		.rename = posix_rename,
		.unlink = posix_unlink,
		.mkdir = posix_mkdir,
		.list = posix_list,
		.sync_dir = posix_sync_dir,
		.lock = posix_lock,
	};

	return &posix;
}
