/* lib/audit over random histories: each passes as it is, and none passes any more when one record that matters is left
 * out, comes twice, or has one bit of its payload changed where the audit promises to look. */
#include "tests/unit/audit/audit_log.h"

enum { STEPS = 120, RECORDS_MAX = 400, OPEN_MAX = 32, PAYLOAD_MAX = 600 };

struct kept {
	unsigned kind;
	uint32_t epoch;
	uint64_t offset;
	size_t size;
	uint8_t payload[PAYLOAD_MAX];
	bool last_of_queue; /* The last one that gave a place in its queue. */
	uint32_t queue_id;  /* UINT32_MAX: gave none. */
};

struct history {
	struct audit_log log;
	uint64_t random;
	struct kept kept[RECORDS_MAX];
	size_t count;
	struct stored_half *open[OPEN_MAX];
	size_t open_count;
	struct { struct record_message r; uint64_t at; } waiting[OPEN_MAX];
	size_t waiting_count;
};

static uint64_t chance(struct history *h, uint64_t n)
{
	return check_random(&h->random) % n;
}

static uint64_t keep(struct history *h, unsigned kind, const uint8_t *payload, size_t size, uint32_t queue_id)
{
	assert(h->count < RECORDS_MAX && size <= PAYLOAD_MAX);
	struct kept *kept = &h->kept[h->count++];
	*kept = (struct kept){ .kind = kind, .epoch = h->log.epoch, .size = size, .queue_id = queue_id };
	memcpy(kept->payload, payload, size);
	kept->offset = put_record(&h->log, kind, payload, size);
	for (size_t i = 0; queue_id != UINT32_MAX && i < h->count; i++) {
		if (h->kept[i].queue_id == queue_id)
			h->kept[i].last_of_queue = i == h->count - 1;
	}
	return kept->offset;
}

