/* lib/txn/txn_state: every state, event and asker against a table written from RocketMQ's and our rules, not from the
 * code under test. */
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

#include "lib/txn/txn_state.h"

/* A row per state, a column per event, a letter per asker in the order producer, check-back, operator, SQL, policy:
 * c, r, p, o = apply and become committed, rolled back, parked, open (prepared); = same; ! refused; . denied. */
static const char *const rules[4][4] = {
	/* commit    rollback   park       resume */
	{ "ccccc", "rrrrr", "..ppp", "..==." }, /* prepared */
	{ "=====", "!!!!!", "..!!!", "..!!." }, /* committed */
	{ "!!!!!", "=====", "..!!!", "..!!." }, /* rolled back */
	{ "ccccc", "rrrrr", "..===", "..oo." }, /* parked */
};

static enum txn_state state_of(char letter)
{
	switch (letter) {
	case 'c': return TXN_COMMITTED;
	case 'r': return TXN_ROLLED_BACK;
	case 'p': return TXN_PARKED;
	default: return TXN_PREPARED;
	}
}

static void check_one(enum txn_state state, enum txn_event event, enum txn_who who)
{
	char letter = rules[state - 1][event - 1][who - 1];
	enum txn_state next = (enum txn_state)0;
	enum txn_verdict verdict = txn_decide(state, event, who, &next);
	enum txn_verdict expected = letter == '=' ? TXN_SAME : letter == '!' ? TXN_REFUSE : letter == '.' ? TXN_DENIED : TXN_APPLY;
	enum txn_state expected_next = expected == TXN_APPLY ? state_of(letter) : state;

	if (verdict != expected || next != expected_next)
		printf("%s, %s by %d: verdict %d, next %d\n", txn_state_text(state), txn_event_text(event), who, verdict, next);
	CU_ASSERT_EQUAL(verdict, expected);
	CU_ASSERT(verdict != TXN_APPLY || txn_state_after(event) == next);
	CU_ASSERT_EQUAL(next, expected_next);
}

static void test_every_transition_against_the_rules(void)
{
	for (int state = TXN_PREPARED; state <= TXN_PARKED; state++) {
		for (int event = TXN_COMMIT; event <= TXN_RESUME; event++) {
			for (int who = TXN_PRODUCER; who <= TXN_POLICY; who++)
				check_one((enum txn_state)state, (enum txn_event)event, (enum txn_who)who);
		}
	}
}

/* Whatever is asked in whatever order, the first commit or rollback stands. */
static void test_a_final_decision_is_never_left(void)
{
	uint64_t random = check_seed(11);

	for (int run = 0; run < 2000; run++) {
		enum txn_state state = TXN_PREPARED, final = (enum txn_state)0;

		for (int step = 0; step < 20; step++) {
			enum txn_event event = (enum txn_event)(TXN_COMMIT + check_random(&random) % 4);
			enum txn_who who = (enum txn_who)(TXN_PRODUCER + check_random(&random) % 5);
			enum txn_state next;

			if (txn_decide(state, event, who, &next) != TXN_APPLY && next != state)
				CU_FAIL("a state changed without being applied");
			state = next;
			if (final != 0 && state != final)
				CU_FAIL("a final decision was left");
			if (state == TXN_COMMITTED || state == TXN_ROLLED_BACK)
				final = state;
		}
	}
}

/* The half index stores the states and DECISION records the askers and events. */
static void test_numbers_on_disk_do_not_move(void)
{
	CU_ASSERT_EQUAL(TXN_PREPARED, 1);
	CU_ASSERT_EQUAL(TXN_COMMITTED, 2);
	CU_ASSERT_EQUAL(TXN_ROLLED_BACK, 3);
	CU_ASSERT_EQUAL(TXN_PARKED, 4);
	CU_ASSERT_EQUAL(TXN_PRODUCER, 1);
	CU_ASSERT_EQUAL(TXN_CHECKBACK, 2);
	CU_ASSERT_EQUAL(TXN_OPERATOR, 3);
	CU_ASSERT_EQUAL(TXN_SQL, 4);
	CU_ASSERT_EQUAL(TXN_POLICY, 5);
}

static void test_texts(void)
{
	CU_ASSERT_STRING_EQUAL(txn_state_text(TXN_ROLLED_BACK), "rolled back");
	CU_ASSERT_STRING_EQUAL(txn_event_text(TXN_RESUME), "resume");
	CU_ASSERT_STRING_EQUAL(txn_state_text((enum txn_state)9), "?");
	CU_ASSERT_STRING_EQUAL(txn_event_text((enum txn_event)0), "?");
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_every_transition_against_the_rules),
		CHECK_TEST(test_a_final_decision_is_never_left),
		CHECK_TEST(test_numbers_on_disk_do_not_move),
		CHECK_TEST(test_texts),
	};
	return check_main("txn_state", tests, sizeof(tests) / sizeof(tests[0]));
}
