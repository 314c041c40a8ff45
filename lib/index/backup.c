#include "lib/index/backup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"
#include "lib/index/unfinished.h"
#include "lib/log/format.h"
#include "lib/log/recovery.h"
#include "lib/log/vfs_replace.h"

enum { COPY_SIZE = 1 << 20, ATTEMPTS_MAX = 5, SNAPSHOTS_LOOKED_AT = 8, PATH_SIZE = SNAPSHOT_PATH_SIZE + 32 };

struct backup {
	const struct vfs *vfs;
	const char *source, *target;
	struct vfs_file *lock; /* The target's. */
	uint8_t *buffer;
	struct backup_result *result;
	struct log_known known;
	uint32_t page_count;
};

/* --- copying ------------------------------------------------------------------------------------------------------ */

/* The first `size` bytes (all of them for UINT64_MAX), synced. ST_NOTFOUND: the source file is gone. */
static enum status copy_bytes(struct backup *b, struct vfs_file *from, struct vfs_file *to, uint64_t size, struct errinfo *err)
{
	for (uint64_t at = 0; at < size;) {
		size_t want = size - at < COPY_SIZE ? (size_t)(size - at) : COPY_SIZE, got = 0;
		enum status status = vfs_read(from, at, b->buffer, want, &got, err);
		struct vfs_piece piece = { b->buffer, got };
		if (status == ST_OK && got > 0)
			status = vfs_write(to, at, &piece, 1, err);
		if (status != ST_OK)
			return status;
		at += got;
		b->result->bytes += got;
		if (got < want)
			break;
	}
	return vfs_sync(to, err);
}

static enum status copy_file(struct backup *b, const char *name, uint64_t size, struct errinfo *err)
{
	char from_path[PATH_SIZE], to_path[PATH_SIZE];
	struct vfs_file *from = NULL, *to = NULL;

	snprintf(from_path, sizeof(from_path), "%s/%s", b->source, name);
	snprintf(to_path, sizeof(to_path), "%s/%s", b->target, name);
	enum status status = vfs_open(b->vfs, from_path, VFS_READ, &from, err);
	if (status == ST_OK)
		status = vfs_open(b->vfs, to_path, VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, &to, err);
	if (status == ST_OK)
		status = copy_bytes(b, from, to, size, err);
	vfs_close(from);
	vfs_close(to);
	return status;
}

static enum status sync_dirs(struct backup *b, struct errinfo *err)
{
	static const char *const names[] = { "", "/commitlog", "/snapshots" };
	char path[PATH_SIZE];
	enum status status = ST_OK;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && status == ST_OK; i++) {
		snprintf(path, sizeof(path), "%s%s", b->target, names[i]);
		status = vfs_sync_dir(b->vfs, path, err);
	}
	return status;
}

/* --- snapshot ----------------------------------------------------------------------------------------------------- */

/* The newest that is whole; *from_out 0 without any. */
static enum status find_snapshot(const struct vfs *vfs, const char *root, uint64_t *from_out, struct log_known *known,
				 uint32_t *page_count, struct errinfo *err)
{
	struct snapshot_choice choice;
	enum status status = snapshot_open_newest(vfs, root, NULL, &choice, err);
	struct snapshot_reader *reader = choice.reader;

	*from_out = 0;
	*known = (struct log_known){ 0 };
	*page_count = 0;
	if (status != ST_OK || reader == NULL)
		return status;
	*from_out = snapshot_header(reader)->from;
	*known = (struct log_known){ *from_out, snapshot_end(reader)->durable };
	*page_count = snapshot_end(reader)->page_count;
	snapshot_close(reader);
	return ST_OK;
}

static enum status copy_snapshot(struct backup *b, struct errinfo *err)
{
	char name[64];

	if (b->result->snapshot_from == 0)
		return ST_OK;
	snprintf(name, sizeof(name), "snapshots/%020" PRIu64, b->result->snapshot_from);
	return copy_file(b, name, UINT64_MAX, err);
}

/* Without it the first start on the copy builds it anew. So it is when the source has lost it, or has built it anew behind the
 * snapshot: then its pages are not those that this one names. */
static enum status copy_index(struct backup *b, struct errinfo *err)
{
	char path[PATH_SIZE];
	uint64_t built_at = 0;

