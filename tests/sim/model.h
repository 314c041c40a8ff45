/* The model: what did clients ask for, what was acknowledged to them, what did they see? Plain arrays and plain code.
 *
 * Clients tell it each thing as it happens, and it checks at once what can be checked at once:
 *
 *   I1  an acknowledged half or message rests on what is committed; a half sent again gets the same offsets; what was seen at a
 *       place stays there; an acknowledged consumer offset is told again; what is not given any more is so old that the log
 *       need not hold it, and queues begin where the log does
 *   I2  a transaction is published at most once; two opposite decisions are not both acknowledged; what POP gave out, and
 *       was settled in time, is not given out again
 *   I3  what is seen was sent by somebody, is intact, was asked to be committed, is due
 *   I4  an END that is refused was decided otherwise
 *   I5  nobody is asked about a transaction before its time, nor for ever
 *   I7  queue offsets are dense, store times do not go back along a queue
 *
 * What needs the end of the run is in final.h. Answers to questions by key are held against what was seen in keys.h, what
 * follows from UNREGISTER_CLIENT is judged in leaving.h; ledger.h and fairs.h have models of their own.
 * Threads: one. */
#ifndef ESCROW_SIM_MODEL_H
#define ESCROW_SIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/record/record_transaction.h"
#include "lib/wire/message.h"
#include "tests/sim/settings.h"

enum { WORDS = 5 }; /* In KEYS, that many messages share. */
enum { KEY_SIZE = 32, PLACES_MAX = 2 * TOPICS_MAX + 2 * CONSUMER_GROUPS + 1 };

enum local { LOCAL_OPEN, LOCAL_COMMITTED, LOCAL_ROLLED_BACK };

/* A message that somebody wants to have delivered; `number` is the operation's that began it (parts of a batch have one
 * each). */
struct item {
	bool used;
	uint32_t number;
	char key[KEY_SIZE];
	bool transactional;
	int group, topic, tag;
	int delay_level;         /* 0: none. */
	int64_t immunity_ms;     /* No check-back before that age. */
	uint32_t body_size;

	/* Sending. A plain message is stored once per send at most, and once per acknowledgement at least. */
	uint32_t sends, acks;
	int64_t first_sent_us;
	int acked_broker;        /* Of the last acknowledgement, with its log offset. */
	uint64_t acked_offset;
	int64_t recall_at_ms;    /* Of a timer: the time in the handle of its last acknowledgement; 0: none. */
	bool recall_asked, recall_acked;

	/* Its transaction. */
	enum local local;        /* In the database of the service. */
	int broker;              /* Index; -1: no half has left. */
	bool half_acked, half_refused;
	uint64_t half_offset, half_queue_offset;
	bool commit_asked, rollback_asked, park_asked;
	bool operator_asked;     /* By an operator among others: then it may differ from `local`. */
	bool again;              /* Sent again when the log had let go of its half: that is another transaction. */
	bool past_asked;         /* An END was answered as if the log held nothing of it any more, */
	uint64_t past_start;     /* when the log began here at most. */
	enum record_outcome acked; /* 0: no decision was acknowledged. */
	uint32_t unknown_answers; /* To check-backs; */
	uint32_t unknown_acked;   /* of those, acknowledged, at least one check interval apart; */
	int64_t unknown_acked_us; /* the last of these. */
	uint32_t life_at_first;   /* Of its broker when it was sent there first. */

	/* Seeing. */
	uint32_t published;      /* Places in its own topic. */
	uint32_t back_asked[CONSUMER_GROUPS], back_acked[CONSUMER_GROUPS];
	uint32_t came_back[CONSUMER_GROUPS]; /* Places in the group's retry and dead-letter topics. */
	uint32_t pop_settled;    /* Acknowledgements of POP that were answered in time. */
	bool pop_done, pop_dead; /* The POP group acknowledged it once at least; it is among its dead letters. */
};

/* Numbers of items are below `item_max`. Items do not move. */
void model_begin(uint32_t item_max);
void model_end(void);

/* Makes one; its key names `number`, which must be new. */
struct item *model_add(uint32_t number);
struct item *model_item(uint32_t number);     /* NULL: none of that number. */
struct item *model_by_key(struct span key);   /* The same. */
uint32_t model_item_end(void);                /* One past the highest number. */
/* Body and properties are made from the item, so that what arrives can be compared. */
void model_body(const struct item *item, struct buffer *out);

/* The word in its KEYS. */
uint32_t model_word(const struct item *item);
void model_word_text(uint32_t word, char out[KEY_SIZE]);
/* KEYS: the word, and one of its own. */
void model_keys(const struct item *item, char out[KEY_SIZE]);

