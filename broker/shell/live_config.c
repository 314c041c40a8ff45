#include "broker/shell/live_config.h"

#include <stdlib.h>

#include "lib/base/clock.h"
#include "lib/base/config_change.h"
#include "lib/base/logging.h"
#include "lib/wire/codes.h"

static const char *const changeable[] = {
	"autoCreateTopicEnable", "autoCreateSubscriptionGroup", "rejectTransactionMessage", "longPollingEnable",
	"useServerSideResetOffset", "brokerPermission", "defaultTopicQueueNums", "maxMessageSize", "messageDelayLevel",
	"transactionTimeOut", "transactionCheckMax", "transactionCheckInterval", "transactionCheckAnswerTimeout",
	"transactionUndecidedPolicy", "pendingTransactionMax", "pendingTransactionGroupMax", "fileReservedTime", "logRetentionBytes",
	"snapshotIntervalBytes", "inFlightMax", "flushConsumerOffsetInterval", "timerWheelEnable", "timerMaxDelaySec",
	"delayedMessageMax", "recallMessageEnable", "storeReplyMessageEnable", "enablePropertyFilter",
	"logLevel", NULL,
};

static enum status change(struct broker_config *config, struct span text, struct outcome *outcome)
{
	struct core_config levels;
	enum log_level log_level;
	enum status status = config_change(broker_config_spec(), changeable, config, text, &outcome->err);

	if (status == ST_OK)
		status = broker_config_finish(config, &outcome->err);
	if (status == ST_OK)
		status = core_config_set_delay_levels(&levels, config->message_delay_level, &outcome->err);
	if (status == ST_OK && log_level_parse(config->log_level, &log_level) != ST_OK)
		status = errinfo_set(&outcome->err, ST_INVALID, "logLevel=%s: use debug, info, warn or error", config->log_level);
	if (status == ST_OK)
		return ST_OK;
	return core_refuse_as(outcome, status == ST_DENIED ? RESP_NO_PERMISSION : RESP_INVALID_PARAMETER);
}

static enum status update(void *context, struct span text, struct outcome *outcome)
{
	struct live_config *live = context;
	struct broker_config *wanted = malloc(sizeof(*wanted));
	enum log_level log_level;

	if (wanted == NULL)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "no memory for the options");
	*wanted = *live->config;
	enum status status = change(wanted, text, outcome);
	if (status == ST_OK) {
		config_log_changes(broker_config_spec(), live->config, wanted);
		*live->config = *wanted;
		if (log_level_parse(wanted->log_level, &log_level) == ST_OK)
			log_set_level(log_level);
		live->counter++;
		live->changed_ms = clock_wall_ms(clock_system());
		live->changed(live->context);
		status = core_accept(outcome, 0);
	}
	free(wanted);
	return status;
}

/* --- what they are --------------------------------------------------------------------------------------------------- */

static void print(void *context, struct buffer *out)
{
	const struct live_config *live = context;

	config_put_values(broker_config_spec(), live->config, out);
	if (live->config->listen_port == 0) /* The later line counts. */
		buffer_printf(out, "listenPort=%u\n", live->port);
	/* What is fixed here and an option of RocketMQ's, that tools look for: mqadmin 4.9's exportConfigs fails without. */
	buffer_printf(out,
		      "brokerRole=ASYNC_MASTER\nbrokerIP2=%s\nhaListenPort=%u\naclEnable=false\nuseTLS=false\n"
		      "slaveReadEnable=false\nfilterServerNums=0\ntraceOn=true\n",
		      live->config->broker_ip1, live->port + 1u);
}

static struct data_version version(void *context)
{
	const struct live_config *live = context;

	return (struct data_version){ .counter = live->counter, .timestamp = live->changed_ms };
}

struct config_port live_config_port(struct live_config *live)
{
	return (struct config_port){ live, update, print, version };
}
