/* See filter.h. */
#include "tools/log/filter.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/table.h"
#include "lib/wire/properties.h"

struct filter_offset {
	uint64_t offset;
	UT_hash_handle hh;
};

enum status filter_init(struct filter *filter, const char *kinds, struct errinfo *err)
{
	*filter = (struct filter){ 0 };
	for (const char *at = kinds; at != NULL && *at != '\0';) {
		size_t size = strcspn(at, ",");
		unsigned kind = LOG_PAD;

		while (kind < LOG_KIND_END && (strlen(log_kind_text(kind)) != size || strncmp(log_kind_text(kind), at, size) != 0))
			kind++;
		if (kind == LOG_KIND_END)
			return errinfo_set(err, ST_INVALID, "--kind: no such kind: %.*s (message, half, decision, conflict, deliver, "
					   "timer_cancel, carry, check, offsets, pop, topic, group, snapshot_mark, epoch, batch, pad)",
					   (int)size, at);
		filter->kinds |= 1u << kind;
		at += size + (at[size] == ',');
	}
	return ST_OK;
}

void filter_deinit(struct filter *filter)
{
	struct filter_offset *item, *next;

	HASH_ITER(hh, filter->named, item, next) {
		HASH_DEL(filter->named, item);
		free(item);
	}
}

static bool is_named(const struct filter *filter, uint64_t offset)
{
	struct filter_offset *found = NULL;

	if (offset != 0)
		HASH_FIND(hh, filter->named, &offset, sizeof(offset), found);
	return found != NULL;
}

static enum status remember(struct filter *filter, uint64_t offset, struct errinfo *err)
{
	if (offset == 0 || is_named(filter, offset))
		return ST_OK;
	struct filter_offset *item = calloc(1, sizeof(*item));
	if (item == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	item->offset = offset;
	HASH_ADD(hh, filter->named, offset, sizeof(item->offset), item);
	if (table_took(item))
		return ST_OK;
	free(item);
	return errinfo_set(err, ST_NOMEM, "out of memory");
}

static bool has_word(struct span words, const char *word)
{
	for (struct span rest = words, one; word_next(&rest, &one);) {
		if (span_is(one, word))
			return true;
	}
	return false;
}

struct batch_search {
	const struct filter *filter;
	bool topic, named;
};

static enum status search_check(void *context, const struct record_check *r, struct errinfo *err)
{
	struct batch_search *search = context;

	(void)err;
	search->named |= is_named(search->filter, r->half_offset);
	return ST_OK;
}

static void see_topic(struct batch_search *search, struct span topic)
{
	search->topic |= search->filter->topic != NULL && span_is(topic, search->filter->topic);
}

static enum status search_offset(void *context, const struct record_offset *r, struct errinfo *err)
{
	(void)err;
	see_topic(context, r->topic);
	return ST_OK;
}

static enum status search_pop(void *context, const struct record_pop *r, struct errinfo *err)
{
	(void)err;
	see_topic(context, r->topic);
	return ST_OK;
}

/* In any entry of a batch. */
static void search_batch(struct batch_search *search, const struct record_facts *facts)
{
	struct span payload = facts->record->payload;
	enum status status = ST_OK;

	if (facts->kind == LOG_CHECK)
		status = record_checks_decode(payload, search_check, search, NULL);
	else if (facts->kind == LOG_OFFSETS)
		status = record_offsets_decode(payload, search_offset, search, NULL);
	else if (facts->kind == LOG_POP)
		status = record_pops_decode(payload, search_pop, search, NULL);
	(void)status; /* What cannot be read matches nothing. */
}

static bool fits_names(const struct filter *filter, const struct record_facts *facts)
{
	struct batch_search search = { .filter = filter };
	bool own;

	search_batch(&search, facts);
	if (filter->topic != NULL && !search.topic && !span_is(facts->topic, filter->topic) &&
	    !(facts->topic.size == 0 && is_named(filter, facts->half_offset)))
		return false;
	if (filter->key == NULL && filter->transaction == NULL)
		return true;
	own = (filter->key == NULL || span_is(facts->unique_key, filter->key) || has_word(facts->keys, filter->key)) &&
	      (filter->transaction == NULL || span_is(facts->transaction_id, filter->transaction));
	return own || search.named || is_named(filter, facts->half_offset) || is_named(filter, facts->named[0]) ||
	       is_named(filter, facts->named[1]);
}

enum status filter_match(struct filter *filter, const struct record_facts *facts, bool *match_out, bool *past_out,
			 struct errinfo *err)
{
	if (facts->when_ms > filter->last_ms)
		filter->last_ms = facts->when_ms;
	*past_out = filter->until_ms != 0 && facts->when_ms >= filter->until_ms;
	*match_out = fits_names(filter, facts);
	if (!*match_out)
		return ST_OK;
	/* Also what is not shown itself: the decision may be in the time asked for, and its half older. Of a topic's records
	 * only a transaction's may be named by one that does not say the topic. */
	bool by_name = filter->key != NULL || filter->transaction != NULL;
	enum status status = ST_OK;
	if ((by_name || filter->topic != NULL) && facts->kind != LOG_CHECK) /* A batch is about others, too. */
		status = remember(filter, facts->half_offset, err);
	if (status == ST_OK && by_name)
		status = remember(filter, facts->record->offset, err);
	if (status == ST_OK && by_name && facts->carried)
		status = remember(filter, facts->original_offset, err);
	if (status != ST_OK)
		return status;
	*match_out = !*past_out && filter->last_ms >= filter->since_ms &&
		     (filter->kinds == 0 || (facts->record->kind < LOG_KIND_END && (filter->kinds & 1u << facts->record->kind) != 0));
	return ST_OK;
}
