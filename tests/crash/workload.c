/* See workload.h. */
#include "tests/crash/workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log/kinds.h"
#include "lib/wire/codes.h"
#include "tests/support/check.h"
#include "tests/support/memdisk.h"

enum { ITEMS_MAX = 512, CLAIMS_MAX = 2048, GIVEN_MAX = 64, SCRATCH_SIZE = 128 * 1024, TRIES = 3 };

enum op {
	OP_MESSAGE, OP_HALF, OP_DELAYED, OP_DELAYED_HALF, OP_TIMER, OP_RECALL, OP_RESEND, OP_COMMIT, OP_ROLLBACK, OP_UNKNOWN,
	OP_OPPOSITE, OP_OPERATOR, OP_ANSWER, OP_PRODUCER, OP_OFFSET, OP_OFFSET_ONEWAY, OP_TOPIC, OP_GROUP, OP_TICK, OP_WAIT,
	OP_POP, OP_POP_ORDER, OP_ACK, OP_INVISIBLE, OP_POP_BACK, OP_POP_MODE,
	OP_FLUSH, OP_WRITE, OP_RUN, OP_DONE, OP_PREPARE, OP_PREPARE_RUN, OP_PREPARE_DONE, OP_SETTLE,
	OP_SNAPSHOT, OP_SNAPSHOT_TAKE, OP_SNAPSHOT_RUN, OP_SNAPSHOT_DONE, OP_INDEX,
	OP_KILL, OP_CUT, OP_STOP, OP_LOSE_SYNC, OP_SHORT_WRITE, OP_COUNT,
};

struct workload {
	const char *name;
	unsigned ops;             /* How many. */
	size_t body_max;
	struct rig_options options;
	uint8_t weight[OP_COUNT];
};

#define DISK_STEPS [OP_FLUSH] = 10, [OP_RUN] = 8, [OP_DONE] = 8, [OP_PREPARE] = 3, [OP_PREPARE_RUN] = 3, \
		   [OP_PREPARE_DONE] = 3, [OP_SETTLE] = 2, [OP_TICK] = 4
#define SNAPSHOT_STEPS [OP_SNAPSHOT_TAKE] = 10, [OP_SNAPSHOT_RUN] = 6, [OP_SNAPSHOT_DONE] = 6, [OP_INDEX] = 4
#define TRANSACTIONS [OP_HALF] = 14, [OP_COMMIT] = 8, [OP_ROLLBACK] = 4
#define POPPING [OP_POP] = 5, [OP_POP_ORDER] = 4, [OP_ACK] = 7, [OP_INVISIBLE] = 3, [OP_POP_BACK] = 1, [OP_POP_MODE] = 1
#define EVERYTHING TRANSACTIONS, [OP_MESSAGE] = 8, [OP_DELAYED] = 3, [OP_DELAYED_HALF] = 3, [OP_RESEND] = 3,         \
		   [OP_TIMER] = 3, [OP_RECALL] = 2, [OP_UNKNOWN] = 2, [OP_OPPOSITE] = 3, [OP_OPERATOR] = 4, [OP_ANSWER] = 6, [OP_PRODUCER] = 3,       \
		   [OP_OFFSET] = 4, [OP_OFFSET_ONEWAY] = 2, [OP_TOPIC] = 2, [OP_GROUP] = 2, [OP_WAIT] = 3

