/* See pagefile.h.
 *
 * A frame is free, clean or dirty. Its page is written by one of two writers, never by both at once: the flush job
 * (frame->in_job) or, as a last resort, the loop itself. A page changed while its job is out stays dirty. */
#include "lib/index/pagefile.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/bytes.h"
#include "lib/base/crc32c.h"
#include "lib/log/vfs_replace.h"

enum {
	CACHE_DEFAULT = 32 << 20,
	INLINE_PAGES = 128, /* Written out at once when everything is dirty. */
	AT_LOG_OFFSET = 8, AT_CHECK = 16, BUILT_SIZE = 20, /* Of the page that says when the file was built anew. */
};
/* No entry begins like this: log offsets are lower. */
static const char BUILT_MAGIC[8] = { 'E', 'S', 'C', 'R', 'O', 'W', 'I', 'X' };
static const uint32_t NONE = UINT32_MAX;

struct frame {
	uint32_t page; /* NONE = free */
	bool dirty;
	bool referenced;
	bool in_job;
	bool redirtied; /* Changed while in_job. */
};

struct reading { /* A read job under way. */
	uint32_t page;
	bool stale; /* The page was changed meanwhile: what the job brings is old. */
};

/* Pages given back, oldest first, and the number of sweeps begun before. */
struct released {
	uint32_t page;
	uint32_t sweep;
};

struct released_queue {
	struct released *items;
	size_t head, count, capacity; /* items[head, head + count) */
};

struct pagefile {
	struct vfs_file *file;
	bool read_inline;
	uint8_t *memory;
	struct frame *frames;
	uint32_t frame_count, hand, flush_hand, dirty_count, cached_count;
	uint32_t *frame_of; /* By page; NONE = not cached. */
	uint32_t page_count, page_capacity;
	uint32_t last_miss;
	uint32_t recent[2];          /* Frames changed last: they stay. */
	struct reading reads[PAGEFILE_READS_MAX];
	uint32_t read_count;
	bool flush_out;
	uint8_t *job_data;
	struct released_queue released;
	uint32_t *free_pages;
	size_t free_count, free_capacity;
	uint32_t sweep_number;       /* Sweeps begun. */
	uint32_t kept_sweep;         /* Of the last snapshot that is done; 0 = none. */
	uint32_t sweep_left;         /* Frames that the sweep has not looked at. */
	bool sweep_failed;
	struct pagefile_stats stats;
};

static uint8_t *frame_data(const struct pagefile *pf, uint32_t frame)
{
	return pf->memory + (size_t)frame * PAGEFILE_PAGE_SIZE;
}

static uint64_t page_offset(uint32_t page)
{
	return (uint64_t)page * PAGEFILE_PAGE_SIZE;
}

/* --- life -------------------------------------------------------------------------------------------- */

static enum status grow_table(struct pagefile *pf, uint64_t page_count, struct errinfo *err)
{
	uint64_t capacity = pf->page_capacity == 0 ? 1024 : pf->page_capacity;
	uint32_t *grown;

	while (capacity < page_count)
		capacity *= 2;
	if (capacity == pf->page_capacity)
		return ST_OK;
	if (capacity > UINT32_MAX / 2)
		return errinfo_set(err, ST_TOOBIG, "%s: no more than %u pages", pf->file->path, pf->page_capacity);
	grown = realloc(pf->frame_of, (size_t)capacity * sizeof(*grown));
	if (grown == NULL)
		return errinfo_set(err, ST_NOMEM, "%s: no memory for the page table", pf->file->path);
	memset(grown + pf->page_capacity, 0xff, (size_t)(capacity - pf->page_capacity) * sizeof(*grown)); /* NONE */
	pf->frame_of = grown;
	pf->page_capacity = (uint32_t)capacity;
	return ST_OK;
}

static enum status hold_absent(struct pagefile *pf, uint32_t from, uint32_t page_count, struct errinfo *err);

