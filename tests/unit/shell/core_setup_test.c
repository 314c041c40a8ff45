/* broker/shell/core_setup: each option reaches the core under its own name, in the core's unit. */
#include "broker/shell/core_setup.h"
#include "lib/wire/codes.h"
#include "tests/support/check.h"

static struct core_config core_of(struct broker_config *config)
{
	struct core_config core;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(core_setup(config, &core, &err), ST_OK);
	return core;
}

static void test_limits_and_times(void)
{
	struct broker_config config;

	config_init(broker_config_spec(), &config);
	config.file_reserved_time_h = 3;
	config.log_retention_bytes = 11;
	config.snapshot_interval_bytes = 12;
	config.pending_transaction_max = 13;
	config.pending_transaction_group_max = 14;
	config.resend_window_count = 15;
	config.delayed_message_max = 16;
	config.timer_max_delay_s = 17;
	config.offset_flush_interval_ms = 18;
	config.max_message_size = 19;
	config.default_topic_queue_nums = 20;
	struct core_config core = core_of(&config);
	CU_ASSERT_EQUAL(core.retention_ms, 3 * 3600 * 1000);
	CU_ASSERT_EQUAL(core.retention_bytes, 11);
	CU_ASSERT_EQUAL(core.snapshot_bytes, 12);
	CU_ASSERT_EQUAL(core.pending_max, 13);
	CU_ASSERT_EQUAL(core.pending_group_max, 14);
	CU_ASSERT_EQUAL(core.resend_window_count, 15);
	CU_ASSERT_EQUAL(core.delayed_max, 16);
	CU_ASSERT_EQUAL(core.timer_max_delay_ms, 17 * 1000);
	CU_ASSERT_EQUAL(core.offset_flush_interval_ms, 18);
	CU_ASSERT_EQUAL(core.max_message_size, 19);
	CU_ASSERT_EQUAL(core.default_topic_queue_nums, 20);
}

/* A segment has room for the largest message, whatever stands in front of it. */
static void test_segments_hold_the_largest_message(void)
{
	struct broker_config config;
	struct errinfo err;

	config_init(broker_config_spec(), &config);
	config.mapped_file_size_commit_log = 2 * config.max_message_size - 1;
	CU_ASSERT_EQUAL(broker_config_finish(&config, &err), ST_INVALID);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "mappedFileSizeCommitLog"));
	config.mapped_file_size_commit_log++;
	CU_ASSERT_EQUAL(broker_config_finish(&config, &err), ST_OK);
}

static void test_checks(void)
{
	struct broker_config config;

	config_init(broker_config_spec(), &config);
	config.transaction_timeout_ms = 21;
	config.transaction_check_interval_ms = 22;
	config.transaction_check_answer_timeout_ms = 23;
	config.transaction_check_max = 24;
	config.transaction_undecided_policy = POLICY_COMMIT;
	struct core_config core = core_of(&config);
	CU_ASSERT_EQUAL(core.checkback.transaction_timeout_ms, 21);
	CU_ASSERT_EQUAL(core.checkback.check_interval_ms, 22);
	CU_ASSERT_EQUAL(core.checkback.answer_timeout_ms, 23);
	CU_ASSERT_EQUAL(core.checkback.check_max, 24);
	CU_ASSERT_EQUAL(core.checkback.policy, POLICY_COMMIT);
}

/* Each flag alone, so that none stands for another one. */
static void test_flags(void)
{
	const struct {
		const char *setting;
		size_t member;
	} flags[] = {
		{ "autoCreateTopicEnable", offsetof(struct core_config, auto_create_topic) },
		{ "autoCreateSubscriptionGroup", offsetof(struct core_config, auto_create_group) },
		{ "rejectTransactionMessage", offsetof(struct core_config, reject_transactions) },
		{ "longPollingEnable", offsetof(struct core_config, long_polling) },
		{ "enablePropertyFilter", offsetof(struct core_config, property_filter) },
		{ "useServerSideResetOffset", offsetof(struct core_config, server_side_reset) },
		{ "timerWheelEnable", offsetof(struct core_config, timers) },
		{ "recallMessageEnable", offsetof(struct core_config, recall) },
		{ "storeReplyMessageEnable", offsetof(struct core_config, store_replies) },
	};
	enum { COUNT = sizeof(flags) / sizeof(flags[0]) };

	for (size_t on = 0; on < COUNT; on++) {
		struct broker_config config;
		struct errinfo err;

		config_init(broker_config_spec(), &config);
		for (size_t i = 0; i < COUNT; i++)
			CU_ASSERT_EQUAL(config_set(broker_config_spec(), &config, flags[i].setting, i == on ? "true" : "false", "test", &err),
					ST_OK);
		struct core_config core = core_of(&config);
		for (size_t i = 0; i < COUNT; i++)
			CU_ASSERT_EQUAL(*(const bool *)((const uint8_t *)&core + flags[i].member), i == on);
	}
}

static void test_permission_disk_and_address(void)
{
	struct broker_config config;
	struct errinfo err;
	struct core_config core;

	config_init(broker_config_spec(), &config);
	CU_ASSERT_TRUE(core_of(&config).sync_flush);
	CU_ASSERT_EQUAL(core_of(&config).forbidden, 0);
	config.flush_disk_type = FLUSH_ASYNC;
	config.broker_permission = PERM_READ;
	strcpy(config.broker_ip1, "10.1.2.3");
	core = core_of(&config);
	CU_ASSERT_FALSE(core.sync_flush);
	CU_ASSERT_EQUAL(core.forbidden, PERM_WRITE);
	CU_ASSERT_EQUAL(core.store_ipv4, 0x0a010203);
	strcpy(config.broker_ip1, "::1");
	CU_ASSERT_EQUAL(core_setup(&config, &core, &err), ST_INVALID);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_limits_and_times),
		CHECK_TEST(test_segments_hold_the_largest_message),
		CHECK_TEST(test_checks),
		CHECK_TEST(test_flags),
		CHECK_TEST(test_permission_disk_and_address),
	};
	return check_main("core_setup", tests, sizeof(tests) / sizeof(tests[0]));
}
