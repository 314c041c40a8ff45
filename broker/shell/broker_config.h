/* Every option of escrow-broker, in one table: what it is called, what it means, what it may be.
 *
 * Keys are RocketMQ's where RocketMQ has the thing; `escrow-broker -p` prints them all. conf/broker.conf is
 * generated from this table. Threads: filled at start, read-only afterwards. */
#ifndef ESCROW_BROKER_CONFIG_H
#define ESCROW_BROKER_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/projections/oplog_config.h"
#include "lib/base/config.h"

enum metrics_exporter_type { METRICS_OFF, METRICS_PROM };
enum flush_disk_type { FLUSH_ASYNC, FLUSH_SYNC };

struct broker_config {
	char broker_cluster_name[CONFIG_TEXT_SIZE];
	char broker_name[CONFIG_TEXT_SIZE];
	char broker_ip1[CONFIG_TEXT_SIZE];
	char bind_address[CONFIG_TEXT_SIZE];
	char namesrv_addr[CONFIG_TEXT_SIZE];
	char store_path_root_dir[CONFIG_TEXT_SIZE];
	char log_level[CONFIG_TEXT_SIZE];
	int64_t broker_id;
	int64_t listen_port;
	int64_t fast_listen_port; /* -1: see its option. */
	bool allow_insecure;

	int flush_disk_type; /* enum flush_disk_type */
	int64_t mapped_file_size_commit_log;
	int64_t file_reserved_time_h;
	int64_t log_retention_bytes;
	int64_t snapshot_interval_bytes;
	int64_t disk_warning_ratio;
	int64_t disk_free_min;
	int64_t tail_ring_size;
	int64_t index_cache_size;
	int64_t max_message_size;
	bool message_index_enable;

	bool auto_create_topic_enable;
	bool trace_topic_enable;
	char trace_topic_name[CONFIG_TEXT_SIZE];
	bool auto_create_subscription_group;
	int64_t default_topic_queue_nums;
	bool reject_transaction_message;
	bool long_polling_enable;
	bool enable_property_filter;
	bool use_server_side_reset_offset;
	int64_t broker_permission;
	char message_delay_level[CONFIG_TEXT_SIZE];
	bool timer_wheel_enable;
	int64_t timer_max_delay_s;
	int64_t delayed_message_max;
	bool recall_message_enable;
	bool store_reply_message_enable;

	int64_t transaction_timeout_ms;
	int64_t transaction_check_max;
	int64_t transaction_check_interval_ms;
	int64_t transaction_check_answer_timeout_ms;
	int transaction_undecided_policy;
	int64_t pending_transaction_max;
	int64_t pending_transaction_group_max;
	int64_t resend_window_count;

	int metrics_exporter_type; /* enum metrics_exporter_type */
	int64_t metrics_port;
	char metrics_host[CONFIG_TEXT_SIZE];

	int64_t connections_max;
	int64_t connections_per_address_max;
	int64_t frame_size_max;
	int64_t output_bytes_max;
	int64_t in_flight_max;
	int64_t offset_flush_interval_ms;
	int64_t register_interval_ms;
	int64_t route_refresh_ms;

	struct oplog_config oplog;
};

/* The table; static lifetime. */
const struct config_spec *broker_config_spec(void);

/* Checks that span several options ("tailRingSize must be at least 4 x maxMessageSize") and fills in what
 * depends on the machine (brokerName from the host name when empty). */
enum status broker_config_finish(struct broker_config *config, struct errinfo *err) MUST_USE;

#endif
