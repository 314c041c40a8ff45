package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.util.List;
import java.util.Properties;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** The admin API as a program calls it: topics, groups, offsets, connections, clients, configuration. */
final class AdminApiCases {
    private static final long COME_MS = 45_000;
    private static final long SETTLE_MS = 1_500;

    private AdminApiCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("admin-topic", AdminApiCases::topic),
            Case.everywhere("admin-topic-delete", AdminApiCases::topicDelete),
            Case.everywhere("admin-topic-queues", AdminApiCases::queues),
            Case.everywhere("admin-topic-permission", AdminApiCases::permission),
            Case.everywhere("admin-group", AdminApiCases::group),
            Case.everywhere("admin-group-disabled", AdminApiCases::groupDisabled),
            Case.everywhere("admin-consume-stats", AdminApiCases::consumeStats),
            Case.everywhere("admin-connections", AdminApiCases::connections),
            Case.everywhere("admin-running-info", AdminApiCases::runningInfo),
            Case.everywhere("admin-consume-directly", AdminApiCases::consumeDirectly),
            Case.everywhere("admin-kv", AdminApiCases::keyValues),
            Case.everywhere("admin-namesrv-config", AdminApiCases::namesrvConfig),
            Case.alone("admin-broker-config", AdminApiCases::brokerConfig),
            Case.alone("admin-wipe-write", AdminApiCases::wipeWrite));
    }

    private static void until(String what, Kit.Trial trial) throws Exception {
        Kit.until(what, COME_MS, trial);
    }

    private static void topic(Kit kit) throws Exception {
        DefaultMQAdminExt admin = kit.admin();
        String broker = kit.brokerAddress();
        admin.createAndUpdateTopicConfig(broker, new TopicConfig(kit.topic, 3, 5, 6));
        until("route", () -> admin.examineTopicRouteInfo(kit.topic).getQueueDatas().get(0).getReadQueueNums() == 3);
        var queues = admin.examineTopicRouteInfo(kit.topic).getQueueDatas().get(0);
        checkEqual(5, queues.getWriteQueueNums(), "write queues of the route");
        checkEqual(6, queues.getPerm(), "permission of the route");
        checkEqual(5, admin.examineTopicConfig(broker, kit.topic).getWriteQueueNums(), "write queues at the broker");
        check(admin.fetchAllTopicList().getTopicList().contains(kit.topic), "the name server lists it");
        check(admin.getAllTopicConfig(broker, 10_000).getTopicConfigTable().containsKey(kit.topic), "the broker lists it");
        check(admin.getUserTopicConfig(broker, false, 10_000).getTopicConfigTable().containsKey(kit.topic), "among users'");
        checkEqual(5, admin.examineTopicStats(kit.topic).getOffsetTable().size(), "queues with offsets");
        try {
            admin.createAndUpdateTopicConfig(broker, new TopicConfig("no spaces allowed", 1, 1, 6));
            throw new AssertionError("a topic with a space in its name was made");
        } catch (org.apache.rocketmq.client.exception.MQBrokerException e) {
            check(e.getErrorMessage() != null && !e.getErrorMessage().isEmpty(), "a remark with code " + e.getResponseCode());
        } catch (MQClientException e) {
            check(e.getErrorMessage() != null, "a remark: " + e);
        }
    }

    private static void topicDelete(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQAdminExt admin = kit.admin();
        DefaultMQProducer producer = kit.producer();
        kit.sendAll(producer, "k", 5);
        producer.shutdown();
        admin.deleteTopicInBroker(Set.of(kit.brokerAddress()), kit.topic);
        try (Raw raw = new Raw(kit.namesrv)) { // The admin clients' versions differ in the order of their arguments.
            raw.call(216, "topic", kit.topic).expect(0);
        }
        checkGone(kit, admin);
        // A registration of everything must not bring it back.
        kit.createTopic(kit.topic + "_next");
        checkGone(kit, admin);
        kit.createTopic();
        until("empty again", () -> admin.examineTopicStats(kit.topic).getOffsetTable().values().stream()
            .allMatch(o -> o.getMaxOffset() == 0));
    }

    private static void checkGone(Kit kit, DefaultMQAdminExt admin) throws Exception {
        check(!admin.fetchAllTopicList().getTopicList().contains(kit.topic), "the name server lists it still");
        check(!admin.getAllTopicConfig(kit.brokerAddress(), 10_000).getTopicConfigTable().containsKey(kit.topic),
            "the broker lists it still");
        try {
            admin.examineTopicRouteInfo(kit.topic);
        } catch (MQClientException e) {
            checkEqual(17, e.getResponseCode(), "code for the route");
            return;
        }
        throw new AssertionError("there is a route still");
    }

    /** More queues, then fewer: nothing that lies in one is lost. */
    private static void queues(Kit kit) throws Exception {
        DefaultMQAdminExt admin = kit.admin();
        String broker = kit.brokerAddress();
        admin.createAndUpdateTopicConfig(broker, new TopicConfig(kit.topic, 2, 2, 6));
        kit.awaitRoute(kit.topic);
        Set<String> keys = kit.sendAll(kit.producer(), "k", 12);
        admin.createAndUpdateTopicConfig(broker, new TopicConfig(kit.topic, 6, 6, 6));
        until("more queues", () -> admin.examineTopicRouteInfo(kit.topic).getQueueDatas().get(0).getReadQueueNums() == 6);
        keys.addAll(kit.sendAll(kit.start(new DefaultMQProducer(kit.group + "_p2")), "l", 12));
        checkEqual(6L, admin.examineTopicStats(kit.topic).getOffsetTable().values().stream()
            .filter(o -> o.getMaxOffset() > 0).count(), "queues with messages");
        admin.createAndUpdateTopicConfig(broker, new TopicConfig(kit.topic, 6, 1, 6));
        until("one to write", () -> admin.examineTopicRouteInfo(kit.topic).getQueueDatas().get(0).getWriteQueueNums() == 1);
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
    }

    private static void permission(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQAdminExt admin = kit.admin();
        Set<String> keys = kit.sendAll(kit.producer(), "k", 4);
        admin.createAndUpdateTopicConfig(kit.brokerAddress(), new TopicConfig(kit.topic, 4, 4, 4));
        until("its route", () -> admin.examineTopicRouteInfo(kit.topic).getQueueDatas().get(0).getPerm() == 4);
        DefaultMQProducer late = kit.start(new DefaultMQProducer(kit.group + "_late"));
        try {
            late.send(kit.message("no", "T"));
            throw new AssertionError("a topic that is only read took a message");
        } catch (MQClientException | org.apache.rocketmq.client.exception.MQBrokerException e) {
            check(!e.getMessage().isEmpty(), "a refusal without words");
        }
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
    }

    private static void group(Kit kit) throws Exception {
        DefaultMQAdminExt admin = kit.admin();
        String broker = kit.brokerAddress();
        var config = admin.examineSubscriptionGroupConfig(broker, "TOOLS_CONSUMER");
        check(config != null, "the broker's own group TOOLS_CONSUMER");
        config.setGroupName(kit.group);
        config.setRetryMaxTimes(7);
        config.setRetryQueueNums(2);
        config.setConsumeBroadcastEnable(false);
        admin.createAndUpdateSubscriptionGroupConfig(broker, config);
        var read = admin.examineSubscriptionGroupConfig(broker, kit.group);
        checkEqual(7, read.getRetryMaxTimes(), "retryMaxTimes");
        checkEqual(2, read.getRetryQueueNums(), "retryQueueNums");
        checkEqual(false, read.isConsumeBroadcastEnable(), "consumeBroadcastEnable");
        check(admin.getAllSubscriptionGroup(broker, 10_000).getSubscriptionGroupTable().containsKey(kit.group), "listed");
        admin.deleteSubscriptionGroup(broker, kit.group, true);
        check(!admin.getAllSubscriptionGroup(broker, 10_000).getSubscriptionGroupTable().containsKey(kit.group),
            "listed after its deletion");
    }

    /** A group that may not consume gets nothing until it may again. */
    private static void groupDisabled(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQAdminExt admin = kit.admin();
        String broker = kit.brokerAddress();
        var config = admin.examineSubscriptionGroupConfig(broker, "TOOLS_CONSUMER");
        config.setGroupName(kit.group + "_c");
        config.setConsumeEnable(false);
        admin.createAndUpdateSubscriptionGroupConfig(broker, config);
        Set<String> keys = kit.sendAll(kit.producer(), "k", 4);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = kit.consumer(inbox);
        Kit.await("queues", COME_MS, () -> kit.queuesOf(consumer) == Kit.QUEUES);
        Thread.sleep(SETTLE_MS); // For what must not come.
        checkEqual(0, inbox.size(), "messages of a group that may not consume");
        config.setConsumeEnable(true);
        admin.createAndUpdateSubscriptionGroupConfig(broker, config);
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
    }

    private static void consumeStats(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQAdminExt admin = kit.admin();
        DefaultMQProducer producer = kit.producer();
        Set<String> keys = kit.sendAll(producer, "k", 10);
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = kit.consumer(inbox);
        inbox.await(keys, COME_MS);
        // The client stores its offsets every 5 s.
        until("no lag", () -> {
            var stats = admin.examineConsumeStats(kit.group + "_c", kit.topic);
            return stats.computeTotalDiff() == 0 && stats.getOffsetTable().values().stream()
                .mapToLong(o -> o.getConsumerOffset()).sum() == 10;
        });
        consumer.shutdown();
        kit.sendAll(producer, "l", 7);
        until("a lag of 7", () -> admin.examineConsumeStats(kit.group + "_c", kit.topic).computeTotalDiff() == 7);
        check(admin.queryTopicConsumeByWho(kit.topic).getGroupList().contains(kit.group + "_c"), "who consumes the topic");
    }

    private static void connections(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQAdminExt admin = kit.admin();
        DefaultMQProducer producer = kit.producer();
        producer.send(kit.message("k", "T"));
        Inbox inbox = new Inbox();
        kit.consumer(kit.topic, "TagA || T", inbox, (m, c) -> org.apache.rocketmq.client.consumer.listener
            .ConsumeConcurrentlyStatus.CONSUME_SUCCESS, c -> { });
        inbox.await(Set.of("k"), COME_MS);
        var consumers = admin.examineConsumerConnectionInfo(kit.group + "_c");
        checkEqual(1, consumers.getConnectionSet().size(), "consumers");
        checkEqual("CLUSTERING", consumers.getMessageModel().name(), "model");
        checkEqual("CONSUME_PASSIVELY", consumers.getConsumeType().name(), "type");
        checkEqual("TagA || T", consumers.getSubscriptionTable().get(kit.topic).getSubString(), "subscription");
        var one = consumers.getConnectionSet().iterator().next();
        check(one.getClientAddr().startsWith("127.0.0.1:"), "address " + one.getClientAddr());
        checkEqual("JAVA", one.getLanguage().name(), "language");
        // A 4.9 producer tells the broker of itself with its next heartbeat only.
        until("the producer", () -> admin.examineProducerConnectionInfo(kit.group + "_p", kit.topic).getConnectionSet().size() == 1);
        try {
            admin.examineConsumerConnectionInfo(kit.group + "_nobody");
            throw new AssertionError("a group that nobody is in has connections");
        } catch (MQClientException | org.apache.rocketmq.client.exception.MQBrokerException e) {
            check(e.toString().contains("CODE: 17") || e.toString().contains("206"), "refused with " + e);
        }
    }

    private static String onlyClient(DefaultMQAdminExt admin, String group) throws Exception {
        return admin.examineConsumerConnectionInfo(group).getConnectionSet().iterator().next().getClientId();
    }

    private static void runningInfo(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQAdminExt admin = kit.admin();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = kit.consumer(inbox);
        inbox.await(kit.sendAll(kit.producer(), "k", 5), COME_MS);
        String client = onlyClient(admin, kit.group + "_c");
        checkEqual(consumer.buildMQClientId(), client, "client id");
        var info = admin.getConsumerRunningInfo(kit.group + "_c", client, true);
        checkEqual((long) Kit.QUEUES, info.getMqTable().keySet().stream()
            .filter(queue -> queue.getTopic().equals(kit.topic)).count(), "queues that it tells");
        check(info.getJstack() != null && info.getJstack().contains("java.lang"), "its stacks");
        checkEqual(5L, info.getMqTable().entrySet().stream().filter(e -> e.getKey().getTopic().equals(kit.topic))
            .mapToLong(e -> e.getValue().getCommitOffset()).sum(), "offsets that it tells");
    }

    private static void consumeDirectly(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQAdminExt admin = kit.admin();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        SendResult sent = kit.producer().send(kit.message("k", "T"));
        inbox.await(Set.of("k"), COME_MS);
        var result = admin.consumeMessageDirectly(kit.group + "_c", onlyClient(admin, kit.group + "_c"), kit.topic,
            sent.getOffsetMsgId());
        checkEqual("CR_SUCCESS", result.getConsumeResult().name(), "result");
        checkEqual(2, inbox.of("k").size(), "deliveries");
    }

    private static void keyValues(Kit kit) throws Exception {
        DefaultMQAdminExt admin = kit.admin();
        String space = "SPACE_" + kit.topic;
        admin.createAndUpdateKvConfig(space, "key", "a:1;b:2");
        checkEqual("a:1;b:2", admin.getKVConfig(space, "key"), "value");
        checkEqual("a:1;b:2", admin.getKVListByNamespace(space).getTable().get("key"), "value in the list");
        admin.deleteKvConfig(space, "key");
        try {
            admin.getKVConfig(space, "key");
        } catch (MQClientException e) {
            checkEqual(22, e.getResponseCode(), "code for what is deleted");
            return;
        }
        throw new AssertionError("a deleted key has a value");
    }

    private static void namesrvConfig(Kit kit) throws Exception {
        Properties properties = kit.admin().getNameServerConfig(List.of(kit.namesrv)).get(kit.namesrv);
        checkEqual(kit.namesrv.replaceAll(".*:", ""), properties.getProperty("listenPort"), "listenPort");
    }

    private static void brokerConfig(Kit kit) throws Exception {
        DefaultMQAdminExt admin = kit.admin();
        String broker = kit.brokerAddress();
        Properties before = admin.getBrokerConfig(broker);
        checkEqual("broker-a", before.getProperty("brokerName"), "brokerName");
        String old = before.getProperty("transactionCheckMax");
        Properties change = new Properties();
        change.setProperty("transactionCheckMax", "21");
        admin.updateBrokerConfig(broker, change);
        checkEqual("21", admin.getBrokerConfig(broker).getProperty("transactionCheckMax"), "after the change");
        change.setProperty("transactionCheckMax", old);
        admin.updateBrokerConfig(broker, change);
        checkEqual(old, admin.getBrokerConfig(broker).getProperty("transactionCheckMax"), "after it is undone");
    }

    /** Drained, a broker is not written to by whoever looks for a route, but is still read from. */
    private static void wipeWrite(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQAdminExt admin = kit.admin();
        Set<String> keys = kit.sendAll(kit.producer(), "k", 4);
        check(admin.wipeWritePermOfBroker(kit.namesrv, "broker-a") > 0, "topics that were wiped");
        try {
            until("no permission to write", () -> admin.examineTopicRouteInfo(kit.topic).getQueueDatas().get(0).getPerm() == 4);
            Inbox inbox = new Inbox();
            kit.consumer(inbox);
            inbox.expectExactly(keys, COME_MS, SETTLE_MS);
        } finally {
            check(admin.addWritePermOfBroker(kit.namesrv, "broker-a") > 0, "topics that got it back");
        }
        until("permission to write", () -> admin.examineTopicRouteInfo(kit.topic).getQueueDatas().get(0).getPerm() == 6);
    }
}
