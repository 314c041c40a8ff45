/* escrow-log check: is every byte of the store what it should be, and if not, what does that mean and what is to be done? */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/index/lost_log.h"
#include "lib/index/unfinished.h"
#include "tools/log/check_pages.h"
#include "tools/log/command.h"
#include "tools/log/facts.h"
#include "tools/log/lines.h"
#include "tools/log/options.h"
#include "tools/log/segments.h"
#include "tools/log/verdict.h"

enum { UNREADABLE_SHOWN = 20, FILES_SHOWN = 20 };

struct check {
	const char *store;
	struct lines lines;
	bool in_use;
	long pid;
	struct start_look look;
	uint64_t unreadable_count; /* Sound records whose payload cannot be read. */
	struct check_pages pages;
	unsigned files_shown;
	char advice[700];
};

static bool for_people(const struct check *check)
{
	return !check->lines.json;
}

/* --- records --------------------------------------------------------------------------------------------------------- */

static void check_payload(struct check *check, const struct log_record *record)
{
	struct record_facts facts;

	facts_of_record(record, &facts);
	if (facts.readable || check->unreadable_count++ >= UNREADABLE_SHOWN)
		return;
	if (for_people(check)) {
		printf("UNREADABLE  %s record at log offset %" PRIu64 ": %s\n"
		       "            Its checksum is right: written by a newer version, or by a defect. A start that replays it refuses.\n",
		       log_kind_text(record->kind), record->offset, facts.why.text);
		return;
	}
	line_begin(&check->lines, "unreadable");
	line_u64(&check->lines, "offset", record->offset);
	line_word(&check->lines, "record", log_kind_text(record->kind));
	line_word(&check->lines, "reason", facts.why.text);
	line_end(&check->lines);
}

static enum status see_record(void *context, const struct log_record *record, bool beyond, struct errinfo *err)
{
	struct check *check = context;

	(void)beyond;
	check_payload(check, record);
	return check_pages_see(&check->pages, record, err);
}

/* --- segments and snapshots -------------------------------------------------------------------------------------------- */

static void print_segment(const struct check *check, const struct scan_segment *segment)
{
	char size[32], made[TIME_TEXT_SIZE];

	size_text(segment->file_size, size);
	printf("segment     %020" PRIu64 "  %9s", segment->base, size);
	if (!segment->sound) {
		printf("  %s: %s\n", segment->other_version ? "OTHER VERSION" : "BAD", segment->problem);
		if (segment->record_count > 0)
			printf("            %" PRIu64 " records in it are sound, at %" PRIu64 " to %" PRIu64 "\n", segment->record_count,
			       segment->first_record, segment->records_end);
		else if (segment->base >= check->look.scan.end && segment + 1 == check->look.scan.segments + check->look.scan.segment_count)
			printf("            It is the last one and holds no records: the file may be removed.\n");
		return;
	}
	time_text(segment->header.created_ms, made);
	printf("  epoch %" PRIu32 "  made %s%s", segment->header.first_epoch, made, segment->header.recycled ? "  recycled" : "");
	if (segment->record_count == 0)
		printf("  no records%s\n", segment->base >= check->look.scan.end ? ": prepared" : "");
	else
		printf("  %" PRIu64 " records, %" PRIu64 " to %" PRIu64 "\n", segment->record_count, segment->first_record,
		       segment->records_end);
}

static void print_segment_json(struct check *check, const struct scan_segment *segment)
{
	struct lines *lines = &check->lines;

	line_begin(lines, "segment");
	line_u64(lines, "base", segment->base);
	line_u64(lines, "size", segment->end - segment->base);
	line_u64(lines, "file_bytes", segment->file_size);
	line_bool(lines, "sound", segment->sound);
	if (!segment->sound)
		line_word(lines, "problem", segment->problem);
	line_bool(lines, "other_version", segment->other_version);
	line_bool(lines, "recycled", segment->sound && segment->header.recycled);
	line_u64(lines, "records", segment->record_count);
	line_u64(lines, "records_from", segment->first_record);
	line_u64(lines, "records_to", segment->records_end);
	line_end(lines);
}

