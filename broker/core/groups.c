#include "broker/core/groups.h"

#include <stdlib.h>

#include "broker/core/names.h"

struct groups {
	struct consumer_group *by_name;
	struct names *names;
	uint32_t group_max;
};

struct groups *groups_create(struct names *names, uint32_t group_max)
{
	struct groups *groups = calloc(1, sizeof(*groups));

	if (groups == NULL)
		return NULL;
	groups->names = names;
	groups->group_max = group_max;
	return groups;
}

void groups_destroy(struct groups *groups)
{
	struct consumer_group *group, *next;

	if (groups == NULL)
		return;
	HASH_ITER(hh, groups->by_name, group, next) {
		HASH_DEL(groups->by_name, group);
		free(group);
	}
	free(groups);
}

static struct consumer_group *find_any(const struct groups *groups, struct span name)
{
	struct consumer_group *group = NULL;

	HASH_FIND(hh, groups->by_name, name.data, name.size, group);
	return group;
}

struct consumer_group *groups_find(const struct groups *groups, struct span name)
{
	struct consumer_group *group = find_any(groups, name);

	return group == NULL || group->deleted ? NULL : group;
}

enum status groups_check_room(const struct groups *groups, struct errinfo *err)
{
	if (HASH_COUNT(groups->by_name) < groups->group_max)
		return ST_OK;
	return errinfo_set(err, ST_FULL, "this broker has %u consumer groups, its limit", groups->group_max);
}

enum status groups_reserve(struct groups *groups, struct span name)
{
	struct consumer_group *group = find_any(groups, name);
	uint32_t id = 0;

	if (group != NULL)
		return ST_OK;
	if (groups_check_room(groups, NULL) != ST_OK)
		return ST_FULL;
	group = calloc(1, sizeof(*group));
	if (group == NULL || names_intern(groups->names, name, &id) != ST_OK)
		goto no_memory;
	group->id = id;
	group->name = names_text(groups->names, id);
	group->deleted = true; /* Until it is put. */
	HASH_ADD_KEYPTR(hh, groups->by_name, group->name.data, group->name.size, group);
	if (table_took(group))
		return ST_OK;
no_memory:
	free(group);
	return ST_NOMEM;
}

enum status groups_put(struct groups *groups, struct span name, const struct group_config *settings,
		       struct consumer_group **group_out)
{
	enum status status = groups_reserve(groups, name);

	if (status != ST_OK)
		return status;
	struct consumer_group *group = find_any(groups, name);
	group->settings = *settings;
	group->settings.group_name = SPAN_NONE; /* The caller's text. */
	group->deleted = false;
	*group_out = group;
	return ST_OK;
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
