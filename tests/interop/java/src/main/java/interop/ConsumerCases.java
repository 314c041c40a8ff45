package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;

/** Push consumers: filters, retries, dead letters, sharing, offsets. */
final class ConsumerCases {
    /** A 5.x client may start with a subscription version that its broker has not heard of: deaf until its next heartbeat. */
    private static final long COME_MS = 45_000;
    private static final long SETTLE_MS = 2_000;

    private ConsumerCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("consume-tag-filter", ConsumerCases::tagFilter),
            Case.everywhere("consume-retry", ConsumerCases::retry),
            Case.everywhere("consume-dead-letter", ConsumerCases::deadLetter),
            Case.everywhere("consume-rebalance", ConsumerCases::rebalance),
            Case.everywhere("consume-restart", ConsumerCases::restart),
            Case.everywhere("consume-two-groups", ConsumerCases::twoGroups));
    }

    private static void tagFilter(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(kit.topic, "TagA || TagB", inbox, (m, c) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS, c -> { });
        Set<String> wanted = new HashSet<>();
        for (int i = 0; i < 40; i++) {
            String tag = List.of("TagA", "TagB", "TagC", "").get(i % 4);
            if (i % 4 < 2) {
                wanted.add("k" + i);
            }
            producer.send(kit.message("k" + i, tag));
        }
        inbox.expectExactly(wanted, COME_MS, SETTLE_MS);
    }

    private static void retry(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(kit.topic, "*", inbox, (message, context) -> {
            context.setDelayLevelWhenNextConsume(1); // One second.
            return message.getReconsumeTimes() == 0 ? ConsumeConcurrentlyStatus.RECONSUME_LATER
                : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        }, c -> { });
        Set<String> keys = kit.sendAll(producer, "k", 5);
        Kit.await("each twice", COME_MS, () -> inbox.size() >= 2 * keys.size());
        Thread.sleep(SETTLE_MS);
        for (String key : keys) {
            List<MessageExt> copies = inbox.of(key);
            checkEqual(2, copies.size(), "deliveries of " + key);
            checkEqual(1, copies.get(1).getReconsumeTimes(), "reconsumeTimes of the second");
            checkEqual(kit.topic, copies.get(1).getTopic(), "topic of the second");
            checkEqual(copies.get(0).getMsgId(), copies.get(1).getMsgId(), "message id of the second");
            checkEqual("body of " + key, new String(copies.get(1).getBody()), "body of the second");
        }
    }

    private static void deadLetter(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(kit.topic, "*", inbox, (message, context) -> {
            context.setDelayLevelWhenNextConsume(1);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        }, c -> c.setMaxReconsumeTimes(2));
        Set<String> keys = kit.sendAll(producer, "k", 2);
        String dead = "%DLQ%" + kit.group + "_c";
        kit.awaitRoute(dead, COME_MS);
        Inbox letters = new Inbox();
        kit.consumer(dead, "*", letters, (m, c) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS,
            c -> c.setConsumerGroup(kit.group + "_undertaker"));
        letters.expectExactly(keys, COME_MS, SETTLE_MS);
        for (String key : keys) {
            checkEqual(3, inbox.of(key).size(), "deliveries before the dead letter");
            checkEqual(kit.topic, letters.of(key).get(0).getProperty("RETRY_TOPIC"), "original topic of the dead letter");
        }
    }

    private static void rebalance(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inboxOne = new Inbox();
        DefaultMQPushConsumer one = kit.consumer(inboxOne);
        Kit.await("one alone has all queues", COME_MS, () -> kit.queuesOf(one) == Kit.QUEUES);
        Inbox inboxTwo = new Inbox();
        DefaultMQPushConsumer two = kit.consumer(inboxTwo);
        // The notification brings it about at once; the client's own round comes after 20 s only.
        Kit.await("shared after a join", 10_000, () -> kit.queuesOf(one) == Kit.QUEUES / 2 && kit.queuesOf(two) == Kit.QUEUES / 2);
        Set<String> keys = kit.sendAll(producer, "k", 100);
        Kit.await("all came to one of the two", COME_MS, () -> inboxOne.size() + inboxTwo.size() >= keys.size());
        check(inboxOne.size() > 0 && inboxTwo.size() > 0, "shares " + inboxOne.size() + " and " + inboxTwo.size());
        two.shutdown();
        Kit.await("all back after a leave", 10_000, () -> kit.queuesOf(one) == Kit.QUEUES);
        Set<String> more = kit.sendAll(producer, "l", 20);
        inboxOne.await(more, COME_MS);
    }

    private static void restart(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox before = new Inbox();
        DefaultMQPushConsumer first = kit.consumer(before);
        before.expectExactly(kit.sendAll(producer, "k", 20), COME_MS, SETTLE_MS);
        first.shutdown();
        Set<String> keys = kit.sendAll(producer, "l", 5);
        Inbox after = new Inbox();
        kit.consumer(after);
        after.expectExactly(keys, COME_MS, SETTLE_MS);
    }

    private static void twoGroups(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox one = new Inbox();
        Inbox two = new Inbox();
        kit.consumer(one);
        kit.consumer(kit.topic, "*", two, (m, c) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS,
            c -> c.setConsumerGroup(kit.group + "_other"));
        Set<String> keys = kit.sendAll(producer, "k", 20);
        one.expectExactly(keys, COME_MS, SETTLE_MS);
        two.expectExactly(keys, COME_MS, SETTLE_MS);
    }
}
