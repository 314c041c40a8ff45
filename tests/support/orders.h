/* What the services know and what the broker has promised, while it is being killed: the model that the torture test
 * holds the broker to.
 *
 * An order is a transaction (its local transaction is committed, rolled back, or never began) or a plain message. Promises
 * are noted when the broker's answer has arrived, so whatever is noted must hold from then on, through any kill. Sightings
 * come from whoever reads queues. Violations are counted by the invariant that they break; none is ever acceptable.
 *
 * Threads: notes by any thread; checks by one, at any time. */
#ifndef ESCROW_TESTS_ORDERS_H
#define ESCROW_TESTS_ORDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message;
struct raw_half;

enum { ORDERS_MAX = 400 * 1000, ORDERS_QUEUES = 4, ORDER_KEY_SIZE = 16 };

enum order_kind { ORDER_TRANSACTION, ORDER_PLAIN, ORDER_DELAYED };
/* What the local transaction became: the services' database. */
enum order_local { ORDER_NONE, ORDER_COMMITTED, ORDER_ROLLED_BACK };
enum order_promise { PROMISED_HALF = 1, PROMISED_COMMIT = 2, PROMISED_ROLLBACK = 4, PROMISED_MESSAGE = 8 };

#define ORDER_VIOLATION_MAP(X)                                                                \
	X(LOST_HALF, "I1 an acknowledged half is forgotten, or a resend of it got other offsets") \
	X(LOST_MESSAGE, "I1 an acknowledged message is not there")                               \
	X(LOST_COMMIT, "I2 an acknowledged commit is not visible")                               \
	X(DOUBLED, "I2 visible twice")                                                           \
	X(GHOST, "I3 visible, but rolled back or undecided")                                     \
	X(TURNED, "I4 a decision is answered otherwise than before, or its opposite accepted")   \
	X(UNRESOLVED, "I5 still undecided although its service answers")                         \
	X(DROPPED, "I6 an acknowledged half has no final decision in the log, or two")           \
	X(DISORDER, "I7 queue offsets are not dense, or offsets or times go back")               \
	X(MOVED, "I7 another message stands where one was seen")                                 \
	X(LOST_OFFSET, "an acknowledged consumer offset is forgotten")                           \
	X(NO_ROUTE, "the name server does not get to know the broker again")                     \
	X(BAD_END, "the broker or its log does not end as it should")
#define ORDER_ENUM(name, text) ORDER_##name,
enum order_violation { ORDER_VIOLATION_MAP(ORDER_ENUM) ORDER_VIOLATIONS };
#undef ORDER_ENUM

/* Forgets all orders (not the violations): a new store begins. */
void orders_reset(void);
/* A new order; -1 when there is no room for more. */
int orders_new(enum order_kind kind);
int orders_count(void);
void orders_key(int order, char out[ORDER_KEY_SIZE]);

/* The local transaction becomes `local`, unless it has become something already; what it is now. */
enum order_local orders_decide(int order, enum order_local local);
enum order_local orders_local(int order);
/* By its key; -1 for a key that is no order's. */
int orders_find(const uint8_t *key, size_t size);

/* The broker has answered. For a half: with these offsets. */
void orders_promise(int order, enum order_promise promise, const struct raw_half *half);
/* A consumer's offset is acknowledged; `asked` before the request is sent. */
void orders_offset_asked(int queue, int64_t offset);
void orders_offset_promised(int queue, int64_t offset);

/* One message of a queue, read by anybody at `offset`. */
void orders_seen(int queue, int64_t offset, const struct message *message);
/* How far a queue has been read without a gap. */
int64_t orders_read_until(int queue);

void orders_violated(enum order_violation violation, const char *what, int order);
/* How many in all; prints those that there are. */
uint64_t orders_violations(void);

/* --- checks; the broker is up and serves at `port` --- */

/* What was promised since the last call: reads the queues to their ends, asks for halves and decisions again. */
void orders_check_promises(unsigned port);
/* Everything: call when nothing is open any more. */
void orders_check_all(void);
/* Every committed order that was promised as a half is visible. */
bool orders_at_rest(void);
/* The log of a store whose broker has stopped: one HALF and one final DECISION each. */
void orders_check_log(const char *store);

#endif
