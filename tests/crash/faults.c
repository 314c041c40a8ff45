/* The k-th operation fails, for k = 1, 2, ... until none is left to fail, over two lives of a broker that write every record
 * kind, roll a segment, stop and recover:
 *
 *   writes, syncs, creations, renames, removals   with EIO, with ENOSPC, with a write that stops half-way; once, or for ever
 *   reads;  opens, sizes and listings             with EIO
 *   allocations                                   once, or for ever
 *
 * Whatever fails: there is an error with a text, or the request is refused; no crash, no leak; after a failure of a file
 * with records nothing more is synced or acknowledged; and a later start, with or without a power cut in between, works and
 * has everything that was acknowledged, and nothing that the records do not say (tests/crash/ledger.h).
 *
 * Usage: faults [--only CLASS] [--k N] */
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/logging.h"
#include "lib/log/kinds.h"
#include "tests/crash/alloc_faults.h"
#include "tests/crash/script.h"
#include "tests/crash/workload.h"
#include "tests/support/memdisk.h"

enum { WHY_SIZE = 800, TOLD_MAX = 10 };

enum fault_class { FAULT_CHANGE, FAULT_READ, FAULT_LOOK, FAULT_ALLOC };

static const struct fault {
	const char *name;
	enum fault_class class;
	enum memdisk_fault how;
	bool sticky;
} faults[] = {
	{ "EIO", FAULT_CHANGE, MEMDISK_EIO, false },
	{ "EIO-for-ever", FAULT_CHANGE, MEMDISK_EIO, true },
	{ "ENOSPC", FAULT_CHANGE, MEMDISK_ENOSPC, false },
	{ "ENOSPC-for-ever", FAULT_CHANGE, MEMDISK_ENOSPC, true },
	{ "short-write", FAULT_CHANGE, MEMDISK_SHORT_WRITE, false },
	{ "read", FAULT_READ, MEMDISK_EIO, false },
	{ "look", FAULT_LOOK, MEMDISK_EIO, false },
	{ "memory", FAULT_ALLOC, MEMDISK_EIO, false },
	{ "memory-for-ever", FAULT_ALLOC, MEMDISK_EIO, true },
};

/* One run: two lives with one fault somewhere in them. */
struct trial {
	const struct fault *fault;
	uint64_t k;
	bool power_cut;        /* Between the lives, and after the failure. */
	struct memdisk *disk;
	struct rig rig;
	struct ledger *ledger;
	struct script script;
	bool struck, over;     /* over: the process in which it struck is gone. */
	uint64_t gone;         /* What lies below may have been given up. */
	uint64_t resumed;      /* The countdown while the fault is held. */
	char why[WHY_SIZE];
};

static struct trial *running; /* For the last words. */
static uint64_t failed, places;
static unsigned passed; /* Sweeps without a failure. */

static bool say(struct trial *t, const char *step, const char *why)
{
	if (t->why[0] == '\0')
		snprintf(t->why, sizeof(t->why), "%s: %s", step, why);
	return false;
}

/* --- the fault ------------------------------------------------------------------------------------------- */

static void arm(struct trial *t, uint64_t countdown)
{
	switch (t->fault->class) {
	case FAULT_CHANGE: memdisk_fail(t->disk, countdown, t->fault->how, t->fault->sticky); break;
	case FAULT_READ: memdisk_fail_reads(t->disk, countdown); break;
	case FAULT_LOOK: memdisk_fail_looks(t->disk, countdown); break;
	case FAULT_ALLOC: alloc_faults_arm(countdown, t->fault->sticky); break;
	}
}

static bool struck(struct trial *t)
{
	t->struck = t->struck || (t->fault->class == FAULT_ALLOC ? alloc_faults_struck() : memdisk_fault_struck(t->disk));
	return t->struck;
}

/* Nothing fails until resume_fault. */
static void hold_fault(struct trial *t)
{
	t->resumed = t->fault->class == FAULT_ALLOC ? alloc_faults_left() : memdisk_fault_left(t->disk);
	if (struck(t))
		t->resumed = t->fault->sticky && !t->over;
	arm(t, 0);
}

static void resume_fault(struct trial *t)
{
	arm(t, t->resumed);
}

/* Something failed: it must be our fault, and say so. */
static bool is_ours(struct trial *t, const char *step, enum status status, const char *text)
{
	bool memory = t->fault->class == FAULT_ALLOC;

	if (!struck(t) || text[0] == '\0')
		return say(t, step, text[0] == '\0' ? "it fails without a word" : text);
	if (memory ? status != ST_NOMEM : status != ST_IO && status != ST_FULL)
		return say(t, step, text);
	return memory || strstr(text, "injected") != NULL || say(t, step, text);
}

/* --- starts and stops ---------------------------------------------------------------------------------------- */

