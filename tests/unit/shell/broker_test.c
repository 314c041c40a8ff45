/* broker/shell/broker: what its modules promise is called in time, with the options that were given, until an orderly end. */
#include "tests/unit/shell/broker_rig.h"

#include "lib/wire/body_register.h"
#include "lib/wire/body_route.h"
#include "lib/wire/header_namesrv.h"
#include "tests/sim/mysql_node.h"
#include "tests/sim/namesrv_node.h"

/* --- what clients wait for ---------------------------------------------------------------------------------------------- */

static const char *const about_one[] = { "consumerGroup", "readers", "clientId", "one", NULL };

/* A consumer that says nothing is asked by an operator. */
static void ask_about_a_silent_consumer(struct rig *r, struct peer *consumer, struct peer *operator)
{
	rig_open(r);
	peer_start(consumer, "consumer");
	peer_start(operator, "operator");
	CU_ASSERT_EQUAL(beat_as_consumer(r, consumer, "one"), RESP_SUCCESS);
	peer_put(operator, r->address, REQ_GET_CONSUMER_RUNNING_INFO, about_one, "");
	peer_post(operator);
	CU_ASSERT_TRUE(PASS_UNTIL(consumer->asked == REQ_GET_CONSUMER_RUNNING_INFO));
	CU_ASSERT_EQUAL(operator->answered, 0);
}

static void test_who_asks_a_silent_consumer_is_answered(void)
{
	static struct rig r;
	static struct peer consumer, operator;

	ask_about_a_silent_consumer(&r, &consumer, &operator);
	pass(12000);
	CU_ASSERT_EQUAL(operator.code, RESP_CONSUME_MSG_TIMEOUT);
	peer_die(&consumer);
	peer_die(&operator);
	rig_close(&r);
}

static void test_who_asks_a_consumer_that_dies_is_answered_at_once(void)
{
	static struct rig r;
	static struct peer consumer, operator;

	ask_about_a_silent_consumer(&r, &consumer, &operator);
	peer_die(&consumer);
	pass(1000);
	CU_ASSERT_EQUAL(operator.code, RESP_SYSTEM_ERROR);
	peer_die(&operator);
	rig_close(&r);
}

/* Clients that left while it looked for their messages. */
static void test_queries_that_nobody_waits_for_make_room(void)
{
	enum { LEFT = 4, QUERIES = 64 };
	static struct rig r;
	static struct peer left[LEFT], client;

	rig_open(&r);
	peer_start(&client, "client");
	CU_ASSERT_EQUAL(send_message(&r, &client, 100), RESP_SUCCESS);
	for (int i = 0; i < LEFT; i++) {
		peer_start(&left[i], "left");
		for (int j = 0; j < QUERIES; j++) {
			put_key_query(&r, &left[i]);
			peer_post(&left[i]);
		}
		pass(15);
		peer_die(&left[i]);
	}
	pass(15000);
	put_key_query(&r, &client);
	CU_ASSERT_EQUAL(peer_wait(&client), RESP_SUCCESS);
	peer_die(&client);
	rig_close(&r);
}

/* What waits for room in the log is refused in time, so that its sender can try elsewhere. */
static void test_a_parked_request_is_refused_in_time(void)
{
	enum { SENT = 16 };
	static struct rig r;
	static struct peer client;

	rig_open(&r);
	peer_start(&client, "client");
	CU_ASSERT_EQUAL(send_message(&r, &client, 100), RESP_SUCCESS);
	virtual_workers_hold(r.process, engine_now_us() + 20 * 1000000);
	for (int i = 0; i < SENT; i++) {
		put_message(&r, &client, 200 * 1024, false);
		peer_post(&client);
	}
	pass(10000);
	CU_ASSERT_TRUE(client.refused > 0);
	CU_ASSERT_EQUAL(client.answered, 1 + client.refused);
	CU_ASSERT_TRUE(PASS_UNTIL(client.answered == 1 + SENT));
	CU_ASSERT_TRUE(client.refused < SENT);
	peer_die(&client);
	rig_close(&r);
}

