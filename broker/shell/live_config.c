#include "broker/shell/live_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/logging.h"
#include "lib/net/service.h"
#include "lib/wire/codes.h"

enum { LINES_MAX = 200 };

static const char *const changeable[] = {
	"autoCreateTopicEnable", "autoCreateSubscriptionGroup", "rejectTransactionMessage", "longPollingEnable",
	"useServerSideResetOffset", "brokerPermission", "defaultTopicQueueNums", "maxMessageSize", "messageDelayLevel",
	"transactionTimeOut", "transactionCheckMax", "transactionCheckInterval", "transactionCheckAnswerTimeout",
	"transactionUndecidedPolicy", "pendingTransactionMax", "pendingTransactionGroupMax", "fileReservedTime", "logRetentionBytes",
	"snapshotIntervalBytes", "inFlightMax", "flushConsumerOffsetInterval", "logLevel",
};

static bool is_changeable(const char *key)
{
	for (size_t i = 0; i < sizeof(changeable) / sizeof(changeable[0]); i++) {
		if (strcmp(changeable[i], key) == 0)
			return true;
	}
	return false;
}

static bool is_option(const char *key)
{
	const struct config_spec *spec = broker_config_spec();

	for (size_t i = 0; i < spec->option_count; i++) {
		if (strcmp(spec->options[i].key, key) == 0)
			return true;
	}
	return false;
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

static struct span trim(struct span s)
{
	while (s.size > 0 && strchr(" \t\r", s.data[0]) != NULL)
		s = (struct span){ s.data + 1, s.size - 1 };
	while (s.size > 0 && strchr(" \t\r", s.data[s.size - 1]) != NULL)
		s.size--;
	return s;
}

static enum status change_one(struct broker_config *config, struct span key_text, struct span value_text, struct outcome *outcome)
{
	char key[CONFIG_TEXT_SIZE], value[CONFIG_TEXT_SIZE];

	if (key_text.size >= sizeof(key) || value_text.size >= sizeof(value) || memchr(value_text.data, '\0', value_text.size) != NULL)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "an option or its value is too long, or holds a zero byte");
	snprintf(key, sizeof(key), "%.*s", SPAN_ARGS(key_text));
	snprintf(value, sizeof(value), "%.*s", SPAN_ARGS(value_text));
	if (!is_option(key))
		return core_refuse(outcome, RESP_NO_PERMISSION, "Can not update config: %s is no option of this broker (escrow-broker -p lists "
				   "them)", key);
	if (!is_changeable(key))
		return core_refuse(outcome, RESP_NO_PERMISSION, "Can not update config: %s can only be set before the start: set it in the "
				   "broker's file and restart it", key);
	if (config_set(broker_config_spec(), config, key, value, "updateBrokerConfig", &outcome->err) != ST_OK)
		return core_refuse_as(outcome, RESP_INVALID_PARAMETER);
	return ST_OK;
}

/* One "key=value" of a properties text; empty lines and comments pass. */
static enum status change_line(struct broker_config *config, struct span line, struct outcome *outcome)
{
	line = trim(line);
	if (line.size == 0 || line.data[0] == '#' || line.data[0] == '!')
		return ST_OK;
	const uint8_t *equals = memchr(line.data, '=', line.size);
	if (equals == NULL)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "string2Properties error: \"%.*s\" is not of the form key=value", SPAN_ARGS(line));
	size_t key_size = (size_t)(equals - line.data);
	return change_one(config, trim((struct span){ line.data, key_size }),
			  trim((struct span){ equals + 1, line.size - key_size - 1 }), outcome);
}

static enum status change_all(struct broker_config *config, struct span text, struct outcome *outcome)
{
	struct core_config levels;
	enum log_level log_level;
	enum status status = ST_OK;

	for (int lines = 0; text.size > 0 && status == ST_OK; lines++) {
		const uint8_t *end = memchr(text.data, '\n', text.size);
		size_t size = end == NULL ? text.size : (size_t)(end - text.data), used = size + (end != NULL);

		if (lines == LINES_MAX)
			return core_refuse(outcome, RESP_SYSTEM_ERROR, "more than %d lines", LINES_MAX);
		status = change_line(config, (struct span){ text.data, size }, outcome);
		text = (struct span){ text.data + used, text.size - used };
	}
	if (status != ST_OK)
		return status;
	if (broker_config_finish(config, &outcome->err) != ST_OK ||
	    core_config_set_delay_levels(&levels, config->message_delay_level, &outcome->err) != ST_OK)
		return core_refuse_as(outcome, RESP_INVALID_PARAMETER);
	if (log_level_parse(config->log_level, &log_level) != ST_OK)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "logLevel=%s: use debug, info, warn or error", config->log_level);
	return ST_OK;
}

static void log_changes(const struct broker_config *before, const struct broker_config *after)
{
	const struct config_spec *spec = broker_config_spec();
	char was[CONFIG_TEXT_SIZE], is[CONFIG_TEXT_SIZE];

	for (size_t i = 0; i < spec->option_count; i++) {
		config_value_text(&spec->options[i], before, was, sizeof(was));
		config_value_text(&spec->options[i], after, is, sizeof(is));
		if (strcmp(was, is) != 0)
			log_info("config", "changed from remote", "key=%s from=\"%s\" to=\"%s\" note=\"until the broker ends\"",
				 spec->options[i].key, was, is);
	}
}

static enum status update(void *context, struct span text, struct outcome *outcome)
{
	struct live_config *live = context;
	struct broker_config *wanted = malloc(sizeof(*wanted));
	struct errinfo err;

	if (wanted == NULL)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "no memory for the options");
	*wanted = *live->config;
	enum status status = change_all(wanted, text, outcome);
	if (status == ST_OK) {
		log_changes(live->config, wanted);
		*live->config = *wanted;
		(void)!service_log_level(wanted->log_level, &err); /* Known to be one. */
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
	const struct config_spec *spec = broker_config_spec();
	char value[CONFIG_TEXT_SIZE];

	for (size_t i = 0; i < spec->option_count; i++) {
		config_value_text(&spec->options[i], live->config, value, sizeof(value));
		if (strcmp(spec->options[i].key, "listenPort") == 0)
			snprintf(value, sizeof(value), "%u", live->port);
		buffer_printf(out, "%s=%s\n", spec->options[i].key, value);
	}
	/* What is fixed here and an option of RocketMQ's, that tools look for. */
	buffer_printf(out, "brokerRole=%s\nbrokerIP2=%s\nhaListenPort=%u\ndeleteWhen=*\naclEnable=false\ntraceTopicEnable=false\n"
		      "msgTraceTopicName=%s\n", live->config->flush_disk_type == FLUSH_SYNC ? "SYNC_MASTER" : "ASYNC_MASTER",
		      live->config->broker_ip1, live->port + 1u, TOPIC_TRACE);
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
