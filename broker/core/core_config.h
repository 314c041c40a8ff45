/* What the core needs to know about this broker; a plain value, filled by the shell from its options (or by a test). */
#ifndef ESCROW_CORE_CONFIG_H
#define ESCROW_CORE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checkback/checkback.h"

enum { DELAY_LEVELS_MAX = 64 };

struct core_config {
	const char *cluster_name;
	const char *broker_name;
	uint32_t store_ipv4;     /* Advertised address, host byte order: part of every message id. */
	uint32_t store_port;
	bool sync_flush;         /* committed = durable; otherwise committed = written. */
	bool auto_create_topic;
	bool auto_create_group;
	const char *trace_topic;   /* Made at the start; NULL: left to the first send. */
	bool reject_transactions;
	bool long_polling;
	bool property_filter;      /* SQL92. */
	bool server_side_reset;    /* Resets of offsets are this broker's business, not its consumers'. */
	uint32_t forbidden;        /* PERM_READ, PERM_WRITE: what nobody may do with any topic. */
	uint32_t default_topic_queue_nums;
	uint32_t max_message_size;
	uint64_t young_queue_bytes; /* A queue whose first message is this near the log's end counts as young: new
				     * groups start at its beginning. */
	int64_t delay_levels_ms[DELAY_LEVELS_MAX]; /* [0] is level 1. */
	uint32_t delay_level_count;
	bool timers;                /* Messages may name their own time, not only a level. */
	int64_t timer_max_delay_ms; /* How far ahead it may be. */
	bool recall;                /* Messages with such a time may be recalled. */
	bool store_replies;         /* Replies of request-reply are stored as well. */
	int64_t offset_flush_interval_ms;

	int64_t retention_ms;      /* The log keeps records this long; 0: for ever. */
	uint64_t retention_bytes;  /* And at most about so many bytes; 0: no limit. */
	uint64_t snapshot_bytes;   /* A snapshot after so many bytes of log (more if it is large itself); 0: never. */
	uint64_t segment_bytes;
	uint64_t pending_max;
	uint64_t pending_group_max;
	uint64_t resend_window_count;
	uint64_t delayed_max;
	uint32_t topic_max;
	uint32_t group_max;
	uint32_t name_max;
	uint32_t offset_row_max;   /* (topic, group) pairs with consumer offsets. */
	uint32_t member_max;
	uint32_t hold_max;
	uint32_t lock_max;
	size_t pop_max;            /* Messages that are checked out by POP. */
	uint32_t flow_max;         /* (topic, group) pairs that statistics are kept for. */
	struct checkback_config checkback;
};

/* Takes over from `now` what can change while a core serves; all else stays. */
void core_config_take_changes(struct core_config *config, const struct core_config *now);

/* Parses RocketMQ's "1s 5s 10s 30s 1m 2h 1d" into config->delay_levels_ms. ST_INVALID names the bad word. */
enum status core_config_set_delay_levels(struct core_config *config, const char *text, struct errinfo *err) MUST_USE;

#endif
