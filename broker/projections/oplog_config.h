/* Options of the MySQL op log: what the broker's option table and the projector share.
 *
 * The fields and their options stand side by side here, so that the broker embeds one struct and one macro and
 * knows nothing else of MySQL. Threads: filled at start, read-only afterwards. */
#ifndef ESCROW_OPLOG_CONFIG_H
#define ESCROW_OPLOG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/config.h"

struct oplog_config {
	bool enable;
	char host[CONFIG_TEXT_SIZE];
	int64_t port;
	char socket[CONFIG_TEXT_SIZE];
	char user[CONFIG_TEXT_SIZE];
	char password[CONFIG_TEXT_SIZE];
	char password_file[CONFIG_TEXT_SIZE];
	char database[CONFIG_TEXT_SIZE];
	bool migrate;
	int64_t timeout_ms;
	int64_t prepared_after_ms;
	int64_t open_max;
	int64_t batch_max;
	int64_t retry_max_ms;
	int64_t retention_days;
	int64_t hold_log_max;
};

#define OPLOG_TEXT(s, f, k, field, d, hide, h) \
	{ .key = k, .type = CONFIG_TEXT, .offset = offsetof(s, f.field), .def = d, .secret = hide, .help = h }
#define OPLOG_FLAG(s, f, k, field, d, h) \
	{ .key = k, .type = CONFIG_BOOL, .offset = offsetof(s, f.field), .def = d, .help = h }
#define OPLOG_NUMBER(s, f, k, field, d, u, lo, hi, h) \
	{ .key = k, .type = CONFIG_I64, .offset = offsetof(s, f.field), .def = d, .unit = u, .min = lo, .max = hi, \
	  .help = h }

/* The list of `struct config_option` initialisers, comma-separated, for a program whose config struct
 * `struct_type` holds a `struct oplog_config field`. */
#define OPLOG_CONFIG_OPTIONS(struct_type, field)                                                                     \
	OPLOG_FLAG(struct_type, field, "opLogMysqlEnable", enable, "false",                                          \
		   "Writes the op log of transactions to MySQL. Without it `escrow-log oplog` reads the same facts " \
		   "from the broker's own log."),                                                                    \
	OPLOG_TEXT(struct_type, field, "opLogMysqlHost", host, "127.0.0.1", false,                                   \
		   "MySQL server; not used when opLogMysqlSocket is set."),                                          \
	OPLOG_NUMBER(struct_type, field, "opLogMysqlPort", port, "3306", NULL, 1, 65535, "Port of the MySQL server."), \
	OPLOG_TEXT(struct_type, field, "opLogMysqlSocket", socket, "", false,                                        \
		   "Unix socket of a MySQL server on this machine; replaces host and port."),                        \
	OPLOG_TEXT(struct_type, field, "opLogMysqlUser", user, "escrow_broker", false, "MySQL account of the broker."), \
	OPLOG_TEXT(struct_type, field, "opLogMysqlPassword", password, "", true,                                     \
		   "Password of that account. Better in opLogMysqlPasswordFile."),                                   \
	OPLOG_TEXT(struct_type, field, "opLogMysqlPasswordFile", password_file, "", false,                           \
		   "File whose first line is the password; read at each connection, so that a changed password "     \
		   "needs no restart. Overrides opLogMysqlPassword."),                                               \
	OPLOG_TEXT(struct_type, field, "opLogMysqlDatabase", database, "escrow_oplog", false,                        \
		   "Database that holds the op log; brokers may share one."),                                        \
	OPLOG_FLAG(struct_type, field, "opLogMysqlMigrate", migrate, "false",                                        \
		   "Creates and upgrades the tables at start; the account then needs DDL rights. Otherwise "         \
		   "`escrow-log migrate` does it with an account of its own."),                                      \
	OPLOG_NUMBER(struct_type, field, "opLogMysqlTimeout", timeout_ms, "10000", "ms", 1000, 600000,               \
		     "Longest wait for the server to accept a connection or to answer a statement."),                \
	OPLOG_NUMBER(struct_type, field, "opLogPreparedAfterMs", prepared_after_ms, "1000", "ms", 0, 86400000,       \
		     "A transaction that is still open after this time gets its row at once; a faster one gets it "  \
		     "with its decision."),                                                                          \
	OPLOG_NUMBER(struct_type, field, "opLogOpenMax", open_max, "200000", "transactions", 1000, 100000000,       \
		     "Open transactions younger than opLogPreparedAfterMs that the projector remembers; beyond that " \
		     "the oldest get their row early."),                                                             \
	OPLOG_NUMBER(struct_type, field, "opLogBatchMax", batch_max, "2000", "rows", 1, 20000,                       \
		     "Rows written in one MySQL transaction."),                                                      \
	OPLOG_NUMBER(struct_type, field, "opLogRetryMaxMs", retry_max_ms, "30000", "ms", 100, 3600000,               \
		     "Longest pause before MySQL is tried again after a failure; the first is 100 ms, and it doubles."), \
	OPLOG_NUMBER(struct_type, field, "opLogRetentionDays", retention_days, "0", "days", 0, 36500,                \
		     "Day partitions older than this are dropped from MySQL; 0 keeps all. Needs the DROP right."),           \
	OPLOG_NUMBER(struct_type, field, "opLogHoldLogMax", hold_log_max, "0", "bytes", 0, 1LL << 50,                \
		     "The log keeps what is past its time until MySQL has it, but no more than so many bytes; the rows "   \
		     "of what goes then will be missing. 0: no limit, and messages are refused when the disk is full.")

#endif
