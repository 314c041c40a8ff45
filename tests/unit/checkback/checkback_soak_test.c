/* checkback/: random traffic on virtual time, held against a naive model. SEED=n repeats a run. */
#include "tests/unit/checkback/checkback_fixture.h"

#include <stdio.h>

enum { HALVES_MAX = 6000, GROUPS = 4, CONNS = 3, STEPS = 60000, SLACK_MS = 50, RETURN_MS = 500 };

struct model {
	bool open, parked;
	uint32_t group;
	int64_t first_due_ms;
	uint32_t unknown_count;
	int64_t unknown_ms;        /* The last one. */
	uint64_t outstanding_conn; /* 0: nobody is being asked. */
	int64_t asked_ms;
};

struct soak {
	struct world *world;
	uint64_t random;
	struct model halves[HALVES_MAX];
	uint64_t half_count;
	bool connected[GROUPS][CONNS];
	int64_t returned_ms[GROUPS]; /* -1: no producer. */
	size_t asks_seen;
	size_t returns_checked;
};

static uint64_t chance(struct soak *s, uint64_t n)
{
	return check_random(&s->random) % n;
}

static uint64_t conn_of(uint32_t group, uint32_t number)
{
	return 1 + group * CONNS + number;
}

static uint32_t connected_count(const struct soak *s, uint32_t group)
{
	uint32_t count = 0;

	for (int i = 0; i < CONNS; i++)
		count += s->connected[group][i];
	return count;
}

/* May it be asked about, whoever comes and goes? */
static bool has_rested(const struct soak *s, const struct model *half, int64_t at_ms)
{
	return half->unknown_ms + s->world->config.check_interval_ms <= at_ms;
}

/* Every new question: to a live connection of the right group, about one that is open, in doubt, rested and not being
 * asked. */
static void check_asks(struct soak *s)
{
	struct world *w = s->world;

	for (; s->asks_seen < w->asked_count; s->asks_seen++) {
		const struct asked *asked = &w->asked[s->asks_seen];
		struct model *half = &s->halves[asked->half];

		CU_ASSERT_TRUE_FATAL(half->open && !half->parked);
		CU_ASSERT_TRUE_FATAL(asked->at_ms >= half->first_due_ms);
		CU_ASSERT_TRUE_FATAL(has_rested(s, half, asked->at_ms));
		CU_ASSERT_TRUE_FATAL(half->outstanding_conn == 0 || asked->at_ms >= half->asked_ms + 5000);
		CU_ASSERT_EQUAL_FATAL((asked->conn - 1) / CONNS, half->group);
		CU_ASSERT_TRUE_FATAL(s->connected[half->group][(asked->conn - 1) % CONNS]);
		half->outstanding_conn = asked->conn;
		half->asked_ms = asked->at_ms;
	}
	if (w->asked_count > ASKED_MAX / 2)
		s->asks_seen = w->asked_count = 0;
}

static void check_counts(struct soak *s)
{
	struct world *w = s->world;
	uint64_t least = 0, most = 0, under_way[GROUPS * CONNS + 1] = { 0 };

	for (uint64_t n = 0; n < s->half_count; n++) {
		const struct model *half = &s->halves[n];
		const struct pending *entry = pending_find(w->table, n);

		CU_ASSERT_EQUAL_FATAL(entry != NULL, half->open);
		if (!half->open)
			continue;
		CU_ASSERT_EQUAL_FATAL(entry->answered, half->unknown_count);
		CU_ASSERT_EQUAL_FATAL(entry->state == TXN_PARKED, half->parked);
		if (half->parked)
			continue;
		most += half->first_due_ms <= w->now_ms;
		least += half->first_due_ms <= w->now_ms - SLACK_MS;
		if (half->outstanding_conn != 0 && w->now_ms < half->asked_ms + 5000)
			under_way[half->outstanding_conn]++;
	}
	CU_ASSERT_TRUE_FATAL(checkback_in_doubt(w->checkback) >= least && checkback_in_doubt(w->checkback) <= most);
	for (int i = 1; i <= GROUPS * CONNS; i++)
		CU_ASSERT_TRUE_FATAL(under_way[i] <= w->config.window_max);
}

/* All that were in doubt and had rested when a group returned have been asked about since. */
static void check_return(struct soak *s, uint32_t group)
{
	for (uint64_t n = 0; n < s->half_count; n++) {
		const struct model *half = &s->halves[n];

		if (half->open && !half->parked && half->group == group &&
		    half->first_due_ms <= s->returned_ms[group] - SLACK_MS && has_rested(s, half, s->returned_ms[group]))
			CU_ASSERT_TRUE_FATAL(half->asked_ms >= s->returned_ms[group]);
	}
	s->returns_checked++;
}

