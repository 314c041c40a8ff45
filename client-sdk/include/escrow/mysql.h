/* How do the message and the business data agree without code for check-backs, and how is a message consumed once?
 *
 * The barrier. The local transaction's first statement puts the transaction's id into the barrier table, on the same
 * connection, so that id and business data commit together. A check-back looks the id up: there, so the transaction
 * committed; absent, so a rollback mark is put in its place, and a local transaction that comes late loses by the
 * duplicate key. Lock waits, deadlocks and lost connections are "unknown", never "rollback".
 *
 * Consuming once. The consumer's transaction puts the message's id into the consumed table before its own work;
 * a second delivery finds it there.
 *
 * The tables are made by escrow_mysql_create_tables or by client-sdk/sql/barrier.sql. They must be InnoDB, on the server
 * that has the business data, and not read from a replica.
 * Threads: as the MYSQL handle: one thread at a time. The handle stays the caller's in every respect; nothing is
 * committed or rolled back here, except where said. */
#ifndef ESCROW_MYSQL_H
#define ESCROW_MYSQL_H

#include "escrow/producer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct st_mysql; /* MYSQL of <mysql.h>. */

/* Where the barrier table is, for answering check-backs (escrow_producer_config.barrier). */
struct escrow_mysql_target {
	const char *host;     /* Not used when `socket` is set. */
	unsigned port;
	const char *socket;
	const char *user;
	const char *password; /* NULL: none. */
	const char *database;
	unsigned timeout_ms;  /* Connecting, reading, writing; 0 = 3000. A longer lock wait than this is "unknown". */
};

/* Creates escrow_barrier and escrow_consumed in the connection's database unless they exist. DDL: it commits an open
 * transaction. ESCROW_DATABASE. */
ESCROW_API enum escrow_code escrow_mysql_create_tables(struct st_mysql *mysql, struct escrow_error *err);

/* First statement of the local transaction (after START TRANSACTION or with autocommit off).
 * ESCROW_OK: go on. ESCROW_CONFLICT: a check-back has answered "rollback" meanwhile (or the id was used before): roll
 * back. ESCROW_DATABASE: MySQL failed, roll back. ESCROW_INVALID: no id. */
ESCROW_API enum escrow_code escrow_barrier_insert(struct st_mysql *mysql, const char *transaction_id,
						  struct escrow_error *err);

/* First statement of a consumer's transaction. *first_out: true for a new message; false if `group` has consumed it: roll
 * back and report it done. ESCROW_DATABASE: roll back and report "retry". */
ESCROW_API enum escrow_code escrow_once(struct st_mysql *mysql, const char *group, const char *message_id,
					bool *first_out, struct escrow_error *err);

/* Deletes up to `limit` rows that are older than age_s from each table; commit after it. Choose an age well above the
 * longest time for which a transaction may stay in doubt and a message may be retried (weeks): a rollback mark that
 * is deleted early lets a late local transaction commit. *deleted_out may be NULL. */
ESCROW_API enum escrow_code escrow_mysql_purge(struct st_mysql *mysql, uint64_t age_s, unsigned limit,
					       uint64_t *deleted_out, struct escrow_error *err);

#ifdef __cplusplus
}
#endif

#endif
