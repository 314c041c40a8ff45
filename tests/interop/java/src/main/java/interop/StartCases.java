package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.UtilAll;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Where consumers begin, broadcasting, and consumers that pull by themselves. */
final class StartCases {
    private static final long COME_MS = 45_000;
    private static final long SETTLE_MS = 2_000;

    private StartCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("start-from-where", StartCases::fromWhere),
            Case.everywhere("start-broadcast", StartCases::broadcast),
            Case.everywhere("start-lite-subscribe", StartCases::liteSubscribe),
            Case.everywhere("start-lite-assign", StartCases::liteAssign),
            Case.everywhere("start-offsets", StartCases::offsets));
    }

    private static Set<String> sendAll(Kit kit, DefaultMQProducer producer, String prefix, int count) throws Exception {
        Set<String> keys = new HashSet<>();
        for (int i = 0; i < count; i++) {
            keys.add(prefix + i);
            producer.send(kit.message(prefix + i, "T"));
        }
        return keys;
    }

    /** Nothing of a young topic is passed over, whatever a new group asks for: RocketMQ's rule. */
    private static void fromWhere(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Set<String> keys = sendAll(kit, producer, "k", 8);
        for (ConsumeFromWhere where : List.of(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET,
            ConsumeFromWhere.CONSUME_FROM_LAST_OFFSET, ConsumeFromWhere.CONSUME_FROM_TIMESTAMP)) {
            Inbox inbox = new Inbox();
            kit.consumer(kit.topic, "*", inbox, (m, c) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS, c -> {
                c.setConsumerGroup(kit.group + "_" + where.name());
                c.setConsumeFromWhere(where);
                c.setConsumeTimestamp(UtilAll.timeMillisToHumanString3(System.currentTimeMillis() - 60_000));
            });
            inbox.expectExactly(keys, COME_MS, SETTLE_MS);
        }
    }

    /** The package of MessageModel is another one in 5.x. */
    @SuppressWarnings({"unchecked", "rawtypes"})
    private static void makeBroadcasting(DefaultMQPushConsumer consumer) {
        try {
            for (Method method : DefaultMQPushConsumer.class.getMethods()) {
                if (method.getName().equals("setMessageModel")) {
                    method.invoke(consumer, Enum.valueOf((Class) method.getParameterTypes()[0], "BROADCASTING"));
                }
            }
        } catch (ReflectiveOperationException e) {
            throw new AssertionError(e);
        }
    }

    /** Everybody gets everything; what fails is not tried again. */
    private static void broadcast(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        List<Inbox> inboxes = List.of(new Inbox(), new Inbox());
        for (Inbox inbox : inboxes) {
            kit.consumer(kit.topic, "*", inbox, (m, c) -> "k3".equals(m.getKeys()) ? ConsumeConcurrentlyStatus.RECONSUME_LATER
                : ConsumeConcurrentlyStatus.CONSUME_SUCCESS, StartCases::makeBroadcasting);
        }
        Set<String> first = sendAll(kit, producer, "first", 1);
        for (Inbox inbox : inboxes) {
            inbox.await(first, COME_MS);
        }
        Set<String> keys = sendAll(kit, producer, "k", 10);
        keys.addAll(first);
        for (Inbox inbox : inboxes) {
            inbox.expectExactly(keys, COME_MS, SETTLE_MS);
        }
    }

    private static DefaultLitePullConsumer lite(Kit kit) {
        DefaultLitePullConsumer consumer = new DefaultLitePullConsumer(kit.group + "_lite");
        consumer.setNamesrvAddr(kit.namesrv);
        consumer.setInstanceName(kit.group + System.nanoTime());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setAutoCommit(false);
        kit.onClose(consumer::shutdown);
        return consumer;
    }

    private static Set<String> poll(DefaultLitePullConsumer consumer, int count, long millis) {
        Set<String> keys = new HashSet<>();
        long end = System.nanoTime() + millis * 1_000_000;
        while (keys.size() < count && System.nanoTime() < end) {
            for (MessageExt message : consumer.poll(500)) {
                check(keys.add(message.getKeys()), message.getKeys() + " came twice");
            }
        }
        return keys;
    }

    private static void liteSubscribe(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Set<String> keys = sendAll(kit, producer, "k", 20);
        DefaultLitePullConsumer first = lite(kit);
        first.subscribe(kit.topic, "*");
        first.start();
        checkEqual(keys, poll(first, 20, COME_MS), "what came first");
        first.commitSync();
        Thread.sleep(1_000);
        first.shutdown();
        Set<String> more = sendAll(kit, producer, "l", 5);
        DefaultLitePullConsumer second = lite(kit);
        second.subscribe(kit.topic, "*");
        second.start();
        checkEqual(more, poll(second, 5, COME_MS), "what came after the restart");
        checkEqual(Set.of(), poll(second, 1, SETTLE_MS), "what came besides");
    }

    private static void liteAssign(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        MessageQueue queue = producer.fetchPublishMessageQueues(kit.topic).get(0);
        for (int i = 0; i < 10; i++) {
            producer.send(kit.message("k" + i, "T"), queue);
        }
        DefaultLitePullConsumer consumer = lite(kit);
        consumer.start();
        Collection<MessageQueue> queues = new ArrayList<>(consumer.fetchMessageQueues(kit.topic));
        checkEqual(Kit.QUEUES, queues.size(), "queues");
        consumer.assign(List.of(queue));
        // A seek while the client's first pull is under way may be lost: the answer to the old one is taken for the new one's.
        checkEqual(10, poll(consumer, 10, COME_MS).size(), "from the first offset on");
        consumer.seek(queue, 7);
        checkEqual(Set.of("k7", "k8", "k9"), poll(consumer, 3, COME_MS), "from offset 7 on");
        consumer.seekToBegin(queue);
        checkEqual(10, poll(consumer, 10, COME_MS).size(), "from the beginning");
        consumer.seekToEnd(queue);
        checkEqual(Set.of(), poll(consumer, 1, SETTLE_MS), "behind the end");
        producer.send(kit.message("k10", "T"), queue);
        checkEqual(Set.of("k10"), poll(consumer, 1, COME_MS), "what came at the end");
        checkEqual(0L, consumer.offsetForTimestamp(queue, System.currentTimeMillis() - 3600_000), "offset an hour ago");
    }

    /** What a client is told of offsets, known and unknown. */
    private static void offsets(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        MessageQueue queue = producer.fetchPublishMessageQueues(kit.topic).get(0);
        List<SendResult> sent = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            sent.add(producer.send(kit.message("k" + i, "T"), queue));
            Thread.sleep(20);
        }
        String id = "" + queue.getQueueId();
        String group = kit.group + "_none";
        try (Raw raw = new Raw(kit.brokerAddress())) {
            checkEqual("0", raw.call(14, "consumerGroup", group, "topic", kit.topic, "queueId", id).expect(0).fields.get("offset"),
                "offset of a new group on a young queue");
            raw.call(14, "consumerGroup", group, "topic", kit.topic, "queueId", id, "setZeroIfNotFound", "false").expect(22);
            raw.call(14, "consumerGroup", group, "topic", "no" + kit.topic, "queueId", "0").expect(22);
            raw.call(15, "consumerGroup", group, "topic", kit.topic, "queueId", id, "commitOffset", "1").expect(26);
            checkEqual("3", raw.call(30, "topic", kit.topic, "queueId", id).expect(0).fields.get("offset"), "max offset");
            checkEqual("0", raw.call(30, "topic", "no" + kit.topic, "queueId", "0").expect(0).fields.get("offset"), "max of nothing");
            checkEqual("-1", raw.call(32, "topic", "no" + kit.topic, "queueId", "0").expect(0).fields.get("timestamp"), "time of nothing");
            pull(raw, kit, group, id, "3").expect(19);
            checkEqual("3", pull(raw, kit, group, id, "9").expect(21).fields.get("nextBeginOffset"), "corrected from beyond");
            checkEqual("0", pull(raw, kit, group, id, "-1").expect(21).fields.get("nextBeginOffset"), "corrected from below");
            checkEqual("3", pull(raw, kit, group, id, "0").expect(0).fields.get("nextBeginOffset"), "after all");
            raw.call(15, "consumerGroup", group, "topic", "no" + kit.topic, "queueId", "0", "commitOffset", "1").expect(17);
            raw.call(15, "consumerGroup", group, "topic", kit.topic, "queueId", id, "commitOffset", "2").expect(0);
            checkEqual("2", raw.call(14, "consumerGroup", group, "topic", kit.topic, "queueId", id).expect(0).fields.get("offset"),
                "offset of the group");
        }
        MessageExt middle = producer.viewMessage(kit.topic, sent.get(1).getOffsetMsgId());
        checkEqual(1L, producer.searchOffset(queue, middle.getStoreTimestamp()), "offset at a time");
    }

    private static Raw.Answer pull(Raw raw, Kit kit, String group, String queue, String offset) throws Exception {
        return raw.call(11, "consumerGroup", group, "topic", kit.topic, "queueId", queue, "queueOffset", offset, "maxMsgNums", "32",
            "sysFlag", "4", "commitOffset", "0", "suspendTimeoutMillis", "0", "subscription", "*", "subVersion", "0",
            "expressionType", "TAG");
    }
}
