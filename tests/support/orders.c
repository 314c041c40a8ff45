#include "tests/support/orders.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log/logreader.h"
#include "lib/record/record_transaction.h"
#include "lib/wire/codes.h"
#include "lib/wire/message.h"
#include "lib/wire/properties.h"
#include "tests/support/rawclient.h"

enum { ASKED_AGAIN_MAX = 100 }; /* Of the new promises, so many are asked for again after each kill. */

struct order {
	atomic_uchar kind, local, promised, seen;
	struct raw_half half; /* Valid once PROMISED_HALF is. */
};

/* What was seen at a place of a queue. */
struct place {
	int order; /* + 1; 0: nothing yet. */
	int64_t physical_offset;
	int64_t store_ms;
};

struct queue_view {
	struct place *places;
	int64_t read_until;
	atomic_llong asked, promised;
};

static struct order orders[ORDERS_MAX];
static atomic_int count;
static struct queue_view queues[ORDERS_QUEUES];
static int promises[4 * ORDERS_MAX]; /* Orders, in the order of their promises. */
static int promise_count, promises_checked;
static atomic_ullong violations[ORDER_VIOLATIONS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* Guards places, read_until, promises, halves. */

void orders_reset(void)
{
	memset(orders, 0, sizeof(orders));
	count = 0;
	promise_count = promises_checked = 0;
	for (int q = 0; q < ORDERS_QUEUES; q++) {
		free(queues[q].places);
		queues[q].places = calloc(ORDERS_MAX, sizeof(*queues[q].places));
		if (queues[q].places == NULL)
			abort();
		queues[q].read_until = 0;
		queues[q].asked = queues[q].promised = -1;
	}
}

int orders_new(enum order_kind kind)
{
	int order = count++;

	if (order >= ORDERS_MAX) {
		count = ORDERS_MAX;
		return -1;
	}
	orders[order].kind = (unsigned char)kind;
	return order;
}

int orders_count(void)
{
	return count > ORDERS_MAX ? ORDERS_MAX : count;
}

void orders_key(int order, char out[ORDER_KEY_SIZE])
{
	snprintf(out, ORDER_KEY_SIZE, "O%d", order);
}

int orders_find(const uint8_t *key, size_t size)
{
	int64_t number;

	if (size < 2 || key[0] != 'O' || span_to_i64((struct span){ key + 1, size - 1 }, &number) != ST_OK)
		return -1;
	return number >= 0 && number < orders_count() ? (int)number : -1;
}

enum order_local orders_decide(int order, enum order_local local)
{
	unsigned char none = ORDER_NONE;

	atomic_compare_exchange_strong(&orders[order].local, &none, (unsigned char)local);
	return (enum order_local)orders[order].local;
}

enum order_local orders_local(int order)
{
	return (enum order_local)orders[order].local;
}

/* --- violations --------------------------------------------------------------------------------------------------- */

static const char *violation_text(enum order_violation violation)
{
	switch (violation) {
#define ORDER_TEXT(name, text) \
	case ORDER_##name: return text;
		ORDER_VIOLATION_MAP(ORDER_TEXT)
#undef ORDER_TEXT
	case ORDER_VIOLATIONS: break;
	}
	return "?";
}

void orders_violated(enum order_violation violation, const char *what, int order)
{
	/* The first few of a kind tell most. */
	if (violations[violation]++ < 5)
		fprintf(stderr, "violated: %s: %s (order %d)\n", violation_text(violation), what, order);
}

uint64_t orders_violations(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < ORDER_VIOLATIONS; i++) {
		sum += violations[i];
		if (violations[i] > 0)
			fprintf(stderr, "violated %llu times: %s\n", (unsigned long long)violations[i],
				violation_text((enum order_violation)i));
	}
	return sum;
}

/* --- promises and sightings --------------------------------------------------------------------------------------- */

void orders_promise(int order, enum order_promise promise, const struct raw_half *half)
{
	struct order *o = &orders[order];

	pthread_mutex_lock(&lock);
	if (half != NULL) {
		if ((o->promised & PROMISED_HALF) != 0 &&
		    (o->half.queue_offset != half->queue_offset || o->half.log_offset != half->log_offset))
			orders_violated(ORDER_LOST_HALF, "other offsets", order);
		o->half = *half;
	}
	unsigned char before = atomic_fetch_or(&o->promised, (unsigned char)promise);
	if ((promise == PROMISED_COMMIT && (before & PROMISED_ROLLBACK) != 0) ||
	    (promise == PROMISED_ROLLBACK && (before & PROMISED_COMMIT) != 0))
		orders_violated(ORDER_TURNED, "both outcomes acknowledged", order);
	if ((before & promise) == 0)
		promises[promise_count++] = order;
	pthread_mutex_unlock(&lock);
}

