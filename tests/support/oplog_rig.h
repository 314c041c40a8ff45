/* What every test of the op log stands on: a MariaDB server of its own, a log without a broker, and a projector between
 * the two. The programs that use it (tests/integration/oplog*_test.c) ask different questions of the same three things;
 * here is what they would otherwise each set up for themselves.
 *
 * A program has one server, from oplog_rig_main() to its end. It is killed when the rig gives up, so that none is left
 * behind. Nothing here has a prefix: these programs speak of nothing else.
 * Threads: one; a projector has its own. */
#ifndef ESCROW_TESTS_OPLOG_RIG_H
#define ESCROW_TESTS_OPLOG_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/projections/oplog_projector.h"
#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/log/commitlog.h"
#include "lib/mysql/db_conn.h"
#include "lib/record/record_transaction.h"
#include "tests/support/check.h"

/* How long is waited for what must come, and how often is looked. */
enum { WAIT_LIMIT_MS = 30000, POLL_MS = 10 };

/* Starts the server, runs the tests, stops the server. For main() to return. */
int oplog_rig_main(const char *suite, const struct check_test *tests, size_t count);

/* Says what went wrong, kills the server, aborts. */
_Noreturn void give_up(const char *what, const char *why);

/* Gives up unless `call`, which may name `err`, succeeds. */
#define MUST(call)                                                              \
	do {                                                                    \
		struct errinfo must_err = { ST_OK, "" };                        \
		struct errinfo *err = &must_err;                                \
		enum status must_st = (call);                                   \
		if (must_st != ST_OK)                                           \
			give_up(#call, must_err.text);                          \
	} while (0)

/* --- the server --- */
/* The path of its socket; "" before its first start. */
const char *server_socket(void);
/* The connection as root on which sql() and its like run; another one after start_server(). */
struct db_conn *admin_conn(void);
/* Starts it on the data that it had when it was killed. No database is selected. */
void start_server(void);
/* As a crash does. */
void kill_server(void);
/* SIGSTOP: it hangs until SIGCONT. */
void signal_server(int number);

/* An empty op log under the accounts that the product recommends; selected. */
void fresh_database(void);
void sql(const char *statement);
/* The number in the only cell of the answer. */
uint64_t sql_u64(const char *query);
/* Rows as text, "a|b|NULL\n". Caller frees. */
char *sql_rows(const char *query);
/* Asserts that sql_rows() gives this text; prints both if not. */
void check_rows(const char *query, const char *expected);
/* Waits until txn has so many rows. */
void wait_rows(uint64_t count);

/* --- a log --- */
struct test_log {
	char root[512];
	struct commitlog *log;
	uint64_t half_count;
};

struct test_txn {
	uint64_t offset;
	uint64_t n; /* Its half's queue offset. */
	int64_t created_ms;
	char id[256];
};

struct verdict {
	enum record_outcome outcome;
	enum record_who who;
	const char *who_text, *reason; /* NULL: none. */
	int64_t after_ms;              /* Since the half. */
	uint32_t checks;               /* That were answered. */
	int64_t deliver_at_ms;         /* 0: at once. */
};

static const int64_t day_ms = 86400000;
static const int64_t noon = 1764072000000; /* 2025-11-25 12:00:00 */

/* An empty log in a directory of this name, which no other log of the program has. */
void new_log(struct test_log *t, const char *name);
/* Opens one again that was closed. */
void open_log(struct test_log *t);
/* Makes durable what was put. */
void flush_log(struct test_log *t);
/* Flushes first. */
void close_log(struct test_log *t);

/* What is put is durable after the next flush_log(), or earlier when there is no room for more. */
struct test_txn put_half(struct test_log *t, const char *id, int64_t created_ms);
/* The record's offset. */
uint64_t put_decision(struct test_log *t, const struct test_txn *txn, struct verdict verdict);
/* A check that is asked and, 5 ms later, answered "unknown", as the answer of this number. */
void put_checks(struct test_log *t, const struct test_txn *txn, uint32_t answered, int64_t after_ms);
/* A rollback that was refused after a commit, and four more that were not recorded. */
void put_conflict(struct test_log *t, const struct test_txn *txn, int64_t after_ms);
/* Transactions of ids of their own, every tenth rolled back, the others committed. Flushes. */
void put_many(struct test_log *t, unsigned count, int64_t created_ms);
/* Room for a record that none of the above makes; commitlog_commit() follows. */
uint8_t *begin_record(struct test_log *t, enum log_kind kind, size_t size, uint64_t *offset_out);

/* A transaction of each kind, one of them with an id that wants to be SQL. Flushes. */
void put_story(struct test_log *t);

/* --- the projector --- */
/* As a broker has by default, but for the server, and times that suit a test. */
struct oplog_config broker_options(void);
/* For all that is durable in the log now. oplog_projector_stop() ends it. */
struct oplog_projector *start_projector(struct test_log *t, const struct oplog_config *config);
struct oplog_status status_of(struct oplog_projector *projector);
/* Waits for the cursor to reach the log's end, of which oplog_projector_advance() must have told. */
void wait_projected(struct test_log *t, struct oplog_projector *projector);
/* Whether it stops for good, in time. */
bool wait_stopped(struct oplog_projector *projector);
/* Whether its last error has this part, in time. */
bool wait_error(struct oplog_projector *projector, const char *part);
/* A projector from its start to the log's end. */
void project_once(struct test_log *t);
/* Asserts that the database has what put_many() put, `txn_count` in all, each once, and the cursor at the log's end. */
void check_complete(struct test_log *log, uint64_t txn_count);

/* --- escrow-log --- */
/* Runs it and gives what it wrote to standard error; caller frees. */
char *escrow_log_complaint(const char *arguments, int *exit_status_out);
/* Where the programs were built. */
const char *programs_dir(void);

#endif
