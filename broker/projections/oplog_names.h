/* Dictionary ids: which number do topic_name, group_name and client_name give to a name?
 *
 * A cache over the dictionary tables. Names are few and come again, so an unknown one costs two or three round trips
 * once. Dictionary rows are written outside of the batch's transaction: one that no row uses does no harm.
 * Bounded: when there are OPLOG_NAMES_MAX entries, the cache starts anew.
 *
 * Threads: one. */
#ifndef ESCROW_OPLOG_NAMES_H
#define ESCROW_OPLOG_NAMES_H

#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/mysql/db_conn.h"

enum {
	OPLOG_NAMES_MAX = 65536,
	OPLOG_NAME_CHARS = 255, /* Column width of the dictionaries. */
};

enum oplog_name_kind { OPLOG_TOPIC_NAME, OPLOG_GROUP_NAME, OPLOG_CLIENT_NAME };

struct oplog_names;

/* NULL without memory. */
struct oplog_names *oplog_names_new(void);
void oplog_names_free(struct oplog_names *names);
/* Forgets all (another server, another database). */
void oplog_names_clear(struct oplog_names *names);

/* The id of a name, from the cache, the table, or a new row. Not inside of a transaction. Errors as db_conn_exec. */
enum status oplog_names_resolve(struct oplog_names *names, struct db_conn *conn, enum oplog_name_kind kind,
				struct span name, struct errinfo *err) MUST_USE;

/* The id of a name that was resolved since the last oplog_names_trim or _clear. */
uint32_t oplog_names_id(const struct oplog_names *names, enum oplog_name_kind kind, struct span name);
/* Starts anew when full; call between batches. */
void oplog_names_trim(struct oplog_names *names);

#endif
