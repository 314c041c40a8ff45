/* One transaction, its decisions in a log that reaches the disk late, a broker that is killed, and everybody who may ask
 * for something, as often and in whatever order they like (so a request that is repeated, late or lost is a case of
 * it). The transition table is not copied: the model calls txn_decide() of lib/txn.
 *
 * Always:      what somebody was told stands; what consumers saw is committed for ever; a durable decision is final.
 * -DHONEST:    producers say what their local transaction did, operators only park and resume. Then besides: nothing
 *              else than the truth is ever decided, and (ltl decided) it is decided in the end, although the broker is
 *              killed, answers are UNKNOWN and the policy parks.
 * Mutants, which must fail: -DREPLY_EARLY (replies do not wait for the disk), -DNO_TABLE (each request is applied).
 * Run all: tests/model/run. */
c_decl {
\#include "lib/txn/txn_state.h"
};

#define PREPARED    1
#define COMMITTED   2
#define ROLLED_BACK 3
#define PARKED      4
#define COMMIT   1
#define ROLLBACK 2
#define PARK     3
#define RESUME   4
#define PRODUCER  1
#define CHECKBACK 2
#define OPERATOR  3
#define SQL       4
#define POLICY    5
#define APPLY  0
#define SAME   1
#define REFUSE 2

#define CRASHES  3
#define CHECKS   3 /* Answered UNKNOWNs until the policy parks. */
#define PEOPLE   3 /* Times that an operator parks or resumes. */

byte state = PREPARED;        /* In memory: what is appended, durable or not. */
byte durable = PREPARED;
chan unsynced = [3] of { byte }; /* Appended and not on disk yet. */
bool waiting[5], told[5];     /* By final state: a reply that waits for the disk; a reply that left. */
bool seen;                    /* A consumer has the message. */
byte answered;                /* Soft: a crash may set it back to what is on disk, here to 0. */
byte crashes;
byte asked_event, asked_who, verdict, next;
byte truth;                   /* COMMIT or ROLLBACK: what the local transaction did. */

#define is_final(s) (s == COMMITTED || s == ROLLED_BACK)

inline tell(s) {
	told[s] = true;
	assert(!(told[COMMITTED] && told[ROLLED_BACK]));
}

/* A reply rests on a record: it leaves when that is durable, "already so" and "refused, it is" too. */
inline reply() {
	if
	:: is_final(state) ->
#ifdef REPLY_EARLY
		tell(state)
#else
		if
		:: durable == state -> tell(state)
		:: else -> waiting[state] = true
		fi
#endif
	:: else -> skip
	fi
}

inline request(event, who) {
	d_step {
		asked_event = event;
		asked_who = who;
		c_code {
			enum txn_state after;
			now.verdict = (unsigned char)txn_decide((enum txn_state)now.state, (enum txn_event)now.asked_event,
								(enum txn_who)now.asked_who, &after);
			now.next = (unsigned char)after;
		};
#ifdef NO_TABLE
		if
		:: event == COMMIT -> verdict = APPLY; next = COMMITTED
		:: event == ROLLBACK -> verdict = APPLY; next = ROLLED_BACK
		:: else -> skip
		fi;
#endif
		if
		:: verdict == APPLY -> state = next; unsynced!state; reply()
		:: verdict == SAME || verdict == REFUSE -> reply()
		:: else -> skip
		fi;
		if
		:: event == RESUME && verdict == APPLY -> answered = 0
		:: else -> skip
		fi;
		asked_event = 0; asked_who = 0; verdict = 0; next = 0
	}
}

active proctype disk()
{
	byte record;
end:
	do
	:: d_step {
		nempty(unsynced) ->
		unsynced?record;
		assert(!is_final(durable)); /* Final: nothing follows it. */
		durable = record;
		record = 0;
		if
		:: is_final(durable) && waiting[durable] -> waiting[durable] = false; tell(durable)
		:: else -> skip
		fi
	   }
	:: d_step { durable == COMMITTED && !seen -> seen = true }
	od
}

/* kill -9, or the power goes: what was not synced is gone, and so are the replies that waited for it. */
active proctype crash()
{
	byte record;
end:
	do
	:: d_step {
		crashes < CRASHES ->
		crashes++;
		do
		:: nempty(unsynced) -> unsynced?record
		:: empty(unsynced) -> break
		od;
		record = 0;
		state = durable;
		waiting[COMMITTED] = false;
		waiting[ROLLED_BACK] = false;
		answered = 0
	   }
	od
}

#ifdef HONEST

/* It answers checks, sometimes with UNKNOWN, and when it is back from wherever it was it says END itself. */
active proctype producer()
{
	if
	:: truth = COMMIT
	:: truth = ROLLBACK
	fi;
end:
	do
	:: atomic { state == PREPARED && answered < CHECKS -> answered++ }
	:: atomic { nfull(unsynced) -> request(truth, PRODUCER) }
	:: atomic { nfull(unsynced) && state == PREPARED -> request(truth, CHECKBACK) }
	od
}

active proctype policy()
{
end:
	do
	:: atomic { nfull(unsynced) && state == PREPARED && answered >= CHECKS -> request(PARK, POLICY) }
	od
}

active proctype operator()
{
	byte done;
end:
	do
	:: atomic { nfull(unsynced) && done < PEOPLE -> done++; request(PARK, OPERATOR) }
	:: atomic { nfull(unsynced) && done < PEOPLE -> done++; request(RESUME, OPERATOR) }
	od
}

active proctype truth_stands()
{
end:
	atomic {
		(durable == COMMITTED && truth == ROLLBACK) || (durable == ROLLED_BACK && truth == COMMIT) -> assert(false)
	}
}

ltl decided { <> (durable == COMMITTED || durable == ROLLED_BACK) }

#else

active proctype anybody()
{
	byte event, who;
end:
	do
	:: nfull(unsynced) ->
		select(event : 1 .. 4);
		select(who : 1 .. 5);
		request(event, who)
	od
}

#endif

/* What was told or seen is what is on disk, in every state that is reached. */
active proctype monitor()
{
end:
	atomic {
		(told[COMMITTED] && durable != COMMITTED) || (told[ROLLED_BACK] && durable != ROLLED_BACK) ||
		(seen && durable != COMMITTED) -> assert(false)
	}
}
