package interop.five;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import interop.Case;
import interop.Inbox;
import interop.Kit;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.message.MessageRequestMode;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** What a client of 5.x has and one of 4.9 has not: recall, POP. */
public final class FiveCases {
    private static final long COME_MS = 60_000;
    private static final long SETTLE_MS = 2_000;

    private FiveCases() {
    }

    public static List<Case> all() {
        return List.of(
            Case.escrow("recall-by-client", FiveCases::recall),
            Case.everywhere("pop-push", FiveCases::popPush),
            Case.everywhere("pop-retry-times", FiveCases::popRetry),
            Case.everywhere("pop-shared-queues", FiveCases::popShared),
            Case.everywhere("crowd-pop", FiveCases::popFromAllBrokers),
            Case.everywhere("admin-producers", FiveCases::producers),
            Case.everywhere("admin-ha-status", FiveCases::haStatus),
            Case.everywhere("admin-groups-of-topics", FiveCases::topicsOfGroup));
    }

    /** A stock broker has this off unless it is told otherwise. */
    private static void recall(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        Message message = kit.message("recalled", "T");
        message.setDelayTimeMs(8_000);
        SendResult result = producer.send(message);
        check(result.getRecallHandle() != null, "a handle to recall it by");
        Message other = kit.message("kept", "T");
        other.setDelayTimeMs(8_000);
        producer.send(other);
        producer.recallMessage(kit.topic, result.getRecallHandle());
        inbox.expectExactly(Set.of("kept"), COME_MS, SETTLE_MS);
    }