#define KEEP(h, kind, type, record_pointer, queue_id)                             \
	__extension__({                                                           \
		uint8_t payload_[PAYLOAD_MAX];                                    \
		record_##type##_encode(record_pointer, payload_);                 \
		keep(h, kind, payload_, record_##type##_size(record_pointer), queue_id); \
	})

static void step_half(struct history *h)
{
	if (h->open_count == OPEN_MAX)
		return;
	struct stored_half *stored = calloc(1, sizeof(*stored));
	struct record_half half = next_half(&h->log, stored);

	half.queue_id = (uint32_t)chance(h, 4);
	stored->half = half;
	stored->delta = stored->body_delta = (uint16_t)(LOG_ENVELOPE_SIZE + record_half_size(&half) - half.message.size);
	stored->offset = stored->body_offset = KEEP(h, LOG_HALF, half, &half, UINT32_MAX);
	h->open[h->open_count++] = stored;
}

static void step_decide(struct history *h)
{
	if (h->open_count == 0)
		return;
	size_t i = chance(h, h->open_count);
	struct stored_half *stored = h->open[i];
	bool commit = chance(h, 3) > 0;
	struct record_decision r = decision_on(&h->log, stored, commit ? OUTCOME_COMMIT : OUTCOME_ROLLBACK);

	KEEP(h, LOG_DECISION, decision, &r, commit ? r.queue_id : UINT32_MAX);
	h->log.queue_offsets[r.queue_id] += commit;
	h->open[i] = h->open[--h->open_count];
	free(stored);
}

static void step_message(struct history *h)
{
	bool delayed = chance(h, 3) == 0 && h->waiting_count < OPEN_MAX;
	struct record_message r = message_for(&h->log, (uint32_t)chance(h, 4), delayed ? 1 + (int64_t)chance(h, 50) : 0);
	uint64_t at = KEEP(h, LOG_MESSAGE, message, &r, delayed ? UINT32_MAX : r.queue_id);

	if (delayed) {
		h->waiting[h->waiting_count].r = r;
		h->waiting[h->waiting_count++].at = at;
	} else {
		h->log.queue_offsets[r.queue_id]++;
	}
}

static void step_deliver(struct history *h)
{
	if (h->waiting_count == 0)
		return;
	size_t i = chance(h, h->waiting_count);
	struct record_deliver r = deliver_message(&h->log, &h->waiting[i].r, h->waiting[i].at);

	if (r.deliver_time_ms > h->log.now_ms)
		h->log.now_ms = r.deliver_time_ms;
	KEEP(h, LOG_DELIVER, deliver, &r, r.queue_id);
	h->log.queue_offsets[r.queue_id]++;
	h->waiting[i] = h->waiting[--h->waiting_count];
}

static void step_carry(struct history *h)
{
	uint8_t payload[PAYLOAD_MAX];

	if (h->open_count == 0)
		return;
	struct stored_half *stored = h->open[chance(h, h->open_count)];
	record_half_encode(&stored->half, payload);
	struct record_carry r = { stored->offset, CARRY_HALF, { payload, record_half_size(&stored->half) } };
	stored->body_offset = KEEP(h, LOG_CARRY, carry, &r, UINT32_MAX);
	stored->body_delta = (uint16_t)(stored->delta + 15);
}

static struct history *make_history(uint64_t seed)
{
	struct history *h = calloc(1, sizeof(*h));

	assert(h != NULL);
	h->random = seed;
	begin_log(&h->log, LOG_SEGMENT_HEADER_SIZE);
	for (int i = 0; i < STEPS; i++) {
		static void (*const steps[])(struct history *) = { step_half, step_half, step_half, step_decide, step_decide,
								   step_message, step_message, step_deliver, step_carry };
		steps[chance(h, sizeof(steps) / sizeof(steps[0]))](h);
	}
	EXPECT_CLEAN(&h->log);
	return h;
}

static void free_history(struct history *h)
{
	while (h->open_count > 0)
		free(h->open[--h->open_count]);
	end_log(&h->log);
	free(h);
}

static void feed(struct audit *audit, const struct kept *kept, uint64_t offset)
{
	struct log_record record = { .kind = kept->kind, .epoch = kept->epoch, .offset = offset,
				     .size = (uint32_t)commitlog_record_size(kept->size),
				     .payload = { kept->payload, kept->size } };
	struct errinfo err;

	CU_ASSERT_EQUAL(audit_record(audit, &record, &err), ST_OK);
}

static struct audit *begin_again(void)
{
	struct audit *audit = audit_create(NULL, NULL);
	struct kept epoch = { .kind = LOG_EPOCH, .epoch = 1, .size = 32 };

	assert(audit != NULL);
	feed(audit, &epoch, LOG_SEGMENT_HEADER_SIZE);
	return audit;
}

static uint64_t violations(struct audit *audit)
{
	struct audit_facts facts;

	audit_facts(audit, &facts);
	audit_destroy(audit);
	return facts.violation_count;
}

/* Is there a later record that shows that this one is missing? */
static bool would_be_missed(const struct history *h, size_t index)
{
	const struct kept *kept = &h->kept[index];

	switch (kept->kind) {
	case LOG_HALF: /* The next number, or a decision. */
		for (size_t i = index + 1; i < h->count; i++) {
			if (h->kept[i].kind == LOG_HALF)
				return true;
		}
		return false;
	case LOG_DECISION:
	case LOG_MESSAGE:
	case LOG_DELIVER: return kept->queue_id != UINT32_MAX && !kept->last_of_queue;
	default: return false;
	}
}

static void test_a_record_left_out_is_missed(void)
{
	uint64_t seed = check_seed(3), tried = 0;

	for (int run = 0; run < 10; run++) {
		struct history *h = make_history(check_random(&seed));

		for (size_t left_out = 0; left_out < h->count; left_out++) {
			if (!would_be_missed(h, left_out))
				continue;
			struct audit *audit = begin_again();
			for (size_t i = 0; i < h->count; i++) {
				if (i != left_out)
					feed(audit, &h->kept[i], h->kept[i].offset);
			}
			CU_ASSERT(violations(audit) > 0);
			tried++;
		}
		free_history(h);
	}
	printf(" [%llu records left out]", (unsigned long long)tried);
	CU_ASSERT(tried > 300);
}

static void test_a_record_that_comes_twice_is_found(void)
{
	uint64_t seed = check_seed(4);

	for (int run = 0; run < 10; run++) {
		struct history *h = make_history(check_random(&seed));

		for (size_t twice = 0; twice < h->count; twice++) {
			/* A delayed message is another message; a CARRY may be repeated while its half is open. */
			if (h->kept[twice].kind == LOG_CARRY ||
			    (h->kept[twice].kind == LOG_MESSAGE && h->kept[twice].queue_id == UINT32_MAX))
				continue;
			struct audit *audit = begin_again();
			for (size_t i = 0; i < h->count; i++)
				feed(audit, &h->kept[i], h->kept[i].offset);
			feed(audit, &h->kept[twice], h->log.at);
			CU_ASSERT(violations(audit) > 0);
		}
		free_history(h);
	}
}

/* Which bytes of a payload no invariant speaks of: what a message is, when it was checked, who decided and why, what
 * a message's own text says. For the others every single bit counts. */
static bool byte_matters(const struct kept *kept, size_t at)
{
	switch (kept->kind) {
	case LOG_CARRY: return true;
	case LOG_DELIVER: return at < 37 || at >= 45; /* Not the delivery time: later is fine. */
	case LOG_DECISION: /* Version to the half's store time, body, size, place. */
		return at >= 4 && at < 42;
	default: return false;
	}
}

static void test_every_bit_of_a_reference_counts(void)
{
	uint64_t seed = check_seed(5), tried = 0;

	for (int run = 0; run < 3; run++) {
		struct history *h = make_history(check_random(&seed));

		for (size_t changed = 0; changed < h->count; changed++) {
			for (size_t bit = 0; bit < h->kept[changed].size * 8; bit++) {
				if (!byte_matters(&h->kept[changed], bit / 8))
					continue;
				struct audit *audit = begin_again();
				h->kept[changed].payload[bit / 8] ^= (uint8_t)(1 << bit % 8);
				for (size_t i = 0; i < h->count; i++)
					feed(audit, &h->kept[i], h->kept[i].offset);
				h->kept[changed].payload[bit / 8] ^= (uint8_t)(1 << bit % 8);
				if (violations(audit) == 0) {
					fprintf(stderr, "%u: bit %zu of byte %zu\n", h->kept[changed].kind, bit % 8, bit / 8);
					CU_FAIL("a changed bit was not found");
				}
				tried++;
			}
		}
		free_history(h);
	}
	printf(" [%llu bits]", (unsigned long long)tried);
	CU_ASSERT(tried > 1000);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_record_left_out_is_missed),
		CHECK_TEST(test_a_record_that_comes_twice_is_found),
		CHECK_TEST(test_every_bit_of_a_reference_counts),
	};

	return check_main("audit_random", tests, sizeof(tests) / sizeof(tests[0]));
}
