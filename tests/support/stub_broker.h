/* A broker and name server for tests of the SDK, in a thread of the test program: it keeps messages in memory, speaks
 * the codes that clients need, and can be told to misbehave.
 *
 * It takes repetitions as EscrowMQ does (the same half again: the same offsets; first decision wins), or, as `stock`,
 * like RocketMQ: says it is written in Java, stores every copy, delivers on every commit, does not answer "unknown".
 * Threads: the functions here are for the test's thread. */
#ifndef ESCROW_TESTS_STUB_BROKER_H
#define ESCROW_TESTS_STUB_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stub;

/* What to do with the next `times` requests of a kind. */
enum stub_fault {
	STUB_OK,
	STUB_DROP_ANSWER,  /* Carry out, say nothing. */
	STUB_DROP_REQUEST, /* Neither. */
	STUB_CLOSE_AFTER,  /* Carry out, close the connection. */
	STUB_REFUSE,       /* Answer `code` and carry out nothing. */
	STUB_ANSWER_CODE,  /* Carry out, answer `code` (flush time-out and the like). */
	STUB_NONSENSE,     /* Carry out, answer success with an id that is none. */
};
enum stub_kind { STUB_SEND, STUB_END, STUB_BEAT, STUB_ROUTE, STUB_SEND_BACK, STUB_COMMIT_OFFSET, STUB_QUERY_OFFSET,
		 STUB_MEMBERS, STUB_KINDS };

struct stub_counts {
	int requests[STUB_KINDS]; /* Received. */
	int unregistered;
	int notified;
	int unknown_asked, unknown_answered; /* By stub_ask_unknown; as it should be. */
	int connections_closed;
};

enum stub_decision { STUB_OPEN, STUB_COMMITTED, STUB_ROLLED_BACK };

/* Listens on a free port. Topics named "absent..." have no route; all others have `queues` queues. */
struct stub *stub_start(int queues, bool stock);
void stub_stop(struct stub *stub);
/* "127.0.0.1:port": name server and broker in one. Valid until stub_stop. */
const char *stub_address(const struct stub *stub);
/* As kill -9, then a start on the same port with the same messages. */
void stub_crash(struct stub *stub);
void stub_return(struct stub *stub);
/* The same, but at another port. */
void stub_move(struct stub *stub);
/* Another broker that this one's routes name too (by its address). */
void stub_add_peer(struct stub *stub, const char *name, const char *address);
/* A slave of this one, which pulls are sent to. */
void stub_add_slave(struct stub *stub, const char *address);
/* The name server has no route of the topic any more. */
void stub_forget_topic(struct stub *stub, const char *topic);

void stub_fault(struct stub *stub, enum stub_kind kind, enum stub_fault fault, int times, int code);
/* What comes when that is used up. */
void stub_then(struct stub *stub, enum stub_kind kind, enum stub_fault fault, int times, int code);
struct stub_counts stub_counts(struct stub *stub);

/* Halves and decisions, by order of arrival. */
size_t stub_half_count(struct stub *stub);
enum stub_decision stub_half_decision(struct stub *stub, size_t half);
/* END requests about it, of any kind; *unknown_out those that said unknown. */
int stub_half_ends(struct stub *stub, size_t half, int *unknown_out, int *from_check_out);
/* A property of its message, "" if there is none. */
void stub_half_property(struct stub *stub, size_t half, const char *name, char *out, size_t size);
void stub_decide(struct stub *stub, size_t half, enum stub_decision decision);
/* Asks the producer of the half; false if no connection of its group is there. */
bool stub_check(struct stub *stub, size_t half);
/* The same of a producer of this group. */
bool stub_check_by(struct stub *stub, size_t half, const char *group);
/* Messages visible to consumers, over all queues of a topic; copies the last one's id (33 bytes) if not NULL. */
size_t stub_visible(struct stub *stub, const char *topic, char *last_id);
/* Puts a message into a queue; a tag of NULL is none. `compressed`: the body is zlib's. A queue's n-th message was stored n ms
 * after 1970 for who looks for a time. */
void stub_put(struct stub *stub, const char *topic, int queue, const char *tag, const char *id, const void *body,
	      size_t size, bool compressed);
/* The group's position, -1 if none. */
int64_t stub_position(struct stub *stub, const char *group, const char *topic, int queue);
void stub_set_position(struct stub *stub, const char *group, const char *topic, int queue, int64_t position);
/* Sets it as an operator does: the group's pulls are told to go on there, one that waits at once. */
void stub_reset(struct stub *stub, const char *group, const char *topic, int queue, int64_t position);
/* Another member of every group, from now on, or not any more (NULL); members are notified. */
void stub_other_member(struct stub *stub, const char *client_id);
/* Asks every client something that none of them knows; false: not all say that they do not. */
bool stub_ask_unknown(struct stub *stub);
/* Lists of members name somebody else only, from now on; members are notified. */
void stub_forget_members(struct stub *stub);
/* A pull gets the message in front of those that it asked for, too. */
void stub_repeat_messages(struct stub *stub);

/* Waits until `reached` says so, at most 20 s; it is called under the stub's lock after every request. */
bool stub_wait(struct stub *stub, bool (*reached)(const struct stub *stub, void *context), void *context);
/* For such callbacks. */
const struct stub_counts *stub_counts_now(const struct stub *stub);

#endif
