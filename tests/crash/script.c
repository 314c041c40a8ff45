/* See script.h. */
#include "tests/crash/script.h"

#include <stdio.h>
#include <string.h>

#include "lib/wire/codes.h"

enum { TRIES = 3, HOUR_MS = 3600 * 1000 };

static const char *const TOPIC = "t", *const GROUP = "g", *const READERS = "r", *const POPPERS = "p";

/* --- promises --------------------------------------------------------------------------------------------- */

/* What a broker does at the end of a turn: work of the disk, then the answers that may leave. */
static void settle(struct script *s)
{
	if (!s->rig->dead)
		(void)rig_settle(s->rig);
	if (!s->rig->dead)
		s->told = rig_committed(s->rig);
}

static void claim(struct script *s, const struct rig_answer *answer, struct ledger_claim claim)
{
	if (answer->status != ST_OK) {
		s->refused++;
		return;
	}
	claim.wait_offset = answer->wait_offset;
	if (answer->wait_offset > LOG_SEGMENT_HEADER_SIZE && s->claim_count < SCRIPT_CLAIMS_MAX)
		s->claims[s->claim_count++] = claim;
}

void script_process_ended(struct script *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->claim_count; i++) {
		if (s->claims[i].wait_offset <= s->told)
			s->claims[kept++] = s->claims[i];
	}
	s->claim_count = kept;
	for (int n = 0; n < SCRIPT_HALVES; n++)
		s->halves[n].acked = s->halves[n].acked && s->halves[n].log_offset < s->told;
}

/* --- requests ----------------------------------------------------------------------------------------------- */

static struct rig_answer send(struct script *s, const struct rig_message *message)
{
	struct rig_answer answer = rig_send(s->rig, message);

	for (int i = 0; answer.status == ST_AGAIN && i < TRIES && !s->rig->dead; i++) {
		settle(s);
		if (!s->rig->dead)
			answer = rig_send(s->rig, message);
	}
	struct ledger_claim what = { .kind = message->half ? CLAIM_HALF : CLAIM_MESSAGE, .log_offset = answer.log_offset };
	snprintf(what.key, sizeof(what.key), "%s", message->key);
	claim(s, &answer, what);
	return answer;
}

static void message(struct script *s, const char *key, int delay_level)
{
	(void)send(s, &(struct rig_message){ .topic = TOPIC, .key = key, .group = GROUP, .delay_level = delay_level, .body_size = 9 });
}

static void half(struct script *s, int n, int delay_level)
{
	char key[16];

	snprintf(key, sizeof(key), "H%d", n);
	struct rig_answer answer = send(s, &(struct rig_message){ .topic = TOPIC, .key = key, .group = GROUP, .half = true,
								 .queue_id = n % 2, .delay_level = delay_level, .body_size = 9,
								 .conn_id = 1 });
	s->halves[n] = (struct script_half){ answer.status == ST_OK, answer.log_offset, answer.queue_offset };
}

static void end(struct script *s, int n, enum record_outcome outcome, bool from_check)
{
	const struct script_half *h = &s->halves[n];
	struct ledger_claim what = { .kind = CLAIM_DECISION, .log_offset = h->log_offset, .outcome = outcome };
	struct rig_end request = { .group = GROUP, .half_queue_offset = h->queue_offset, .half_offset = h->log_offset,
				   .outcome = outcome, .from_check = from_check, .conn_id = 1 };

	if (!h->acked || h->log_offset >= s->told)
		return;
	struct rig_answer answer = rig_end(s->rig, &request);
	for (int i = 0; answer.status == ST_AGAIN && i < TRIES && !s->rig->dead; i++) {
		settle(s);
		if (!s->rig->dead)
			answer = rig_end(s->rig, &request);
	}
	if (outcome != 0 || answer.status != ST_OK)
		claim(s, &answer, what);
}

static void operator_says(struct script *s, int n, enum record_outcome word)
{
	struct ledger_claim what = { .kind = CLAIM_DECISION, .log_offset = s->halves[n].log_offset, .outcome = word };

	if (!s->halves[n].acked)
		return;
	struct rig_answer answer = rig_operator(s->rig, s->halves[n].log_offset, word);
	claim(s, &answer, what);
}