	snprintf(path, sizeof(path), "%s/index.pages", b->target);
	enum status status = copy_file(b, "index.pages", (uint64_t)b->page_count * PAGEFILE_PAGE_SIZE, err);
	if (status == ST_OK)
		status = pagefile_built_at(b->vfs, path, &built_at, err);
	if (status != ST_NOTFOUND && (status != ST_OK || built_at <= b->result->snapshot_from))
		return status;
	status = vfs_unlink(b->vfs, path, err);
	return status == ST_NOTFOUND ? ST_OK : status;
}

/* The pages that the snapshot names are nobody else's as long as it is kept. ST_NOTFOUND: it is not, any more. */
static enum status copy_pages(struct backup *b, struct errinfo *err)
{
	uint64_t offsets[SNAPSHOTS_LOOKED_AT];
	size_t count = 0;

	if (b->result->snapshot_from == 0)
		return ST_OK;
	enum status status = copy_index(b, err);
	if (status == ST_OK)
		status = snapshot_list(b->vfs, b->source, offsets, SNAPSHOTS_LOOKED_AT, &count, err);
	for (size_t i = 0; status == ST_OK && i < count; i++) {
		if (offsets[i] == b->result->snapshot_from)
			return ST_OK;
	}
	return status != ST_OK ? status : errinfo_set(err, ST_NOTFOUND, "the snapshot of %" PRIu64 " was replaced during the copy",
						      b->result->snapshot_from);
}

/* --- log ------------------------------------------------------------------------------------------------------------ */

/* Where does the log end, and is that an end? What lies before the snapshot, the copy's last check reads. */
static enum status look_for_end(const struct backup *b, struct log_check_result *check, struct errinfo *err)
{
	*check = (struct log_check_result){ 0 };
	if (b->known.from == 0)
		return log_check(b->vfs, b->source, check, err);
	return log_check_tail(b->vfs, b->source, b->known, check, err);
}

/* What looked like damage is damage at the second look, too. Beside a running broker the first one may only have been
 * overtaken: the log was read to where it ended at that time, and what was searched then for proof already held later records,
 * which say that this place had been durable; so it was written before they were, and whoever reads again gets beyond it. There
 * the log may end for the copy: a broker that writes on is not followed. Or a file was used again while it was open, and looks
 * like a bad header or a damaged record: its name has gone by then, and the second look speaks of another one, if of any. */
static enum status look_again(struct backup *b, const struct log_check_result *first, struct errinfo *err)
{
	struct log_check_result second;
	struct errinfo why = { 0 };
	enum status status = look_for_end(b, &second, &why);

	b->result->log_end = second.end;
	if (status == ST_CORRUPT && first->damaged && second.start <= first->end && second.end > first->end) {
		b->result->log_end = first->end;
		return ST_OK;
	}
	if (status == ST_CORRUPT && strcmp(why.text, err->text) != 0)
		status = errinfo_wrap(&why, ST_NOTFOUND, "the log changed while it was looked at");
	*err = why;
	return status;
}

static enum status find_end(struct backup *b, struct errinfo *err)
{
	struct log_check_result check;
	struct errinfo why = { 0 };
	enum status status = look_for_end(b, &check, &why);

	b->result->log_end = check.end;
	if (status == ST_CORRUPT)
		status = look_again(b, &check, &why);
	if (status != ST_OK && err != NULL)
		*err = why;
	return status;
}

/* Is the file still the segment that it was? Retention may have taken it away or recycled it. */
static enum status check_same(struct backup *b, uint64_t base, struct errinfo *err)
{
	char dir[LOG_PATH_SIZE];
	struct log_segment segment;
	enum status status = log_dir_path(b->source, dir, err);

	if (status == ST_OK)
		status = log_open_segment(b->vfs, dir, base, VFS_READ, &segment, err);
	if (status == ST_OK)
		vfs_close(segment.file);
	return status == ST_CORRUPT ? ST_NOTFOUND : status;
}

static enum status copy_segment(struct backup *b, uint64_t base, struct errinfo *err)
{
	char name[64];
	uint64_t size = b->result->log_end - base; /* More than the file has is no matter. */

	snprintf(name, sizeof(name), "commitlog/%020" PRIu64, base);
	enum status status = copy_file(b, name, size, err);
	return status == ST_OK ? check_same(b, base, err) : status;
}

