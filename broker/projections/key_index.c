#include "broker/projections/key_index_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/logging.h"
#include "lib/record/record_message.h"
#include "lib/record/record_transaction.h"
#include "lib/wire/message.h"
#include "lib/wire/properties.h"

enum {
	RUNS_MAX = 65536,          /* Of which the oldest are forgotten. */
	KEYS_MAX = 64,             /* Of one message. */
	STEP_RECORDS = 4096,       /* Between two looks at what else there is to do. */
	PAUSE_MS = 100,            /* At most so long until what has become durable is read. */
	RETRY_MS = 5000,
};

/* --- keys of records ------------------------------------------------------------------------------------------------ */

/* Stable: what is on disk must be found by the next version of the program. */
uint64_t key_index_hash(struct span topic, enum key_kind kind, struct span key)
{
	static const struct hash_key fixed[] = {
		[KEY_OF_MESSAGE] = { 0x65736372776b6579ULL, 0x6b65792d696e6465ULL },
		[KEY_TAG] = { 0x6573637277746167ULL, 0x7461672d696e6465ULL },
	};
	struct hash128 outer = hash128_bytes(fixed[kind], topic.data, topic.size);
	struct hash_key inner = { outer.lo, outer.hi };

	return hash128_bytes(inner, key.data, key.size).lo;
}

static bool add_entry(struct key_index *index, uint64_t hash, uint64_t offset)
{
	struct key_entry *entries = array_with_room(index->entries, index->entry_count, &index->entry_capacity, sizeof(*entries));

	if (entries == NULL)
		return false;
	index->entries = entries;
	index->entries[index->entry_count++] = (struct key_entry){ hash, offset };
	return true;
}

/* KEYS holds several, with blanks between. */
static bool add_keys(struct key_index *index, uint64_t offset, struct span topic, struct span message)
{
	struct message decoded;
	struct known_properties known;
	size_t count = 0;

	if (message_decode(message, &decoded, NULL) != ST_OK)
		return true;
	properties_scan(decoded.properties, &known);
	if (known.uniq_key.size > 0 && !add_entry(index, key_index_hash(topic, KEY_OF_MESSAGE, known.uniq_key), offset))
		return false;
	if (known.tags.size > 0 && !add_entry(index, key_index_hash(topic, KEY_TAG, known.tags), offset))
		return false;
	for (struct span rest = known.keys, word; word_next(&rest, &word) && count < KEYS_MAX; count++) {
		if (!add_entry(index, key_index_hash(topic, KEY_OF_MESSAGE, word), offset))
			return false;
	}
	return true;
}

/* A body that was carried is older than its neighbours. */
static void note_time(struct key_index *index, int64_t store_time_ms)
{
	struct key_run_head *head = &index->head;

	if (head->oldest_ms == 0 || store_time_ms < head->oldest_ms)
		head->oldest_ms = store_time_ms;
	if (store_time_ms > head->newest_ms)
		head->newest_ms = store_time_ms;
	if (store_time_ms > index->indexed_ms)
		index->indexed_ms = store_time_ms;
}

bool key_body_decode(unsigned kind, struct span payload, struct key_body *out)
{
	struct record_message message;
	struct record_half half;

	if (kind == LOG_MESSAGE && record_message_decode(payload, &message, NULL) == ST_OK)
		*out = (struct key_body){ message.store_time_ms, message.topic, message.message };
	else if (kind == LOG_HALF && record_half_decode(payload, &half, NULL) == ST_OK)
		*out = (struct key_body){ half.store_time_ms, half.topic, half.message };
	else
		return false;
	return true;
}

static bool index_payload(struct key_index *index, unsigned kind, uint64_t offset, struct span payload)
{
	struct key_body body;

	if (!key_body_decode(kind, payload, &body))
		return true;
	note_time(index, body.store_time_ms);
	return add_keys(index, offset, body.topic, body.message);
}

static bool index_record(struct key_index *index, const struct log_record *record)
{
	struct record_carry carry;

	/* A body that was carried is found where it lies now. */
	if (record->kind == LOG_CARRY && record_carry_decode(record->payload, &carry, NULL) == ST_OK)
		return index_payload(index, carry.original_kind, record->offset, carry.payload);
	return index_payload(index, record->kind, record->offset, record->payload);
}

/* --- runs ------------------------------------------------------------------------------------------------------------- */

static enum status take_run(struct key_index *index, uint64_t to, struct errinfo *err)
{
	struct key_run run, *runs;
	enum status status = key_run_open(index->vfs, index->dir, to, &run, err);

