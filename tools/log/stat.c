/* escrow-log stat: how much of what is in the log, and how are the transactions doing? */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/audit/audit.h"
#include "tools/log/command.h"
#include "tools/log/facts.h"
#include "tools/log/lines.h"
#include "tools/log/options.h"
#include "tools/log/segments.h"
#include "tools/log/walk.h"

struct stat_report {
	struct audit *audit;              /* Counts transactions and queues. */
	uint64_t kind_bytes[LOG_KIND_END];
	uint64_t half_message_bytes;      /* Messages inside HALF records. */
	uint64_t carried_half_bytes;
};

static enum status count(void *context, const struct log_record *record, struct errinfo *err)
{
	struct stat_report *report = context;
	struct record_half half;
	struct record_carry carry;

	report->kind_bytes[record->kind < LOG_KIND_END ? record->kind : 0] += record->size;
	if (record->kind == LOG_HALF && record_half_decode(record->payload, &half, NULL) == ST_OK)
		report->half_message_bytes += half.message.size;
	if (record->kind == LOG_CARRY && record_carry_decode(record->payload, &carry, NULL) == ST_OK &&
	    carry.original_kind == CARRY_HALF)
		report->carried_half_bytes += record->size;
	return audit_record(report->audit, record, err);
}

/* --- for people ---------------------------------------------------------------------------------------------------- */

static void print_log(const struct segment_list *segments, const struct audit_facts *facts)
{
	char bytes[32], on_disk[32], first[TIME_TEXT_SIZE] = "-", last[TIME_TEXT_SIZE] = "-";
	uint64_t disk = 0;

	for (size_t i = 0; i < segments->count; i++)
		disk += segments->items[i].file_size;
	size_text(facts->end - facts->start, bytes);
	size_text(disk, on_disk);
	if (facts->first_time_ms != 0) {
		time_text(facts->first_time_ms, first);
		time_text(facts->last_time_ms, last);
	}
	printf("log       %" PRIu64 " to %" PRIu64 " (%s) in %zu segment files of %s%s\n", facts->start, facts->end, bytes,
	       segments->count, on_disk, facts->whole ? "" : "; older segments are gone");
	printf("epochs    %" PRIu32 " to %" PRIu32 " (starts of the broker)\n", facts->first_epoch, facts->last_epoch);
	printf("times     %s to %s\n", first, last);
}

static void print_kinds(const struct stat_report *report, const struct audit_facts *facts)
{
	uint64_t total = 0;

	printf("\n%-14s %15s %18s %7s\n", "records", "count", "bytes", "share");
	for (unsigned kind = 0; kind < LOG_KIND_END; kind++)
		total += report->kind_bytes[kind];
	for (unsigned kind = 0; kind < LOG_KIND_END; kind++) {
		char records[32], bytes[32];

		if (facts->kind_count[kind] == 0)
			continue;
		number_text(facts->kind_count[kind], records);
		number_text(report->kind_bytes[kind], bytes);
		printf("%-14s %15s %18s %6.1f%%\n", log_kind_text(kind), records, bytes,
		       100.0 * (double)report->kind_bytes[kind] / (double)total);
	}
}

static uint64_t transaction_bytes(const struct stat_report *report)
{
	return report->kind_bytes[LOG_HALF] + report->kind_bytes[LOG_DECISION] + report->kind_bytes[LOG_CONFLICT] +
	       report->kind_bytes[LOG_CHECK] + report->carried_half_bytes;
}

static uint64_t transaction_count(const struct audit_facts *facts)
{
	return facts->half_count + facts->earlier_count;
}

static void print_transactions(const struct stat_report *report, const struct audit_facts *facts)
{
	uint64_t n = transaction_count(facts);

	printf("\ntransactions  %" PRIu64 ": %" PRIu64 " committed, %" PRIu64 " rolled back, %" PRIu64 " open, %" PRIu64 " parked",
	       n, facts->committed_count, facts->rolled_back_count, facts->open_count, facts->parked_count);
	if (facts->unknown_count > 0)
		printf(", %" PRIu64 " unknown (older than the log)", facts->unknown_count);
	putchar('\n');
	if (n > 0)
		printf("              %.0f bytes of log each: half %.0f (its message %.0f), decision %.0f, checks %.0f\n",
		       (double)transaction_bytes(report) / (double)n, (double)report->kind_bytes[LOG_HALF] / (double)n,
		       (double)report->half_message_bytes / (double)n, (double)report->kind_bytes[LOG_DECISION] / (double)n,
		       (double)report->kind_bytes[LOG_CHECK] / (double)n);
	printf("messages      %" PRIu64 " in queues: %" PRIu64 " of transactions, %" PRIu64 " others; %" PRIu64
	       " wait for their time\n", facts->published_count + facts->plain_count, facts->published_count, facts->plain_count,
	       facts->delayed_count);
	if (facts->violation_count > 0)
		printf("violations    %" PRIu64 ": escrow-log audit shows them\n", facts->violation_count);
}

static void print_queue(void *context, const struct audit_queue *queue)
{
	struct buffer name;
	char last[TIME_TEXT_SIZE], bytes[32];

	(void)context;
	buffer_init(&name, 0);
	text_for_people(queue->topic, &name);
	buffer_printf(&name, "/%" PRIu32, queue->queue_id);
	time_text(queue->last_time_ms, last);
	size_text(queue->byte_count, bytes);
	printf("%-40.*s %12" PRIu64 " %14" PRIu64 " %14" PRIu64 " %12s  %s\n", SPAN_ARGS(buffer_span(&name)),
	       queue->next_offset - queue->first_offset, queue->first_offset, queue->next_offset, bytes, last);
	buffer_deinit(&name);
}

