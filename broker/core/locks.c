#include "broker/core/locks.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/state.h"
#include "lib/base/table.h"

struct lock {
	UT_hash_handle hh;
	struct lock_key key;
	int64_t renewed_mono_ms;
	size_t client_id_size;
	uint8_t client_id[LOCK_CLIENT_ID_MAX];
};

/* Each group's apart, so that a look at a group costs what it locked. */
struct group_locks {
	UT_hash_handle hh;
	uint32_t group_id;
	struct lock *table;
};

struct locks {
	struct group_locks *groups;
	size_t count;
	size_t lock_max;
};

struct locks *locks_create(size_t lock_max)
{
	struct locks *locks = calloc(1, sizeof(*locks));

	if (locks != NULL)
		locks->lock_max = lock_max;
	return locks;
}

static struct group_locks *find_group(const struct locks *locks, uint32_t group_id)
{
	struct group_locks *group;

	HASH_FIND(hh, locks->groups, &group_id, sizeof(group_id), group);
	return group;
}

/* The group goes with its last lock. */
static void forget(struct locks *locks, struct group_locks *group, struct lock *lock)
{
	HASH_DEL(group->table, lock);
	free(lock);
	locks->count--;
	if (group->table != NULL)
		return;
	HASH_DEL(locks->groups, group);
	free(group);
}

void locks_destroy(struct locks *locks)
{
	if (locks == NULL)
		return;
	while (locks->groups != NULL)
		forget(locks, locks->groups, locks->groups->table);
	free(locks);
}

static struct lock *find(const struct group_locks *group, const struct lock_key *key)
{
	struct lock *lock = NULL;

	if (group != NULL)
		HASH_FIND(hh, group->table, key, sizeof(*key), lock);
	return lock;
}

static bool is_alive(const struct lock *lock, int64_t now_mono_ms)
{
	return now_mono_ms - lock->renewed_mono_ms <= LOCK_LIFE_MS;
}

static bool is_owner(const struct lock *lock, struct span client_id)
{
	return span_equal((struct span){ lock->client_id, lock->client_id_size }, client_id);
}

static struct group_locks *make_group(struct locks *locks, uint32_t group_id)
{
	struct group_locks *group = calloc(1, sizeof(*group));

	if (group == NULL)
		return NULL;
	group->group_id = group_id;
	HASH_ADD(hh, locks->groups, group_id, sizeof(group->group_id), group);
	if (table_took(group))
		return group;
	free(group);
	return NULL;
}

static struct lock *make_lock(struct group_locks *group, const struct lock_key *key)
{
	struct lock *lock = calloc(1, sizeof(*lock));

	if (lock == NULL)
		return NULL;
	lock->key = *key;
	HASH_ADD(hh, group->table, key, sizeof(lock->key), lock);
	if (table_took(lock))
		return lock;
	free(lock);
	return NULL;
}

static enum status add(struct locks *locks, struct group_locks *group, const struct lock_key *key, struct lock **out)
{
	if (locks->count >= locks->lock_max)
		return ST_FULL;
	if (group == NULL)
		group = make_group(locks, key->group_id);
	*out = group == NULL ? NULL : make_lock(group, key);
	if (*out != NULL) {
		locks->count++;
		return ST_OK;
	}
	if (group != NULL && group->table == NULL) {
		HASH_DEL(locks->groups, group);
		free(group);
	}
	return ST_NOMEM;
}

enum status locks_take(struct locks *locks, const struct lock_key *key, struct span client_id, int64_t now_mono_ms)
{
	struct group_locks *group = find_group(locks, key->group_id);
	struct lock *lock = find(group, key);

	if (client_id.size == 0 || client_id.size > LOCK_CLIENT_ID_MAX)
		return ST_INVALID;
	if (lock != NULL && is_alive(lock, now_mono_ms) && !is_owner(lock, client_id))
		return ST_BUSY;
	if (lock == NULL) {
		enum status status = add(locks, group, key, &lock);
		if (status != ST_OK)
			return status;
	}
	memcpy(lock->client_id, client_id.data, client_id.size);
	lock->client_id_size = client_id.size;
	lock->renewed_mono_ms = now_mono_ms;
	return ST_OK;
}

void locks_release(struct locks *locks, const struct lock_key *key, struct span client_id)
{
	struct group_locks *group = find_group(locks, key->group_id);
	struct lock *lock = find(group, key);

	if (lock != NULL && is_owner(lock, client_id))
		forget(locks, group, lock);
}

bool locks_has_any(const struct locks *locks, uint32_t group_id, int64_t now_mono_ms)
{
	const struct group_locks *group = find_group(locks, group_id);
	const struct lock *lock = group == NULL ? NULL : group->table;

	while (lock != NULL && !is_alive(lock, now_mono_ms))
		lock = lock->hh.next;
	return lock != NULL;
}

void locks_expire(struct locks *locks, int64_t now_mono_ms)
{
	struct group_locks *group, *next_group;
	struct lock *lock, *next;

	HASH_ITER(hh, locks->groups, group, next_group) {
		for (lock = group->table; lock != NULL; lock = next) {
			next = lock->hh.next;
			if (!is_alive(lock, now_mono_ms))
				forget(locks, group, lock);
		}
	}
}

/* --- requests --------------------------------------------------------------------------------------------------------- */

/* False: no such queue here. */
static bool key_of(struct core *core, struct span group, struct span topic_name, int32_t queue_id, struct lock_key *out)
{
	const struct topic *topic = topics_find(core->topics, topic_name);

	if (topic == NULL || queue_id < 0 || (uint32_t)queue_id >= TOPIC_QUEUE_MAX || group.size == 0 || group.size > 255)
		return false;
	*out = (struct lock_key){ .topic_id = topic->id, .queue_id = (uint32_t)queue_id };
	return names_intern_soft(core->names, group, &out->group_id) == ST_OK;
}

bool core_lock_queue(struct core *core, struct span group, struct span client_id, struct span topic, int32_t queue_id)
{
	struct lock_key key;

	return key_of(core, group, topic, queue_id, &key) && locks_take(core->locks, &key, client_id, core->mono_ms) == ST_OK;
}

void core_unlock_queue(struct core *core, struct span group, struct span client_id, struct span topic, int32_t queue_id)
{
	struct lock_key key;

	if (key_of(core, group, topic, queue_id, &key))
		locks_release(core->locks, &key, client_id);
}
