package interop;

import static interop.Kit.await;
import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.util.List;
import java.util.Properties;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** What an operator changes while clients are at work, with the admin client of the suite's version. */
final class ChangeCases {
    private static final int COME_MS = 45_000;
    private static final int SETTLE_MS = 2_000;
    private static final int TOPIC_NOT_EXIST = 17;
    private static final int UPDATE_TOPIC = 17;
    private static final int DELETE_TOPIC_IN_NAMESRV = 216;

    private ChangeCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("admin-delete-topic", ChangeCases::deleteTopic),
            Case.everywhere("admin-reset-offset", ChangeCases::resetOffset),
            Case.everywhere("admin-ask-consumer", ChangeCases::askConsumer),
            Case.everywhere("admin-queue-numbers", ChangeCases::queueNumbers),
            Case.escrow("admin-options", ChangeCases::options));
    }

    private static DefaultMQAdminExt admin(Kit kit) throws Exception {
        DefaultMQAdminExt admin = new DefaultMQAdminExt();
        admin.setNamesrvAddr(kit.namesrv);
        admin.setInstanceName(kit.group + "_admin");
        admin.start();
        kit.onClose(admin::shutdown);
        return admin;
    }

    private static void deleteTopic(Kit kit) throws Exception {
        DefaultMQAdminExt admin = admin(kit);
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();

        kit.createTopic();
        DefaultMQPushConsumer consumer = kit.consumer(inbox);
        inbox.await(kit.sendAll(producer, "old", 8), COME_MS);
        consumer.shutdown();
        admin.deleteTopicInBroker(Set.of(kit.brokerAddress()), kit.topic);
        try (Raw raw = new Raw(kit.namesrv)) { // The admin clients' versions differ in the order of their arguments.
            raw.call(DELETE_TOPIC_IN_NAMESRV, "topic", kit.topic).expect(0);
        }
        try {
            admin.examineTopicRouteInfo(kit.topic);
            throw new AssertionError("the topic has a route");
        } catch (MQClientException e) {
            checkEqual(TOPIC_NOT_EXIST, e.getResponseCode(), "code for the route of a deleted topic");
        }
        kit.createTopic();
        SendResult sent = producer.send(kit.message("new", "T"));
        checkEqual(0L, sent.getQueueOffset(), "first offset of the topic made anew");
        Inbox again = new Inbox();
        kit.consumer(again);
        again.expectExactly(Set.of("new"), COME_MS, SETTLE_MS);
    }

    private static void resetOffset(Kit kit) throws Exception {
        DefaultMQAdminExt admin = admin(kit);
        Inbox inbox = new Inbox();

        kit.createTopic();
        DefaultMQPushConsumer consumer = kit.consumer(inbox);
        Set<String> keys = kit.sendAll(kit.producer(), "k", 8);
        inbox.await(keys, COME_MS);
        await("all queues", COME_MS, () -> kit.queuesOf(consumer) == Kit.QUEUES);
        consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
        Thread.sleep(SETTLE_MS);
        check(!admin.resetOffsetByTimestamp(kit.topic, kit.group + "_c", 0, true).isEmpty(), "no offset was reset");
        await("each once more", COME_MS, () -> keys.stream().allMatch(key -> inbox.of(key).size() >= 2));
    }

    private static void askConsumer(Kit kit) throws Exception {
        DefaultMQAdminExt admin = admin(kit);
        Inbox inbox = new Inbox();

        kit.createTopic();
        DefaultMQPushConsumer consumer = kit.consumer(inbox);
        SendResult sent = kit.producer().send(kit.message("k", "T"));
        inbox.await(Set.of("k"), COME_MS);
        String client = consumer.getDefaultMQPushConsumerImpl().getmQClientFactory().getClientId();
        check(admin.getConsumerRunningInfo(kit.group + "_c", client, false).getSubscriptionSet().stream()
            .anyMatch(subscription -> subscription.getTopic().equals(kit.topic)), "the running info lacks the topic");
        check(admin.getConsumeStatus(kit.topic, kit.group + "_c", "").containsKey(client), "the status lacks the client");
        checkEqual("CR_SUCCESS", admin.consumeMessageDirectly(kit.group + "_c", client, kit.topic, sent.getOffsetMsgId())
            .getConsumeResult().toString(), "result of consuming directly");
        checkEqual(2, inbox.of("k").size(), "times consumed");
        try {
            admin.getConsumerRunningInfo(kit.group + "_c", "nobody", false);
            throw new AssertionError("a client that is not there has answered");
        } catch (MQClientException e) {
            check(e.getMessage().contains("not online"), "said: " + e.getMessage());
        }
    }

    /** Producers go to the queues that are left, consumers still read the others. */
    private static void queueNumbers(Kit kit) throws Exception {
        DefaultMQAdminExt admin = admin(kit);
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();

        kit.createTopic();
        Set<String> keys = kit.sendAll(producer, "k", 2 * Kit.QUEUES);
        try (Raw raw = new Raw(kit.brokerAddress())) {
            raw.call(UPDATE_TOPIC, "topic", kit.topic, "defaultTopic", "TBW102", "readQueueNums", "" + Kit.QUEUES,
                "writeQueueNums", "1", "perm", "6", "topicFilterType", "SINGLE_TAG", "topicSysFlag", "0", "order", "false")
                .expect(0);
        }
        await("the new route", COME_MS, () -> {
            try {
                return admin.examineTopicRouteInfo(kit.topic).getQueueDatas().get(0).getWriteQueueNums() == 1;
            } catch (Exception e) {
                return false;
            }
        });
        kit.consumer(inbox);
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
    }

    private static void options(Kit kit) throws Exception {
        DefaultMQAdminExt admin = admin(kit);
        String broker = kit.brokerAddress();
        Properties change = new Properties();

        change.setProperty("maxMessageSize", "4194303");
        admin.updateBrokerConfig(broker, change);
        checkEqual("4194303", admin.getBrokerConfig(broker).getProperty("maxMessageSize"), "changed option");
        change.setProperty("listenPort", "1");
        try {
            admin.updateBrokerConfig(broker, change);
            throw new AssertionError("the port was changed");
        } catch (MQBrokerException e) {
            checkEqual(16, e.getResponseCode(), "code for an option that cannot be changed");
            check(e.getErrorMessage().contains("listenPort"), "said: " + e.getErrorMessage());
        }
        change.remove("listenPort");
        change.setProperty("maxMessageSize", "4194304");
        admin.updateBrokerConfig(broker, change);
        for (String key : List.of("brokerName", "brokerClusterName", "brokerId", "listenPort", "transactionCheckMax",
            "autoCreateTopicEnable")) {
            check(admin.getBrokerConfig(broker).getProperty(key) != null, key + " is not among the options");
        }
    }
}
