package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executors;
import java.util.concurrent.ExecutorService;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.MessageExt;

/** Transactional producers: a message is seen if and only if its local transaction committed, and once. */
final class TransactionCases {
    private static final long COME_MS = 45_000;
    private static final long SETTLE_MS = 4_000;

    private TransactionCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("tx-mixed-2000", TransactionCases::mixed),
            Case.everywhere("tx-commit", TransactionCases::commit),
            Case.everywhere("tx-rollback", TransactionCases::rollback),
            Case.everywhere("tx-unknown-commit", kit -> unknown(kit, Plan.UNKNOWN_COMMIT, true)),
            Case.everywhere("tx-unknown-rollback", kit -> unknown(kit, Plan.UNKNOWN_ROLLBACK, false)),
            Case.everywhere("tx-unknown-twice", kit -> unknown(kit, Plan.UNKNOWN_TWICE_COMMIT, true)),
            Case.everywhere("tx-other-instance", TransactionCases::otherInstance),
            Case.everywhere("tx-gone-long", TransactionCases::goneLong),
            Case.escrow("tx-slow-answers", TransactionCases::slowAnswers));
    }

    private static TransactionSendResult send(TransactionMQProducer producer, Kit kit, String key, String plan)
        throws Exception {
        return producer.sendMessageInTransaction(kit.planned(key, plan), null);
    }

    private static void commit(Kit kit) throws Exception {
        kit.createTopic();
        TransactionMQProducer producer = kit.transactional(new Plan());
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        Set<String> keys = new HashSet<>();
        TransactionSendResult last = null;
        for (int i = 0; i < 10; i++) {
            keys.add("c" + i);
            last = send(producer, kit, "c" + i, Plan.COMMIT);
            checkEqual(LocalTransactionState.COMMIT_MESSAGE, last.getLocalTransactionState(), "local state");
        }
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
        MessageExt message = inbox.of("c9").get(0);
        checkEqual("body of c9", new String(message.getBody(), StandardCharsets.UTF_8), "body");
        checkEqual("grün", message.getUserProperty("colour"), "user property");
        checkEqual("T", message.getTags(), "tag");
        checkEqual(last.getMsgId(), message.getMsgId(), "message id");
        checkEqual(last.getMsgId(), message.getTransactionId(), "transaction id");
        if (kit.escrow) { // A 4.9.7 broker leaves it out.
            checkEqual(last.getMsgId(), last.getTransactionId(), "transaction id of the send");
        }
        check(message.getPreparedTransactionOffset() >= 0, "prepared offset " + message.getPreparedTransactionOffset());
    }

    private static void rollback(Kit kit) throws Exception {
        kit.createTopic();
        Plan plan = new Plan();
        TransactionMQProducer producer = kit.transactional(plan);
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        for (int i = 0; i < 10; i++) {
            send(producer, kit, "r" + i, Plan.ROLLBACK);
        }
        send(producer, kit, "c", Plan.COMMIT);
        inbox.expectExactly(Set.of("c"), COME_MS, 2 * SETTLE_MS);
        checkEqual(0, plan.checks.size(), "checks of decided transactions");
    }

    private static void unknown(Kit kit, String what, boolean delivered) throws Exception {
        kit.createTopic();
        Plan plan = new Plan();
        TransactionMQProducer producer = kit.transactional(plan);
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        Set<String> keys = new HashSet<>();
        for (int i = 0; i < 5; i++) {
            keys.add("u" + i);
            send(producer, kit, "u" + i, what);
        }
        Kit.await("a check of each", COME_MS, () -> plan.checks.keySet().containsAll(keys));
        inbox.expectExactly(delivered ? keys : Set.of(), COME_MS, 2 * SETTLE_MS);
        int expected = what.equals(Plan.UNKNOWN_TWICE_COMMIT) ? 2 : 1;
        for (String key : keys) {
            checkEqual(expected, plan.checksOf(key), "checks of " + key);
            checkEqual(expected == 2 ? "1 2" : "1", plan.times.get(key), "TRANSACTION_CHECK_TIMES of " + key);
        }
    }

    /** One instance dies inside a local transaction; another one of its group is asked. */
    private static void otherInstance(Kit kit) throws Exception {
        kit.createTopic();
        Plan plan = new Plan();
        TransactionMQProducer survivor = kit.transactional(plan);
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        send(survivor, kit, "first", Plan.COMMIT); // A client of 5.x is known to the broker from its first send on.
        Set<String> keys = Victim.run(kit, 5);
        Set<String> all = new HashSet<>(keys);
        all.add("first");
        inbox.expectExactly(all, COME_MS, SETTLE_MS);
        check(plan.checks.keySet().containsAll(keys), "asked about " + plan.checks.keySet());
    }

    /** Nobody of the group is there for many check intervals; then somebody returns. */
    private static void goneLong(Kit kit) throws Exception {
        kit.createTopic();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        Set<String> keys = Victim.run(kit, 20);
        Thread.sleep(12_000);
        checkEqual(0, inbox.size(), "delivered while nobody could be asked");
        TransactionMQProducer back = kit.transactional(new Plan());
        long returned = System.nanoTime();
        send(back, kit, "first", Plan.COMMIT);
        keys.add("first");
        inbox.await(keys, COME_MS);
        System.out.printf("INFO %d in doubt were delivered %d ms after the first send of the returned producer%n", keys.size() - 1,
            (System.nanoTime() - returned) / 1_000_000);
        inbox.expectExactly(keys, COME_MS, SETTLE_MS);
    }

    /** Answers that take longer than the broker waits before it asks again: every answer after the first is late. */
    private static void slowAnswers(Kit kit) throws Exception {
        kit.createTopic();
        ExecutorService threads = Executors.newFixedThreadPool(8);
        TransactionMQProducer producer = kit.transactional(new Plan() {
            @Override
            public LocalTransactionState checkLocalTransaction(MessageExt message) {
                try {
                    Thread.sleep(7_000);
                } catch (InterruptedException e) {
                    return LocalTransactionState.UNKNOW;
                }
                return super.checkLocalTransaction(message);
            }
        }, p -> {
            p.setExecutorService(threads);
            return p;
        });
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        for (int i = 0; i < 3; i++) {
            send(producer, kit, "s" + i, Plan.UNKNOWN_COMMIT);
            send(producer, kit, "x" + i, Plan.UNKNOWN_ROLLBACK);
        }
        inbox.expectExactly(Set.of("s0", "s1", "s2"), COME_MS, 10_000);
        threads.shutdownNow();
    }

    /** Four threads, 2,000 transactions of every kind. */
    private static void mixed(Kit kit) throws Exception {
        kit.createTopic();
        TransactionMQProducer producer = kit.transactional(new Plan());
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        String[] plans = { Plan.COMMIT, Plan.COMMIT, Plan.ROLLBACK, Plan.COMMIT, Plan.UNKNOWN_COMMIT, Plan.ROLLBACK,
            Plan.COMMIT, Plan.UNKNOWN_ROLLBACK };
        Set<String> committed = new HashSet<>();
        ConcurrentLinkedQueue<Throwable> errors = new ConcurrentLinkedQueue<>();
        List<Thread> threads = new ArrayList<>();
        for (int t = 0; t < 4; t++) {
            String prefix = "m" + t + "-";
            for (int i = 0; i < 500; i++) {
                if (plans[i % plans.length].endsWith(Plan.COMMIT)) {
                    committed.add(prefix + i);
                }
            }
            Thread thread = new Thread(() -> {
                try {
                    for (int i = 0; i < 500; i++) {
                        send(producer, kit, prefix + i, plans[i % plans.length]);
                    }
                } catch (Throwable e) {
                    errors.add(e);
                }
            });
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        check(errors.isEmpty(), "a send failed: " + errors.peek());
        inbox.expectExactly(committed, 2 * COME_MS, 2 * SETTLE_MS);
    }
}
