package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.PullStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;

/** The old pull consumer: offsets in the caller's hands. */
@SuppressWarnings("deprecation")
final class PullCases {
    private static final long COME_MS = 30_000;

    private PullCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("pull-all", PullCases::all),
            Case.everywhere("pull-tags", PullCases::tags),
            Case.everywhere("pull-waits", PullCases::waits),
            Case.everywhere("pull-beyond", PullCases::beyond),
            Case.everywhere("pull-offsets", PullCases::offsets));
    }

    private static DefaultMQPullConsumer puller(Kit kit) throws Exception {
        DefaultMQPullConsumer puller = new DefaultMQPullConsumer(kit.group + "_pull");
        puller.setNamesrvAddr(kit.namesrv);
        puller.setInstanceName(kit.instance());
        puller.start();
        kit.onClose(puller::shutdown);
        return puller;
    }

    private static Set<String> pullAll(DefaultMQPullConsumer puller, Kit kit, String tags) throws Exception {
        Set<String> keys = new HashSet<>();
        Set<MessageQueue> queues = puller.fetchSubscribeMessageQueues(kit.topic);
        checkEqual(Kit.QUEUES, queues.size(), "queues");
        for (MessageQueue queue : queues) {
            long offset = puller.minOffset(queue);
            long end = puller.maxOffset(queue);
            while (offset < end) {
                PullResult result = puller.pull(queue, tags, offset, 7);
                if (result.getPullStatus() == PullStatus.FOUND) {
                    for (MessageExt message : result.getMsgFoundList()) {
                        check(keys.add(message.getKeys()), message.getKeys() + " was pulled twice");
                        checkEqual("body of " + message.getKeys(), new String(message.getBody()), "body");
                    }
                }
                check(result.getNextBeginOffset() > offset, "no progress at " + offset + ": " + result);
                offset = result.getNextBeginOffset();
            }
        }
        return keys;
    }

    private static void all(Kit kit) throws Exception {
        kit.createTopic();
        Set<String> keys = kit.sendAll(kit.producer(), "k", 50);
        checkEqual(keys, pullAll(puller(kit), kit, "*"), "pulled");
    }

    private static void tags(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Set<String> keys = new HashSet<>();
        for (int i = 0; i < 40; i++) {
            if (i % 4 < 2) {
                keys.add("k" + i);
            }
            producer.send(kit.message("k" + i, "T" + i % 4));
        }
        checkEqual(keys, pullAll(puller(kit), kit, "T0 || T1"), "pulled");
    }

    /** A pull at the end waits for a message and brings it, long before its own time is over. */
    private static void waits(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        DefaultMQPullConsumer puller = puller(kit);
        MessageQueue queue = puller.fetchSubscribeMessageQueues(kit.topic).iterator().next();
        Thread sender = new Thread(() -> {
            try {
                Thread.sleep(1_000);
                producer.send(kit.message("k", "T"), queue);
            } catch (Exception e) {
                throw new IllegalStateException(e);
            }
        });
        sender.start();
        PullResult result = puller.pullBlockIfNotFound(queue, "*", 0, 10);
        sender.join();
        checkEqual(PullStatus.FOUND, result.getPullStatus(), "status");
        checkEqual("k", result.getMsgFoundList().get(0).getKeys(), "key");
    }

    private static void beyond(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        DefaultMQPullConsumer puller = puller(kit);
        MessageQueue queue = puller.fetchSubscribeMessageQueues(kit.topic).iterator().next();
        producer.send(kit.message("k", "T"), queue);
        PullResult result = puller.pull(queue, "*", 1_000, 10);
        checkEqual(PullStatus.OFFSET_ILLEGAL, result.getPullStatus(), "status beyond the end");
        checkEqual(1L, result.getMaxOffset(), "max offset");
        checkEqual(PullStatus.NO_NEW_MSG, puller.pull(queue, "*", 1, 10).getPullStatus(), "status at the end");
    }

    private static void offsets(Kit kit) throws Exception {
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        kit.sendAll(producer, "k", 20);
        DefaultMQPullConsumer puller = puller(kit);
        MessageQueue queue = puller.fetchSubscribeMessageQueues(kit.topic).iterator().next();
        puller.getDefaultMQPullConsumerImpl().updateConsumeOffset(queue, 3);
        DefaultMQPullConsumer other = puller(kit);
        // A broker takes it once it has heard of the group, which is a second after its client's start.
        Kit.until("the stored offset", COME_MS, () -> {
            puller.getDefaultMQPullConsumerImpl().getOffsetStore().persistAll(Set.of(queue));
            return other.fetchConsumeOffset(queue, true) == 3;
        });
    }
}
