/* broker/shell/live_config: changes are taken in whole, and what is told is what holds. */
#include <fcntl.h>
#include <unistd.h>

#include "broker/shell/core_setup.h"
#include "broker/shell/live_config.h"
#include "lib/base/logging.h"
#include "tests/support/check.h"

static int told;

/* Is a line of this level written, to standard error? */
static bool is_logged(enum log_level level)
{
	int ends[2], standard = dup(STDERR_FILENO);
	char byte;

	CU_ASSERT_FATAL(standard >= 0 && pipe2(ends, O_NONBLOCK) == 0);
	dup2(ends[1], STDERR_FILENO);
	log_event(level, "test", "line", NULL);
	dup2(standard, STDERR_FILENO);
	bool logged = read(ends[0], &byte, 1) == 1;
	close(ends[0]);
	close(ends[1]);
	close(standard);
	return logged;
}

static void on_changed(void *context)
{
	(void)context;
	told++;
}

static struct config_port port_of(struct live_config *live, struct broker_config *config)
{
	config_init(broker_config_spec(), config);
	CU_ASSERT_EQUAL(broker_config_finish(config, NULL), ST_OK);
	config->listen_port = 0;
	*live = (struct live_config){ .config = config, .port = 4711, .changed = on_changed };
	told = 0;
	return live_config_port(live);
}

static void test_changes(void)
{
	struct broker_config config;
	struct live_config live;
	struct config_port port = port_of(&live, &config);
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(port.version(port.context).counter, 0);
	CU_ASSERT_EQUAL(port.update(port.context, SPAN_LITERAL("transactionCheckMax=7\nmessageDelayLevel=1s 2s\nlogLevel=info\n"), &outcome), ST_OK);
	CU_ASSERT_EQUAL(config.transaction_check_max, 7);
	CU_ASSERT_STRING_EQUAL(config.message_delay_level, "1s 2s");
	CU_ASSERT_EQUAL(told, 1);
	CU_ASSERT_EQUAL(port.version(port.context).counter, 1);
	CU_ASSERT_TRUE(port.version(port.context).timestamp > 0);
}

static void test_the_log_level_changes_at_once(void)
{
	struct broker_config config;
	struct live_config live;
	struct config_port port = port_of(&live, &config);
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(port.update(port.context, SPAN_LITERAL("logLevel=warn\n"), &outcome), ST_OK);
	CU_ASSERT_TRUE(is_logged(LOGLEVEL_WARN));
	CU_ASSERT_FALSE(is_logged(LOGLEVEL_INFO));
	CU_ASSERT_EQUAL(port.update(port.context, SPAN_LITERAL("logLevel=error\n"), &outcome), ST_OK);
	CU_ASSERT_FALSE(is_logged(LOGLEVEL_WARN));
}

#define CHANGES(field) offsetof(struct core_config, field), sizeof(((struct core_config *)NULL)->field)

/* Each option that may change, and where the core has it. */
static const struct {
	const char *text;
	size_t at, size;
} changes[] = {
	{ "autoCreateTopicEnable=false", CHANGES(auto_create_topic) },
	{ "autoCreateSubscriptionGroup=false", CHANGES(auto_create_group) },
	{ "rejectTransactionMessage=true", CHANGES(reject_transactions) },
	{ "longPollingEnable=false", CHANGES(long_polling) },
	{ "enablePropertyFilter=false", CHANGES(property_filter) },
	{ "useServerSideResetOffset=false", CHANGES(server_side_reset) },
	{ "brokerPermission=2", CHANGES(forbidden) },
	{ "defaultTopicQueueNums=5", CHANGES(default_topic_queue_nums) },
	{ "maxMessageSize=2000", CHANGES(max_message_size) },
	{ "messageDelayLevel=7s", CHANGES(delay_level_count) },
	{ "messageDelayLevel=8s", CHANGES(delay_levels_ms) },
	{ "flushConsumerOffsetInterval=100", CHANGES(offset_flush_interval_ms) },
	{ "fileReservedTime=1", CHANGES(retention_ms) },
	{ "logRetentionBytes=1000000", CHANGES(retention_bytes) },
	{ "snapshotIntervalBytes=0", CHANGES(snapshot_bytes) },
	{ "delayedMessageMax=3", CHANGES(delayed_max) },
	{ "timerWheelEnable=false", CHANGES(timers) },
	{ "timerMaxDelaySec=60", CHANGES(timer_max_delay_ms) },
	{ "recallMessageEnable=false", CHANGES(recall) },
	{ "storeReplyMessageEnable=false", CHANGES(store_replies) },
	{ "pendingTransactionMax=4", CHANGES(pending_max) },
	{ "pendingTransactionGroupMax=2", CHANGES(pending_group_max) },
	{ "transactionTimeOut=1000", CHANGES(checkback.transaction_timeout_ms) },
	{ "transactionCheckMax=2", CHANGES(checkback.check_max) },
	{ "transactionCheckInterval=2000", CHANGES(checkback.check_interval_ms) },
	{ "transactionCheckAnswerTimeout=3000", CHANGES(checkback.answer_timeout_ms) },
	{ "transactionUndecidedPolicy=ROLLBACK", CHANGES(checkback.policy) },
};

