#include "namesrv/kv.h"

#include <stdlib.h>
#include <utlist.h>

#include "lib/wire/body_route.h"

struct entry {
	struct entry *prev, *next;
	size_t name_space_size, key_size, value_size;
	uint8_t text[]; /* namespace, key, value */
};

struct kv {
	/* A list each: a walk over the settings need not tell them apart. */
	struct entry *entries;
	struct entry *emptied; /* Namespaces only, in the order in which they were emptied. */
	size_t emptied_count;
	size_t count;
	size_t bytes;
	uint64_t version;
};

struct kv *kv_create(void)
{
	return calloc(1, sizeof(struct kv));
}

void kv_destroy(struct kv *kv)
{
	struct entry *entry, *next;

	if (kv == NULL)
		return;
	DL_FOREACH_SAFE(kv->entries, entry, next)
		free(entry);
	DL_FOREACH_SAFE(kv->emptied, entry, next)
		free(entry);
	free(kv);
}

static struct span name_space_of(const struct entry *entry)
{
	return (struct span){ entry->text, entry->name_space_size };
}

static struct span key_of(const struct entry *entry)
{
	return (struct span){ entry->text + entry->name_space_size, entry->key_size };
}

static struct span value_of(const struct entry *entry)
{
	return (struct span){ entry->text + entry->name_space_size + entry->key_size, entry->value_size };
}

static size_t size_of(const struct entry *entry)
{
	return entry->name_space_size + entry->key_size + entry->value_size;
}

/* The first of this namespace. */
static struct entry *first_of(struct entry *entries, struct span name_space)
{
	struct entry *entry;

	DL_FOREACH(entries, entry) {
		if (span_equal(name_space_of(entry), name_space))
			break;
	}
	return entry;
}

static void forget_emptied(struct kv *kv, struct entry *emptied)
{
	DL_DELETE(kv->emptied, emptied);
	kv->emptied_count--;
	free(emptied);
}

enum status kv_remember_emptied(struct kv *kv, struct span name_space, struct errinfo *err)
{
	if (first_of(kv->entries, name_space) != NULL || first_of(kv->emptied, name_space) != NULL)
		return ST_OK;
	struct entry *entry = malloc(sizeof(*entry) + name_space.size);
	if (entry == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for the namespace");
	entry->name_space_size = name_space.size;
	entry->key_size = entry->value_size = 0;
	memcpy(entry->text, name_space.data, name_space.size);
	if (kv->emptied_count == KV_EMPTIED_MAX)
		forget_emptied(kv, kv->emptied);
	DL_APPEND(kv->emptied, entry);
	kv->emptied_count++;
	return ST_OK;
}

static struct entry *find(const struct kv *kv, struct span name_space, struct span key)
{
	struct entry *entry;

	DL_FOREACH(kv->entries, entry) {
		if (span_equal(name_space_of(entry), name_space) && span_equal(key_of(entry), key))
			return entry;
	}
	return NULL;
}

static void remove_entry(struct kv *kv, struct entry *entry)
{
	if (entry == NULL)
		return;
	DL_DELETE(kv->entries, entry);
	kv->count--;
	kv->version++;
	kv->bytes -= size_of(entry);
	free(entry);
}

enum status kv_put(struct kv *kv, struct span name_space, struct span key, struct span value, struct errinfo *err)
{
	struct entry *old = find(kv, name_space, key);
	size_t size = name_space.size + key.size + value.size;

	if (size > KV_TEXT_MAX)
		return errinfo_set(err, ST_TOOBIG, "a setting of more than %d bytes", KV_TEXT_MAX);
	if (old == NULL && kv->count >= KV_COUNT_MAX)
		return errinfo_set(err, ST_FULL, "%d settings, the limit", KV_COUNT_MAX);
	if (kv->bytes - (old == NULL ? 0 : size_of(old)) + size > KV_BYTES_MAX)
		return errinfo_set(err, ST_FULL, "settings of %d bytes in all, the limit", KV_BYTES_MAX);
	struct entry *entry = malloc(sizeof(*entry) + size);
	if (entry == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for the setting");
	entry->name_space_size = name_space.size;
	entry->key_size = key.size;
	entry->value_size = value.size;
	memcpy(entry->text, name_space.data, name_space.size);
	memcpy(entry->text + name_space.size, key.data, key.size);
	if (value.size > 0)
		memcpy(entry->text + name_space.size + key.size, value.data, value.size);
	remove_entry(kv, old);
	DL_APPEND(kv->entries, entry);
	kv->count++;
	kv->bytes += size;
	struct entry *emptied = first_of(kv->emptied, name_space);
	if (emptied != NULL)
		forget_emptied(kv, emptied);
	kv->version++;
	return ST_OK;
}

struct span kv_get(const struct kv *kv, struct span name_space, struct span key)
{
	const struct entry *entry = find(kv, name_space, key);

	return entry == NULL ? SPAN_NONE : value_of(entry);
}

void kv_delete(struct kv *kv, struct span name_space, struct span key)
{
	struct entry *entry = find(kv, name_space, key);

	if (entry == NULL)
		return;
	remove_entry(kv, entry);
	if (first_of(kv->entries, name_space) == NULL)
		(void)!kv_remember_emptied(kv, name_space, NULL); /* Without memory it is unknown: no harm. */
}

bool kv_table(const struct kv *kv, struct span name_space, struct buffer *out)
{
	const struct entry *entry;
	struct json_writer w;

	if (first_of(kv->entries, name_space) == NULL && first_of(kv->emptied, name_space) == NULL)
		return false;
	kv_table_begin(&w, out);
	DL_FOREACH(kv->entries, entry) {
		if (span_equal(name_space_of(entry), name_space))
			kv_table_put(&w, key_of(entry), value_of(entry));
	}
	kv_table_end(&w);
	return true;
}

uint64_t kv_version(const struct kv *kv)
{
	return kv->version;
}

void kv_walk(const struct kv *kv, const struct kv_visitor *visitor)
{
	const struct entry *first, *entry;

	DL_FOREACH(kv->entries, first) {
		if (first_of(kv->entries, name_space_of(first)) != first)
			continue;
		visitor->begin(visitor->context, name_space_of(first));
		for (entry = first; entry != NULL; entry = entry->next) {
			if (span_equal(name_space_of(entry), name_space_of(first)))
				visitor->put(visitor->context, key_of(entry), value_of(entry));
		}
		visitor->end(visitor->context);
	}
	DL_FOREACH(kv->emptied, entry) {
		visitor->begin(visitor->context, name_space_of(entry));
		visitor->end(visitor->context);
	}
}
