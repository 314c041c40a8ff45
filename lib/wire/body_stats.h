/* The bodies of answers to operators' questions: how far queues and readers are, who is connected. Written only; each is
 * begun, gets its items one by one, and is ended.
 *
 *     202 GET_TOPIC_STATS_INFO      topic_stats_*       203, 204 connections      connections_*
 *     208 GET_CONSUME_STATS         consume_stats_*     328 GET_ALL_PRODUCER_INFO producers_*
 *     315 VIEW_BROKER_STATS_DATA    stats_data_encode   345                       subscription_encode
 *
 * Threads: a writer belongs to one thread. */
#ifndef ESCROW_WIRE_BODY_STATS_H
#define ESCROW_WIRE_BODY_STATS_H

#include "lib/wire/message_queue.h"

struct topic_stats_item {
	struct message_queue queue;
	uint64_t min_offset, max_offset;
	int64_t last_update_ms; /* 0: never. */
};
void topic_stats_begin(struct json_writer *writer, struct buffer *out);
void topic_stats_add(struct json_writer *writer, const struct topic_stats_item *item);
void topic_stats_end(struct json_writer *writer, double put_tps);

struct consume_stats_item {
	struct message_queue queue;
	uint64_t broker_offset, consumer_offset, pull_offset;
	int64_t last_ms;
};
/* Also as a part of a larger body, with a writer that is under way. */
void consume_stats_begin(struct json_writer *writer);
void consume_stats_add(struct json_writer *writer, const struct consume_stats_item *item);
void consume_stats_end(struct json_writer *writer, double consume_tps);

struct connection_item {
	struct span client_addr, client_id;
	int32_t language, version;
	int64_t last_update_ms; /* 328 only. */
};
void connection_encode(struct json_writer *writer, const struct connection_item *item);
/* As 328 has it. */
void producer_encode(struct json_writer *writer, const struct connection_item *item);

/* RocketMQ's SubscriptionData. */
struct subscription_item {
	struct span topic, sub_string;
	bool sql;
	int64_t sub_version;
	const int32_t *tag_hashes;
	uint32_t tag_count;
};
void subscription_encode(struct json_writer *writer, const struct subscription_item *item);

struct stats_window {
	uint64_t sum;
	double tps, avgpt;
};
void stats_data_encode(struct buffer *out, const struct stats_window *minute, const struct stats_window *hour,
		       const struct stats_window *day);

#endif
