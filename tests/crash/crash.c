/* Every disk that a power cut may leave, of every moment of recorded lives of a store, goes through real recovery:
 *
 *   - it opens: no power cut makes a state that is refused;
 *   - the log holds a prefix of what was appended, with everything that had been acknowledged by then;
 *   - the core shows exactly what those records say: each message byte for byte, nothing undecided or rolled back, dense
 *     queues, halves, check counts, consumer offsets, what POP gave out, settings (tests/crash/ledger.h is the judge);
 *   - nothing of what was cut is left to be found later;
 *   - the power goes again: a second start gives the same;
 *   - the store goes on: what it takes then is there after one more cut;
 *   - the newest snapshot damaged, or the index file lost: a longer start gives the same.
 *
 * The first three for each distinct disk, the others for distinct results of a recovery: one in N, chosen by its hash.
 *
 * Usage: crash [--states N] [--limit N] [--every N] [--workload NAME] [--seed N] [--at POSITION]
 *   --states N    go on with further seeds until so many distinct disks were recovered
 *   --limit N     disks at each moment at most (24)
 *   --every N     as above (4; 1 with --at) */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/logging.h"
#include "lib/index/snapshot_file.h"
#include "lib/log/kinds.h"
#include "lib/log/recovery.h"
#include "lib/wire/codes.h"
#include "tests/crash/u64_map.h"
#include "tests/crash/workload.h"
#include "tests/support/disk_states.h"
#include "tests/support/memdisk.h"

enum { TRACES_MIN = 20, WHY_SIZE = 1024, SEEDS_MAX = 10000, LAPSE_TICKS = 20 };

struct totals {
	struct u64_map distinct; /* Disks, over all traces. */
	uint64_t built, recovered, continued, other_ways, moments;
	uint64_t kinds[LOG_KIND_END], outcomes[5];
	unsigned passed, failed;
};

struct options {
	uint64_t states, limit, every, seed, at;
	const char *workload;
};

/* One trace being walked. */
struct walk {
	const struct recording *recording;
	struct disk_states *states;
	struct rig rig;
	struct u64_map seen;    /* Disk -> records that its recovery found, + 1. */
	struct u64_map settled; /* What a recovery left. */
	struct ledger *growing; /* Of the store that goes on. */
	uint64_t gone;          /* What lies below may have been given up. */
	uint64_t every;
	struct totals *totals;
	char why[WHY_SIZE];
};

static bool say(struct walk *w, const char *step, const char *why)
{
	snprintf(w->why, sizeof(w->why), "%s: %s", step, why);
	return false;
}

/* Opens the store; the time is always the same, so the same disk gives the same result. */
static bool start(struct walk *w, struct memdisk *disk, const char *step)
{
	struct errinfo err = { ST_OK, "" };

	w->rig.vfs = memdisk_vfs(disk);
	clock_manual_init(&w->rig.clock, RIG_START_WALL_MS + 3600 * 1000, 1000);
	return rig_start(&w->rig, &err) == ST_OK || say(w, step, err.text);
}

static bool stop(struct walk *w, const char *step)
{
	struct errinfo err;

	return rig_stop(&w->rig, false, &err) == ST_OK || say(w, step, err.text);
}

/* The log from record `from` on, then all that the core shows. */
static bool check(struct walk *w, const struct ledger *ledger, size_t from, bool all, size_t *count_out, const char *step)
{
	char why[LEDGER_WHY_SIZE];

	if (!ledger_match(ledger, w->rig.log, from, count_out, why))
		return say(w, step, why);
	return !all || ledger_check(ledger, *count_out, w->gone, w->rig.core, why) || say(w, step, why);
}

/* --- going on ------------------------------------------------------------------------------------------- */

static void on_sealed(void *context, uint64_t from, uint64_t to)
{
	struct walk *w = context;

	workload_capture(w->rig.log, w->growing, from, to);
}

static bool settle(struct walk *w, const char *step)
{
	return rig_settle(&w->rig) || say(w, step, w->rig.failure.text);
}

/* An operator's word about a transaction that was open when the power went: recorded, or not acknowledged. */
static bool decide_open(struct walk *w)
{
	struct ledger_open open;

	if (!ledger_find_open(w->growing, ledger_count(w->growing), &open))
		return true;
	struct rig_answer answer = rig_operator(&w->rig, open.half_offset, OUTCOME_ROLLBACK);
	if (answer.status != ST_OK)
		return say(w, "going on: operator", answer.text);
	if (!settle(w, "going on: operator"))
		return false;
	struct ledger_claim claim = { .kind = CLAIM_DECISION, .wait_offset = answer.wait_offset, .log_offset = open.half_offset,
				      .outcome = OUTCOME_ROLLBACK };
	return ledger_holds(w->growing, &claim) || say(w, "going on: operator", "acknowledged, but no record says so");
}

