package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.MQVersion;

/** mqadmin as an operator uses it: what the columns say, not only that there is an answer. */
final class OperatorCases {
    private static final long COME_MS = 45_000;

    private OperatorCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("mqadmin-topics", OperatorCases::topics),
            Case.everywhere("mqadmin-groups", OperatorCases::groups),
            Case.everywhere("mqadmin-progress", OperatorCases::progress),
            Case.everywhere("mqadmin-reset", OperatorCases::reset),
            Case.everywhere("mqadmin-connections", OperatorCases::connections),
            Case.everywhere("mqadmin-look-up", OperatorCases::messages),
            Case.everywhere("mqadmin-send-consume", OperatorCases::sendAndConsume),
            Case.everywhere("mqadmin-cluster", OperatorCases::cluster),
            Case.everywhere("mqadmin-stats", OperatorCases::broker),
            Case.everywhere("mqadmin-namesrv", OperatorCases::namesrv),
            Case.everywhere("mqadmin-clean", OperatorCases::clean),
            Case.alone("mqadmin-config", OperatorCases::config),
            Case.alone("mqadmin-wipe", OperatorCases::wipe));
    }

    static String run(Kit kit, String... arguments) {
        System.setProperty("rocketmq.namesrv.addr", kit.namesrv);
        return AdminCases.run(arguments);
    }

    static void expect(String said, String... parts) {
        for (String part : parts) {
            check(said.contains(part), "mqadmin does not say \"" + part + "\" but: "
                + said.substring(Math.max(0, said.length() - 500)).replace('\n', '/'));
        }
    }

    /** The columns of each line that begins with {@code first}. */
    static List<String[]> rows(String said, String first) {
        List<String[]> rows = new ArrayList<>();
        for (String line : said.split("\n")) {
            if (line.startsWith(first)) {
                rows.add(line.trim().split("\\s+"));
            }
        }
        return rows;
    }

    private static void topics(Kit kit) throws Exception {
        String broker = kit.brokerAddress();
        expect(run(kit, "updateTopic", "-c", "DefaultCluster", "-t", kit.topic, "-r", "4", "-w", "4"), "success", kit.topic);
        kit.awaitRoute(kit.topic);
        expect(run(kit, "topicRoute", "-t", kit.topic), "\"readQueueNums\":4", "\"writeQueueNums\":4", broker);
        expect(run(kit, "topicList"), kit.topic);
        expect(run(kit, "topicList", "-c"), kit.topic, "DefaultCluster");
        expect(run(kit, "topicClusterList", "-t", kit.topic), "DefaultCluster");
        kit.sendAll(kit.producer(), "k", 8);
        List<String[]> status = rows(run(kit, "topicStatus", "-t", kit.topic), "broker-a");
        checkEqual(4, status.size(), "queues in topicStatus");
        for (String[] row : status) {
            checkEqual("0", row[2], "min offset of queue " + row[1]);
            checkEqual("2", row[3], "max offset of queue " + row[1]);
        }
        expect(run(kit, "updateTopicPerm", "-b", broker, "-t", kit.topic, "-p", "4"), "success");
        Kit.until("read only", COME_MS, () -> run(kit, "topicRoute", "-t", kit.topic).contains("\"perm\":4"));
        expect(run(kit, "deleteTopic", "-c", "DefaultCluster", "-t", kit.topic), "success");
        check(!run(kit, "topicList").contains(kit.topic), "topicList has it after its deletion");
        expect(run(kit, "topicRoute", "-t", kit.topic), "CODE: 17");
    }

    private static void groups(Kit kit) throws Exception {
        String broker = kit.brokerAddress();
        expect(run(kit, "updateSubGroup", "-b", broker, "-g", kit.group, "-r", "5", "-q", "2"), "success", kit.group);
        var config = kit.admin().examineSubscriptionGroupConfig(broker, kit.group);
        checkEqual(5, config.getRetryMaxTimes(), "retryMaxTimes");
        checkEqual(2, config.getRetryQueueNums(), "retryQueueNums");
        expect(run(kit, "deleteSubGroup", "-b", broker, "-g", kit.group), "success");
        check(!kit.admin().getAllSubscriptionGroup(broker, 10_000).getSubscriptionGroupTable().containsKey(kit.group),
            "the broker has it after its deletion");
    }

    private static Inbox consumed(Kit kit, int count) throws Exception {
        kit.createTopic();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        inbox.await(kit.sendAll(kit.producer(), "k", count), COME_MS);
        return inbox;
    }

    private static void progress(Kit kit) throws Exception {
        consumed(kit, 8);
        String group = kit.group + "_c";
        Kit.until("no lag in consumerProgress", COME_MS, () -> {
            List<String[]> rows = rows(run(kit, "consumerProgress", "-g", group), kit.topic);
            return rows.size() == Kit.QUEUES && rows.stream().allMatch(r -> r[3].equals("2") && r[4].equals("2"));
        });
        expect(run(kit, "consumerProgress", "-g", group), "Diff Total: 0");
        expect(run(kit, "consumerProgress", "-g", group + "_nobody"), "CODE: 17");
        Kit.until("brokerConsumeStats", COME_MS, () ->
            run(kit, "brokerConsumeStats", "-b", kit.brokerAddress(), "-o", "false", "-l", "-1").contains(kit.topic));
    }

    private static void reset(Kit kit) throws Exception {
        Inbox inbox = consumed(kit, 8);
        String group = kit.group + "_c";
        expect(run(kit, "resetOffsetByTime", "-g", group, "-t", kit.topic, "-s",
            Long.toString(System.currentTimeMillis() - 3_600_000)), "broker-a");
        Kit.await("everything comes again", COME_MS, () -> inbox.size() >= 16);
        expect(run(kit, "skipAccumulatedMessage", "-g", group, "-t", kit.topic), "broker-a");
    }

    private static void connections(Kit kit) throws Exception {
        consumed(kit, 4);
        String group = kit.group + "_c";
        expect(run(kit, "consumerConnection", "-g", group), "127.0.0.1:", "JAVA", kit.topic, "CLUSTERING", "CONSUME_PASSIVELY");
        Kit.until("producerConnection", COME_MS, () ->
            run(kit, "producerConnection", "-g", kit.group + "_p", "-t", kit.topic).contains("127.0.0.1:"));
        expect(run(kit, "consumerStatus", "-g", group), "@", "Rebalance OK");
    }

    private static void messages(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        SendResult sent = producer.send(kit.message("the-key", "TheTag"));
        String[] byId = MQVersion.CURRENT_VERSION < MQVersion.Version.V5_0_0.ordinal()
            ? new String[] { "queryMsgById", "-i", sent.getOffsetMsgId() } // An option that it does not know ends 4.9.
            : new String[] { "queryMsgById", "-t", kit.topic, "-i", sent.getOffsetMsgId() };
        expect(run(kit, byId), "the-key", "TheTag", kit.topic);
        Kit.until("queryMsgByKey", COME_MS, () ->
            run(kit, "queryMsgByKey", "-t", kit.topic, "-k", "the-key").contains(sent.getMsgId()));
        Kit.until("queryMsgByUniqueKey", COME_MS, () ->
            run(kit, "queryMsgByUniqueKey", "-t", kit.topic, "-i", sent.getMsgId()).contains("the-key"));
        int queue = sent.getMessageQueue().getQueueId();
        expect(run(kit, "queryMsgByOffset", "-t", kit.topic, "-b", "broker-a", "-i", "" + queue, "-o", "0"), "the-key", "TheTag");
        expect(run(kit, "printMsg", "-t", kit.topic), "the-key");
        expect(run(kit, "printMsgByQueue", "-t", kit.topic, "-a", "broker-a", "-i", "" + queue, "-p", "true"), "the-key");
        expect(run(kit, "queryCq", "-b", kit.brokerAddress(), "-t", kit.topic, "-q", "" + queue, "-i", "0"),
            "======");
    }

    private static void sendAndConsume(Kit kit) throws Exception {
        kit.createTopic();
        expect(run(kit, "sendMessage", "-t", kit.topic, "-p", "a body", "-k", "a-key", "-c", "a-tag"), "SEND_OK", "broker-a");
        expect(run(kit, "consumeMessage", "-t", kit.topic, "-g", kit.group + "_reader"), "a body");
        expect(run(kit, "checkMsgSendRT", "-t", kit.topic, "-a", "3", "-s", "64"), "Avg RT");
        expect(run(kit, "sendMsgStatus", "-b", "broker-a", "-s", "64", "-c", "3"), "SEND_OK");
    }

    private static void cluster(Kit kit) throws Exception {
        String broker = kit.brokerAddress();
        List<String[]> rows = rows(run(kit, "clusterList"), "DefaultCluster");
        checkEqual(1, rows.size(), "brokers");
        checkEqual("broker-a", rows.get(0)[1], "name");
        checkEqual("0", rows.get(0)[2], "id");
        checkEqual(broker, rows.get(0)[3], "address");
        expect(run(kit, "clusterList", "-m"), "DefaultCluster", "broker-a");
    }

    private static void broker(Kit kit) throws Exception {
        consumed(kit, 4);
        String broker = kit.brokerAddress();
        expect(run(kit, "brokerStatus", "-b", broker), "bootTimestamp", "putTps", "commitLogMaxOffset", "msgPutTotalTodayNow");
        expect(run(kit, "statsAll", "-t", kit.topic), kit.topic, kit.group + "_c");
        expect(run(kit, "getBrokerConfig", "-b", broker), "brokerName", "broker-a");
    }

    private static void namesrv(Kit kit) throws Exception {
        expect(run(kit, "updateKvConfig", "-s", "S_" + kit.topic, "-k", "key", "-v", "value"), "success");
        checkEqual("value", kit.admin().getKVConfig("S_" + kit.topic, "key"), "value");
        expect(run(kit, "deleteKvConfig", "-s", "S_" + kit.topic, "-k", "key"), "success");
        expect(run(kit, "getNamesrvConfig"), "listenPort");
        expect(run(kit, "updateOrderConf", "-t", kit.topic, "-m", "put", "-v", "broker-a:4"), "success");
        expect(run(kit, "updateOrderConf", "-t", kit.topic, "-m", "get"), "broker-a:4");
        expect(run(kit, "updateOrderConf", "-t", kit.topic, "-m", "delete"), "success");
    }

    private static void clean(Kit kit) throws Exception {
        expect(run(kit, "cleanExpiredCQ", "-b", kit.brokerAddress()), "success");
        expect(run(kit, "cleanUnusedTopic", "-b", kit.brokerAddress()), "success");
    }

    private static void config(Kit kit) throws Exception {
        String broker = kit.brokerAddress();
        String old = kit.admin().getBrokerConfig(broker).getProperty("transactionCheckMax");
        expect(run(kit, "updateBrokerConfig", "-b", broker, "-k", "transactionCheckMax", "-v", "22"), "success");
        checkEqual("22", kit.admin().getBrokerConfig(broker).getProperty("transactionCheckMax"), "after the change");
        expect(run(kit, "updateBrokerConfig", "-b", broker, "-k", "transactionCheckMax", "-v", old), "success");
    }

    private static void wipe(Kit kit) throws Exception {
        kit.createTopic();
        expect(run(kit, "wipeWritePerm", "-b", "broker-a"), "wipe write perm", "OK");
        try {
            expect(run(kit, "topicRoute", "-t", kit.topic), "\"perm\":4");
        } finally {
            expect(run(kit, "addWritePerm", "-b", "broker-a"), "add write perm", "OK");
        }
        expect(run(kit, "topicRoute", "-t", kit.topic), "\"perm\":6");
        Set<String> sent = kit.sendAll(kit.producer(), "k", 2);
        checkEqual(2, sent.size(), "sent afterwards");
    }
}
