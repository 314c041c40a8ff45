/* Topics and groups come into being: by an operator's word, on a first send, on a first heartbeat.
 * Each change is a TOPIC or GROUP record. Threads: the loop thread. */
#ifndef ESCROW_CORE_SETTINGS_H
#define ESCROW_CORE_SETTINGS_H

#include "broker/core/core.h"
#include "broker/core/groups.h"
#include "broker/core/topics.h"
#include "lib/record/record_settings.h"

/* The topics that every broker has; made in memory at each start. */
enum status settings_make_system_topics(struct core *core, struct errinfo *err) MUST_USE;
/* The groups that every RocketMQ broker has, for tools: they are there although groups are not made on the way. */
enum status settings_make_system_groups(struct core *core, struct errinfo *err) MUST_USE;
bool settings_is_system_group(struct span name);

/* The template of topics that are made on the way, if they are to be made. */
enum status settings_make_template(struct core *core, struct errinfo *err) MUST_USE;

/* The topic of clients' traces, once there is room in the log: at each tick until it is there. */
void settings_make_trace_topic(struct core *core);

/* UPDATE_AND_CREATE_TOPIC, UPDATE_AND_CREATE_SUBSCRIPTIONGROUP. */
enum status core_put_topic(struct core *core, struct span name, const struct topic_settings *settings,
			   struct outcome *outcome) MUST_USE;
enum status core_put_group(struct core *core, struct span name, const struct group_config *settings,
			   struct outcome *outcome) MUST_USE;

/* The records that make a topic or group what it is now; texts are borrowed. */
struct record_topic settings_topic_record(struct span name, const struct topic_settings *settings);
struct record_group settings_group_record(struct span name, const struct group_config *settings, struct span forbidden);
/* Appends and applies a record of this kind. A refusal, or ST_AGAIN without room in the log. */
enum status settings_record_topic(struct core *core, const struct record_topic *r, struct outcome *outcome) MUST_USE;
enum status settings_record_group(struct core *core, const struct record_group *r, struct outcome *outcome) MUST_USE;

/* The topic of a send: found, or made after the template if the template inherits (TBW102, when topics are created
 * automatically), or a retry topic. `unit_mode`: the sender's, which a topic that it makes shows. */
enum status settings_topic_for_send(struct core *core, struct span name, struct span template_name,
				    int32_t queue_nums, bool unit_mode, struct topic **topic_out, struct outcome *outcome) MUST_USE;
/* %RETRY%group and %DLQ%group, made if need be. */
enum status settings_retry_topic(struct core *core, struct span group, struct topic **topic_out,
				 struct outcome *outcome) MUST_USE;
enum status settings_dead_letter_topic(struct core *core, struct span group, struct topic **topic_out,
				       struct outcome *outcome) MUST_USE;
/* %RETRY%group_topic, which POP gives out again from. */
enum status settings_pop_retry_topic(struct core *core, struct span group, struct span topic, struct topic **topic_out,
				     struct outcome *outcome) MUST_USE;
/* A consumer group on its first heartbeat: found, or made with defaults. A refusal when that is not allowed. */
enum status settings_group_for_consumer(struct core *core, struct span name, struct consumer_group **group_out,
					struct outcome *outcome) MUST_USE;

/* For the registration with name servers and for tools: every topic and group, in order of creation. */
const struct topics *core_topics(const struct core *core);
const struct groups *core_groups(const struct core *core);

#endif