static const struct workload workloads[] = {
	{ "first-start", 12, 100, { 0 }, { [OP_MESSAGE] = 5, [OP_HALF] = 5, DISK_STEPS } },
	{ "messages", 120, 400, { 0 }, { [OP_MESSAGE] = 20, DISK_STEPS } },
	{ "transactions", 160, 300, { 0 }, { TRANSACTIONS, [OP_RESEND] = 3, [OP_OPPOSITE] = 4, DISK_STEPS } },
	{ "check-back", 200, 200, { 0 },
	  { [OP_HALF] = 10, [OP_PRODUCER] = 4, [OP_ANSWER] = 12, [OP_WAIT] = 12, [OP_OPERATOR] = 4, [OP_COMMIT] = 2, DISK_STEPS } },
	{ "delays", 160, 200, { 0 },
	  { [OP_DELAYED] = 10, [OP_DELAYED_HALF] = 8, [OP_TIMER] = 8, [OP_RECALL] = 5, [OP_MESSAGE] = 3, [OP_COMMIT] = 8, [OP_WAIT] = 8, DISK_STEPS } },
	{ "settings", 120, 100, { 0 },
	  { [OP_MESSAGE] = 5, [OP_OFFSET] = 10, [OP_OFFSET_ONEWAY] = 6, [OP_TOPIC] = 6, [OP_GROUP] = 6, [OP_WAIT] = 4, DISK_STEPS } },
	{ "pops", 260, 200, { 0 },
	  { [OP_MESSAGE] = 20, [OP_GROUP] = 1, [OP_WAIT] = 3, [OP_POP] = 10, [OP_POP_ORDER] = 10, [OP_ACK] = 14, [OP_INVISIBLE] = 6,
	    [OP_POP_BACK] = 1, [OP_POP_MODE] = 3, DISK_STEPS, SNAPSHOT_STEPS, [OP_SNAPSHOT] = 3, [OP_CUT] = 2 } },
	{ "rolls", 160, 9000, { 0 }, { [OP_MESSAGE] = 10, TRANSACTIONS, DISK_STEPS } },
	{ "kills", 220, 1500, { 0 }, { EVERYTHING, POPPING, DISK_STEPS, [OP_KILL] = 6 } },
	{ "power-cuts", 220, 1500, { 0 }, { EVERYTHING, POPPING, DISK_STEPS, [OP_CUT] = 6 } },
	{ "clean-stops", 200, 1500, { 0 }, { EVERYTHING, POPPING, DISK_STEPS, [OP_STOP] = 6 } },
	{ "unsynced", 160, 900, { .async_flush = true },
	  { EVERYTHING, POPPING, [OP_WRITE] = 14, [OP_FLUSH] = 2, [OP_RUN] = 14, [OP_DONE] = 14, [OP_PREPARE] = 3, [OP_PREPARE_RUN] = 3,
	    [OP_PREPARE_DONE] = 3, [OP_TICK] = 4, [OP_KILL] = 1, [OP_CUT] = 1 } },
	{ "unsynced-rolls", 220, 14000, { .async_flush = true, .ring_size = 512 * 1024 },
	  { [OP_MESSAGE] = 30, [OP_HALF] = 4, [OP_COMMIT] = 2, [OP_WRITE] = 16, [OP_RUN] = 16, [OP_DONE] = 16, [OP_PREPARE] = 12,
	    [OP_PREPARE_RUN] = 12, [OP_PREPARE_DONE] = 12, [OP_CUT] = 1 } },
	{ "failed-syncs", 220, 1200, { 0 }, { EVERYTHING, POPPING, DISK_STEPS, [OP_LOSE_SYNC] = 6, [OP_SHORT_WRITE] = 3 } },
	{ "snapshots", 220, 600, { 0 },
	  { EVERYTHING, POPPING, DISK_STEPS, SNAPSHOT_STEPS, [OP_SNAPSHOT] = 4, [OP_KILL] = 2, [OP_CUT] = 2, [OP_STOP] = 1 } },
	{ "retention", 260, 9000, { .retention_bytes = 64 * 1024, .snapshot_bytes = 30 * 1024 },
	  { TRANSACTIONS, [OP_MESSAGE] = 8, [OP_DELAYED] = 2, [OP_OPERATOR] = 2, [OP_WAIT] = 1, DISK_STEPS, SNAPSHOT_STEPS } },
	{ "retention-races", 500, 9000, { .retention_bytes = 64 * 1024, .snapshot_bytes = 20 * 1024 },
	  { [OP_MESSAGE] = 14, [OP_HALF] = 4, [OP_COMMIT] = 5, [OP_ROLLBACK] = 3, [OP_DELAYED] = 1, [OP_TICK] = 18, [OP_WAIT] = 1,
	    [OP_WRITE] = 4, [OP_FLUSH] = 4, [OP_RUN] = 8, [OP_DONE] = 8, [OP_PREPARE] = 12, [OP_PREPARE_RUN] = 12,
	    [OP_PREPARE_DONE] = 12, SNAPSHOT_STEPS, [OP_CUT] = 1 } },
	{ "retention-restarts", 300, 7000, { .retention_bytes = 64 * 1024, .snapshot_bytes = 30 * 1024 },
	  { EVERYTHING, POPPING, DISK_STEPS, SNAPSHOT_STEPS, [OP_KILL] = 2, [OP_CUT] = 2, [OP_STOP] = 1,
	    [OP_LOSE_SYNC] = 1 } },
	{ "everything", 260, 4000, { .segment_size = 128 * 1024 },
	  { EVERYTHING, POPPING, DISK_STEPS, [OP_WRITE] = 3, [OP_KILL] = 2, [OP_CUT] = 2, [OP_STOP] = 1, [OP_LOSE_SYNC] = 1 } },
};

static const char *const topics[] = { "orders", "payments" }, *const groups[] = { "shop", "bank" },
		  *const readers[] = { "readers-a", "readers-b" }, *const poppers[] = { "poppers", "poppers-in-order" };