/* Pages that a snapshot knows but that were never written hold nothing that replay does not put there again. On a full disk they
 * are in memory until there is space. */
static enum status extend_file(struct pagefile *pf, uint32_t page_count, uint32_t page_min, struct errinfo *err)
{
	static const uint8_t zeros[PAGEFILE_PAGE_SIZE];
	struct vfs_piece piece = { zeros, sizeof(zeros) };
	uint64_t size = 0;
	enum status status = vfs_size(pf->file, &size, err);

	if (status == ST_OK && size < page_offset(page_min))
		return errinfo_set(err, ST_NOTFOUND, "%s: has lost its end, from byte %" PRIu64 " on", pf->file->path, size);
	if (status == ST_OK && size < page_offset(page_count))
		status = vfs_write(pf->file, page_offset(page_count - 1), &piece, 1, err);
	return status == ST_FULL ? hold_absent(pf, (uint32_t)(size / PAGEFILE_PAGE_SIZE), page_count, err) : status;
}

/* --- files built anew ------------------------------------------------------------------------------------ */

static enum status read_built_at(struct vfs_file *file, uint64_t *log_offset_out, struct errinfo *err)
{
	uint8_t page[BUILT_SIZE];
	size_t got = 0;
	enum status status = vfs_read(file, 0, page, sizeof(page), &got, err);

	*log_offset_out = 0;
	if (status != ST_OK || got < sizeof(page) || memcmp(page, BUILT_MAGIC, sizeof(BUILT_MAGIC)) != 0)
		return status;
	/* One that is damaged is no snapshot's. */
	*log_offset_out = get_u32(page + AT_CHECK) == crc32c(0, page, AT_CHECK) ? get_u64(page + AT_LOG_OFFSET) : UINT64_MAX;
	return ST_OK;
}

enum status pagefile_built_at(const struct vfs *vfs, const char *path, uint64_t *log_offset_out, struct errinfo *err)
{
	struct vfs_file *file = NULL;
	enum status status = vfs_open(vfs, path, VFS_READ, &file, err);

	*log_offset_out = 0;
	if (status == ST_OK)
		status = read_built_at(file, log_offset_out, err);
	vfs_close(file);
	return status == ST_NOTFOUND ? ST_OK : status;
}

static enum status write_built_at(struct vfs_file *file, const void *context, struct errinfo *err)
{
	const uint64_t *log_offset = context;
	uint8_t page[PAGEFILE_PAGE_SIZE] = { 0 };
	struct vfs_piece piece = { page, sizeof(page) };

	memcpy(page, BUILT_MAGIC, sizeof(BUILT_MAGIC));
	put_u64(page + AT_LOG_OFFSET, *log_offset);
	put_u32(page + AT_CHECK, crc32c(0, page, AT_CHECK));
	return vfs_write(file, 0, &piece, 1, err);
}

/* What is there goes first, and with it its space. Whatever has the name afterwards says of which snapshots it is. */
static enum status build_anew(const struct vfs *vfs, const char *path, uint64_t log_offset, struct errinfo *err)
{
	enum status status = vfs_unlink(vfs, path, err);

	if (status != ST_OK && status != ST_NOTFOUND)
		return status;
	return vfs_replace(vfs, path, write_built_at, &log_offset, err);
}

static enum status check_built_at(struct pagefile *pf, uint64_t snapshot, struct errinfo *err)
{
	uint64_t built_at = 0;
	enum status status = read_built_at(pf->file, &built_at, err);

	if (status != ST_OK || built_at <= snapshot)
		return status;
	return errinfo_set(err, ST_NOTFOUND, "%s: was built anew behind the snapshot", pf->file->path);
}

/* --- opening --------------------------------------------------------------------------------------------- */

/* With its first page taken if it is built anew. */
static enum status open_empty(struct pagefile *pf, const struct pagefile_config *config, const struct vfs *vfs, struct errinfo *err)
{
	bool anew = config->built_at != 0;
	enum status status = anew ? build_anew(vfs, config->path, config->built_at, err) : ST_OK;

