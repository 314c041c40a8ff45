/* The headers of operators' requests: 17 UPDATE_AND_CREATE_TOPIC, 351 GET_TOPIC_CONFIG,
 * 352 GET_SUBSCRIPTIONGROUP_CONFIG, 215/216 DELETE_TOPIC, 207 DELETE_SUBSCRIPTIONGROUP, 220/222 resets of offsets. (200 has
 * a body only: body_config.h.) See headers.h for the rules common to all headers. */
#ifndef ESCROW_WIRE_HEADER_ADMIN_H
#define ESCROW_WIRE_HEADER_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/command.h"

struct create_topic_header {
	struct span topic;
	int32_t read_queue_nums;
	int32_t write_queue_nums;
	int32_t perm;
	struct span topic_filter_type; /* Optional: absent means SINGLE_TAG. */
	int32_t topic_sys_flag;        /* Default 0. */
	bool order;                    /* Default false. */
	struct span attributes;        /* "+key=value,-key". Optional. */
};
enum status create_topic_decode(const struct command *command, struct create_topic_header *out,
				struct errinfo *err) MUST_USE;
void create_topic_encode(struct encoder *encoder, const struct create_topic_header *header);

/* `topic` of 215, 216, 351. */
enum status topic_header_decode(const struct command *command, struct span *topic, struct errinfo *err) MUST_USE;
void topic_header_encode(struct encoder *encoder, struct span topic);
/* `group` of 352. */
enum status group_header_decode(const struct command *command, struct span *group, struct errinfo *err) MUST_USE;
void group_header_encode(struct encoder *encoder, struct span group);

/* 222 INVOKE_BROKER_TO_RESET_OFFSET and 220 RESET_CONSUMER_CLIENT_OFFSET. */
struct reset_offset_header {
	struct span topic;
	struct span group;
	int64_t timestamp; /* ms; -1: behind the last message. */
	bool is_force;     /* Default false: do not move forward. */
	int32_t queue_id;  /* Default -1: all queues. */
	int64_t offset;    /* Default -1: as the timestamp says. Needs a queue_id. */
};
enum status reset_offset_decode(const struct command *command, struct reset_offset_header *out,
				struct errinfo *err) MUST_USE;
void reset_offset_encode(struct encoder *encoder, const struct reset_offset_header *header);

struct delete_group_header {
	struct span group_name;
	bool clean_offset; /* Default false. */
};
enum status delete_group_decode(const struct command *command, struct delete_group_header *out,
				struct errinfo *err) MUST_USE;
void delete_group_encode(struct encoder *encoder, const struct delete_group_header *header);

#endif