static void offset(struct script *s, int32_t queue_id, int64_t value, bool lasting)
{
	struct ledger_claim what = { .kind = CLAIM_OFFSET, .queue_id = (uint32_t)queue_id, .value = value };
	struct rig_answer answer = rig_offset(s->rig, READERS, TOPIC, queue_id, value, lasting);

	snprintf(what.key, sizeof(what.key), "%s", READERS);
	snprintf(what.topic, sizeof(what.topic), "%s", TOPIC);
	if (lasting || answer.status != ST_OK)
		claim(s, &answer, what);
}

static void settings(struct script *s)
{
	struct ledger_claim what = { .kind = CLAIM_TOPIC, .key = "t" };
	struct rig_answer answer = rig_put_topic(s->rig, TOPIC, 2);

	claim(s, &answer, what);
	what = (struct ledger_claim){ .kind = CLAIM_GROUP, .key = "r" };
	answer = rig_put_group(s->rig, READERS, 5);
	claim(s, &answer, what);
}

static void claim_pop(struct script *s, const struct rig_answer *answer, const struct rig_handle *handle, enum pop_event event)
{
	struct ledger_claim what = { .kind = CLAIM_POP, .queue_id = (uint32_t)handle->queue_id, .value = handle->offset, .event = event };

	snprintf(what.key, sizeof(what.key), "%s", handle->group);
	snprintf(what.topic, sizeof(what.topic), "%s", handle->topic);
	claim(s, answer, what);
}

/* Every question so far is answered with "unknown". */
static void answer_unknown(struct script *s)
{
	while (s->rig->ask_count > 0 && !s->rig->dead) {
		struct rig_ask ask = s->rig->asks[--s->rig->ask_count];

		for (int n = 0; n < SCRIPT_HALVES; n++) {
			if (s->halves[n].acked && s->halves[n].log_offset == ask.half_offset)
				end(s, n, 0, true);
		}
	}
}

/* --- the life -------------------------------------------------------------------------------------------------- */

static void first_messages(struct script *s)
{
	settings(s);
	message(s, "M1", 0);
	settle(s);
	for (int n = 0; n < 5; n++)
		half(s, n, 0);
	settle(s);
}

static void decisions(struct script *s)
{
	end(s, 0, OUTCOME_COMMIT, false);
	end(s, 1, OUTCOME_ROLLBACK, false);
	settle(s);
	end(s, 0, OUTCOME_ROLLBACK, false); /* A contradiction: recorded, refused. */
	end(s, 1, OUTCOME_ROLLBACK, false); /* The same again. */
	operator_says(s, 2, OUTCOME_PARK);
	settle(s);
	operator_says(s, 2, OUTCOME_RESUME);
	operator_says(s, 2, OUTCOME_PARK);
	settle(s);
	half(s, 4, 0); /* A resend. */
	settle(s);
}

/* Asked twice, "unknown" twice: the policy parks what is left. */
static void checks(struct script *s)
{
	for (int round = 0; round < 2 && !s->rig->dead; round++) {
		if (rig_producer(s->rig, GROUP, 1).status != ST_OK)
			s->refused++;
		for (int i = 0; i < 2 && !s->rig->dead; i++) {
			rig_advance(s->rig, 40 * 1000);
			settle(s);
		}
		answer_unknown(s);
		if (!s->rig->dead)
			rig_advance(s->rig, 10);
		settle(s);
	}
}

/* Sent with a timer and taken back, twice over: the second time changes nothing. */
static void recalled(struct script *s, const char *key)
{
	struct rig_answer answer = send(s, &(struct rig_message){ .topic = TOPIC, .key = key, .group = GROUP, .timer_ms = 2000,
								 .body_size = 9 });
	struct ledger_claim what = { .kind = CLAIM_RECALL, .log_offset = answer.log_offset };
	int64_t recall_at_ms = answer.recall_at_ms;

	snprintf(what.key, sizeof(what.key), "%s", key);
	for (int i = 0; i < 2 && answer.status == ST_OK && !s->rig->dead; i++) {
		answer = rig_recall(s->rig, TOPIC, key, recall_at_ms);
		claim(s, &answer, what);
	}
}

static void delays(struct script *s)
{
	message(s, "D1", 1);
	(void)send(s, &(struct rig_message){ .topic = TOPIC, .key = "D2", .group = GROUP, .timer_ms = 1500, .body_size = 9 });
	recalled(s, "D3");
	half(s, 5, 2);
	settle(s);
	end(s, 5, OUTCOME_COMMIT, false);
	settle(s);
	for (int i = 0; i < 2 && !s->rig->dead; i++) {
		rig_advance(s->rig, 3000);
		settle(s);
	}
}