static void print_snapshot(const struct check *check, const struct snapshot_item *item)
{
	char made[TIME_TEXT_SIZE];

	if (!item->whole) {
		const char *text = strstr(item->problem, ": "); /* The path is in front of it. */

		printf("snapshot    %020" PRIu64 "  %s%s\n            %s\n", item->from, item->other_version ? "OTHER VERSION" : "BAD",
		       text != NULL ? text : "",
		       item->other_version ? "A start does not pass it over for an older one: it refuses." :
		       snapshots_newest(&check->look.snapshots) != NULL ?
			       "A start passes it over; the whole one and a longer replay serve. The file may be removed." :
			       "None is whole: a start replays the whole log, if that is there from its beginning.");
		return;
	}
	time_text(item->wall_ms, made);
	printf("snapshot    %020" PRIu64 "  generation %" PRIu64 "  made %s  durable up to %" PRIu64 ": whole\n", item->from,
	       item->generation, made, item->durable);
}

static void print_snapshot_json(struct check *check, const struct snapshot_item *item)
{
	struct lines *lines = &check->lines;

	line_begin(lines, "snapshot");
	line_u64(lines, "from", item->from);
	line_bool(lines, "whole", item->whole);
	if (!item->whole)
		line_word(lines, "problem", item->problem);
	line_bool(lines, "other_version", item->other_version);
	line_u64(lines, "generation", item->generation);
	line_u64(lines, "durable", item->durable);
	line_end(lines);
}

static void print_store(struct check *check)
{
	const struct log_scan *scan = &check->look.scan;

	if (for_people(check)) {
		printf("store       %s%s", check->store, check->in_use ? ": in use" : "");
		if (check->in_use && check->pid != 0)
			printf(" by process %ld", check->pid);
		printf("\nlog id      ");
		for (size_t i = 0; i < LOG_ID_SIZE; i++)
			printf("%02x", scan->log_id[i]);
		printf("  cluster %s\n", scan->cluster);
	}
	for (size_t i = 0; i < scan->segment_count; i++) {
		if (for_people(check))
			print_segment(check, &scan->segments[i]);
		else
			print_segment_json(check, &scan->segments[i]);
	}
	for (size_t i = 0; i < check->look.snapshots.count; i++) {
		if (for_people(check))
			print_snapshot(check, &check->look.snapshots.items[i]);
		else
			print_snapshot_json(check, &check->look.snapshots.items[i]);
	}
	if (check->look.snapshots.index_lost && for_people(check))
		printf("index       index.pages is lost, cut, or newer than the snapshot: the next start builds it anew from the log\n");
}

/* --- other files --------------------------------------------------------------------------------------------------------- */

static enum status see_file(void *context, const char *name)
{
	struct check *check = context;
	size_t size = strlen(name);
	bool digits = size == 20 && strspn(name, "0123456789") == size, temporary = size > 4 && strcmp(name + size - 4, ".tmp") == 0;

	if (digits || !for_people(check) || check->files_shown++ >= FILES_SHOWN)
		return ST_OK;
	printf("leftover    commitlog/%s: %s\n", name,
	       temporary ? "a segment whose making was cut short; the next start removes it" : "not the broker's file; it is ignored");
	return ST_OK;
}

/* --- gaps ------------------------------------------------------------------------------------------------------------------ */

/* Does a start look at this place? */
static bool is_read(const struct check *check, const struct scan_gap *gap)
{
	return gap->header || gap->to > check->look.verdict.replay_from;
}

/* What to do about this damaged place, the one that decides. */
static void advise(struct check *check, const struct scan_gap *gap, const struct scan_segment *segment)
{
	const struct verdict *verdict = &check->look.verdict;
	char lost[32];

	number_text(check->look.scan.beyond_count - gap->beyond_before, lost);
	if (segment->other_version) {
		snprintf(check->advice, sizeof(check->advice), "Use the program of that version for this store.");
	} else if (verdict->outcome == START_CUTS_DAMAGE && is_read(check, gap)) {
		snprintf(check->advice, sizeof(check->advice),
			 "DO NOT START the broker: it searches only %" PRIu64 " bytes behind this place for proof, may take it for a torn "
			 "tail, and then cuts %s sound records behind it. Restore the file from a copy first.", gap->window, lost);
	} else if (verdict->outcome != START_REFUSES) {
		snprintf(check->advice, sizeof(check->advice),
			 "A broker starts all the same, because its newest snapshot lies behind this place; but what lies here cannot be "
			 "read any more. Restore the file from a copy (a backup, a snapshot of the file system).");
	} else if (gap->header) {
		snprintf(check->advice, sizeof(check->advice),
			 "Put the segment file back from a copy, or restore the store from a backup (escrow-log restore). A segment gets "
			 "its name only after its header is safe, so this is no crash's work: look at the disk.");
	} else {
		snprintf(check->advice, sizeof(check->advice),
			 "Restore this file from a copy, or the store from a backup (escrow-log restore). If there is none:\n"
			 "            escrow-log repair %s --cut-at %" PRIu64 "\n"
			 "            shows what ending the log here would lose (%s sound records behind it), and does nothing yet.",
			 check->store, gap->from, lost);
	}
}

