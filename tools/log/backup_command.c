/* escrow-log backup, restore: a store is copied, live or not, and the copy is checked (lib/index/backup.h). */
#include <inttypes.h>
#include <stdio.h>

#include "lib/index/backup.h"
#include "tools/log/command.h"
#include "tools/log/lines.h"
#include "tools/log/options.h"
#include "tools/log/segments.h"
#include "tools/log/walk.h"

static void print_result(const char *verb, const char *target, const struct backup_result *result)
{
	char bytes[32];

	size_text(result->bytes, bytes);
	printf("%s: %s copied to %s and checked; log %" PRIu64 " to %" PRIu64, verb, bytes, target, result->log_start,
	       result->log_end);
	if (result->snapshot_from != 0)
		printf(", snapshot of %" PRIu64, result->snapshot_from);
	if (result->attempts > 1)
		printf(", in %u attempts", result->attempts);
	printf("\n");
}

static enum status copy(const char *verb, const char *source, const char *target, struct errinfo *err)
{
	struct backup_result result;
	enum status status = backup_store(vfs_posix(), source, target, &result, err);

	if (status == ST_OK)
		print_result(verb, target, &result);
	else if (status != ST_INVALID) /* Which speaks of what was there before. */
		walk_note_unfinished(vfs_posix(), target);
	return status;
}

static enum status run_backup(int argc, char **argv, bool *found_out, struct errinfo *err)
{
	static const char *const names[] = { "STORE_DIR", "TARGET_DIR" };
	const char *paths[2] = { NULL, NULL };
	enum status status = options_parse(argc, argv, NULL, 0, names, paths, 2, err);

	(void)found_out;
	return status == ST_OK ? copy("backup", paths[0], paths[1], err) : status;
}

static enum status run_restore(int argc, char **argv, bool *found_out, struct errinfo *err)
{
	static const char *const names[] = { "BACKUP_DIR", "STORE_DIR" };
	const char *paths[2] = { NULL, NULL };
	struct backup_result result;
	long pid = 0;
	enum status status = options_parse(argc, argv, NULL, 0, names, paths, 2, err);

	(void)found_out;
	if (status == ST_OK && store_is_in_use(paths[0], &pid))
		return errinfo_set(err, ST_LOCKED, "%s is in use by process %ld: a backup that a broker runs on is a store of its own",
				   paths[0], pid);
	if (status == ST_OK) {
		status = backup_verify(vfs_posix(), paths[0], &result, err);
		if (status != ST_OK)
			status = errinfo_wrap(err, status, "check the backup (nothing was copied)");
	}
	return status == ST_OK ? copy("restore", paths[0], paths[1], err) : status;
}

const struct command command_backup = {
	.name = "backup",
	.arguments = "STORE_DIR TARGET_DIR",
	.summary = "copies a store, beside a running broker or not, and checks the copy",
	.help = "TARGET_DIR must be empty or not there; its parent must be. The copy holds everything that the broker had acknowledged\n"
		"before this began. It is a store: a broker can be started on it, and escrow-log can read it. If this is stopped before\n"
		"its end, TARGET_DIR keeps the mark \"unfinished\" and is refused by everything: remove it and run this again.\n",
	.run = run_backup,
};

const struct command command_restore = {
	.name = "restore",
	.arguments = "BACKUP_DIR STORE_DIR",
	.summary = "copies a checked backup to where a broker will run",
	.help = "STORE_DIR must be empty or not there: move a damaged store away first, it may still be of use. What the broker\n"
		"acknowledged after the backup began is not in it. The op log in MySQL, if there is one, is ahead of the restored log:\n"
		"see docs/for-dbas.md. If this is stopped before its end, no broker starts on STORE_DIR: remove it and run this again.\n",
	.run = run_restore,
};
