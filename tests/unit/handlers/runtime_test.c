/* How the broker is, as brokerStatus, clusterList, the dashboard and the exporter read it. */
#include "tests/unit/handlers/busy_bench.h"

/* Asks; the answer's body. */
static struct span ask(struct bench *b, int32_t code)
{
	CU_ASSERT_EQUAL_FATAL(bench_ask(b, OPERATOR, code, NULL, ""), ST_OK);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	CU_ASSERT_EQUAL_FATAL(b->out[0].command.code, RESP_SUCCESS);
	return b->out[0].command.body;
}

#define OUR "\"brokerVersionDesc\":\"" VERSION_OURS_TEXT "\",\"brokerVersion\":\"%d\",\"brokerActive\":\"true\","
#define QUEUE(name) "\"" name "Size\":\"0\",\"" name "HeadWaitTimeMills\":\"0\",\"" name "Capacity\":\"100000\","

/* In the last 10, 60 and 600 seconds 6, 12 and 24 messages were put that are durable; two pulls found 38 messages, four found
 * none. */
static const char busy_traffic[] =
	"\"bootTimestamp\":\"1700000000000\",\"startAcceptSendRequestTimeStamp\":\"1700000000000\","
	"\"runtime\":\"[ 1 days, 2 hours, 10 minutes, 0 seconds ]\","
	"\"putTps\":\"0.6000 0.2000 0.0400\","
	"\"getFoundTps\":\"0.2000 0.0333 0.0033\","
	"\"getMissTps\":\"0.4000 0.0667 0.0067\","
	"\"getTotalTps\":\"0.6000 0.1000 0.0100\","
	"\"getTransferredTps\":\"3.8000 0.6333 0.0633\","
	"\"getTransferedTps\":\"3.8000 0.6333 0.0633\","
	"\"putMessageTimesTotal\":\"49\",\"putMessageSizeTotal\":\"%llu\",\"putMessageFailedTimes\":\"7\","
	"\"putMessageAverageSize\":\"%.2f\","
	"\"msgPutTotalTodayNow\":\"49\",\"msgPutTotalTodayMorning\":\"5\",\"msgPutTotalYesterdayMorning\":\"2\","
	"\"msgGetTotalTodayNow\":\"43\",\"msgGetTotalTodayMorning\":\"5\",\"msgGetTotalYesterdayMorning\":\"0\","
	"\"putMessageDistributeTime\":\"[<=0ms]:6 [0~10ms]:0 [10~50ms]:0 [50~100ms]:0 [100~200ms]:0 [200~500ms]:0 [500ms~1s]:6"
	" [1~2s]:0 [2~3s]:0 [3~4s]:0 [4~5s]:0 [5~10s]:0 [10s~]:0\","
	"\"putMessageEntireTimeMax\":\"1000\",\"putLatency99\":\"1000\",\"putLatency999\":\"1000\",\"getMessageEntireTimeMax\":\"0\",";

static const char busy_store[] =
	"\"commitLogMinOffset\":\"%llu\",\"commitLogMaxOffset\":\"%llu\","
	"\"commitLogDiskRatio\":\"0.7500\",\"consumeQueueDiskRatio\":\"0.7500\","
	"\"commitLogDirCapacity\":\"Total : 4.0 GiB, Free : 1.0 GiB.\",\"remainHowManyDataToFlush\":\"%.1f KiB\","
	"\"dispatchBehindBytes\":\"0\",\"dispatchMaxBuffer\":\"0\",\"earliestMessageTimeStamp\":\"1700000000000\","
	"\"timerReadBehind\":\"0\",\"timerOffsetBehind\":\"0\",\"timerCongestNum\":\"1\","
	"\"timerEnqueueTps\":\"0.0\",\"timerDequeueTps\":\"0.0\",";

static const char no_queues[] =
	QUEUE("sendThreadPoolQueue") QUEUE("pullThreadPoolQueue") QUEUE("queryThreadPoolQueue") QUEUE("ackThreadPoolQueue")
	QUEUE("EndTransactionQueue") QUEUE("litePullThreadPoolQueue") "\"EndTransactionThreadPoolQueueCapacity\":\"100000\","
	"\"pageCacheLockTimeMills\":\"0\",\"remainTransientStoreBufferNumbs\":\"2147483647\",";

static const char busy_transactions[] =
	"\"escrowTransactionsPending\":\"4\",\"escrowTransactionsInDoubt\":\"3\",\"escrowHalfMessages\":\"9\","
	"\"escrowCommits\":\"3\",\"escrowRollbacks\":\"2\",\"escrowRefusedDecisions\":\"1\","
	"\"escrowDelayedMessages\":\"1\",\"escrowConnections\":\"5\"";

static void test_how_the_broker_is(void)
{
	struct bench *b = busy_bench();
	uint64_t end = commitlog_appended(b->f->log), start = commitlog_start(b->f->log), durable = commitlog_durable(b->f->log);
	struct buffer got, expected;

	buffer_init(&got, 0);
	buffer_init(&expected, 0);
	buffer_append_span(&got, ask(b, REQ_GET_BROKER_RUNTIME_INFO));
	uint64_t bytes = busy_bytes(b, "orders", 1) + busy_bytes(b, "%RETRY%readers", 0) + busy_bytes(b, "%DLQ%readers", 0) +
			 busy_bytes(b, "pay", 1) + busy_bytes(b, "late", 1);
	buffer_printf(&expected, "{\"table\":{" OUR, VERSION_OURS);
	buffer_printf(&expected, busy_traffic, (unsigned long long)bytes, (double)bytes / 49);
	buffer_printf(&expected, busy_store, (unsigned long long)start, (unsigned long long)end, (double)(end - durable) / 1024);
	buffer_printf(&expected, "%s%s}}", no_queues, busy_transactions);
	busy_check_text(buffer_span(&got), buffer_span(&expected));
	buffer_deinit(&got);
	buffer_deinit(&expected);
	bench_close(b);
}

/* There are no replicas to tell of. */
static void test_high_availability(void)
{
	struct bench *b = busy_bench();
	struct buffer expected;

	buffer_init(&expected, 0);
	buffer_printf(&expected, "{\"haClientRuntimeInfo\":{\"lastReadTimestamp\":0,\"lastWriteTimestamp\":0,\"masterFlushOffset\":0,"
		      "\"maxOffset\":0,\"transferredByteInSecond\":0},\"haConnectionInfo\":[],\"inSyncSlaveNums\":0,\"master\":true,"
		      "\"masterCommitLogMaxOffset\":%llu}", (unsigned long long)commitlog_durable(b->f->log));
	busy_check_text(ask(b, REQ_GET_BROKER_HA_STATUS), buffer_span(&expected));
	buffer_deinit(&expected);
	bench_close(b);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_how_the_broker_is),
		CHECK_TEST(test_high_availability),
	};
	return check_main("runtime", tests, sizeof(tests) / sizeof(tests[0]));
}
