package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.producer.DefaultMQProducer;

/** Several brokers, of whichever kind they are, and many clients that come and go. */
final class CrowdCases {
    private static final long COME_MS = 60_000;
    private static final long SETTLE_MS = 2_000;
    private static final int PRODUCERS = 4;
    private static final int MESSAGES = 10_000;

    private CrowdCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("crowd-all-brokers", CrowdCases::allBrokers),
            Case.everywhere("crowd-transactions", CrowdCases::transactions),
            Case.everywhere("crowd-joining-leaving", CrowdCases::joiningAndLeaving));
    }

    private static void allBrokers(Kit kit) throws Exception {
        Set<String> brokers = kit.createTopicEverywhere().keySet();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        DefaultMQProducer producer = kit.producer();
        Set<String> keys = new HashSet<>();
        Set<String> used = new TreeSet<>();
        for (int i = 0; i < 60; i++) {
            keys.add("k" + i);
            used.add(producer.send(kit.message("k" + i, "T")).getMessageQueue().getBrokerName());
        }
        checkEqual(brokers, used, "brokers that were sent to");
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
    }

    private static void transactions(Kit kit) throws Exception {
        kit.createTopicEverywhere();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        var producer = kit.transactional(new Plan());
        Set<String> keys = new HashSet<>();
        for (int i = 0; i < 60; i++) {
            String plan = List.of(Plan.COMMIT, Plan.ROLLBACK, Plan.UNKNOWN_COMMIT, Plan.UNKNOWN_ROLLBACK).get(i % 4);
            if (i % 2 == 0) {
                keys.add("k" + i);
            }
            producer.sendMessageInTransaction(kit.planned("k" + i, plan), null);
        }
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
    }

    /**
     * Four producers send while three consumers join and leave. Nothing is lost. Who gives a queue up, because he leaves or
     * another joined, may be consuming what he can no longer acknowledge: those come again, to whoever has the queue then,
     * who may be the same.
     */
    private static void joiningAndLeaving(Kit kit) throws Exception {
        kit.createTopicEverywhere();
        Map<String, Collection<String>> byKey = new ConcurrentHashMap<>();
        List<Thread> senders = new ArrayList<>();
        Collection<Throwable> errors = new ConcurrentLinkedQueue<>();
        for (int p = 0; p < PRODUCERS; p++) {
            String prefix = "p" + p + "-";
            DefaultMQProducer producer = kit.start(new DefaultMQProducer(kit.group + "_p" + p));
            senders.add(new Thread(() -> {
                try {
                    for (int i = 0; i < MESSAGES / PRODUCERS; i++) {
                        producer.send(kit.message(prefix + i, "T"));
                    }
                } catch (Exception e) {
                    errors.add(e);
                }
            }));
        }
        senders.forEach(Thread::start);
        int members = 0;
        join(kit, byKey, "member" + members++);
        while (senders.stream().anyMatch(Thread::isAlive)) {
            DefaultMQPushConsumer one = join(kit, byKey, "member" + members++);
            DefaultMQPushConsumer two = join(kit, byKey, "member" + members++);
            int before = byKey.size();
            Kit.await("they consume", COME_MS,
                () -> byKey.size() > before + 500 || senders.stream().noneMatch(Thread::isAlive));
            one.shutdown();
            two.shutdown();
        }
        check(errors.isEmpty(), "a send failed: " + errors.stream().findFirst());
        Kit.await("nothing is lost", 2 * COME_MS, () -> byKey.size() == MESSAGES);
        Thread.sleep(SETTLE_MS);
        int again = 0;
        for (Collection<String> deliveries : byKey.values()) {
            again += deliveries.size() - 1;
        }
        System.err.println("crowd-joining-leaving: " + members + " members, " + again + " delivered again");
        check(again < MESSAGES / 2, again + " messages were delivered again");
    }

    private static DefaultMQPushConsumer join(Kit kit, Map<String, Collection<String>> byKey, String name) throws Exception {
        return kit.consumer(kit.topic, "*", new Inbox(), (message, context) -> {
            byKey.computeIfAbsent(message.getKeys(), k -> new ConcurrentLinkedQueue<>()).add(name);
            return ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
        }, c -> { });
    }
}
