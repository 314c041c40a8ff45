/* See oplog_names.h. */
#include "broker/projections/oplog_names.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Without memory an entry is simply not added; oplog_names_resolve looks whether it was. */

#include "lib/base/table.h"
#include "lib/mysql/db_rows.h"

struct name {
	UT_hash_handle hh;
	uint32_t id;
	size_t key_size;
	uint8_t key[]; /* Kind, then the bytes as they came. */
};

struct oplog_names {
	struct name *table;
};

enum { NAME_KEY_MAX = 1 + 4096 }; /* Longer ones are cut, for the key only; the table cuts much earlier. */

struct oplog_names *oplog_names_new(void)
{
	return calloc(1, sizeof(struct oplog_names));
}

void oplog_names_free(struct oplog_names *names)
{
	if (names == NULL)
		return;
	oplog_names_clear(names);
	free(names);
}

void oplog_names_clear(struct oplog_names *names)
{
	struct name *name, *next;

	HASH_ITER(hh, names->table, name, next) {
		HASH_DEL(names->table, name);
		free(name);
	}
}

void oplog_names_trim(struct oplog_names *names)
{
	if (HASH_COUNT(names->table) >= OPLOG_NAMES_MAX)
		oplog_names_clear(names);
}

static size_t make_key(enum oplog_name_kind kind, struct span text, uint8_t key[NAME_KEY_MAX])
{
	size_t size = text.size < NAME_KEY_MAX - 1 ? text.size : NAME_KEY_MAX - 1;

	key[0] = (uint8_t)kind;
	if (size > 0)
		memcpy(key + 1, text.data, size);
	return size + 1;
}

static struct name *find(const struct oplog_names *names, const uint8_t *key, size_t key_size)
{
	struct name *name;

	HASH_FIND(hh, names->table, key, key_size, name);
	return name;
}

uint32_t oplog_names_id(const struct oplog_names *names, enum oplog_name_kind kind, struct span text)
{
	uint8_t key[NAME_KEY_MAX];
	struct name *name = find(names, key, make_key(kind, text, key));

	assert(name != NULL);
	return name->id;
}

static enum status add(struct oplog_names *names, const uint8_t *key, size_t key_size, uint64_t id, struct errinfo *err)
{
	struct name *name = malloc(sizeof(*name) + key_size);

	if (name != NULL) {
		memset(name, 0, sizeof(*name));
		name->id = (uint32_t)id;
		name->key_size = key_size;
		memcpy(name->key, key, key_size);
		HASH_ADD_KEYPTR(hh, names->table, name->key, key_size, name);
		if (table_took(name))
			return ST_OK;
		free(name);
	}
	return errinfo_set(err, ST_NOMEM, "op log names: out of memory");
}

struct dictionary {
	const char *select;
	const char *insert;
};

static const struct dictionary dictionaries[] = {
	[OPLOG_TOPIC_NAME] = { "SELECT id FROM topic_name WHERE name = ", "INSERT INTO topic_name (name) VALUES (" },
	[OPLOG_GROUP_NAME] = { "SELECT id FROM group_name WHERE name = ", "INSERT INTO group_name (name) VALUES (" },
	[OPLOG_CLIENT_NAME] = { "SELECT id FROM client_name WHERE name = ", "INSERT INTO client_name (name) VALUES (" },
};

static enum status make_statement(struct db_conn *conn, const char *head, struct span literal, const char *tail,
				  struct buffer *out, struct errinfo *err)
{
	buffer_reset(out);
	buffer_append_text(out, head);
	db_conn_append_quoted(conn, out, literal);
	buffer_append_text(out, tail);
	return out->failed ? errinfo_set(err, ST_NOMEM, "op log names: out of memory") : ST_OK;
}

/* Looks, inserts if absent (another broker may do the same at the same time), looks again. */
static enum status look_up(struct db_conn *conn, const struct dictionary *dictionary, struct span clean,
			   struct buffer *statement, uint64_t *id_out, struct errinfo *err)
{
	for (int pass = 0;; pass++) {
		enum status st = make_statement(conn, dictionary->select, clean, "", statement, err);
		if (st != ST_OK)
			return st;
		st = db_conn_query_u64(conn, buffer_span(statement), id_out, 1, err);
		if (st != ST_NOTFOUND || db_conn_error_class(conn) != DB_ERROR_NONE || pass == 1)
			return st;
		st = make_statement(conn, dictionary->insert, clean, ")", statement, err);
		if (st != ST_OK)
			return st;
		st = db_conn_exec(conn, buffer_span(statement), NULL, err);
		if (st != ST_OK && st != ST_EXISTS)
			return st;
	}
}

enum status oplog_names_resolve(struct oplog_names *names, struct db_conn *conn, enum oplog_name_kind kind,
				struct span text, struct errinfo *err)
{
	uint8_t key[NAME_KEY_MAX];
	size_t key_size = make_key(kind, text, key);
	struct buffer clean, statement;
	uint64_t id;

	if (find(names, key, key_size) != NULL)
		return ST_OK;
	buffer_init(&clean, 0);
	buffer_init(&statement, 0);
	db_text_clean((struct span){ key + 1, key_size - 1 }, OPLOG_NAME_CHARS, &clean);
	enum status st = clean.failed ? errinfo_set(err, ST_NOMEM, "op log names: out of memory")
				      : look_up(conn, &dictionaries[kind], buffer_span(&clean), &statement, &id, err);
	if (st == ST_OK)
		st = add(names, key, key_size, id, err);
	buffer_deinit(&clean);
	buffer_deinit(&statement);
	return st;
}
