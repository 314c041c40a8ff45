/* Comparing a log and a core with a ledger; see ledger.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/pull.h"
#include "broker/core/settings.h"
#include "broker/core/state.h"
#include "lib/wire/message.h"
#include "tests/crash/ledger_internal.h"

/* --- records ----------------------------------------------------------------------------------------------- */

struct match {
	const struct ledger *ledger;
	size_t next;
	char *why;
	bool wrong;
};

static enum status match_record(void *context, const struct log_record *record, struct errinfo *err)
{
	struct match *m = context;
	const struct ledger_record *expected = m->next < m->ledger->count ? &m->ledger->records[m->next] : NULL;

	if (expected == NULL) {
		m->wrong = true;
		ledger_say(m->why, "a record at log offset %" PRIu64 " that nobody wrote", record->offset);
	} else if (record->offset != expected->offset || record->kind != expected->kind ||
		   record->epoch != expected->epoch || !span_equal(record->payload, expected->payload)) {
		m->wrong = true;
		ledger_say(m->why, "record %zu: %s at log offset %" PRIu64 " of epoch %u is not the %s at %" PRIu64 " of epoch %u",
			   m->next, log_kind_text(record->kind), record->offset, record->epoch,
			   log_kind_text(expected->kind), expected->offset, expected->epoch);
	}
	m->next++;
	return m->wrong ? errinfo_set(err, ST_CORRUPT, "stop") : ST_OK;
}

bool ledger_match(const struct ledger *l, struct commitlog *log, size_t from, size_t *count_out, char why[LEDGER_WHY_SIZE])
{
	struct match m = { .ledger = l, .why = why };
	struct errinfo err = { ST_OK, "" };

	size_t given_up = ledger_count_until(l, commitlog_start(log));

	if (from > l->count)
		from = l->count;
	bool all = from <= given_up + 1;
	m.next = all ? given_up : from - 1;
	enum status status = commitlog_replay(log, all ? 0 : l->records[m.next].offset, match_record, &m, &err);
	*count_out = m.next;
	if (m.wrong)
		return false;
	return status == ST_OK || ledger_say(why, "replay: %.400s", err.text);
}

/* --- queues --------------------------------------------------------------------------------------------------- */

static size_t messages_until(const struct ledger_queue *queue, size_t count)
{
	size_t n = queue->count;

	while (n > 0 && queue->messages[n - 1].record >= count)
		n--;
	return n;
}

/* The bytes that a consumer must get. */
static const uint8_t *expected_bytes(const struct ledger_message *m, size_t queue_offset)
{
	static uint8_t bytes[64 * 1024];

	if (m->message.size > sizeof(bytes))
		abort();
	memcpy(bytes, m->message.data, m->message.size);
	message_patch_queue_offset(bytes, (int64_t)queue_offset);
	message_patch_physical_offset(bytes, (int64_t)m->name_offset);
	message_patch_store_timestamp(bytes, m->store_time_ms);
	message_patch_prepared_offset(bytes, (int64_t)m->prepared_offset);
	return bytes;
}

/* One queue being read. */
struct reading {
	const struct ledger_queue *queue;
	size_t next;   /* Seen so far. */
	size_t wanted; /* From here on each message must be there. */
	size_t end;
};

/* The queue goes on at `offset`: what is in between must be what may have been given up. */
static bool go_on_at(struct reading *r, uint64_t offset, char *why)
{
	if (offset < r->next || offset > r->end || (offset > r->next && offset > r->wanted && r->wanted < r->end))
		return ledger_say(why, "%.*s/%u: from message %zu (named %" PRIu64 ") to %" PRIu64 ", but all from %zu on are kept",
				  SPAN_ARGS(r->queue->topic), r->queue->id, r->next,
				  r->next < r->end ? r->queue->messages[r->next].name_offset : 0, offset, r->wanted);
	r->next = (size_t)offset;
	return true;
}

