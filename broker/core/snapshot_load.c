/* The reading half of snapshot.h. The file's checksums have been verified; what is said here may still contradict itself or
 * the log, and then the snapshot is refused as a whole. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "broker/core/apply.h"
#include "broker/core/settings.h"
#include "broker/core/snapshot.h"
#include "broker/core/state.h"
#include "checkback/checkback.h"
#include "lib/base/array.h"
#include "lib/base/logging.h"
#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"

/* Of an item of open transactions: how long, and where its name stands. */
enum { PENDING_ITEM_SIZE = 69, PENDING_ITEM_NAME = 24, PENDING_AHEAD = 16 };

/* A name gets its id of this process when something refers to it: what peers only mentioned is not taken along for ever. */
struct loaded_name {
	uint32_t own;          /* 0: none yet. */
	uint16_t size;
	uint64_t at;           /* Where its text begins. */
};

struct load {
	struct core *core;
	struct reader in;      /* The rest of the chunk. */
	struct loaded_name *names; /* By the snapshot's ids. */
	size_t name_end, name_capacity;
	struct buffer texts;   /* Of the names. */
	bool starved;          /* There was no memory for a name, or for its topic. */
	uint8_t *used;         /* A bit for each index page that belongs to somebody. */
	uint32_t page_count;
	bool index_lost;
	uint64_t durable;      /* Nothing in the snapshot is from behind it. */
	int64_t elapsed_ms;    /* Since the snapshot was begun, as far as the wall clock can be believed. */
	struct errinfo *err;
};

static enum status no_memory(struct load *load)
{
	return errinfo_set(load->err, ST_NOMEM, "out of memory");
}

static enum status bad(struct load *load, const char *what)
{
	return load->starved ? no_memory(load) : errinfo_set(load->err, ST_CORRUPT, "%s", what);
}

/* A time in ms, or a count: far from where sums of two overflow. */
static int64_t read_number(struct load *load)
{
	int64_t value = (int64_t)reader_u64(&load->in);

	if (value < 0 || value > (int64_t)1 << 60)
		load->in.failed = true;
	return value;
}

/* --- names and settings ---------------------------------------------------------------------------------------------- */

static enum status load_state(struct load *load)
{
	struct core *core = load->core;
	struct topics_version version;

	core->store_time_ms = read_number(load);
	(void)reader_u64(&load->in); /* When it was taken: for people. */
	core->hash_key.k0 = reader_u64(&load->in);
	core->hash_key.k1 = reader_u64(&load->in);
	version.counter = read_number(load);
	version.timestamp_ms = read_number(load);
	topics_set_version(core->topics, version);
	return ST_OK;
}

static enum status load_name(struct load *load)
{
	uint32_t id = reader_u32(&load->in);
	struct span text = reader_take(&load->in, reader_u16(&load->in));

	if (load->in.failed)
		return ST_OK; /* Told by the caller. */
	if (id != load->name_end)
		return bad(load, "names are out of order");
	struct loaded_name *names = array_with_room(load->names, load->name_end, &load->name_capacity, sizeof(*names));
	if (names == NULL)
		return no_memory(load);
	load->names = names;
	names[load->name_end++] = (struct loaded_name){ .size = (uint16_t)text.size, .at = buffer_size(&load->texts) };
	buffer_append_span(&load->texts, text);
	return load->texts.failed ? no_memory(load) : ST_OK;
}

/* 0: no such name, or no memory for it. */
static uint32_t name_of(struct load *load, uint32_t id)
{
	struct loaded_name *name = id > 0 && id < load->name_end ? &load->names[id] : NULL;

	if (name == NULL)
		return 0;
	struct span text = { buffer_span(&load->texts).data + name->at, name->size };
	if (name->own == 0)
		load->starved |= names_intern(load->core->names, text, &name->own) != ST_OK;
	return name->own;
}

/* A topic that was made between the slice of the topics and the one that names it is not there yet: its TOPIC record, which
 * replay will come to, makes it what it is. NULL: no such name, or no memory. */
static struct topic *topic_of(struct load *load, uint32_t id)
{
	struct core *core = load->core;
	uint32_t own = name_of(load, id);
	struct topic *topic = own == 0 ? NULL : topics_find_any(core->topics, names_text(core->names, own));

