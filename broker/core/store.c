#include "broker/core/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/store_owner.h"
#include "lib/base/logging.h"
#include "lib/index/key_run.h"
#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"
#include "lib/index/unfinished.h"
#include "lib/log/format.h"

/* --- is there a store? ---------------------------------------------------------------------------------------------------- */

static enum status stop_at_any(void *context, const char *name)
{
	(void)context;
	(void)name;
	return ST_EXISTS;
}

static enum status check_no_files(const struct vfs *vfs, const char *dir, struct errinfo *err)
{
	enum status status = vfs_list(vfs, dir, stop_at_any, NULL, err);

	return status == ST_NOTFOUND ? ST_OK : status;
}

static enum status check_no_file(const struct vfs *vfs, const char *path, struct errinfo *err)
{
	struct vfs_file *file = NULL;
	enum status status = vfs_open(vfs, path, VFS_READ, &file, err);

	vfs_close(file);
	return status == ST_OK ? ST_EXISTS : status == ST_NOTFOUND ? ST_OK : status;
}

/* Looks for what is made after the log has been durable once: ST_EXISTS, and `path` says what. */
static enum status find_trace(const struct store *store, char path[KEY_RUN_PATH_SIZE], struct errinfo *err)
{
	static const char *const files[] = { "index.pages", "broker" };

	snprintf(path, KEY_RUN_PATH_SIZE, "%s/snapshots", store->root);
	enum status status = check_no_files(store->vfs, path, err);
	if (status == ST_OK) {
		key_run_dir(store->root, path);
		status = check_no_files(store->vfs, path, err);
	}
	for (size_t i = 0; status == ST_OK && i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, KEY_RUN_PATH_SIZE, "%s/%s", store->root, files[i]);
		status = check_no_file(store->vfs, path, err);
	}
	return status;
}

/* A log that is not there is made by commitlog_open; but not where there has been one, because its file system may just not be
 * mounted. In this order: who is at its first start now makes the log before what is looked for first. */
static enum status check_log_not_lost(const struct store *store, struct errinfo *err)
{
	char path[KEY_RUN_PATH_SIZE], dir[LOG_PATH_SIZE];
	uint64_t *bases = NULL;
	size_t count = 0;
	enum status status = find_trace(store, path, err);

	if (status != ST_EXISTS)
		return status;
	status = log_dir_path(store->root, dir, err);
	if (status == ST_OK)
		status = log_list_segments(store->vfs, dir, &bases, &count, err);
	free(bases);
	if (status != ST_NOTFOUND)
		return status;
	return errinfo_set(err, ST_CORRUPT, "%.120s has lost its log: nothing is in %.120s, but %.120s is there. If a file system is not mounted, "
			   "mount it; else restore the store from a backup. Only if all messages may be lost, remove all of %.120s",
			   store->root, dir, path, store->root);
}

static enum status check_store(const struct store *store, struct errinfo *err)
{
	enum status status = unfinished_check(store->vfs, store->root, err);

	return status == ST_OK ? check_log_not_lost(store, err) : status;
}

/* --- opening -------------------------------------------------------------------------------------------------------------- */

static void warn_passed_over(const char *why)
{
	log_warn("store", "snapshot passed over", "reason=\"%s\" note=\"the older one and a longer replay serve\"", why);
}

static enum status choose_snapshot(struct store *store, struct snapshot_choice *choice, struct errinfo *err)
{
	enum status status = snapshot_open_newest(store->vfs, store->root, warn_passed_over, choice, err);

	store->snapshot = choice->reader;
	if (status != ST_OK || store->snapshot == NULL)
		return status;
	store->older_from = choice->older;
	store->snapshot_bytes = snapshot_file_size(store->snapshot);
	store->snapshot_from = snapshot_header(store->snapshot)->from;
	store->snapshot_generation = snapshot_header(store->snapshot)->generation;
	return ST_OK;
}

static enum status open_log(struct store *store, const struct store_config *config, struct errinfo *err)
{
	struct commitlog_config log_config = config->log;