static enum status copy_log(struct backup *b, struct errinfo *err)
{
	char dir[LOG_PATH_SIZE];
	uint64_t *bases = NULL;
	size_t count = 0;
	enum status status = log_dir_path(b->source, dir, err);

	if (status == ST_OK)
		status = log_list_segments(b->vfs, dir, &bases, &count, err);
	for (size_t i = 0; status == ST_OK && i < count && bases[i] < b->result->log_end; i++) {
		if (i == 0)
			b->result->log_start = bases[0] + LOG_SEGMENT_HEADER_SIZE;
		status = copy_segment(b, bases[i], err);
	}
	free(bases);
	return status;
}

/* --- all of it ------------------------------------------------------------------------------------------------------ */

static enum status remove_one(void *context, const char *name)
{
	const struct backup *b = context;
	char path[PATH_SIZE];

	snprintf(path, sizeof(path), "%.300s/%.255s", b->target, name);
	if (vfs_unlink(b->vfs, path, NULL) != ST_OK)
		return ST_OK;
	return ST_OK;
}

/* What an attempt left that did not end well. */
static void clear_target(struct backup *b)
{
	static const char *const names[] = { "commitlog", "snapshots" };
	char path[PATH_SIZE];
	const char *target = b->target;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", target, names[i]);
		b->target = path;
		enum status status = vfs_list(b->vfs, path, remove_one, b, NULL);
		b->target = target;
		if (status != ST_OK)
			return;
	}
}

static enum status attempt(struct backup *b, struct errinfo *err)
{
	enum status status = find_snapshot(b->vfs, b->source, &b->result->snapshot_from, &b->known, &b->page_count, err);

	b->result->bytes = 0;
	if (status == ST_OK)
		status = find_end(b, err);
	if (status == ST_OK)
		status = copy_snapshot(b, err);
	if (status == ST_OK)
		status = copy_pages(b, err);
	if (status == ST_OK)
		status = copy_log(b, err);
	if (status == ST_OK)
		status = sync_dirs(b, err);
	return status;
}

/* Something is in the target. */
static enum status refuse_target(const struct backup *b, struct errinfo *err)
{
	enum status status = unfinished_check(b->vfs, b->target, err);

	if (status == ST_OK)
		return errinfo_set(err, ST_INVALID, "%s is not empty: name a directory that is empty or not there", b->target);
	return status == ST_CORRUPT ? ST_INVALID : status;
}

/* With a store's lock, so that no broker makes a store of what is half copied, and with the mark, which outlives this process;
 * in this order, so that a broker that has just begun there gets no mark. */
static enum status mark_directory(struct backup *b, const char *dir, struct errinfo *err)
{
	char path[PATH_SIZE];
	enum status status = vfs_mkdir(b->vfs, dir, err);

	snprintf(path, sizeof(path), "%.600s/lock", dir);
	if (status == ST_OK)
		status = vfs_lock(b->vfs, path, &b->lock, err);
	return status == ST_OK ? unfinished_mark(b->vfs, dir, err) : status;
}

static enum status stop_at_foreign(void *context, const char *name)
{
	(void)context;
	return strcmp(name, "lock") == 0 || strcmp(name, "unfinished") == 0 ? ST_OK : ST_EXISTS;
}

/* No directory has this name. Nothing else may have it either, such as a symbolic link to what is not there, because no
 * directory can be renamed to that: what had been made would stay beside it. */
static enum status check_name_free(const struct backup *b, const char *name, struct errinfo *err)
{
	enum status status = vfs_look_for(b->vfs, name, err);

	if (status == ST_NOTFOUND)
		return ST_OK;
	if (status == ST_OK)
		return errinfo_set(err, ST_INVALID, "%s is a file: name a directory that is empty or not there", name);
	return status == ST_IO ? errinfo_wrap(err, ST_INVALID, "name a directory that is empty or not there") : status;
}

/* A target that is not there is made under another name, so that it has its mark from its first moment on. What an earlier
 * attempt has left under that name serves. */
static enum status make_directory(struct backup *b, struct errinfo *err)
{
	char name[PATH_SIZE], made[PATH_SIZE + 16];
	int size = (int)strlen(b->target);