	if (own == 0 || topic != NULL)
		return topic;
	load->starved = topics_reserve(core->topics, names_text(core->names, own), 0) != ST_OK;
	return topics_find_any(core->topics, names_text(core->names, own));
}

static enum status load_topic(struct load *load)
{
	uint8_t bits = reader_u8(&load->in);
	bool system = (bits & SNAPSHOT_TOPIC_SYSTEM) != 0;
	struct placed deletion = { .offset = (bits & SNAPSHOT_TOPIC_DELETED) != 0 ? reader_u64(&load->in) : 0 };
	struct span payload = reader_take(&load->in, reader_u32(&load->in));
	struct record_topic r;

	if (load->in.failed)
		return ST_OK;
	if (deletion.offset >= load->durable)
		return bad(load, "a topic is deleted behind the snapshot");
	enum status status = record_topic_decode(payload, &r, load->err);
	if (status != ST_OK)
		return status;
	if (system && topics_find_any(load->core->topics, r.name) != NULL)
		return ST_OK; /* Made at each start, after the configuration of today. */
	status = apply_topic(load->core, &deletion, &r, load->err);
	struct topic *topic = status == ST_OK ? topics_find_any(load->core->topics, r.name) : NULL;
	if (topic == NULL)
		return status;
	topic->system = topic->system || system;
	topic->deleted_at = deletion.offset;
	return ST_OK;
}

static enum status load_group(struct load *load)
{
	struct span payload = reader_take(&load->in, reader_u32(&load->in));
	struct record_group r;

	if (load->in.failed)
		return ST_OK;
	enum status status = record_group_decode(payload, &r, load->err);
	return status == ST_OK ? apply_group(load->core, &r, load->err) : status;
}

/* --- index pages ------------------------------------------------------------------------------------------------------ */

static enum status use_page(struct load *load, uint32_t page)
{
	if (page == ENTRY_NO_PAGE)
		return ST_OK;
	if (page >= load->page_count)
		return bad(load, "an index page lies beyond the index file");
	if ((load->used[page / 8] >> (page % 8) & 1) != 0)
		return bad(load, "an index page belongs to two arrays");
	load->used[page / 8] |= (uint8_t)(1 << (page % 8));
	return ST_OK;
}

/* What is in the table so far was there before the topic's deletion. */
static void unuse_pages(struct load *load, const struct entry_array *array)
{
	for (uint32_t i = 0; i < array->page_count; i++) {
		if (array->pages[i] != ENTRY_NO_PAGE)
			load->used[array->pages[i] / 8] &= (uint8_t)~(1 << (array->pages[i] % 8));
	}
}

static enum status load_pages(struct load *load, struct entry_array *array)
{
	uint64_t group = reader_u64(&load->in);
	uint32_t count = reader_u32(&load->in);
	enum status status = ST_OK;

	if (count > load->in.left / 4)
		return bad(load, "a page table is cut off");
	for (; count > 0 && status == ST_OK; count--, group++) {
		uint32_t page = reader_u32(&load->in);
		if (load->index_lost)
			continue;
		status = use_page(load, page);
		if (status == ST_OK)
			status = entry_array_load_page(array, group, page, load->err);
	}
	return status;
}

static enum status load_range(struct load *load, struct entry_array *array)
{
	uint64_t min = reader_u64(&load->in), max = reader_u64(&load->in);

	if (load->in.failed)
		return ST_OK;
	return load->index_lost ? entry_array_begin(array, min, max, load->err) : entry_array_load_range(array, min, max, load->err);
}

static enum status load_queue(struct load *load)
{
	struct topic *topic = topic_of(load, reader_u32(&load->in));
	uint32_t id = reader_u32(&load->in);
	uint8_t bits = reader_u8(&load->in);
	uint64_t born = (bits & SNAPSHOT_QUEUE_DELETED) != 0 ? reader_u64(&load->in) : 0;
	struct queue *queue;

	if (topic == NULL)
		return bad(load, "a queue names a topic that is not there");
	if (born >= load->durable)
		return bad(load, "a queue's topic is deleted behind the snapshot");
	enum status status = topic_queue_make(load->core->topics, topic, id, &queue);
	if (status == ST_INVALID)
		return bad(load, "a queue's number is too high");
	if (status != ST_OK)
		return no_memory(load);
	if (queue->born != born) {
		unuse_pages(load, &queue->entries.array);
		consume_queue_deinit(&queue->entries);
		consume_queue_init(&queue->entries, load->core->files);
		queue->born = born;
	}
	status = load_pages(load, &queue->entries.array);
	if (status != ST_OK || (bits & SNAPSHOT_QUEUE_LAST) == 0)
		return status;
	queue->next_offset = queue->visible_offset = reader_u64(&load->in);
	return load_range(load, &queue->entries.array);
}