static void consumers(struct script *s)
{
	offset(s, 0, 1, true);
	offset(s, 1, 2, false);
	settle(s);
	if (!s->rig->dead)
		rig_advance(s->rig, 1000);
	settle(s);
}

/* Takes up to `max` messages; what was claimed is told with `settle`. */
static size_t pop(struct script *s, struct rig_pop pop, struct rig_handle *out)
{
	size_t count;
	struct rig_answer answer = rig_pop(s->rig, &pop, out, &count);

	for (int i = 0; answer.status == ST_AGAIN && i < TRIES && !s->rig->dead; i++) {
		settle(s);
		if (!s->rig->dead)
			answer = rig_pop(s->rig, &pop, out, &count);
	}
	if (answer.status != ST_OK)
		s->refused++;
	for (size_t i = 0; i < count; i++)
		claim_pop(s, &answer, &out[i], pop.order ? POP_ORDERLY : POP_CHECK_OUT);
	settle(s);
	return s->rig->dead ? 0 : count;
}

static void ack(struct script *s, const struct rig_handle *handle)
{
	struct rig_answer answer = rig_ack(s->rig, handle);

	claim_pop(s, &answer, handle, POP_ACK);
	settle(s);
}

/* One is acknowledged, one kept for longer, and one lapses and comes again: then it is kept. */
static void pops(struct script *s)
{
	struct rig_pop brief = { .group = POPPERS, .topic = TOPIC, .max = 3, .invisible_ms = 1000 }, longer = brief;
	struct rig_handle given[RIG_POPPED_MAX];
	struct rig_handle mode = { .group = POPPERS, .topic = "t", .offset = 2 };

	longer.invisible_ms = HOUR_MS;
	size_t count = pop(s, brief, given);
	if (count < 3)
		return;
	ack(s, &given[0]);
	if (s->rig->dead)
		return;
	struct rig_answer answer = rig_change_invisible(s->rig, &given[1], HOUR_MS);
	claim_pop(s, &answer, &given[1], POP_CHANGE_INVISIBLE);
	answer = rig_pop_mode(s->rig, POPPERS, TOPIC, 2);
	claim_pop(s, &answer, &mode, POP_REQUEST_MODE);
	settle(s);
	if (s->rig->dead)
		return;
	rig_advance(s->rig, 2000);
	settle(s);
	if (!s->rig->dead)
		(void)pop(s, longer, given);
}

/* The first one lapses, and is given out once more at its place. */
static void pops_in_order(struct script *s)
{
	struct rig_pop one = { .group = "o", .topic = TOPIC, .max = 1, .invisible_ms = 1000, .order = true };
	struct rig_handle given[RIG_POPPED_MAX];

	for (int i = 0; i < 2 && !s->rig->dead; i++) {
		(void)pop(s, one, given);
		if (!s->rig->dead)
			rig_advance(s->rig, 2000);
		settle(s);
	}
}

static void run(struct script *s, void (*const *steps)(struct script *), size_t count)
{
	for (size_t i = 0; i < count && !s->rig->dead; i++)
		steps[i](s);
}

void script_first_life(struct script *s)
{
	static void (*const steps[])(struct script *) = { first_messages, decisions, checks, delays, consumers, pops,
							   pops_in_order };

	run(s, steps, sizeof(steps) / sizeof(steps[0]));
}

enum { WIDE_QUEUES = 90 };

static void wide_message(struct script *s, int round, int queue)
{
	char key[16];

	snprintf(key, sizeof(key), "W%d-%03d", round, queue);
	(void)send(s, &(struct rig_message){ .topic = "w", .key = key, .group = GROUP, .queue_id = queue, .body_size = 9 });
}

static void many_queues(struct script *s)
{
	struct ledger_claim what = { .kind = CLAIM_TOPIC, .key = "w" };
	struct rig_answer answer = rig_put_topic(s->rig, "w", WIDE_QUEUES);

	claim(s, &answer, what);
	for (int queue = 0; queue < WIDE_QUEUES && !s->rig->dead; queue++) {
		wide_message(s, 0, queue);
		if (queue % 20 == 19)
			settle(s);
	}
	settle(s);
}