void orders_offset_asked(int queue, int64_t offset)
{
	queues[queue].asked = offset;
}

void orders_offset_promised(int queue, int64_t offset)
{
	queues[queue].promised = offset;
}

int64_t orders_read_until(int queue)
{
	pthread_mutex_lock(&lock);
	int64_t until = queues[queue].read_until;
	pthread_mutex_unlock(&lock);
	return until;
}

/* A place that is seen for the first time. */
static void see_new(struct queue_view *view, struct place *place, int64_t offset, int order, const struct message *message)
{
	const struct place *before = offset == 0 ? NULL : place - 1;

	*place = (struct place){ order + 1, message->physical_offset, message->store_timestamp };
	if (before != NULL && before->order != 0 &&
	    (before->physical_offset >= place->physical_offset || before->store_ms > place->store_ms))
		orders_violated(ORDER_DISORDER, "a name or a time goes back", order);
	while (view->read_until < ORDERS_MAX && view->places[view->read_until].order != 0)
		view->read_until++;
	if (order >= 0 && orders[order].seen++ > 0)
		orders_violated(ORDER_DOUBLED, "at a second place", order);
	if (order >= 0 && orders[order].kind == ORDER_TRANSACTION && orders[order].local != ORDER_COMMITTED)
		orders_violated(ORDER_GHOST, "its local transaction has not committed", order);
}

void orders_seen(int queue, int64_t offset, const struct message *message)
{
	struct span key = property_get(message->properties, PROPERTY_UNIQ_KEY);
	struct queue_view *view = &queues[queue];
	int order = orders_find(key.data, key.size);

	if (order < 0 || offset < 0 || offset >= ORDERS_MAX) {
		orders_violated(ORDER_GHOST, "a message that nobody sent", order);
		return;
	}
	if (message->queue_offset != offset)
		orders_violated(ORDER_DISORDER, "not the offset asked for", order);
	pthread_mutex_lock(&lock);
	struct place *place = &view->places[offset];
	if (place->order == 0)
		see_new(view, place, offset, order, message);
	else if (place->order != order + 1 || place->physical_offset != message->physical_offset)
		orders_violated(ORDER_MOVED, "at its place", order);
	pthread_mutex_unlock(&lock);
}

/* --- checks ------------------------------------------------------------------------------------------------------- */

struct reading {
	int queue;
	int64_t offset;
};

static void read_one(void *context, const struct message *message)
{
	struct reading *reading = context;

	orders_seen(reading->queue, reading->offset++, message);
}

static void read_to_end(struct raw *raw, int queue)
{
	struct reading reading = { queue, orders_read_until(queue) };

	/* A little of what was seen before the kill, too: it must still be there. */
	reading.offset = reading.offset > 40 ? reading.offset - 40 : 0;
	for (;;) {
		int64_t asked = reading.offset;
		int64_t next = raw_pull(raw, "auditors", "orders", queue, asked, 0, read_one, &reading);

		if (next < 0 || (next > asked && next != reading.offset))
			orders_violated(ORDER_DISORDER, "a queue that cannot be read on", -1);
		if (next <= asked)
			return;
	}
}

static void check_visible(int order)
{
	const struct order *o = &orders[order];

	if ((o->promised & PROMISED_COMMIT) != 0 && o->seen == 0)
		orders_violated(ORDER_LOST_COMMIT, "after a kill", order);
	if ((o->promised & PROMISED_MESSAGE) != 0 && o->kind == ORDER_PLAIN && o->seen == 0)
		orders_violated(ORDER_LOST_MESSAGE, "after a kill", order);
}

/* The same request again gets the same answer, the opposite is refused. */
static void ask_again(struct raw *raw, int order)
{
	struct order *o = &orders[order];
	bool commit = (o->promised & PROMISED_COMMIT) != 0, rollback = (o->promised & PROMISED_ROLLBACK) != 0;
	struct raw_half half = { 0 }, known;
	char key[ORDER_KEY_SIZE];

	if ((o->promised & PROMISED_HALF) == 0)
		return;
	pthread_mutex_lock(&lock);
	known = o->half;
	pthread_mutex_unlock(&lock);
	orders_key(order, key);
	struct raw_message message = { .group = "torture", .topic = "orders", .key = key, .size = 200,
				       .queue_id = order % ORDERS_QUEUES, .half = true };
	int code = raw_send_message(raw, &message, &half);
	if (code == RESP_SUCCESS)
		orders_promise(order, PROMISED_HALF, &half);
	else if (code != RESP_MESSAGE_ILLEGAL || commit)
		orders_violated(ORDER_LOST_HALF, "its resend is refused", order);
	if (!commit && !rollback)
		return;
	if (raw_end(raw, "torture", key, &known, commit ? 8 : 12) != RESP_SUCCESS)
		orders_violated(ORDER_TURNED, "the same again is refused", order);
	if (raw_end(raw, "torture", key, &known, commit ? 12 : 8) != RESP_ILLEGAL_OPERATION)
		orders_violated(ORDER_TURNED, "the opposite is not refused", order);
}