/* The answers of all connections together that wait for the disk take so much memory and no more. */
static void test_answers_that_wait_are_bounded(void)
{
	static const char *const wide[] = { "topic", "wide", "defaultTopic", "TBW102", "readQueueNums", "1024",
					    "writeQueueNums", "1024", "perm", "6", "topicFilterType", "SINGLE_TAG", "order", "false", NULL };
	static const char *const reset[] = { "topic", "wide", "group", "readers", "timestamp", "-1", "isForce", "true", NULL };
	static const char group[] = "{\"groupName\":\"readers\"}";
	enum { RESETS = 1200 }; /* Each has an answer of 58 kB, and 28 kB of log. */
	static struct rig r;
	static struct peer operator;

	rig_begin(&r);
	r.config.mapped_file_size_commit_log = r.config.tail_ring_size = 64 << 20;
	rig_start(&r);
	peer_start(&operator, "operator");
	CU_ASSERT_EQUAL(peer_ask(&operator, r.address, REQ_UPDATE_AND_CREATE_TOPIC, wide, ""), RESP_SUCCESS);
	CU_ASSERT_EQUAL(peer_ask(&operator, r.address, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, NULL, group), RESP_SUCCESS);
	pass(5000); /* The log is prepared. */
	virtual_workers_hold(r.process, engine_now_us() + 60 * 1000000);
	for (int i = 0; i < RESETS; i++) {
		peer_put(&operator, r.address, REQ_INVOKE_BROKER_TO_RESET_OFFSET, reset, "");
		peer_post(&operator);
	}
	pass(1000);
	CU_ASSERT_TRUE(operator.refused > 0 && operator.refused < RESETS / 10);
	peer_die(&operator);
	rig_close(&r);
}

/* --- what operators see ------------------------------------------------------------------------------------------------- */

static void test_transactions_in_doubt_are_told_once_a_minute(void)
{
	static struct rig r;
	static struct peer client;

	rig_begin(&r);
	r.config.transaction_timeout_ms = 100;
	rig_start(&r);
	peer_start(&client, "client");
	put_message(&r, &client, 100, true);
	CU_ASSERT_EQUAL(peer_wait(&client), RESP_SUCCESS);
	pass(10 * 60 * 1000);
	CU_ASSERT_TRUE(r.in_doubt_lines >= 9 && r.in_doubt_lines <= 11);
	peer_die(&client);
	rig_close(&r);
}

static void test_status_tells_what_the_disk_has_free(void)
{
	static struct rig r;
	static struct peer operator;

	rig_open(&r);
	peer_start(&operator, "operator");
	pass(2000);
	CU_ASSERT_EQUAL(peer_ask(&operator, r.address, REQ_GET_BROKER_RUNTIME_INFO, NULL, ""), RESP_SUCCESS);
	CU_ASSERT_PTR_NOT_NULL(strstr(operator.body, "Total : 1024.0 GiB, Free : 512.0 GiB."));
	peer_die(&operator);
	rig_close(&r);
}

/* --- name servers ------------------------------------------------------------------------------------------------------- */

/* A broker that is registered with a name server. */
static struct namesrv_node *open_with_name_server(struct rig *r)
{
	rig_begin(r);
	struct namesrv_node *node = namesrv_node_create("namesrv");
	namesrv_node_start(node);
	snprintf(r->config.namesrv_addr, sizeof(r->config.namesrv_addr), "%s", namesrv_node_address(node));
	r->config.route_refresh_ms = 1000;
	rig_start(r);
	pass(1000);
	return node;
}

static void close_with_name_server(struct rig *r, struct namesrv_node *node)
{
	if (r->broker != NULL)
		rig_stop(r);
	CU_ASSERT_TRUE(PASS_UNTIL(r->broker == NULL));
	namesrv_node_destroy(node);
	rig_close(r);
}

static void test_a_changed_permission_is_in_routes_soon(void)
{
	static const char *const template[] = { "topic", "TBW102", NULL };
	static struct rig r;
	static struct peer operator;
	struct namesrv_node *node = open_with_name_server(&r);
	const char *name_server = namesrv_node_address(node);

	peer_start(&operator, "operator");
	CU_ASSERT_EQUAL(peer_ask(&operator, name_server, REQ_GET_ROUTEINFO_BY_TOPIC, template, ""), RESP_SUCCESS);
	CU_ASSERT_PTR_NOT_NULL(strstr(operator.body, "\"perm\":7"));
	CU_ASSERT_EQUAL(peer_ask(&operator, r.address, REQ_UPDATE_BROKER_CONFIG, NULL, "brokerPermission=4\n"), RESP_SUCCESS);
	pass(1000);
	CU_ASSERT_EQUAL(peer_ask(&operator, name_server, REQ_GET_ROUTEINFO_BY_TOPIC, template, ""), RESP_SUCCESS);
	CU_ASSERT_PTR_NOT_NULL(strstr(operator.body, "\"perm\":5"));
	peer_die(&operator);
	close_with_name_server(&r, node);
}