/* The pages of the first queues have left the cache by now. */
static void old_queues(struct script *s)
{
	for (int queue = 0; queue < 30 && !s->rig->dead; queue++)
		wide_message(s, 1, queue);
	settle(s);
	if (!s->rig->dead)
		(void)rig_disk_step(s->rig, RIG_INDEX, false);
}

static void reader(struct script *s)
{
	for (uint32_t queue = 0; queue < WIDE_QUEUES && !s->rig->dead; queue += 9) {
		if (rig_pull(s->rig, "w", queue, 0).status != ST_OK)
			s->refused++;
	}
	for (uint64_t next = 0; next < 8 && !s->rig->dead;) {
		struct rig_answer answer = rig_pull(s->rig, TOPIC, 0, next);
		if (answer.status != ST_OK || answer.queue_offset == next)
			break;
		next = answer.queue_offset;
	}
}

void script_wide_life(struct script *s)
{
	static void (*const steps[])(struct script *) = { many_queues, old_queues, reader };

	run(s, steps, sizeof(steps) / sizeof(steps[0]));
}

static void after_the_restart(struct script *s)
{
	struct rig_pop last = { .group = POPPERS, .topic = TOPIC, .max = RIG_POPPED_MAX, .invisible_ms = HOUR_MS };
	struct rig_handle given[RIG_POPPED_MAX];

	settle(s);
	end(s, 2, OUTCOME_COMMIT, false); /* Parked before. */
	message(s, "M2", 0);
	settle(s);
	half(s, 6, 0);
	offset(s, 0, 3, true);
	settle(s);
	if (!s->rig->dead && pop(s, last, given) > 0)
		ack(s, &given[0]);
}

void script_second_life(struct script *s)
{
	static void (*const steps[])(struct script *) = { after_the_restart };

	run(s, steps, sizeof(steps) / sizeof(steps[0]));
}

/* --- a segment to its brim ---------------------------------------------------------------------------------------- */

static int filler; /* Keys differ over a whole life. */

enum { BATCH_SIZE = LOG_ENVELOPE_SIZE + 16, FILLER_BODY = 7000 };

static uint64_t sized_message(struct script *s, const char *key, size_t body_size)
{
	struct rig_answer answer = send(s, &(struct rig_message){ .topic = TOPIC, .key = key, .group = GROUP,
								 .body_size = body_size });

	return answer.status == ST_OK ? answer.wait_offset - answer.log_offset : 0;
}

bool script_fill_segment(struct script *s, uint64_t left)
{
	char key[16];
	struct log_segment_range segment = commitlog_segment(s->rig->log, commitlog_segment_count(s->rig->log) - 1);
	uint64_t target = segment.end - left, around = 0;

	while (target - commitlog_appended(s->rig->log) > 3 * FILLER_BODY) {
		snprintf(key, sizeof(key), "F%05d", filler++ % 99999);
		uint64_t size = sized_message(s, key, FILLER_BODY);
		if (size == 0)
			return false;
		around = size - FILLER_BODY; /* A multiple of 8 with this body. */
		settle(s);
	}
	/* A BATCH record comes first. What is over a multiple of 8 in it was padding. */
	uint64_t room = target - commitlog_appended(s->rig->log) - BATCH_SIZE;
	if (around == 0)
		return false;
	return sized_message(s, "F99999", (size_t)(room - around)) == room && commitlog_appended(s->rig->log) == target;
}

/* --- until the oldest segment goes ---------------------------------------------------------------------------------- */

static void take_snapshot(struct script *s)
{
	if (s->rig->dead)
		return;
	rig_want_snapshot(s->rig);
	settle(s);
}

static void turns(struct script *s, int count)
{
	for (int i = 0; i < count && !s->rig->dead; i++) {
		rig_advance(s->rig, 10);
		settle(s);
	}
}

void script_carrying_life(struct script *s)
{
	for (int round = 0; round < 2 && !s->rig->dead; round++) {
		(void)script_fill_segment(s, 40);
		message(s, round == 0 ? "R0" : "R1", 0); /* In the next segment: no snapshot needs the full one. */
		take_snapshot(s);
	}
	turns(s, 1);
}

void script_long_life(struct script *s)
{
	script_carrying_life(s);
	turns(s, 2); /* The first segment goes. */
	(void)script_fill_segment(s, 40);
	turns(s, 3);
}