static const char *proof_text(const struct scan_gap *gap, char out[160])
{
	if (gap->proof == 0)
		snprintf(out, 160, "A segment's header is synced before the file gets its name.");
	else
		snprintf(out, 160, "It had been durable: the %s at log offset %" PRIu64 " says so.",
			 gap->proved_by_snapshot ? "snapshot" : "record", gap->proof);
	return out;
}

static const char *extent_text(const struct check *check, const struct scan_gap *gap, char out[64])
{
	if (check->look.scan.beyond_count == gap->beyond_before)
		snprintf(out, 64, "and everything behind it");
	else
		snprintf(out, 64, "%" PRIu64 " bytes", gap->to - gap->from);
	return out;
}

/* The file that would hold the gap's beginning is not there. */
static bool is_missing(const struct scan_gap *gap, const struct scan_segment *segment)
{
	return gap->header && gap->from >= segment->end;
}

/* Its header is sound, and was told with the segments. */
static bool is_of_other_version(const struct scan_gap *gap, const struct scan_segment *segment)
{
	return gap->header && segment->other_version && !is_missing(gap, segment);
}

/* The log's files end before it. */
static bool is_last(const struct check *check, const struct scan_gap *gap)
{
	return gap->from >= log_scan_segment(&check->look.scan, gap->to)->end;
}

static void print_gap(struct check *check, const struct scan_gap *gap, bool decides)
{
	const struct scan_segment *segment = log_scan_segment(&check->look.scan, gap->from);
	char proof[160], extent[64];

	if (gap->damage) {
		if (is_missing(gap, segment))
			printf("DAMAGE      commitlog/%020" PRIu64 " is missing: log offsets %" PRIu64 " to %" PRIu64 "\n", gap->from, gap->from,
			       is_last(check, gap) ? gap->to : log_scan_segment(&check->look.scan, gap->to)->base);
		else
			printf("DAMAGE      commitlog/%020" PRIu64 " byte %" PRIu64 " (log offset %" PRIu64 "), %s: %s\n",
			       segment->base, gap->from - segment->base, gap->from, extent_text(check, gap, extent),
			       gap->header ? segment->problem : gap->reason);
		printf("            %s\n", proof_text(gap, proof));
		if (decides) {
			advise(check, gap, segment);
			printf("            %s\n", check->advice);
		}
		return;
	}
	printf("torn tail   commitlog/%020" PRIu64 " byte %" PRIu64 " (log offset %" PRIu64 "), %" PRIu64 " bytes", segment->base,
	       gap->from - segment->base, gap->from, check->look.scan.leftover_end - gap->from);
	if (check->look.scan.beyond_count > gap->beyond_before)
		printf(" (%" PRIu64 " sound records among them)", check->look.scan.beyond_count - gap->beyond_before);
	printf(": %s\n            %s\n", gap->reason,
	       check->in_use ? "The broker is writing there." :
			       "No later record says that this was durable: a write that the stop cut short (or, what cannot be told\n"
			       "            from it, damage to the very last write). The next start of the broker cuts it: nothing to do.");
}

static void print_gap_json(struct check *check, const struct scan_gap *gap)
{
	const struct scan_segment *segment = log_scan_segment(&check->look.scan, gap->from);
	struct lines *lines = &check->lines;
	uint64_t base = is_missing(gap, segment) ? gap->from : segment->base;
	char file[64];

	snprintf(file, sizeof(file), "commitlog/%020" PRIu64, base);
	line_begin(lines, gap->damage ? "damage" : "torn_tail");
	line_word(lines, "file", file);
	line_u64(lines, "byte", gap->from - base);
	line_u64(lines, "offset", gap->from);
	line_u64(lines, "bytes", (gap->damage ? gap->to : check->look.scan.leftover_end) - gap->from);
	line_word(lines, "reason", gap->header && !is_missing(gap, segment) ? segment->problem : gap->reason);
	if (gap->proof != 0)
		line_u64(lines, "proof", gap->proof);
	line_u64(lines, "records_behind", check->look.scan.beyond_count - gap->beyond_before);
	line_end(lines);
}

/* The damaged place to say something about: the first one that a start looks at, else the first one. NULL: there is none. */
static const struct scan_gap *deciding_gap(const struct check *check)
{
	const struct log_scan *scan = &check->look.scan;
	const struct scan_gap *first = NULL;

	for (size_t i = scan->gap_count; i > 0; i--) {
		const struct scan_gap *gap = &scan->gaps[i - 1];

		if (gap->damage && (first == NULL || is_read(check, gap) || !is_read(check, first)))
			first = gap;
	}
	return first;
}

