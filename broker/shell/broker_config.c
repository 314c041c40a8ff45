/* See broker_config.h. */
#include "broker/shell/broker_config.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/wire/codes.h"

#define AT(field) offsetof(struct broker_config, field)
#define TEXT(k, f, d, h) { .key = k, .type = CONFIG_TEXT, .offset = AT(f), .def = d, .help = h }
#define FLAG(k, f, d, h) { .key = k, .type = CONFIG_BOOL, .offset = AT(f), .def = d, .help = h }
#define NUMBER(k, f, d, u, lo, hi, h) \
	{ .key = k, .type = CONFIG_I64, .offset = AT(f), .def = d, .unit = u, .min = lo, .max = hi, .help = h }
#define CHOICE(k, f, d, c, h) \
	{ .key = k, .type = CONFIG_ENUM, .offset = AT(f), .def = d, .choices = c, .help = h }

#define MIB (1024LL * 1024)
#define GIB (1024LL * MIB)

static const struct config_option broker_options[] = {
	TEXT("brokerClusterName", broker_cluster_name, "DefaultCluster", "Cluster that this broker belongs to."),
	TEXT("brokerName", broker_name, "",
	     "Name under which clients know this broker; the host name when empty. The store is this name's alone."),
	NUMBER("brokerId", broker_id, "0", NULL, 0, 0, "0 is the master; this version has masters only."),
	TEXT("brokerIP1", broker_ip1, "127.0.0.1",
	     "IPv4 address that clients are told to connect to, and that is part of every message id."),
	NUMBER("listenPort", listen_port, "10911", NULL, 0, 65535, "Port; 0 takes a free one and prints it."),
	NUMBER("fastListenPort", fast_listen_port, "-1", NULL, -1, 65535,
	       "Second port, for clients that are set to use the VIP channel: they connect to listenPort - 2, which is what -1 "
	       "means here. 0: none. A port that is taken is left out, with a warning."),
	TEXT("bindAddress", bind_address, "127.0.0.1",
	     "Address to listen on. Anything wider than loopback needs allowInsecure=true while there is no "
	     "authentication."),
	FLAG("allowInsecure", allow_insecure, "false",
	     "Allows a bindAddress other than loopback although peers are not authenticated."),
	TEXT("namesrvAddr", namesrv_addr, "",
	     "Name servers to register with, as host:port;host:port. Empty: none, clients must know this broker."),
	TEXT("storePathRootDir", store_path_root_dir, "store", "Directory that holds all data of this broker."),
	TEXT("logLevel", log_level, "info", "debug, info, warn or error; lines go to standard error."),

	CHOICE("flushDiskType", flush_disk_type, "SYNC_FLUSH", "ASYNC_FLUSH|SYNC_FLUSH",
	       "SYNC_FLUSH answers after fdatasync; ASYNC_FLUSH answers once the operating system has the bytes, "
	       "and a power cut may lose what was acknowledged last."),
	NUMBER("mappedFileSizeCommitLog", mapped_file_size_commit_log, "1073741824", "bytes", 1 * MIB, 16 * GIB,
	       "Size of one commit log segment, at least 2 x maxMessageSize. Only segments made from now on have it."),
	NUMBER("fileReservedTime", file_reserved_time_h, "72", "hours", 0, 876000,
	       "How long the log is kept; whole segments go, the oldest first. 0: for ever."),
	NUMBER("logRetentionBytes", log_retention_bytes, "0", "bytes", 0, 1024 * 1024 * GIB,
	       "Size of the log beyond which its oldest segments go, whatever their age. 0: no limit."),
	NUMBER("snapshotIntervalBytes", snapshot_interval_bytes, "268435456", "bytes", 0, 1024 * GIB,
	       "A snapshot is taken after so many bytes of log (or twice its own size), which bounds what a start replays. 0: never; "
	       "nothing of the log can go then."),
	NUMBER("diskSpaceWarningLevelRatio", disk_warning_ratio, "90", "percent", 1, 100,
	       "Use of the disk from which on the log warns."),
	NUMBER("diskSpaceFreeMin", disk_free_min, "268435456", "bytes", 0, 1024 * GIB,
	       "Space that the log leaves to index pages and snapshots (at most a sixteenth of the disk). When the log has used up "
	       "the rest, messages and half messages are refused; decisions, pulls and offsets go on."),
	NUMBER("tailRingSize", tail_ring_size, "67108864", "bytes", 1 * MIB, 4 * GIB,
	       "Memory for the log's tail: what is not yet durable, and the cache that serves consumers that keep "
	       "up. A power of two, at least 4 x maxMessageSize."),
	NUMBER("indexCacheSize", index_cache_size, "33554432", "bytes", 1 * MIB, 16 * GIB,
	       "Memory for pages of the consume queues and the half index."),
	FLAG("messageIndexEnable", message_index_enable, "true",
	     "Keeps an index of KEYS and unique keys, for queries by key."),
	NUMBER("maxMessageSize", max_message_size, "4194304", "bytes", 1024, 16 * MIB,
	       "Largest message body accepted."),

	FLAG("autoCreateTopicEnable", auto_create_topic_enable, "true",
	     "Creates a topic on the first send to it, after the template TBW102."),
	FLAG("traceTopicEnable", trace_topic_enable, "false",
	     "Makes the topic of clients' message traces at the start; when false, the first trace makes it if topics are created "
	     "automatically."),
	TEXT("msgTraceTopicName", trace_topic_name, TOPIC_TRACE, "Name of that topic."),
	FLAG("autoCreateSubscriptionGroup", auto_create_subscription_group, "true",
	     "Creates a consumer group on its first heartbeat or pull."),
	NUMBER("defaultTopicQueueNums", default_topic_queue_nums, "8", "queues", 1, 1024,
	       "Queues of the template topic TBW102; clients ask for fewer (4)."),
	FLAG("rejectTransactionMessage", reject_transaction_message, "false", "Refuses half messages."),
	FLAG("enablePropertyFilter", enable_property_filter, "true",
	     "Lets consumers choose messages by their properties (SQL92); when false, by tags only."),
	FLAG("longPollingEnable", long_polling_enable, "true",
	     "Holds a pull that finds nothing until a message comes; when false, for one second only."),
	FLAG("useServerSideResetOffset", use_server_side_reset_offset, "true",
	     "An operator's reset of consumer offsets takes effect here, whether consumers are connected or not; when false, the "
	     "connected ones are asked to do it."),
	NUMBER("brokerPermission", broker_permission, "6", NULL, 0, 7,
	       "What clients may do with every topic of this broker: the sum of 4 (read) and 2 (write). Routes say so, too."),
	TEXT("messageDelayLevel", message_delay_level, "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h",
	     "Delay of each delay level, from level 1."),
	FLAG("timerWheelEnable", timer_wheel_enable, "true",
	     "Takes messages that name the time of their delivery (TIMER_DELIVER_MS, TIMER_DELAY_SEC, TIMER_DELAY_MS)."),
	NUMBER("timerMaxDelaySec", timer_max_delay_s, "259200", "seconds", 1, 1000000000,
	       "How far ahead that time may be."),
	NUMBER("delayedMessageMax", delayed_message_max, "10000000", "messages", 1, 100000000,
	       "Messages that wait for their time, of levels and timers together; further ones are refused. Each takes about 60 bytes "
	       "of memory."),
	FLAG("recallMessageEnable", recall_message_enable, "true",
	     "Lets clients recall a message that waits for its time, with the handle that its sender got."),
	FLAG("storeReplyMessageEnable", store_reply_message_enable, "true",
	     "Also stores the replies of request-reply, in the topic CLUSTER_REPLY_TOPIC."),

	NUMBER("transactionTimeOut", transaction_timeout_ms, "6000", "ms", 1, 86400000,
	       "Age at which an undecided half message is first checked back. A message may ask for its own with "
	       "CHECK_IMMUNITY_TIME_IN_SECONDS."),
	NUMBER("transactionCheckMax", transaction_check_max, "15", "checks", 1, 65535,
	       "Answered checks that said 'unknown' before transactionUndecidedPolicy applies."),
	NUMBER("transactionCheckInterval", transaction_check_interval_ms, "30000", "ms", 1, 86400000,
	       "Wait after a check that was answered 'unknown'; after the third one it doubles with each, up to 8 times."),
	NUMBER("transactionCheckAnswerTimeout", transaction_check_answer_timeout_ms, "5000", "ms", 10, 3600000,
	       "Wait for the answer to a check before another producer of the group is asked; not counted."),
	CHOICE("transactionUndecidedPolicy", transaction_undecided_policy, "PARK", "PARK|ROLLBACK|COMMIT",
	       "What happens to a transaction whose checks are exhausted. A parked one is kept until somebody decides."),
	NUMBER("pendingTransactionMax", pending_transaction_max, "10000000", "transactions", 1, 100000000,
	       "Undecided transactions that this broker holds; further half messages are refused."),
	NUMBER("pendingTransactionGroupMax", pending_transaction_group_max, "10000000", "transactions", 1, 100000000,
	       "Undecided transactions that one producer group may hold."),
	NUMBER("resendWindowCount", resend_window_count, "400000", "transactions", 0, 100000000,
	       "Decided half messages that are remembered so that a resend of one gets its first answer again, or is refused "
	       "when it was rolled back."),

	CHOICE("metricsExporterType", metrics_exporter_type, "DISABLE", "DISABLE|PROM",
	       "PROM serves figures for Prometheus at http://metricsPromExporterHost:metricsPromExporterPort/metrics."),
	NUMBER("metricsPromExporterPort", metrics_port, "5557", NULL, 0, 65535, "Port for that; 0 takes a free one and logs it."),
	TEXT("metricsPromExporterHost", metrics_host, "127.0.0.1",
	     "Address to listen on for that. Anything wider than loopback needs allowInsecure=true."),

	NUMBER("connectionsMax", connections_max, "10000", "connections", 1, 1000000, "Open connections."),
	NUMBER("connectionsPerAddressMax", connections_per_address_max, "10000", "connections", 1, 1000000,
	       "Open connections of one client address."),
	NUMBER("frameSizeMax", frame_size_max, "16777216", "bytes", 65536, 64 * MIB, "Largest frame accepted."),
	NUMBER("outputBytesMax", output_bytes_max, "67108864", "bytes", 1 * MIB, 1 * GIB,
	       "Answers that a connection may leave unread before it is closed."),
	NUMBER("inFlightMax", in_flight_max, "16384", "requests", 1, 1000000,
	       "Requests of one connection that wait for durability; more are answered SYSTEM_BUSY."),
	NUMBER("flushConsumerOffsetInterval", offset_flush_interval_ms, "500", "ms", 10, 1000,
	       "How long a one-way offset update may wait before it is written to the log."),
	NUMBER("registerBrokerPeriod", register_interval_ms, "30000", "ms", 1000, 60000,
	       "Interval of the registration with the name servers."),
	NUMBER("loadBalancePollNameServerInterval", route_refresh_ms, "30000", "ms", 1000, 3600000,
	       "How old a route may become that this broker has of a topic whose queues it shares out to POP consumers: the queues of "
	       "all brokers, as the name servers know them."),
	OPLOG_CONFIG_OPTIONS(struct broker_config, oplog),
};