    private static DefaultMQPushConsumer popping(Kit kit, Inbox inbox, Kit.Consume consume) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(kit.group + "_c");
        consumer.setNamesrvAddr(kit.namesrv);
        consumer.setInstanceName(kit.instance());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setClientRebalance(false);
        consumer.setPopInvisibleTime(10_000);
        consumer.subscribe(kit.topic, "*");
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(inbox::add);
            return consume.one(messages.get(0), context);
        });
        consumer.start();
        kit.onClose(consumer::shutdown);
        return consumer;
    }

    private static void popMode(Kit kit) throws Exception {
        kit.createTopic();
        var admin = kit.admin();
        admin.setMessageRequestMode(kit.brokerAddress(), kit.topic, kit.group + "_c", MessageRequestMode.POP, 0, 10_000);
    }

    private static void popPush(Kit kit) throws Exception {
        popMode(kit);
        Set<String> keys = kit.sendAll(kit.producer(), "k", 40);
        Inbox inbox = new Inbox();
        popping(kit, inbox, (m, c) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        inbox.await(keys, COME_MS);
        keys.addAll(kit.sendAll(kit.producer(), "l", 10));
        inbox.expectExactly(keys, COME_MS, 12_000); // Longer than they are invisible: acknowledged ones stay away.
    }

    private static void popRetry(Kit kit) throws Exception {
        popMode(kit);
        Inbox inbox = new Inbox();
        Set<String> failed = java.util.Collections.synchronizedSet(new TreeSet<>());
        popping(kit, inbox, (message, context) -> {
            context.setDelayLevelWhenNextConsume(1);
            return failed.add(message.getKeys()) ? ConsumeConcurrentlyStatus.RECONSUME_LATER
                : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        Set<String> keys = kit.sendAll(kit.producer(), "k", 4);
        Kit.await("each twice", 2 * COME_MS, () -> keys.stream().allMatch(key -> inbox.of(key).size() >= 2));
        for (String key : keys) {
            checkEqual(1, inbox.of(key).get(1).getReconsumeTimes(), "reconsumeTimes of the second delivery of " + key);
        }
    }

    /** More consumers than queues, each of them gets something. */
    private static void popShared(Kit kit) throws Exception {
        popMode(kit);
        Inbox[] inboxes = new Inbox[Kit.QUEUES + 1];
        for (int i = 0; i < inboxes.length; i++) {
            inboxes[i] = new Inbox();
            popping(kit, inboxes[i], (m, c) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        }
        DefaultMQProducer producer = kit.producer();
        int[] sent = new int[1];
        Kit.until("each of " + inboxes.length + " consumers of " + Kit.QUEUES + " queues gets something", COME_MS, () -> {
            for (int i = 0; i < 20; i++) {
                producer.send(kit.message("k" + sent[0]++, "T"));
            }
            for (Inbox inbox : inboxes) {
                if (inbox.size() == 0) {
                    return false;
                }
            }
            return true;
        });
        Kit.await("all", COME_MS, () -> {
            int all = 0;
            for (Inbox inbox : inboxes) {
                all += inbox.size();
            }
            return all >= sent[0];
        });
    }

    /** What a broker assigns to a client, its own queues and those of the others; empty if it says nothing. */
    private static Set<MessageQueue> assigned(Kit kit, DefaultMQPushConsumer consumer, String broker) throws Exception {
        var factory = consumer.getDefaultMQPushConsumerImpl().getmQClientFactory();
        var assignments = factory.getMQClientAPIImpl().queryAssignment(broker, kit.topic, kit.group + "_c", factory.getClientId(),
            "AVG", MessageModel.CLUSTERING, COME_MS);
        Set<MessageQueue> queues = new TreeSet<>();
        if (assignments != null) {
            assignments.forEach(one -> queues.add(one.getMessageQueue()));
        }
        return queues;
    }

    /** Each client asks one broker, whichever it is: all of them give the same, and everything has some client. */
    private static void popFromAllBrokers(Kit kit) throws Exception {
        var brokers = kit.createTopicEverywhere();
        var admin = kit.admin();
        for (String address : brokers.values()) {
            admin.setMessageRequestMode(address, kit.topic, kit.group + "_c", MessageRequestMode.POP, 1, 10_000);
        }
        Inbox inbox = new Inbox();
        List<DefaultMQPushConsumer> consumers = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            consumers.add(popping(kit, inbox, (m, c) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS));
        }
        Kit.until("one list of all brokers' queues, whoever is asked", COME_MS, () -> {
            Set<MessageQueue> all = new TreeSet<>();
            for (DefaultMQPushConsumer consumer : consumers) {
                Set<Set<MessageQueue>> answers = new HashSet<>();
                for (String address : brokers.values()) {
                    answers.add(assigned(kit, consumer, address));
                }
                checkEqual(1, answers.size(), "different answers of the brokers: " + answers);
                Set<MessageQueue> own = answers.iterator().next();
                checkEqual(brokers.size() * Kit.QUEUES / 2, own.size(), "queues of a client, half of all: " + own);
                all.addAll(own);
            }
            checkEqual(brokers.size() * Kit.QUEUES, all.size(), "queues of the group");
            return true;
        });
        DefaultMQProducer producer = kit.producer();
        Set<String> keys = new TreeSet<>();
        for (String broker : brokers.keySet()) {
            for (int i = 0; i < 5 * Kit.QUEUES; i++) {
                String key = broker + "-" + i;
                keys.add(key);
                producer.send(kit.message(key, "T"), new MessageQueue(kit.topic, broker, i % Kit.QUEUES));
            }
        }
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
    }

    private static void producers(Kit kit) throws Exception {
        kit.createTopic();
        kit.producer().send(kit.message("k", "T"));
        var all = kit.admin().getAllProducerInfo(kit.brokerAddress());
        check(all.getData().containsKey(kit.group + "_p"), "producer groups " + all.getData().keySet());
        checkEqual(1, all.getData().get(kit.group + "_p").size(), "producers of the group");
    }

    private static void haStatus(Kit kit) throws Exception {
        kit.createTopic();
        kit.producer().send(kit.message("k", "T"));
        var status = kit.admin().getBrokerHAStatus(kit.brokerAddress());
        check(status.isMaster(), "it is the master");
        checkEqual(0, status.getInSyncSlaveNums(), "replicas in sync");
        check(status.getHaConnectionInfo().isEmpty(), "connected replicas " + status.getHaConnectionInfo());
        check(status.getMasterCommitLogMaxOffset() > 0, "end of the log");
    }

    private static void topicsOfGroup(Kit kit) throws Exception {
        kit.createTopic();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        inbox.await(kit.sendAll(kit.producer(), "k", 3), COME_MS);
        var admin = kit.admin();
        Kit.until("the group's topics", COME_MS,
            () -> admin.queryTopicsByConsumer(kit.group + "_c").getTopicList().contains(kit.topic));
        var subscription = admin.querySubscription(kit.group + "_c", kit.topic);
        checkEqual("*", subscription.getSubString(), "subscription");
    }
}