	if (status != ST_OK)
		return status;
	runs = array_with_room(index->runs, index->run_count, &index->run_capacity, sizeof(*runs));
	if (runs == NULL) {
		key_run_close(&run);
		return errinfo_set(err, ST_NOMEM, "no memory for the key index");
	}
	index->runs = runs;
	index->runs[index->run_count++] = run;
	return ST_OK;
}

static enum status write_run(struct key_index *index, struct errinfo *err)
{
	uint64_t to = logreader_position(index->reader);

	index->head.to = to;
	index->head.count = index->entry_count;
	memcpy(index->head.log_id, logreader_log_id(index->reader), KEY_RUN_LOG_ID_SIZE);
	enum status status = key_run_write(index->vfs, index->dir, &index->head, index->entries, err);
	if (status == ST_OK)
		status = take_run(index, to, err);
	if (status != ST_OK)
		return status;
	index->entry_count = 0;
	index->position = to;
	index->head = (struct key_run_head){ .from = to };
	return ST_OK;
}

/* Whether the last run may stay: those of a log that is not this one go, those that speak of more than it holds, and those
 * behind a gap, whose part of the log is read anew. */
static bool fits(const struct key_index *index, const uint8_t *log_id, uint64_t oldest)
{
	const struct key_run *run = &index->runs[index->run_count - 1];
	uint64_t expected = index->run_count > 1 ? run[-1].head.to : 0;

	return memcmp(run->head.log_id, log_id, KEY_RUN_LOG_ID_SIZE) == 0 && run->head.to <= atomic_load(&index->durable) &&
	       (run->head.from <= expected || run->head.from <= oldest);
}

static void drop_run(struct key_index *index, size_t at)
{
	struct errinfo err;
	uint64_t to = index->runs[at].head.to;

	key_run_close(&index->runs[at]);
	index->run_count--;
	memmove(&index->runs[at], &index->runs[at + 1], (index->run_count - at) * sizeof(*index->runs));
	if (key_run_remove(index->vfs, index->dir, to, &err) != ST_OK)
		log_warn("keys", "a run stays behind", "reason=\"%s\"", err.text);
}

/* A run that cannot be read is left out; one that is damaged is made anew. */
static void leave_out(const struct key_index *index, uint64_t name, const struct errinfo *why)
{
	struct errinfo err;

	log_warn("keys", "a run is left out", "reason=\"%s\"", why->text);
	if (why->code == ST_CORRUPT && key_run_remove(index->vfs, index->dir, name, &err) != ST_OK)
		log_warn("keys", "a run stays behind", "reason=\"%s\"", err.text);
}

/* Takes up the runs that are there. `oldest`: where the log begins. */
static enum status load_runs(struct key_index *index, const uint8_t *log_id, uint64_t oldest, struct errinfo *err)
{
	uint64_t *names = malloc(RUNS_MAX * sizeof(*names));
	size_t count = 0;

	if (names == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for the key index");
	enum status status = key_run_list(index->vfs, index->dir, names, RUNS_MAX, &count, err);
	for (size_t i = 0; i < count && status == ST_OK; i++) {
		struct errinfo why;
		enum status one = take_run(index, names[i], &why);

		if (one == ST_NOMEM)
			status = errinfo_set(err, one, "%s", why.text);
		else if (one != ST_OK)
			leave_out(index, names[i], &why);
		else if (!fits(index, log_id, oldest))
			drop_run(index, index->run_count - 1);
	}
	free(names);
	index->position = index->run_count > 0 ? index->runs[index->run_count - 1].head.to : 0;
	index->indexed_ms = index->run_count > 0 ? index->runs[index->run_count - 1].head.newest_ms : 0;
	index->head = (struct key_run_head){ .from = index->position };
	return status;
}

/* --- reading the log ------------------------------------------------------------------------------------------------------ */

/* At `position`, or at the log's beginning when that is past it. */
static enum status open_reader(struct key_index *index, struct errinfo *err)
{
	enum status status = logreader_open(index->vfs, index->root, index->position, &index->reader, err);

	if (status != ST_NOTFOUND)
		return status;
	index->entry_count = 0;
	status = logreader_open(index->vfs, index->root, 0, &index->reader, err);
	if (status == ST_OK)
		index->head = (struct key_run_head){ .from = logreader_position(index->reader) };
	return status;
}

static enum status open_log(struct key_index *index, struct errinfo *err)
{
	enum status status = ST_OK;