/* What an operator may change counts for the core that serves, not for the next one only. */
static void test_what_changes_reaches_the_core(void)
{
	struct broker_config config;
	struct live_config live;
	struct config_port port = port_of(&live, &config);
	struct core_config serving, wanted;

	CU_ASSERT_EQUAL(core_setup(&config, &serving, NULL), ST_OK);
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		const char *now = (const char *)&serving + changes[i].at, *then = (const char *)&wanted + changes[i].at;
		struct outcome outcome = { 0 };

		CU_ASSERT_EQUAL(port.update(port.context, span_of(changes[i].text), &outcome), ST_OK);
		CU_ASSERT_EQUAL(core_setup(&config, &wanted, NULL), ST_OK);
		CU_ASSERT_NOT_EQUAL(memcmp(now, then, changes[i].size), 0);
		core_config_take_changes(&serving, &wanted);
		CU_ASSERT_EQUAL(memcmp(now, then, changes[i].size), 0);
	}
}

static void test_refusals_change_nothing(void)
{
	static const struct {
		const char *text;
		int32_t code;
		const char *named;
	} cases[] = {
		{ "transactionCheckMax=9\nlistenPort=1", RESP_NO_PERMISSION, "listenPort" },
		{ "transactionCheckMax=9\nsendMessageThreadPoolNums=1", RESP_NO_PERMISSION, "sendMessageThreadPoolNums" },
		{ "transactionCheckMax=9\nmaxMessageSize=16777216\n", RESP_INVALID_PARAMETER, NULL },
		{ "transactionCheckMax=9\nmessageDelayLevel=1 year", RESP_INVALID_PARAMETER, "messageDelayLevel" },
		{ "transactionCheckMax=9\nlogLevel=loud", RESP_INVALID_PARAMETER, "loud" },
		{ "transactionCheckMax=0", RESP_INVALID_PARAMETER, "transactionCheckMax" },
		{ "nonsense", RESP_INVALID_PARAMETER, "key=value" },
	};
	struct broker_config config;
	struct live_config live;
	struct config_port port = port_of(&live, &config);

	config.tail_ring_size = 32 * 1024 * 1024; /* Too little for messages of 16 MiB. */
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome outcome = { 0 };

		CU_ASSERT_NOT_EQUAL(port.update(port.context, span_of(cases[i].text), &outcome), ST_OK);
		CU_ASSERT_EQUAL(outcome.code, cases[i].code);
		CU_ASSERT_TRUE(cases[i].named == NULL || strstr(outcome.err.text, cases[i].named) != NULL);
	}
	CU_ASSERT_EQUAL(config.transaction_check_max, 15);
	CU_ASSERT_EQUAL(told, 0);
}

static void test_what_tools_look_for(void)
{
	static const char *const lines[] = { "\nbrokerName=", "\nlistenPort=4711\n", "\ntransactionCheckMax=15\n", "\nautoCreateTopicEnable=true\n",
					     "\nopLogMysqlPassword=******\n", "\nbrokerRole=ASYNC_MASTER\n", "\nhaListenPort=4712\n",
					     /* mqadmin 4.9's exportConfigs ends with a NullPointerException when one of its keys is missing. */
					     "\nbrokerClusterName=", "\nbrokerId=0\n", "\nfileReservedTime=", "\nfilterServerNums=0\n",
					     "\nflushDiskType=", "\nmaxMessageSize=", "\nmessageDelayLevel=", "\nmsgTraceTopicName=",
					     "\nslaveReadEnable=false\n", "\ntraceOn=true\n", "\ntraceTopicEnable=", "\nuseTLS=false\n",
					     "\nautoCreateSubscriptionGroup=" };
	struct broker_config config;
	struct live_config live;
	struct config_port port = port_of(&live, &config);
	struct buffer out;

	snprintf(config.oplog.password, sizeof(config.oplog.password), "secret");
	buffer_init(&out, 0);
	buffer_append_text(&out, "\n");
	port.print(port.context, &out);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		CU_ASSERT_PTR_NOT_NULL(memmem(out.data, out.end, lines[i], strlen(lines[i])));
	CU_ASSERT_PTR_NULL(memmem(out.data, out.end, "secret", 6));
	buffer_deinit(&out);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_changes),
		CHECK_TEST(test_the_log_level_changes_at_once),
		CHECK_TEST(test_what_changes_reaches_the_core),
		CHECK_TEST(test_refusals_change_nothing),
		CHECK_TEST(test_what_tools_look_for),
	};
	log_set_level(LOGLEVEL_ERROR);
	return check_main("live_config", tests, sizeof(tests) / sizeof(tests[0]));
}