/* RocketMQ keys that a migrated file may hold and that have no meaning here. */
static const char *const known_unused[] = {
	"brokerRole", "haListenPort", "haServerAddr", "brokerIP2", "deleteWhen",
	"diskMaxUsedSpaceRatio", "storePathCommitLog", "storePathConsumeQueue", "storePathIndex",
	"storeCheckpoint", "abortFile", "mappedFileSizeConsumeQueue", "sendMessageThreadPoolNums",
	"pullMessageThreadPoolNums", "useReentrantLockWhenPutMessage", "waitTimeMillsInSendQueue",
	"transactionOpBatchInterval", "transactionOpMsgMaxSize", "aclEnable", "flushIntervalCommitLog",
	"flushCommitLogLeastPages", "flushCommitLogTimed", "transientStorePoolEnable", "slaveReadEnable",
	"fetchNamesrvAddrByAddressServer", "maxTransferBytesOnMessageInMemory",
	"maxTransferCountOnMessageInMemory", "maxTransferBytesOnMessageInDisk", "maxTransferCountOnMessageInDisk",
	"accessMessageInMemoryMaxRatio", "maxIndexNum", "maxHashSlotNum", "warmMapedFileEnable",
	"osPageCacheBusyTimeOutMills", "enableCalcFilterBitMap", "clusterTopicEnable", "brokerTopicEnable",
	"compressedRegister", "forceRegister", "rocketmqHome", "duplicationEnable", "checkCRCOnRecover",
	"transferMsgByHeap", "brokerFastFailureEnable",
	"enableControllerMode", "litePullMessageEnable", "consumerManageThreadPoolNums",
	"clientManageThreadPoolNums", "adminBrokerThreadPoolNums", "syncFlushTimeout", NULL,
};

