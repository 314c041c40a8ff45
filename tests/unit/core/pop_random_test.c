/* Consuming by POP at random, held against a model: nothing is given out while somebody has it or after it was acknowledged, and
 * all comes in the end; after restarts and from snapshots, too. */
#include "tests/unit/core/pop_fixture.h"

enum { MODEL_MESSAGES = 400, MODEL_HELD = 512 };

struct held {
	struct pop_handle handle;
	unsigned number;
	int64_t due_ms;
};

struct model {
	struct fixture *f;
	uint64_t random;
	unsigned sent;
	int64_t taken_until[MODEL_MESSAGES];  /* Nobody else may get it before; 0: nobody has it. */
	bool acked[MODEL_MESSAGES];
	struct held held[MODEL_HELD];
	size_t held_count;
};

static uint32_t below(struct model *m, uint32_t limit)
{
	return (uint32_t)(check_random(&m->random) % limit);
}

static void model_pop(struct model *m)
{
	static struct popped popped;
	struct pop_header header = whole_topic;

	header.max_msg_nums = (int32_t)(1 + below(m, 32));
	header.queue_id = (int32_t)below(m, 5) - 1;
	pop(m->f, &header, &popped);
	for (size_t i = 0; i < popped.count; i++) {
		unsigned number = 0;
		for (size_t at = 0; at < popped.messages[i].body.size; at++)
			number = number * 10 + (popped.messages[i].body.data[at] - '0');
		CU_ASSERT_TRUE_FATAL(number < m->sent);
		CU_ASSERT_FALSE(m->acked[number]);
		CU_ASSERT_TRUE(m->taken_until[number] <= m->f->clock.wall_now_ms);
		m->taken_until[number] = m->f->clock.wall_now_ms + INVISIBLE_MS;
		if (m->held_count < MODEL_HELD)
			m->held[m->held_count++] = (struct held){ handle_of(&popped, i, false), number, m->taken_until[number] };
	}
}

static void model_settle(struct model *m)
{
	struct pop_changed changed;
	struct outcome outcome = { 0 };

	if (m->held_count == 0)
		return;
	size_t at = below(m, (uint32_t)m->held_count);
	struct held held = m->held[at];
	m->held[at] = m->held[--m->held_count];
	if (held.due_ms <= m->f->clock.wall_now_ms)
		return; /* Forgotten by its client. */
	if (below(m, 4) == 0) {
		CU_ASSERT_EQUAL(core_pop_change(m->f->core, &held.handle, 3000, &changed, &outcome), ST_OK);
		m->taken_until[held.number] = m->f->clock.wall_now_ms + 3000;
		return;
	}
	CU_ASSERT_EQUAL(ack(m->f, &held.handle), RESP_SUCCESS);
	m->acked[held.number] = true;
}

static void model_step(struct model *m)
{
	char key[16];

	switch (below(m, 12)) {
	case 0:
	case 1:
	case 2:
		if (m->sent == MODEL_MESSAGES)
			break;
		snprintf(key, sizeof(key), "%u", m->sent++);
		send(m->f, key, (int32_t)below(m, 4));
		break;
	case 3:
	case 4: model_pop(m); break;
	case 5: fixture_advance(m->f, 10 * (1 + below(m, 100))); break;
	case 6:
		if (below(m, 20) == 0)
			fixture_snapshot(m->f);
		if (below(m, 20) == 0)
			fixture_restart(m->f);
		break;
	default: model_settle(m); break;
	}
}

static void test_random_pops(void)
{
	struct model *m = calloc(1, sizeof(*m));
	unsigned left = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	m->random = check_seed(610);
	m->f = fixture_create(NULL);
	set_retries(m->f, 10000);
	send(m->f, "0", 0);
	m->sent = 1;
	for (int i = 0; i < 4000; i++)
		model_step(m);
	/* Whatever is left comes in the end. */
	for (int i = 0; i < 40; i++) {
		m->held_count = 0;
		lapse(m->f);
		for (int n = 0; n < 40; n++) {
			model_pop(m);
			while (m->held_count > 0)
				model_settle(m);
		}
	}
	for (unsigned i = 0; i < m->sent; i++)
		left += !m->acked[i];
	CU_ASSERT_EQUAL(left, 0);
	CU_ASSERT_EQUAL(m->f->core->pops.live, 0);
	fixture_destroy(m->f);
	free(m);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_random_pops),
	};
	return check_main("pop at random", tests, sizeof(tests) / sizeof(tests[0]));
}