struct item { /* A message or half that was sent. */
	char key[40];
	bool half, answered, acked, decided;
	unsigned group, topic;
	int delay_level;
	int64_t timer_ms, recall_at_ms; /* 0: no timer. */
	size_t body_size;
	uint64_t log_offset, queue_offset;
	enum record_outcome outcome; /* Once decided. */
};

struct claim {
	struct ledger_claim claim;
	size_t item; /* SIZE_MAX: none. */
	bool due;
};

struct play {
	const struct workload *w;
	struct recording *recording;
	struct memdisk *disk;
	struct rig rig;
	uint64_t random, noted, gone, noted_gone;
	struct item items[ITEMS_MAX];
	size_t item_count;
	struct claim claims[CLAIMS_MAX];
	size_t claim_count;
	struct rig_handle given[GIVEN_MAX]; /* Over restarts, as clients keep them. */
	size_t given_count;
	uint64_t next_conn;
	uint64_t producers[2];
};

static _Noreturn void broken(const struct play *p, const char *what, const char *why)
{
	fprintf(stderr, "workload %s, seed %" PRIu64 ": %s: %s\n", p->w->name, p->recording->seed, what, why);
	exit(1);
}

static uint64_t chance(struct play *p, uint64_t n)
{
	return check_random(&p->random) % n;
}

static struct ledger *current(const struct play *p)
{
	return p->recording->ledgers[p->recording->life_count - 1];
}

/* --- records and promises ------------------------------------------------------------------------------------ */

/* Where the next record is, after one that ends here. */
static uint64_t next_record(const struct commitlog *log, uint64_t end)
{
	for (size_t i = 0; i < commitlog_segment_count(log); i++) {
		struct log_segment_range segment = commitlog_segment(log, i);
		if (end > segment.base && end <= segment.end && segment.end - end < LOG_ENVELOPE_SIZE)
			return segment.end + LOG_SEGMENT_HEADER_SIZE;
	}
	return end;
}

void workload_capture(const struct commitlog *log, struct ledger *ledger, uint64_t from, uint64_t to)
{
	static uint8_t scratch[SCRATCH_SIZE];

	ledger_note_start(ledger, commitlog_start(log));
	for (uint64_t offset = next_record(log, from); offset < to;) {
		char why[LEDGER_WHY_SIZE];
		struct log_record record;
		struct errinfo err;
		uint32_t size;

		if (commitlog_record(log, offset, scratch, sizeof(scratch), &record, &size, &err) != ST_OK) {
			fprintf(stderr, "capture at %" PRIu64 ": %s\n", offset, err.text);
			exit(1);
		}
		if (!ledger_add(ledger, &record, why)) {
			fprintf(stderr, "capture: %s\n", why);
			exit(1);
		}
		offset = next_record(log, offset + record.size);
	}
}

static void on_sealed(void *context, uint64_t from, uint64_t to)
{
	struct play *p = context;

	workload_capture(p->rig.log, current(p), from, to);
}

/* Answers leave as the core says; from here on they are promises. With async flush they are none to a power cut: there,
 * what is durable is. */
static void note_promises(struct play *p)
{
	uint64_t promised = p->w->options.async_flush ? commitlog_durable(p->rig.log) : rig_committed(&p->rig);

	if (commitlog_start(p->rig.log) > LOG_SEGMENT_HEADER_SIZE && rig_expired(&p->rig) > p->gone)
		p->gone = p->noted_gone = rig_expired(&p->rig);
	if (promised == p->noted && p->noted_gone == 0)
		return;
	p->noted = promised;
	p->noted_gone = 0;
	for (size_t i = 0; i < p->claim_count; i++) {
		struct claim *c = &p->claims[i];
		if (c->due || c->claim.wait_offset > promised)
			continue;
		c->due = true;
		if (c->item != SIZE_MAX)
			p->items[c->item].acked = true;
		if (!ledger_holds(current(p), &c->claim))
			broken(p, "acknowledged, but no record says so", c->claim.key);
	}
	disk_trace_note(p->recording->trace, (struct trace_note){ (uint32_t)p->recording->life_count - 1, promised, p->gone });
}

static void claim(struct play *p, const struct rig_answer *answer, struct ledger_claim claim, size_t item)
{
	if (answer->wait_offset == 0 || p->claim_count == CLAIMS_MAX)
		return;
	claim.wait_offset = answer->wait_offset;
	p->claims[p->claim_count++] = (struct claim){ claim, item, false };
	/* It may rest on something old. */
	if (answer->wait_offset <= p->noted) {
		p->claims[p->claim_count - 1].due = true;
		if (item != SIZE_MAX)
			p->items[item].acked = true;
		if (!ledger_holds(current(p), &p->claims[p->claim_count - 1].claim))
			broken(p, "acknowledged at once, but no record says so", claim.key);
	}
}