	if (store->snapshot != NULL)
		log_config.known = (struct log_known){ store->snapshot_from, snapshot_end(store->snapshot)->durable };
	enum status status = commitlog_open(&log_config, store->vfs, &store->log, err);
	if (status != ST_OK)
		return status;
	if (store->snapshot != NULL &&
	    memcmp(snapshot_header(store->snapshot)->log_id, commitlog_id(store->log), LOG_ID_SIZE) != 0)
		return errinfo_set(err, ST_CORRUPT, "%.160s belongs to another log than %.160s/commitlog holds: mount or put back the log that "
				   "it belongs to, or restore the store from a backup", snapshot_path(store->snapshot), store->root);
	if (store->snapshot != NULL && store->snapshot_from < commitlog_start(store->log) - LOG_SEGMENT_HEADER_SIZE)
		return errinfo_set(err, ST_CORRUPT, "%s needs the log from %" PRIu64 " on, but it begins at %" PRIu64
				   ": restore the store from a backup", snapshot_path(store->snapshot), store->snapshot_from,
				   commitlog_start(store->log));
	if (store->snapshot == NULL && commitlog_start(store->log) > LOG_SEGMENT_HEADER_SIZE)
		return errinfo_set(err, ST_CORRUPT, "%s/snapshots: no snapshot is whole, and the log begins at %" PRIu64
				   ": restore the store from a backup", store->root, commitlog_start(store->log));
	return ST_OK;
}

/* The snapshot was chosen before the store was locked: a broker that was just stopping may have finished another one since. Its
 * pages would be taken for nobody's. */
static bool is_overtaken(const struct store *store, const struct snapshot_choice *choice)
{
	uint64_t looked_at = choice->damaged_count > 0 ? choice->damaged[0] : store->snapshot_from, newest = 0;
	size_t count = 0;

	return snapshot_list(store->vfs, store->root, &newest, 1, &count, NULL) == ST_OK && newest > looked_at;
}

static enum status open_pages(struct store *store, const struct store_config *config, struct errinfo *err)
{
	char path[sizeof(store->root) + 32];
	struct pagefile_config files_config = { .path = path, .cache_bytes = config->index_cache_bytes, .read_inline = true };

	snprintf(path, sizeof(path), "%s/index.pages", store->root);
	if (store->snapshot != NULL) {
		files_config.page_count = snapshot_end(store->snapshot)->page_count;
		files_config.page_min = snapshot_end(store->snapshot)->swept_pages;
		files_config.known_at = store->snapshot_from;
	}
	enum status status = pagefile_open(&files_config, store->vfs, &store->files, err);
	if (status != ST_NOTFOUND || store->snapshot == NULL)
		return status;
	log_warn("store", "index file lost, built anew from the log", "reason=\"%s\"", err->text);
	store->rebuild_index = true;
	files_config.page_count = files_config.page_min = 0;
	files_config.built_at = commitlog_appended(store->log);
	return pagefile_open(&files_config, store->vfs, &store->files, err);
}

/* Snapshot and log: with `again` they do not belong together, and what is open is to be closed and opened once more. */
static enum status open_first(struct store *store, const struct store_config *config, struct snapshot_choice *choice, bool *again,
			      struct errinfo *err)
{
	*again = false;
	*choice = (struct snapshot_choice){ 0 };
	enum status status = choose_snapshot(store, choice, err);
	if (status == ST_OK)
		status = open_log(store, config, err);
	*again = store->log != NULL && is_overtaken(store, choice);
	return status;
}

enum status store_open(const struct store_config *config, const struct vfs *vfs, struct store *out, struct errinfo *err)
{
	struct snapshot_choice choice;
	struct store empty = { .vfs = vfs };
	bool again;

	if (snprintf(empty.root, sizeof(empty.root), "%s", config->log.root) >= (int)sizeof(empty.root))
		return errinfo_set(err, ST_TOOBIG, "store directory's path is over %zu bytes", sizeof(empty.root) - 1);
	*out = empty;
	enum status status = check_store(out, err);
	if (status != ST_OK)
		return status;
	status = open_first(out, config, &choice, &again, err);
	if (again) {
		(void)!store_close(out, false, NULL);
		*out = empty;
		status = open_first(out, config, &choice, &again, err);
	}
	if (status == ST_OK && config->broker_name != NULL)
		status = store_owner_check(vfs, out->root, config->broker_name, err);
	if (status == ST_OK)
		status = open_pages(out, config, err);
	if (status == ST_OK) {
		snapshot_tidy(vfs, out->root, &choice);
		return ST_OK;
	}
	enum status closed = store_close(out, false, NULL);
	(void)closed; /* The first failure is the one to tell. */
	return status;
}

void store_loaded(struct store *store)
{
	snapshot_close(store->snapshot);
	store->snapshot = NULL;
}

enum status store_close(struct store *store, bool clean, struct errinfo *err)
{
	store_loaded(store);
	pagefile_close(store->files);
	store->files = NULL;
	enum status status = commitlog_close(store->log, clean, err);
	store->log = NULL;
	return status;
}