static enum status load_halves(struct load *load)
{
	struct entry_array *array = &load->core->halves.array;
	bool last = reader_u8(&load->in) != 0;
	enum status status = load_pages(load, array);

	return status != ST_OK || !last ? status : load_range(load, array);
}

/* --- progress, transactions, delays --------------------------------------------------------------------------------- */

static enum status load_offset(struct load *load)
{
	uint32_t topic_id = name_of(load, reader_u32(&load->in)), group_id = name_of(load, reader_u32(&load->in));
	uint32_t queue_id = reader_u32(&load->in);
	int64_t value = (int64_t)reader_u64(&load->in);

	if (topic_id == 0 || group_id == 0 || queue_id >= TOPIC_QUEUE_MAX)
		return bad(load, "an offset names what is not there");
	if (offsets_reserve(load->core->offsets, topic_id, group_id, queue_id) != ST_OK)
		return no_memory(load);
	offsets_apply(load->core->offsets, topic_id, group_id, queue_id, value);
	return ST_OK;
}

static enum status add_pending(struct load *load, const struct pending *p)
{
	struct core *core = load->core;

	if (pending_find(core->pending, p->half_queue_offset) != NULL)
		return bad(load, "an open transaction is there twice");
	if (pending_reserve(core->pending, p->group_id) != ST_OK || checkback_reserve(core->checkback, p->group_id) != ST_OK ||
	    resends_reserve(core->resends) != ST_OK)
		return no_memory(load);
	struct pending *entry = pending_insert(core->pending, p->half_queue_offset, p->group_id);
	uint32_t prev = entry->prev, next = entry->next;
	*entry = *p;
	entry->prev = prev;
	entry->next = next;
	resends_open(core->resends, entry);
	retention_note_open(core, p->body_offset);
	return ST_OK;
}

/* Tables that are sized once need not grow under millions of entries. */
static enum status expect_pending(struct load *load, const struct snapshot_reader *snapshot)
{
	struct core *core = load->core;
	uint64_t count = snapshot_section_bytes(snapshot, SECTION_PENDING) / PENDING_ITEM_SIZE;

	if (count < UINT32_MAX && pending_reserve_total(core->pending, (uint32_t)count) == ST_OK &&
	    resends_reserve_total(core->resends, (uint32_t)count) == ST_OK)
		return ST_OK;
	return no_memory(load);
}

/* The tables' memory for an item that comes later in this chunk: waiting for it takes longer than all else. */
static void prefetch_pending(const struct load *load)
{
	const uint8_t *item = load->in.cursor + PENDING_AHEAD * PENDING_ITEM_SIZE;

	if (load->in.left < (PENDING_AHEAD + 1) * PENDING_ITEM_SIZE)
		return;
	pending_prefetch(load->core->pending, get_u64(item));
	resends_prefetch(load->core->resends, (struct hash128){ get_u64(item + PENDING_ITEM_NAME),
								 get_u64(item + PENDING_ITEM_NAME + 8) });
}

static enum status load_pending(struct load *load)
{
	struct reader *in = &load->in;
	size_t left = in->left;

	prefetch_pending(load);
	struct pending p = { .half_queue_offset = reader_u64(in) };

	p.half_offset = reader_u64(in);
	p.body_offset = reader_u64(in);
	p.name.lo = reader_u64(in);
	p.name.hi = reader_u64(in);
	p.store_time_ms = read_number(load);
	int64_t wait_ms = read_number(load) - load->elapsed_ms;
	p.record_size = reader_u32(in);
	p.group_id = name_of(load, reader_u32(in));
	p.attempts = reader_u16(in);
	p.answered = reader_u16(in);
	p.state = reader_u8(in);
	if (in->failed)
		return ST_OK;
	assert(left - in->left == PENDING_ITEM_SIZE);
	/* What is left of the wait; replay.c makes a deadline of it. Never longer, whatever was done to the clock. */
	p.due_mono_ms = load->core->wall_ms + (wait_ms > 0 ? wait_ms : 0);
	/* A body that is gone by now: the records behind `from` must say what became of it, see replay.c. */
	if (p.group_id == 0 || (p.state != TXN_PREPARED && p.state != TXN_PARKED) || p.body_offset < p.half_offset)
		return bad(load, "an open transaction does not fit the log");
	return add_pending(load, &p);
}

