#include "broker/shell/core_setup.h"

#include <arpa/inet.h>

#include "lib/wire/codes.h"
#include "lib/wire/names.h"

enum status core_setup(const struct broker_config *config, struct core_config *out, struct errinfo *err)
{
	struct in_addr ip;

	if (inet_pton(AF_INET, config->broker_ip1, &ip) != 1)
		return errinfo_set(err, ST_INVALID, "brokerIP1=%s: not an IPv4 address", config->broker_ip1);
	if (config->trace_topic_enable && topic_name_check(span_of(config->trace_topic_name), err) != ST_OK)
		return errinfo_wrap(err, ST_INVALID, "msgTraceTopicName");
	*out = (struct core_config){
		.cluster_name = config->broker_cluster_name,
		.broker_name = config->broker_name,
		.store_ipv4 = ntohl(ip.s_addr),
		.sync_flush = config->flush_disk_type == FLUSH_SYNC,
		.auto_create_topic = config->auto_create_topic_enable,
		.trace_topic = config->trace_topic_enable ? config->trace_topic_name : NULL,
		.auto_create_group = config->auto_create_subscription_group,
		.reject_transactions = config->reject_transaction_message,
		.long_polling = config->long_polling_enable,
		.property_filter = config->enable_property_filter,
		.server_side_reset = config->use_server_side_reset_offset,
		.forbidden = (PERM_READ | PERM_WRITE) & ~(uint32_t)config->broker_permission,
		.default_topic_queue_nums = (uint32_t)config->default_topic_queue_nums,
		.max_message_size = (uint32_t)config->max_message_size,
		.young_queue_bytes = (uint64_t)config->mapped_file_size_commit_log,
		.offset_flush_interval_ms = config->offset_flush_interval_ms,
		.segment_bytes = (uint64_t)config->mapped_file_size_commit_log & ~(uint64_t)4095,
		.retention_ms = config->file_reserved_time_h * 3600 * 1000,
		.retention_bytes = (uint64_t)config->log_retention_bytes,
		.snapshot_bytes = (uint64_t)config->snapshot_interval_bytes,
		.pending_max = (uint64_t)config->pending_transaction_max,
		.pending_group_max = (uint64_t)config->pending_transaction_group_max,
		.resend_window_count = (uint64_t)config->resend_window_count,
		.delayed_max = (uint64_t)config->delayed_message_max,
		.timers = config->timer_wheel_enable,
		.timer_max_delay_ms = config->timer_max_delay_s * 1000,
		.recall = config->recall_message_enable,
		.store_replies = config->store_reply_message_enable,
		.topic_max = 100000,
		.group_max = 100000,
		.name_max = 400000,
		.offset_row_max = 100000,
		.member_max = 200000,
		.hold_max = 100000,
		.lock_max = 200000,
		.pop_max = 1000000,
		.flow_max = 20000,
		.checkback = checkback_config_default(),
	};
	out->checkback.transaction_timeout_ms = config->transaction_timeout_ms;
	out->checkback.check_interval_ms = config->transaction_check_interval_ms;
	out->checkback.answer_timeout_ms = config->transaction_check_answer_timeout_ms;
	out->checkback.check_max = (uint32_t)config->transaction_check_max;
	out->checkback.policy = (enum checkback_policy)config->transaction_undecided_policy;
	return core_config_set_delay_levels(out, config->message_delay_level, err);
}
