#include "tests/sim/final.h"

#include <inttypes.h>
#include <stdlib.h>

#include "lib/log/commitlog.h"
#include "lib/record/record_transaction.h"
#include "lib/txn/txn_state.h"
#include "tests/sim/auditor.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/business.h"
#include "tests/sim/drive.h"
#include "tests/sim/final_oplog.h"
#include "tests/sim/final_places.h"
#include "tests/sim/model.h"
#include "tests/sim/report.h"
#include "tests/support/audited.h"
#include "tests/support/memdisk.h"

/* What the logs say about an item. */
struct fate {
	uint32_t halves;
	int broker;
	uint64_t half_offset;
	enum txn_state state;
	enum record_who who; /* Of the last decision. */
	uint32_t commits;
	uint64_t decision_offset;
	bool again;          /* Sent again long after the log had let go of its decision: two transactions. */
};

struct scan {
	int broker;
	uint64_t start;     /* Where its log begins. */
	struct fate *fates; /* By item. */
	bool again;         /* A half is in it twice, as it may be; the audit does not know of retention. */
};

/* --- the logs ----------------------------------------------------------------------------------------------------------- */

static struct fate *fate_of(struct scan *scan, struct span key)
{
	const struct item *item = model_by_key(key);

	if (item == NULL)
		violation("I3", "the log of broker %d holds %.*s, which nobody sent", scan->broker, SPAN_ARGS(key));
	return item == NULL ? NULL : &scan->fates[item->number];
}

/* Decided, and when the log had come to `now` it had been let go: by its size, so the log was that much longer at least. */
static bool is_past(const struct fate *fate, uint64_t now)
{
	return settings()->retention_bytes > 0 && fate->decision_offset != 0 &&
	       fate->decision_offset + (uint64_t)settings()->retention_bytes <= now;
}

static void see_half(struct scan *scan, const struct log_record *record)
{
	struct record_half half;
	struct errinfo err;

	if (record_half_decode(record->payload, &half, &err) != ST_OK) {
		violation("F", "half record at %" PRIu64 ": %s", record->offset, err.text);
		return;
	}
	struct fate *fate = fate_of(scan, half.unique_key);
	if (fate == NULL)
		return;
	if (++fate->halves > 1 && !is_past(fate, record->offset))
		violation("I2", "%.*s has more than one half", SPAN_ARGS(half.unique_key));
	fate->again = fate->halves > 1;
	scan->again |= fate->again;
	fate->broker = scan->broker;
	fate->half_offset = record->offset;
	fate->state = TXN_PREPARED;
}

static void see_decision(struct scan *scan, const struct log_record *record)
{
	struct record_decision decision;
	struct errinfo err;

	if (record_decision_decode(record->payload, &decision, &err) != ST_OK) {
		violation("F", "decision record at %" PRIu64 ": %s", record->offset, err.text);
		return;
	}
	struct fate *fate = fate_of(scan, decision.transaction_id);
	if (fate == NULL)
		return;
	if (fate->state == TXN_COMMITTED || fate->state == TXN_ROLLED_BACK)
		violation("I4", "%.*s is %s, and then there is another decision", SPAN_ARGS(decision.transaction_id),
			  txn_state_text(fate->state));
	enum txn_state next = txn_state_after((enum txn_event)decision.outcome);
	report_current()->transition_count[fate->state][next]++;
	if (fate->state == TXN_PARKED && decision.who == WHO_PRODUCER)
		event_seen(SEEN_PARKED_ENDED);
	fate->state = next;
	fate->decision_offset = next == TXN_COMMITTED || next == TXN_ROLLED_BACK ? record->offset : 0;
	fate->who = decision.who;
	fate->commits += decision.outcome == OUTCOME_COMMIT;
}

static void see_record(void *context, const struct log_record *record)
{
	struct scan *scan = context;

	if (record->kind < LOG_KIND_END)
		report_current()->kind_count[record->kind]++;
	if (record->kind == LOG_HALF)
		see_half(scan, record);
	else if (record->kind == LOG_DECISION)
		see_decision(scan, record);
	final_places_see(scan->broker, scan->start, record);
}

/* --- items ---------------------------------------------------------------------------------------------------------------- */

static void check_plain(const struct item *item)
{
	uint32_t published = item->published + final_places_gone(item->number)->published;

	if (published < item->acks && !item->recall_asked)
		violation("I1", "%s was acknowledged %u times, and is there %u times", item->key, item->acks, published);
}

/* Only honest services that no operator and no policy overruled can expect that their database and the broker agree. */
static void check_business(const struct item *item, const struct fate *fate)
{
	enum record_outcome truth = business_truth(item);

	if (fate->who == WHO_POLICY && item->unknown_answers < (uint32_t)settings()->check_max)
		violation("I6", "%s was decided by policy after %u answers, transactionCheckMax is %d", item->key,
			  item->unknown_answers, settings()->check_max);
	if (!producer_group_is_honest(item->group) || item->operator_asked || fate->who == WHO_POLICY)
		return;
	if (truth == OUTCOME_COMMIT && fate->state == TXN_ROLLED_BACK)
		violation("I6", "%s is committed in its service's database, and rolled back here", item->key);
	if (truth != OUTCOME_COMMIT && fate->state == TXN_COMMITTED)
		violation("I6", "%s is not committed in its service's database, but here", item->key);
}

