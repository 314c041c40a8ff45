/* Pieces of body_config.c that body_register.c needs too. Internal to lib/wire. */
#ifndef ESCROW_WIRE_BODY_CONFIG_PARTS_H
#define ESCROW_WIRE_BODY_CONFIG_PARTS_H

#include "lib/wire/body_config.h"

/* `attributes` as JSON text in the document's memory; empty for an empty or absent object. ST_NOMEM. */
enum status topic_attributes_decode(struct json_doc *doc, const struct cJSON *attributes, struct span *out) MUST_USE;
/* A TopicConfig object; its texts borrow from the tree and `doc`. ST_NOMEM. */
enum status topic_config_of(struct json_doc *doc, const struct cJSON *object, struct topic_config *out) MUST_USE;
/* A TopicConfigSerializeWrapper object into out->topics and out->version; out->doc owns the memory. ST_NOMEM. */
enum status topic_config_table_of(const struct cJSON *wrapper, struct topic_config_table *out) MUST_USE;

#endif