/* Another broker of "orders", with two queues. */
static void register_another(struct peer *p, const char *name_server)
{
	/* A name server takes none with one topic only. */
	static const struct topic_config topics[] = {
		{ .name = { (const uint8_t *)"orders", 6 }, .read_queue_nums = 2, .write_queue_nums = 2, .perm = 6 },
		{ .name = { (const uint8_t *)"others", 6 }, .read_queue_nums = 2, .write_queue_nums = 2, .perm = 6 },
	};
	struct broker_header header = { .broker_name = SPAN_LITERAL("broker-b"), .broker_addr = SPAN_LITERAL("10.0.0.99:10911"),
					.cluster_name = SPAN_LITERAL("DefaultCluster"),
					.ha_server_addr = SPAN_LITERAL("10.0.0.99:10912"), .heartbeat_timeout_ms = -1 };
	struct data_version version = { 0, 1, 1 };
	struct encoder *encoder = peer_begin(p, name_server, REQ_REGISTER_BROKER);

	register_broker_encode(encoder, &header);
	command_body(encoder);
	register_body_encode(encoder->out, &version, topics, 2);
	CU_ASSERT_EQUAL(peer_wait(p), RESP_SUCCESS);
}

/* The queues that its consumers share are those of all brokers, as they are now. */
static void test_queues_of_a_new_broker_are_shared_out(void)
{
	static const char ask[] = "{\"topic\":\"orders\",\"consumerGroup\":\"readers\",\"clientId\":\"one\","
				  "\"strategyName\":\"AVG\",\"messageModel\":\"CLUSTERING\"}";
	static struct rig r;
	static struct peer consumer, other;
	struct namesrv_node *node = open_with_name_server(&r);

	peer_start(&consumer, "consumer");
	peer_start(&other, "other");
	CU_ASSERT_EQUAL(send_message(&r, &consumer, 100), RESP_SUCCESS);
	CU_ASSERT_EQUAL(beat_as_consumer(&r, &consumer, "one"), RESP_SUCCESS);
	pass(1000);
	CU_ASSERT_EQUAL(peer_ask(&consumer, r.address, REQ_QUERY_ASSIGNMENT, NULL, ask), RESP_SUCCESS);
	CU_ASSERT_PTR_NOT_NULL(strstr(consumer.body, "broker-a"));
	CU_ASSERT_PTR_NULL(strstr(consumer.body, "broker-b"));
	register_another(&other, namesrv_node_address(node));
	pass(3000);
	CU_ASSERT_EQUAL(peer_ask(&consumer, r.address, REQ_QUERY_ASSIGNMENT, NULL, ask), RESP_SUCCESS);
	CU_ASSERT_PTR_NOT_NULL(strstr(consumer.body, "broker-b"));
	peer_die(&consumer);
	peer_die(&other);
	close_with_name_server(&r, node);
}

/* --- the log ------------------------------------------------------------------------------------------------------------ */

enum { LOG_KEPT = 2 << 20, LOG_STORED = 8 << 20, FILLER = 4 * 1024 };

/* Stores much more than the log is to hold. */
static void store_much(const struct rig *r, struct peer *client)
{
	for (int stored = 0; stored < LOG_STORED; stored += FILLER)
		CU_ASSERT_EQUAL(send_message(r, client, FILLER), RESP_SUCCESS);
	pass(5000);
}

static void begin_small_log(struct rig *r)
{
	rig_begin(r);
	r->config.mapped_file_size_commit_log = 1 << 20;
	r->config.snapshot_interval_bytes = 512 * 1024;
	r->config.log_retention_bytes = LOG_KEPT;
}