static const struct config_spec spec = {
	"escrow-broker", broker_options, sizeof(broker_options) / sizeof(broker_options[0]), known_unused,
};

const struct config_spec *broker_config_spec(void)
{
	return &spec;
}

enum status broker_config_finish(struct broker_config *config, struct errinfo *err)
{
	if (config->broker_name[0] == '\0' && gethostname(config->broker_name, sizeof(config->broker_name) - 1) != 0)
		return errinfo_set(err, ST_INVALID, "brokerName is empty and the host has no name: set brokerName");
	if ((config->tail_ring_size & (config->tail_ring_size - 1)) != 0)
		return errinfo_set(err, ST_INVALID, "tailRingSize=%lld: must be a power of two",
				   (long long)config->tail_ring_size);
	if (config->tail_ring_size < 4 * config->max_message_size)
		return errinfo_set(err, ST_INVALID, "tailRingSize=%lld: must be at least %lld, 4 x maxMessageSize",
				   (long long)config->tail_ring_size, 4 * (long long)config->max_message_size);
	if (config->mapped_file_size_commit_log < 2 * config->max_message_size)
		return errinfo_set(err, ST_INVALID,
				   "mappedFileSizeCommitLog=%lld: must be at least %lld, 2 x maxMessageSize",
				   (long long)config->mapped_file_size_commit_log,
				   2 * (long long)config->max_message_size);
	return ST_OK;
}