/* What was not acknowledged may be gone. */
static void forget_open_claims(struct play *p)
{
	size_t kept = 0, known = 0;

	for (size_t i = 0; i < p->given_count; i++) {
		if (p->given[i].wait_offset <= p->noted)
			p->given[known++] = p->given[i];
	}
	p->given_count = known;

	for (size_t i = 0; i < p->claim_count; i++) {
		if (p->claims[i].due)
			p->claims[kept++] = p->claims[i];
	}
	p->claim_count = kept;
	for (size_t i = 0; i < p->item_count; i++)
		p->items[i].answered = p->items[i].acked;
}

/* --- starts and stops ------------------------------------------------------------------------------------------ */

static void start(struct play *p)
{
	struct recording *r = p->recording;
	char why[LEDGER_WHY_SIZE] = "";
	struct errinfo err;
	size_t count;

	disk_trace_note(r->trace, (struct trace_note){ (uint32_t)r->life_count, p->noted, p->gone });
	if (rig_start(&p->rig, &err) != ST_OK)
		broken(p, "start", err.text);
	if (!ledger_match(current(p), p->rig.log, 0, &count, why) || !ledger_check(current(p), count, p->gone, p->rig.core, why))
		broken(p, "restart", why);
	if (count < ledger_count_until(current(p), p->noted))
		broken(p, "restart", "what was acknowledged is gone");
	r->ledgers = realloc(r->ledgers, (r->life_count + 1) * sizeof(struct ledger *));
	if (r->ledgers == NULL)
		abort();
	r->ledgers[r->life_count] = ledger_fork(r->ledgers[r->life_count - 1], count);
	r->life_count++;
	forget_open_claims(p);
	p->noted = 0;
	note_promises(p);
	memset(p->producers, 0, sizeof(p->producers));
}

static void stop(struct play *p, bool clean)
{
	struct errinfo err;

	if (clean)
		(void)rig_settle(&p->rig);
	if (rig_stop(&p->rig, clean, &err) != ST_OK)
		broken(p, "stop", err.text);
}

static void kill_and_start(struct play *p)
{
	stop(p, false);
	memdisk_kill(p->disk);
	memdisk_fail(p->disk, 0, MEMDISK_EIO, false);
	start(p);
}

static void cut_and_start(struct play *p)
{
	stop(p, false);
	memdisk_crash(p->disk, chance(p, UINT32_MAX));
	start(p);
}

/* --- requests ---------------------------------------------------------------------------------------------------- */

static struct rig_answer send_item(struct play *p, size_t index)
{
	struct item *item = &p->items[index];
	struct rig_message message = { .topic = topics[item->topic], .key = item->key, .group = groups[item->group],
				       .queue_id = (int32_t)(index % 2), .delay_level = item->delay_level, .timer_ms = item->timer_ms,
				       .half = item->half, .body_size = item->body_size, .conn_id = p->producers[item->group] };
	struct rig_answer answer = rig_send(&p->rig, &message);

	for (int i = 0; answer.status == ST_AGAIN && i < TRIES && rig_settle(&p->rig); i++) {
		note_promises(p);
		answer = rig_send(&p->rig, &message);
	}
	if (answer.status != ST_OK)
		return answer;
	item->answered = true;
	item->log_offset = answer.log_offset;
	item->queue_offset = answer.queue_offset;
	item->recall_at_ms = answer.recall_at_ms;
	struct ledger_claim what = { .kind = item->half ? CLAIM_HALF : CLAIM_MESSAGE, .log_offset = answer.log_offset };
	snprintf(what.key, sizeof(what.key), "%s", item->key);
	claim(p, &answer, what, index);
	return answer;
}

enum delay_kind { NO_DELAY, BY_LEVEL, BY_TIMER };

static void op_send(struct play *p, bool half, enum delay_kind delay)
{
	if (p->item_count == ITEMS_MAX)
		return;
	struct item *item = &p->items[p->item_count];

	*item = (struct item){ .half = half, .group = (unsigned)chance(p, 2), .topic = (unsigned)chance(p, 2),
			       .delay_level = delay == BY_LEVEL ? 1 + (int)chance(p, 2) : 0,
			       .timer_ms = delay == BY_TIMER ? 1200 + (int64_t)chance(p, 4000) : 0, .body_size = 10 + chance(p, p->w->body_max) };
	snprintf(item->key, sizeof(item->key), "%08" PRIX64 "%08zX", p->recording->seed, p->item_count);
	(void)send_item(p, p->item_count++);
}