	while (size > 1 && b->target[size - 1] == '/')
		size--;
	snprintf(name, sizeof(name), "%.*s", size, b->target);
	snprintf(made, sizeof(made), "%s.unfinished", name);
	enum status status = check_name_free(b, name, err);
	if (status != ST_OK)
		return status;
	status = vfs_list(b->vfs, made, stop_at_foreign, NULL, err);
	if (status == ST_EXISTS)
		return errinfo_set(err, ST_INVALID, "%s is not empty: the copy is begun there, move away what is in it", made);
	if (status == ST_OK || status == ST_NOTFOUND)
		status = mark_directory(b, made, err);
	return status == ST_OK ? vfs_rename(b->vfs, made, b->target, err) : status;
}

static enum status make_target(struct backup *b, struct errinfo *err)
{
	static const char *const names[] = { "/commitlog", "/snapshots" };
	char path[PATH_SIZE];
	enum status status = vfs_list(b->vfs, b->target, vfs_stop_at_any, NULL, err);

	if (status == ST_EXISTS)
		status = refuse_target(b, err);
	else if (status == ST_NOTFOUND)
		status = make_directory(b, err);
	else if (status == ST_OK)
		status = mark_directory(b, b->target, err);
	if (status == ST_OK)
		status = vfs_sync_parent(b->vfs, b->target, err);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && status == ST_OK; i++) {
		snprintf(path, sizeof(path), "%s%s", b->target, names[i]);
		status = vfs_mkdir(b->vfs, path, err);
	}
	return status;
}

static enum status copy_store(struct backup *b, struct errinfo *err)
{
	enum status status;

	b->buffer = malloc(COPY_SIZE);
	if (b->buffer == NULL)
		return errinfo_set(err, ST_NOMEM, "backup: out of memory");
	do {
		b->result->attempts++;
		status = attempt(b, err);
		if (status == ST_NOTFOUND)
			clear_target(b);
	} while (status == ST_NOTFOUND && b->result->attempts < ATTEMPTS_MAX);
	free(b->buffer);
	return status;
}

/* Of a copy, its mark aside. */
static enum status verify(const struct vfs *vfs, const char *root, struct backup_result *out, struct errinfo *err)
{
	struct log_check_result check;
	struct log_known known;
	uint32_t page_count;

	enum status status = find_snapshot(vfs, root, &out->snapshot_from, &known, &page_count, err);
	if (status == ST_OK)
		status = log_check(vfs, root, &check, err);
	if (status != ST_OK)
		return status;
	out->log_start = check.start;
	out->log_end = check.end;
	if (check.end < known.durable)
		return errinfo_set(err, ST_CORRUPT, "%s: the log ends at %" PRIu64 ", below what its snapshot says was durable (%" PRIu64 ")",
				   root, check.end, known.durable);
	if (out->snapshot_from == 0 && check.start > LOG_SEGMENT_HEADER_SIZE)
		return errinfo_set(err, ST_CORRUPT, "%s: no snapshot is whole, and the log begins at %" PRIu64, root, check.start);
	return ST_OK;
}

enum status backup_store(const struct vfs *vfs, const char *source, const char *target, struct backup_result *out,
			 struct errinfo *err)
{
	struct backup b = { .vfs = vfs, .source = source, .target = target, .result = out };
	char dir[LOG_PATH_SIZE];
	enum status status = log_dir_path(source, dir, err);

	*out = (struct backup_result){ 0 };
	if (status == ST_OK)
		status = log_dir_path(target, dir, err);
	if (status == ST_OK)
		status = unfinished_check(vfs, source, err);
	if (status == ST_OK)
		status = make_target(&b, err);
	if (status == ST_OK)
		status = copy_store(&b, err);
	if (status == ST_OK)
		status = verify(vfs, target, out, err);
	if (status == ST_OK)
		status = unfinished_clear(vfs, target, err);
	vfs_close(b.lock);
	return status == ST_OK ? ST_OK : errinfo_wrap(err, status, "copy %s to %s", source, target);
}

enum status backup_verify(const struct vfs *vfs, const char *root, struct backup_result *out, struct errinfo *err)
{
	*out = (struct backup_result){ 0 };
	enum status status = unfinished_check(vfs, root, err);
	return status == ST_OK ? verify(vfs, root, out, err) : status;
}
