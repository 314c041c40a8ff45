package interop;

import static interop.Kit.check;
import static interop.Kit.checkEqual;

import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.rocketmq.common.message.MessageExt;

/** END_TRANSACTION with an answer asked for: repeated, contradicted, at once. */
final class RawEndCases {
    private static final int COMMIT = 8;
    private static final int ROLLBACK = 12;
    private static final int ILLEGAL_OPERATION = 604;
    private static final long COME_MS = 45_000;
    private static final long SETTLE_MS = 3_000;

    private RawEndCases() {
    }

    static List<Case> all() {
        return List.of(
            Case.everywhere("end-once", RawEndCases::once),
            Case.escrow("end-twice", RawEndCases::twice),
            Case.escrow("end-opposite", RawEndCases::opposite),
            Case.escrow("end-at-once", RawEndCases::atOnce),
            Case.escrow("end-race", RawEndCases::race),
            Case.everywhere("end-of-another", RawEndCases::ofAnother),
            Case.escrow("half-resent", RawEndCases::halfResent));
    }

    /** A half message that a producer has sent; nobody has decided it. */
    private static final class Half {
        final Kit kit;
        final String key;
        final Raw.Answer answer;

        Half(Raw raw, Kit kit, String key) throws Exception {
            this.kit = kit;
            this.key = key;
            String properties = "KEYS\u0001" + key + "\u0002UNIQ_KEY\u0001" + uniqueKey(kit, key) + "\u0002TRAN_MSG\u0001true\u0002"
                + "PGROUP\u0001" + kit.group + "_raw\u0002TAGS\u0001T\u0002";
            answer = raw.call(310, "half".getBytes(StandardCharsets.UTF_8), "a", kit.group + "_raw", "b", kit.topic, "c",
                "TBW102", "d", "4", "e", "1", "f", "4", "g", "" + System.currentTimeMillis(), "h", "0", "i", properties,
                "j", "0", "k", "false", "m", "false").expect(0);
        }

        private static String uniqueKey(Kit kit, String key) {
            return String.format("7F000001%08X%08X%08X", kit.topic.hashCode(), kit.group.hashCode(), key.hashCode());
        }

        long commitLogOffset() {
            return Long.parseUnsignedLong(answer.fields.get("msgId").substring(16), 16);
        }

        String[] end(int outcome, String group) {
            return new String[] { "producerGroup", group, "tranStateTableOffset", answer.fields.get("queueOffset"),
                "commitLogOffset", "" + commitLogOffset(), "commitOrRollback", "" + outcome, "fromTransactionCheck", "false",
                "msgId", uniqueKey(kit, key), "transactionId", answer.fields.get("transactionId") };
        }

        String[] end(int outcome) {
            return end(outcome, kit.group + "_raw");
        }
    }

    private static Inbox listen(Kit kit) throws Exception {
        kit.createTopic();
        Inbox inbox = new Inbox();
        kit.consumer(inbox);
        return inbox;
    }

    private static void once(Kit kit) throws Exception {
        Inbox inbox = listen(kit);
        try (Raw raw = new Raw(kit.brokerAddress())) {
            raw.call(37, new Half(raw, kit, "c").end(COMMIT)).expect(0);
            raw.call(37, new Half(raw, kit, "r").end(ROLLBACK)).expect(0);
            inbox.expectExactly(Set.of("c"), COME_MS, SETTLE_MS);
        }
    }

    private static void twice(Kit kit) throws Exception {
        Inbox inbox = listen(kit);
        try (Raw raw = new Raw(kit.brokerAddress())) {
            Half committed = new Half(raw, kit, "c");
            Half rolledBack = new Half(raw, kit, "r");
            for (int i = 0; i < 3; i++) {
                raw.call(37, committed.end(COMMIT)).expect(0);
                raw.call(37, rolledBack.end(ROLLBACK)).expect(0);
            }
            inbox.expectExactly(Set.of("c"), COME_MS, SETTLE_MS);
            raw.call(37, committed.end(COMMIT)).expect(0);
            inbox.expectExactly(Set.of("c"), COME_MS, SETTLE_MS);
        }
    }

