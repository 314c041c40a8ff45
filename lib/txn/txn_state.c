#include "lib/txn/txn_state.h"

#include <assert.h>

#define BIT(who) (1u << (who))
enum {
	ANYONE = BIT(TXN_PRODUCER) | BIT(TXN_CHECKBACK) | BIT(TXN_OPERATOR) | BIT(TXN_SQL) | BIT(TXN_POLICY),
	KEEPERS = BIT(TXN_OPERATOR) | BIT(TXN_SQL) | BIT(TXN_POLICY), /* Who may park. */
	PEOPLE = BIT(TXN_OPERATOR) | BIT(TXN_SQL),                    /* Who may resume. */
};

struct transition {
	enum txn_verdict verdict;
	enum txn_state next;
	unsigned who; /* Who may ask for it. */
};

static const struct transition transitions[TXN_PARKED + 1][TXN_RESUME + 1] = {
	[TXN_PREPARED] = {
		[TXN_COMMIT] = { TXN_APPLY, TXN_COMMITTED, ANYONE },
		[TXN_ROLLBACK] = { TXN_APPLY, TXN_ROLLED_BACK, ANYONE },
		[TXN_PARK] = { TXN_APPLY, TXN_PARKED, KEEPERS },
		[TXN_RESUME] = { TXN_SAME, TXN_PREPARED, PEOPLE },
	},
	[TXN_COMMITTED] = {
		[TXN_COMMIT] = { TXN_SAME, TXN_COMMITTED, ANYONE },
		[TXN_ROLLBACK] = { TXN_REFUSE, TXN_COMMITTED, ANYONE },
		[TXN_PARK] = { TXN_REFUSE, TXN_COMMITTED, KEEPERS },
		[TXN_RESUME] = { TXN_REFUSE, TXN_COMMITTED, PEOPLE },
	},
	[TXN_ROLLED_BACK] = {
		[TXN_COMMIT] = { TXN_REFUSE, TXN_ROLLED_BACK, ANYONE },
		[TXN_ROLLBACK] = { TXN_SAME, TXN_ROLLED_BACK, ANYONE },
		[TXN_PARK] = { TXN_REFUSE, TXN_ROLLED_BACK, KEEPERS },
		[TXN_RESUME] = { TXN_REFUSE, TXN_ROLLED_BACK, PEOPLE },
	},
	[TXN_PARKED] = {
		[TXN_COMMIT] = { TXN_APPLY, TXN_COMMITTED, ANYONE },
		[TXN_ROLLBACK] = { TXN_APPLY, TXN_ROLLED_BACK, ANYONE },
		[TXN_PARK] = { TXN_SAME, TXN_PARKED, KEEPERS },
		[TXN_RESUME] = { TXN_APPLY, TXN_PREPARED, PEOPLE },
	},
};

enum txn_verdict txn_decide(enum txn_state state, enum txn_event event, enum txn_who who, enum txn_state *next)
{
	assert(state >= TXN_PREPARED && state <= TXN_PARKED);
	assert(event >= TXN_COMMIT && event <= TXN_RESUME);
	const struct transition *transition = &transitions[state][event];

	*next = state;
	if ((transition->who & BIT(who)) == 0)
		return TXN_DENIED;
	*next = transition->next;
	return transition->verdict;
}

enum txn_state txn_state_after(enum txn_event event)
{
	switch (event) {
	case TXN_COMMIT: return TXN_COMMITTED;
	case TXN_ROLLBACK: return TXN_ROLLED_BACK;
	case TXN_PARK: return TXN_PARKED;
	case TXN_RESUME: break;
	}
	return TXN_PREPARED;
}

const char *txn_state_text(enum txn_state state)
{
	switch (state) {
	case TXN_PREPARED: return "prepared";
	case TXN_COMMITTED: return "committed";
	case TXN_ROLLED_BACK: return "rolled back";
	case TXN_PARKED: return "parked";
	}
	return "?";
}

const char *txn_event_text(enum txn_event event)
{
	switch (event) {
	case TXN_COMMIT: return "commit";
	case TXN_ROLLBACK: return "rollback";
	case TXN_PARK: return "park";
	case TXN_RESUME: return "resume";
	}
	return "?";
}
