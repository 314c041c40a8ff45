/* escrow-log repair: ends a log at a chosen place, after saying what that loses. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/index/unfinished.h"
#include "lib/record/record_transaction.h"
#include "tools/log/command.h"
#include "tools/log/cut.h"
#include "tools/log/lines.h"
#include "tools/log/options.h"
#include "tools/log/segments.h"

static void print_kinds(const struct cut_plan *plan)
{
	const char *comma = "";

	printf("            ");
	for (unsigned kind = 0; kind < LOG_KIND_END; kind++) {
		if (plan->kind_count[kind] == 0)
			continue;
		printf("%s%" PRIu64 " %s", comma, plan->kind_count[kind], log_kind_text(kind));
		comma = ", ";
	}
	printf("\n");
}

static void print_transactions(const struct cut_plan *plan)
{
	printf("transactions %" PRIu64 " go with their half message; %" PRIu64 " lose their decision and are undecided again%s\n",
	       plan->half_count, plan->undecided_count,
	       plan->undecided_count > 0 ? ":\n            check-back asks their producers; consumers may get them a second time" : "");
	for (uint64_t i = 0; i < plan->undecided_count && i < CUT_LISTED; i++) {
		const struct cut_decision *cut = &plan->undecided[i];
		struct buffer id;
		char when[TIME_TEXT_SIZE];

		buffer_init(&id, 0);
		text_for_people(span_of(cut->transaction_id), &id);
		time_text(cut->when_ms, when);
		printf("            %.*s: half at %" PRIu64 ", was %s at %s by the decision at %" PRIu64 "\n", SPAN_ARGS(buffer_span(&id)),
		       cut->half_offset, record_outcome_text((enum record_outcome)cut->outcome), when, cut->decision_offset);
		buffer_deinit(&id);
	}
	if (plan->undecided_count > CUT_LISTED)
		printf("            and %" PRIu64 " more\n", plan->undecided_count - CUT_LISTED);
	printf("messages    %" PRIu64 " go from their queues%s\n", plan->message_count,
	       plan->message_count > 0 ? ": consumers may have seen them; their queue offsets will be given again" : "");
}

static void print_files(const struct cut_plan *plan)
{
	if (plan->removed_count > 0)
		printf("files       segment files from %2$020" PRIu64 " on are removed (%1$zu)\n", plan->removed_count,
		       plan->removed[plan->removed_count - 1]);
	for (size_t i = 0; i < plan->snapshot_count; i++)
		printf("            snapshots/%020" PRIu64 " speaks of what is cut and is removed\n", plan->snapshots[i]);
	if (plan->snapshot_count > 0 && plan->kept_snapshot == 0)
		printf("            without a snapshot the next start reads the whole log\n");
	if (plan->damage_below != 0)
		printf("note        the log stays damaged at %" PRIu64 ", which the next start does not look at\n", plan->damage_below);
}

static void print_plan(const char *store, const struct cut_plan *plan)
{
	char bytes[32], from[TIME_TEXT_SIZE] = "-", to[TIME_TEXT_SIZE] = "-";

	size_text(plan->end - plan->at, bytes);
	if (plan->first_ms != 0) {
		time_text(plan->first_ms, from);
		time_text(plan->last_ms, to);
	}
	printf("store       %s\ncut at      %" PRIu64 ": the %s up to %" PRIu64 " go\n", store, plan->at, bytes, plan->end);
	printf("records     %" PRIu64 " sound ones, of %s to %s", plan->record_count, from, to);
	if (plan->bad_bytes > 0)
		printf(", and %" PRIu64 " bytes that are no records", plan->bad_bytes);
	printf("\n");
	if (plan->record_count > 0)
		print_kinds(plan);
	if (plan->durable_count > 0)
		printf("durable     %" PRIu64 " of them had been durable: clients were told so\n", plan->durable_count);
	else
		printf("durable     no later record says that any of them had been durable\n");
	print_transactions(plan);
	print_files(plan);
}

static enum status say_in_use(const char *store, long pid, struct errinfo *err)
{
	return errinfo_set(err, ST_LOCKED, "%s is in use by process %ld: stop the broker first", store, pid);
}

/* Under the store's lock from the first look to the last byte. */
static enum status cut_for_good(const char *store, uint64_t at, struct cut_plan *plan, struct errinfo *err)
{
	char path[LOG_PATH_SIZE], saved[CUT_NAME_SIZE];
	struct vfs_file *lock = NULL;

	snprintf(path, sizeof(path), "%s/lock", store);
	enum status status = vfs_lock(vfs_posix(), path, &lock, err);
	if (status != ST_OK)
		return status;
	status = cut_make_plan(vfs_posix(), store, at, plan, err);
	if (status == ST_OK) {
		print_plan(store, plan);
		(void)fflush(stdout);
		status = cut_execute(vfs_posix(), store, plan, saved, err);
	}
	vfs_close(lock);
	if (status != ST_OK)
		return status;
	printf("done        the log ends at %" PRIu64 " now. What was cut is in %s/%s (its byte i is the log's byte %" PRIu64 " + i)\n",
	       at, store, saved, at);
	printf("            An op log in MySQL that was ahead of this place stops, because this log is not the one that it knows:\n"
	       "            see docs/for-dbas.md.\n");
	return ST_OK;
}

static enum status run(int argc, char **argv, bool *found_out, struct errinfo *err)
{
	const char *store = NULL;
	uint64_t at = UINT64_MAX;
	bool yes = false;
	long pid = 0;
	const struct option options[] = { { "--cut-at", OPTION_OFFSET, &at }, { "--yes", OPTION_FLAG, &yes } };
	struct cut_plan *plan = calloc(1, sizeof(*plan));

	(void)found_out;
	if (plan == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	enum status status = options_parse_store(argc, argv, options, 2, &store, err);
	if (status == ST_OK && at == UINT64_MAX)
		status = errinfo_set(err, ST_INVALID, "--cut-at OFFSET is missing (escrow-log check tells where the log is bad)");
	if (status == ST_OK && store_is_in_use(store, &pid))
		status = say_in_use(store, pid, err);
	if (status == ST_OK)
		status = unfinished_check(vfs_posix(), store, err);
	if (status == ST_OK && yes) {
		status = cut_for_good(store, at, plan, err);
	} else if (status == ST_OK) {
		status = cut_make_plan(vfs_posix(), store, at, plan, err);
		if (status == ST_OK) {
			print_plan(store, plan);
			printf("Nothing was changed. With --yes it is done, after what is cut was saved to a file in the store.\n");
		}
	}
	free(plan);
	return status;
}

const struct command command_repair = {
	.name = "repair",
	.arguments = "STORE_DIR --cut-at OFFSET [--yes]",
	.summary = "ends a damaged log at OFFSET, when there is no copy to restore; a dry run without --yes",
	.help = "The last resort: what follows OFFSET is lost, acknowledged or not. Without --yes it only says what would go: records,\n"
		"transactions, messages, and whether they had been durable. OFFSET must be a record's offset (as dump shows them) in\n"
		"the sound part, or the place where that ends (as check shows it).\n"
		"  --yes    does it: saves the bytes to STORE_DIR/cut-at-OFFSET.saved, removes later segments and the snapshots that\n"
		"           speak of what is cut, zeroes the rest of the segment. After a stop in between, run it again\n"
		"Refused while a broker holds the store.\n",
	.run = run,
};