static void print_people(const struct segment_list *segments, const struct stat_report *report,
			 const struct audit_facts *facts)
{
	print_log(segments, facts);
	print_kinds(report, facts);
	print_transactions(report, facts);
	if (facts->topic_queue_count == 0)
		return;
	printf("\n%-40s %12s %14s %14s %12s  %s\n", "topic/queue", "messages", "from offset", "next offset", "bytes", "last");
	audit_walk_queues(report->audit, print_queue, NULL);
}

/* --- for programs ---------------------------------------------------------------------------------------------------- */

static void print_queue_json(void *context, const struct audit_queue *queue)
{
	struct lines *lines = context;

	line_item_begin(lines);
	line_text(lines, "topic", queue->topic);
	line_u64(lines, "queue", queue->queue_id);
	line_u64(lines, "messages", queue->next_offset - queue->first_offset);
	line_u64(lines, "first_offset", queue->first_offset);
	line_u64(lines, "next_offset", queue->next_offset);
	line_u64(lines, "bytes", queue->byte_count);
	line_time(lines, "last_time", queue->last_time_ms);
	line_item_end(lines);
}

static void print_kinds_json(struct lines *lines, const struct stat_report *report, const struct audit_facts *facts)
{
	line_list_begin(lines, "records");
	for (unsigned kind = 0; kind < LOG_KIND_END; kind++) {
		if (facts->kind_count[kind] == 0)
			continue;
		line_item_begin(lines);
		line_word(lines, "kind", log_kind_text(kind));
		line_u64(lines, "count", facts->kind_count[kind]);
		line_u64(lines, "bytes", report->kind_bytes[kind]);
		line_item_end(lines);
	}
	line_list_end(lines);
}

static void print_segments_json(struct lines *lines, const struct segment_list *segments)
{
	line_list_begin(lines, "segments");
	for (size_t i = 0; i < segments->count; i++) {
		line_item_begin(lines);
		line_u64(lines, "base", segments->items[i].base);
		line_u64(lines, "size", segments->items[i].size);
		line_u64(lines, "file_bytes", segments->items[i].file_size);
		line_bool(lines, "recycled", segments->items[i].recycled);
		line_item_end(lines);
	}
	line_list_end(lines);
}

static enum status print_json(const struct segment_list *segments, const struct stat_report *report,
			      const struct audit_facts *facts, struct errinfo *err)
{
	struct lines lines;
	uint64_t n = transaction_count(facts);

	lines_init(&lines, stdout, true);
	line_begin(&lines, "stat");
	line_u64(&lines, "start", facts->start);
	line_u64(&lines, "end", facts->end);
	line_bool(&lines, "whole", facts->whole);
	line_u64(&lines, "first_epoch", facts->first_epoch);
	line_u64(&lines, "last_epoch", facts->last_epoch);
	line_time(&lines, "first_time", facts->first_time_ms);
	line_time(&lines, "last_time", facts->last_time_ms);
	print_segments_json(&lines, segments);
	print_kinds_json(&lines, report, facts);
	line_u64(&lines, "transactions", n);
	line_u64(&lines, "committed", facts->committed_count);
	line_u64(&lines, "rolled_back", facts->rolled_back_count);
	line_u64(&lines, "open", facts->open_count);
	line_u64(&lines, "parked", facts->parked_count);
	line_u64(&lines, "unknown", facts->unknown_count);
	line_u64(&lines, "bytes_per_transaction", n == 0 ? 0 : transaction_bytes(report) / n);
	line_u64(&lines, "published", facts->published_count);
	line_u64(&lines, "plain", facts->plain_count);
	line_u64(&lines, "delayed", facts->delayed_count);
	line_u64(&lines, "violations", facts->violation_count);
	line_list_begin(&lines, "queues");
	audit_walk_queues(report->audit, print_queue_json, &lines);
	line_list_end(&lines);
	line_end(&lines);
	enum status status = lines_status(&lines, err);
	lines_deinit(&lines);
	return status;
}

static enum status make_report(const char *store, bool json, struct stat_report *report, struct errinfo *err)
{
	struct segment_list segments;
	struct audit_facts facts;
	struct walk_end end = { 0 };
	enum status status = segments_list(vfs_posix(), store, &segments, err);

	walk_note_unfinished(vfs_posix(), store);
	if (status == ST_OK)
		status = log_walk(vfs_posix(), store, 0, count, report, &end, err);
	if (status == ST_OK) {
		walk_note_torn(&end);
		audit_facts(report->audit, &facts);
		if (json)
			status = print_json(&segments, report, &facts, err);
		else
			print_people(&segments, report, &facts);
	}
	segments_free(&segments);
	return status;
}

static enum status run(int argc, char **argv, bool *found_out, struct errinfo *err)
{
	struct stat_report report = { 0 };
	const char *store = NULL;
	bool json = false;
	const struct option options[] = { { "--json", OPTION_FLAG, &json } };
	enum status status = options_parse_store(argc, argv, options, 1, &store, err);

	(void)found_out;
	if (status != ST_OK)
		return status;
	report.audit = audit_create(NULL, NULL);
	status = report.audit == NULL ? errinfo_set(err, ST_NOMEM, "out of memory") : make_report(store, json, &report, err);
	audit_destroy(report.audit);
	return status;
}

const struct command command_stat = {
	.name = "stat",
	.arguments = "STORE_DIR [--json]",
	.summary = "counts: segments, records and bytes by kind, transactions by state, messages by queue",
	.help = "Reads the whole log. Memory: some 50 bytes a transaction and queue, whatever the size of the log.\n"
		"  --json   one JSON object\n"
		"\"bytes of log each\" is all of a transaction's records over the number of transactions: its half message, its\n"
		"decisions, refusals and checks.\n",
	.run = run,
};
