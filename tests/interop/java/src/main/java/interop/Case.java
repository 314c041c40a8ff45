package interop;

/** One thing that a client must be able to rely on. It fails by throwing. */
public final class Case {
    public interface Body {
        void run(Kit kit) throws Exception;
    }

    /** EVERYWHERE holds on a stock RocketMQ too; ESCROW is what a stock broker is known to get wrong. */
    enum Scope { EVERYWHERE, ESCROW }

    final String name;
    final Scope scope;
    final Body body;
    /** What it changes, others would feel: it runs when they are through. */
    boolean alone;

    Case(String name, Scope scope, Body body) {
        this.name = name;
        this.scope = scope;
        this.body = body;
    }

    public static Case everywhere(String name, Body body) {
        return new Case(name, Scope.EVERYWHERE, body);
    }

    public static Case alone(String name, Body body) {
        Case one = everywhere(name, body);
        one.alone = true;
        return one;
    }

    public static Case escrow(String name, Body body) {
        return new Case(name, Scope.ESCROW, body);
    }
}
