/* Hostile snapshot files: whatever the bytes, a start gives a broker that works or a clean error.
 *
 * The first byte chooses: the rest as the file itself; or a script of chunks with good checksums whose sections, counts and
 * payloads the input chooses, so that what is loaded may contradict itself and the log. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/settings.h"
#include "broker/core/snapshot.h"
#include "broker/core/snapshotter.h"
#include "broker/core/store.h"
#include "lib/base/logging.h"
#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"
#include "tests/support/memdisk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAGES = 16, FROM = LOG_SEGMENT_HEADER_SIZE };
static const char *const SNAPSHOT = "/s/snapshots/00000000000000004096";
static const char *const SEGMENT = "/s/commitlog/00000000000000000000";

static const struct store_config store_config = {
	.log = { .root = "/s", .segment_size = LOG_SEGMENT_SIZE_MIN, .ring_size = LOG_RING_SIZE_MIN, .prepare_chunk = 8192,
		 .log_id = { 7 } },
	.index_cache_bytes = PAGEFILE_CACHE_MIN,
};

static uint8_t *segment_bytes; /* Of a log that was just made. */
static size_t segment_size;

static void make_log(void)
{
	struct memdisk *disk = memdisk_create();
	struct store store;
	size_t size;

	if (store_open(&store_config, memdisk_vfs(disk), &store, NULL) != ST_OK || store_close(&store, true, NULL) != ST_OK)
		abort();
	uint8_t *bytes = memdisk_data(disk, SEGMENT, &size);
	segment_bytes = malloc(size);
	assert(bytes != NULL && segment_bytes != NULL);
	memcpy(segment_bytes, bytes, size);
	segment_size = size;
	memdisk_destroy(disk);
}

/* Chunks: section, item count, payload size (2 bytes), payload. */
static void put_script(struct buffer *out, const uint8_t *data, size_t size)
{
	struct snapshot_header header = { .log_id = { 7 }, .from = FROM, .generation = 1, .wall_ms = 1700000000000 };

	snapshot_put_header(out, &header);
	while (size >= 4) {
		size_t want = (size_t)data[2] << 8 | data[3], payload = want < size - 4 ? want : size - 4;
		size_t begun = snapshot_begin_chunk(out, 1 + data[0] % 12);
		buffer_append(out, data + 4, payload);
		snapshot_end_chunk(out, begun, data[1]);
		data += 4 + payload;
		size -= 4 + payload;
	}
	snapshot_put_end(out, &(struct snapshot_end){ FROM, PAGES, 0 });
}

static struct core_config core_settings(void)
{
	return (struct core_config){
		.cluster_name = "c", .broker_name = "b", .sync_flush = true, .auto_create_topic = true, .auto_create_group = true,
		.default_topic_queue_nums = 2, .max_message_size = 4096, .young_queue_bytes = 1 << 20, .offset_flush_interval_ms = 500,
		.pending_max = 1000, .pending_group_max = 1000, .resend_window_count = 100, .delayed_max = 1000,
		.timers = true, .timer_max_delay_ms = 259200000, .recall = true, .topic_max = 100,
		.group_max = 100, .name_max = 1000, .offset_row_max = 1000, .member_max = 100, .hold_max = 100, .pop_max = 1000, .lock_max = 100, .flow_max = 100,
		.segment_bytes = LOG_SEGMENT_SIZE_MIN, .retention_ms = 1000, .checkback = checkback_config_default(),
	};
}

/* It works: time passes, settings change, a snapshot of it is taken. */
static void use(struct core *core, const struct store *store)
{
	struct topic_settings settings = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = 6 };
	struct snapshotter *snapshotter = snapshotter_create(core, store);
	struct outcome outcome = { 0 };

	assert(snapshotter != NULL);
	enum status status = core_put_topic(core, SPAN_LITERAL("topic"), &settings, &outcome);
	(void)status;
	for (int64_t i = 1; i <= 3; i++) {
		core_set_time(core, 1700000000000 + i * 10000, i * 10000);
		core_tick(core);
		snapshotter_want(snapshotter);
		snapshotter_step(snapshotter);
	}
	snapshotter_destroy(snapshotter);
}

static bool ask(void *context, uint64_t conn_id, uint64_t half_queue_offset, uint64_t half_offset)
{
	(void)context, (void)conn_id, (void)half_queue_offset, (void)half_offset;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t pages[PAGES * PAGEFILE_PAGE_SIZE];
	struct core_effects effects = { .ask = ask };
	struct core_config config = core_settings();
	struct buffer file;
	struct store store;
	struct core *core = NULL;
	struct errinfo err;

	log_set_level(LOGLEVEL_ERROR + 1);
	if (segment_bytes == NULL)
		make_log();
	if (size < 1)
		return 0;
	buffer_init(&file, 0);
	if (data[0] % 4 == 0)
		buffer_append(&file, data + 1, size - 1);
	else
		put_script(&file, data + 1, size - 1);
	struct memdisk *disk = memdisk_create();
	static const char *const dirs[] = { "/s", "/s/commitlog", "/s/snapshots" };
	for (int i = 0; i < 3; i++) {
		if (vfs_mkdir(memdisk_vfs(disk), dirs[i], NULL) != ST_OK)
			abort();
	}
	memdisk_put(disk, SEGMENT, segment_bytes, segment_size);
	memdisk_put(disk, SNAPSHOT, buffer_span(&file).data, buffer_size(&file));
	memdisk_put(disk, "/s/index.pages", pages, sizeof(pages));
	enum status status = store_open(&store_config, memdisk_vfs(disk), &store, &err);
	if (status == ST_OK) {
		status = core_open(&config, &store, 1700000000000, 0, &effects, &core, &err);
		store_loaded(&store);
		if (status == ST_OK)
			use(core, &store);
		core_close(core);
		if (store_close(&store, false, NULL) != ST_OK)
			abort();
	}
	assert(status == ST_OK || status == ST_CORRUPT || status == ST_VERSION || status == ST_FULL || status == ST_INVALID);
	memdisk_destroy(disk);
	buffer_deinit(&file);
	return 0;
}
