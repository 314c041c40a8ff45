/* See snapshots.h. */
#include "tools/log/snapshots.h"

#include <stdio.h>
#include <string.h>

#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"

static enum status read_one(const struct vfs *vfs, const char *root, struct snapshot_item *item, struct errinfo *err)
{
	struct snapshot_reader *reader = NULL;
	enum status status = snapshot_open(vfs, root, item->from, &reader, err);

	if (status == ST_CORRUPT || status == ST_VERSION || status == ST_NOTFOUND) {
		item->other_version = status == ST_VERSION;
		snprintf(item->problem, sizeof(item->problem), "%.*s", (int)sizeof(item->problem) - 1, err->text);
		return status == ST_NOTFOUND ? status : ST_OK;
	}
	if (status != ST_OK)
		return status;
	const struct snapshot_header *header = snapshot_header(reader);
	const struct snapshot_end *end = snapshot_end(reader);
	item->whole = true;
	item->durable = end->durable;
	item->generation = header->generation;
	item->wall_ms = header->wall_ms;
	item->swept_pages = end->swept_pages;
	memcpy(item->log_id, header->log_id, LOG_ID_SIZE);
	snapshot_close(reader);
	return ST_OK;
}

static enum status look_at_index(const struct vfs *vfs, const char *root, struct snapshot_items *out, struct errinfo *err)
{
	const struct snapshot_item *newest = snapshots_newest(out);
	char path[SNAPSHOT_PATH_SIZE];
	struct vfs_file *file = NULL;
	uint64_t size = 0, built_at = 0;

	if (newest == NULL)
		return ST_OK; /* Emptied at the start. */
	snprintf(path, sizeof(path), "%s/index.pages", root);
	enum status status = vfs_open(vfs, path, VFS_READ, &file, err);
	if (status == ST_OK)
		status = vfs_size(file, &size, err);
	vfs_close(file);
	if (status == ST_OK)
		status = pagefile_built_at(vfs, path, &built_at, err);
	out->index_lost = status == ST_NOTFOUND || size / PAGEFILE_PAGE_SIZE < newest->swept_pages || built_at > newest->from;
	return status == ST_NOTFOUND ? ST_OK : status;
}

enum status snapshots_read(const struct vfs *vfs, const char *root, struct snapshot_items *out, struct errinfo *err)
{
	uint64_t offsets[SNAPSHOTS_MAX];
	size_t count = 0;
	enum status status = snapshot_list(vfs, root, offsets, SNAPSHOTS_MAX, &count, err);

	*out = (struct snapshot_items){ 0 };
	for (size_t i = 0; status == ST_OK && i < count; i++) {
		out->items[out->count].from = offsets[i];
		status = read_one(vfs, root, &out->items[out->count], err);
		if (status == ST_NOTFOUND)
			status = ST_OK; /* Replaced by a newer one meanwhile. */
		else
			out->count++;
	}
	return status == ST_OK ? look_at_index(vfs, root, out, err) : status;
}

const struct snapshot_item *snapshots_newest(const struct snapshot_items *list)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->items[i].whole)
			return &list->items[i];
	}
	return NULL;
}

struct log_known snapshots_known(const struct snapshot_items *list)
{
	const struct snapshot_item *newest = snapshots_newest(list);

	return newest == NULL ? (struct log_known){ 0 } : (struct log_known){ newest->from, newest->durable };
}
