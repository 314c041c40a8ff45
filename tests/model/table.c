/* Prints the transition table of lib/txn as Promela, so that the model checks the code's table and no copy of it:
 *
 *     inline decide(state_, event_, who_)   sets `verdict` and `next`
 *
 * One row for a state, an event and all who get the same answer. */
#include <stdio.h>

#include "lib/txn/txn_state.h"

static const char *const states[] = { [TXN_PREPARED] = "PREPARED", [TXN_COMMITTED] = "COMMITTED",
				      [TXN_ROLLED_BACK] = "ROLLED_BACK", [TXN_PARKED] = "PARKED" };
static const char *const events[] = { [TXN_COMMIT] = "COMMIT", [TXN_ROLLBACK] = "ROLLBACK", [TXN_PARK] = "PARK",
				      [TXN_RESUME] = "RESUME" };
static const char *const people[] = { [TXN_PRODUCER] = "PRODUCER", [TXN_CHECKBACK] = "CHECKBACK", [TXN_OPERATOR] = "OPERATOR",
				      [TXN_SQL] = "SQL", [TXN_POLICY] = "POLICY" };
static const char *const verdicts[] = { [TXN_APPLY] = "APPLY", [TXN_SAME] = "SAME", [TXN_REFUSE] = "REFUSE",
					[TXN_DENIED] = "DENIED" };

struct answer {
	enum txn_verdict verdict;
	enum txn_state next;
};

static struct answer ask(enum txn_state state, enum txn_event event, enum txn_who who)
{
	struct answer answer;

	answer.verdict = txn_decide(state, event, who, &answer.next);
	return answer;
}

static int same(struct answer a, struct answer b)
{
	return a.verdict == b.verdict && a.next == b.next;
}

/* Everybody who gets the answer that `first` gets, unless somebody in front of `first` got it: then it is printed. */
static void print_row(enum txn_state state, enum txn_event event, enum txn_who first)
{
	struct answer answer = ask(state, event, first);
	const char *separator = "";

	for (enum txn_who who = TXN_PRODUCER; who < first; who++) {
		if (same(ask(state, event, who), answer))
			return;
	}
	printf("\t:: state_ == %s && event_ == %s && (", states[state], events[event]);
	for (enum txn_who who = first; who <= TXN_POLICY; who++) {
		if (!same(ask(state, event, who), answer))
			continue;
		printf("%swho_ == %s", separator, people[who]);
		separator = " || ";
	}
	printf(") -> verdict = %s; next = %s\n", verdicts[answer.verdict], states[answer.next]);
}

static void print_names(const char *const *names, int first, int last)
{
	for (int i = first; i <= last; i++)
		printf("#define %s %d\n", names[i], i);
}

int main(void)
{
	printf("/* Generated from lib/txn/txn_state.c by tests/model/table.c. */\n");
	print_names(states, TXN_PREPARED, TXN_PARKED);
	print_names(events, TXN_COMMIT, TXN_RESUME);
	print_names(people, TXN_PRODUCER, TXN_POLICY);
	print_names(verdicts, TXN_APPLY, TXN_DENIED);
	printf("\nbyte verdict, next;\n\ninline decide(state_, event_, who_) {\n\tif\n");
	for (enum txn_state state = TXN_PREPARED; state <= TXN_PARKED; state++) {
		for (enum txn_event event = TXN_COMMIT; event <= TXN_RESUME; event++) {
			for (enum txn_who who = TXN_PRODUCER; who <= TXN_POLICY; who++)
				print_row(state, event, who);
		}
	}
	printf("\tfi\n}\n");
	return 0;
}
