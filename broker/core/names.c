#include "broker/core/names.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/table.h"

struct name {
	UT_hash_handle hh;
	uint32_t id;
	uint32_t size;
	uint8_t text[];
};

struct names {
	struct name *by_text;
	struct name **by_id; /* by_id[0] unused. */
	uint32_t end;
	uint32_t capacity;
	uint32_t name_max;
	uint32_t soft_max;
	uint32_t soft_count;
};

struct names *names_create(void)
{
	struct names *names = calloc(1, sizeof(*names));

	if (names == NULL)
		return NULL;
	names->end = 1;
	names_set_limits(names, UINT32_MAX - 1, UINT32_MAX);
	return names;
}

void names_set_limits(struct names *names, uint32_t name_max, uint32_t soft_max)
{
	names->name_max = name_max;
	names->soft_max = soft_max;
}

void names_destroy(struct names *names)
{
	if (names == NULL)
		return;
	HASH_CLEAR(hh, names->by_text);
	for (uint32_t id = 1; id < names->end; id++)
		free(names->by_id[id]);
	free(names->by_id);
	free(names);
}

static struct name *find(const struct names *names, struct span text)
{
	struct name *found = NULL;

	HASH_FIND(hh, names->by_text, text.data, text.size, found);
	return found;
}

static enum status make_room(struct names *names)
{
	if (names->end < names->capacity)
		return ST_OK;
	uint32_t capacity = names->capacity == 0 ? 64 : names->capacity * 2;
	struct name **grown = realloc(names->by_id, capacity * sizeof(names->by_id[0]));

	if (grown == NULL)
		return ST_NOMEM;
	names->by_id = grown;
	names->capacity = capacity;
	return ST_OK;
}

enum status names_intern(struct names *names, struct span text, uint32_t *id_out)
{
	*id_out = names_find(names, text);
	if (*id_out != 0)
		return ST_OK;
	if (names->end > names->name_max)
		return ST_FULL;
	if (make_room(names) != ST_OK)
		return ST_NOMEM;
	struct name *name = malloc(sizeof(*name) + text.size);
	if (name == NULL)
		return ST_NOMEM;
	name->id = names->end;
	name->size = (uint32_t)text.size;
	if (text.size > 0)
		memcpy(name->text, text.data, text.size);
	HASH_ADD_KEYPTR(hh, names->by_text, name->text, name->size, name);
	if (!table_took(name)) {
		free(name);
		return ST_NOMEM;
	}
	names->by_id[names->end++] = name;
	*id_out = name->id;
	return ST_OK;
}

enum status names_intern_soft(struct names *names, struct span text, uint32_t *id_out)
{
	*id_out = names_find(names, text);
	if (*id_out != 0)
		return ST_OK;
	if (names->soft_count >= names->soft_max)
		return ST_FULL;
	enum status status = names_intern(names, text, id_out);
	if (status == ST_OK)
		names->soft_count++;
	return status;
}

uint32_t names_find(const struct names *names, struct span text)
{
	const struct name *found = find(names, text);

	return found == NULL ? 0 : found->id;
}

uint32_t names_end(const struct names *names)
{
	return names->end;
}

struct span names_text(const struct names *names, uint32_t id)
{
	assert(id > 0 && id < names->end);
	return (struct span){ names->by_id[id]->text, names->by_id[id]->size };
}