/* What POP gave out comes again when its time is over, and is given out; the ledger knows what must not be. */
static bool pop_again(struct walk *w)
{
	const struct rig_pop pop = { .group = "poppers", .topic = "orders", .max = RIG_POPPED_MAX, .invisible_ms = 5000 };
	struct rig_handle given[RIG_POPPED_MAX];
	size_t count;

	for (int i = 0; i < LAPSE_TICKS && ledger_pop_overdue(w->growing, w->rig.clock.wall_now_ms) > 0; i++) {
		rig_advance(&w->rig, 100);
		if (!settle(w, "going on: lapses"))
			return false;
	}
	if (ledger_pop_overdue(w->growing, w->rig.clock.wall_now_ms) > 0)
		return say(w, "going on", "what was given out and lapsed does not come again");
	struct rig_answer answer = rig_pop(&w->rig, &pop, given, &count);
	return answer.status == ST_OK || answer.status == ST_AGAIN || answer.code == RESP_TOPIC_NOT_EXIST ||
	       say(w, "going on: pop", answer.text);
}

/* A message, a transaction, and whatever is due by now; all of it acknowledged. */
static bool work_on(struct walk *w)
{
	const struct rig_message plain = { .topic = "orders", .key = "AFTER-1", .group = "shop", .body_size = 50 };
	const struct rig_message half = { .topic = "orders", .key = "AFTER-2", .group = "shop", .half = true, .body_size = 50 };

	if (!settle(w, "going on: making room") || !decide_open(w))
		return false;
	struct rig_answer sent = rig_send(&w->rig, &plain);
	if (sent.status != ST_OK)
		return say(w, "going on: send", sent.text);
	sent = rig_send(&w->rig, &half);
	if (sent.status != ST_OK)
		return say(w, "going on: half", sent.text);
	if (!settle(w, "going on"))
		return false;
	const struct rig_end end = { .group = "shop", .half_queue_offset = sent.queue_offset, .half_offset = sent.log_offset,
				     .outcome = OUTCOME_COMMIT };
	struct rig_answer ended = rig_end(&w->rig, &end);
	if (ended.status != ST_OK)
		return say(w, "going on: commit", ended.text);
	rig_advance(&w->rig, 10);
	if (!settle(w, "going on: commit"))
		return false;
	if (rig_committed(&w->rig) < ended.wait_offset)
		return say(w, "going on", "what was synced is not committed");
	return pop_again(w) && settle(w, "going on: pop");
}

/* --- other ways to the same state ------------------------------------------------------------------------------- */

/* Damages the newest snapshot, if there is another way: an older one, or the whole log. */
static bool damage_snapshot(struct walk *w, struct memdisk *disk, uint64_t random)
{
	uint64_t offsets[4], start = 0;
	char path[80];
	size_t count = 0, size = 0;
	struct errinfo err;

	if (snapshot_list(memdisk_vfs(disk), "/store", offsets, 4, &count, &err) != ST_OK || count == 0)
		return false;
	bool whole_log = memdisk_data(disk, "/store/commitlog/00000000000000000000", &size) != NULL;
	if (count < 2 && !whole_log)
		return false;
	snprintf(path, sizeof(path), "/store/snapshots/%020" PRIu64, offsets[0]);
	const uint8_t *data = memdisk_data(disk, path, &size);
	start = random % size;
	uint8_t byte = data[start] ^ (uint8_t)(1u << random / size % 8);
	disk_states_poke(w->states, path, start, &byte, 1);
	return true;
}

/* The newest snapshot is damaged, or the index file is lost, or both: a longer start, the same state. */
static bool recover_without(struct walk *w, struct memdisk *disk, uint64_t random)
{
	bool lost = false;
	size_t count;

	if (random % 3 != 1)
		lost = damage_snapshot(w, disk, random / 3);
	if (random % 3 != 0)
		lost = memdisk_remove(disk, "/store/index.pages") || lost;
	if (!lost)
		return true;
	const char *step = random % 3 == 0 ? "start with the newest snapshot damaged" :
			   random % 3 == 1 ? "start without the index file" : "start without index file and newest snapshot";
	w->totals->other_ways++;
	return start(w, disk, step) && check(w, w->growing, 0, true, &count, step) &&
	       (count == ledger_count(w->growing) || say(w, step, "it found other records")) && stop(w, "stop");
}