static void on_sealed(void *context, uint64_t from, uint64_t to)
{
	struct trial *t = context;

	alloc_faults_pause(true);
	workload_capture(t->rig.log, t->ledger, from, to);
	alloc_faults_pause(false);
}

/* What is there must be a prefix of the records, with all that was acknowledged. */
static bool judge(struct trial *t, const char *step)
{
	size_t promised = ledger_count_until(t->ledger, t->script.told), count = 0;
	char why[LEDGER_WHY_SIZE] = "";

	for (size_t i = 0; i < t->script.claim_count; i++) {
		const struct ledger_claim *claim = &t->script.claims[i];
		if (claim->wait_offset <= t->script.told && !ledger_holds(t->ledger, claim))
			return say(t, step, "no record says what was acknowledged");
	}
	if (!ledger_match(t->ledger, t->rig.log, 0, &count, why) || !ledger_check(t->ledger, count, t->gone, t->rig.core, why))
		return say(t, step, why);
	if (count < promised)
		return say(t, step, "what was acknowledged is gone");
	struct ledger *kept = ledger_fork(t->ledger, count);
	ledger_destroy(t->ledger);
	t->ledger = kept;
	return true;
}

/* The process is gone, and the fault with it. */
static void after_the_end(struct trial *t)
{
	t->over = struck(t);
	arm(t, 0);
	if (t->power_cut)
		memdisk_crash(t->disk, t->k);
	else
		memdisk_kill(t->disk);
}

/* A start; if the fault prevents it, a second one without. Everything told so far is there. */
static bool start(struct trial *t, const char *step)
{
	struct errinfo err = { ST_OK, "" };
	enum status status = rig_start(&t->rig, &err);

	if (status != ST_OK) {
		if (!is_ours(t, step, status, err.text))
			return false;
		after_the_end(t);
		if (rig_start(&t->rig, &err) != ST_OK)
			return say(t, "start after a start that failed", err.text);
	}
	hold_fault(t);
	bool good = judge(t, step);
	resume_fault(t);
	return good;
}

/* It may have been a file without records. */
static bool died_without_the_log(struct trial *t)
{
	if (t->rig.died_of == RIG_FLUSH_DONE)
		return say(t, "failed flush", "the log has not failed");
	if (t->rig.died_of != RIG_PREPARE_DONE || t->rig.prepare.what != LOG_PREPARE_FILL)
		return true;
	return say(t, "failed filling", "the log has not failed");
}

/* After the log has failed: no record, no sync, no answer, ever. */
static bool stays_failed(struct trial *t)
{
	uint64_t durable = commitlog_durable(t->rig.log), syncs = memdisk_stats(t->disk).sync_count, offset;
	struct log_flush_job job;

	if (!commitlog_failed(t->rig.log, NULL))
		return died_without_the_log(t);
	if (commitlog_begin(t->rig.log, LOG_MESSAGE, 8, &offset) != NULL || commitlog_take_flush(t->rig.log, true, &job) ||
	    commitlog_durable(t->rig.log) != durable || memdisk_stats(t->disk).sync_count != syncs)
		return say(t, "failed log", "it goes on");
	return t->script.told <= durable || say(t, "failed log", "more was acknowledged than is durable");
}

/* Ends a life: as planned, or as the failure wants it. */
static bool stop(struct trial *t, bool clean)
{
	uint64_t syncs = memdisk_stats(t->disk).sync_count;
	bool good = true, dead = t->rig.dead;
	struct errinfo err = { ST_OK, "" };

	if (rig_expired(&t->rig) > t->gone)
		t->gone = rig_expired(&t->rig);
	if (dead)
		good = is_ours(t, "the broker stopped", t->rig.failure.code, t->rig.failure.text) && stays_failed(t);
	enum status status = rig_stop(&t->rig, clean && !dead, &err);
	if (status != ST_OK)
		good = is_ours(t, "stop", status, err.text) && good;
	if (dead && memdisk_stats(t->disk).sync_count != syncs)
		good = say(t, "failed log", "something is synced on the way out");
	script_process_ended(&t->script);
	if (struck(t))
		after_the_end(t);
	return good;
}

/* --- a trial ---------------------------------------------------------------------------------------------------- */

/* Leaves a write that no sync has covered, and the power goes. */
static bool cut_in_mid_write(struct trial *t)
{
	struct rig_message message = { .topic = "t", .key = "CUT", .group = "g", .body_size = 900 };

	if (!t->rig.dead && rig_send(&t->rig, &message).status == ST_OK) {
		(void)rig_disk_step(&t->rig, RIG_FLUSH_TAKE, false);
		(void)rig_disk_step(&t->rig, RIG_FLUSH_RUN, false);
		(void)rig_disk_step(&t->rig, RIG_FLUSH_DONE, false);
	}
	if (!stop(t, false))
		return false;
	if (t->struck)
		return true; /* The power has gone already. */
	hold_fault(t);
	memdisk_crash(t->disk, 12345);
	resume_fault(t);
	return true;
}

