package interop;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.rocketmq.common.message.MessageExt;

/** What consumers received, by message key. Thread safe. */
public final class Inbox {
    private final Map<String, List<MessageExt>> received = new HashMap<>();

    public synchronized void add(MessageExt message) {
        received.computeIfAbsent(message.getKeys(), k -> new ArrayList<>()).add(message);
        notifyAll();
    }

    public synchronized List<MessageExt> of(String key) {
        return new ArrayList<>(received.getOrDefault(key, new ArrayList<>()));
    }

    public synchronized int size() {
        return received.values().stream().mapToInt(List::size).sum();
    }

    /** Waits until each of the keys has come at least once; other keys do not matter. */
    public synchronized void await(Collection<String> keys, long millis) throws InterruptedException {
        long end = System.nanoTime() + millis * 1_000_000;
        while (!received.keySet().containsAll(keys)) {
            long left = (end - System.nanoTime()) / 1_000_000;
            if (left <= 0) {
                Set<String> missing = new HashSet<>(keys);
                missing.removeAll(received.keySet());
                throw new AssertionError(missing.size() + " of " + keys.size() + " did not come within " + millis
                    + " ms, such as " + missing.iterator().next());
            }
            wait(left);
        }
    }

    /** Exactly these keys, each once: waits for them, then another {@code settleMillis} for what must not come. */
    public void expectExactly(Collection<String> keys, long millis, long settleMillis) throws InterruptedException {
        await(keys, millis);
        Thread.sleep(settleMillis);
        synchronized (this) {
            for (Map.Entry<String, List<MessageExt>> entry : received.entrySet()) {
                if (!keys.contains(entry.getKey())) {
                    throw new AssertionError(entry.getKey() + " must not have been delivered");
                }
                if (entry.getValue().size() != 1) {
                    throw new AssertionError(entry.getKey() + " was delivered " + entry.getValue().size() + " times");
                }
            }
        }
    }
}