	if (status == ST_OK)
		status = vfs_open(vfs, config->path, anew ? VFS_WRITE : VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, &pf->file, err);
	if (status == ST_OK)
		status = grow_table(pf, 0, err);
	pf->page_count = anew;
	return status;
}

static enum status open_known(struct pagefile *pf, const struct pagefile_config *config, const struct vfs *vfs, struct errinfo *err)
{
	enum status status = vfs_open(vfs, config->path, VFS_WRITE, &pf->file, err);

	if (status == ST_OK)
		status = check_built_at(pf, config->known_at, err);
	if (status == ST_OK)
		status = grow_table(pf, config->page_count, err);
	if (status == ST_OK)
		status = extend_file(pf, config->page_count, config->page_min, err);
	pf->page_count = config->page_count;
	return status;
}

enum status pagefile_open(const struct pagefile_config *config, const struct vfs *vfs, struct pagefile **out,
			  struct errinfo *err)
{
	uint64_t cache = config->cache_bytes == 0 ? CACHE_DEFAULT : config->cache_bytes;
	struct pagefile *pf;
	enum status status;

	if (cache < PAGEFILE_CACHE_MIN || cache / PAGEFILE_PAGE_SIZE > UINT32_MAX / 2)
		return errinfo_set(err, ST_INVALID, "index cache of %" PRIu64 " bytes: must be at least %d", cache,
				   PAGEFILE_CACHE_MIN);
	pf = calloc(1, sizeof(*pf));
	if (pf == NULL)
		return errinfo_set(err, ST_NOMEM, "index cache: out of memory");
	pf->read_inline = config->read_inline;
	pf->last_miss = NONE;
	pf->frame_count = (uint32_t)(cache / PAGEFILE_PAGE_SIZE);
	pf->memory = malloc((size_t)pf->frame_count * PAGEFILE_PAGE_SIZE);
	pf->frames = calloc(pf->frame_count, sizeof(*pf->frames));
	pf->job_data = malloc((size_t)PAGEFILE_JOB_PAGES * PAGEFILE_PAGE_SIZE);
	for (uint32_t i = 0; pf->frames != NULL && i < pf->frame_count; i++)
		pf->frames[i].page = NONE;
	pf->recent[0] = pf->recent[1] = NONE;
	if (pf->memory == NULL || pf->frames == NULL || pf->job_data == NULL)
		status = errinfo_set(err, ST_NOMEM, "index cache of %" PRIu64 " bytes: out of memory", cache);
	else
		status = config->page_count > 0 ? open_known(pf, config, vfs, err) : open_empty(pf, config, vfs, err);
	if (status != ST_OK) {
		pagefile_close(pf);
		return status;
	}
	*out = pf;
	return ST_OK;
}

void pagefile_close(struct pagefile *pf)
{
	if (pf == NULL)
		return;
	vfs_close(pf->file);
	free(pf->memory);
	free(pf->frames);
	free(pf->frame_of);
	free(pf->job_data);
	free(pf->released.items);
	free(pf->free_pages);
	free(pf);
}

void pagefile_set_read_inline(struct pagefile *pf, bool read_inline)
{
	pf->read_inline = read_inline;
}

struct pagefile_stats pagefile_stats(const struct pagefile *pf)
{
	struct pagefile_stats stats = pf->stats;

	stats.page_count = pf->page_count;
	stats.cached_pages = pf->cached_count;
	stats.dirty_pages = pf->dirty_count;
	stats.free_pages = pf->free_count + pf->released.count;
	return stats;
}

/* --- frames ------------------------------------------------------------------------------------------ */

