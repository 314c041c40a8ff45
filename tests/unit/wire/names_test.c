/* What fields are called is half of the protocol: a name that only this project knows passes every round trip, and no client of
 * RocketMQ reads it. So the names stand here a second time, as RocketMQ's classes spell them. */
#include "tests/support/check.h"

#include <stdio.h>

#include "lib/wire/body_lock.h"
#include "lib/wire/body_stats.h"
#include "lib/wire/headers.h"

static struct command_scratch scratch, scratch_back;

/* Reads a header and writes what was read. */
#define THROUGH(what, type, decode, encode)                                                 \
	static enum status what(const struct command *command, struct encoder *encoder)     \
	{                                                                                   \
		struct type header;                                                         \
		enum status status = decode(command, &header, NULL);                        \
		if (status == ST_OK)                                                        \
			encode(encoder, &header);                                           \
		return status;                                                              \
	}

static void send_encode(struct encoder *encoder, const struct send_header *header)
{
	send_header_encode(encoder, REQ_SEND_MESSAGE, header);
}

static void send_v2_encode(struct encoder *encoder, const struct send_header *header)
{
	send_header_encode(encoder, REQ_SEND_MESSAGE_V2, header);
}

THROUGH(send, send_header, send_header_decode, send_encode)
THROUGH(send_v2, send_header, send_header_decode, send_v2_encode)
THROUGH(send_reply, send_reply_header, send_reply_decode, send_reply_encode)
THROUGH(push_reply, push_reply_header, push_reply_decode, push_reply_encode)
THROUGH(pull, pull_header, pull_header_decode, pull_header_encode)
THROUGH(pull_reply, pull_reply_header, pull_reply_decode, pull_reply_encode)
THROUGH(pop, pop_header, pop_header_decode, pop_header_encode)
THROUGH(pop_ack, pop_ack_header, pop_ack_decode, pop_ack_encode)
THROUGH(query_offset, consumer_offset_header, query_consumer_offset_decode, query_consumer_offset_encode)
THROUGH(update_offset, consumer_offset_header, update_consumer_offset_decode, update_consumer_offset_encode)
THROUGH(search_offset, queue_header, search_offset_decode, search_offset_encode)
THROUGH(max_offset, queue_header, queue_header_decode, queue_header_encode)
THROUGH(view, view_message_header, view_message_decode, view_message_encode)
THROUGH(query, query_message_header, query_message_decode, query_message_encode)
THROUGH(unregister_client, unregister_client_header, unregister_client_decode, unregister_client_encode)
THROUGH(send_back, send_back_header, send_back_decode, send_back_encode)
THROUGH(end_transaction, end_transaction_header, end_transaction_decode, end_transaction_encode)
THROUGH(check_transaction, check_transaction_header, check_transaction_decode, check_transaction_encode)
THROUGH(create_topic, create_topic_header, create_topic_decode, create_topic_encode)
THROUGH(delete_group, delete_group_header, delete_group_decode, delete_group_encode)
THROUGH(reset_offset, reset_offset_header, reset_offset_decode, reset_offset_encode)
THROUGH(register_broker, broker_header, register_broker_decode, register_broker_encode)
THROUGH(unregister_broker, broker_header, broker_header_decode, broker_header_encode)
THROUGH(register_answer, register_reply_header, register_reply_decode, register_reply_encode)
THROUGH(route, route_header, route_header_decode, route_header_encode)
THROUGH(kv, kv_header, kv_header_decode, kv_header_encode)