	if (index->runs == NULL && index->position == 0) {
		/* For the log's identity only. */
		status = logreader_open(index->vfs, index->root, 0, &index->reader, err);
		if (status == ST_OK)
			status = load_runs(index, logreader_log_id(index->reader), logreader_position(index->reader), err);
		logreader_close(index->reader);
		index->reader = NULL;
	}
	return status == ST_OK ? open_reader(index, err) : status;
}

/* Reads up to `records`; *all: there is nothing more now. */
static enum status read_some(struct key_index *index, unsigned records, bool *all, struct errinfo *err)
{
	uint64_t durable = atomic_load(&index->durable);
	struct log_record record;
	enum status status = index->reader == NULL ? open_log(index, err) : ST_OK;

	*all = false;
	for (unsigned i = 0; i < records && status == ST_OK; i++) {
		status = logreader_next(index->reader, durable, &record, err);
		if (status == ST_OK && !index_record(index, &record))
			status = errinfo_set(err, ST_NOMEM, "no memory for the key index");
		if (status == ST_OK && index->entry_count >= index->run_entries)
			status = write_run(index, err);
	}
	*all = status == ST_AGAIN;
	if (*all)
		index->complete_to = durable;
	if (status == ST_OK || status == ST_AGAIN)
		return ST_OK;
	/* From the last run on, another time. */
	logreader_close(index->reader);
	index->reader = NULL;
	index->entry_count = 0;
	index->head = (struct key_run_head){ .from = index->position };
	return status;
}

static void drop_old(struct key_index *index)
{
	uint64_t start = atomic_load(&index->log_start);

	while (index->run_count > 0 && index->runs[0].head.to <= start)
		drop_run(index, 0);
}

/* Those that need not wait any more; with `now` all of them. */
static struct key_search *take_ready(struct key_index *index, bool now)
{
	struct key_search *ready = NULL, **link, *search;
	int64_t now_ms = clock_mono_ms(clock_system());

	pthread_mutex_lock(&index->lock);
	for (link = &index->searches; (search = *link) != NULL;) {
		if (!now && search->wait_for > index->complete_to && now_ms < search->wait_until_ms) {
			link = &search->next;
			continue;
		}
		*link = search->next;
		search->next = ready;
		ready = search;
	}
	pthread_mutex_unlock(&index->lock);
	return ready;
}

static void answer_ready(struct key_index *index, bool now)
{
	for (struct key_search *search = take_ready(index, now), *next; search != NULL; search = next) {
		next = search->next; /* It is the caller's again once it is told. */
		key_index_answer(index, search);
		search->found(search);
	}
}

static void report(struct key_index *index, enum status status, const struct errinfo *err)
{
	if (status != ST_OK && !index->failing)
		log_warn("keys", "the key index stands still; trying on", "reason=\"%s\"", err->text);
	index->failing = status != ST_OK;
}

int64_t key_index_turn(struct key_index *index)
{
	struct errinfo err;
	bool all;
	enum status status = read_some(index, STEP_RECORDS, &all, &err);

	report(index, status, &err);
	drop_old(index);
	answer_ready(index, status != ST_OK);
	return status != ST_OK ? RETRY_MS : all ? PAUSE_MS : 0;
}

/* --- life and, for tests, steps ------------------------------------------------------------------------------------------ */

enum status key_index_open(const struct vfs *vfs, const char *root, uint64_t run_entries, struct key_index **out,
			   struct errinfo *err)
{
	struct key_index *index = calloc(1, sizeof(*index));

	if (index != NULL)
		index->root = strdup(root);
	if (index == NULL || index->root == NULL) {
		free(index);
		return errinfo_set(err, ST_NOMEM, "no memory for the key index");
	}
	index->vfs = vfs;
	index->run_entries = run_entries;
	key_run_dir(root, index->dir);
	pthread_mutex_init(&index->lock, NULL);
	pthread_cond_init(&index->wake, NULL);
	*out = index;
	return ST_OK;
}

void key_index_close(struct key_index *index)
{
	if (index == NULL)
		return;
	for (size_t i = 0; i < index->run_count; i++)
		key_run_close(&index->runs[i]);
	logreader_close(index->reader);
	pthread_mutex_destroy(&index->lock);
	pthread_cond_destroy(&index->wake);
	free(index->runs);
	free(index->entries);
	free(index->root);
	free(index);
}

enum status key_index_catch_up(struct key_index *index, struct errinfo *err)
{
	enum status status = ST_OK;
	bool all = false;

	while (status == ST_OK && !all)
		status = read_some(index, STEP_RECORDS, &all, err);
	drop_old(index);
	return status;
}

size_t key_index_run_count(const struct key_index *index)
{
	return index->run_count;
}

void key_index_queue(struct key_index *index, struct key_search *search)
{
	search->wait_for = atomic_load(&index->durable);
	search->wait_until_ms = clock_mono_ms(clock_system()) + KEY_INDEX_WAIT_MS;
	search->next = index->searches;
	index->searches = search;
}
