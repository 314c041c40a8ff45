/* One transaction, from the half message to the consumer: a broker whose log reaches the disk late, a service with the
 * SDK and its barrier table, a network that loses what it carries, and crashes of everybody.
 *
 * What is decided in which state comes from lib/txn's table: `decide` in table.pml is printed from the code by table.c.
 *
 * Two worlds:
 * -DANYBODY  everybody asks for anything at any time, also for the opposite of what is decided. What must hold in each
 *            state that is reached (inline rules): at most one publication; nothing is seen that is not committed on the
 *            disk; the first decision on the disk stays; what somebody was told stands.
 * otherwise  a service that uses the SDK, whose local transaction commits or does not; operators park and resume. Besides
 *            the rules: a message is seen only if the local transaction has committed, and is rolled back only if it
 *            never will (truth). With faults that are finite and weak fairness: what committed locally is seen in the end
 *            (ltl published), and what is stored is decided in the end (ltl decided).
 *
 * Sabotage, each of which must be found, is named MUTANT_..., see `run`. */
#include "table.pml"

#define NONE 0     /* A state: the half is not stored. */
#define UNKNOWN 9  /* An answer to a check. */

#ifndef BROKER_CRASHES
#define BROKER_CRASHES  2
#endif
#ifndef SERVICE_CRASHES
#define SERVICE_CRASHES 1
#endif
#ifndef LOSSES
#define LOSSES          2 /* Requests, answers and questions that the network loses. */
#endif
#define RESENDS         1 /* Of the half and of END each. */
#define CHECKS          2 /* Answers UNKNOWN until the policy parks. */
#define DATABASE_FAULTS 1 /* Checks that cannot look into the database. */
#define PARKS           1 /* Times that an operator parks. */

#define is_final(s) ((s) == COMMITTED || (s) == ROLLED_BACK)
#define is_open(s)  ((s) == PREPARED || (s) == PARKED)

/* --- the broker ------------------------------------------------------------------------------------------ */

byte state;                   /* In memory: what is appended, durable or not. */
byte durable;                 /* What is on the disk. */
byte entries, durable_entries; /* The message's places in its queue. */
chan unsynced = [3] of { byte }; /* Appended and not on the disk yet: the state after each record. */
bool seen;                    /* A consumer has the message. */
bool half_waits, half_told;   /* The answer to the half: it waits for the disk; somebody got it. */
bool waits[5], told[5];       /* By final state: an answer that rests on it waits; has left. */
byte answered;                /* Answers UNKNOWN; a crash may set it back. */
#ifdef MUTANT_HALF_STORED_TWICE
byte twin;                    /* The second copy of the half. */
#endif

inline rules() {
	assert(durable_entries <= 1);
	assert(!seen || durable == COMMITTED);
	assert(!told[COMMITTED] || durable == COMMITTED);
	assert(!told[ROLLED_BACK] || durable == ROLLED_BACK);
	assert(!half_told || durable != NONE)
}

/* A record: the state after it. */
inline append(after) {
	state = after;
	if
	:: state == COMMITTED -> entries++
	:: else
	fi;
	unsynced!state
}

/* An answer rests on the state in memory: it leaves when that is on the disk, "already so" and "refused, it is" too. */
inline answer() {
	if
#ifdef MUTANT_ANSWER_EARLY
	:: is_final(state) -> told[state] = true
#endif
	:: is_final(state) && durable == state -> told[state] = true
	:: is_final(state) && durable != state -> waits[state] = true
	:: else
	fi
}

/* Anybody's word on the half that is stored. */
inline request(event, who) {
	if
	:: state == NONE /* "No such half message." */
	:: state != NONE ->
		decide(state, event, who);
#ifdef MUTANT_SECOND_DECISION
		if
		:: verdict == REFUSE && event == COMMIT -> verdict = APPLY; next = COMMITTED
		:: verdict == REFUSE && event == ROLLBACK -> verdict = APPLY; next = ROLLED_BACK
		:: else
		fi;
#endif
#ifdef MUTANT_COMMIT_AGAIN
		if
		:: verdict == SAME && event == COMMIT -> verdict = APPLY
		:: else
		fi;
#endif
		if
		:: verdict == APPLY -> append(next); answer()
#ifdef MUTANT_REFUSE_EARLY
		:: (verdict == SAME || verdict == REFUSE) && is_final(state) -> told[state] = true
#endif
		:: verdict == SAME || verdict == REFUSE -> answer()
		:: verdict == DENIED
		fi;
		if
		:: verdict == APPLY && event == RESUME -> answered = 0
		:: else
		fi
	fi;
	verdict = 0;
	next = 0;
	rules()
}

