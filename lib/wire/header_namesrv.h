/* The headers that name servers read: 100-102 KV, 103 REGISTER_BROKER, 104 UNREGISTER_BROKER,
 * 105 GET_ROUTEINFO_BY_TOPIC, 322 QUERY_DATA_VERSION, 904 BROKER_HEARTBEAT. 106 and 206 have none. Bodies:
 * body_register.h, body_route.h. See headers.h for the rules common to all headers. */
#ifndef ESCROW_WIRE_HEADER_NAMESRV_H
#define ESCROW_WIRE_HEADER_NAMESRV_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/command.h"

/* 103, and the same four names in 104, 322 and 904. */
struct broker_header {
	struct span broker_name;
	struct span broker_addr;
	struct span cluster_name;
	int64_t broker_id;                /* 904: default -1. */
	struct span ha_server_addr;       /* 103 only, optional. */
	int64_t heartbeat_timeout_ms;     /* 103 and 904; -1: absent. */
	bool enable_acting_master;        /* 103 only. */
	bool has_enable_acting_master;    /* 103 only; absent marks a 4.x broker. */
	bool compressed;                  /* 103 only. */
	int32_t body_crc32;               /* 103 only; 0: not to be checked. */
	struct span zone_name;            /* 103 only, optional. */
};
enum status register_broker_decode(const struct command *command, struct broker_header *out,
				   struct errinfo *err) MUST_USE;
void register_broker_encode(struct encoder *encoder, const struct broker_header *header);
/* 104 and 322. */
enum status broker_header_decode(const struct command *command, struct broker_header *out,
				 struct errinfo *err) MUST_USE;
void broker_header_encode(struct encoder *encoder, const struct broker_header *header);
enum status broker_heartbeat_decode(const struct command *command, struct broker_header *out,
				    struct errinfo *err) MUST_USE;

/* The answer to 103. Both are filled for slaves only. */
struct register_reply_header {
	struct span ha_server_addr; /* Optional. */
	struct span master_addr;    /* Optional. */
};
enum status register_reply_decode(const struct command *command, struct register_reply_header *out,
				  struct errinfo *err) MUST_USE;
void register_reply_encode(struct encoder *encoder, const struct register_reply_header *header);

struct route_header {
	struct span topic;
	bool accept_standard_json_only; /* Default false. */
};
enum status route_header_decode(const struct command *command, struct route_header *out, struct errinfo *err) MUST_USE;
void route_header_encode(struct encoder *encoder, const struct route_header *header);

/* 100 (all three), 101 and 102 (no value). */
struct kv_header {
	struct span name_space;
	struct span key;
	struct span value; /* 100 only. */
};
enum status kv_header_decode(const struct command *command, struct kv_header *out, struct errinfo *err) MUST_USE;
void kv_header_encode(struct encoder *encoder, const struct kv_header *header);

/* `changed` of the answer to 322. */
enum status data_version_reply_decode(const struct command *command, bool *changed, struct errinfo *err) MUST_USE;
void data_version_reply_encode(struct encoder *encoder, bool changed);

#endif
