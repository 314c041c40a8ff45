package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendCallback;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** Ordinary producers. */
final class SendCases {
    private static final long COME_MS = 45_000;
    private static final long SETTLE_MS = 1_500;

    private SendCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("send-auto-topic", SendCases::autoTopic),
            Case.everywhere("send-async-oneway", SendCases::asyncAndOneway),
            Case.everywhere("send-batch", SendCases::batch),
            Case.everywhere("send-batch-many", SendCases::batchMany),
            Case.everywhere("send-large", SendCases::large),
            Case.everywhere("send-delayed", SendCases::delayed),
            Case.everywhere("send-view-by-id", SendCases::viewById));
    }

    /** A topic that nobody has created. */
    private static void autoTopic(Kit kit) throws Exception {
        DefaultMQProducer producer = kit.producer();
        SendResult result = producer.send(kit.message("k", "T"));
        checkEqual(SendStatus.SEND_OK, result.getSendStatus(), "status");
        kit.awaitRoute(kit.topic);
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        inbox.expectExactly(Set.of("k"), COME_MS, SETTLE_MS);
        checkEqual(result.getMsgId(), inbox.of("k").get(0).getMsgId(), "message id");
        checkEqual(result.getQueueOffset(), inbox.of("k").get(0).getQueueOffset(), "queue offset");
    }

    private static void asyncAndOneway(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        Set<String> keys = new HashSet<>();
        CountDownLatch answered = new CountDownLatch(50);
        ConcurrentLinkedQueue<Throwable> errors = new ConcurrentLinkedQueue<>();
        for (int i = 0; i < 50; i++) {
            keys.add("a" + i);
            producer.send(kit.message("a" + i, "T"), new SendCallback() {
                @Override
                public void onSuccess(SendResult result) {
                    answered.countDown();
                }

                @Override
                public void onException(Throwable e) {
                    errors.add(e);
                    answered.countDown();
                }
            });
            keys.add("o" + i);
            producer.sendOneway(kit.message("o" + i, "T"));
        }
        check(answered.await(COME_MS, TimeUnit.MILLISECONDS), "all answered");
        check(errors.isEmpty(), "an asynchronous send failed: " + errors.peek());
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
    }

    private static void batch(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        Set<String> keys = new HashSet<>();
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            keys.add("b" + i);
            messages.add(kit.message("b" + i, "T"));
        }
        SendResult result = producer.send(messages);
        checkEqual(SendStatus.SEND_OK, result.getSendStatus(), "status");
        checkEqual(10, result.getOffsetMsgId().split(",").length, "ids of the batch");
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
        for (int i = 0; i < 10; i++) {
            MessageExt message = inbox.of("b" + i).get(0);
            checkEqual(result.getQueueOffset() + i, message.getQueueOffset(), "queue offset of b" + i);
            checkEqual("body of b" + i, new String(message.getBody()), "body of b" + i);
        }
    }

    /** As many small messages as one batch has room for ids. */
    private static void batchMany(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        Set<String> keys = new HashSet<>();
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < 4096; i++) {
            keys.add("b" + i);
            messages.add(kit.message("b" + i, "T"));
        }
        SendResult result = producer.send(messages);
        checkEqual(SendStatus.SEND_OK, result.getSendStatus(), "status");
        checkEqual(messages.size(), Set.of(result.getOffsetMsgId().split(",")).size(), "ids of the batch");
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
    }

    /** The client compresses what is over 4 KiB; the broker must leave it as it is. */
    private static void large(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        byte[] even = new byte[200_000];
        Arrays.fill(even, (byte) 'x');
        byte[] random = new byte[1_000_000];
        new java.util.Random(1).nextBytes(random);
        producer.send(new Message(kit.topic, "T", "even", even));
        producer.send(new Message(kit.topic, "T", "random", random));
        producer.send(new Message(kit.topic, "T", "one", new byte[] { 0 }));
        inbox.expectExactly(Set.of("even", "random", "one"), COME_MS, SETTLE_MS);
        check(Arrays.equals(even, inbox.of("even").get(0).getBody()), "the compressed body is as it was sent");
        check(Arrays.equals(random, inbox.of("random").get(0).getBody()), "the large body is as it was sent");
    }

    private static void delayed(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        long sent = System.currentTimeMillis();
        for (int level = 1; level <= 2; level++) {
            Message message = kit.message("d" + level, "T");
            message.setDelayTimeLevel(level);
            producer.send(message);
        }
        inbox.expectExactly(Set.of("d1", "d2"), COME_MS, SETTLE_MS);
        long one = inbox.of("d1").get(0).getStoreTimestamp() - sent;
        long two = inbox.of("d2").get(0).getStoreTimestamp() - sent;
        check(one >= 950 && two >= 4_950, "levels 1 and 2 became visible after " + one + " and " + two + " ms");
    }

    private static void viewById(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        SendResult result = producer.send(kit.message("k", "T"));
        MessageExt message = producer.viewMessage(kit.topic, result.getOffsetMsgId());
        checkEqual("body of k", new String(message.getBody()), "body");
        checkEqual("k", message.getKeys(), "key");
        checkEqual(result.getQueueOffset(), message.getQueueOffset(), "queue offset");
        MessageQueue queue = result.getMessageQueue();
        checkEqual(result.getQueueOffset() + 1, producer.maxOffset(queue), "maxOffset");
        checkEqual(0L, producer.minOffset(queue), "minOffset");
        checkEqual(0L, producer.searchOffset(queue, message.getStoreTimestamp() - 1000), "searchOffset before the message");
    }
}
