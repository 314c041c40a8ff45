package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;

/** Push consumers of 5.x that fetch by POP: the broker shares the queues out, and says by which way to fetch. */
final class PopCases {
    private static final long COME_MS = 45_000;
    private static final long SETTLE_MS = 2_000;

    private PopCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("pop-consume", PopCases::consume),
            Case.everywhere("pop-reconsume", PopCases::retry),
            Case.everywhere("pop-two-consumers", PopCases::twoConsumers));
    }

    /** False for clients that do not know of it. */
    private static boolean letBrokerRebalance(DefaultMQPushConsumer consumer) {
        try {
            DefaultMQPushConsumer.class.getMethod("setClientRebalance", boolean.class).invoke(consumer, false);
            return true;
        } catch (ReflectiveOperationException e) {
            return false;
        }
    }

    private static void ask(Kit kit, int code, String body) throws Exception {
        try (Raw raw = new Raw(kit.brokerAddress())) {
            raw.call(code, body.getBytes(StandardCharsets.UTF_8)).expect(0);
        }
    }

    /** What mqadmin's updateSubGroup and setConsumeMode send; false when the client cannot pop. */
    private static boolean prepare(Kit kit) throws Exception {
        kit.createTopic();
        String group = kit.group + "_c";
        ask(kit, 200, "{\"groupName\":\"" + group + "\"}");
        ask(kit, 401, "{\"consumerGroup\":\"" + group + "\",\"mode\":\"POP\",\"popShareQueueNum\":8,\"topic\":\"" + kit.topic + "\"}");
        return letBrokerRebalance(new DefaultMQPushConsumer("known"));
    }

    private static Set<String> sendAll(Kit kit, DefaultMQProducer producer, int count) throws Exception {
        Set<String> keys = new HashSet<>();
        for (int i = 0; i < count; i++) {
            keys.add("k" + i);
            producer.send(kit.message("k" + i, "T"));
        }
        return keys;
    }

    private static void consume(Kit kit) throws Exception {
        if (!prepare(kit)) {
            return;
        }
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(kit.topic, "*", inbox, (m, c) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS, PopCases::letBrokerRebalance);
        Set<String> keys = sendAll(kit, producer, 100);
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
        for (String key : keys) {
            check(inbox.of(key).get(0).getProperty("POP_CK") != null, "popped");
        }
    }

    private static void retry(Kit kit) throws Exception {
        if (!prepare(kit)) {
            return;
        }
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(kit.topic, "*", inbox, (m, c) -> m.getReconsumeTimes() == 0 ? ConsumeConcurrentlyStatus.RECONSUME_LATER
            : ConsumeConcurrentlyStatus.CONSUME_SUCCESS, PopCases::letBrokerRebalance);
        Set<String> keys = sendAll(kit, producer, 3);
        Kit.await("each twice", COME_MS, () -> inbox.size() >= 2 * keys.size()); // Ten seconds, says the client.
        Thread.sleep(SETTLE_MS);
        for (String key : keys) {
            List<MessageExt> copies = inbox.of(key);
            checkEqual(2, copies.size(), "deliveries of " + key);
            checkEqual(1, copies.get(1).getReconsumeTimes(), "reconsumeTimes of the second");
            checkEqual(kit.topic, copies.get(1).getTopic(), "topic of the second");
            checkEqual("body of " + key, new String(copies.get(1).getBody(), StandardCharsets.UTF_8), "body of the second");
        }
    }

    private static void twoConsumers(Kit kit) throws Exception {
        if (!prepare(kit)) {
            return;
        }
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        for (int i = 0; i < 2; i++) {
            kit.consumer(kit.topic, "*", inbox, (m, c) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS, PopCases::letBrokerRebalance);
        }
        inbox.expectExactly(sendAll(kit, producer, 200), COME_MS, SETTLE_MS);
    }
}
