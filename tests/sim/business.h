/* The business behind a transaction: what the service's own database says, and how its code behaves.
 *
 * A service runs a local transaction between the half message and its END; its database remembers how that ended. Who is
 * asked by a check-back looks it up there, and leaves a mark if there is nothing yet, so that a local transaction that comes
 * later loses (the SDK's barrier). How long things take and what goes wrong is drawn once per transaction, from its
 * operation, so it is the same whoever carries it out.
 * Threads: one. */
#ifndef ESCROW_SIM_BUSINESS_H
#define ESCROW_SIM_BUSINESS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/chance.h"
#include "tests/sim/model.h"

enum end_way {
	END_ANSWERED, /* Asks for an answer and repeats until it has one, as the SDK does. */
	END_ONEWAY,   /* As RocketMQ's clients do. */
	END_NEVER,    /* The process forgets it. */
	END_UNKNOWN,  /* Says UNKNOWN. */
	END_TWICE,    /* Asks twice. */
};

struct business {
	enum local wish;         /* LOCAL_OPEN: the local transaction never ends. */
	int64_t local_us;        /* How long it takes. */
	enum end_way end;
	int silences, unknowns;  /* Checks that are not answered, then answered UNKNOWN, before the truth is told. */
	bool contradicts;        /* Says one thing, later the other. Only in the group that is not honest. */
	bool answer_lost;        /* The first answer to the half is lost in the client. */
	int64_t patience_us;     /* For the half. */
	int sender;              /* Number of the process that sent it. */
};

void business_begin(void);
void business_end(void);
struct business *business_of(const struct item *item);
void business_draw(const struct item *item, struct chance *chance);
/* The local transaction is over. */
void business_decide(struct item *item);
/* What the database says: commit, rollback, or 0 while it is open. */
enum record_outcome business_truth(const struct item *item);
/* The answer to a check-back; *silent: there is none. */
enum record_outcome business_check(struct item *item, bool *silent);
/* From now on everybody answers at once, and the truth. */
void business_be_truthful(void);
bool business_is_truthful(void);

#endif
