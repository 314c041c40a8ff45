/* The headers of clients and groups: 12 QUERY_MESSAGE, 33 VIEW_MESSAGE_BY_ID, 34's answer, 35 UNREGISTER_CLIENT,
 * 36 CONSUMER_SEND_MSG_BACK, 38 GET_CONSUMER_LIST_BY_GROUP, 40 NOTIFY_CONSUMER_IDS_CHANGED. (34 itself has a body
 * only: body_heartbeat.h.) See headers.h for the rules common to all headers. */
#ifndef ESCROW_WIRE_HEADER_CLIENT_H
#define ESCROW_WIRE_HEADER_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/command.h"

struct view_message_header {
	struct span topic; /* Optional. */
	int64_t offset;
};
enum status view_message_decode(const struct command *command, struct view_message_header *out,
				struct errinfo *err) MUST_USE;
void view_message_encode(struct encoder *encoder, const struct view_message_header *header);

struct query_message_header {
	struct span topic, key;
	int32_t max_num;
	int64_t begin_timestamp, end_timestamp;
	bool unique_key_query; /* `key` is a unique key. Default false. */
	struct span index_type; /* Optional. 5.4: K, U or T; with T the key is a tag. */
};
enum status query_message_decode(const struct command *command, struct query_message_header *out,
				 struct errinfo *err) MUST_USE;
void query_message_encode(struct encoder *encoder, const struct query_message_header *header);

struct unregister_client_header {
	struct span client_id;
	struct span producer_group; /* Optional. */
	struct span consumer_group; /* Optional. */
};
enum status unregister_client_decode(const struct command *command, struct unregister_client_header *out,
				     struct errinfo *err) MUST_USE;
void unregister_client_encode(struct encoder *encoder, const struct unregister_client_header *header);

struct send_back_header {
	int64_t offset;              /* Commit-log offset of the message. */
	struct span group;
	int32_t delay_level;         /* Negative: to the dead letters; 0: the broker chooses. */
	struct span origin_msg_id;   /* Optional. */
	struct span origin_topic;    /* Optional. */
	bool unit_mode;
	int32_t max_reconsume_times; /* -1: absent. */
};
enum status send_back_decode(const struct command *command, struct send_back_header *out,
			     struct errinfo *err) MUST_USE;
void send_back_encode(struct encoder *encoder, const struct send_back_header *header);

/* 38 and 40: `consumerGroup`. */
enum status consumer_group_decode(const struct command *command, struct span *group, struct errinfo *err) MUST_USE;
void consumer_group_encode(struct encoder *encoder, struct span group);

#endif
