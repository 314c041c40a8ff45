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
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageDecoder;
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
            Case.everywhere("query-many", QueryCases::many),
            Case.everywhere("query-by-tag", QueryCases::byTag),
            Case.everywhere("query-transaction", QueryCases::transaction),
            Case.everywhere("trace-topic", QueryCases::trace),
            Case.everywhere("trace-default-topic", QueryCases::defaultTrace));
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

    /** The latest 64, in the order in which they were stored; a unique key has no such limit of the client's. */
    private static void many(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        long last = 0;
        for (int i = 0; i < 80; i++) {
            Message message = kit.message("many", "T");
            message.putUserProperty("number", "" + i);
            producer.send(message);
        }
        Kit.await("the last one in the index", COME_MS, () -> {
            try {
                List<MessageExt> found = producer.queryMessage(kit.topic, "many", 1, 0, Long.MAX_VALUE).getMessageList();
                return found.get(0).getUserProperty("number").equals("79");
            } catch (Exception e) {
                return false;
            }
        });
        QueryResult found = producer.queryMessage(kit.topic, "many", 100, 0, Long.MAX_VALUE);
        checkEqual(64, found.getMessageList().size(), "messages found");
        for (int i = 0; i < 64; i++) {
            MessageExt message = found.getMessageList().get(i);
            checkEqual("" + (16 + i), message.getUserProperty("number"), "the message at " + i);
            last = message.getStoreTimestamp();
        }
        check(found.getIndexLastUpdateTimestamp() >= last, "the index speaks of " + found.getIndexLastUpdateTimestamp());
        long until = found.getMessageList().get(9).getStoreTimestamp();
        for (MessageExt early : producer.queryMessage(kit.topic, "many", 64, 0, until).getMessageList()) {
            check(early.getStoreTimestamp() <= until + 1000, "one is later than asked for"); // It keeps seconds.
        }
    }

    /** As mqadmin of 5.4 asks with -p T. */
    private static void byTag(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        for (int i = 0; i < 6; i++) {
            producer.send(kit.message("k" + i, i < 2 ? "red" : "blue"));
        }
        Raw.Answer[] last = new Raw.Answer[1];
        Kit.await("both by their tag", COME_MS, () -> {
            try (Raw raw = new Raw(kit.brokerAddress())) {
                last[0] = raw.call(12, "topic", kit.topic, "key", "red", "maxNum", "32", "beginTimestamp", "0",
                    "endTimestamp", "" + Long.MAX_VALUE, "indexType", "T");
                return last[0].code == 0 && last[0].text().contains("body of k1");
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
        check(last[0].text().contains("body of k0") && !last[0].text().contains("body of k2"), last[0].text());
        try (Raw raw = new Raw(kit.brokerAddress())) {
            raw.call(12, "topic", kit.topic, "key", "red", "maxNum", "32", "beginTimestamp", "0",
                "endTimestamp", "" + Long.MAX_VALUE).expect(22);
        }
    }

    private static boolean isFound(DefaultMQProducer producer, Kit kit, String key) {
        try {
            return !producer.queryMessage(kit.topic, key, 32, 0, Long.MAX_VALUE).getMessageList().isEmpty();
        } catch (Exception e) {
            return false;
        }
    }

    /** Found once it was committed; never, when it was not. */
    private static void transaction(Kit kit) throws Exception {
        kit.createTopic();
        Plan plan = new Plan();
        TransactionMQProducer producer = kit.transactional(plan);
        producer.sendMessageInTransaction(kit.planned("rolled-back", Plan.ROLLBACK), null);
        producer.sendMessageInTransaction(kit.planned("open", Plan.UNKNOWN_ROLLBACK), null);
        SendResult sent = producer.sendMessageInTransaction(kit.planned("committed", Plan.COMMIT), null);
        QueryResult found = until(1, () -> producer.queryMessage(kit.topic, "committed", 32, 0, Long.MAX_VALUE));
        MessageExt message = found.getMessageList().get(0);
        checkEqual(sent.getMsgId(), message.getMsgId(), "unique key of what was found");
        checkEqual(kit.topic, message.getTopic(), "its topic");
        checkEqual("committed", producer.viewMessage(kit.topic, sent.getMsgId()).getKeys(), "by its unique key");
        check(!isFound(producer, kit, "rolled-back"), "what was rolled back is found");
        check(!isFound(producer, kit, "open"), "what is open is found");
        /* The half has a name of its own, under which it is seen as a half. */
        try (Raw raw = new Raw(kit.brokerAddress())) {
            Raw.Answer answer = raw.call(33, "offset", "" + message.getPreparedTransactionOffset());
            MessageExt half = MessageDecoder.decode(java.nio.ByteBuffer.wrap(answer.expect(0).body));
            checkEqual("RMQ_SYS_TRANS_HALF_TOPIC", half.getTopic(), "topic of the half");
            checkEqual(kit.topic, half.getProperty("REAL_TOPIC"), "real topic of the half");
            checkEqual("" + message.getQueueId(), half.getProperty("REAL_QID"), "real queue of the half");
            checkEqual(0, half.getQueueId(), "queue of the half");
            checkEqual(0, half.getSysFlag() & 0xC, "transaction bits of the half");
            checkEqual("body of committed", new String(half.getBody()), "body of the half");
            /* It cannot be pulled from EscrowMQ, which says so instead of "no message". */
            answer = raw.call(11, "consumerGroup", kit.group + "_c", "topic", "RMQ_SYS_TRANS_HALF_TOPIC", "queueId", "0",
                "queueOffset", "" + half.getQueueOffset(), "maxMsgNums", "1", "sysFlag", "4", "commitOffset", "0",
                "suspendTimeoutMillis", "0", "subscription", "*", "subVersion", "1", "expressionType", "TAG");
            answer.expect(kit.escrow ? 16 : 0);
            check(!kit.escrow || answer.remark.contains("queryMsgById"), "remark of the refusal: " + answer.remark);
        }
    }

    /** The topic that clients use when they are told nothing else; mqadmin finds a trace there by its message's id. */
    private static void defaultTrace(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.start(new DefaultMQProducer(kit.group + "_p", null, true, null));
        SendResult sent = producer.send(kit.message("k", "T"));
        Kit.await("the trace by the message's id", COME_MS, () -> AdminCases.run("queryMsgTraceById", "-n", kit.namesrv,
            "-i", sent.getMsgId()).contains("success"));
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