/* A timer that was acknowledged, due or not, is taken back: what was still waiting for it has a record then. */
static void op_recall(struct play *p)
{
	for (int i = 0; i < 20 && p->item_count > 0; i++) {
		size_t index = p->item_count - 1 - chance(p, p->item_count);
		const struct item *item = &p->items[index];
		struct ledger_claim what = { .kind = CLAIM_RECALL, .log_offset = item->log_offset };

		if (item->recall_at_ms == 0 || !item->acked)
			continue;
		struct rig_answer answer = rig_recall(&p->rig, topics[item->topic], item->key, item->recall_at_ms);
		snprintf(what.key, sizeof(what.key), "%s", item->key);
		if (answer.status == ST_OK && answer.recalled > 0)
			claim(p, &answer, what, SIZE_MAX);
		else if (answer.status != ST_OK && answer.status != ST_AGAIN)
			broken(p, "a recall is refused", answer.text);
		return;
	}
}

/* A half, mostly a recent one, with what is wanted of it; SIZE_MAX when chance finds none. */
static size_t find_half(struct play *p, bool decided)
{
	for (int i = 0; i < 20 && p->item_count > 0; i++) {
		size_t back = chance(p, p->item_count < 16 ? p->item_count : 16);
		size_t index = p->item_count - 1 - back;
		if (p->items[index].half && p->items[index].acked && p->items[index].decided == decided)
			return index;
	}
	return SIZE_MAX;
}

static void claim_decision(struct play *p, size_t index, enum record_outcome outcome, const struct rig_answer *answer)
{
	struct item *item = &p->items[index];
	struct ledger_claim what = { .kind = CLAIM_DECISION, .log_offset = item->log_offset, .outcome = outcome };

	snprintf(what.key, sizeof(what.key), "%s", item->key);
	if (outcome == OUTCOME_COMMIT || outcome == OUTCOME_ROLLBACK) {
		item->decided = true;
		item->outcome = outcome;
	}
	if (answer->wait_offset < LOG_SEGMENT_HEADER_SIZE)
		return; /* "Resumed already", of one that was never parked: it rests on nothing. */
	claim(p, answer, what, SIZE_MAX);
}

static void end_item(struct play *p, size_t index, enum record_outcome outcome, bool from_check)
{
	const struct item *item = &p->items[index];
	struct rig_end end = { .group = groups[item->group], .half_queue_offset = item->queue_offset,
			       .half_offset = item->log_offset, .outcome = outcome, .from_check = from_check,
			       .conn_id = p->producers[item->group] };
	struct rig_answer answer = rig_end(&p->rig, &end);

	for (int i = 0; answer.status == ST_AGAIN && i < TRIES && rig_settle(&p->rig); i++) {
		note_promises(p);
		answer = rig_end(&p->rig, &end);
	}
	if (answer.status == ST_OK && outcome != 0)
		claim_decision(p, index, outcome, &answer);
	else if (answer.status != ST_OK && answer.status != ST_AGAIN && answer.code != RESP_ILLEGAL_OPERATION &&
		 !(item->decided && item->log_offset < commitlog_start(p->rig.log))) /* Given up, and forgotten. */
		broken(p, "an acknowledged half is refused", answer.text);
}

static void op_end(struct play *p, enum record_outcome outcome)
{
	size_t index = find_half(p, false);

	if (index != SIZE_MAX)
		end_item(p, index, outcome, false);
}

static void op_opposite(struct play *p)
{
	size_t index = find_half(p, true);

	if (index != SIZE_MAX)
		end_item(p, index, p->items[index].outcome == OUTCOME_COMMIT ? OUTCOME_ROLLBACK : OUTCOME_COMMIT, false);
}

static void op_operator(struct play *p)
{
	static const enum record_outcome words[] = { OUTCOME_PARK, OUTCOME_PARK, OUTCOME_RESUME, OUTCOME_COMMIT, OUTCOME_ROLLBACK };
	enum record_outcome word = words[chance(p, 5)];
	size_t index = find_half(p, false);

	if (index == SIZE_MAX)
		return;
	struct rig_answer answer = rig_operator(&p->rig, p->items[index].log_offset, word);
	if (answer.status == ST_OK)
		claim_decision(p, index, word, &answer);
	else if (answer.status != ST_AGAIN && answer.code != RESP_ILLEGAL_OPERATION)
		broken(p, "the operator is refused", answer.text);
}