static bool same_messages(struct reading *r, struct span pulled, char *why)
{
	struct message message;

	for (struct span rest = pulled; rest.size > 0; r->next++) {
		const uint8_t *at = rest.data;
		if (message_next(&rest, &message, NULL) != ST_OK)
			return ledger_say(why, "%.*s/%u: behind %zu is no message", SPAN_ARGS(r->queue->topic), r->queue->id, r->next);
		if (!go_on_at(r, (uint64_t)message.queue_offset, why))
			return false;
		if (r->next >= r->end)
			return ledger_say(why, "%.*s/%u: more messages than there are", SPAN_ARGS(r->queue->topic), r->queue->id);
		const struct ledger_message *m = &r->queue->messages[r->next];
		if (message.size != m->message.size || memcmp(at, expected_bytes(m, r->next), message.size) != 0)
			return ledger_say(why, "%.*s/%u: message %zu is another one than was stored (named %" PRId64
					  ", expected %" PRIu64 ")", SPAN_ARGS(r->queue->topic), r->queue->id, r->next,
					  message.physical_offset, m->name_offset);
	}
	return true;
}

static bool read_queue(struct reading *r, const struct topic *topic, struct core *core, struct buffer *out, char *why)
{
	struct pull_request request = { .topic_id = topic->id, .queue_id = r->queue->id, .message_max = PULL_MESSAGES_MAX,
					.bytes_max = PULL_BYTES_MAX };

	while (r->next < r->end) {
		struct pull_result result;
		struct outcome outcome = { 0 };

		request.offset = r->next;
		buffer_reset(out);
		if (core_pull(core, &request, &result, &outcome) != ST_OK)
			return ledger_say(why, "%.*s/%u: pull at %zu (named %" PRIu64 ", the log begins at %" PRIu64 "): %.200s",
					  SPAN_ARGS(r->queue->topic), r->queue->id, r->next,
					  r->queue->messages[r->next].name_offset, commitlog_start(core->log), outcome.err.text);
		core_pull_copy(core, &result, out);
		if (!same_messages(r, buffer_span(out), why) || !go_on_at(r, result.next_offset, why))
			return false;
	}
	return true;
}

static bool check_queue(const struct ledger_queue *queue, size_t count, uint64_t gone, struct core *core, struct buffer *out,
			char *why)
{
	struct reading r = { .queue = queue, .end = messages_until(queue, count) };
	const struct topic *topic = topics_find(core->topics, queue->topic);
	const struct queue *real = topic == NULL ? NULL : topic_queue(topic, queue->id);

	if (r.end == 0 && real == NULL)
		return true;
	if (real == NULL || real->visible_offset != r.end || real->next_offset != r.end)
		return ledger_say(why, "%.*s/%u: %" PRIu64 " messages are visible, not %zu", SPAN_ARGS(queue->topic),
				  queue->id, real == NULL ? 0 : real->visible_offset, r.end);
	while (r.wanted < r.end && queue->messages[r.wanted].name_offset < gone)
		r.wanted++;
	return read_queue(&r, topic, core, out, why);
}

static bool check_queues(const struct ledger *l, size_t count, uint64_t gone, struct core *core, char *why)
{
	uint64_t expected = 0, real = 0;
	struct buffer out;
	bool good = true;

	buffer_init(&out, 0);
	for (size_t i = 0; i < l->queue_count && good; i++) {
		expected += messages_until(&l->queues[i], count);
		good = check_queue(&l->queues[i], count, gone, core, &out, why);
	}
	buffer_deinit(&out);
	if (!good)
		return false;
	for (const struct topic *topic = topics_first(core->topics); topic != NULL; topic = topics_next(topic)) {
		for (uint32_t i = 0; i < topic->queue_count; i++)
			real += topic->queues[i] == NULL ? 0 : topic->queues[i]->next_offset;
	}
	return real == expected || ledger_say(why, "%" PRIu64 " messages in all queues, not %" PRIu64, real, expected);
}

/* --- transactions ----------------------------------------------------------------------------------------------- */

static const struct half_step *step_until(const struct ledger_half *half, size_t count)
{
	size_t n = half->count;

	while (n > 0 && half->steps[n - 1].record >= count)
		n--;
	return n == 0 ? NULL : &half->steps[n - 1];
}