static void check_offsets(struct raw *raw)
{
	for (int queue = 0; queue < ORDERS_QUEUES; queue++) {
		int64_t promised = queues[queue].promised;
		int64_t known = promised < 0 ? -1 : raw_query_queue_offset(raw, "readers", "orders", queue);

		if (promised >= 0 && (known < promised || known > queues[queue].asked))
			orders_violated(ORDER_LOST_OFFSET, "of a queue", queue);
	}
}

void orders_check_promises(unsigned port)
{
	struct raw *raw = raw_connect(port);
	int end, step;

	if (raw == NULL) {
		orders_violated(ORDER_BAD_END, "no connection to a broker that is ready", -1);
		return;
	}
	pthread_mutex_lock(&lock);
	end = promise_count;
	pthread_mutex_unlock(&lock);
	check_offsets(raw);
	for (int queue = 0; queue < ORDERS_QUEUES; queue++)
		read_to_end(raw, queue);
	/* Places below `end` do not change any more. */
	for (int i = promises_checked; i < end; i++)
		check_visible(promises[i]);
	step = (end - promises_checked) / ASKED_AGAIN_MAX + 1;
	for (int i = end - 1; i >= promises_checked; i -= step) /* The last ones are in most danger. */
		ask_again(raw, promises[i]);
	promises_checked = end;
	raw_close(raw);
}

bool orders_at_rest(void)
{
	for (int i = 0; i < orders_count(); i++) {
		const struct order *o = &orders[i];
		bool due = o->kind == ORDER_TRANSACTION ? o->local == ORDER_COMMITTED : (o->promised & PROMISED_MESSAGE) != 0;

		if (due && o->seen == 0)
			return false;
	}
	return true;
}

void orders_check_all(void)
{
	for (int i = 0; i < orders_count(); i++) {
		const struct order *o = &orders[i];

		if (o->kind == ORDER_TRANSACTION && o->local == ORDER_COMMITTED && o->seen == 0)
			orders_violated((o->promised & PROMISED_COMMIT) != 0 ? ORDER_LOST_COMMIT : ORDER_UNRESOLVED, "in the end", i);
		if ((o->promised & PROMISED_MESSAGE) != 0 && o->seen == 0)
			orders_violated(ORDER_LOST_MESSAGE, "in the end", i);
	}
}

void orders_check_log(const char *store)
{
	static uint8_t halves[ORDERS_MAX], decisions[ORDERS_MAX];
	struct logreader *reader;
	struct log_record record;
	struct errinfo err;

	memset(halves, 0, sizeof(halves));
	memset(decisions, 0, sizeof(decisions));
	if (logreader_open(vfs_posix(), store, 0, &reader, &err) != ST_OK) {
		orders_violated(ORDER_BAD_END, err.text, -1);
		return;
	}
	while (logreader_next(reader, LOG_NO_LIMIT, &record, &err) == ST_OK) {
		struct record_half half;
		struct record_decision decision;
		int order = -1;

		if (record.kind == LOG_HALF && record_half_decode(record.payload, &half, &err) == ST_OK &&
		    (order = orders_find(half.transaction_id.data, half.transaction_id.size)) >= 0 && ++halves[order] > 1)
			orders_violated(ORDER_DOUBLED, "two HALF records", order);
		if (record.kind == LOG_DECISION && record_decision_decode(record.payload, &decision, &err) == ST_OK &&
		    (order = orders_find(decision.transaction_id.data, decision.transaction_id.size)) >= 0)
			decisions[order]++;
	}
	logreader_close(reader);
	for (int i = 0; i < orders_count(); i++) {
		if (decisions[i] > 1 || ((orders[i].promised & PROMISED_HALF) != 0 && decisions[i] != 1))
			orders_violated(ORDER_DROPPED, decisions[i] > 1 ? "two decisions" : "none", i);
	}
}