/* Once more without power, then some work, and again. The first `count` records are those of the ledger. */
static bool continue_from(struct walk *w, const struct ledger *ledger, size_t count, struct memdisk *disk, uint64_t hash)
{
	size_t again, after;
	bool good;

	if (!stop(w, "stop"))
		return false;
	memdisk_crash(disk, hash);
	if (!start(w, disk, "second start") || !check(w, ledger, 0, true, &again, "second start"))
		return false;
	if (again != count)
		return say(w, "second start", "it found other records than the first one");
	w->growing = ledger_fork(ledger, count);
	w->rig.sealed = on_sealed;
	w->rig.sealed_context = w;
	good = work_on(w);
	w->rig.sealed = NULL;
	if (rig_expired(&w->rig) > w->gone)
		w->gone = rig_expired(&w->rig);
	if (good && (good = stop(w, "stop"))) {
		memdisk_crash(disk, hash + 1);
		good = start(w, disk, "third start") && check(w, w->growing, 0, true, &after, "third start") &&
		       (after == ledger_count(w->growing) || say(w, "third start", "what was acknowledged after the cut is gone"));
	}
	if (good && (good = stop(w, "stop"))) {
		memdisk_crash(disk, hash + 2);
		good = recover_without(w, disk, hash);
	}
	ledger_destroy(w->growing);
	return good;
}

/* What was cut off is gone for good: nothing behind the log's end looks like a record any more. */
static bool nothing_follows(struct walk *w, struct memdisk *disk)
{
	uint64_t end = commitlog_appended(w->rig.log);
	struct log_check_result found;
	struct errinfo err = { ST_OK, "" };
	char why[160];

	if (log_check(memdisk_vfs(disk), "/store", &found, &err) != ST_OK)
		return say(w, "check after the start", err.text);
	/* With less than an envelope's room left, the next segment's first place is the end, too. */
	if (found.leftover_end == found.end && found.end >= end && found.end - end < LOG_SEGMENT_HEADER_SIZE + LOG_ENVELOPE_SIZE)
		return true;
	snprintf(why, sizeof(why), "the log ends at %" PRIu64 " (the check says %" PRIu64 "), but something is left up to %" PRIu64,
		 end, found.end, found.leftover_end);
	return say(w, "check after the start", why);
}

/* --- one disk --------------------------------------------------------------------------------------------- */

static bool recover(struct walk *w, const struct ledger *ledger, size_t promised, struct memdisk *disk, uint64_t hash,
		    size_t *count_out)
{
	bool fresh, good;

	if (!start(w, disk, "start"))
		return false;
	w->totals->recovered++;
	uint64_t left = disk_states_hash(w->states);
	(void)u64_map_put(&w->settled, left, &fresh);
	fresh = fresh && left % w->every == 0;
	good = check(w, ledger, fresh ? 0 : promised, true, count_out, "start") && (!fresh || nothing_follows(w, disk));
	if (good && fresh) {
		w->totals->continued++;
		good = continue_from(w, ledger, *count_out, disk, hash);
	}
	if (w->rig.log != NULL)
		good = stop(w, "stop") && good;
	return good;
}

static bool try_disk(struct walk *w, struct memdisk *disk, uint64_t hash)
{
	struct trace_note note = disk_states_note(w->states);
	const struct ledger *ledger = w->recording->ledgers[note.life];
	size_t promised = ledger_count_until(ledger, note.promised), count = 0;
	bool fresh;
	uint64_t *seen;

	(void)u64_map_put(&w->totals->distinct, hash, &fresh);
	seen = u64_map_put(&w->seen, hash, &fresh);
	if (fresh) {
		w->gone = note.gone;
		if (!recover(w, ledger, promised, disk, hash, &count))
			return false;
		*seen = count + 1;
	}
	/* The same disk may turn up later, when more has been promised. */
	if (*seen - 1 >= promised)
		return true;
	snprintf(w->why, sizeof(w->why), "lost: %zu records were acknowledged, %" PRIu64 " are there", promised, *seen - 1);
	return false;
}

/* --- one trace ---------------------------------------------------------------------------------------------- */

static void report(const struct walk *w, const struct options *o)
{
	char choices[WHY_SIZE];

	disk_states_describe(w->states, choices, sizeof(choices));
	printf("crash: FAILED: workload %s, seed %" PRIu64 ", position %zu: %s\n       disk: %s\n"
	       "       again: crash --workload %s --seed %" PRIu64 " --limit %" PRIu64 " --at %zu\n",
	       w->recording->name, w->recording->seed, disk_states_position(w->states), w->why, choices, w->recording->name,
	       w->recording->seed, o->limit, disk_states_position(w->states));
}