static enum status load_resend(struct load *load)
{
	struct resend decided = { .name = { .lo = reader_u64(&load->in) } };

	decided.name.hi = reader_u64(&load->in);
	decided.half_queue_offset = reader_u64(&load->in);
	if (load->in.failed)
		return ST_OK;
	if (resends_reserve(load->core->resends) != ST_OK)
		return no_memory(load);
	resends_load(load->core->resends, &decided);
	return ST_OK;
}

static enum status load_delayed(struct load *load)
{
	struct reader *in = &load->in;
	struct delayed d = { .deliver_at_ms = read_number(load) };

	d.naming_offset = reader_u64(in);
	d.origin_offset = reader_u64(in);
	d.body_offset = reader_u64(in);
	d.topic = topic_of(load, reader_u32(in));
	d.message_size = reader_u32(in);
	d.tag_hash = (int32_t)reader_u32(in);
	d.message_delta = reader_u16(in);
	d.queue_id = reader_u16(in);
	unsigned flags = reader_u8(in);
	d.transactional = (flags & DELAY_ITEM_TRANSACTIONAL) != 0;
	d.recall = flags & DELAY_ITEM_RECALL ? reader_u32(in) : 0;
	if (in->failed)
		return ST_OK;
	if (d.topic == NULL || d.queue_id >= TOPIC_QUEUE_MAX || d.naming_offset >= DELAYS_OFFSET_MAX ||
	    d.body_offset >= DELAYS_OFFSET_MAX || flags > (DELAY_ITEM_TRANSACTIONAL | DELAY_ITEM_RECALL))
		return bad(load, "a delayed message does not fit the log");
	if (delays_reserve(&load->core->delays, d.topic, d.transactional) != ST_OK)
		return no_memory(load);
	delays_add(&load->core->delays, &d);
	retention_note_open(load->core, d.body_offset);
	return ST_OK;
}

/* The log has begun behind it since the snapshot. It was let go, or somebody took it away: nothing is recorded of that, but
 * what is past its retention now was so then, unless the retention was made longer. */
static void see_gone_segment(const struct core *core, uint64_t base, int64_t newest_ms)
{
	const struct core_config *config = &core->config;

	if (config->retention_bytes > 0 || (config->retention_ms > 0 && core->wall_ms - newest_ms > config->retention_ms))
		return;
	log_warn("store", "a log segment is not there although its retention is not over; was the file removed by hand?",
		 "segment=%020llu newest_ms=%lld hint=\"messages in it cannot be read; restore it from a copy if there is one\"",
		 (unsigned long long)base, (long long)newest_ms);
}

static enum status load_segment(struct load *load)
{
	struct retention *retention = &load->core->retention;
	uint64_t base = reader_u64(&load->in);
	int64_t newest_ms = read_number(load);
	uint64_t last_ref = reader_u64(&load->in);

	if (!load->in.failed && base < retention->segments[0].base)
		see_gone_segment(load->core, base, newest_ms);

	for (size_t i = 0; i < retention->count; i++) {
		if (retention->segments[i].base != base)
			continue;
		retention->segments[i].newest_ms = newest_ms;
		retention->segments[i].last_ref = last_ref;
	}
	return ST_OK;
}

static enum status load_pops(struct load *load)
{
	struct reader *in = &load->in;
	struct pop_key key = { .topic_id = name_of(load, reader_u32(in)) };
	struct pop_row *row;

	key.group_id = name_of(load, reader_u32(in));
	key.queue_id = reader_u32(in);
	int64_t next = read_number(load);
	uint32_t count = reader_u16(in);
	if (in->failed)
		return ST_OK;
	if (key.topic_id == 0 || key.group_id == 0 || key.queue_id >= TOPIC_QUEUE_MAX || count > SNAPSHOT_POPS_AT_ONCE)
		return bad(load, "a POP names what is not there");
	if (pops_reserve(&load->core->pops, &key, count, &row) != ST_OK)
		return no_memory(load);
	if (row->next < (uint64_t)next)
		row->next = (uint64_t)next;
	for (uint32_t i = 0; i < count && !in->failed; i++) {
		struct pop_entry entry = { .offset = (uint64_t)read_number(load) };

		entry.pop_ms = read_number(load);
		entry.invisible_ms = read_number(load);
		entry.deliveries = reader_u16(in);
		entry.orderly = reader_u8(in) != 0;
		if (!in->failed)
			pops_load(&load->core->pops, row, &entry);
	}
	return ST_OK;
}

