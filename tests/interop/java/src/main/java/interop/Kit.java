package interop;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/** What one case works with: names of its own, clients that are shut down with it, and waiting. */
final class Kit implements AutoCloseable {
    static final int QUEUES = 4;
    private static final int SEND_TIMEOUT_MS = 10_000;
    private static final AtomicInteger SEQUENCE = new AtomicInteger();
    private static final String RUN = Long.toString(System.currentTimeMillis() / 1000 % 1_000_000, 36)
        + Long.toString(ProcessHandle.current().pid(), 36);

    final String namesrv;
    final boolean escrow;
    final String topic;
    final String group;
    private final Deque<Runnable> closers = new ArrayDeque<>();

    Kit(String namesrv, boolean escrow, String caseName) {
        this.namesrv = namesrv;
        this.escrow = escrow;
        this.topic = "T_" + caseName + "_" + RUN;
        this.group = "G_" + caseName + "_" + RUN;
    }

    interface Consume {
        ConsumeConcurrentlyStatus one(org.apache.rocketmq.common.message.MessageExt message,
            ConsumeConcurrentlyContext context);
    }

    String brokerAddress() throws Exception {
        return Raw.brokerAddress(namesrv);
    }

    /** Creates the case's topic on the broker and waits for its route, so that consumers find it at their start. */
    void createTopic() throws Exception {
        createTopic(topic);
    }

    void createTopic(String name) throws Exception {
        try (Raw raw = new Raw(brokerAddress())) {
            raw.call(17, "topic", name, "defaultTopic", "TBW102", "readQueueNums", "" + QUEUES, "writeQueueNums",
                "" + QUEUES, "perm", "6", "topicFilterType", "SINGLE_TAG", "topicSysFlag", "0", "order", "false")
                .expect(0);
        }
        awaitRoute(name);
    }

    void awaitRoute(String name) throws Exception {
        awaitRoute(name, 10_000);
    }

    void awaitRoute(String name, long millis) throws Exception {
        await("route of " + name, millis, () -> {
            try (Raw raw = new Raw(namesrv)) {
                return raw.call(105, "topic", name).code == 0;
            } catch (Exception e) {
                return false;
            }
        });
    }

    static void await(String what, long millis, BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + millis * 1_000_000;
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) {
                throw new AssertionError(what + ": not within " + millis + " ms");
            }
            Thread.sleep(50);
        }
    }

    static void check(boolean holds, String why) {
        if (!holds) {
            throw new AssertionError(why);
        }
    }

    static void checkEqual(Object expected, Object actual, String what) {
        check(expected == null ? actual == null : expected.equals(actual), what + ": expected " + expected + ", got " + actual);
    }

    Message message(String key, String tag) {
        Message message = new Message(topic, tag, key, ("body of " + key).getBytes(StandardCharsets.UTF_8));
        message.putUserProperty("colour", "grün");
        return message;
    }

    /** Sends so many messages with keys prefix0, prefix1, ...; returns the keys. */
    Set<String> sendAll(DefaultMQProducer producer, String prefix, int count) throws Exception {
        Set<String> keys = new HashSet<>();
        for (int i = 0; i < count; i++) {
            keys.add(prefix + i);
            producer.send(message(prefix + i, "T"));
        }
        return keys;
    }

    Message planned(String key, String plan) {
        Message message = message(key, "T");
        message.putUserProperty(Plan.PROPERTY, plan);
        return message;
    }

    DefaultMQProducer producer() throws Exception {
        return start(new DefaultMQProducer(group + "_p"));
    }

    TransactionMQProducer transactional(TransactionListener listener) throws Exception {
        return transactional(listener, p -> p);
    }

    TransactionMQProducer transactional(TransactionListener listener,
        Function<TransactionMQProducer, TransactionMQProducer> setting) throws Exception {
        TransactionMQProducer producer = setting.apply(new TransactionMQProducer(group + "_tx"));
        producer.setTransactionListener(listener);
        return start(producer);
    }

    private <P extends DefaultMQProducer> P start(P producer) throws Exception {
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName(group + SEQUENCE.incrementAndGet());
        producer.setSendMsgTimeout(SEND_TIMEOUT_MS);
        producer.start();
        closers.push(producer::shutdown);
        return producer;
    }

    DefaultMQPushConsumer consumer(Inbox inbox) throws Exception {
        return consumer(topic, "*", inbox, (message, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS, c -> { });
    }

    DefaultMQPushConsumer consumer(String from, String expression, Inbox inbox, Consume consume,
        java.util.function.Consumer<DefaultMQPushConsumer> setting) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(group + "_c");
        consumer.setNamesrvAddr(namesrv);
        consumer.setInstanceName(group + SEQUENCE.incrementAndGet());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.setConsumeThreadMin(4);
        consumer.setConsumeThreadMax(4);
        setting.accept(consumer);
        consumer.subscribe(from, expression);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            inbox.add(messages.get(0));
            return consume.one(messages.get(0), context);
        });
        consumer.start();
        closers.push(consumer::shutdown);
        return consumer;
    }

    /** Queues that the client's rebalance gave to this consumer, its retry queue not counted. */
    long queuesOf(DefaultMQPushConsumer consumer) {
        return consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet().stream()
            .filter(queue -> queue.getTopic().equals(topic)).count();
    }

    /** Runs when the case is over. */
    void onClose(Runnable closer) {
        closers.push(closer);
    }

    @Override
    public void close() {
        while (!closers.isEmpty()) {
            closers.pop().run(); // A second shutdown of a client is a no-op.
        }
    }
}