static bool check_half(const struct ledger_half *half, size_t n, const struct half_step *step, uint64_t gone, struct core *core,
		       char *why)
{
	const struct pending *pending = pending_find(core->pending, n);
	bool open = step->state == TXN_PREPARED || step->state == TXN_PARKED;
	struct half_entry entry;
	struct errinfo err;

	enum status status = half_index_get(&core->halves, n, &entry, &err);
	if (status == ST_NOTFOUND && !open && half->offset < gone)
		return true;
	if (status != ST_OK)
		return ledger_say(why, "half %zu: %.300s", n, err.text);
	core_correct_half(core, n, &entry);
	if (open) /* Which record parked or resumed it, the index need not know. */
		entry.decision_offset = step->decision_offset;
	if (entry.half_offset != half->offset || entry.state != step->state || entry.decision_offset != step->decision_offset)
		return ledger_say(why, "half %zu is %s by %" PRIu64 ", not %s by %" PRIu64, n,
				  txn_state_text((enum txn_state)entry.state), entry.decision_offset,
				  txn_state_text(step->state), step->decision_offset);
	if (open != (pending != NULL))
		return ledger_say(why, "half %zu is %s, but %s", n, txn_state_text(step->state),
				  pending != NULL ? "pending" : "not pending");
	if (open && (pending->state != step->state || pending->attempts != step->attempts ||
		     pending->answered != step->answered || pending->half_offset != half->offset))
		return ledger_say(why, "half %zu: asked %u, answered %u, not %u and %u", n, pending->attempts,
				  pending->answered, step->attempts, step->answered);
	return true;
}

static bool check_halves(const struct ledger *l, size_t count, uint64_t gone, struct core *core, char *why)
{
	size_t halves = 0, open = 0, waiting = 0;

	for (size_t i = 0; i < l->half_count; i++) {
		const struct half_step *step = step_until(&l->halves[i], count);
		if (step == NULL)
			break;
		halves++;
		open += step->state == TXN_PREPARED || step->state == TXN_PARKED;
		if (!check_half(&l->halves[i], i, step, gone, core, why))
			return false;
	}
	if (half_index_max(&core->halves) != halves || pending_count(core->pending) != open)
		return ledger_say(why, "%" PRIu64 " halves, %u of them open, not %zu and %zu", half_index_max(&core->halves),
				  pending_count(core->pending), halves, open);
	for (size_t i = 0; i < l->delayed_count; i++)
		waiting += l->delayed[i].record < count && l->delayed[i].gone >= count;
	return core->delays.count == waiting ||
	       ledger_say(why, "%zu delayed messages wait, not %zu", core->delays.count, waiting);
}

bool ledger_find_open(const struct ledger *l, size_t count, struct ledger_open *out)
{
	for (size_t i = l->half_count; i > 0; i--) {
		const struct half_step *step = step_until(&l->halves[i - 1], count);
		if (step == NULL || (step->state != TXN_PREPARED && step->state != TXN_PARKED))
			continue;
		*out = (struct ledger_open){ l->halves[i - 1].offset, i - 1 };
		return true;
	}
	return false;
}

/* --- settings and consumers ---------------------------------------------------------------------------------------- */

static bool check_topic(const struct record_topic *r, const struct topic *topic, char *why)
{
	if (r->deleted != (topic == NULL))
		return ledger_say(why, "topic %.*s is %s", SPAN_ARGS(r->name), topic == NULL ? "not there" : "there");
	if (topic != NULL && (topic->settings.read_queue_nums != r->read_queue_nums ||
			      topic->settings.write_queue_nums != r->write_queue_nums || topic->settings.perm != r->perm ||
			      !span_equal(topic->settings.attributes, r->attributes)))
		return ledger_say(why, "topic %.*s has other settings", SPAN_ARGS(r->name));
	return true;
}

static bool check_group(const struct record_group *r, const struct consumer_group *group, char *why)
{
	if (r->deleted != (group == NULL))
		return ledger_say(why, "group %.*s is %s", SPAN_ARGS(r->name), group == NULL ? "not there" : "there");
	if (group != NULL && (group->settings.retry_max_times != (int32_t)r->retry_max_times ||
			      group->settings.retry_queue_nums != (int32_t)r->retry_queue_nums ||
			      group->settings.consume_enable != r->consume_enable ||
			      !span_equal(group->settings.retry_policy, r->retry_policy)))
		return ledger_say(why, "group %.*s has other settings", SPAN_ARGS(r->name));
	return true;
}

