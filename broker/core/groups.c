#include "broker/core/groups.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/names.h"

struct groups {
	struct consumer_group *by_name;
	struct names *names;
	uint32_t group_max;
	uint32_t live_count;
};

struct groups *groups_create(struct names *names)
{
	struct groups *groups = calloc(1, sizeof(*groups));

	if (groups == NULL)
		return NULL;
	groups->names = names;
	groups->group_max = UINT32_MAX;
	return groups;
}

void groups_set_limit(struct groups *groups, uint32_t group_max)
{
	groups->group_max = group_max;
}

void groups_destroy(struct groups *groups)
{
	struct consumer_group *group, *next;

	if (groups == NULL)
		return;
	HASH_ITER(hh, groups->by_name, group, next) {
		HASH_DEL(groups->by_name, group);
		free(group->texts);
		free(group->spare);
		free(group);
	}
	free(groups);
}

struct consumer_group *groups_find_any(const struct groups *groups, struct span name)
{
	struct consumer_group *group = NULL;

	HASH_FIND(hh, groups->by_name, name.data, name.size, group);
	return group;
}

struct consumer_group *groups_find(const struct groups *groups, struct span name)
{
	struct consumer_group *group = groups_find_any(groups, name);

	return group == NULL || group->deleted ? NULL : group;
}

enum status groups_check_room(const struct groups *groups, struct errinfo *err)
{
	if (groups->live_count < groups->group_max)
		return ST_OK;
	return errinfo_set(err, ST_FULL, "this broker has %u consumer groups, its limit", groups->group_max);
}

static enum status make_spare(struct consumer_group *group, size_t size)
{
	if (size <= group->spare_size)
		return ST_OK;
	uint8_t *grown = realloc(group->spare, size);
	if (grown == NULL)
		return ST_NOMEM;
	group->spare = grown;
	group->spare_size = size;
	return ST_OK;
}

enum status groups_reserve(struct groups *groups, struct span name, size_t texts_size)
{
	struct consumer_group *group = groups_find_any(groups, name);
	uint32_t id = 0;

	if ((group == NULL || group->deleted) && groups_check_room(groups, NULL) != ST_OK)
		return ST_FULL;
	if (group != NULL)
		return make_spare(group, texts_size);
	group = calloc(1, sizeof(*group));
	if (group == NULL || names_intern(groups->names, name, &id) != ST_OK)
		goto no_memory;
	group->id = id;
	group->name = names_text(groups->names, id);
	group->deleted = true; /* Until it is put. */
	HASH_ADD_KEYPTR(hh, groups->by_name, group->name.data, group->name.size, group);
	if (table_took(group))
		return make_spare(group, texts_size);
no_memory:
	free(group);
	return ST_NOMEM;
}

static struct span keep_text(uint8_t *at, struct span text)
{
	if (text.size == 0)
		return SPAN_NONE;
	memcpy(at, text.data, text.size);
	return (struct span){ at, text.size };
}

/* Both may be the group's own texts. */
static void keep_texts(struct consumer_group *group, struct span forbidden, struct span retry_policy)
{
	uint8_t *old = group->texts;

	group->texts = NULL;
	group->forbidden = group->settings.retry_policy = SPAN_NONE;
	if (forbidden.size + retry_policy.size > 0) {
		group->texts = group->spare;
		group->spare = NULL;
		group->spare_size = 0;
		group->forbidden = keep_text(group->texts, forbidden);
		group->settings.retry_policy = keep_text(group->texts + forbidden.size, retry_policy);
	}
	free(old);
}

enum status groups_put(struct groups *groups, struct span name, const struct group_config *settings, struct span forbidden,
		       struct consumer_group **group_out)
{
	enum status status = groups_reserve(groups, name, forbidden.size + settings->retry_policy.size);

	if (status != ST_OK)
		return status;
	struct consumer_group *group = groups_find_any(groups, name);
	struct span retry_policy = settings->retry_policy;
	group->settings = *settings;
	group->settings.group_name = SPAN_NONE; /* The caller's text. */
	keep_texts(group, forbidden, retry_policy);
	groups->live_count += group->deleted;
	group->deleted = false;
	*group_out = group;
	return ST_OK;
}

void groups_delete(struct groups *groups, struct consumer_group *group)
{
	groups->live_count -= !group->deleted;
	group->deleted = true;
	keep_texts(group, SPAN_NONE, SPAN_NONE);
}

bool group_is_forbidden(const struct consumer_group *group, struct span topic)
{
	struct span rest = group->forbidden;

	while (rest.size > 0) {
		const uint8_t *end = memchr(rest.data, '\n', rest.size);
		size_t size = end == NULL ? rest.size : (size_t)(end - rest.data);

		if (span_equal((struct span){ rest.data, size }, topic))
			return true;
		size += end != NULL;
		rest = (struct span){ rest.data + size, rest.size - size };
	}
	return false;
}

uint32_t groups_count(const struct groups *groups)
{
	return groups->live_count;
}

static struct consumer_group *skip_deleted(struct consumer_group *group)
{
	while (group != NULL && group->deleted)
		group = group->hh.next;
	return group;
}

struct consumer_group *groups_first_any(const struct groups *groups)
{
	return groups->by_name;
}

struct consumer_group *groups_next_any(const struct consumer_group *group)
{
	return group->hh.next;
}

struct consumer_group *groups_first(const struct groups *groups)
{
	return skip_deleted(groups->by_name);
}

struct consumer_group *groups_next(const struct consumer_group *group)
{
	return skip_deleted(group->hh.next);
}
