/* escrow-log audit: does the log keep the store's invariants (lib/audit)? */
#include <inttypes.h>
#include <stdio.h>

#include "lib/audit/audit.h"
#include "lib/index/unfinished.h"
#include "tools/log/command.h"
#include "tools/log/lines.h"
#include "tools/log/options.h"
#include "tools/log/walk.h"

static void print_violation(void *context, const struct audit_violation *violation)
{
	struct lines *lines = context;

	if (!lines->json) {
		struct buffer text;

		buffer_init(&text, 0);
		text_for_people(span_of(violation->text), &text);
		fprintf(lines->out, "%s violated (%s): record at log offset %" PRIu64 ": %.*s", audit_invariant_code(violation->invariant),
			audit_invariant_text(violation->invariant), violation->offset, SPAN_ARGS(buffer_span(&text)));
		if (violation->other != 0)
			fprintf(lines->out, " [see %" PRIu64 "]", violation->other);
		fputc('\n', lines->out);
		buffer_deinit(&text);
		return;
	}
	line_begin(lines, "violation");
	line_word(lines, "invariant", audit_invariant_code(violation->invariant));
	line_u64(lines, "offset", violation->offset);
	if (violation->other != 0)
		line_u64(lines, "other", violation->other);
	line_word(lines, "text", violation->text);
	line_end(lines);
}

static enum status take(void *context, const struct log_record *record, struct errinfo *err)
{
	return audit_record(context, record, err);
}

static void print_sum(const struct audit_facts *facts)
{
	printf("%" PRIu64 " transactions: %" PRIu64 " committed, %" PRIu64 " rolled back, %" PRIu64 " open, %" PRIu64 " parked",
	       facts->half_count + facts->earlier_count, facts->committed_count, facts->rolled_back_count, facts->open_count,
	       facts->parked_count);
	if (facts->unknown_count > 0)
		printf(", %" PRIu64 " not known", facts->unknown_count);
	printf("; %" PRIu64 " published; %" PRIu64 " other messages; %" PRIu64 " queues; %" PRIu64 " records from %" PRIu64 " to %"
	       PRIu64 ": ", facts->published_count, facts->plain_count, facts->topic_queue_count, facts->record_count, facts->start,
	       facts->end);
	if (facts->violation_count == 0)
		printf("no violations\n");
	else
		printf("%" PRIu64 " violation%s\n", facts->violation_count, facts->violation_count == 1 ? "" : "s");
	if (!facts->whole)
		printf("the log begins at %" PRIu64 ": what older records said is not known (%" PRIu64 " transactions and %" PRIu64
		       " bodies of published messages are older)\n", facts->start, facts->earlier_count, facts->unknown_body_count);
}

static void print_sum_json(struct lines *lines, const struct audit_facts *facts)
{
	line_begin(lines, "audit");
	line_u64(lines, "violations", facts->violation_count);
	for (unsigned i = 0; i < AUDIT_INVARIANT_COUNT; i++) {
		if (facts->violations[i] > 0)
			line_u64(lines, audit_invariant_code((enum audit_invariant)i), facts->violations[i]);
	}
	line_u64(lines, "start", facts->start);
	line_u64(lines, "end", facts->end);
	line_bool(lines, "whole", facts->whole);
	line_u64(lines, "records", facts->record_count);
	line_u64(lines, "transactions", facts->half_count + facts->earlier_count);
	line_u64(lines, "committed", facts->committed_count);
	line_u64(lines, "rolled_back", facts->rolled_back_count);
	line_u64(lines, "open", facts->open_count);
	line_u64(lines, "parked", facts->parked_count);
	line_u64(lines, "unknown", facts->unknown_count);
	line_u64(lines, "published", facts->published_count);
	line_u64(lines, "plain", facts->plain_count);
	line_u64(lines, "queues", facts->topic_queue_count);
	line_u64(lines, "resent", facts->resent_count);
	line_u64(lines, "older_transactions", facts->earlier_count);
	line_u64(lines, "older_bodies", facts->unknown_body_count);
	line_u64(lines, "older_carries", facts->unknown_carry_count);
	line_end(lines);
}

static enum status run(int argc, char **argv, bool *found_out, struct errinfo *err)
{
	const char *store = NULL;
	bool json = false;
	const struct option options[] = { { "--json", OPTION_FLAG, &json } };
	struct walk_end end = { 0 };
	struct audit_facts facts;
	struct lines lines;
	enum status status = options_parse_store(argc, argv, options, 1, &store, err);

	if (status == ST_OK)
		status = unfinished_check(vfs_posix(), store, err);
	if (status != ST_OK)
		return status;
	lines_init(&lines, stdout, json);
	struct audit *audit = audit_create(print_violation, &lines);
	status = audit == NULL ? errinfo_set(err, ST_NOMEM, "out of memory")
			       : log_walk(vfs_posix(), store, 0, take, audit, &end, err);
	if (status == ST_OK || status == ST_CORRUPT) { /* Of a damaged log: as far as it goes. */
		audit_facts(audit, &facts);
		*found_out = facts.violation_count > 0;
		walk_note_torn(&end);
		if (json)
			print_sum_json(&lines, &facts);
		else
			print_sum(&facts);
	}
	if (status == ST_OK)
		status = lines_status(&lines, err);
	audit_destroy(audit);
	lines_deinit(&lines);
	return status;
}

const struct command command_audit = {
	.name = "audit",
	.arguments = "STORE_DIR [--json]",
	.summary = "proves from the log alone that no transaction was published twice, no decision changed, ...",
	.help = "Holds every record against these invariants (docs/escrow-log.md has them in full):\n"
		"  I1  what a decision, a delivery or a carried record refers to is there and is what they say\n"
		"  I2  every transaction is published at most once, every delayed message is delivered once\n"
		"  I3  nothing is published that was rolled back, was never prepared, or is not due\n"
		"  I4  the first decision is final\n"
		"  I5  counts of checks never fall but by a resume\n"
		"  I6  halves are numbered without a gap\n"
		"  I7  queue offsets are dense and ascend, store times never go back\n"
		"  F   every record can be read\n"
		"  --json   one object for each violation, one for the sum\n"
		"Memory: some 50 bytes a transaction, 130 while it is undecided.\n",
	.run = run,
};
