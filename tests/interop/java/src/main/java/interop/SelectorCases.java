package interop;

import static interop.Kit.check;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;

/** SQL92 subscriptions, and tags whose hashes are equal. */
final class SelectorCases {
    private static final long COME_MS = 60_000;
    private static final long SETTLE_MS = 2_000;

    private SelectorCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("filter-sql-and", kit -> sql(kit, "a > 5 AND colour = 'red'", "5<a red")),
            Case.everywhere("filter-sql-null-between", kit -> sql(kit,
                "(a BETWEEN 2 AND 4) OR (b IS NOT NULL AND colour IN ('blue', 'green'))", "between")),
            Case.everywhere("filter-sql-tags", kit -> sql(kit, "TAGS IS NOT NULL AND TAGS IN ('T0')", "tags")),
            Case.everywhere("filter-sql-transaction", SelectorCases::transaction),
            Case.everywhere("filter-sql-bad", SelectorCases::bad),
            Case.everywhere("filter-tag-same-hash", SelectorCases::sameHash));
    }

    private static boolean wanted(String rule, int a, String colour, boolean hasB, int tag) {
        switch (rule) {
            case "5<a red": return a > 5 && colour.equals("red");
            case "between": return a >= 2 && a <= 4 || hasB && !colour.equals("red");
            default: return tag == 0;
        }
    }

    private static DefaultMQPushConsumer selecting(Kit kit, MessageSelector selector, Inbox inbox) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(kit.group + "_c");
        consumer.setNamesrvAddr(kit.namesrv);
        consumer.setInstanceName(kit.instance());
        consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(kit.topic, selector);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(inbox::add);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        consumer.start();
        kit.onClose(consumer::shutdown);
        return consumer;
    }

    private static void sql(Kit kit, String expression, String rule) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        selecting(kit, MessageSelector.bySql(expression), inbox);
        Set<String> keys = new HashSet<>();
        for (int i = 0; i < 36; i++) {
            int a = i % 12;
            String colour = List.of("red", "blue", "green").get(i % 3);
            boolean hasB = i % 5 == 0;
            Message message = new Message(kit.topic, "T" + i % 4, "k" + i, new byte[] { (byte) i });
            message.putUserProperty("a", "" + a);
            message.putUserProperty("colour", colour);
            if (hasB) {
                message.putUserProperty("b", "1");
            }
            if (wanted(rule, a, colour, hasB, i % 4)) {
                keys.add("k" + i);
            }
            producer.send(message);
        }
        check(!keys.isEmpty() && keys.size() < 36, "the case itself: it chooses " + keys.size());
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
    }

    /** What a transaction publishes is filtered like anything else. */
    private static void transaction(Kit kit) throws Exception {
        kit.createTopic();
        Inbox inbox = new Inbox();
        selecting(kit, MessageSelector.bySql("amount >= 100"), inbox);
        var producer = kit.transactional(new Plan());
        for (int i = 0; i < 4; i++) {
            Message message = kit.planned("k" + i, Plan.COMMIT);
            message.putUserProperty("amount", "" + i * 50);
            producer.sendMessageInTransaction(message, null);
        }
        inbox.expectExactly(Set.of("k2", "k3"), COME_MS, SETTLE_MS);
    }

    /** A client's start checks its expressions at a broker. */
    private static void bad(Kit kit) throws Exception {
        kit.createTopic();
        try {
            selecting(kit, MessageSelector.bySql("a > > 5"), new Inbox());
        } catch (MQClientException e) {
            String all = e + " " + e.getCause();
            check(all.contains("23") || all.contains("Check client in broker error"), "the refusal says: " + all);
            return;
        }
        throw new AssertionError("a > > 5 was accepted");
    }

    /** "Aa" and "BB" have one hash: the broker may pass both, the subscriber gets its own. */
    private static void sameHash(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(kit.topic, "Aa", inbox, (m, c) -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS, c -> { });
        Set<String> keys = new HashSet<>();
        for (int i = 0; i < 20; i++) {
            if (i % 2 == 0) {
                keys.add("k" + i);
            }
            producer.send(kit.message("k" + i, i % 2 == 0 ? "Aa" : "BB"));
        }
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
    }
}
