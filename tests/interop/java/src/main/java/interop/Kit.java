package interop;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
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
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** What one case works with: names of its own, clients that are shut down with it, and waiting. */
public final class Kit implements AutoCloseable {
    public static final int QUEUES = 4;
    private static final int SEND_TIMEOUT_MS = 10_000;
    private static final long ADMIN_TIMEOUT_MS = 15_000;
    private static final long EVERYWHERE_MS = 60_000;
    private static final AtomicInteger SEQUENCE = new AtomicInteger();
    private static final String RUN = Long.toString(System.currentTimeMillis() / 1000 % 1_000_000, 36)
        + Long.toString(ProcessHandle.current().pid(), 36);

    public final String namesrv;
    public final boolean escrow;
    public final String topic;
    public final String group;
    private final Deque<Runnable> closers = new ArrayDeque<>();

    Kit(String namesrv, boolean escrow, String caseName) {
        this.namesrv = namesrv;
        this.escrow = escrow;
        this.topic = "T_" + caseName + "_" + RUN;
        this.group = "G_" + caseName + "_" + RUN;
    }

    public interface Consume {
        ConsumeConcurrentlyStatus one(org.apache.rocketmq.common.message.MessageExt message,
            ConsumeConcurrentlyContext context);
    }

    public String brokerAddress() throws Exception {
        return Raw.brokerAddress(namesrv);
    }

    /** Creates the case's topic on the broker and waits for its route, so that consumers find it at their start. */
    public void createTopic() throws Exception {
        createTopic(topic);
    }

    public void createTopic(String name) throws Exception {
        try (Raw raw = new Raw(brokerAddress())) {
            raw.call(17, "topic", name, "defaultTopic", "TBW102", "readQueueNums", "" + QUEUES, "writeQueueNums",
                "" + QUEUES, "perm", "6", "topicFilterType", "SINGLE_TAG", "topicSysFlag", "0", "order", "false")
                .expect(0);
        }
        awaitRoute(name);
    }

    /** The case's topic on every master that the name server knows; returns their names and addresses. */
    public SortedMap<String, String> createTopicEverywhere() throws Exception {
        DefaultMQAdminExt admin = admin();
        SortedMap<String, String> masters = new TreeMap<>();
        until("brokers", EVERYWHERE_MS, () -> {
            admin.examineBrokerClusterInfo().getBrokerAddrTable().forEach((name, data) ->
                masters.put(name, data.getBrokerAddrs().get(0L)));
            return !masters.isEmpty();
        });
        for (String address : masters.values()) {
            admin.createAndUpdateTopicConfig(address, new TopicConfig(topic, QUEUES, QUEUES, 6));
        }
        until("a route with all of them", EVERYWHERE_MS,
            () -> admin.examineTopicRouteInfo(topic).getBrokerDatas().size() == masters.size());
        return masters;
    }

    public void awaitRoute(String name) throws Exception {
        awaitRoute(name, 10_000);
    }

    public void awaitRoute(String name, long millis) throws Exception {
        await("route of " + name, millis, () -> {
            try (Raw raw = new Raw(namesrv)) {
                return raw.call(105, "topic", name).code == 0;
            } catch (Exception e) {
                return false;
            }
        });
    }

    public static void await(String what, long millis, BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + millis * 1_000_000;
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) {
                throw new AssertionError(what + ": not within " + millis + " ms");
            }
            Thread.sleep(50);
        }
    }

    public interface Trial {
        boolean holds() throws Exception;
    }

    /** Until it holds; what it throws meanwhile counts as not yet. */
    public static void until(String what, long millis, Trial trial) throws Exception {
        Exception[] last = new Exception[1];
        try {
            await(what, millis, () -> {
                try {
                    last[0] = null;
                    return trial.holds();
                } catch (Exception e) {
                    last[0] = e;
                    return false;
                }
            });
        } catch (AssertionError e) {
            throw new AssertionError(e.getMessage() + (last[0] == null ? "" : ", last: " + last[0]), last[0]);
        }
    }

    public static void check(boolean holds, String why) {
        if (!holds) {
            throw new AssertionError(why);
        }
    }

    public static void checkEqual(Object expected, Object actual, String what) {
        check(expected == null ? actual == null : expected.equals(actual), what + ": expected " + expected + ", got " + actual);
    }

    public Message message(String key, String tag) {
        Message message = new Message(topic, tag, key, ("body of " + key).getBytes(StandardCharsets.UTF_8));
        message.putUserProperty("colour", "grün");
        return message;
    }

    public Message planned(String key, String plan) {
        Message message = message(key, "T");
        message.putUserProperty(Plan.PROPERTY, plan);
        return message;
    }

    public DefaultMQProducer producer() throws Exception {
        return start(new DefaultMQProducer(group + "_p"));
    }

    public TransactionMQProducer transactional(TransactionListener listener) throws Exception {
        return transactional(listener, p -> p);
    }

    public TransactionMQProducer transactional(TransactionListener listener,
        Function<TransactionMQProducer, TransactionMQProducer> setting) throws Exception {
        TransactionMQProducer producer = setting.apply(new TransactionMQProducer(group + "_tx"));
        producer.setTransactionListener(listener);
        return start(producer);
    }

    /** Starts a producer that has been set up, and ends it with the case. */
    public <P extends DefaultMQProducer> P start(P producer) throws Exception {
        producer.setNamesrvAddr(namesrv);
        producer.setInstanceName(group + SEQUENCE.incrementAndGet());
        producer.setSendMsgTimeout(SEND_TIMEOUT_MS);
        producer.start();
        closers.push(producer::shutdown);
        return producer;
    }

    public DefaultMQPushConsumer consumer(Inbox inbox) throws Exception {
        return consumer(topic, "*", inbox, (message, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS, c -> { });
    }

    public DefaultMQPushConsumer consumer(String from, String expression, Inbox inbox, Consume consume,
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
    public long queuesOf(DefaultMQPushConsumer consumer) {
        return consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet().stream()
            .filter(queue -> queue.getTopic().equals(topic)).count();
    }

    /** For clients that the kit has no function for: never shared, since clients of one name share connections. */
    public String instance() {
        return group + SEQUENCE.incrementAndGet();
    }

    public void onClose(Runnable closer) {
        closers.push(closer);
    }

    public DefaultMQAdminExt admin() throws Exception {
        DefaultMQAdminExt admin = new DefaultMQAdminExt(group + "_admin", ADMIN_TIMEOUT_MS);
        admin.setNamesrvAddr(namesrv);
        admin.setInstanceName(instance());
        admin.start();
        closers.push(admin::shutdown);
        return admin;
    }

    /** Sends {@code count} messages and returns their keys. */
    public Set<String> sendAll(DefaultMQProducer producer, String prefix, int count) throws Exception {
        Set<String> keys = new HashSet<>();
        for (int i = 0; i < count; i++) {
            keys.add(prefix + i);
            producer.send(message(prefix + i, "T"));
        }
        return keys;
    }

    @Override
    public void close() {
        while (!closers.isEmpty()) {
            closers.pop().run(); // A second shutdown of a client is a no-op.
        }
    }
}