static bool check_offset(const struct ledger_row *row, int64_t value, struct core *core, char *why)
{
	uint32_t topic = names_find(core->names, row->topic), group = names_find(core->names, row->name);
	int64_t real = -1;

	if (topic == 0 || group == 0 || !offsets_get(core->offsets, topic, group, row->queue_id, &real) || real != value)
		return ledger_say(why, "consumer offset of %.*s in %.*s/%u is %" PRId64 ", not %" PRId64, SPAN_ARGS(row->name),
				  SPAN_ARGS(row->topic), row->queue_id, real, value);
	return true;
}

static bool check_mode(const struct ledger_row *row, int64_t value, struct core *core, char *why)
{
	const struct request_mode *mode = pops_mode(&core->pops, names_find(core->names, row->topic), names_find(core->names, row->name));

	return (mode != NULL && mode->known && mode->mode == value >> 32 && mode->shared_queues == (uint32_t)value) ||
	       ledger_say(why, "%.*s is not to fetch %.*s as it was set", SPAN_ARGS(row->name), SPAN_ARGS(row->topic));
}

/* What a record said, or what POP has done with since. */
static int64_t offset_now(const struct ledger *l, size_t count, const struct ledger_row *row, int64_t said)
{
	int64_t popped = ledger_pop_position(l, row->name, row->topic, row->queue_id, count);

	return popped > said ? popped : said;
}

static bool check_row(const struct ledger *l, size_t count, const struct ledger_row *row, const struct ledger_step *step,
		      struct core *core, char *why)
{
	struct span payload = l->records[step->record].payload;
	struct record_topic topic;
	struct record_group group;

	switch (row->kind) {
	case LOG_TOPIC:
		return record_topic_decode(payload, &topic, NULL) == ST_OK &&
		       check_topic(&topic, topics_find(core->topics, row->name), why);
	case LOG_GROUP:
		return record_group_decode(payload, &group, NULL) == ST_OK &&
		       check_group(&group, groups_find(core->groups, row->name), why);
	case LOG_POP:
		return check_mode(row, step->value, core, why);
	default:
		return check_offset(row, offset_now(l, count, row, step->value), core, why);
	}
}

static bool check_rows(const struct ledger *l, size_t count, struct core *core, char *why)
{
	size_t topics = 0, groups = 0, expected_topics = 0, expected_groups = 0;

	for (size_t i = 0; i < l->row_count; i++) {
		const struct ledger_row *row = &l->rows[i];
		size_t n = row->count;

		while (n > 0 && row->steps[n - 1].record >= count)
			n--;
		if (n == 0)
			continue;
		expected_topics += row->kind == LOG_TOPIC;
		expected_groups += row->kind == LOG_GROUP;
		if (!check_row(l, count, row, &row->steps[n - 1], core, why))
			return false;
	}
	for (const struct topic *topic = topics_first(core->topics); topic != NULL; topic = topics_next(topic))
		topics += !topic->system;
	for (const struct consumer_group *group = groups_first(core->groups); group != NULL; group = groups_next(group))
		groups += !settings_is_system_group(group->name);
	return (topics == expected_topics && groups == expected_groups) ||
	       ledger_say(why, "%zu topics and %zu groups, not %zu and %zu", topics, groups, expected_topics, expected_groups);
}

bool ledger_check(const struct ledger *l, size_t count, uint64_t gone, struct core *core, char why[LEDGER_WHY_SIZE])
{
	if (commitlog_start(core->log) > gone + LOG_SEGMENT_HEADER_SIZE)
		return ledger_say(why, "the log begins at %" PRIu64 ", but all from %" PRIu64 " on are kept",
				  commitlog_start(core->log), gone);
	return check_queues(l, count, gone, core, why) && check_halves(l, count, gone, core, why) &&
	       check_rows(l, count, core, why) && ledger_pops_check(l, count, core, why);
}
