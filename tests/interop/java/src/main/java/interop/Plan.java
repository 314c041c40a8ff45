package interop;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** A listener that does what the message's own property "plan" says, and counts the checks by key. */
class Plan implements TransactionListener {
    static final String PROPERTY = "plan";
    static final String COMMIT = "commit";
    static final String ROLLBACK = "rollback";
    static final String UNKNOWN_COMMIT = "unknown-commit";
    static final String UNKNOWN_ROLLBACK = "unknown-rollback";
    /** The first check is answered UNKNOWN, too. */
    static final String UNKNOWN_TWICE_COMMIT = "unknown-twice-commit";

    final Map<String, AtomicInteger> checks = new ConcurrentHashMap<>();
    /** What each check said of which time it is, one after the other. */
    final Map<String, String> times = new ConcurrentHashMap<>();

    @Override
    public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
        switch (message.getUserProperty(PROPERTY)) {
            case COMMIT: return LocalTransactionState.COMMIT_MESSAGE;
            case ROLLBACK: return LocalTransactionState.ROLLBACK_MESSAGE;
            default: return LocalTransactionState.UNKNOW;
        }
    }

    @Override
    public LocalTransactionState checkLocalTransaction(MessageExt message) {
        int nth = checks.computeIfAbsent(message.getKeys(), k -> new AtomicInteger()).incrementAndGet();
        times.merge(message.getKeys(), message.getUserProperty("TRANSACTION_CHECK_TIMES") + "", (a, b) -> a + " " + b);
        switch (message.getUserProperty(PROPERTY)) {
            case UNKNOWN_ROLLBACK: return LocalTransactionState.ROLLBACK_MESSAGE;
            case UNKNOWN_TWICE_COMMIT:
                return nth == 1 ? LocalTransactionState.UNKNOW : LocalTransactionState.COMMIT_MESSAGE;
            default: return LocalTransactionState.COMMIT_MESSAGE;
        }
    }

    int checksOf(String key) {
        AtomicInteger count = checks.get(key);
        return count == null ? 0 : count.get();
    }
}
