package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Looking messages up; traces. */
final class QueryCases {
    private static final long COME_MS = 45_000;

    private QueryCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("query-by-key", QueryCases::byKey),
            Case.everywhere("query-by-key-time", QueryCases::byKeyAndTime),
            Case.everywhere("query-by-unique-key", QueryCases::byUniqueKey),
            Case.everywhere("query-by-id", QueryCases::byId),
            Case.everywhere("trace-topic", QueryCases::trace));
    }

    interface Query {
        QueryResult run() throws Exception;
    }

    /** The broker's index follows its log. */
    private static QueryResult until(int count, Query query) throws Exception {
        QueryResult[] last = new QueryResult[1];
        Kit.await(count + " messages in the index", COME_MS, () -> {
            try {
                last[0] = query.run();
                return last[0].getMessageList().size() >= count;
            } catch (org.apache.rocketmq.client.exception.MQClientException e) {
                return false; // Nothing found is an exception.
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
        checkEqual(count, last[0].getMessageList().size(), "messages found");
        return last[0];
    }

    private static void byKey(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        for (int i = 0; i < 9; i++) {
            Message message = kit.message("order-" + i % 3, "T");
            message.setKeys("order-" + i % 3 + " all-of-them");
            producer.send(message);
        }
        QueryResult found = until(3, () -> producer.queryMessage(kit.topic, "order-1", 32, 0, Long.MAX_VALUE));
        for (MessageExt message : found.getMessageList()) {
            checkEqual("order-1 all-of-them", message.getKeys(), "keys of what was found");
            checkEqual("body of order-1", new String(message.getBody()), "body of what was found");
        }
        until(9, () -> producer.queryMessage(kit.topic, "all-of-them", 32, 0, Long.MAX_VALUE));
        until(4, () -> producer.queryMessage(kit.topic, "all-of-them", 4, 0, Long.MAX_VALUE));
    }

    private static void byKeyAndTime(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        producer.send(kit.message("k", "T"));
        QueryResult first = until(1, () -> producer.queryMessage(kit.topic, "k", 32, 0, Long.MAX_VALUE));
        long at = first.getMessageList().get(0).getStoreTimestamp();
        until(1, () -> producer.queryMessage(kit.topic, "k", 32, at - 60_000, at + 60_000));
        try {
            QueryResult none = producer.queryMessage(kit.topic, "k", 32, at - 7_200_000, at - 3_600_000);
            checkEqual(0, none.getMessageList().size(), "messages of an hour ago");
        } catch (org.apache.rocketmq.client.exception.MQClientException e) {
            check(e.getMessage().contains("query message by key"), "the refusal says " + e.getMessage());
        }
    }

    private static void byUniqueKey(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        kit.sendAll(producer, "other", 5);
        SendResult sent = producer.send(kit.message("k", "T"));
        MessageExt[] found = new MessageExt[1];
        Kit.await("the message by its unique key", COME_MS, () -> {
            try {
                found[0] = producer.viewMessage(kit.topic, sent.getMsgId());
                return found[0] != null;
            } catch (Exception e) {
                return false;
            }
        });
        checkEqual("k", found[0].getKeys(), "key of what was found");
        checkEqual(sent.getQueueOffset(), found[0].getQueueOffset(), "queue offset of what was found");
    }

    private static void byId(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        SendResult sent = producer.send(kit.message("k", "T"));
        var admin = kit.admin();
        MessageExt found = admin.viewMessage(kit.topic, sent.getOffsetMsgId());
        checkEqual("k", found.getKeys(), "key of what was found");
        checkEqual("grün", found.getUserProperty("colour"), "property of what was found");
        checkEqual("127.0.0.1", found.getBornHostString(), "born host");
    }

    /** Producer and consumer write what they did into the trace topic. */
    private static void trace(Kit kit) throws Exception {
        kit.createTopic();
        String traces = "T_traces_" + kit.topic;
        kit.createTopic(traces);
        DefaultMQProducer producer = kit.start(new DefaultMQProducer(kit.group + "_p", null, true, traces));
        SendResult sent = producer.send(kit.message("k", "T"));
        Set<String> kinds = new TreeSet<>();
        Inbox inbox = new Inbox();
        kit.consumer(traces, "*", inbox, (message, context) -> {
            if (message.getKeys() != null && message.getKeys().contains(sent.getMsgId())) {
                synchronized (kinds) {
                    for (String record : new String(message.getBody()).split("\u0002")) {
                        kinds.add(record.split("\u0001")[0]);
                    }
                }
            }
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        }, c -> c.setConsumerGroup(kit.group + "_tracer"));
        DefaultMQPushConsumer traced = new DefaultMQPushConsumer(kit.group + "_c", true, traces);
        traced.setNamesrvAddr(kit.namesrv);
        traced.setInstanceName(kit.instance());
        traced.setConsumeFromWhere(org.apache.rocketmq.common.consumer.ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        traced.subscribe(kit.topic, "*");
        traced.registerMessageListener((org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently)
            (messages, context) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS);
        traced.start();
        kit.onClose(traced::shutdown);
        Kit.await("traces of sending and consuming", COME_MS, () -> {
            synchronized (kinds) {
                return kinds.containsAll(Set.of("Pub", "SubBefore", "SubAfter"));
            }
        });
    }
}
