package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.nio.ByteBuffer;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** SQL92 subscriptions, and several tags on one message. */
final class FilterCases {
    private static final long COME_MS = 45_000;
    private static final long SETTLE_MS = 2_000;
    private static final int PULL_MESSAGE = 11;
    private static final int CHECK_CLIENT_CONFIG = 46;
    private static final int SUBSCRIPTION_PARSE_FAILED = 23;
    private static final int WITH_SUBSCRIPTION = 4;
    private static final String SEVERAL_TAGS = "ESCROW_TAGS";

    /** What passes of the messages a, b, c ... of {@link #sendTable}; "!" is refused. */
    private static final String[][] TABLE = {
        {"n = 3", "b"}, {"n <> 3", "cg"}, {"NOT (n = 3)", "cg"}, {"n > 2 AND n < 10", "b"}, {"n >= 3L", "bcg"},
        {"n < 4", "b"}, {"n < 4.0", "bd"}, {"NOT (n < 4)", "cg"}, {"n > 3.5", "cdg"}, {"n = 3.75", "d"},
        {"n IS NULL", "aef"}, {"n IS NOT NULL", "bcdg"}, {"n IS NULL AND s IS NOT NULL", "ef"},
        {"n BETWEEN 3 AND 10", "bg"}, {"n NOT BETWEEN 3 AND 10", "c"}, {"n BETWEEN 3.0 AND 4.0", "bd"},
        {"s = 'x'", "eg"}, {"s <> 'x'", "f"}, {"s = 'it''s'", "f"}, {"s IN ('x', 'y')", "eg"}, {"s NOT IN ('x')", "f"},
        {"s = 'x' OR n = 3", "beg"}, {"n = 11 OR s = 'x'", "ceg"}, {"s IS NULL OR n = 10", "abcdg"},
        {"t = TRUE", "a"}, {"t = FALSE", "b"}, {"t", ""}, {"NOT t", "ab"}, {"TRUE", "abcdefg"}, {"FALSE", ""}, {"NULL", ""},
        {"TAGS = 'T1'", "a"}, {"TAGS IS NULL", "bcdefg"}, {"s CONTAINS 't'", "f"}, {"s NOT CONTAINS 't'", "eg"},
        {"s STARTSWITH 'it'", "f"}, {"s ENDSWITH '''s'", "f"}, {"s CONTAINS ''", ""}, {"n = m", "aefg"}, {"m = 10", "g"},
        {"n > m", ""}, {"n >= m", "g"}, {"-5 < n", "bcg"}, {"n > -1.5E1", "bcdg"}, {"n /* or not */ = 3", "b"},
        {"(n = 3 OR n = 11) AND NOT s = 'x'", ""}, {"(n = 3 OR n = 11) AND s IS NULL", "bc"},
        {"n >", "!"}, {"n = ", "!"}, {"(n = 3", "!"}, {"n IN (3)", "!"}, {"n > 'x'", "!"}, {"n = NULL", "!"},
        {"n BETWEEN 5 AND 1", "!"}, {"3 IN ('x')", "!"}, {"'x'", "!"}, {"n != 3", "!"}, {"s = 'x", "!"}, {"-n", "!"},
    };