/* A half message, perhaps sent again: found by its name, it gets its first answer. */
inline half() {
	if
	:: state == NONE -> append(PREPARED)
#ifdef MUTANT_HALF_STORED_TWICE
	:: state != NONE && twin == NONE -> twin = PREPARED
#endif
	:: else
	fi;
	if
#ifdef MUTANT_HALF_ANSWERED_EARLY
	:: true -> half_told = true; half_answer = true
#endif
	:: durable != NONE -> half_told = true; half_answer = true
	:: durable == NONE -> half_waits = true
	fi;
	rules()
}

inline sync_one() {
	byte record;

	unsynced?record;
	assert(!is_final(durable)); /* The first decision stays. */
	durable = record;
	if
	:: record == COMMITTED -> durable_entries++
	:: else
	fi;
	if
	:: half_waits -> half_waits = false; half_told = true; half_answer = true
	:: else
	fi;
	if
	:: is_final(durable) && waits[durable] -> waits[durable] = false; told[durable] = true
	:: else
	fi;
	record = 0;
	rules()
}

/* kill -9, or the power goes: what was not synced is gone, so are the answers that waited for it, and the counts. */
inline crash_broker() {
	byte lost;

	do
	:: nempty(unsynced) -> unsynced?lost
	:: empty(unsynced) -> break
	od;
	lost = 0;
	state = durable;
	entries = durable_entries;
	half_waits = false;
	waits[COMMITTED] = false;
	waits[ROLLED_BACK] = false;
	answered = 0;
#ifdef MUTANT_HALF_STORED_TWICE
	twin = NONE;
#endif
	rules()
}

bool half_answer;             /* On its way to the service. */

active proctype disk()
{
end:	do
	:: d_step { nempty(unsynced) -> sync_one() }
#ifdef MUTANT_SEEN_EARLY
	:: d_step { state == COMMITTED && !seen -> seen = true; rules() }
#endif
	:: d_step { durable == COMMITTED && !seen -> seen = true; rules() }
	od
}

#define room nfull(unsynced)

#ifdef ANYBODY

active proctype anybody()
{
	byte event, who;

end:	do
	:: room ->
		select(event : COMMIT .. RESUME);
		select(who : PRODUCER .. POLICY);
		atomic { room -> request(event, who); event = 0; who = 0 }
	:: d_step { room -> half() }
	od
}

active proctype crashes()
{
	byte left = BROKER_CRASHES;

end:	do
	:: d_step { left > 0 -> left--; crash_broker() }
	od
}

#else

/* --- the service and its database ------------------------------------------------------------------------ */

#define DONE 1 /* The barrier row, written by the local transaction and committed with it. */
#define MARK 2 /* Written by a check that found nothing: the local transaction comes too late. */
byte row;
bool row_held;                /* The local transaction has inserted its row and has not ended. */

/* What the service's thread is about; its memory, gone with a crash. */
mtype = { SENDS_HALF, AWAITS_HALF, INSERTS_ROW, WORKS, SENDS_END, AWAITS_END, OVER };
mtype phase = SENDS_HALF;
byte verdict_local;           /* COMMIT or ROLLBACK: what it says in END. */
byte half_resends = RESENDS, end_resends = RESENDS;

/* What the network carries; 0 or false: nothing. */
bool wire_half;
byte wire_end;                /* COMMIT or ROLLBACK. */
bool wire_check;
byte wire_answer;             /* COMMIT, ROLLBACK or UNKNOWN. */

/* Nothing else than the local transaction's outcome, as far as that is settled, is ever decided. */
inline truth() {
	assert(durable != COMMITTED || row == DONE);
	assert(durable != ROLLED_BACK || row != DONE)
}

active proctype service()
{
end:	do
	:: d_step { phase == SENDS_HALF -> wire_half = true; phase = AWAITS_HALF }
	:: d_step { phase == AWAITS_HALF && half_answer -> half_answer = false; phase = INSERTS_ROW }
	:: d_step { phase == AWAITS_HALF && half_resends > 0 -> half_resends--; phase = SENDS_HALF }
	:: d_step { phase == AWAITS_HALF && half_resends == 0 -> phase = OVER } /* It fails; nothing is done locally. */

	:: d_step { phase == INSERTS_ROW && row == NONE -> row_held = true; phase = WORKS }
	:: d_step { phase == INSERTS_ROW && row == MARK -> verdict_local = ROLLBACK; phase = SENDS_END }
	:: d_step { phase == WORKS -> row = DONE; row_held = false; verdict_local = COMMIT; phase = SENDS_END; truth() }
	:: d_step { phase == WORKS -> row_held = false; verdict_local = ROLLBACK; phase = SENDS_END }
	:: d_step { phase == WORKS -> row = DONE; row_held = false; phase = OVER; truth() } /* Its answer was lost: unknown. */

	:: d_step { phase == SENDS_END -> wire_end = verdict_local; phase = AWAITS_END }
	:: d_step { phase == AWAITS_END && end_resends > 0 -> end_resends--; phase = SENDS_END }
	:: d_step { phase == AWAITS_END -> phase = OVER } /* Answered, or given up: check-back will finish it. */
	od
}

