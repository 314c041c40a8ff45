/* escrow-log: what does a broker's own log say, and is it sound?
 *
 * Works beside a running broker and offline; only `repair --yes` changes anything, and takes the store's lock for it. Each
 * subcommand lives in tools/log/; this is the table of them. docs/escrow-log.md shows what operators do with it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/log/command.h"

static const struct command *const commands[] = {
	&command_check, &command_audit, &command_stat, &command_dump, &command_oplog,
	&command_backup, &command_restore, &command_repair, &command_migrate,
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static void print_usage(void)
{
	printf("usage: escrow-log COMMAND ...\n\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		printf("  %-8s %s\n", commands[i]->name, commands[i]->summary);
	printf("\nescrow-log COMMAND --help shows a command's arguments. STORE_DIR is the broker's storePathRootDir; the broker may be\n"
	       "running, except for repair.\n"
	       "Exit code: 0 = done, nothing is wrong; 1 = something is wrong with the store, and was printed; 2 = it could not be\n"
	       "done.\n");
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	}
	return NULL;
}

static int cannot(const char *what, const char *argument)
{
	fprintf(stderr, "escrow-log: %s%s%s (escrow-log --help shows the usage)\n", what, argument != NULL ? " " : "",
		argument != NULL ? argument : "");
	return EXIT_CANNOT;
}

static bool wants_help(int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

static enum status end_output(struct errinfo *err)
{
	if (fflush(stdout) != 0)
		return errinfo_set(err, ST_IO, "write the output: %s", strerror(errno));
	/* A write that failed before took its bytes with it: nothing of them is left to fail now. */
	return ferror(stdout) ? errinfo_set(err, ST_IO, "write the output: some of it is lost") : ST_OK;
}

static int run(const struct command *command, int argc, char **argv)
{
	struct errinfo err = { ST_OK, "" };
	bool found = false;
	enum status status = command->run(argc, argv, &found, &err);

	if (status == ST_OK)
		status = end_output(&err);
	if (status != ST_OK)
		fprintf(stderr, "escrow-log: %s\n", err.text);
	if (status != ST_OK && status != ST_CORRUPT)
		return EXIT_CANNOT;
	return status == ST_CORRUPT || found ? EXIT_FOUND : EXIT_SOUND;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return cannot("no verb given", NULL);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_usage();
		return EXIT_SOUND;
	}
	const struct command *command = find(argv[1]);
	if (command == NULL)
		return cannot("unknown verb", argv[1]);
	if (wants_help(argc - 2, argv + 2)) {
		printf("usage: escrow-log %s %s\n\n%s\n%s", command->name, command->arguments, command->summary, command->help);
		return EXIT_SOUND;
	}
	/* migrate takes its arguments as a program of its own does, with a name in front. */
	bool named = command == &command_migrate;
	return run(command, argc - 2 + named, argv + 2 - named);
}
