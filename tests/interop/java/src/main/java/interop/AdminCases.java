package interop;

import static interop.Kit.check;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.MQVersion;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/** mqadmin of the client's own version, in this process. */
final class AdminCases {
    private static final long COME_MS = 45_000;

    private AdminCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("mqadmin", AdminCases::verbs),
            Case.everywhere("mqadmin-lag", AdminCases::lag),
            Case.everywhere("mqadmin-messages", AdminCases::messages),
            Case.everywhere("mqadmin-broker", AdminCases::broker));
    }

    /** One at a time: it takes over the standard output. */
    static synchronized String run(String... arguments) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        try {
            System.setOut(new PrintStream(said, true));
            System.setErr(new PrintStream(said, true));
            forgetCommands();
            MQAdminStartup.main0(arguments, null);
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
        System.err.println(said);
        return said.toString();
    }

    /** A process of mqadmin runs one command: some commands keep the client that their first run has ended. */
    private static void forgetCommands() {
        try {
            for (Field field : MQAdminStartup.class.getDeclaredFields()) {
                if (field.getType() == List.class) {
                    field.setAccessible(true);
                    ((List<?>) field.get(null)).clear();
                }
            }
        } catch (IllegalAccessException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void expect(String said, String part) {
        check(said.contains(part), "mqadmin said: " + said.substring(Math.max(0, said.length() - 600)));
    }

    private static void verbs(Kit kit) throws Exception {
        System.setProperty("rocketmq.namesrv.addr", kit.namesrv);
        String broker = kit.brokerAddress();
        expect(run("updateTopic", "-b", broker, "-t", kit.topic, "-r", "3", "-w", "3"), "success");
        kit.awaitRoute(kit.topic);
        expect(run("topicRoute", "-t", kit.topic), "\"readQueueNums\":3");
        expect(run("topicList"), kit.topic);
        expect(run("topicClusterList", "-t", kit.topic), "DefaultCluster");
        expect(run("updateSubGroup", "-b", broker, "-g", kit.group + "_admin", "-r", "5"), "success");
    }

    /** How far a group is, while it is connected and after it has gone. */
    private static void lag(Kit kit) throws Exception {
        System.setProperty("rocketmq.namesrv.addr", kit.namesrv);
        kit.createTopic();
        DefaultMQProducer producer = kit.producer();
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = kit.consumer(inbox);
        List<String> keys = new ArrayList<>();
        for (int i = 0; i < 12; i++) {
            keys.add("k" + i);
            producer.send(kit.message("k" + i, "T"));
        }
        inbox.await(keys, 45_000);
        String group = kit.group + "_c";
        String connected = run("consumerConnection", "-g", group);
        expect(connected, kit.topic);
        expect(connected, "CONSUME_PASSIVELY");
        expect(connected, "CLUSTERING");
        // A 4.9 producer that knows no route yet is heard of with its second heartbeat.
        Kit.await("producer known", 45_000,
            () -> run("producerConnection", "-g", kit.group + "_p", "-t", kit.topic).contains("JAVA"));
        awaitLag(group, 0);
        consumer.shutdown();
        for (int i = 0; i < 5; i++) {
            producer.send(kit.message("late" + i, "T"));
        }
        awaitLag(group, 5);
        expect(run("consumerProgress"), group);
        expect(run("statsAll", "-t", kit.topic), group);
        expect(run("brokerConsumeStats", "-b", kit.brokerAddress()), group);
        expect(run("topicStatus", "-t", kit.topic), "broker-a");
        expect(run("queryCq", "-b", kit.brokerAddress(), "-t", kit.topic, "-q", "0", "-i", "0", "-c", "2"), "min: 0");
    }

    private static void awaitLag(String group, int messages) throws Exception {
        Pattern total = Pattern.compile("Diff Total: (\\d+)");
        Kit.await("lag " + messages, 45_000, () -> {
            Matcher found = total.matcher(run("consumerProgress", "-g", group));
            return found.find() && Integer.parseInt(found.group(1)) == messages;
        });
    }

    private static void broker(Kit kit) throws Exception {
        System.setProperty("rocketmq.namesrv.addr", kit.namesrv);
        kit.createTopic();
        kit.producer().send(kit.message("k", "T"));
        expect(run("clusterList"), "DefaultCluster");
        expect(run("clusterList", "-m"), "InTotalToday");
        String status = run("brokerStatus", "-b", kit.brokerAddress());
        for (String key : List.of("putTps", "getTotalTps", "msgPutTotalTodayNow", "commitLogMaxOffset", "bootTimestamp",
            "putMessageDistributeTime", "commitLogDirCapacity", "sendThreadPoolQueueSize", "earliestMessageTimeStamp")) {
            expect(status, key);
        }
    }

    /** The verbs that look messages up. */
    private static void messages(Kit kit) throws Exception {
        System.setProperty("rocketmq.namesrv.addr", kit.namesrv);
        kit.createTopic();
        var producer = kit.producer();
        kit.sendAll(producer, "other", 8);
        SendResult sent = producer.send(kit.message("the-key", "red"));
        String queue = "" + sent.getMessageQueue().getQueueId();
        Kit.await("the message by its key", COME_MS,
            () -> run("queryMsgByKey", "-t", kit.topic, "-k", "the-key").contains(sent.getMsgId()));
        boolean old = MQVersion.getVersionDesc(MQVersion.CURRENT_VERSION).startsWith("V4");
        expect(old ? run("queryMsgById", "-i", sent.getOffsetMsgId()) // Option -t would end the process.
            : run("queryMsgById", "-t", kit.topic, "-i", sent.getOffsetMsgId()), "the-key");
        expect(run("queryMsgByUniqueKey", "-t", kit.topic, "-i", sent.getMsgId()), "the-key");
        expect(run("queryMsgByOffset", "-t", kit.topic, "-b", "broker-a", "-i", queue, "-o", "" + sent.getQueueOffset()),
            "the-key");
        expect(run("printMsg", "-t", kit.topic, "-d", "true"), "body of the-key");
        expect(run("printMsgByQueue", "-t", kit.topic, "-a", "broker-a", "-i", queue, "-p", "true", "-d", "true"),
            "body of the-key");
        expect(run("consumeMessage", "-t", kit.topic, "-b", "broker-a", "-i", queue, "-o", "" + sent.getQueueOffset(),
            "-c", "1"), sent.getMsgId());
    }
}