static void test_mysql_holds_so_much_log_and_no_more(void)
{
	static struct rig r;
	static struct peer client;

	begin_small_log(&r);
	mysql_begin(1);
	mysql_down(INT64_MAX);
	r.config.oplog.enable = true;
	r.config.oplog.hold_log_max = 2 * LOG_KEPT;
	rig_start(&r);
	peer_start(&client, "client");
	store_much(&r, &client);
	const struct commitlog *log = broker_core(r.broker)->log;
	uint64_t kept = commitlog_appended(log) - commitlog_start(log);
	CU_ASSERT_TRUE(kept > LOG_KEPT + LOG_KEPT / 2);
	CU_ASSERT_TRUE(kept < 3 * LOG_KEPT);
	peer_die(&client);
	rig_close(&r);
	mysql_end();
}

static enum status lowest_name(void *context, const char *name)
{
	uint64_t *lowest = context, number = strtoull(name, NULL, 10);

	if (number < *lowest)
		*lowest = number;
	return ST_OK;
}

/* Its files are named after the log offset up to which they speak. */
static void test_the_key_index_goes_with_the_log(void)
{
	static struct rig r;
	static struct peer client;
	uint64_t lowest = UINT64_MAX;

	begin_small_log(&r);
	rig_start(&r);
	peer_start(&client, "client");
	store_much(&r, &client);
	const struct commitlog *log = broker_core(r.broker)->log;
	CU_ASSERT_TRUE(commitlog_start(log) > 2 * LOG_KEPT);
	CU_ASSERT_EQUAL(vfs_list(drive_vfs(r.drive), "store/keys", lowest_name, &lowest, NULL), ST_OK);
	CU_ASSERT_TRUE(lowest > commitlog_start(log) && lowest <= commitlog_appended(log));
	peer_die(&client);
	rig_close(&r);
}

/* --- the end ------------------------------------------------------------------------------------------------------------ */

enum { UNREAD = 16 };

/* A client that asked for more than fits on the way, and reads nothing, while the broker begins to stop. */
static void stop_before_it_reads(struct rig *r, struct peer *client)
{
	rig_open(r);
	peer_start(client, "client");
	CU_ASSERT_EQUAL(send_message(r, client, 200 * 1024), RESP_SUCCESS);
	virtual_client_read(client->client, false);
	for (int i = 0; i < UNREAD; i++) {
		put_pull(r, client);
		peer_post(client);
	}
	pass(1000);
	CU_ASSERT_EQUAL(client->answered, 1);
	rig_stop(r);
	pass(1000);
}

static void test_an_orderly_end_waits_for_its_answers_to_leave(void)
{
	static struct rig r;
	static struct peer client;

	stop_before_it_reads(&r, &client);
	CU_ASSERT_PTR_NOT_NULL(r.broker);
	virtual_client_read(client.client, true);
	pass(1500);
	CU_ASSERT_PTR_NULL(r.broker);
	CU_ASSERT_EQUAL(client.answered, 1 + UNREAD);
	CU_ASSERT_EQUAL(client.code, RESP_SUCCESS);
	peer_die(&client);
	rig_close(&r);
}

static void test_an_orderly_end_does_not_wait_for_ever(void)
{
	static struct rig r;
	static struct peer client;

	stop_before_it_reads(&r, &client);
	pass(2500);
	CU_ASSERT_PTR_NULL(r.broker);
	peer_die(&client);
	rig_close(&r);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_who_asks_a_silent_consumer_is_answered),
		CHECK_TEST(test_who_asks_a_consumer_that_dies_is_answered_at_once),
		CHECK_TEST(test_queries_that_nobody_waits_for_make_room),
		CHECK_TEST(test_a_parked_request_is_refused_in_time),
		CHECK_TEST(test_answers_that_wait_are_bounded),
		CHECK_TEST(test_transactions_in_doubt_are_told_once_a_minute),
		CHECK_TEST(test_status_tells_what_the_disk_has_free),
		CHECK_TEST(test_a_changed_permission_is_in_routes_soon),
		CHECK_TEST(test_queues_of_a_new_broker_are_shared_out),
		CHECK_TEST(test_mysql_holds_so_much_log_and_no_more),
		CHECK_TEST(test_the_key_index_goes_with_the_log),
		CHECK_TEST(test_an_orderly_end_waits_for_its_answers_to_leave),
		CHECK_TEST(test_an_orderly_end_does_not_wait_for_ever),
	};

	return check_main("shell/broker", tests, sizeof(tests) / sizeof(tests[0]));
}
