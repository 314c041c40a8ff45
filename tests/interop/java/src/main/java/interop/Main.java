package interop;

import java.io.PrintStream;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;

/**
 * Runs the cases against the brokers of one name server: {@code Main NAMESRV escrow|rocketmq [PATTERN [AT_ONCE]]}.
 * Each has topics and groups of its own, so several run at once; most of their time is waiting. Prints "PASS name",
 * "FAIL name: why" or "SKIP name", and last "N passed, N failed".
 */
public final class Main {
    private static final int AT_ONCE = 8;
    private static final long CASES_SECONDS_MAX = 420;

    private Main() {
    }

    public static void main(String[] args) throws Exception {
        if (args.length < 2) {
            System.err.println("usage: Main NAMESRV escrow|rocketmq [PATTERN [AT_ONCE]]");
            System.exit(2);
        }
        Pattern only = Pattern.compile(args.length > 2 ? args[2] : "");
        int atOnce = args.length > 3 ? Integer.parseInt(args[3]) : AT_ONCE;
        PrintStream out = System.out;
        List<Case> cases = new ArrayList<>();
        cases.addAll(TransactionCases.all());
        cases.addAll(RawEndCases.all());
        cases.addAll(ConsumerCases.all());
        cases.addAll(SelectorCases.all());
        cases.addAll(PopCases.all());
        cases.addAll(SendCases.all());
        cases.addAll(OrderlyCases.all());
        cases.addAll(FilterCases.all());
        cases.addAll(PullCases.all());
        cases.addAll(QueryCases.all());
        cases.addAll(AdminCases.all());
        cases.addAll(OperatorCases.all());
        cases.addAll(ToolCases.all());
        cases.addAll(AdminApiCases.all());
        cases.addAll(MonitorCases.all());
        cases.addAll(CrowdCases.all());
        cases.addAll(ofVersionFive());
        cases.addAll(ChangeCases.all());
        cases.addAll(TimerCases.all());
        cases.addAll(ReplyCases.all());
        cases.addAll(RetryCases.all());
        cases.addAll(StartCases.all());

        AtomicInteger passed = new AtomicInteger();
        AtomicInteger failed = new AtomicInteger();
        List<Case> alone = new ArrayList<>();
        Set<String> names = new HashSet<>();
        for (Case one : cases) {
            if (!names.add(one.name)) { // They would share topics and groups.
                throw new IllegalStateException("two cases are named " + one.name);
            }
        }
        Raw.brokerAddress(args[0]); // A stock broker registers some seconds after it says that it serves.
        ExecutorService pool = Executors.newFixedThreadPool(atOnce);
        for (Case one : cases) {
            if (!only.matcher(one.name).find()) {
                continue;
            }
            if (one.scope == Case.Scope.ESCROW && !args[1].equals("escrow")) {
                out.println("SKIP " + one.name);
                continue;
            }
            if (one.alone) {
                alone.add(one);
                continue;
            }
            pool.execute(() -> (run(one, args[0], args[1], out) ? passed : failed).incrementAndGet());
        }
        pool.shutdown();
        if (!pool.awaitTermination(CASES_SECONDS_MAX, TimeUnit.SECONDS)) {
            out.println("FAIL all: not through after " + CASES_SECONDS_MAX + " s");
            failed.incrementAndGet();
        }
        for (Case one : alone) {
            (run(one, args[0], args[1], out) ? passed : failed).incrementAndGet();
        }
        out.println(passed + " passed, " + failed + " failed");
        System.exit(failed.get() == 0 && passed.get() > 0 ? 0 : 1);
    }

    @SuppressWarnings("unchecked")
    private static List<Case> ofVersionFive() throws ReflectiveOperationException {
        Class<?> five;
        try {
            five = Class.forName("interop.five.FiveCases");
        } catch (ClassNotFoundException e) {
            return List.of(); // Compiled against 4.9.
        }
        return (List<Case>) five.getMethod("all").invoke(null);
    }

    private static boolean run(Case one, String namesrv, String target, PrintStream out) {
        long begin = System.nanoTime();
        try (Kit kit = new Kit(namesrv, target.equals("escrow"), one.name)) {
            one.body.run(kit);
            out.printf("PASS %s (%.1f s)%n", one.name, (System.nanoTime() - begin) / 1e9);
            return true;
        } catch (Throwable e) {
            out.println("FAIL " + one.name + ": " + e);
            e.printStackTrace();
            return false;
        }
    }
}