    private FilterCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("filter-sql", FilterCases::sql),
            Case.everywhere("filter-sql-table", FilterCases::table),
            Case.everywhere("filter-sql-refused", FilterCases::refused),
            Case.escrow("filter-several-tags", FilterCases::severalTags));
    }

    private static void consumer(Kit kit, String name, MessageSelector selector, Inbox inbox) throws Exception {
        DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(kit.group + name);
        consumer.setNamesrvAddr(kit.namesrv);
        consumer.setInstanceName(kit.group + name);
        consumer.setConsumeFromWhere(org.apache.rocketmq.common.consumer.ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
        consumer.subscribe(kit.topic, selector);
        consumer.registerMessageListener((MessageListenerConcurrently) (messages, context) -> {
            messages.forEach(inbox::add);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        });
        kit.onClose(consumer::shutdown);
        consumer.start();
    }

    private static void sql(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        consumer(kit, "_sql", MessageSelector.bySql("(price BETWEEN 10 AND 19 OR urgent IS NOT NULL) AND TAGS IN ('T', 'U')"), inbox);
        Set<String> wanted = new HashSet<>();
        for (int i = 0; i < 60; i++) {
            String tag = List.of("T", "U", "V").get(i % 3);
            Message message = kit.message("k" + i, tag);
            message.putUserProperty("price", "" + i);
            if (i % 20 == 3) {
                message.putUserProperty("urgent", "yes");
            }
            if (i % 3 < 2 && (i >= 10 && i <= 19 || i % 20 == 3)) {
                wanted.add("k" + i);
            }
            producer.send(message);
        }
        inbox.expectExactly(wanted, COME_MS, SETTLE_MS);
    }

    private static MessageQueue sendTable(Kit kit, DefaultMQProducer producer) throws Exception {
        String[][] properties = {{"t", "true"}, {"n", "3", "t", "no"}, {"n", "11"}, {"n", "3.75"}, {"s", "x"}, {"s", "it's"},
            {"n", "10", "m", "10", "s", "x"}};
        MessageQueue queue = producer.send(kit.message("first", "T0")).getMessageQueue();
        for (int i = 0; i < properties.length; i++) {
            Message message = new Message(kit.topic, i == 0 ? "T1" : "", "" + (char) ('a' + i), new byte[] {1});
            for (int p = 0; p < properties[i].length; p += 2) {
                message.putUserProperty(properties[i][p], properties[i][p + 1]);
            }
            producer.send(message, queue);
        }
        return queue;
    }

    /** As consumers ask before they start: a stock broker lets all messages through a pull whose own expression is wrong. */
    private static String checkRefused(Kit kit, Raw raw, String expression) throws Exception {
        String body = "{\"clientId\":\"c\",\"group\":\"" + kit.group + "\",\"subscriptionData\":{\"topic\":\"" + kit.topic
            + "\",\"subString\":\"" + expression + "\",\"expressionType\":\"SQL92\"}}";
        Raw.Answer answer = raw.call(CHECK_CLIENT_CONFIG, body.getBytes(java.nio.charset.StandardCharsets.UTF_8));
        boolean located = !kit.escrow || answer.remark != null && answer.remark.contains("at position ");
        return answer.code == SUBSCRIPTION_PARSE_FAILED && located ? ""
            : expression + ": code " + answer.code + " (" + answer.remark + "); ";
    }

    /** Each expression of the table in a pull of its own: what comes, and that the pull moves past all. */
    private static void table(Kit kit) throws Exception {
        kit.createTopic();
        MessageQueue queue = sendTable(kit, kit.producer());
        StringBuilder wrong = new StringBuilder();
        try (Raw raw = new Raw(kit.brokerAddress())) {
            for (String[] line : TABLE) {
                if (line[1].equals("!")) {
                    wrong.append(checkRefused(kit, raw, line[0]));
                    continue;
                }
                Raw.Answer answer = raw.call(PULL_MESSAGE, "consumerGroup", kit.group, "topic", kit.topic, "queueId",
                    "" + queue.getQueueId(), "queueOffset", "1", "maxMsgNums", "32", "sysFlag", "" + WITH_SUBSCRIPTION,
                    "commitOffset", "0", "suspendTimeoutMillis", "0", "subscription", line[0], "subVersion", "0",
                    "expressionType", "SQL92");
                String got = answer.code != 0 && answer.code != 20 ? "code " + answer.code
                    : MessageDecoder.decodes(ByteBuffer.wrap(answer.body)).stream().map(Message::getKeys)
                        .collect(Collectors.joining());
                if (!got.equals(line[1])) {
                    wrong.append(line[0]).append(": expected ").append(line[1]).append(", got ").append(got).append("; ");
                } else {
                    checkEqual("8", answer.fields.get("nextBeginOffset"), "nextBeginOffset of " + line[0]);
                }
            }
        }
        check(wrong.length() == 0, wrong.toString());
    }

    private static void refused(Kit kit) throws Exception {
        kit.createTopic();
        try {
            consumer(kit, "_bad", MessageSelector.bySql("price BETWEEN 10 OR 20"), new Inbox());
        } catch (MQClientException e) {
            checkEqual(SUBSCRIPTION_PARSE_FAILED, e.getResponseCode(), "code");
            check(!kit.escrow || e.getMessage().contains("position 18"), "no position in: " + e.getMessage());
            return;
        }
        throw new AssertionError("a consumer with a wrong expression started");
    }

    private static void expectTag(Inbox inbox, String key, String tag) {
        List<MessageExt> copies = inbox.of(key);
        checkEqual(1, copies.size(), "deliveries of " + key);
        checkEqual(tag, copies.get(0).getTags(), "tag of " + key);
        checkEqual("body of " + key, new String(copies.get(0).getBody()), "body of " + key);
        checkEqual("grün", copies.get(0).getUserProperty("colour"), "property of " + key);
        check(copies.get(0).getProperty(MessageConst.PROPERTY_UNIQ_CLIENT_MESSAGE_ID_KEYIDX) != null, "no unique key");
    }

    /** Three consumers that know nothing of several tags; transactions are in it, because they take another way. */
    private static void severalTags(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox some = new Inbox();
        Inbox other = new Inbox();
        Inbox all = new Inbox();
        consumer(kit, "_some", MessageSelector.byTag("blue || green"), some);
        consumer(kit, "_other", MessageSelector.byTag("red"), other);
        consumer(kit, "_all", MessageSelector.byTag("*"), all);
        Message message = kit.message("k0", "red");
        message.putUserProperty(SEVERAL_TAGS, "green || yellow");
        producer.send(message);
        message = kit.planned("k1", Plan.COMMIT);
        message.setTags("white");
        message.putUserProperty(SEVERAL_TAGS, "black||blue");
        kit.transactional(new Plan()).sendMessageInTransaction(message, null);
        producer.send(kit.message("k2", "green"));
        producer.send(kit.message("k3", "red"));
        producer.send(kit.message("k4", "black"));
        all.expectExactly(Set.of("k0", "k1", "k2", "k3", "k4"), COME_MS, SETTLE_MS);
        some.expectExactly(Set.of("k0", "k1", "k2"), COME_MS, 0);
        other.expectExactly(Set.of("k0", "k3"), COME_MS, 0);
        expectTag(some, "k0", "green");
        expectTag(some, "k1", "blue");
        expectTag(some, "k2", "green");
        expectTag(other, "k0", "red");
        expectTag(all, "k0", "red");
    }
}