/* The SDK's answer to a check: look; if there is nothing, put the mark there; if somebody was faster, look again. While
 * the local transaction holds the row the mark waits, and a wait that takes too long is UNKNOWN. */
active proctype checker()
{
	byte faults = DATABASE_FAULTS;
	bool absent;

end:	do
	:: d_step { wire_check && !absent && row == DONE -> wire_check = false; wire_answer = COMMIT }
	:: d_step { wire_check && !absent && row == MARK -> wire_check = false; wire_answer = ROLLBACK }
	:: d_step { wire_check && !absent && row == NONE -> absent = true }
	:: d_step { wire_check && faults > 0 -> faults--; absent = false; wire_check = false; wire_answer = UNKNOWN }
	:: d_step { absent && row_held ->
		absent = false; wire_check = false;
#ifdef MUTANT_LOCK_MEANS_ROLLBACK
		wire_answer = ROLLBACK
#else
		wire_answer = UNKNOWN
#endif
	   }
	:: d_step { absent && !row_held && row == NONE ->
		absent = false; wire_check = false; wire_answer = ROLLBACK;
#ifndef MUTANT_NO_MARK
		row = MARK
#endif
	   }
	:: d_step { absent && !row_held && row != NONE -> absent = false } /* A duplicate key. */
	od
}

/* --- the broker's side of the network, its check-back and its operators ----------------------------------- */

active proctype broker()
{
end:	do
	:: d_step { wire_half && room -> wire_half = false; half() }
	:: d_step { wire_end != 0 && room -> request(wire_end, PRODUCER); wire_end = 0; truth() }
	:: d_step { (wire_answer == COMMIT || wire_answer == ROLLBACK) && room ->
		request(wire_answer, CHECKBACK);
#ifdef MUTANT_HALF_STORED_TWICE
		/* The check of the second copy, answered alike. */
		if
		:: wire_answer == COMMIT && twin == PREPARED -> twin = NONE; durable_entries++; rules()
		:: else
		fi;
#endif
		wire_answer = 0;
		truth()
	   }
	:: d_step { wire_answer == UNKNOWN && room ->
#ifdef MUTANT_UNKNOWN_MEANS_ROLLBACK
		request(ROLLBACK, CHECKBACK);
#else
		if
		:: state == PREPARED && answered < CHECKS -> answered++
		:: else
		fi;
#endif
		wire_answer = 0
	   }
	od
}

active proctype checkback()
{
end:	do
#ifndef MUTANT_NO_CHECKS
	:: d_step { state == PREPARED && durable != NONE && answered < CHECKS && !wire_check && wire_answer == 0 -> wire_check = true }
#endif
#ifndef MUTANT_NO_POLICY
	:: d_step { state == PREPARED && answered >= CHECKS && room -> request(PARK, POLICY) }
#endif
	od
}

active proctype operator()
{
	byte left = PARKS;

end:	do
	:: d_step { left > 0 && state == PREPARED && room -> left--; request(PARK, OPERATOR) }
	:: d_step { state == PARKED && room -> request(RESUME, OPERATOR) }
	od
}

/* --- faults ----------------------------------------------------------------------------------------------- */

active proctype faults()
{
	byte broker_crashes = BROKER_CRASHES, service_crashes = SERVICE_CRASHES, losses = LOSSES;

end:	do
	:: d_step { broker_crashes > 0 -> broker_crashes--; crash_broker() }
	/* Its thread and its check are gone; an open local transaction is rolled back by the database. */
	:: d_step { service_crashes > 0 && phase != OVER -> service_crashes--; phase = OVER; verdict_local = 0; row_held = false }
	:: d_step { losses > 0 && wire_half -> losses--; wire_half = false }
	:: d_step { losses > 0 && half_answer -> losses--; half_answer = false }
	:: d_step { losses > 0 && wire_end != 0 -> losses--; wire_end = 0 }
	:: d_step { losses > 0 && wire_check -> losses--; wire_check = false }
	:: d_step { losses > 0 && wire_answer != 0 -> losses--; wire_answer = 0 }
	od
}

ltl published { [] ((row == DONE) -> <> seen) }
ltl decided { [] ((durable != NONE) -> <> (durable == COMMITTED || durable == ROLLED_BACK)) }

#endif
