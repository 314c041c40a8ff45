/* escrow-log dump: the records, one line each. */
#include <inttypes.h>
#include <stdlib.h>

#include "tools/log/command.h"
#include "tools/log/filter.h"
#include "tools/log/lines.h"
#include "tools/log/options.h"
#include "tools/log/walk.h"

struct dump {
	struct filter filter;
	struct lines lines;
	uint64_t to, limit, shown;
};

static enum status dump_record(void *context, const struct log_record *record, struct errinfo *err)
{
	struct dump *dump = context;
	struct record_facts facts;
	bool match = false, past = false;

	if (record->offset >= dump->to)
		return ST_CLOSED;
	facts_of_record(record, &facts);
	enum status status = filter_match(&dump->filter, &facts, &match, &past, err);
	if (status != ST_OK)
		return status;
	if (past)
		return ST_CLOSED;
	if (!match)
		return ST_OK;
	facts_print(&facts, &dump->lines);
	status = lines_status(&dump->lines, err);
	return status == ST_OK && ++dump->shown >= dump->limit ? ST_CLOSED : status;
}

static enum status run(int argc, char **argv, bool *found_out, struct errinfo *err)
{
	struct dump dump = { .to = UINT64_MAX, .limit = UINT64_MAX };
	const char *store = NULL, *topic = NULL, *key = NULL, *transaction = NULL, *kinds = NULL;
	int64_t since_ms = 0, until_ms = 0;
	uint64_t from = 0;
	bool json = false;
	const struct option options[] = {
		{ "--from", OPTION_OFFSET, &from }, { "--to", OPTION_OFFSET, &dump.to }, { "--topic", OPTION_TEXT, &topic },
		{ "--key", OPTION_TEXT, &key }, { "--txn", OPTION_TEXT, &transaction }, { "--since", OPTION_TIME, &since_ms },
		{ "--until", OPTION_TIME, &until_ms }, { "--kind", OPTION_TEXT, &kinds }, { "--json", OPTION_FLAG, &json },
		{ "--limit", OPTION_COUNT, &dump.limit },
	};
	struct walk_end end;
	enum status status = options_parse_store(argc, argv, options, sizeof(options) / sizeof(options[0]), &store, err);

	(void)found_out;
	if (status == ST_OK)
		status = filter_init(&dump.filter, kinds, err);
	if (status != ST_OK)
		return status;
	dump.filter.topic = topic;
	dump.filter.key = key;
	dump.filter.transaction = transaction;
	dump.filter.since_ms = since_ms;
	dump.filter.until_ms = until_ms;
	lines_init(&dump.lines, stdout, json);
	walk_note_unfinished(vfs_posix(), store);
	status = log_walk(vfs_posix(), store, from, dump_record, &dump, &end, err);
	if (status == ST_OK)
		walk_note_torn(&end);
	lines_deinit(&dump.lines);
	filter_deinit(&dump.filter);
	return status;
}

const struct command command_dump = {
	.name = "dump",
	.arguments = "STORE_DIR [--from OFFSET] [--to OFFSET] [--topic T] [--key K] [--txn ID] [--since TIME]\n"
		     "                   [--until TIME] [--kind K[,K]...] [--limit N] [--json]",
	.summary = "records, one line each; never message bodies",
	.help = "Prints the records that fit all the options, in log order.\n"
		"  --from, --to OFFSET   log offsets: from this record on (must be a record's offset), and before that one\n"
		"  --topic T             messages, halves, decisions, deliveries, consumer offsets and settings of this topic\n"
		"  --key K               what was sent with this UNIQ_KEY, or with this word in KEYS, and what happened to it\n"
		"  --txn ID              everything about this transaction\n"
		"  --since, --until TIME UTC, like 2026-11-25, 2026-11-25T11:20:39.123, or milliseconds since 1970: from the first\n"
		"                        record of that time on, and before that one. Records without a time are as old as the one\n"
		"                        before them\n"
		"  --kind K              message, half, decision, conflict, deliver, timer_cancel, carry, check, offsets, pop, topic,\n"
		"                        group, snapshot_mark, epoch, batch, pad; several with commas between\n"
		"  --limit N             the first N of them\n"
		"  --json                one JSON object a line\n"
		"The broker may be running; the records up to this moment are shown.\n",
	.run = run,
};