/* Each field with a value that is none of its defaults, so that it is written again. */
static const struct {
	int32_t code;
	enum status (*through)(const struct command *command, struct encoder *encoder);
	const char *fields;
} headers[] = {
	{ REQ_SEND_MESSAGE, send,
	  "producerGroup=g topic=t defaultTopic=d defaultTopicQueueNums=7 queueId=1 sysFlag=2 bornTimestamp=3 flag=4 properties=p "
	  "reconsumeTimes=5 unitMode=true maxReconsumeTimes=6 batch=true" },
	{ REQ_SEND_MESSAGE_V2, send_v2, "a=g b=t c=d d=7 e=1 f=2 g=3 h=4 i=p j=5 k=true l=6 m=true" },
	{ 0, send_reply, "msgId=m queueId=1 queueOffset=2 transactionId=x MSG_REGION=r TRACE_ON=true recallHandle=h" },
	{ REQ_PUSH_REPLY_MESSAGE_TO_CLIENT, push_reply,
	  "producerGroup=g topic=t defaultTopic=d defaultTopicQueueNums=7 queueId=1 sysFlag=2 bornTimestamp=3 flag=4 properties=p "
	  "reconsumeTimes=5 unitMode=true bornHost=b storeHost=s storeTimestamp=6" },
	{ REQ_PULL_MESSAGE, pull,
	  "consumerGroup=g topic=t queueId=1 queueOffset=2 maxMsgNums=3 sysFlag=4 commitOffset=5 suspendTimeoutMillis=6 "
	  "subscription=s subVersion=7 expressionType=TAG maxMsgBytes=8" },
	{ 0, pull_reply, "suggestWhichBrokerId=1 nextBeginOffset=2 minOffset=3 maxOffset=4 forbiddenType=5" },
	{ REQ_POP_MESSAGE, pop,
	  "consumerGroup=g topic=t queueId=1 maxMsgNums=2 invisibleTime=3 pollTime=4 bornTime=5 initMode=1 expType=SQL92 exp=e "
	  "order=true attemptId=a" },
	{ REQ_CHANGE_MESSAGE_INVISIBLETIME, pop_ack, "consumerGroup=g topic=t queueId=1 extraInfo=e offset=2 invisibleTime=3" },
	{ REQ_QUERY_CONSUMER_OFFSET, query_offset, "consumerGroup=g topic=t queueId=1 setZeroIfNotFound=false" },
	{ REQ_UPDATE_CONSUMER_OFFSET, update_offset, "consumerGroup=g topic=t queueId=1 commitOffset=2" },
	{ REQ_SEARCH_OFFSET_BY_TIMESTAMP, search_offset, "topic=t queueId=1 timestamp=2 boundaryType=UPPER" },
	{ REQ_GET_MAX_OFFSET, max_offset, "topic=t queueId=1 committed=false" },
	{ REQ_VIEW_MESSAGE_BY_ID, view, "topic=t offset=1" },
	{ REQ_QUERY_MESSAGE, query, "topic=t key=k maxNum=1 beginTimestamp=2 endTimestamp=3 _UNIQUE_KEY_QUERY=true indexType=T" },
	{ REQ_UNREGISTER_CLIENT, unregister_client, "clientID=i producerGroup=p consumerGroup=c" },
	{ REQ_CONSUMER_SEND_MSG_BACK, send_back,
	  "offset=1 group=g delayLevel=2 originMsgId=m originTopic=t unitMode=true maxReconsumeTimes=3" },
	{ REQ_END_TRANSACTION, end_transaction,
	  "producerGroup=g tranStateTableOffset=1 commitLogOffset=2 commitOrRollback=8 fromTransactionCheck=true msgId=m "
	  "transactionId=x topic=t" },
	{ REQ_CHECK_TRANSACTION_STATE, check_transaction,
	  "tranStateTableOffset=1 commitLogOffset=2 msgId=m transactionId=x offsetMsgId=o topic=t bname=b" },
	{ REQ_UPDATE_AND_CREATE_TOPIC, create_topic,
	  "topic=t defaultTopic=TBW102 readQueueNums=1 writeQueueNums=2 perm=6 topicFilterType=SINGLE_TAG topicSysFlag=3 "
	  "order=true attributes=a" },
	{ REQ_DELETE_SUBSCRIPTIONGROUP, delete_group, "groupName=g cleanOffset=true" },
	{ REQ_INVOKE_BROKER_TO_RESET_OFFSET, reset_offset, "topic=t group=g timestamp=1 isForce=true queueId=2 offset=3" },
	{ REQ_REGISTER_BROKER, register_broker,
	  "brokerName=b brokerAddr=a clusterName=c haServerAddr=h brokerId=1 heartbeatTimeoutMillis=2 enableActingMaster=true "
	  "compressed=true bodyCrc32=3 __ZONE_NAME=z" },
	{ REQ_UNREGISTER_BROKER, unregister_broker, "brokerName=b brokerAddr=a clusterName=c brokerId=1" },
	{ 0, register_answer, "haServerAddr=h masterAddr=m" },
	{ REQ_GET_ROUTEINFO_BY_TOPIC, route, "topic=t acceptStandardJsonOnly=true" },
	{ REQ_PUT_KV_CONFIG, kv, "namespace=n key=k value=v" },
};

/* Takes the next "name=value" out of `text`. */
static bool next_field(const char **text, struct span *name, struct span *value)
{
	size_t name_size = strcspn(*text, "="), value_size;

	if ((*text)[name_size] == '\0')
		return false;
	*name = (struct span){ (const uint8_t *)*text, name_size };
	*text += name_size + 1;
	value_size = strcspn(*text, " ");
	*value = (struct span){ (const uint8_t *)*text, value_size };
	*text += value_size + ((*text)[value_size] == ' ');
	return true;
}

static void begin(struct encoder *encoder, struct buffer *out, int32_t code)
{
	buffer_reset(out);
	command_begin(encoder, out, SERIALIZE_JSON, code, 1, 0, SPAN_NONE);
}

static struct command end(struct encoder *encoder, struct buffer *out, struct command_scratch *into)
{
	struct command command;

