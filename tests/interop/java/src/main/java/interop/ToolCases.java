package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;
import static interop.OperatorCases.expect;
import static interop.OperatorCases.run;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.rocketmq.common.MQVersion;
import org.apache.rocketmq.common.message.Message;

/** mqadmin's verbs that an operator needs more seldom: exports, replicas, policies; what is wrong; what there is not. */
final class ToolCases {
    private static final long COME_MS = 45_000;
    private static final boolean FIVE = MQVersion.CURRENT_VERSION >= MQVersion.Version.V5_0_0.ordinal();

    private ToolCases() {
    }

    static List<Case> all() {
        List<Case> cases = new ArrayList<>(List.of(
            Case.everywhere("mqadmin-export", ToolCases::export),
            Case.everywhere("mqadmin-mistakes", ToolCases::mistakes),
            Case.escrow("mqadmin-unsupported", ToolCases::unsupported)));
        if (FIVE) {
            cases.add(Case.everywhere("mqadmin-policy", ToolCases::policy));
            cases.add(Case.everywhere("mqadmin-ha", ToolCases::replicas));
        }
        return cases;
    }

    /** What a verb wrote into its file. */
    private static String exported(Kit kit, String verb, String file) throws Exception {
        Path dir = Path.of(System.getProperty("user.home"), kit.topic);
        Files.createDirectories(dir);
        Files.deleteIfExists(dir.resolve(file));
        expect(run(kit, verb, "-c", "DefaultCluster", "-f", dir.toString()), "success");
        return new String(Files.readAllBytes(dir.resolve(file)), StandardCharsets.UTF_8);
    }

    private static void export(Kit kit) throws Exception {
        kit.createTopic();
        expect(run(kit, "updateSubGroup", "-c", "DefaultCluster", "-g", kit.group), "success");
        Message half = kit.message("k", "T");
        half.putUserProperty(Plan.PROPERTY, Plan.COMMIT);
        kit.transactional(new Plan()).sendMessageInTransaction(half, null);
        String metadata = exported(kit, "exportMetadata", "metadata.json");
        check(metadata.contains("\"" + kit.topic + "\"") && metadata.contains("\"" + kit.group + "\""), "metadata: " + metadata);
        if (!kit.escrow && !FIVE) {
            return; // 4.9 wants keys that a 5.x broker of RocketMQ has no longer.
        }
        Pattern halves = Pattern.compile("\"transOneDayInNum\":([0-9]+)");
        Kit.until("exportMetrics counts the transaction", COME_MS, () -> {
            Matcher found = halves.matcher(exported(kit, "exportMetrics", "metrics.json"));
            return found.find() && Integer.parseInt(found.group(1)) >= 1;
        });
        String configs = exported(kit, "exportConfigs", "configs.json");
        check(configs.contains("\"brokerName\":\"broker-a\"") && configs.contains("\"maxMessageSize\""), "configs: " + configs);
    }

    /** What is wrong is said, with RocketMQ's code. */
    private static void mistakes(Kit kit) throws Exception {
        String nobody = kit.group + "_nobody";
        String nothing = kit.topic + "_nothing";
        kit.createTopic();
        expect(run(kit, "topicRoute", "-t", nothing), "CODE: 17");
        expect(run(kit, "topicStatus", "-t", nothing), "CODE: 17");
        expect(run(kit, "consumerProgress", "-g", nobody), "CODE: 17");
        expect(run(kit, "consumerConnection", "-g", nobody), "CODE: 17");
        expect(run(kit, "queryMsgByKey", "-t", kit.topic, "-k", "no-such-key"), "CODE: 208");
        expect(run(kit, "resetOffsetByTime", "-g", nobody, "-t", kit.topic, "-s", "0"), "CODE: 26");
        expect(run(kit, "updateTopic", "-c", "DefaultCluster", "-t", "TBW102"), "CODE: ");
        expect(run(kit, "updateTopic", "-c", "NoSuchCluster", "-t", nothing), "[error]");
        expect(run(kit, "updateTopic", "-c", "DefaultCluster", "-t", "bad*name"), "CODE: ");
        check(!run(kit, "topicList").contains("bad*name"), "bad*name was made");
        if (FIVE) {
            expect(run(kit, "updateTopic", "-c", "DefaultCluster", "-t", nothing, "-a", "+message.type=NONSENSE"), "CODE: 1 ");
            expect(run(kit, "updateSubGroup", "-c", "DefaultCluster", "-g", nobody, "--attributes", "+no.such=1"), "CODE: 1 ");
        }
    }