static void open_one(struct soak *s)
{
	static const int64_t delays_ms[] = { 6000, 6000, 6000, 6000, 0, 500, 90000 };
	uint32_t group = (uint32_t)chance(s, GROUPS), conn = (uint32_t)chance(s, CONNS);
	int64_t delay_ms = delays_ms[chance(s, 7)];

	if (s->half_count == HALVES_MAX)
		return;
	s->halves[s->half_count] = (struct model){ .open = true, .group = group, .first_due_ms = s->world->now_ms + delay_ms,
						   .unknown_ms = INT64_MIN / 2, .asked_ms = INT64_MIN / 2 };
	world_open_delayed(s->world, s->half_count++, group, conn_of(group, conn), delay_ms);
}

static void answer_one(struct soak *s)
{
	uint64_t n = s->half_count == 0 ? 0 : chance(s, s->half_count);
	struct model *half = &s->halves[n];

	if (s->half_count == 0 || !half->open)
		return;
	if (half->parked || half->outstanding_conn == 0 || chance(s, 3) == 0) {
		half->open = false;
		world_decide(s->world, n);
		return;
	}
	half->outstanding_conn = 0;
	half->unknown_count++;
	half->unknown_ms = s->world->now_ms;
	half->parked = half->unknown_count >= s->world->config.check_max;
	world_unknown(s->world, n);
}

static void set_connected(struct soak *s, uint32_t group, uint32_t number, bool connected)
{
	if (s->connected[group][number] == connected)
		return;
	s->connected[group][number] = connected;
	if (connected) {
		if (connected_count(s, group) == 1)
			s->returned_ms[group] = s->world->now_ms;
		world_seen(s->world, group, conn_of(group, number));
		return;
	}
	if (connected_count(s, group) == 0)
		s->returned_ms[group] = -1;
	for (uint64_t n = 0; n < s->half_count; n++) {
		if (s->halves[n].outstanding_conn == conn_of(group, number))
			s->halves[n].outstanding_conn = 0;
	}
	checkback_producer_gone(s->world->checkback, group, conn_of(group, number));
	checkback_dispatch(s->world->checkback, s->world->now_ms);
}

static void one_step(struct soak *s)
{
	uint64_t dice = chance(s, 100);

	if (dice < 12)
		open_one(s);
	else if (dice < 60)
		answer_one(s);
	else if (dice < 61)
		set_connected(s, (uint32_t)chance(s, GROUPS), (uint32_t)chance(s, CONNS), chance(s, 2) == 0);
	else
		world_pass(s->world, dice < 99 ? STEP_MS : 1000);
	check_asks(s);
}

/* With everybody there and willing, all come to an end, and each is asked about within its longest back-off. */
static void come_to_rest(struct soak *s)
{
	for (uint32_t group = 0; group < GROUPS; group++) {
		for (uint32_t i = 0; i < CONNS; i++)
			set_connected(s, group, i, true);
	}
	for (int i = 0; i < 30000; i++) {
		world_pass(s->world, STEP_MS);
		check_asks(s);
		for (uint64_t n = 0; n < s->half_count; n++) {
			if (s->halves[n].open && s->halves[n].outstanding_conn != 0) {
				s->halves[n].open = false;
				world_decide(s->world, n);
				check_asks(s);
			}
		}
	}
	for (uint64_t n = 0; n < s->half_count; n++)
		CU_ASSERT_TRUE(!s->halves[n].open || s->halves[n].parked);
}

static void test_random_traffic_keeps_the_rules(void)
{
	struct soak *s = calloc(1, sizeof(*s));
	struct checkback_config config = checkback_config_default();

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	config.check_max = 4;
	config.window_start = config.window_max; /* So that one producer can be asked about all that a return finds. */
	s->random = check_seed(7);
	s->world = world_with(config);
	for (int i = 0; i < GROUPS; i++)
		s->returned_ms[i] = -1;
	for (int i = 0; i < STEPS; i++) {
		one_step(s);
		if (i % 500 == 0)
			check_counts(s);
		for (uint32_t group = 0; group < GROUPS; group++) {
			if (s->returned_ms[group] < 0 || s->world->now_ms - s->returned_ms[group] < RETURN_MS)
				continue;
			check_return(s, group);
			s->returned_ms[group] = -1;
		}
	}
	CU_ASSERT_TRUE(s->half_count > STEPS / 20);
	CU_ASSERT_TRUE(s->returns_checked > 10);
	CU_ASSERT_TRUE(s->world->exhausted_count > 0);
	come_to_rest(s);
	check_counts(s);
	world_free(s->world);
	free(s);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_random_traffic_keeps_the_rules),
	};
	return check_main("checkback soak", tests, sizeof(tests) / sizeof(tests[0]));
}
