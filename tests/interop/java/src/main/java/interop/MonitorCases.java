package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** What the exporter and the dashboard ask, one after the other, with the fields that they read of each answer. */
final class MonitorCases {
    private static final long COME_MS = 45_000;
    /** Read without looking whether they are there. */
    private static final String[] RUNTIME_KEYS = { "brokerVersionDesc", "bootTimestamp", "putTps", "getTotalTps",
        "getFoundTps", "getMissTps", "getTransferredTps", "msgPutTotalTodayMorning", "msgPutTotalYesterdayMorning",
        "msgPutTotalTodayNow", "msgGetTotalTodayMorning", "msgGetTotalYesterdayMorning", "msgGetTotalTodayNow",
        "sendThreadPoolQueueSize", "sendThreadPoolQueueCapacity", "sendThreadPoolQueueHeadWaitTimeMills",
        "pullThreadPoolQueueSize", "pullThreadPoolQueueCapacity", "pullThreadPoolQueueHeadWaitTimeMills",
        "queryThreadPoolQueueSize", "queryThreadPoolQueueCapacity", "queryThreadPoolQueueHeadWaitTimeMills",
        "commitLogDiskRatio", "consumeQueueDiskRatio", "commitLogMinOffset", "commitLogMaxOffset",
        "earliestMessageTimeStamp", "dispatchBehindBytes", "dispatchMaxBuffer", "putMessageDistributeTime",
        "putMessageAverageSize", "putMessageSizeTotal", "putMessageTimesTotal", "putMessageEntireTimeMax",
        "getMessageEntireTimeMax", "pageCacheLockTimeMills", "remainHowManyDataToFlush",
        "remainTransientStoreBufferNumbs", "startAcceptSendRequestTimeStamp", "commitLogDirCapacity", "runtime" };

    private MonitorCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("monitor-runtime", MonitorCases::runtime),
            Case.everywhere("monitor-exporter", MonitorCases::exporter),
            Case.everywhere("monitor-dashboard", MonitorCases::dashboard));
    }

    private static void runtime(Kit kit) throws Exception {
        Map<String, String> table = kit.admin().fetchBrokerRuntimeStats(kit.brokerAddress()).getTable();
        List<String> missing = new ArrayList<>();
        for (String key : RUNTIME_KEYS) {
            if (!table.containsKey(key)) {
                missing.add(key);
            }
        }
        check(missing.isEmpty(), "missing: " + missing);
        for (String key : List.of("putTps", "getTotalTps", "getFoundTps", "getMissTps", "getTransferredTps")) {
            String[] numbers = table.get(key).trim().split(" ");
            check(numbers.length >= 1, key + " has no number"); // A stock one has three after its first minutes.
            for (String number : numbers) {
                Double.parseDouble(number);
            }
        }
        check(Double.parseDouble(table.get("commitLogDiskRatio")) > 0, "commitLogDiskRatio");
        check(Long.parseLong(table.get("commitLogMaxOffset")) >= Long.parseLong(table.get("commitLogMinOffset")), "offsets");
    }

    private static void busy(Kit kit) throws Exception {
        kit.createTopic();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        DefaultMQProducer producer = kit.producer();
        inbox.await(kit.sendAll(producer, "k", 20), COME_MS);
    }

    private static void exporter(Kit kit) throws Exception {
        busy(kit);
        DefaultMQAdminExt admin = kit.admin();
        String group = kit.group + "_c";
        var cluster = admin.examineBrokerClusterInfo();
        check(cluster.getClusterAddrTable().containsKey("DefaultCluster"), "cluster");
        check(cluster.getBrokerAddrTable().containsKey("broker-a"), "broker");
        Set<String> topics = admin.fetchAllTopicList().getTopicList();
        check(topics.contains(kit.topic) && topics.contains("%RETRY%" + group), "topics " + topics);
        var stats = admin.examineTopicStats(kit.topic);
        checkEqual(20L, stats.getOffsetTable().values().stream().mapToLong(o -> o.getMaxOffset()).sum(), "topic offset");
        check(stats.getOffsetTable().values().stream().anyMatch(o -> o.getLastUpdateTimestamp() > 0), "time of the last");
        check(admin.queryTopicConsumeByWho(kit.topic).getGroupList().contains(group), "groups of the topic");
        Kit.until("offsets of the group", COME_MS, () -> admin.examineConsumeStats(group).getOffsetTable().values().stream()
            .mapToLong(o -> o.getConsumerOffset()).sum() >= 20);
        checkEqual(1, admin.examineConsumerConnectionInfo(group).getConnectionSet().size(), "online consumers");
        String broker = kit.brokerAddress();
        var put = admin.viewBrokerStatsData(broker, "TOPIC_PUT_NUMS", kit.topic);
        check(put.getStatsMinute() != null && put.getStatsDay() != null, "TOPIC_PUT_NUMS");
        admin.viewBrokerStatsData(broker, "TOPIC_PUT_SIZE", kit.topic);
        admin.viewBrokerStatsData(broker, "GROUP_GET_NUMS", kit.topic + "@" + group);
        admin.viewBrokerStatsData(broker, "GROUP_GET_SIZE", kit.topic + "@" + group);
        admin.viewBrokerStatsData(broker, "BROKER_PUT_NUMS", "DefaultCluster");
        admin.viewBrokerStatsData(broker, "BROKER_GET_NUMS", "DefaultCluster");
        String client = admin.examineConsumerConnectionInfo(group).getConnectionSet().iterator().next().getClientId();
        check(admin.getConsumerRunningInfo(group, client, false).getStatusTable().containsKey(kit.topic), "client's own numbers");
    }

    private static void dashboard(Kit kit) throws Exception {
        busy(kit);
        DefaultMQAdminExt admin = kit.admin();
        String group = kit.group + "_c";
        String broker = kit.brokerAddress();
        check(!admin.getBrokerConfig(broker).isEmpty(), "broker config");
        checkEqual(Kit.QUEUES, admin.examineTopicRouteInfo(kit.topic).getQueueDatas().get(0).getReadQueueNums(), "route");
        check(admin.getAllSubscriptionGroup(broker, 10_000).getSubscriptionGroupTable().containsKey(group), "groups");
        check(!admin.queryConsumeTimeSpan(kit.topic, group).isEmpty(), "time span");
        Kit.until("the producer", COME_MS,
            () -> admin.examineProducerConnectionInfo(kit.group + "_p", kit.topic).getConnectionSet().size() == 1);
        check(admin.getTopicClusterList(kit.topic).contains("DefaultCluster"), "clusters of the topic");
        var status = admin.getConsumeStatus(kit.topic, group, "");
        check(!status.isEmpty(), "positions of the online clients");
        var all = admin.fetchConsumeStatsInBroker(broker, false, 10_000);
        check(all.getConsumeStatsList().stream().anyMatch(m -> m.containsKey(group)), "statistics of all groups");
        check(admin.queryConsumeQueue(broker, kit.topic, 0, 0, 10, group).getMaxQueueIndex() > 0, "consume queue");
    }
}
