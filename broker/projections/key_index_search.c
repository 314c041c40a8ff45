#include "broker/projections/key_index_internal.h"

#include <stdlib.h>

#include "lib/base/array.h"
#include "lib/base/logging.h"

enum { TIME_RECORDS = 1000 /* Read at most to learn of a time. */ };

/* Where offsets of one hash lie, ascending: in a run, or in a list. */
struct stretch {
	struct key_run *run;
	const uint64_t *list;
	uint64_t first, count;
};

static enum status stretch_at(const struct stretch *stretch, uint64_t hash, uint64_t at, uint64_t *out, struct errinfo *err)
{
	if (stretch->run != NULL)
		return key_run_offset(stretch->run, hash, stretch->first + at, out, err);
	*out = stretch->list[at];
	return ST_OK;
}

/* When a record at `offset` or soon behind it was stored; INT64_MIN: that cannot be seen. A CARRY does not say. */
static int64_t time_at(const struct key_index *index, uint64_t offset)
{
	struct logreader *reader = NULL;
	struct key_body body;
	struct log_record record;
	struct errinfo err;
	int64_t time_ms = INT64_MIN;
	enum status status = logreader_open(index->vfs, index->root, offset, &reader, &err);

	for (int i = 0; i < TIME_RECORDS && status == ST_OK && time_ms == INT64_MIN; i++) {
		status = logreader_next(reader, index->complete_to, &record, &err);
		if (status == ST_OK && key_body_decode(record.kind, record.payload, &body))
			time_ms = body.store_time_ms;
	}
	logreader_close(reader);
	return time_ms;
}

/* How many of the stretch matter: a message goes by a time that is not before that of its body, and times ascend along the
 * log. */
static enum status count_wanted(const struct key_index *index, const struct stretch *stretch, const struct key_search *search,
				uint64_t *out, struct errinfo *err)
{
	uint64_t low = 0, high = stretch->count, offset;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		enum status status = stretch_at(stretch, search->hash, middle, &offset, err);

		if (status != ST_OK)
			return status;
		if (offset >= search->below ||
		    (search->end_ms < index->indexed_ms && time_at(index, offset) > search->end_ms))
			high = middle;
		else
			low = middle + 1;
	}
	*out = low;
	return ST_OK;
}

static enum status take_hits(const struct key_index *index, const struct stretch *stretch, struct key_search *search,
			     struct errinfo *err)
{
	uint64_t count = 0;
	enum status status = count_wanted(index, stretch, search, &count, err);

	while (status == ST_OK && count > 0 && search->hit_count < KEY_INDEX_HITS_MAX) {
		status = stretch_at(stretch, search->hash, --count, &search->hits[search->hit_count], err);
		if (status == ST_OK)
			search->hit_count++;
	}
	return status;
}

static enum status search_young(const struct key_index *index, struct key_search *search, struct errinfo *err)
{
	struct stretch stretch = { .run = NULL };
	uint64_t *list = NULL;
	size_t capacity = 0;

	for (size_t i = 0; i < index->entry_count; i++) {
		if (index->entries[i].hash != search->hash)
			continue;
		uint64_t *grown = array_with_room(list, (size_t)stretch.count, &capacity, sizeof(*list));
		if (grown == NULL) {
			free(list);
			return errinfo_set(err, ST_NOMEM, "no memory for what was found");
		}
		list = grown;
		list[stretch.count++] = index->entries[i].offset;
	}
	stretch.list = list;
	enum status status = take_hits(index, &stretch, search, err);
	free(list);
	return status;
}

static enum status search_run(const struct key_index *index, struct key_run *run, struct key_search *search, struct errinfo *err)
{
	struct stretch stretch = { .run = run };

	if (run->head.oldest_ms > search->end_ms || run->head.from >= search->below)
		return ST_OK;
	enum status status = key_run_find(run, search->hash, &stretch.first, &stretch.count, err);
	return status == ST_OK ? take_hits(index, &stretch, search, err) : status;
}

void key_index_answer(struct key_index *index, struct key_search *search)
{
	struct errinfo err;

	search->hit_count = 0;
	if (search_young(index, search, &err) != ST_OK)
		log_warn("keys", "the latest messages are not searched", "reason=\"%s\"", err.text);
	for (size_t i = index->run_count; i-- > 0 && search->hit_count < KEY_INDEX_HITS_MAX;) {
		if (search_run(index, &index->runs[i], search, &err) != ST_OK)
			log_warn("keys", "a run cannot be searched", "reason=\"%s\"", err.text);
	}
	search->indexed_to = index->reader != NULL ? logreader_position(index->reader) : index->position;
	search->indexed_ms = index->indexed_ms;
}