/* All damaged places; of what is torn the first one, because all behind it is cut with it. */
static void print_gaps(struct check *check)
{
	const struct log_scan *scan = &check->look.scan;
	const struct scan_gap *decides = deciding_gap(check);

	for (size_t i = 0; i < scan->gap_count; i++) {
		const struct scan_gap *gap = &scan->gaps[i];

		if ((!gap->damage && scan->leftover_end == gap->from) || is_of_other_version(gap, log_scan_segment(scan, gap->from)))
			continue;
		if (for_people(check))
			print_gap(check, gap, gap == decides);
		else
			print_gap_json(check, gap);
		if (!gap->damage)
			break;
	}
	if (scan->gaps_left_out > 0 && for_people(check))
		printf("            and %" PRIu64 " more places\n", scan->gaps_left_out);
	if (scan->recycled_tail && for_people(check))
		printf("stale       bytes of a recycled file's former life lie behind the log's end: harmless\n");
}

/* --- the end ------------------------------------------------------------------------------------------------------------------ */

static unsigned bad_snapshots(const struct check *check)
{
	unsigned count = 0;

	for (size_t i = 0; i < check->look.snapshots.count; i++)
		count += !check->look.snapshots.items[i].whole && !check->look.snapshots.items[i].other_version;
	return count;
}

static unsigned other_versions(const struct check *check)
{
	const struct log_scan *scan = &check->look.scan;
	unsigned count = 0;

	for (size_t i = 0; i < scan->segment_count; i++)
		count += scan->segments[i].other_version;
	for (size_t i = 0; i < check->look.snapshots.count; i++)
		count += check->look.snapshots.items[i].other_version;
	return count;
}

static bool is_wrong(const struct check *check)
{
	return check->look.scan.damaged || bad_snapshots(check) > 0 || check->unreadable_count > 0 ||
	       other_versions(check) > 0 || check->pages.count > 0 || check->look.verdict.outcome == START_REFUSES;
}

static unsigned damage_count(const struct log_scan *scan)
{
	unsigned count = 0, bad_headers = 0;

	for (size_t i = 0; i < scan->segment_count; i++)
		bad_headers += !scan->segments[i].sound && !scan->segments[i].other_version;
	for (size_t i = 0; i < scan->gap_count; i++) {
		const struct scan_segment *segment = log_scan_segment(scan, scan->gaps[i].from);

		if (is_of_other_version(&scan->gaps[i], segment))
			continue;
		count += scan->gaps[i].damage;
		/* Not twice. */
		bad_headers -= bad_headers > 0 && scan->gaps[i].header && !segment->sound && scan->gaps[i].from == segment->base;
	}
	return count + bad_headers;
}

static void print_sum(struct check *check)
{
	const struct log_scan *scan = &check->look.scan;
	const struct verdict *verdict = &check->look.verdict;
	unsigned versions = other_versions(check);

	if (!is_wrong(check)) {
		printf("ok: %" PRIu64 " records from %" PRIu64 " to %" PRIu64 ", epoch %" PRIu32 ", durable up to %" PRIu64 " at least\n",
		       scan->record_count, scan->start, scan->end, scan->epoch, scan->durable_mark);
		return;
	}
	printf("WRONG: %u damaged places in the log, %u damaged snapshots, %" PRIu64 " unreadable records", damage_count(scan),
	       bad_snapshots(check), check->unreadable_count);
	if (check->pages.count > 0)
		printf(", %zu damaged index page%s", check->pages.count, check->pages.count == 1 ? "" : "s");
	if (versions > 0)
		printf(", %u file%s of another format version", versions, versions == 1 ? "" : "s");
	printf("; %" PRIu64 " records from %" PRIu64 " to %" PRIu64 " are sound, and %" PRIu64 " behind. A broker %s", scan->record_count,
	       scan->start, scan->end, scan->beyond_count, start_outcome_text(verdict->outcome));
	if (verdict->outcome == START_REFUSES)
		printf(": %s", verdict->why);
	printf("\n");
}

