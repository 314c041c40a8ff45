package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageExt;

/** Messages that name the time of their delivery, and how they are taken back. */
final class TimerCases {
    private static final long COME_MS = 45_000;
    private static final long SETTLE_MS = 1_500;
    /** A stock wheel turns once a second, and its messages take a moment through it. */
    private static final long LATE_MS = 3_500;

    private TimerCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("timer-times", TimerCases::times),
            Case.everywhere("timer-precedence", TimerCases::precedence),
            Case.everywhere("timer-refused", TimerCases::refused),
            Case.escrow("timer-recall", TimerCases::recall),
            Case.escrow("timer-transaction", TimerCases::transaction));
    }

    private static Message timed(Kit kit, String key, String... properties) {
        Message message = kit.message(key, "T");
        for (int i = 0; i < properties.length; i += 2) {
            MessageAccessor.putProperty(message, properties[i], properties[i + 1]);
        }
        return message;
    }

    private static void times(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        producer.send(kit.message("first", "T"));
        inbox.await(Set.of("first"), COME_MS);
        long sent = System.currentTimeMillis();
        producer.send(timed(kit, "seconds", "TIMER_DELAY_SEC", "4"));
        producer.send(timed(kit, "millis", "TIMER_DELAY_MS", "2300"));
        producer.send(timed(kit, "at", "TIMER_DELIVER_MS", "" + (sent + 3100)));
        producer.send(timed(kit, "past", "TIMER_DELIVER_MS", "" + (sent - 5000)));
        inbox.expectExactly(Set.of("first", "seconds", "millis", "at", "past"), COME_MS, SETTLE_MS);
        expectWait(inbox, "seconds", sent, 4000);
        expectWait(inbox, "millis", sent, 2300);
        expectWait(inbox, "at", sent, 3100);
        expectWait(inbox, "past", sent, 0);
        MessageExt millis = inbox.of("millis").get(0);
        checkEqual("2300", millis.getProperty("TIMER_DELAY_MS"), "TIMER_DELAY_MS of what is delivered");
        check(millis.getProperty("TIMER_OUT_MS") != null, "no TIMER_OUT_MS");
        checkEqual(kit.topic, millis.getProperty("REAL_TOPIC"), "REAL_TOPIC");
        checkEqual("" + ((sent + 3100 - 1) / 1000 * 1000), inbox.of("at").get(0).getProperty("TIMER_OUT_MS"), "TIMER_OUT_MS");
        check(inbox.of("past").get(0).getProperty("TIMER_OUT_MS") == null, "TIMER_OUT_MS of what was due");
        checkEqual(kit.topic, millis.getTopic(), "topic");
    }

    private static void expectWait(Inbox inbox, String key, long sent, long wait) {
        long waited = inbox.of(key).get(0).getStoreTimestamp() - sent;
        check(waited >= wait - 50 && waited <= wait + LATE_MS, key + " came after " + waited + " ms, not " + wait);
    }

    private static void precedence(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        long sent = System.currentTimeMillis();
        producer.send(timed(kit, "level", "DELAY", "1", "TIMER_DELAY_SEC", "90"));
        producer.send(timed(kit, "seconds", "TIMER_DELAY_SEC", "2", "TIMER_DELAY_MS", "90000", "TIMER_DELIVER_MS", "1"));
        producer.send(timed(kit, "again", "TIMER_DELAY_SEC", "90", "TIMER_OUT_MS", "1"));
        inbox.expectExactly(Set.of("level", "seconds", "again"), COME_MS, SETTLE_MS);
        expectWait(inbox, "level", sent, 1000);
        expectWait(inbox, "seconds", sent, 2000);
        expectWait(inbox, "again", sent, 0);
        MessageExt level = inbox.of("level").get(0);
        check(level.getProperty("TIMER_DELAY_SEC") == null, "TIMER_DELAY_SEC beside a level");
        checkEqual("1", level.getProperty("DELAY"), "DELAY of the level's message");
        checkEqual(kit.topic, level.getProperty("REAL_TOPIC"), "REAL_TOPIC of the level's message");
    }

    private static void refused(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        long day = 24 * 3600 * 1000L;
        expectRefusal(producer, timed(kit, "far", "TIMER_DELAY_SEC", "" + (3 * day / 1000 + 10)));
        expectRefusal(producer, timed(kit, "far", "TIMER_DELIVER_MS", "" + (System.currentTimeMillis() + 4 * day)));
        expectRefusal(producer, timed(kit, "words", "TIMER_DELAY_MS", "soon"));
    }

    private static void expectRefusal(DefaultMQProducer producer, Message message) throws Exception {
        try {
            producer.send(message);
        } catch (MQBrokerException e) {
            checkEqual(13, e.getResponseCode(), "code of the refusal");
            check(e.getErrorMessage().contains("timer message illegal"), "remark: " + e.getErrorMessage());
            return;
        }
        throw new AssertionError("taken: " + message);
    }

    private static String handle(String topic, String broker, long at, String id) {
        return Base64.getUrlEncoder().encodeToString(
            String.join(" ", "v1", topic, broker, "" + at, id).getBytes(StandardCharsets.UTF_8));
    }

    private static void recall(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        long due = System.currentTimeMillis() + 6000;
        SendResult gone = producer.send(timed(kit, "gone", "TIMER_DELIVER_MS", "" + due));
        SendResult kept = producer.send(timed(kit, "kept", "TIMER_DELIVER_MS", "" + due));
        String broker = gone.getMessageQueue().getBrokerName();
        long at = (due - 1) / 1000 * 1000 + 1;
        String handle = handle(kit.topic, broker, at, gone.getMsgId());
        expectOwnHandle(gone, handle);
        try (Raw raw = new Raw(kit.brokerAddress())) {
            for (int i = 0; i < 2; i++) {
                Raw.Answer answer = raw.call(370, "topic", kit.topic, "recallHandle", handle).expect(0);
                checkEqual(gone.getMsgId(), answer.fields.get("msgId"), "msgId of the answer");
            }
            raw.call(370, "topic", "other" + kit.topic, "recallHandle", handle).expect(17);
            raw.call(370, "topic", kit.topic, "recallHandle", "nonsense").expect(604);
            raw.call(370, "topic", kit.topic, "recallHandle", handle(kit.topic, "elsewhere", at, "id")).expect(604);
            raw.call(370, "topic", kit.topic, "recallHandle", handle(kit.topic, broker, at - 100_000, "id")).expect(604);
        }
        SendResult own = producer.send(timed(kit, "own", "TIMER_DELIVER_MS", "" + due));
        if (!recallByClient(producer, kit.topic, own)) {
            try (Raw raw = new Raw(kit.brokerAddress())) {
                raw.call(370, "topic", kit.topic, "recallHandle", handle(kit.topic, broker, at, own.getMsgId())).expect(0);
            }
        }
        inbox.expectExactly(Set.of("kept"), COME_MS, 2 * SETTLE_MS);
        try (Raw raw = new Raw(kit.brokerAddress())) {
            raw.call(370, "topic", kit.topic, "recallHandle", handle(kit.topic, broker, at, kept.getMsgId())).expect(604);
        }
    }

    /** 5.x clients show the handle. */
    private static void expectOwnHandle(SendResult result, String handle) throws Exception {
        try {
            checkEqual(handle, SendResult.class.getMethod("getRecallHandle").invoke(result), "recall handle");
        } catch (NoSuchMethodException e) {
            return;
        }
    }

    /** As 5.x clients do it; false when this one is older. */
    private static boolean recallByClient(DefaultMQProducer producer, String topic, SendResult sent) throws Exception {
        try {
            Object handle = SendResult.class.getMethod("getRecallHandle").invoke(sent);
            Object id = DefaultMQProducer.class.getMethod("recallMessage", String.class, String.class).invoke(producer, topic, handle);
            checkEqual(sent.getMsgId(), id, "id of what the client recalled");
            return true;
        } catch (NoSuchMethodException e) {
            return false;
        }
    }

    /** The delay begins with the commit. A stock broker delays the half message, which nobody finds then. */
    private static void transaction(Kit kit) throws Exception {
        kit.createTopic();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        TransactionMQProducer producer = kit.transactional(new Plan());
        for (String plan : List.of(Plan.COMMIT, Plan.UNKNOWN_COMMIT, Plan.ROLLBACK)) {
            Message message = kit.planned(plan, plan);
            MessageAccessor.putProperty(message, "TIMER_DELAY_MS", "3000");
            producer.sendMessageInTransaction(message, null);
        }
        long sent = System.currentTimeMillis();
        inbox.expectExactly(Set.of(Plan.COMMIT, Plan.UNKNOWN_COMMIT), COME_MS, SETTLE_MS);
        expectWait(inbox, Plan.COMMIT, sent, 3000);
        check(inbox.of(Plan.UNKNOWN_COMMIT).get(0).getStoreTimestamp() - sent > 4500, "the delay did not begin with the commit");
    }
}