static void op_resend(struct play *p)
{
	for (int i = 0; i < 20 && p->item_count > 0; i++) {
		size_t index = p->item_count - 1 - chance(p, p->item_count);
		if (p->items[index].half && !p->items[index].decided) {
			(void)send_item(p, index);
			return;
		}
	}
}

/* A producer answers what it was asked: the truth, unknown, or not at all. */
static void op_answer(struct play *p)
{
	if (p->rig.ask_count == 0)
		return;
	struct rig_ask ask = p->rig.asks[--p->rig.ask_count];

	for (size_t i = 0; i < p->item_count; i++) {
		if (!p->items[i].half || !p->items[i].acked || p->items[i].log_offset != ask.half_offset)
			continue;
		if (chance(p, 3) == 0)
			end_item(p, i, chance(p, 2) == 0 ? OUTCOME_COMMIT : OUTCOME_ROLLBACK, true);
		else
			end_item(p, i, 0, true);
		return;
	}
}

static void op_producer(struct play *p)
{
	unsigned group = (unsigned)chance(p, 2);

	if (p->producers[group] == 0)
		p->producers[group] = ++p->next_conn;
	(void)rig_producer(&p->rig, groups[group], p->producers[group]);
}

static void op_offset(struct play *p, bool lasting)
{
	struct ledger_claim what = { .kind = CLAIM_OFFSET, .queue_id = (uint32_t)chance(p, 2), .value = (int64_t)chance(p, 1000) };

	snprintf(what.key, sizeof(what.key), "%s", readers[chance(p, 2)]);
	snprintf(what.topic, sizeof(what.topic), "%s", topics[chance(p, 2)]);
	struct rig_answer answer = rig_offset(&p->rig, what.key, what.topic, (int32_t)what.queue_id, what.value, lasting);
	if (answer.status == ST_OK && lasting)
		claim(p, &answer, what, SIZE_MAX);
}

static void op_topic(struct play *p)
{
	struct ledger_claim what = { .kind = CLAIM_TOPIC };

	snprintf(what.key, sizeof(what.key), "topic-%u", (unsigned)chance(p, 6));
	struct rig_answer answer = rig_put_topic(&p->rig, what.key, 1 + (uint32_t)chance(p, 4));
	if (answer.status == ST_OK)
		claim(p, &answer, what, SIZE_MAX);
}

static void op_group(struct play *p)
{
	struct ledger_claim what = { .kind = CLAIM_GROUP };

	unsigned which = (unsigned)chance(p, 4);
	snprintf(what.key, sizeof(what.key), "%s", which < 2 ? readers[which] : poppers[which - 2]);
	struct rig_answer answer = rig_put_group(&p->rig, what.key, (int32_t)chance(p, 20));
	if (answer.status == ST_OK)
		claim(p, &answer, what, SIZE_MAX);
}

/* --- POP ----------------------------------------------------------------------------------------------------------- */

static void claim_pop(struct play *p, const struct rig_answer *answer, const struct rig_handle *handle, enum pop_event event)
{
	struct ledger_claim what = { .kind = CLAIM_POP, .queue_id = (uint32_t)handle->queue_id, .value = handle->offset, .event = event };

	snprintf(what.key, sizeof(what.key), "%s", handle->group);
	snprintf(what.topic, sizeof(what.topic), "%s", handle->topic);
	claim(p, answer, what, SIZE_MAX);
}

static void op_pop(struct play *p, bool order)
{
	struct rig_pop pop = { .group = poppers[order], .topic = topics[chance(p, 2)], .max = 1 + (uint32_t)chance(p, RIG_POPPED_MAX),
			       .invisible_ms = 1000 + (int64_t)chance(p, 30000), .order = order };
	struct rig_handle given[RIG_POPPED_MAX];
	size_t count;
	struct rig_answer answer = rig_pop(&p->rig, &pop, given, &count);

	for (size_t i = 0; i < count; i++) {
		claim_pop(p, &answer, &given[i], order ? POP_ORDERLY : POP_CHECK_OUT);
		size_t place = p->given_count < GIVEN_MAX ? p->given_count++ : chance(p, GIVEN_MAX);
		p->given[place] = given[i];
	}
}

/* One whose answer has left; NULL when chance finds none. */
static struct rig_handle *find_given(struct play *p)
{
	struct rig_handle *handle = p->given_count == 0 ? NULL : &p->given[chance(p, p->given_count)];

	return handle != NULL && handle->wait_offset <= p->noted ? handle : NULL;
}

