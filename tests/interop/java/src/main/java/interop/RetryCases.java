package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.util.List;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.MQVersion;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** What a message shows after each failure, and what becomes of it in the end. */
final class RetryCases {
    private static final long COME_MS = 45_000;
    private static final long SETTLE_MS = 2_000;

    private RetryCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("retry-properties", RetryCases::properties),
            Case.everywhere("retry-transaction", RetryCases::transaction),
            Case.everywhere("retry-to-dead-at-once", RetryCases::toDeadAtOnce),
            Case.everywhere("retry-orderly-dead", RetryCases::orderlyDead),
            Case.everywhere("retry-redrive", RetryCases::redrive));
    }

    private static Inbox deadLettersOf(Kit kit) throws Exception {
        String dead = "%DLQ%" + kit.group + "_c";
        kit.awaitRoute(dead, COME_MS);
        Inbox letters = new Inbox();
        kit.consumer(dead, "*", letters, (m, c) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS,
            c -> c.setConsumerGroup(kit.group + "_undertaker"));
        return letters;
    }

    private static void properties(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(kit.topic, "*", inbox, (message, context) -> {
            context.setDelayLevelWhenNextConsume(1);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        }, c -> c.setMaxReconsumeTimes(2));
        SendResult sent = producer.send(kit.message("k", "T"));
        Inbox letters = deadLettersOf(kit);
        letters.expectExactly(Set.of("k"), COME_MS, SETTLE_MS);
        List<MessageExt> copies = inbox.of("k");
        checkEqual(3, copies.size(), "deliveries");
        String retryTopic = "%RETRY%" + kit.group + "_c";
        for (int i = 1; i < 3; i++) {
            MessageExt copy = copies.get(i);
            checkEqual(i, copy.getReconsumeTimes(), "reconsumeTimes");
            checkEqual(kit.topic, copy.getTopic(), "topic as the consumer sees it");
            checkEqual(sent.getOffsetMsgId(), copy.getProperty("ORIGIN_MESSAGE_ID"), "ORIGIN_MESSAGE_ID");
            checkEqual(retryTopic, copy.getProperty("REAL_TOPIC"), "REAL_TOPIC");
            checkEqual("1", copy.getProperty("DELAY"), "DELAY");
            checkEqual("grün", copy.getUserProperty("colour"), "a property of the user");
            check(copy.getStoreTimestamp() - copies.get(i - 1).getStoreTimestamp() >= 950, "retried without a delay");
        }
        MessageExt dead = letters.of("k").get(0);
        checkEqual(3, dead.getReconsumeTimes(), "reconsumeTimes of the dead letter");
        checkEqual(kit.topic, dead.getProperty("RETRY_TOPIC"), "RETRY_TOPIC of the dead letter");
        checkEqual(sent.getOffsetMsgId(), dead.getProperty("ORIGIN_MESSAGE_ID"), "ORIGIN_MESSAGE_ID of the dead letter");
        checkEqual("0", dead.getProperty("DELAY"), "DELAY of the dead letter");
        checkEqual(sent.getMsgId(), dead.getMsgId(), "message id of the dead letter");
    }

    /** A message of a transaction is retried like any other. */
    private static void transaction(Kit kit) throws Exception {
        kit.createTopic();
        Inbox inbox = new Inbox();
        kit.consumer(kit.topic, "*", inbox, (message, context) -> {
            context.setDelayLevelWhenNextConsume(1);
            return message.getReconsumeTimes() == 0 ? ConsumeConcurrentlyStatus.RECONSUME_LATER
                : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        }, c -> { });
        TransactionMQProducer producer = kit.transactional(new Plan());
        producer.sendMessageInTransaction(kit.planned("k", Plan.COMMIT), null);
        Kit.await("twice", COME_MS, () -> inbox.of("k").size() >= 2);
        Thread.sleep(SETTLE_MS);
        checkEqual(2, inbox.of("k").size(), "deliveries");
        checkEqual(1, inbox.of("k").get(1).getReconsumeTimes(), "reconsumeTimes");
        checkEqual(inbox.of("k").get(0).getMsgId(), inbox.of("k").get(1).getMsgId(), "message id");
    }

    private static void toDeadAtOnce(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(kit.topic, "*", inbox, (message, context) -> {
            context.setDelayLevelWhenNextConsume(-1);
            return ConsumeConcurrentlyStatus.RECONSUME_LATER;
        }, c -> { });
        producer.send(kit.message("k", "T"));
        Inbox letters = deadLettersOf(kit);
        letters.expectExactly(Set.of("k"), COME_MS, SETTLE_MS);
        checkEqual(1, inbox.of("k").size(), "deliveries");
        checkEqual(1, letters.of("k").get(0).getReconsumeTimes(), "reconsumeTimes of the dead letter");
    }

    /** A consumer in order tries again by itself, then gives up what it cannot consume, and goes on with the next. */
    private static void orderlyDead(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        MessageQueue queue = producer.fetchPublishMessageQueues(kit.topic).get(0);
        Inbox inbox = new Inbox();
        List<Integer> attempts = new CopyOnWriteArrayList<>();
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(kit.group + "_c");
        consumer.setNamesrvAddr(kit.namesrv);
        consumer.setInstanceName(kit.group + "_orderly");
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setMaxReconsumeTimes(2);
        consumer.setSuspendCurrentQueueTimeMillis(200);
        consumer.subscribe(kit.topic, "*");
        consumer.registerMessageListener((MessageListenerOrderly) (messages, context) -> {
            if ("bad".equals(messages.get(0).getKeys())) {
                attempts.add(messages.get(0).getReconsumeTimes());
                return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            }
            inbox.add(messages.get(0));
            return ConsumeOrderlyStatus.SUCCESS;
        });
        consumer.start();
        kit.onClose(consumer::shutdown);
        SendResult sent = producer.send(kit.message("bad", "T"), queue);
        producer.send(kit.message("next", "T"), queue);
        inbox.expectExactly(Set.of("next"), COME_MS, SETTLE_MS);
        checkEqual(List.of(0, 1, 2), attempts, "attempts");
        Inbox letters = deadLettersOf(kit);
        letters.expectExactly(Set.of("bad"), COME_MS, SETTLE_MS);
        MessageExt dead = letters.of("bad").get(0);
        checkEqual(MQVersion.CURRENT_VERSION < MQVersion.Version.V5_0_0.ordinal() ? 2 : 3, dead.getReconsumeTimes(), "reconsumeTimes of the dead letter");
        checkEqual(kit.topic, dead.getProperty("RETRY_TOPIC"), "RETRY_TOPIC of the dead letter");
        checkEqual(sent.getMsgId(), dead.getProperty("ORIGIN_MESSAGE_ID"), "ORIGIN_MESSAGE_ID: here the client's own id");
        checkEqual("-1", dead.getProperty("DELAY"), "DELAY of the dead letter");
    }

    /** As operators do it: the dead letter's body and properties, sent to the topic that it came from. */
    private static void redrive(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(kit.topic, "*", inbox, (message, context) -> {
            context.setDelayLevelWhenNextConsume(-1);
            return message.getProperty("DLQ_ORIGIN_MESSAGE_ID") == null ? ConsumeConcurrentlyStatus.RECONSUME_LATER
                : ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        }, c -> { });
        producer.send(kit.message("k", "T"));
        Inbox letters = deadLettersOf(kit);
        letters.await(Set.of("k"), COME_MS);
        MessageExt dead = letters.of("k").get(0);
        Message again = new Message(dead.getProperty("RETRY_TOPIC"), dead.getTags(), dead.getKeys(), dead.getBody());
        dead.getProperties().forEach((name, value) ->
            MessageAccessor.putProperty(again, name, value));
        MessageAccessor.putProperty(again, "DLQ_ORIGIN_MESSAGE_ID", dead.getMsgId());
        producer.send(again);
        Kit.await("the second life", COME_MS, () -> inbox.of("k").size() >= 2);
        Thread.sleep(SETTLE_MS);
        checkEqual(2, inbox.of("k").size(), "deliveries");
        MessageExt second = inbox.of("k").get(1);
        checkEqual(0, second.getReconsumeTimes(), "reconsumeTimes of the second life");
        checkEqual("body of k", new String(second.getBody()), "body");
        checkEqual(1, letters.of("k").size(), "dead letters");
    }
}