static bool walk_moment(struct walk *w, const struct options *o)
{
	struct memdisk *disk;
	uint64_t hash;

	disk_states_begin(w->states, o->limit, w->recording->seed);
	while ((disk = disk_states_next(w->states, &hash)) != NULL) {
		w->totals->built++;
		if (!try_disk(w, disk, hash)) {
			report(w, o);
			return false;
		}
	}
	return true;
}

static bool walk_trace(const struct recording *recording, const struct options *o, struct totals *totals)
{
	struct walk w = { .recording = recording, .every = o->at != 0 ? 1 : o->every, .totals = totals };
	/* A small ring: what matters of the old one is in the records, and mapping one is most of a start. */
	struct rig_options options = { .segment_size = recording->options.segment_size,
				       .snapshot_bytes = recording->options.snapshot_bytes,
				       .retention_bytes = recording->options.retention_bytes };
	bool good = true;

	w.states = disk_states_create(recording->trace);
	rig_init(&w.rig, &options, NULL);
	while (good && disk_states_advance(w.states)) {
		totals->moments++;
		if (o->at == 0 || o->at == disk_states_position(w.states))
			good = walk_moment(&w, o);
	}
	rig_deinit(&w.rig);
	disk_states_destroy(w.states);
	u64_map_free(&w.seen);
	u64_map_free(&w.settled);
	return good;
}

static void run_workload(size_t index, uint64_t seed, const struct options *o, struct totals *totals)
{
	struct recording *recording = workload_record(index, seed);

	for (size_t life = 1; life < recording->life_count; life++)
		ledger_count_kinds(recording->ledgers[life], totals->kinds, totals->outcomes);
	if (walk_trace(recording, o, totals))
		totals->passed++;
	else
		totals->failed++;
	recording_destroy(recording);
}

/* --- all --------------------------------------------------------------------------------------------------------- */

/* What this version writes must have been there. */
static unsigned missing_kinds(const struct totals *totals)
{
	static const unsigned wanted[] = { LOG_MESSAGE, LOG_HALF, LOG_DECISION, LOG_CONFLICT, LOG_DELIVER,
					   LOG_TIMER_CANCEL, LOG_CHECK, LOG_OFFSETS, LOG_POP,
					   LOG_TOPIC, LOG_GROUP, LOG_CARRY, LOG_SNAPSHOT_MARK };
	unsigned missing = 0;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (totals->kinds[wanted[i]] == 0) {
			printf("crash: no %s record in any trace\n", log_kind_text(wanted[i]));
			missing++;
		}
	}
	for (int outcome = OUTCOME_COMMIT; outcome <= OUTCOME_RESUME; outcome++) {
		if (totals->outcomes[outcome] == 0) {
			printf("crash: no decision \"%s\" in any trace\n", record_outcome_text((enum record_outcome)outcome));
			missing++;
		}
	}
	return missing;
}

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct options parse(int argc, char **argv)
{
	struct options o = { .limit = 24, .every = 4 };

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--states") == 0)
			o.states = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--limit") == 0)
			o.limit = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--every") == 0)
			o.every = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--seed") == 0)
			o.seed = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--at") == 0)
			o.at = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--workload") == 0)
			o.workload = argv[i + 1];
	}
	return o;
}

int main(int argc, char **argv)
{
	static struct totals totals;
	struct options o = parse(argc, argv);
	uint64_t first = o.seed != 0 ? o.seed : 1, seed = first;
	double begun = seconds_now();

	/* Large buffers come and go with every start: keep their memory. */
	(void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
	log_set_level(LOGLEVEL_ERROR);
	for (bool more = true; more && totals.failed == 0; seed++) {
		for (size_t i = 0; i < workload_count(); i++) {
			if (o.workload == NULL || strcmp(o.workload, workload_name(i)) == 0)
				run_workload(i, seed, &o, &totals);
		}
		more = o.workload == NULL && (totals.distinct.count < o.states || totals.passed < TRACES_MIN) &&
		       seed - first < SEEDS_MAX;
	}
	if (o.workload == NULL)
		totals.failed += missing_kinds(&totals);
	double took = seconds_now() - begun;
	printf("crash: %u traces (seeds %" PRIu64 " to %" PRIu64 "), %" PRIu64 " moments, %" PRIu64 " disks built, %zu distinct, "
	       "%" PRIu64 " recovered, %" PRIu64 " of them gone on from, %" PRIu64 " without snapshot or index; %.1f s, %.0f distinct/s\n",
	       totals.passed + totals.failed, first, seed - 1, totals.moments, totals.built, totals.distinct.count,
	       totals.recovered, totals.continued, totals.other_ways, took, (double)totals.distinct.count / took);
	printf("%u passed, %u failed\n", totals.passed, totals.failed);
	u64_map_free(&totals.distinct);
	return totals.failed == 0 ? 0 : 1;
}
