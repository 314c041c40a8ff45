package interop;

import java.io.File;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;

/** A producer in a process of its own that says UNKNOWN a few times and dies, as by SIGKILL, in its last local transaction. */
public final class Victim {
    private static final int DEAD = 99;

    private Victim() {
    }

    /** Runs one to its death. @return the keys of the transactions that it left open, all to be committed when asked */
    static Set<String> run(Kit kit, int count) throws Exception {
        List<String> command = new ArrayList<>();
        command.add(System.getProperty("java.home") + "/bin/java");
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.addAll(List.of("-cp", System.getProperty("java.class.path"), Victim.class.getName(), kit.namesrv, kit.topic,
            kit.group, "" + count));
        Process process = new ProcessBuilder(command).redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.to(new File("/dev/null"))).start();
        if (!process.waitFor(30, TimeUnit.SECONDS)) {
            process.destroyForcibly();
            throw new AssertionError("the producer that should die did not");
        }
        Kit.checkEqual(DEAD, process.exitValue(), "exit status of the producer that should die");
        Set<String> keys = new HashSet<>();
        for (int i = 0; i < count; i++) {
            keys.add("v" + i);
        }
        return keys;
    }

    public static void main(String[] args) throws Exception {
        int count = Integer.parseInt(args[3]);
        TransactionMQProducer producer = new TransactionMQProducer(args[2] + "_tx");
        producer.setNamesrvAddr(args[0]);
        producer.setInstanceName("victim");
        producer.setSendMsgTimeout(10_000);
        producer.setTransactionListener(new Plan() {
            @Override
            public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
                if (message.getKeys().equals("v" + (count - 1))) {
                    Runtime.getRuntime().halt(DEAD);
                }
                return LocalTransactionState.UNKNOW;
            }
        });
        producer.start();
        for (int i = 0; i < count; i++) {
            Message message = new Message(args[1], "T", "v" + i, "left open".getBytes("UTF-8"));
            message.putUserProperty(Plan.PROPERTY, Plan.UNKNOWN_COMMIT);
            producer.sendMessageInTransaction(message, null);
        }
        System.exit(1); // Not reached: the last local transaction does not return.
    }
}