static bool live(struct trial *t)
{
	if (!start(t, "first start"))
		return false;
	script_first_life(&t->script);
	script_long_life(&t->script);
	script_wide_life(&t->script);
	if (!(t->power_cut ? cut_in_mid_write(t) : stop(t, true)))
		return false;
	if (!start(t, "second start"))
		return false;
	script_second_life(&t->script);
	if (!stop(t, true))
		return false;
	/* Whatever it was, it is over now. */
	t->over = struck(t);
	arm(t, 0);
	if (!start(t, "last start"))
		return false;
	struct rig_answer answer = rig_send(&t->rig, &(struct rig_message){ .topic = "t", .key = "LAST", .group = "g", .body_size = 9 });
	if (answer.status != ST_OK || !rig_settle(&t->rig) || rig_committed(&t->rig) < answer.wait_offset)
		return say(t, "going on", answer.text);
	return stop(t, true);
}

/* Without any fault the lives must be what they are meant to be: else much is never broken. */
static bool was_whole(struct trial *t)
{
	static const unsigned wanted[] = { LOG_MESSAGE, LOG_HALF, LOG_DECISION, LOG_CONFLICT, LOG_DELIVER,
					   LOG_TIMER_CANCEL, LOG_CHECK, LOG_OFFSETS, LOG_POP,
					   LOG_TOPIC, LOG_GROUP, LOG_CARRY, LOG_SNAPSHOT_MARK };
	uint64_t kinds[LOG_KIND_END] = { 0 }, outcomes[5] = { 0 };

	ledger_count_kinds(t->ledger, kinds, outcomes);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (kinds[wanted[i]] == 0)
			return say(t, "the lives without a fault have no record of this kind", log_kind_text(wanted[i]));
	}
	/* The contradiction is refused, and nothing else. */
	return t->script.refused == 1 || say(t, "the lives without a fault", "a request was refused");
}

/* True while k is not beyond the last operation. */
static bool run_trial(const struct fault *fault, uint64_t k, bool power_cut)
{
	static struct trial t; /* Large. */
	struct rig_options options = { .retention_bytes = LOG_SEGMENT_SIZE_MIN };
	int64_t before = alloc_faults_live();

	memset(&t, 0, sizeof(t));
	t.fault = fault;
	t.k = k;
	t.power_cut = power_cut;
	t.disk = memdisk_create();
	t.ledger = ledger_create();
	t.script.rig = &t.rig;
	rig_init(&t.rig, &options, memdisk_vfs(t.disk));
	t.rig.sealed = on_sealed;
	t.rig.sealed_context = &t;
	running = &t;
	arm(&t, k);
	bool good = live(&t);
	if (good && !t.struck)
		good = was_whole(&t);
	arm(&t, 0);
	rig_deinit(&t.rig);
	ledger_destroy(t.ledger);
	memdisk_destroy(t.disk);
	if (good && alloc_faults_live() != before)
		good = say(&t, "leak", "some memory is not freed");
	running = NULL;
	if (!good && failed++ < TOLD_MAX)
		printf("faults: FAILED: %s, the %" PRIu64 "th%s: %s\n", fault->name, k, power_cut ? ", with power cuts" : "", t.why);
	return t.struck;
}

static void last_words(void)
{
	if (running != NULL)
		fprintf(stderr, "faults: the program ends at %s, the %" PRIu64 "th%s\n", running->fault->name, running->k,
			running->power_cut ? ", with power cuts" : "");
}

static void on_abort(int number)
{
	last_words();
	signal(number, SIG_DFL);
	raise(number);
}

static void run_fault(const struct fault *fault, bool power_cut, uint64_t only_k)
{
	uint64_t k = only_k != 0 ? only_k : 1, before = failed;

	while (run_trial(fault, k, power_cut) && only_k == 0)
		k++;
	passed += failed == before;
	places += k - 1;
	printf("faults: %s%s: %" PRIu64 " places\n", fault->name, power_cut ? ", with power cuts" : "", k - 1);
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	uint64_t only_k = 0;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--only") == 0)
			only = argv[i + 1];
		if (strcmp(argv[i], "--k") == 0)
			only_k = strtoull(argv[i + 1], NULL, 0);
	}
	(void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	log_set_level(LOGLEVEL_ERROR);
	signal(SIGABRT, on_abort);
	(void)atexit(last_words);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		if (only != NULL && strcmp(only, faults[i].name) != 0)
			continue;
		run_fault(&faults[i], false, only_k);
		run_fault(&faults[i], true, only_k);
	}
	printf("faults: %" PRIu64 " places in all\n", places);
	printf("%u passed, %" PRIu64 " failed\n", passed, failed);
	return failed == 0 ? 0 : 1;
}
