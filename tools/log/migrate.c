/* escrow-log migrate: the tables of the MySQL op log. */
#include <stdio.h>

#include "broker/projections/oplog_schema.h"
#include "broker/projections/oplog_writer.h"
#include "broker/shell/broker_config.h"
#include "tools/log/command.h"

static enum status run(int argc, char **argv, bool *found_out, struct errinfo *err)
{
	static struct broker_config config;
	enum config_action action = CONFIG_RUN;
	struct db_conn *conn = NULL;
	unsigned applied = 0;

	(void)found_out;
	config_init(broker_config_spec(), &config);
	enum status st = config_parse_args(broker_config_spec(), &config, argc, argv, &action, err);
	if (st != ST_OK || action == CONFIG_EXIT_OK)
		return st;
	if (!oplog_database_name_valid(config.oplog.database))
		return errinfo_set(err, ST_INVALID, "opLogMysqlDatabase=%s: must be 1 to 64 letters, digits and underscores",
				   config.oplog.database);
	st = db_thread_begin(err);
	if (st == ST_OK)
		st = oplog_connect(&config.oplog, &conn, err);
	if (st == ST_OK)
		st = oplog_schema_use(conn, config.oplog.database, err);
	if (st == ST_OK)
		st = oplog_schema_migrate(conn, &applied, err);
	db_conn_close(conn);
	if (st == ST_OK)
		printf("%s: %u migrations applied, the schema is up to date\n", config.oplog.database, applied);
	return st;
}

const struct command command_migrate = {
	.name = "migrate",
	.arguments = "[-c FILE] [-o key=value]...",
	.summary = "creates or upgrades the tables of the MySQL op log",
	.help = "Options as escrow-broker's: opLogMysqlHost, opLogMysqlUser, opLogMysqlPasswordFile, opLogMysqlDatabase, ...\n"
		"Migrations go forward only and are repeated without harm.\n",
	.run = run,
};