    /** The proxy goes by it. */
    private static void policy(Kit kit) throws Exception {
        String policy = "{\"type\":\"EXPONENTIAL\",\"exponentialRetryPolicy\":{\"initial\":700,\"max\":9000,\"multiplier\":3}}";
        expect(run(kit, "updateSubGroup", "-c", "DefaultCluster", "-g", kit.group, "-p", policy), "success");
        expect(run(kit, "getConsumerConfig", "-g", kit.group), "EXPONENTIAL", "initial=700", "max=9000", "multiplier=3");
        expect(run(kit, "updateSubGroup", "-c", "DefaultCluster", "-g", kit.group, "-p",
            "{\"type\":\"CUSTOMIZED\",\"customizedRetryPolicy\":{\"next\":[1000,5000,10000]}}"), "success");
        expect(run(kit, "getConsumerConfig", "-g", kit.group), "CUSTOMIZED", "next=[1000, 5000, 10000]");
        expect(run(kit, "updateSubGroup", "-c", "DefaultCluster", "-g", kit.group), "success");
        expect(run(kit, "getConsumerConfig", "-g", kit.group), "type=CUSTOMIZED", "customizedRetryPolicy=null");
    }

    private static void replicas(Kit kit) throws Exception {
        kit.createTopic();
        kit.sendAll(kit.producer(), "k", 1);
        String said = run(kit, "haStatus", "-b", kit.brokerAddress());
        expect(said, "#MasterAddr\t" + kit.brokerAddress(), "#SlaveNum\t0", "#InSyncSlaveNum\t0", "#SlaveAddr");
        Matcher end = Pattern.compile("#MasterCommitLogMaxOffset\t([0-9]+)").matcher(said);
        check(end.find() && Long.parseLong(end.group(1)) > 0, "end of the log: " + said);
        expect(run(kit, "haStatus", "-c", "DefaultCluster"), "#MasterAddr\t" + kit.brokerAddress());
    }

    /** Code 3, and what to do instead. A request that is not answered would show its timeout. */
    private static void unsupported(Kit kit) throws Exception {
        String broker = kit.brokerAddress();
        String[][] verbs = FIVE ? new String[][] {
            { "no users and no ACLs", "createUser", "-b", broker, "-u", "u", "-p", "p" },
            { "no users and no ACLs", "listUser", "-b", broker },
            { "no users and no ACLs", "createAcl", "-b", broker, "-s", "User:u", "-r", "Topic:t", "-a", "Pub", "-d", "Allow" },
            { "no users and no ACLs", "listAcl", "-c", "DefaultCluster" },
            { "no controller", "getBrokerEpoch", "-c", "DefaultCluster" },
            { "no controller", "getControllerMetaData", "-a", kit.namesrv },
            { "no controller", "getSyncStateSet", "-a", kit.namesrv, "-b", "broker-a" },
            { "no replicas", "resetMasterFlushOffset", "-b", broker, "-o", "0" },
            { "no broker container", "addBroker", "-c", broker, "-b", "/nowhere" },
            { "no broker container", "removeBroker", "-c", broker, "-b", "DefaultCluster:broker-a:0" },
            { "make an ordinary one", "updateStaticTopic", "-t", kit.topic, "-qn", "4", "-b", "broker-a" },
            { "cold data", "getColdDataFlowCtrInfo", "-b", broker },
            { "cold data", "updateColdDataFlowCtrGroupConfig", "-b", broker, "-g", kit.group, "-v", "1" },
            { "read ahead", "setCommitLogReadAheadMode", "-b", broker, "-m", "0" },
            { "nothing to export", "exportPopRecord", "-b", broker, "-d", "true" },
            { "no RocksDB", "checkRocksdbCqWriteProgress", "-c", "DefaultCluster", "-n", kit.namesrv, "-t", kit.topic },
            { "ask a broker", "brokerStatus", "-b", kit.namesrv },
        } : new String[][] {
            { "no users and no ACLs", "updateAclConfig", "-b", broker, "-a", "key", "-s", "secret-key" },
            { "no users and no ACLs", "clusterAclConfigVersion", "-b", broker },
            { "ask a broker", "brokerStatus", "-b", kit.namesrv },
        };
        for (String[] verb : verbs) {
            expect(run(kit, Arrays.copyOfRange(verb, 1, verb.length)), "CODE: 3 ", verb[0]);
        }
        checkEqual("broker-a", kit.admin().getBrokerConfig(broker).getProperty("brokerName"), "the broker is well");
    }
}
