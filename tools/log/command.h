/* What is a subcommand of escrow-log? tools/escrow-log.c has the table of them; each lives in its own file here.
 *
 * Exit codes of all of them: 0 = done, nothing wrong; 1 = something wrong was found in the store (damage, a violation, a
 * torn tail is none); 2 = it could not be done (bad arguments, no such store, no permission, a broker is in the way). */
#ifndef ESCROW_TOOLS_LOG_COMMAND_H
#define ESCROW_TOOLS_LOG_COMMAND_H

#include <stdbool.h>

#include "lib/base/status.h"

enum { EXIT_SOUND = 0, EXIT_FOUND = 1, EXIT_CANNOT = 2 };

struct command {
	const char *name;
	const char *arguments; /* For the usage line. */
	const char *summary;   /* One line. */
	const char *help;      /* The rest of --help: what it does, its options, an example. */
	/* argv[0] is the first argument behind the command's name. *found_out: something wrong was found and printed.
	 * ST_CORRUPT counts as found, any other failure as "could not be done"; its text is printed by the caller. */
	enum status (*run)(int argc, char **argv, bool *found_out, struct errinfo *err);
};

extern const struct command command_check, command_dump, command_stat, command_audit, command_repair, command_backup,
	command_restore, command_oplog, command_migrate;

#endif
