/* What may happen to a transaction? One table of transitions; nothing else decides.
 *
 *     PREPARED -> COMMITTED | ROLLED_BACK | PARKED
 *     PARKED   -> COMMITTED | ROLLED_BACK (operator, SQL, policy, or a producer that came back after all) | PREPARED
 *     COMMITTED and ROLLED_BACK are final: the same again is a no-op, the opposite is refused.
 *
 * The values of enum txn_state are stored in the half index. Threads: pure. */
#ifndef ESCROW_TXN_STATE_H
#define ESCROW_TXN_STATE_H

enum txn_state { TXN_PREPARED = 1, TXN_COMMITTED = 2, TXN_ROLLED_BACK = 3, TXN_PARKED = 4 };
/* What is asked for, and who asks; the numbers are those of the DECISION record (enum record_outcome, enum record_who). */
enum txn_event { TXN_COMMIT = 1, TXN_ROLLBACK = 2, TXN_PARK = 3, TXN_RESUME = 4 };
enum txn_who { TXN_PRODUCER = 1, TXN_CHECKBACK = 2, TXN_OPERATOR = 3, TXN_SQL = 4, TXN_POLICY = 5 };

enum txn_verdict {
	TXN_APPLY,   /* Record a decision; the state becomes *next. */
	TXN_SAME,    /* It is so already: answer as if it had just been done, record nothing. */
	TXN_REFUSE,  /* Contradicts what is decided: refuse, and say what was decided. */
	TXN_DENIED,  /* Not this one's to ask (a producer cannot park). */
};

enum txn_verdict txn_decide(enum txn_state state, enum txn_event event, enum txn_who who, enum txn_state *next);

/* What an event that is applied leaves the transaction in, whatever it was before. */
enum txn_state txn_state_after(enum txn_event event);

/* "prepared", ...; "?" for anything else. */
const char *txn_state_text(enum txn_state state);
const char *txn_event_text(enum txn_event event);

#endif
