package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageExt;

/** Orderly push consumers: queues are locked at the broker, and what fails holds up its queue. */
final class OrderlyCases {
    private static final long COME_MS = 60_000;
    private static final long SETTLE_MS = 1_500;
    private static final int STREAMS = 4;

    private OrderlyCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("orderly-in-order", OrderlyCases::inOrder),
            Case.everywhere("orderly-suspend", OrderlyCases::suspend),
            Case.everywhere("orderly-takeover", OrderlyCases::takeover),
            Case.everywhere("orderly-dead-letter", OrderlyCases::deadLetter));
    }

    private static DefaultMQPushConsumer orderly(Kit kit, MessageListenerOrderly listener,
        java.util.function.Consumer<DefaultMQPushConsumer> setting) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(kit.group + "_c");
        consumer.setNamesrvAddr(kit.namesrv);
        consumer.setInstanceName(kit.instance());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(4);
        consumer.setConsumeThreadMax(4);
        setting.accept(consumer);
        consumer.subscribe(kit.topic, "*");
        consumer.registerMessageListener(listener);
        consumer.start();
        kit.onClose(consumer::shutdown);
        return consumer;
    }

    /** Messages "stream-number", each stream to a queue of its own. */
    private static Set<String> sendStreams(Kit kit, DefaultMQProducer producer, int from, int to) throws Exception {
        Set<String> keys = new HashSet<>();
        for (int i = from; i < to; i++) {
            for (int stream = 0; stream < STREAMS; stream++) {
                String key = stream + "-" + i;
                keys.add(key);
                producer.send(kit.message(key, "T"), (queues, message, which) -> queues.get((Integer) which), stream);
            }
        }
        return keys;
    }

    /** Every stream's numbers in the order in which they were consumed. */
    private static final class Streams {
        final Map<String, List<Integer>> seen = new HashMap<>();

        synchronized void add(MessageExt message) {
            String[] parts = message.getKeys().split("-");
            seen.computeIfAbsent(parts[0], k -> Collections.synchronizedList(new ArrayList<>()))
                .add(Integer.parseInt(parts[1]));
        }

        /** Ascending; a number may come again only right after itself or, with a takeover, from an earlier point on. */
        synchronized void checkAscending(int count) {
            checkEqual(STREAMS, seen.size(), "streams");
            seen.forEach((stream, numbers) -> {
                checkEqual(count, numbers.size(), "deliveries of stream " + stream);
                for (int i = 0; i < count; i++) {
                    checkEqual(i, numbers.get(i), "delivery " + i + " of stream " + stream);
                }
            });
        }
    }

    private static void inOrder(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Streams streams = new Streams();
        Inbox inbox = new Inbox();
        orderly(kit, (messages, context) -> {
            messages.forEach(streams::add);
            messages.forEach(inbox::add);
            return ConsumeOrderlyStatus.SUCCESS;
        }, c -> { });
        inbox.expectExactly(sendStreams(kit, producer, 0, 50), COME_MS, SETTLE_MS);
        streams.checkAscending(50);
    }

    /** The first delivery of each stream's third message fails: it comes again before what is behind it. */
    private static void suspend(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Streams streams = new Streams();
        Inbox done = new Inbox();
        Set<String> failedOnce = Collections.synchronizedSet(new HashSet<>());
        orderly(kit, (messages, context) -> {
            MessageExt message = messages.get(0);
            if (message.getKeys().endsWith("-2") && failedOnce.add(message.getKeys())) {
                context.setSuspendCurrentQueueTimeMillis(200);
                return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            }
            streams.add(message);
            done.add(message);
            return ConsumeOrderlyStatus.SUCCESS;
        }, c -> { });
        done.expectExactly(sendStreams(kit, producer, 0, 6), COME_MS, SETTLE_MS);
        checkEqual(STREAMS, failedOnce.size(), "suspended streams");
        streams.checkAscending(6);
    }

    /** A second consumer takes queues over, then leaves: each message once, in order, by whom it may. */
    private static void takeover(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Streams streams = new Streams();
        Inbox inbox = new Inbox();
        MessageListenerOrderly listener = (messages, context) -> {
            messages.forEach(streams::add);
            messages.forEach(inbox::add);
            return ConsumeOrderlyStatus.SUCCESS;
        };
        DefaultMQPushConsumer one = orderly(kit, listener, c -> { });
        Set<String> keys = sendStreams(kit, producer, 0, 10);
        inbox.await(keys, COME_MS);
        DefaultMQPushConsumer two = orderly(kit, listener, c -> { });
        Kit.await("queues are shared", COME_MS,
            () -> kit.queuesOf(one) == Kit.QUEUES / 2 && kit.queuesOf(two) == Kit.QUEUES / 2);
        keys.addAll(sendStreams(kit, producer, 10, 20));
        inbox.await(keys, COME_MS);
        two.shutdown();
        Kit.await("queues come back", COME_MS, () -> kit.queuesOf(one) == Kit.QUEUES);
        keys.addAll(sendStreams(kit, producer, 20, 30));
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
        streams.checkAscending(30);
    }

    /** Out of retries, the message goes to the dead letters and frees its queue. */
    private static void deadLetter(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox done = new Inbox();
        List<Integer> attempts = Collections.synchronizedList(new ArrayList<>());
        orderly(kit, (messages, context) -> {
            MessageExt message = messages.get(0);
            if (message.getKeys().equals("0-0")) {
                attempts.add(message.getReconsumeTimes());
                context.setSuspendCurrentQueueTimeMillis(100);
                return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            }
            done.add(message);
            return ConsumeOrderlyStatus.SUCCESS;
        }, c -> c.setMaxReconsumeTimes(2));
        Set<String> keys = sendStreams(kit, producer, 0, 2);
        keys.remove("0-0");
        done.expectExactly(keys, COME_MS, SETTLE_MS);
        check(attempts.size() >= 3, "attempts before the dead letter: " + attempts);
        String dead = "%DLQ%" + kit.group + "_c";
        kit.awaitRoute(dead, COME_MS);
        Inbox letters = new Inbox();
        kit.consumer(dead, "*", letters, (m, c) -> org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus
            .CONSUME_SUCCESS, c -> c.setConsumerGroup(kit.group + "_undertaker"));
        letters.expectExactly(Set.of("0-0"), COME_MS, SETTLE_MS);
    }
}