/* It may have lapsed meanwhile: then it is somebody else's, or done with. */
static void op_ack(struct play *p)
{
	struct rig_handle *handle = find_given(p);

	if (handle == NULL)
		return;
	struct rig_answer answer = rig_ack(&p->rig, handle);
	if (answer.status == ST_OK) {
		claim_pop(p, &answer, handle, POP_ACK);
		*handle = p->given[--p->given_count];
	} else if (answer.status != ST_AGAIN && answer.code != RESP_NO_MESSAGE) {
		broken(p, "an acknowledgement is refused", answer.text);
	}
}

static void op_invisible(struct play *p)
{
	struct rig_handle *handle = find_given(p);

	if (handle == NULL)
		return;
	struct rig_answer answer = rig_change_invisible(&p->rig, handle, 500 + (int64_t)chance(p, 60000));
	if (answer.status == ST_OK)
		claim_pop(p, &answer, handle, POP_CHANGE_INVISIBLE);
	else if (answer.status != ST_AGAIN && answer.code != RESP_NO_MESSAGE)
		broken(p, "another invisible time is refused", answer.text);
}

/* An operator sets a group back: what it has is forgotten, and all from there on comes again. */
static void op_pop_back(struct play *p)
{
	(void)rig_offset(&p->rig, poppers[chance(p, 2)], topics[chance(p, 2)], (int32_t)chance(p, 2), (int64_t)chance(p, 3), true);
}

static void op_pop_mode(struct play *p)
{
	struct rig_handle mode = { .group = poppers[chance(p, 2)], .offset = 1 + (int64_t)chance(p, 4) };

	snprintf(mode.topic, sizeof(mode.topic), "%s", topics[chance(p, 2)]);
	struct rig_answer answer = rig_pop_mode(&p->rig, mode.group, mode.topic, (uint32_t)mode.offset);
	if (answer.status == ST_OK)
		claim_pop(p, &answer, &mode, POP_REQUEST_MODE);
}

/* --- disk ---------------------------------------------------------------------------------------------------------- */

/* Takes a flush job and makes the disk fail in it: at its first sync, or in the middle of its first write. */
static void op_failing_flush(struct play *p, bool short_write)
{
	while (rig_disk_step(&p->rig, RIG_FLUSH_RUN, true) || rig_disk_step(&p->rig, RIG_FLUSH_DONE, true))
		;
	note_promises(p);
	if (!rig_disk_step(&p->rig, RIG_FLUSH_TAKE, true))
		return;
	uint64_t writes = 0;
	for (unsigned i = 0; i < p->rig.flush.part_count; i++)
		writes += p->rig.flush.parts[i].size > 0;
	if (short_write && writes == 0)
		return;
	memdisk_fail(p->disk, short_write ? 1 : writes + 1, short_write ? MEMDISK_SHORT_WRITE : MEMDISK_EIO, false);
	(void)rig_disk_step(&p->rig, RIG_FLUSH_RUN, true);
	(void)rig_disk_step(&p->rig, RIG_FLUSH_DONE, true);
	if (!p->rig.dead)
		broken(p, "a failed flush", "the log goes on");
	kill_and_start(p);
}

