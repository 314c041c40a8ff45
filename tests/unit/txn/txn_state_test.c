/* The transition table, cell by cell: every state, event and who. */
#include "tests/support/check.h"

#include <stdio.h>
#include <string.h>

#include "lib/txn/txn_state.h"

/* One line per state and event; one letter for each of producer, check-back, operator, SQL, policy:
 * C R K P = applied, and the state becomes committed, rolled back, parked (kept), prepared;
 * s = the same already; x = refused, it contradicts a final decision; - = not theirs to ask. */
static const struct {
	enum txn_state state;
	enum txn_event event;
	const char *verdicts;
} cells[] = {
	{ TXN_PREPARED, TXN_COMMIT, "CCCCC" },    { TXN_PREPARED, TXN_ROLLBACK, "RRRRR" },
	{ TXN_PREPARED, TXN_PARK, "--KKK" },      { TXN_PREPARED, TXN_RESUME, "--ss-" },
	{ TXN_COMMITTED, TXN_COMMIT, "sssss" },   { TXN_COMMITTED, TXN_ROLLBACK, "xxxxx" },
	{ TXN_COMMITTED, TXN_PARK, "--xxx" },     { TXN_COMMITTED, TXN_RESUME, "--xx-" },
	{ TXN_ROLLED_BACK, TXN_COMMIT, "xxxxx" }, { TXN_ROLLED_BACK, TXN_ROLLBACK, "sssss" },
	{ TXN_ROLLED_BACK, TXN_PARK, "--xxx" },   { TXN_ROLLED_BACK, TXN_RESUME, "--xx-" },
	{ TXN_PARKED, TXN_COMMIT, "CCCCC" },      { TXN_PARKED, TXN_ROLLBACK, "RRRRR" },
	{ TXN_PARKED, TXN_PARK, "--sss" },        { TXN_PARKED, TXN_RESUME, "--PP-" },
};

static void expect(enum txn_state state, enum txn_event event, enum txn_who who, char letter)
{
	enum txn_state next = 0, want = state;
	enum txn_verdict verdict = txn_decide(state, event, who, &next);

	switch (letter) {
	case 's': CU_ASSERT_EQUAL(verdict, TXN_SAME); break;
	case 'x': CU_ASSERT_EQUAL(verdict, TXN_REFUSE); break;
	case '-': CU_ASSERT_EQUAL(verdict, TXN_DENIED); break;
	default:
		CU_ASSERT_EQUAL(verdict, TXN_APPLY);
		want = letter == 'C' ? TXN_COMMITTED : letter == 'R' ? TXN_ROLLED_BACK : letter == 'K' ? TXN_PARKED : TXN_PREPARED;
	}
	CU_ASSERT_EQUAL(next, want);
}

static void test_every_cell_of_the_table(void)
{
	unsigned seen = 0;

	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
		for (int who = TXN_PRODUCER; who <= TXN_POLICY; who++)
			expect(cells[i].state, cells[i].event, (enum txn_who)who, cells[i].verdicts[who - TXN_PRODUCER]);
		seen |= 1u << ((cells[i].state - 1) * 4 + (cells[i].event - 1));
	}
	CU_ASSERT_EQUAL(seen, 0xffff);
}

/* Whatever comes in whatever order: what is committed or rolled back stays so. */
static void test_random_walks_never_leave_a_final_state(void)
{
	uint64_t random = check_seed(3);

	for (int walk = 0; walk < 10000; walk++) {
		enum txn_state state = TXN_PREPARED, first_final = 0;

		for (int step = 0; step < 20; step++) {
			enum txn_event event = (enum txn_event)(1 + check_random(&random) % 4);
			enum txn_who who = (enum txn_who)(1 + check_random(&random) % 5);
			enum txn_state next;

			if (txn_decide(state, event, who, &next) != TXN_APPLY) {
				CU_ASSERT_EQUAL_FATAL(next, state);
				continue;
			}
			CU_ASSERT_NOT_EQUAL_FATAL(next, state);
			CU_ASSERT_EQUAL_FATAL(first_final, 0);
			state = next;
			if (!txn_is_open(state))
				first_final = state;
		}
	}
}

static void test_texts(void)
{
	CU_ASSERT_STRING_EQUAL(txn_state_text(TXN_PREPARED), "prepared");
	CU_ASSERT_STRING_EQUAL(txn_state_text(TXN_ROLLED_BACK), "rolled back");
	CU_ASSERT_STRING_EQUAL(txn_state_text((enum txn_state)9), "?");
	CU_ASSERT_STRING_EQUAL(txn_event_text(TXN_RESUME), "resume");
	CU_ASSERT_STRING_EQUAL(txn_event_text((enum txn_event)0), "?");
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_every_cell_of_the_table),
		CHECK_TEST(test_random_walks_never_leave_a_final_state),
		CHECK_TEST(test_texts),
	};
	return check_main("txn_state", tests, sizeof(tests) / sizeof(tests[0]));
}