	CU_ASSERT_TRUE_FATAL(command_end(encoder));
	CU_ASSERT_EQUAL_FATAL(command_decode(buffer_span(out), into, &command, NULL), ST_OK);
	return command;
}

static void expect_fields(const struct command *command, const char *fields)
{
	const char *rest = fields;
	struct span name, value;
	uint32_t count = 0;

	for (; next_field(&rest, &name, &value); count++) {
		char text[64];

		CU_ASSERT_EQUAL_FATAL(span_to_cstr(name, text, sizeof(text)), ST_OK);
		if (!span_equal(command_field(command, text), value)) {
			fprintf(stderr, "%s: %s\n", command_name(command), text);
			CU_FAIL("a field has another name, or another value");
		}
	}
	CU_ASSERT_EQUAL(command->field_count, count);
}

static void test_fields_of_headers_have_the_names_of_rocketmq(void)
{
	struct buffer sent, back;
	struct encoder encoder;

	buffer_init(&sent, 0);
	buffer_init(&back, 0);
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		const char *rest = headers[i].fields;
		struct span name, value;

		begin(&encoder, &sent, headers[i].code);
		while (next_field(&rest, &name, &value))
			command_put_named(&encoder, name, value);
		struct command command = end(&encoder, &sent, &scratch);
		begin(&encoder, &back, headers[i].code);
		CU_ASSERT_EQUAL_FATAL(headers[i].through(&command, &encoder), ST_OK);
		command = end(&encoder, &back, &scratch_back);
		expect_fields(&command, headers[i].fields);
	}
	buffer_deinit(&sent);
	buffer_deinit(&back);
}

static void test_fields_of_an_answer_to_pop_have_the_names_of_rocketmq(void)
{
	struct pop_reply_header reply = { 1, 2, 3, 4, SPAN_LITERAL("s"), SPAN_LITERAL("m"), SPAN_LITERAL("o") };
	struct buffer out;
	struct encoder encoder;

	buffer_init(&out, 0);
	begin(&encoder, &out, 0);
	pop_reply_encode(&encoder, &reply);
	struct command command = end(&encoder, &out, &scratch);
	expect_fields(&command,
		      "popTime=1 invisibleTime=2 reviveQid=3 restNum=4 startOffsetInfo=s msgOffsetInfo=m orderCountInfo=o");
	buffer_deinit(&out);
}

static void expect_text(struct buffer *out, const char *text)
{
	bool same = span_is(buffer_span(out), text);

	CU_ASSERT_TRUE(same);
	if (!same)
		fprintf(stderr, "got  %.*s\nwant %s\n", SPAN_ARGS(buffer_span(out)), text);
	buffer_deinit(out);
}

static const struct message_queue queue = { SPAN_LITERAL("t"), SPAN_LITERAL("b"), 1 };
#define QUEUE_KEY "{\"brokerName\":\"b\",\"queueId\":1,\"topic\":\"t\"}"

static void test_locked_queues_are_listed_under_the_name_of_rocketmq(void)
{
	struct json_writer writer;
	struct buffer out;

	buffer_init(&out, 0);
	lock_answer_begin(&writer, &out);
	lock_answer_add(&writer, &queue);
	lock_answer_end(&writer);
	expect_text(&out, "{\"lockOKMQSet\":[" QUEUE_KEY "]}");
}

static void test_figures_have_the_names_of_rocketmq(void)
{
	struct consume_stats_item consumed = { queue, 1, 2, 3, 4 };
	struct topic_stats_item stored = { queue, 1, 2, 3 };
	struct json_writer writer;
	struct buffer out;

	buffer_init(&out, 0);
	writer = json_writer_of(&out);
	consume_stats_begin(&writer);
	consume_stats_add(&writer, &consumed);
	consume_stats_end(&writer, 0.5);
	expect_text(&out, "{\"offsetTable\":{" QUEUE_KEY ":{\"brokerOffset\":1,\"consumerOffset\":2,\"lastTimestamp\":4,"
			  "\"pullOffset\":3}},\"consumeTps\":0.5000}");
	buffer_init(&out, 0);
	topic_stats_begin(&writer, &out);
	topic_stats_add(&writer, &stored);
	topic_stats_end(&writer, 0.5);
	expect_text(&out, "{\"offsetTable\":{" QUEUE_KEY ":{\"lastUpdateTimestamp\":3,\"maxOffset\":2,\"minOffset\":1}},"
			  "\"topicPutTps\":0.5000}");
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_fields_of_headers_have_the_names_of_rocketmq),
		CHECK_TEST(test_fields_of_an_answer_to_pop_have_the_names_of_rocketmq),
		CHECK_TEST(test_locked_queues_are_listed_under_the_name_of_rocketmq),
		CHECK_TEST(test_figures_have_the_names_of_rocketmq),
	};
	return check_main("names", tests, sizeof(tests) / sizeof(tests[0]));
}