static int by_page(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Everything is dirty: writes some of it here and now. Neighbouring pages go in one write. */
static enum status write_out(struct pagefile *pf, struct errinfo *err)
{
	uint64_t chosen[INLINE_PAGES]; /* page << 32 | frame */
	struct vfs_piece pieces[INLINE_PAGES];
	size_t count = 0;

	for (uint32_t i = 0; i < pf->frame_count && count < INLINE_PAGES; i++) {
		uint32_t index = (pf->hand + i) % pf->frame_count;
		if (pf->frames[index].dirty && !pf->frames[index].in_job)
			chosen[count++] = (uint64_t)pf->frames[index].page << 32 | index;
	}
	qsort(chosen, count, sizeof(chosen[0]), by_page);
	for (size_t i = 0, run; i < count; i += run) {
		uint32_t first = (uint32_t)(chosen[i] >> 32);
		for (run = 0; i + run < count && chosen[i + run] >> 32 == first + run; run++)
			pieces[run] = (struct vfs_piece){ frame_data(pf, (uint32_t)chosen[i + run]), PAGEFILE_PAGE_SIZE };
		enum status status = vfs_write(pf->file, page_offset(first), pieces, run, err);
		if (status != ST_OK)
			return status;
		for (size_t k = i; k < i + run; k++)
			pf->frames[(uint32_t)chosen[k]].dirty = false;
		pf->dirty_count -= (uint32_t)run;
		pf->stats.inline_write_count += run;
	}
	return ST_OK;
}

/* The clock: passes over referenced frames once, stops at a free or clean one. NONE when all are dirty. */
static uint32_t find_victim(struct pagefile *pf)
{
	if (pf->dirty_count == pf->frame_count)
		return NONE;
	for (uint64_t i = 0; i < 2 * (uint64_t)pf->frame_count; i++) {
		uint32_t index = pf->hand;
		struct frame *frame = &pf->frames[index];
		pf->hand = index + 1 == pf->frame_count ? 0 : index + 1;
		if (frame->page == NONE)
			return index;
		if (index == pf->recent[0] || index == pf->recent[1])
			continue;
		if (frame->referenced)
			frame->referenced = false;
		else if (!frame->dirty)
			return index;
	}
	return NONE;
}

/* An empty frame for `page`, whose content the caller fills in. */
static enum status take_frame(struct pagefile *pf, uint32_t page, uint32_t *frame_out, struct errinfo *err)
{
	uint32_t index = find_victim(pf);

	if (index == NONE) {
		enum status status = write_out(pf, err);
		if (status != ST_OK)
			return status;
		index = find_victim(pf);
		assert(index != NONE); /* A job holds fewer pages than the smallest cache. */
	}
	struct frame *frame = &pf->frames[index];
	if (frame->page != NONE)
		pf->frame_of[frame->page] = NONE;
	else
		pf->cached_count++;
	*frame = (struct frame){ .page = page, .referenced = true };
	pf->frame_of[page] = index;
	*frame_out = index;
	return ST_OK;
}

static void release_frame(struct pagefile *pf, uint32_t index)
{
	pf->frame_of[pf->frames[index].page] = NONE;
	pf->frames[index] = (struct frame){ .page = NONE };
	pf->cached_count--;
}

static void mark_dirty(struct pagefile *pf, uint32_t index)
{
	struct frame *frame = &pf->frames[index];

	if (pf->recent[0] != index) {
		pf->recent[1] = pf->recent[0];
		pf->recent[0] = index;
	}
	frame->referenced = true;
	frame->redirtied = frame->in_job;
	if (!frame->dirty)
		pf->dirty_count++;
	frame->dirty = true;
	for (uint32_t i = 0; i < pf->read_count; i++) {
		if (pf->reads[i].page == frame->page)
			pf->reads[i].stale = true;
	}
}

/* The file ends before these pages and cannot be made longer now. ST_FULL: they are too many. */
static enum status hold_absent(struct pagefile *pf, uint32_t from, uint32_t page_count, struct errinfo *err)
{
	enum status status = page_count - from <= pf->frame_count / 2 ? ST_OK : ST_FULL;
	uint32_t frame = NONE;

	for (uint32_t page = from; page < page_count && status == ST_OK; page++) {
		status = take_frame(pf, page, &frame, err);
		if (status != ST_OK)
			break;
		memset(frame_data(pf, frame), 0, PAGEFILE_PAGE_SIZE);
		mark_dirty(pf, frame);
	}
	return status;
}

/* Reads a page into a frame on this thread. Every page not in the cache has been written, or its frame would be
 * dirty; a file that is too short has lost it. */
static enum status load(struct pagefile *pf, uint32_t page, bool may_block, uint32_t *frame_out, struct errinfo *err)
{
	size_t got = PAGEFILE_PAGE_SIZE;
	enum status status = take_frame(pf, page, frame_out, err);

	if (status != ST_OK)
		return status;
	pf->stats.miss_count++;
	status = vfs_read_nowait(pf->file, page_offset(page), frame_data(pf, *frame_out), PAGEFILE_PAGE_SIZE);
	if (status == ST_AGAIN && may_block)
		status = vfs_read(pf->file, page_offset(page), frame_data(pf, *frame_out), PAGEFILE_PAGE_SIZE, &got, err);
	if (status == ST_OK && got < PAGEFILE_PAGE_SIZE)
		status = errinfo_set(err, ST_CORRUPT, "%s: file ends at byte %" PRIu64 ": stop the broker, remove the file and start: it is built anew",
				     pf->file->path, page_offset(page) + got);
	if (status != ST_OK)
		release_frame(pf, *frame_out);
	return status;
}

/* --- pages ------------------------------------------------------------------------------------------- */

/* A page that nobody uses, or one more at the end. */
static enum status choose_page(struct pagefile *pf, uint32_t *page_out, struct errinfo *err)
{
	if (pf->free_count > 0) {
		*page_out = pf->free_pages[pf->free_count - 1];
		return ST_OK;
	}
	*page_out = pf->page_count;
	return grow_table(pf, (uint64_t)pf->page_count + 1, err);
}

enum status pagefile_allocate(struct pagefile *pf, uint32_t *page_out, uint8_t **data_out, struct errinfo *err)
{
	uint32_t page = 0, frame = NONE;
	enum status status = choose_page(pf, &page, err);

	if (status == ST_OK)
		frame = pf->frame_of[page]; /* One that was given back while a job wrote it. */
	if (status == ST_OK && frame == NONE)
		status = take_frame(pf, page, &frame, err);
	if (status != ST_OK)
		return status;
	if (page == pf->page_count)
		pf->page_count++;
	else
		pf->free_count--;
	mark_dirty(pf, frame);
	*page_out = page;
	*data_out = frame_data(pf, frame);
	memset(*data_out, 0, PAGEFILE_PAGE_SIZE);
	return ST_OK;
}

enum status pagefile_change(struct pagefile *pf, uint32_t page, uint8_t **data_out, struct errinfo *err)
{
	uint32_t frame;

	assert(page < pf->page_count);
	frame = pf->frame_of[page];
	if (frame == NONE) {
		enum status status = load(pf, page, true, &frame, err);
		if (status != ST_OK)
			return status;
	}
	mark_dirty(pf, frame);
	*data_out = frame_data(pf, frame);
	return ST_OK;
}

enum status pagefile_get(struct pagefile *pf, uint32_t page, const uint8_t **data_out, struct errinfo *err)
{
	uint32_t frame;

	assert(page < pf->page_count);
	frame = pf->frame_of[page];
	if (frame == NONE) {
		enum status status = load(pf, page, pf->read_inline, &frame, err);
		if (status == ST_AGAIN)
			pf->last_miss = page;
		if (status != ST_OK)
			return status;
	}
	pf->frames[frame].referenced = true;
	*data_out = frame_data(pf, frame);
	return ST_OK;
}

/* --- write-behind ------------------------------------------------------------------------------------ */

bool pagefile_take_flush(struct pagefile *pf, struct pagefile_flush_job *out)
{
	uint64_t chosen[PAGEFILE_JOB_PAGES]; /* page << 32 | frame */
	uint32_t count = 0;

	if (pf->flush_out || (pf->dirty_count <= pf->frame_count / 2 && pf->sweep_left == 0))
		return false;
	for (uint32_t i = 0; i < pf->frame_count && count < PAGEFILE_JOB_PAGES; i++) {
		uint32_t index = pf->flush_hand;
		pf->flush_hand = index + 1 == pf->frame_count ? 0 : index + 1;
		if (pf->sweep_left > 0)
			pf->sweep_left--;
		if (pf->frames[index].dirty)
			chosen[count++] = (uint64_t)pf->frames[index].page << 32 | index;
	}
	if (count == 0)
		return false; /* The sweep found nothing more. */
	qsort(chosen, count, sizeof(chosen[0]), by_page);
	out->file = pf->file;
	out->data = pf->job_data;
	out->page_count = count;
	out->result = ST_OK;
	for (uint32_t i = 0; i < count; i++) {
		out->pages[i] = (uint32_t)(chosen[i] >> 32);
		out->frames[i] = (uint32_t)chosen[i];
		pf->frames[out->frames[i]].in_job = true;
		pf->frames[out->frames[i]].redirtied = false;
		memcpy(out->data + (size_t)i * PAGEFILE_PAGE_SIZE, frame_data(pf, out->frames[i]), PAGEFILE_PAGE_SIZE);
	}
	pf->flush_out = true;
	return true;
}

void pagefile_flush_run(struct pagefile_flush_job *job)
{
	job->result = ST_OK;
	for (uint32_t i = 0, run; i < job->page_count && job->result == ST_OK; i += run) {
		struct vfs_piece piece = { job->data + (size_t)i * PAGEFILE_PAGE_SIZE, 0 };
		for (run = 0; i + run < job->page_count && job->pages[i + run] == job->pages[i] + run; run++)
			piece.size += PAGEFILE_PAGE_SIZE;
		job->result = vfs_write(job->file, page_offset(job->pages[i]), &piece, 1, &job->err);
	}
}

enum status pagefile_flush_done(struct pagefile *pf, const struct pagefile_flush_job *job, struct errinfo *err)
{
	assert(pf->flush_out);
	pf->flush_out = false;
	for (uint32_t i = 0; i < job->page_count; i++) {
		struct frame *frame = &pf->frames[job->frames[i]];
		assert(frame->in_job && frame->page == job->pages[i]); /* Dirty, so it stayed where it was. */
		frame->in_job = false;
		if (job->result == ST_OK && !frame->redirtied) {
			frame->dirty = false;
			pf->dirty_count--;
		}
		frame->redirtied = false;
	}
	pf->stats.write_count += job->result == ST_OK ? job->page_count : 0;
	pf->sweep_failed = pf->sweep_failed || job->result != ST_OK;
	if (job->result != ST_OK && err != NULL)
		*err = job->err;
	return job->result;
}

/* --- snapshots --------------------------------------------------------------------------------------- */

void pagefile_sweep(struct pagefile *pf)
{
	pf->sweep_number++;
	pf->sweep_left = pf->frame_count;
	pf->sweep_failed = false;
}

enum pagefile_sweep_state pagefile_sweep_state(const struct pagefile *pf)
{
	if (pf->sweep_failed)
		return PAGEFILE_SWEEP_FAILED;
	return pf->sweep_left > 0 || pf->flush_out ? PAGEFILE_SWEEPING : PAGEFILE_SWEPT;
}

enum status pagefile_sync(struct pagefile *pf, struct errinfo *err)
{
	return vfs_sync(pf->file, err);
}

/* --- pages nobody uses ------------------------------------------------------------------------------- */

static bool queue_released(struct pagefile *pf, uint32_t page)
{
	struct released_queue *queue = &pf->released;

	if (queue->head + queue->count == queue->capacity && queue->head > 0) {
		memmove(queue->items, queue->items + queue->head, queue->count * sizeof(*queue->items));
		queue->head = 0;
	}
	struct released *items = array_with_room(queue->items, queue->head + queue->count, &queue->capacity, sizeof(*items));
	if (items == NULL)
		return false;
	queue->items = items;
	queue->items[queue->head + queue->count++] = (struct released){ page, pf->sweep_number };
	return true;
}

static bool add_free(struct pagefile *pf, uint32_t page)
{
	uint32_t *pages = array_with_room(pf->free_pages, pf->free_count, &pf->free_capacity, sizeof(*pages));

	if (pages == NULL)
		return false;
	pf->free_pages = pages;
	pf->free_pages[pf->free_count++] = page;
	return true;
}

void pagefile_release(struct pagefile *pf, uint32_t page)
{
	uint32_t frame = pf->frame_of[page];

	/* A dirty one is written all the same: a snapshot under way counts on the length of the file. */
	if (frame != NONE && !pf->frames[frame].in_job && !pf->frames[frame].dirty)
		release_frame(pf, frame);
	/* Without memory the page is lost until the next start, which finds it unused. */
	(void)queue_released(pf, page);
}

enum status pagefile_release_unused(struct pagefile *pf, const uint8_t *used)
{
	for (uint32_t page = 0; page < pf->page_count; page++) {
		if ((used[page / 8] >> (page % 8) & 1) == 0 && !queue_released(pf, page))
			return ST_NOMEM;
	}
	return ST_OK;
}

uint32_t pagefile_page_count(const struct pagefile *pf)
{
	return pf->page_count;
}

void pagefile_snapshot_done(struct pagefile *pf)
{
	struct released_queue *queue = &pf->released;

	while (queue->count > 0 && queue->items[queue->head].sweep < pf->kept_sweep) {
		if (!add_free(pf, queue->items[queue->head].page))
			break; /* No memory: they stay where they are until the next time. */
		queue->head++;
		queue->count--;
	}
	pf->kept_sweep = pf->sweep_number;
}

/* --- read misses ------------------------------------------------------------------------------------- */

bool pagefile_take_read(struct pagefile *pf, struct pagefile_read_job *out)
{
	uint32_t page = pf->last_miss;

	if (page == NONE || pf->read_count == PAGEFILE_READS_MAX)
		return false;
	for (uint32_t i = 0; i < pf->read_count; i++) {
		if (pf->reads[i].page == page)
			return false;
	}
	pf->last_miss = NONE;
	pf->reads[pf->read_count++] = (struct reading){ page, false };
	out->file = pf->file;
	out->page = page;
	out->result = ST_OK;
	return true;
}

void pagefile_read_run(struct pagefile_read_job *job)
{
	size_t got = 0;

	job->result = vfs_read(job->file, page_offset(job->page), job->data, PAGEFILE_PAGE_SIZE, &got, &job->err);
	if (job->result == ST_OK && got < PAGEFILE_PAGE_SIZE)
		job->result = errinfo_set(&job->err, ST_CORRUPT, "%s: file ends at byte %" PRIu64 ": stop the broker, remove the file and start: it is built anew",
					  job->file->path, page_offset(job->page) + got);
}

enum status pagefile_read_done(struct pagefile *pf, const struct pagefile_read_job *job, struct errinfo *err)
{
	uint32_t i = 0, frame;
	enum status status = job->result;
	bool stale;

	while (i < pf->read_count && pf->reads[i].page != job->page)
		i++;
	assert(i < pf->read_count);
	stale = pf->reads[i].stale;
	pf->reads[i] = pf->reads[--pf->read_count];
	if (status != ST_OK) {
		if (err != NULL)
			*err = job->err;
		return status;
	}
	if (stale || pf->frame_of[job->page] != NONE)
		return ST_OK;
	status = take_frame(pf, job->page, &frame, err);
	if (status == ST_OK)
		memcpy(frame_data(pf, frame), job->data, PAGEFILE_PAGE_SIZE);
	return status;
}