static void print_sum_json(struct check *check)
{
	static const char *const outcomes[] = { "clean", "cuts", "refuses", "cuts damage" };
	const struct log_scan *scan = &check->look.scan;
	struct lines *lines = &check->lines;

	line_begin(lines, "check");
	line_bool(lines, "ok", !is_wrong(check));
	line_word(lines, "start", outcomes[check->look.verdict.outcome]);
	if (check->look.verdict.outcome == START_REFUSES)
		line_word(lines, "why", check->look.verdict.why);
	line_u64(lines, "log_start", scan->start);
	line_u64(lines, "log_end", check->look.verdict.end);
	line_u64(lines, "first_bad", scan->gap_count > 0 ? scan->gaps[0].from : 0);
	line_u64(lines, "durable", scan->durable_mark);
	line_u64(lines, "epoch", scan->epoch);
	line_u64(lines, "records", scan->record_count);
	line_u64(lines, "records_behind", scan->beyond_count);
	line_u64(lines, "cut_bytes", check->look.verdict.cut_bytes);
	line_u64(lines, "unreadable", check->unreadable_count);
	line_u64(lines, "other_version", other_versions(check));
	line_u64(lines, "damaged_pages", check->pages.count);
	line_bool(lines, "in_use", check->in_use);
	line_end(lines);
}

/* Of what is no store, or has lost its log, there is nothing else to say. */
static void print_refusal_json(struct check *check, const char *why)
{
	struct lines *lines = &check->lines;

	line_begin(lines, "check");
	line_bool(lines, "ok", false);
	line_word(lines, "start", "refuses");
	line_word(lines, "why", why);
	line_bool(lines, "in_use", check->in_use);
	line_end(lines);
}

static enum status read_store(struct check *check, struct errinfo *err)
{
	check->in_use = store_is_in_use(check->store, &check->pid);
	check->pages = (struct check_pages){ .store = check->store, .in_use = check->in_use,
					      .snapshots = &check->look.snapshots };
	enum status status = unfinished_check(vfs_posix(), check->store, err);
	if (status == ST_OK)
		status = lost_log_check(vfs_posix(), check->store, err);
	if (status == ST_OK)
		status = start_look(vfs_posix(), check->store, see_record, check, &check->look, err);
	if (status == ST_OK)
		status = check_pages_run(&check->pages, err);
	if (status == ST_OK && check->pages.problem[0] != '\0')
		verdict_refuse(&check->look.verdict, check->pages.problem);
	return status;
}

static enum status print_all(struct check *check, struct errinfo *err)
{
	char dir[LOG_PATH_SIZE];
	enum status status = log_dir_path(check->store, dir, err);

	print_store(check);
	if (status == ST_OK)
		status = vfs_list(vfs_posix(), dir, see_file, check, err);
	if (status != ST_OK)
		return status;
	print_gaps(check);
	check_pages_print(&check->pages, check->look.scan.damaged, &check->lines);
	if (for_people(check))
		print_sum(check);
	else
		print_sum_json(check);
	return lines_status(&check->lines, err);
}

static enum status run_check(struct check *check, bool *found_out, struct errinfo *err)
{
	enum status status = read_store(check, err);

	if (status == ST_CORRUPT && !for_people(check)) {
		*found_out = true;
		print_refusal_json(check, err->text);
		return lines_status(&check->lines, err);
	}
	if (status == ST_OK)
		status = print_all(check, err);
	*found_out = status == ST_OK && is_wrong(check);
	return status;
}

static enum status run(int argc, char **argv, bool *found_out, struct errinfo *err)
{
	struct check *check = calloc(1, sizeof(*check));
	bool json = false;
	const struct option options[] = { { "--json", OPTION_FLAG, &json } };

	if (check == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	enum status status = options_parse_store(argc, argv, options, 1, &check->store, err);
	if (status == ST_OK) {
		lines_init(&check->lines, stdout, json);
		status = run_check(check, found_out, err);
		lines_deinit(&check->lines);
	}
	check_pages_free(&check->pages);
	start_look_free(&check->look);
	free(check);
	return status;
}

const struct command command_check = {
	.name = "check",
	.arguments = "STORE_DIR [--json]",
	.summary = "verifies every byte: what is wrong where, what it means, what to do",
	.help = "Reads every segment header, record, snapshot and index page; changes nothing. It goes on behind what is bad, and\n"
		"tells apart:\n"
		"  damage      bytes that had been durable and are not what was written; exit code 1\n"
		"  torn tail   bytes behind the log's end that no sync had covered: the next start of the broker cuts them; 0\n"
		"  stale       a recycled file's former life behind the log's end: harmless; 0\n"
		"and says whether a broker starts on this store. An unfinished backup or restore is nothing but that; 1.\n"
		"  --json      one object for each segment, snapshot and finding, and one for the sum\n"
		"Beside a running broker the end of the log may be in the middle of a write.\n",
	.run = run,
};