    private static void opposite(Kit kit) throws Exception {
        Inbox inbox = listen(kit);
        try (Raw raw = new Raw(kit.brokerAddress())) {
            Half committed = new Half(raw, kit, "c");
            Half rolledBack = new Half(raw, kit, "r");
            raw.call(37, committed.end(COMMIT)).expect(0);
            raw.call(37, rolledBack.end(ROLLBACK)).expect(0);
            Raw.Answer late = raw.call(37, committed.end(ROLLBACK)).expect(ILLEGAL_OPERATION);
            check(late.remark != null && late.remark.toLowerCase().contains("commit"), "remark: " + late.remark);
            late = raw.call(37, rolledBack.end(COMMIT)).expect(ILLEGAL_OPERATION);
            check(late.remark != null && late.remark.toLowerCase().contains("roll"), "remark: " + late.remark);
            raw.call(37, committed.end(COMMIT)).expect(0);
            inbox.expectExactly(Set.of("c"), COME_MS, SETTLE_MS);
        }
    }

    private static void atOnce(Kit kit) throws Exception {
        Inbox inbox = listen(kit);
        String address = kit.brokerAddress();
        Set<String> keys = new HashSet<>();
        try (Raw one = new Raw(address); Raw two = new Raw(address)) {
            for (int i = 0; i < 50; i++) {
                Half half = new Half(one, kit, "a" + i);
                keys.add("a" + i);
                one.send(37, new byte[0], half.end(COMMIT));
                two.send(37, new byte[0], half.end(COMMIT));
                one.receive().expect(0);
                two.receive().expect(0);
            }
            inbox.expectExactly(keys, COME_MS, SETTLE_MS);
        }
    }

    private static void race(Kit kit) throws Exception {
        Inbox inbox = listen(kit);
        String address = kit.brokerAddress();
        Set<String> won = new HashSet<>();
        try (Raw one = new Raw(address); Raw two = new Raw(address)) {
            for (int i = 0; i < 50; i++) {
                Half half = new Half(one, kit, "a" + i);
                Raw first = i % 2 == 0 ? one : two;
                Raw second = i % 2 == 0 ? two : one;
                first.send(37, new byte[0], half.end(COMMIT));
                second.send(37, new byte[0], half.end(ROLLBACK));
                Raw.Answer commit = first.receive();
                Raw.Answer rollback = second.receive();
                checkEqual(ILLEGAL_OPERATION, commit.code + rollback.code, "one is refused: " + commit.code + " and " + rollback.code);
                if (commit.code == 0) {
                    won.add("a" + i);
                }
            }
            inbox.expectExactly(won, COME_MS, SETTLE_MS);
        }
    }

    /** Quoting another group or another half message decides nothing. */
    private static void ofAnother(Kit kit) throws Exception {
        Inbox inbox = listen(kit);
        try (Raw raw = new Raw(kit.brokerAddress())) {
            Half half = new Half(raw, kit, "c");
            Half other = new Half(raw, kit, "o");
            check(raw.call(37, half.end(COMMIT, kit.group + "_stranger")).code != 0, "another group's END is refused");
            String[] wrong = half.end(COMMIT);
            wrong[5] = "" + other.commitLogOffset();
            check(raw.call(37, wrong).code != 0, "an END with offsets of two halves is refused");
            raw.call(37, other.end(ROLLBACK)).expect(0);
            raw.call(37, half.end(COMMIT)).expect(0);
            inbox.expectExactly(Set.of("c"), COME_MS, SETTLE_MS);
        }
    }

    /** A producer that got no answer sends its half again: it is the same transaction. */
    private static void halfResent(Kit kit) throws Exception {
        Inbox inbox = listen(kit);
        try (Raw raw = new Raw(kit.brokerAddress())) {
            Half half = new Half(raw, kit, "c");
            Half again = new Half(raw, kit, "c");
            checkEqual(half.answer.fields.get("msgId"), again.answer.fields.get("msgId"), "id of the half sent again");
            checkEqual(half.answer.fields.get("queueOffset"), again.answer.fields.get("queueOffset"), "its queue offset");
            raw.call(37, again.end(COMMIT)).expect(0);
            Half late = new Half(raw, kit, "c");
            checkEqual(half.answer.fields.get("msgId"), late.answer.fields.get("msgId"), "id of the half sent after the commit");
            inbox.expectExactly(Set.of("c"), COME_MS, SETTLE_MS);
            MessageExt message = inbox.of("c").get(0);
            checkEqual(half.commitLogOffset(), message.getPreparedTransactionOffset(), "prepared offset");
        }
    }
}