static enum status load_mode(struct load *load)
{
	uint32_t topic_id = name_of(load, reader_u32(&load->in)), group_id = name_of(load, reader_u32(&load->in));
	uint32_t mode = reader_u32(&load->in), shared_queues = reader_u32(&load->in);

	if (topic_id == 0 || group_id == 0 || mode > REQUEST_MODE_POP)
		return bad(load, "a request mode names what is not there");
	struct request_mode *made = pops_mode_make(&load->core->pops, topic_id, group_id);
	if (made == NULL)
		return no_memory(load);
	made->mode = mode;
	made->shared_queues = shared_queues;
	made->known = true;
	return ST_OK;
}

/* --- chunks ------------------------------------------------------------------------------------------------------------ */

static enum status (*const loaders[])(struct load *load) = {
	[SECTION_STATE] = load_state,     [SECTION_NAMES] = load_name,      [SECTION_TOPICS] = load_topic,
	[SECTION_GROUPS] = load_group,    [SECTION_QUEUES] = load_queue,    [SECTION_HALVES] = load_halves,
	[SECTION_OFFSETS] = load_offset,  [SECTION_PENDING] = load_pending, [SECTION_RESENDS] = load_resend,
	[SECTION_DELAYS] = load_delayed,  [SECTION_SEGMENTS] = load_segment,
	[SECTION_POPS] = load_pops,       [SECTION_MODES] = load_mode,
};

static enum status load_chunk(struct load *load, const struct snapshot_chunk *chunk)
{
	enum status status = ST_OK;

	if (chunk->section >= sizeof(loaders) / sizeof(loaders[0]) || loaders[chunk->section] == NULL)
		return errinfo_set(load->err, ST_VERSION, "a section %u: written by a newer version of this program", chunk->section);
	load->in = reader_of(chunk->payload);
	for (uint32_t i = 0; i < chunk->item_count && status == ST_OK; i++) {
		status = loaders[chunk->section](load);
		if (status == ST_OK && load->in.failed)
			status = bad(load, "an item is cut off");
		if (status != ST_OK)
			return errinfo_wrap(load->err, status, "section %u, item %u", chunk->section, i);
	}
	return load->in.left == 0 ? ST_OK : bad(load, "a chunk is longer than its items");
}

enum status snapshot_load(struct core *core, struct snapshot_reader *snapshot, bool index_lost, struct errinfo *err)
{
	struct load load = { .core = core, .err = err, .page_count = snapshot_end(snapshot)->page_count,
			     .index_lost = index_lost, .durable = snapshot_end(snapshot)->durable,
			     .elapsed_ms = core->wall_ms - snapshot_header(snapshot)->wall_ms };
	struct snapshot_chunk chunk;
	enum status status = ST_OK;

	if (load.elapsed_ms < 0)
		load.elapsed_ms = 0;
	load.used = calloc(1, load.page_count / 8 + 1);
	load.names = array_with_room(NULL, 0, &load.name_capacity, sizeof(*load.names));
	load.name_end = 1; /* 0 is no name. */
	buffer_init(&load.texts, 0);
	if (load.used == NULL || load.names == NULL)
		status = no_memory(&load);
	if (status == ST_OK)
		status = expect_pending(&load, snapshot);
	while (status == ST_OK && (status = snapshot_next(snapshot, &chunk, err)) == ST_OK)
		status = load_chunk(&load, &chunk);
	if (status == ST_NOTFOUND && load.name_end == 1)
		status = bad(&load, "it is empty");
	if (status == ST_NOTFOUND && index_lost)
		status = ST_OK;
	if (status == ST_NOTFOUND)
		status = pagefile_release_unused(core->files, load.used) == ST_OK ? ST_OK : no_memory(&load);
	free(load.used);
	free(load.names);
	buffer_deinit(&load.texts);
	return status;
}
