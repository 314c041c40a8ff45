/* Taking messages in: ordinary ones, batches, half messages, and messages that a consumer sends back.
 *
 * A message is stored in the form in which it will be delivered: topic and queue final, broker's properties added, delay
 * properties taken off (the record says when), of a half message with the commit bits already set.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_PRODUCE_H
#define ESCROW_CORE_PRODUCE_H

#include "broker/core/core.h"
#include "lib/wire/message.h"

struct consumer_group;
struct topic;

struct send_request {
	struct span producer_group;
	struct span topic;
	struct span default_topic;        /* Template of an unknown topic. */
	int32_t default_topic_queue_nums;
	int32_t queue_id;                 /* Negative: any. */
	int32_t sys_flag;
	int64_t born_timestamp;
	struct host born_host;
	int32_t flag;
	struct span properties;
	struct span body;                 /* With `batch`: a batch body. */
	int32_t reconsume_times;
	int32_t max_reconsume_times;      /* -1: the group's. */
	bool batch;
	bool unit_mode;                   /* The sender's. */
	bool reply;                       /* Of request-reply: never a half message. */
	uint64_t conn_id;
	struct span client_id;
};

enum { SEND_UNIQUE_KEY_MAX = 256 };

struct send_result {
	uint64_t log_offset;    /* Names the message: physical offset, hence offsetMsgId. Of a batch: the first. */
	uint64_t queue_offset;  /* Of a half message: its number in the half queue. Of a batch: the first. */
	uint32_t queue_id;
	uint32_t count;         /* Messages of a batch, else 1. */
	const uint64_t *log_offsets; /* `count` of them; valid until the next call. */
	char unique_key[SEND_UNIQUE_KEY_MAX];
	int64_t recall_at_ms;   /* Of a timer: the time in its recall handle; else 0. */
};

/* Could this be sent at all, whatever the store says? Makes the topic if it may be made. */
enum status core_check_send(struct core *core, const struct send_request *request, struct outcome *outcome) MUST_USE;
enum status core_send(struct core *core, const struct send_request *request, struct send_result *result,
		      struct outcome *outcome) MUST_USE;

struct send_back_request {
	struct span group;
	uint64_t log_offset;         /* Of the message, as its id says. */
	int32_t delay_level;         /* Negative: dead letter; 0: 3 + times so far; else the level. */
	struct span origin_msg_id;
	int32_t max_reconsume_times; /* -1: the group's. */
};
/* CONSUMER_SEND_MSG_BACK: a copy to the group's retry topic, or to its dead letters. */
enum status core_send_back(struct core *core, const struct send_back_request *request, struct outcome *outcome) MUST_USE;

/* What a group's POP consumer did not acknowledge in time, to be given out again. */
struct stored_message;
struct redelivery {
	const struct consumer_group *group;
	struct topic *topic; /* That it was given out from. */
	int64_t first_pop_ms;      /* When it was given out the first time, unless the message says so itself. */
};
/* A copy at the end of the group's retry topic for the topic, with a raised reconsumeTimes. */
enum status produce_again(struct core *core, const struct redelivery *again, struct stored_message *stored,
			  struct outcome *outcome) MUST_USE;

#endif
