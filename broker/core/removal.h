/* What goes by an operator's word: topics, consumer groups, a group's right to read a topic (215, 207, 353).
 *
 * A deletion is a TOPIC or GROUP record like any other change. What belonged to the topic goes with it: its queues with their
 * index pages, and what consumers had read of it. What was on its way there is dealt with when its time comes: a delayed
 * message is recalled, a half message can only be rolled back (see topic_outlived). Bodies stay in the log until retention
 * takes them. A topic of that name that is made later begins at 0.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_REMOVAL_H
#define ESCROW_CORE_REMOVAL_H

#include "broker/core/core.h"

/* DELETE_TOPIC_IN_BROKER. One that is not there is a success, as in RocketMQ; a refusal for topics of the system. */
enum status core_delete_topic(struct core *core, struct span name, struct outcome *outcome) MUST_USE;
/* DELETE_SUBSCRIPTIONGROUP. `clean_offsets`: what it has read is forgotten, too. */
enum status core_delete_group(struct core *core, struct span name, bool clean_offsets, struct outcome *outcome) MUST_USE;
/* UPDATE_AND_GET_GROUP_FORBIDDEN with a `readable`. The group is made if it is not there. */
enum status core_set_group_readable(struct core *core, struct span group, struct span topic, bool readable,
				    struct outcome *outcome) MUST_USE;

#endif
