package interop;

import static interop.Kit.check;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.List;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/** mqadmin of the client's own version, in this process. */
final class AdminCases {
    private AdminCases() {
    }

    static List<Case> all() {
        return List.of(Case.everywhere("mqadmin", AdminCases::verbs));
    }

    /** One at a time: what it prints is caught. Several cases do so at once. */
    static synchronized String run(Kit kit, String... arguments) {
        System.setProperty("rocketmq.namesrv.addr", kit.namesrv);
        PrintStream out = System.out;
        PrintStream err = System.err;
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        try {
            System.setOut(new PrintStream(said, true));
            System.setErr(new PrintStream(said, true));
            MQAdminStartup.main0(arguments, null);
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
        System.err.println(said);
        return said.toString();
    }

    private static void expect(String said, String part) {
        check(said.contains(part), "mqadmin said: " + said.substring(Math.max(0, said.length() - 600)));
    }

    private static void verbs(Kit kit) throws Exception {
        String broker = kit.brokerAddress();
        expect(run(kit, "updateTopic", "-b", broker, "-t", kit.topic, "-r", "3", "-w", "3"), "success");
        kit.awaitRoute(kit.topic);
        expect(run(kit, "topicRoute", "-t", kit.topic), "\"readQueueNums\":3");
        expect(run(kit, "topicList"), kit.topic);
        expect(run(kit, "topicClusterList", "-t", kit.topic), "DefaultCluster");
        expect(run(kit, "updateSubGroup", "-b", broker, "-g", kit.group + "_admin", "-r", "5"), "success");
    }
}