static void run_op(struct play *p, enum op op)
{
	switch (op) {
	case OP_MESSAGE: op_send(p, false, NO_DELAY); break;
	case OP_HALF: op_send(p, true, NO_DELAY); break;
	case OP_DELAYED: op_send(p, false, BY_LEVEL); break;
	case OP_DELAYED_HALF: op_send(p, true, BY_LEVEL); break;
	case OP_TIMER: op_send(p, false, BY_TIMER); break;
	case OP_RECALL: op_recall(p); break;
	case OP_RESEND: op_resend(p); break;
	case OP_COMMIT: op_end(p, OUTCOME_COMMIT); break;
	case OP_ROLLBACK: op_end(p, OUTCOME_ROLLBACK); break;
	case OP_UNKNOWN: op_end(p, 0); break;
	case OP_OPPOSITE: op_opposite(p); break;
	case OP_OPERATOR: op_operator(p); break;
	case OP_ANSWER: op_answer(p); break;
	case OP_PRODUCER: op_producer(p); break;
	case OP_OFFSET: op_offset(p, true); break;
	case OP_OFFSET_ONEWAY: op_offset(p, false); break;
	case OP_TOPIC: op_topic(p); break;
	case OP_GROUP: op_group(p); break;
	case OP_POP: op_pop(p, false); break;
	case OP_POP_ORDER: op_pop(p, true); break;
	case OP_ACK: op_ack(p); break;
	case OP_INVISIBLE: op_invisible(p); break;
	case OP_POP_BACK: op_pop_back(p); break;
	case OP_POP_MODE: op_pop_mode(p); break;
	case OP_TICK: rig_advance(&p->rig, 10); break;
	case OP_WAIT: rig_advance(&p->rig, 2000 + (int64_t)chance(p, 40000)); break;
	case OP_FLUSH: (void)rig_disk_step(&p->rig, RIG_FLUSH_TAKE, true); break;
	case OP_WRITE: (void)rig_disk_step(&p->rig, RIG_FLUSH_TAKE, false); break;
	case OP_RUN: (void)rig_disk_step(&p->rig, RIG_FLUSH_RUN, true); break;
	case OP_DONE: (void)rig_disk_step(&p->rig, RIG_FLUSH_DONE, true); break;
	case OP_PREPARE: (void)rig_disk_step(&p->rig, RIG_PREPARE_TAKE, true); break;
	case OP_PREPARE_RUN: (void)rig_disk_step(&p->rig, RIG_PREPARE_RUN, true); break;
	case OP_PREPARE_DONE: (void)rig_disk_step(&p->rig, RIG_PREPARE_DONE, true); break;
	case OP_SETTLE: (void)rig_settle(&p->rig); break;
	case OP_SNAPSHOT: rig_want_snapshot(&p->rig); break;
	case OP_SNAPSHOT_TAKE: (void)rig_disk_step(&p->rig, RIG_SNAPSHOT_TAKE, true); break;
	case OP_SNAPSHOT_RUN: (void)rig_disk_step(&p->rig, RIG_SNAPSHOT_RUN, true); break;
	case OP_SNAPSHOT_DONE: (void)rig_disk_step(&p->rig, RIG_SNAPSHOT_DONE, true); break;
	case OP_INDEX: (void)rig_disk_step(&p->rig, RIG_INDEX, true); break;
	case OP_KILL: kill_and_start(p); break;
	case OP_CUT: cut_and_start(p); break;
	case OP_STOP: stop(p, true); start(p); break;
	case OP_LOSE_SYNC: op_failing_flush(p, false); break;
	case OP_SHORT_WRITE: op_failing_flush(p, true); break;
	case OP_COUNT: break;
	}
	note_promises(p);
}

static enum op choose_op(struct play *p)
{
	uint64_t total = 0, dice;

	for (int i = 0; i < OP_COUNT; i++)
		total += p->w->weight[i];
	dice = chance(p, total);
	for (int i = 0; i < OP_COUNT; i++) {
		if (dice < p->w->weight[i])
			return (enum op)i;
		dice -= p->w->weight[i];
	}
	return OP_COUNT;
}

/* --- recording ------------------------------------------------------------------------------------------------------- */

size_t workload_count(void)
{
	return sizeof(workloads) / sizeof(workloads[0]);
}

const char *workload_name(size_t index)
{
	return workloads[index].name;
}

/* Small rings and large ones, short chunks and whole segments: a seed each. */
static struct rig_options options_of(const struct workload *w, uint64_t seed)
{
	static const uint64_t chunks[] = { 16 * 1024, 8 * 1024, 64 * 1024 }, rings[] = { 64 * 1024, 256 * 1024 };
	struct rig_options options = w->options;

	options.prepare_chunk = chunks[seed % 3];
	if (options.ring_size == 0)
		options.ring_size = rings[seed / 2 % 2];
	return options;
}

struct recording *workload_record(size_t index, uint64_t seed)
{
	struct play *p = calloc(1, sizeof(*p));
	struct recording *r = calloc(1, sizeof(*r));

	if (p == NULL || r == NULL || (r->ledgers = calloc(1, sizeof(struct ledger *))) == NULL)
		abort();
	p->w = &workloads[index];
	p->recording = r;
	p->random = seed * workload_count() + index;
	*r = (struct recording){ .name = p->w->name, .seed = seed, .options = options_of(p->w, seed), .trace = disk_trace_create(),
				 .ledgers = r->ledgers, .life_count = 1 };
	r->ledgers[0] = ledger_create();
	p->disk = memdisk_create();
	memdisk_trace(p->disk, r->trace);
	rig_init(&p->rig, &r->options, memdisk_vfs(p->disk));
	p->rig.sealed = on_sealed;
	p->rig.sealed_context = p;
	start(p);
	for (unsigned i = 0; i < p->w->ops; i++)
		run_op(p, choose_op(p));
	(void)rig_settle(&p->rig);
	note_promises(p);
	rig_deinit(&p->rig);
	memdisk_destroy(p->disk);
	free(p);
	return r;
}

void recording_destroy(struct recording *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->life_count; i++)
		ledger_destroy(r->ledgers[i]);
	free(r->ledgers);
	disk_trace_destroy(r->trace);
	free(r);
}
