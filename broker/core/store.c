#include "broker/core/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/store_owner.h"
#include "lib/base/logging.h"
#include "lib/index/lost_log.h"
#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"
#include "lib/index/unfinished.h"

/* Of what is refused here nothing has been touched. */
static enum status check_store(const struct store *store, const struct store_config *config, struct errinfo *err)
{
	enum status status = unfinished_check(store->vfs, store->root, err);

	if (status == ST_OK)
		status = lost_log_check(store->vfs, store->root, err);
	if (status == ST_OK && config->broker_name != NULL)
		status = store_owner_check(store->vfs, store->root, config->broker_name, err);
	return status;
}

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
	enum status status = check_store(out, config, err);
	if (status != ST_OK)
		return status;
	status = open_first(out, config, &choice, &again, err);
	if (again) {
		(void)!store_close(out, false, NULL);
		*out = empty;
		status = open_first(out, config, &choice, &again, err);
	}
	if (status == ST_OK && config->broker_name != NULL)
		status = store_owner_take(vfs, out->root, config->broker_name, err);
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