static void check_transaction(const struct item *item, const struct fate *fate)
{
	uint32_t published = item->published + final_places_gone(item->number)->published;

	if (fate->again)
		return;
	if (item->half_acked && (fate->halves == 0 || fate->broker != item->broker || fate->half_offset != item->half_offset))
		violation("I1", "half %s was acknowledged at %" PRIu64 ", the logs do not hold it there", item->key, item->half_offset);
	if (fate->halves == 0) {
		if (published > 0)
			violation("I3", "%s is visible without a half", item->key);
		return;
	}
	if (fate->state == TXN_PREPARED)
		violation("I5", "%s is still open", item->key);
	if (fate->commits > 1)
		violation("I2", "%s has %u commits", item->key, fate->commits);
	if ((fate->state == TXN_COMMITTED) != (published == 1))
		violation("I2", "%s is %s, and visible %u times", item->key, txn_state_text(fate->state), published);
	if (item->past_asked && (fate->decision_offset == 0 || fate->decision_offset >= item->past_start))
		violation("I1", "END of %s was answered as if it were past when the log began at %" PRIu64 ", it is %s at %"
			  PRIu64, item->key, item->past_start, txn_state_text(fate->state), fate->decision_offset);
	if (item->acked == OUTCOME_COMMIT && fate->state != TXN_COMMITTED)
		violation("I2", "the commit of %s was acknowledged, it is %s", item->key, txn_state_text(fate->state));
	if (item->acked == OUTCOME_ROLLBACK && fate->state != TXN_ROLLED_BACK)
		violation("I2", "the rollback of %s was acknowledged, it is %s", item->key, txn_state_text(fate->state));
	check_business(item, fate);
}

static void check_sent_back(const struct item *item)
{
	for (int group = 0; group < CONSUMER_GROUPS; group++) {
		uint32_t came = item->came_back[group] + final_places_gone(item->number)->back[group];

		if (came < item->back_acked[group])
			violation("I1", "%s was sent back by %s %u times, it came back %u times", item->key, consumer_group_name(group),
				  item->back_acked[group], came);
	}
}

static void check_popped(const struct item *item)
{
	if (item->published > 0 && !item->pop_done && !item->pop_dead && !final_places_gone(item->number)->popped)
		violation("I1", "%s was never consumed by %s, nor is it a dead letter", item->key, pop_group_name());
}

static void check_items(const struct fate *fates)
{
	for (uint32_t i = 0; i < model_item_end() && !violated(); i++) {
		const struct item *item = model_item(i);

		if (item == NULL || item->sends == 0)
			continue;
		if (item->transactional)
			check_transaction(item, &fates[i]);
		else
			check_plain(item);
		check_sent_back(item);
		check_popped(item);
	}
}

/* --- consumers -------------------------------------------------------------------------------------------------------------- */

static bool may_be_gone(int broker, int place, int queue, uint64_t offset)
{
	return broker_node_let_go(broker_node(broker), model_seen_log_offset(broker, place, queue, offset));
}

/* At least once, nothing left out, whatever happened to members and positions. */
static void check_consumed(int group, int broker, int place, int queue)
{
	uint64_t end = auditor_queue_end(broker, place, queue);

	for (uint64_t offset = auditor_queue_begin(broker, place, queue); offset < end && !violated(); offset++) {
		const struct item *item = model_item(model_item_at(broker, place, queue, offset));

		/* Not read: final_places.h knows whether it should have been. */
		if (item == NULL || may_be_gone(broker, place, queue, offset))
			continue;
		bool wanted = place >= TOPICS_MAX || consumer_group_wants(group, item->tag);

		if (wanted && !model_was_consumed(group, broker, place, queue, offset))
			violation("I1", "%s was never consumed by %s: offset %" PRIu64 " of %" PRIu64 " of queue %d of place %d of broker %d",
				  item->key, consumer_group_name(group), offset, end, queue, place, broker);
	}
}

static void check_consumers(void)
{
	for (int group = 0; group < CONSUMER_GROUPS; group++) {
		for (int broker = 0; broker < settings()->brokers; broker++) {
			for (int place = 0; place < settings()->topics; place++) {
				for (int queue = 0; queue < settings()->queues; queue++)
					check_consumed(group, broker, place, queue);
			}
			check_consumed(group, broker, place_retry(group), 0);
		}
	}
}

/* --- all ---------------------------------------------------------------------------------------------------------------------- */

/* The log by itself: the same library as escrow-log audit. */
static void check_log(struct broker_node *node)
{
	struct memdisk *whole = drive_whole(broker_node_drive(node));
	struct audit_facts facts = audited_store(memdisk_vfs(whole), ".", NULL);

	memdisk_destroy(whole);
	if (facts.violation_count > 0)
		violation("audit", "the log of %s holds %" PRIu64 " violations, the first ones are above", broker_node_address(node),
			  facts.violation_count);
}

void final_check(void)
{
	struct fate *fates = calloc(model_item_end() + 1, sizeof(*fates));
	struct errinfo err;

	if (fates == NULL)
		abort();
	final_places_begin();
	for (int i = 0; i < settings()->brokers && !violated(); i++) {
		struct scan scan = { i, broker_node_log_start_max(broker_node(i)), fates, false };

		broker_node_kill(broker_node(i), false, -1);
		if (broker_node_read_log(broker_node(i), see_record, &scan, &err) != ST_OK)
			violation("F", "the log of broker %d: %s", i, err.text);
		if (!violated() && !scan.again)
			check_log(broker_node(i));
	}
	if (!violated())
		check_items(fates);
	if (!violated())
		check_consumers();
	for (int i = 0; i < settings()->brokers && !violated(); i++)
		final_check_oplog(broker_node(i));
	final_places_end();
	free(fates);
}
