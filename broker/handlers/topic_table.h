/* The broker's topics in the form that bodies carry: for GET_ALL_TOPIC_CONFIG and for the registration with name
 * servers. Threads: the loop thread. */
#ifndef ESCROW_HANDLERS_TOPIC_TABLE_H
#define ESCROW_HANDLERS_TOPIC_TABLE_H

#include "broker/core/topics.h"
#include "lib/wire/body_config.h"

enum { RECORD_TEXT_LIMIT = 65535 };

struct topic_table {
	struct topic_config *topics; /* Names borrow from the topics. */
	size_t count;
	struct data_version version;
};

struct topic_config core_topic_config(const struct topic *topic);
enum status topic_table_make(const struct topics *topics, struct topic_table *out) MUST_USE;
void topic_table_free(struct topic_table *table);

#endif