/* --- sending --------------------------------------------------------------------------------------------------------- */

void model_sent(struct item *item, int broker);
void model_send_acked(struct item *item, int broker, uint64_t log_offset);
/* Whoever asked before it was due has been told that it will not come. */
void model_recalled(struct item *item);
void model_half_acked(struct item *item, int broker, uint64_t half_offset, uint64_t half_queue_offset);
/* MESSAGE_ILLEGAL: its transaction is rolled back. */
void model_half_refused(struct item *item, const char *remark);

/* --- transactions ------------------------------------------------------------------------------------------------------ */

/* `outcome` 0 is UNKNOWN, counted when it answers a check. */
void model_decision_asked(struct item *item, enum record_outcome outcome, bool from_check);
void model_decision_acked(struct item *item, enum record_outcome outcome, bool from_check);
void model_decision_refused(struct item *item, enum record_outcome outcome, int code, const char *remark);
void model_operator_asked(struct item *item, enum record_outcome outcome);
/* A check-back arrived. NULL: of a half that this model does not know, which is a violation. */
struct item *model_checked(struct span key, int broker, uint64_t half_offset, uint64_t half_queue_offset);

/* --- topics ---------------------------------------------------------------------------------------------------------- */

/* Places: topics, then retry topics, then dead-letter topics of the consumer groups, then the POP group's retry topics, one for
 * each topic, and its dead-letter topic. */
int model_place_of(struct span topic);  /* -1: not one of ours. */
struct span model_place_name(int place, uint8_t out[256]);
static inline int place_retry(int group)
{
	return TOPICS_MAX + group;
}
static inline int place_dead(int group)
{
	return TOPICS_MAX + CONSUMER_GROUPS + group;
}

static inline int place_pop_retry(int topic)
{
	return TOPICS_MAX + 2 * CONSUMER_GROUPS + topic;
}
static inline int place_pop_dead(void)
{
	return PLACES_MAX - 1;
}

/* --- seeing ---------------------------------------------------------------------------------------------------------- */

/* A message was pulled. Returns its item; NULL if that was a violation. */
struct item *model_saw(int broker, int place, int queue, const struct message *message);
/* Somebody who asked for what is at `from` got what is at `to` instead. */
void model_passed_over(int broker, int place, int queue, int64_t from, int64_t to);
/* What a pull that was sent when the log began at `start` says of where the queue begins. */
void model_min_told(int broker, int place, int queue, int64_t min_offset, uint64_t start);
/* Messages seen so far form a dense run from 0; how many. */
uint64_t model_dense_end(int broker, int place, int queue);
/* The number of the item that was seen there; 0 if none was (0 is no item's number). */
uint32_t model_item_at(int broker, int place, int queue, uint64_t queue_offset);
/* The store time of a message that was seen there; false if none was. */
bool model_seen_time(int broker, int place, int queue, uint64_t queue_offset, int64_t *store_ms_out);

/* Calls back with each message that was seen at the place. */
typedef void (*model_visit)(void *context, const struct item *item, uint64_t log_offset, int64_t store_ms);
void model_walk(int broker, int place, model_visit visit, void *context);

/* Where in the log; of one that was seen there. */
uint64_t model_seen_log_offset(int broker, int place, int queue, uint64_t queue_offset);

/* A message was given out by POP: model_saw, and its place is given out once, ever. */
struct item *model_popped(int broker, int place, const struct message *message);
/* It is being acknowledged: at least that must become of each. */
void model_pop_done(struct item *item);
/* An acknowledgement was answered with success; of a message that was asked for at `asked_us` for `invisible_ms`. */
void model_pop_acked(struct item *item, int broker, int64_t asked_us, int64_t invisible_ms);

void model_back_asked(struct item *item, int group);
void model_back_acked(struct item *item, int group);
/* The history is over, what was stored is being read: what is sent back from now on would come back after the end, and is
 * behind `log_end` of the broker's log. */
void model_closing(int broker, uint64_t log_end);
/* Was the history over when the broker's log came to this offset? */
bool model_was_over(int broker, uint64_t log_offset);

/* --- progress of consumers --------------------------------------------------------------------------------------------- */

void model_consumed(int group, int broker, int place, int queue, uint64_t queue_offset);
bool model_was_consumed(int group, int broker, int place, int queue, uint64_t queue_offset);
void model_offset_asked(int group, int broker, int place, int queue, int64_t offset);
/* -1: not known to the broker. */
void model_offset_told(int group, int broker, int place, int queue, int64_t offset);

/* A jump of that broker's wall clock: what waits for its time is not judged by ours any more. */
void model_clock_jumped(int broker);
/* The broker was started (again). */
void model_broker_started(int broker);

#endif
